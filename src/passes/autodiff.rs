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
/// rule made them; loops get results that their gradients need; nothing else changes.
pub fn differentiate(b: &mut Builder, loss: Value, wrt: &[Value]) -> Result<Gradients, NotDifferentiable> {
    let seeds = match b.ty(loss).dtype {
        DType::F32 => vec![(loss, build::constant_like(b, 1.0, loss))],
        _ => vec![],
    };
    let found = pull(b, &seeds, wrt)?;
    let mut result = Gradients { values: vec![], unreached: vec![] };
    for (i, (&value, found)) in wrt.iter().zip(found).enumerate() {
        if found.is_none() {
            result.unreached.push(i);
        }
        result.values.push(found.unwrap_or_else(|| build::constant_like(b, 0.0, value)));
    }
    Ok(result)
}

/// The gradient by each value of `wrt` of Σ over the seeds of value · gradient; `None` where it does not arrive.
pub fn pull(b: &mut Builder, seeds: &[(Value, Value)], wrt: &[Value]) -> Result<Vec<Option<Value>>, NotDifferentiable> {
    let span = b.span();
    let count = seeds.iter().map(|(value, _)| value.0 as usize + 1).max().unwrap_or(0);
    let depends = dependents(b, wrt);
    let first = b.graph().first_scans();
    let mut walk = Walk {
        grads: vec![None; count],
        indirect: vec![false; count],
        blocked: vec![None; count],
        loops: vec![vec![]; first.len()],
        first,
    };
    for &(value, gradient) in seeds.iter().filter(|(value, _)| depends[value.0 as usize]) {
        walk.add(b, value, gradient);
    }
    for place in (0..count).rev().filter(|&place| depends[place]) {
        walk.visit(b, Value(place as u32), &depends);
    }
    b.set_span(span);
    if let Some(blocked) = wrt.iter().find_map(|value| walk.blocked.get(value.0 as usize).cloned().flatten()) {
        return Err(blocked);
    }
    Ok(wrt.iter().map(|value| walk.grads.get(value.0 as usize).copied().flatten()).collect())
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
    /// Nodes from which a gradient would flow on if some operator (such as `argmax`) had one.
    blocked: Vec<Option<NotDifferentiable>>,
    /// Per loop the first of its nodes, and the results that were visited: a loop is one step of the walk, taken at its
    /// first node, when the gradients of all its results are known.
    first: Vec<Option<Value>>,
    loops: Vec<Vec<Value>>,
}

impl Walk {
    fn add(&mut self, b: &mut Builder, value: Value, part: Value) {
        let v = value.0 as usize;
        self.grads[v] = Some(match self.grads[v] {
            None => part,
            Some(before) => build::add(b, before, part),
        });
    }

    /// The operands through which the walk goes on, that are real numbers or are none.
    fn active(&self, b: &Builder, args: &[Value], depends: &[bool], real: bool) -> Vec<usize> {
        let wanted = |&i: &usize| depends[args[i].0 as usize] && (b.ty(args[i]).dtype == DType::F32) == real;
        (0..args.len()).filter(wanted).collect()
    }

    fn visit(&mut self, b: &mut Builder, value: Value, depends: &[bool]) {
        if let Some((body, _)) = b.graph().scan_of(value) {
            self.loops[body].push(value);
            if self.first[body] == Some(value) {
                self.scan(b, body, depends);
            }
            return;
        }
        let place = value.0 as usize;
        if self.grads[place].is_none() && self.blocked[place].is_none() && !self.indirect[place] {
            return;
        }
        let node = b.graph().node(value).clone();
        for i in self.active(b, &node.args, depends, false) {
            self.indirect[node.args[i].0 as usize] = true;
        }
        let real = self.active(b, &node.args, depends, true);
        if !node.op.differentiable() {
            let blocker = NotDifferentiable { node: value, op: node.op.name(), span: node.span };
            for &i in &real {
                self.blocked[node.args[i].0 as usize].get_or_insert(blocker.clone());
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
            let (Some(part), arg) = (parts[i], node.args[i]) else { continue };
            if let Some(blocker) = self.blocked[place].clone() {
                self.blocked[arg.0 as usize].get_or_insert(blocker);
            }
            if grad.is_some() {
                self.add(b, arg, part);
            }
        }
    }

    /// A whole loop: its gradient is a loop that runs the other way.
    fn scan(&mut self, b: &mut Builder, body: usize, depends: &[bool]) {
        let results = std::mem::take(&mut self.loops[body]);
        let node = b.graph().node(results[results.len() - 1]).clone();
        let real = self.active(b, &node.args, depends, true);
        if let Some(blocker) = results.iter().find_map(|r| self.blocked[r.0 as usize].clone()) {
            for &i in &real {
                self.blocked[node.args[i].0 as usize].get_or_insert(blocker.clone());
            }
        }
        let mut grads = vec![None; b.graph().bodies[body].graph.outputs.len()];
        for &value in &results {
            let (Some((_, result)), Some(part)) = (b.graph().scan_of(value), self.grads[value.0 as usize]) else {
                continue;
            };
            grads[result] = Some(match grads[result] {
                None => part,
                Some(before) => build::add(b, before, part),
            });
        }
        if real.is_empty() || grads.iter().all(Option::is_none) {
            return;
        }
        b.set_span(node.span);
        match super::reverse::scan(b, body, &node.args, &grads, &real) {
            Err(blocker) => real.iter().for_each(|&i| {
                self.blocked[node.args[i].0 as usize].get_or_insert(blocker.clone());
            }),
            Ok(parts) => {
                for (&i, part) in real.iter().zip(parts) {
                    if let Some(part) = part {
                        self.add(b, node.args[i], part);
                    }
                }
            }
        }
    }
}
