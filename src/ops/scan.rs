//! Loops over steps.
//!
//! In: attributes. Out: the row of the table that nodes of loops have. Invariant: what a step does is a graph of its own
//! (`graph::Body`), so type, elements and gradient come from there; whoever meets a scan asks the graph, not the table.

use super::{Attrs, Emit, Example, Index, Io, Kernel, OpDef, Scalar, Value};
use crate::base::Type;

/// One result of the loop `body` of the graph. All nodes of one body have the same operands and are one loop.
pub struct Scan;

impl OpDef for Scan {
    fn name(&self) -> &'static str {
        "scan"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["body", "result"]
    }

    fn infer(&self, _: &Attrs, _: &[&Type]) -> Result<Type, String> {
        Err("the type of a scan comes from its body, but here it would have to be computed".to_string())
    }

    fn element(&self, _: &mut dyn Kernel, _: &Io<'_>, _: &[Index]) -> Scalar {
        panic!("invariant broken: the elements of a scan come from its steps, not from a formula")
    }

    fn grad(&self, _: &mut dyn Emit, _: &Io<'_>, _: Value) -> Vec<Option<Value>> {
        panic!("invariant broken: the gradient of a scan is a scan, not a rule")
    }

    fn differentiable(&self) -> bool {
        true
    }

    fn examples(&self) -> Vec<Example> {
        vec![]
    }
}
