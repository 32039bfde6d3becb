//! The catalogue: every operator once.
//!
//! In: the operators of the other files of this folder. Out: the table, and an operator by its name.
//! Invariant: names are unique.

use super::{OpDef, contract, elementwise, layout, pieces, reductions, rows, scan, sources, take, windows};
use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

static TABLE: LazyLock<Vec<&'static dyn OpDef>> = LazyLock::new(|| {
    let mut table: Vec<&'static dyn OpDef> = elementwise::ROWS.iter().map(|row| row as &dyn OpDef).collect();
    let structured: [&'static dyn OpDef; 22] = [
        &sources::Input,
        &sources::Const,
        &sources::Iota,
        &sources::Random,
        &layout::Broadcast,
        &layout::Reshape,
        &layout::StopGradient,
        &layout::Surrogate,
        &pieces::Slice,
        &pieces::Pad,
        &pieces::Concat,
        &windows::Window,
        &windows::Unwindow,
        &reductions::SUM,
        &reductions::MAX_OF,
        &reductions::MIN_OF,
        &reductions::Argmax,
        &contract::Contract,
        &rows::Gather,
        &rows::ScatterAdd,
        &scan::Scan,
        &take::Take,
    ];
    table.extend(structured);
    table
});

/// Every operator, in a fixed order.
pub fn table() -> &'static [&'static dyn OpDef] {
    &TABLE
}

/// The operator of this name.
pub fn find(name: &str) -> Option<&'static dyn OpDef> {
    static NAMES: OnceLock<BTreeMap<&str, &dyn OpDef>> = OnceLock::new();
    NAMES.get_or_init(|| TABLE.iter().map(|op| (op.name(), *op)).collect()).get(name).copied()
}

/// Where tests sample operand `arg` of this operator: away from poles and from where its slope is unbounded.
pub fn sample_domain(name: &str, arg: usize) -> (f64, f64) {
    let row = elementwise::ROWS.iter().find(|row| row.name() == name);
    row.and_then(|row| row.domain.get(arg).copied()).unwrap_or((-2.0, 2.0))
}
