//! Reverse-mode differentiation, graph to graph.
//!
//! In: a graph under construction, its loss and the values to differentiate by. Out: new nodes that compute the gradients.
//! Invariant: nodes are visited once, from the last to the first, so the order in which gradients are added up is that of
//! the graph alone.

use crate::base::{DType, Span};
use crate::graph::Builder;
use crate::ops::{Emit, Io, Value, build};

/// The gradient by each value asked for, in order; zeros for those whose indices are in `unreached` (W0202).
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients {
    pub values: Vec<Value>,
    pub unreached: Vec<usize>,
}

/// An operator on the way from a value asked for to the loss has no gradient (E0312).
#[derive(Clone, Debug, PartialEq)]
pub struct NotDifferentiable {
    pub node: Value,
    pub op: &'static str,
    pub span: Span,
}

/// The gradients of the sum of the elements of `loss`. The graph gets new nodes, which carry the span of the node whose
/// rule made them; nothing else changes.
pub fn differentiate(b: &mut Builder, loss: Value, wrt: &[Value]) -> Result<Gradients, NotDifferentiable> {
    let span = b.span();
    let depends = dependents(b, wrt);
    let count = loss.0 as usize + 1;
    let mut walk = Walk { grads: vec![None; count], indirect: vec![false; count], blocked: vec![None; count] };
    if depends.get(loss.0 as usize) == Some(&true) && b.ty(loss).dtype == DType::F32 {
        walk.grads[loss.0 as usize] = Some(build::constant_like(b, 1.0, loss));
    }
    for place in (0..count).rev().filter(|&place| depends[place]) {
        walk.visit(b, Value(place as u32), &depends);
    }
    b.set_span(span);
    let blocked = |value: &Value| walk.blocked.get(value.0 as usize).copied().flatten();
    if let Some(node) = wrt.iter().find_map(blocked) {
        let found = b.graph().node(node);
        return Err(NotDifferentiable { node, op: found.op.name(), span: found.span });
    }
    let mut result = Gradients { values: vec![], unreached: vec![] };
    for (i, &value) in wrt.iter().enumerate() {
        let found = walk.grads.get(value.0 as usize).copied().flatten();
        if found.is_none() {
            result.unreached.push(i);
        }
        result.values.push(found.unwrap_or_else(|| build::constant_like(b, 0.0, value)));
    }
    Ok(result)
}

/// For every node: whether it is, or is computed from, one of these values.
fn dependents(b: &Builder, wrt: &[Value]) -> Vec<bool> {
    let mut depends: Vec<bool> = Vec::with_capacity(b.graph().nodes.len());
    for (value, node) in b.graph().values().zip(&b.graph().nodes) {
        let through = node.args.iter().any(|arg| depends[arg.0 as usize]);
        depends.push(through || wrt.contains(&value));
    }
    depends
}

struct Walk {
    /// The gradient of the loss by each node, as far as it is added up.
    grads: Vec<Option<Value>>,
    /// Nodes of integers or truth values that the loss is computed from: no gradient flows there, but an operator without
    /// a gradient behind them would be passed over in silence.
    indirect: Vec<bool>,
    /// Nodes from which a gradient would flow on if the operator of this node (such as `argmax`) had one.
    blocked: Vec<Option<Value>>,
}

impl Walk {
    fn visit(&mut self, b: &mut Builder, value: Value, depends: &[bool]) {
        let place = value.0 as usize;
        if self.grads[place].is_none() && self.blocked[place].is_none() && !self.indirect[place] {
            return;
        }
        let node = b.graph().node(value).clone();
        let active = |b: &Builder, real: bool| -> Vec<usize> {
            let wanted =
                |&i: &usize| depends[node.args[i].0 as usize] && (b.ty(node.args[i]).dtype == DType::F32) == real;
            (0..node.args.len()).filter(wanted).collect()
        };
        for i in active(b, false) {
            self.indirect[node.args[i].0 as usize] = true;
        }
        let real = active(b, true);
        if !node.op.differentiable() {
            for &i in &real {
                self.blocked[node.args[i].0 as usize].get_or_insert(value);
            }
            return;
        }
        let grad = self.grads[place];
        if real.is_empty() || (grad.is_none() && self.blocked[place].is_none()) {
            return;
        }
        b.set_span(node.span);
        // Where only a blocked gradient arrives, the rule is asked with zeros to see where it would flow on.
        let seed = grad.unwrap_or_else(|| build::constant_like(b, 0.0, value));
        let types: Vec<_> = node.args.iter().map(|&arg| b.ty(arg).clone()).collect();
        let arg_types: Vec<_> = types.iter().collect();
        let io = Io { attrs: &node.attrs, args: &node.args, arg_types: &arg_types, out: value, ty: &node.ty };
        let parts = node.op.grad(b, &io, seed);
        for &i in &real {
            let (Some(part), arg) = (parts[i], node.args[i].0 as usize) else { continue };
            if let Some(blocker) = self.blocked[place] {
                self.blocked[arg].get_or_insert(blocker);
            }
            self.grads[arg] = match (self.grads[arg], grad) {
                (before, None) => before,
                (None, Some(_)) => Some(part),
                (Some(before), Some(_)) => Some(build::add(b, before, part)),
            };
        }
    }
}
