//! What operators do to the steps of a loop taken together.
//!
//! In: a value of one step of a loop. Out: how its sum over all steps is computed from stacks behind the loop, or how all steps
//! of it are computed at once. Invariant: the plan follows from the operators alone, so the order of every sum over steps is
//! part of the meaning of the gradient; all steps at once have the bits that they have one by one.

use super::attrs::valid;
use super::{Attr, Attrs, Emit, OpDef, Value, build, elementwise};
use crate::base::Extent;

/// A value behind the loop.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// The stack of this value of the steps: one more axis in front.
    Stack(Value),
    /// A value that is the same in all steps.
    Whole(Value),
    Apply(&'static str, Attrs, Vec<Plan>),
}

/// One step, to look into.
pub trait Step {
    fn parts(&self, value: Value) -> (&'static dyn OpDef, &Attrs, &[Value]);
    /// Whether the value is the same in all steps.
    fn whole(&self, value: Value) -> bool;
    fn rank(&self, value: Value) -> usize;
}

/// Σ over the steps of `value`. A contraction whose operands both change from step to step becomes one contraction that sums
/// over the steps too; a sum becomes one sum; what is linear is done once, behind the sum.
pub fn summed(step: &dyn Step, value: Value) -> Plan {
    let (op, attrs, args) = step.parts(value);
    let leaf = |a: Value| if step.whole(a) { Plan::Whole(a) } else { Plan::Stack(a) };
    match (op.name(), args) {
        ("add", &[a, b]) if reduces(step, a) && reduces(step, b) => {
            Plan::Apply("add", Attrs::none(), vec![summed(step, a), summed(step, b)])
        }
        ("contract", &[a, b]) => match (step.whole(a), step.whole(b)) {
            (false, false) => {
                let axes = valid(attrs.text("axes")).to_string();
                Plan::Apply("contract", with_step(&axes), vec![leaf(a), leaf(b)])
            }
            (false, true) => Plan::Apply("contract", attrs.clone(), vec![summed(step, a), leaf(b)]),
            _ => Plan::Apply("contract", attrs.clone(), vec![leaf(a), summed(step, b)]),
        },
        ("sum", &[x]) => {
            let inner = valid(attrs.axes("axes", step.rank(x)));
            Plan::Apply("sum", over(inner), vec![leaf(x)])
        }
        ("neg" | "broadcast" | "reshape", &[x]) if reduces(step, x) => {
            Plan::Apply(op.name(), attrs.clone(), vec![summed(step, x)])
        }
        _ => Plan::Apply("sum", over(vec![]), vec![Plan::Stack(value)]),
    }
}

/// Whether a value is a contraction or a sum, or made linearly of such: only then is it worth being taken apart.
fn reduces(step: &dyn Step, value: Value) -> bool {
    let (op, _, args) = step.parts(value);
    match (op.name(), args) {
        ("contract" | "sum", _) => true,
        ("add", &[a, b]) => reduces(step, a) && reduces(step, b),
        ("neg" | "broadcast" | "reshape", &[x]) => reduces(step, x),
        _ => false,
    }
}

/// A sum over the steps and these axes of one step.
fn over(axes: Vec<usize>) -> Attrs {
    let axes = std::iter::once(0).chain(axes.into_iter().map(|a| a as i64 + 1)).collect();
    [("axes", Attr::Ints(axes))].into()
}

/// `bg,bh->gh` over the steps: `tbg,tbh->gh`, with a letter that is free.
fn with_step(axes: &str) -> Attrs {
    let free = ('a'..='z').rev().find(|c| !axes.contains(*c)).unwrap_or('z');
    let text = match axes.split_once(',') {
        Some((lhs, rest)) => format!("{free}{lhs},{free}{rest}"),
        None => axes.to_string(),
    };
    [("axes", Attr::Text(text))].into()
}

/// The operator applied to all steps at once: the operands with `true` are stacks, the others are whole, and the result is a
/// stack of `extent` steps; `None` where the operator has no such form with the same bits.
pub fn stacked(
    e: &mut dyn Emit,
    op: &dyn OpDef,
    attrs: &Attrs,
    args: &[(Value, bool)],
    extent: Extent,
) -> Option<Value> {
    let name = op.name();
    if name == "contract" {
        return stacked_contraction(e, attrs, args);
    }
    let later = |key: &str| Some(Attr::Int(valid(attrs.int(key)) + 1));
    let moved: Attrs = match name {
        "broadcast" => {
            let mut axes = vec![0];
            axes.extend(valid(attrs.ints("axes")).iter().map(|a| a + 1));
            [("axes", Attr::Ints(axes)), ("shape", Attr::Shape(behind(extent, valid(attrs.shape("shape")))))].into()
        }
        "reshape" => [("shape", Attr::Shape(behind(extent, valid(attrs.shape("shape")))))].into(),
        "sum" | "max_of" | "min_of" => {
            [("axes", Attr::Ints(valid(attrs.ints("axes")).iter().map(|a| a + 1).collect()))].into()
        }
        "slice" | "pad" | "concat" | "argmax" => {
            let axis = later("axis")?;
            Attrs(attrs.0.iter().map(|(k, v)| (*k, if *k == "axis" { axis.clone() } else { v.clone() })).collect())
        }
        "stop_gradient" | "surrogate" => attrs.clone(),
        _ if elementwise::ROWS.iter().any(|row| row.name() == name) => attrs.clone(),
        _ => return None,
    };
    let operands: Vec<Value> = args
        .iter()
        .map(|&(value, stack)| {
            let shape = behind(extent, &e.ty(value).shape);
            if stack { value } else { build::broadcast_along(e, value, &[0], &shape) }
        })
        .collect();
    Some(e.emit(name, moved, &operands))
}

fn behind(extent: Extent, shape: &[Extent]) -> Vec<Extent> {
    std::iter::once(extent).chain(shape.iter().copied()).collect()
}

/// The step is a letter of the result; the order of the sum stays, because it hangs on the last axes alone, if there are any.
fn stacked_contraction(e: &mut dyn Emit, attrs: &Attrs, args: &[(Value, bool)]) -> Option<Value> {
    let axes = valid(attrs.text("axes"));
    let ((lhs, rhs), out) = axes.split_once("->").and_then(|(ins, out)| Some((ins.split_once(',')?, out)))?;
    let &[(a, left), (b, right)] = args else { return None };
    let free = ('a'..='z').rev().find(|c| !axes.contains(*c)).filter(|_| !out.is_empty())?;
    let with = |stack: bool, side: &str| if stack { format!("{free}{side}") } else { side.to_string() };
    Some(build::contract(e, a, b, &format!("{},{}->{free}{out}", with(left, lhs), with(right, rhs))))
}
