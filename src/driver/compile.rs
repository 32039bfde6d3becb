//! From a run's graphs to native programs.
//!
//! In: a checked run. Out: loop programs of the training step, the evaluation, the inference and the first values, and the
//! text of every stage between. Invariant: every program goes through the same passes in the same order.

use crate::base::Diagnostic;
use crate::check::{Checked, Run, Training};
use crate::driver::pipeline::differentiate;
use crate::graph::Graph;
use crate::loops::ir::Program;
use crate::loops::{lower, verify};
use crate::passes::fuse::{Fusion, fuse};

/// A graph after each stage, and the loops that it became.
pub struct Lowered {
    pub graph: Graph,
    pub simple: Graph,
    pub fusion: Fusion,
    pub program: Program,
}

/// Graph to loops.
pub fn lowered(graph: Graph) -> Lowered {
    let simple = graph.clone();
    let fusion = fuse(&simple);
    let program = lower::lower(&simple, &fusion);
    if cfg!(debug_assertions)
        && let Err(why) = verify::verify(&program)
    {
        panic!("invariant broken: lowering and scheduling give verified loops: {why}");
    }
    Lowered { graph, simple, fusion, program }
}

/// The training step of a run; with `check`, nothing in it is random.
pub fn training(checked: &Checked, run: &Run, check: bool) -> Result<Training, Diagnostic> {
    checked.training(run, !check, &mut differentiate).map_err(|e| *e)
}
