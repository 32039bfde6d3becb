//! Rows of a table, picked by classes or tokens.
//!
//! In: a table and indices. Out: the rows. Invariant: the kind of the indices says how many there are, and the table has at
//! least as many rows.

use super::builtin::Args;
use super::elaborate::{Elaborator, Res};
use super::errors;
use super::value::{Kind, Label, Tensor, Val};
use crate::base::{DType, Extent, Span};
use crate::ops::Attrs;

impl Elaborator<'_> {
    /// `gather(table, rows)`: a row of the table for each class or token. Their kind says how many there are, the data is held
    /// to it when it is bound, and so no row outside the table is ever read.
    pub(super) fn gather(&mut self, args: Args, span: Span) -> Res<Val> {
        let [table, rows] = self.positional("gather", &args, span)?;
        let (table, rows) = (self.expect_tensor(&table)?, self.expect_tensor(&rows)?);
        let Some(first) = table.axes.first().filter(|a| a.label != Some(Label::Batch)) else {
            return Err(errors::ill_shaped(self.blame(span), "`gather` takes a table of rows that all examples share"));
        };
        let fits = match (rows.kind.count(), first.extent) {
            (Some(Extent::Fixed(count)), Extent::Fixed(extent)) => count <= extent,
            (Some(count), extent) => count == extent,
            (None, _) => false,
        };
        if !fits || self.dtype(&rows) != DType::I32 {
            let wanted = Kind::Token(Some(first.extent));
            return Err(errors::kind_differs(self.blame(span), "gather", &wanted, &rows.kind));
        }
        let value = self.emit("gather", Attrs::default(), &[table.value, rows.value], span)?;
        let axes = rows.axes.iter().chain(&table.axes[1..]).cloned().collect();
        Ok(Val::tensor(Tensor { value, axes, kind: table.kind }, span))
    }
}
