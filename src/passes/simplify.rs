//! Simplification: folding, common subexpressions, exact algebra, dead code.
//!
//! In: a verified graph, with its gradients (`stop_gradient` goes away here). Out: a smaller one. Invariant: every output
//! keeps its bits; inputs stay, in order, used or not.

use crate::base::Type;
use crate::graph::{Body, Builder, Graph};
use crate::ops::rewrite::{Look, rewrite};
use crate::ops::{Attrs, Emit, OpDef, Value};
use std::collections::BTreeMap;

/// The graph with every node passed through the rules of [`crate::ops::rewrite`], equal nodes made once, and nodes that no
/// output needs removed.
pub fn simplify(graph: &Graph) -> Graph {
    let symbols: Vec<&str> = graph.symbols.iter().map(String::as_str).collect();
    let mut s = Simplifier { b: Builder::new(graph.name.clone(), &symbols), made: BTreeMap::new() };
    for body in &graph.bodies {
        s.b.body(Body { graph: simplify(&body.graph), ..body.clone() });
    }
    let mut values: Vec<Value> = Vec::with_capacity(graph.nodes.len());
    for (value, node) in graph.values().zip(&graph.nodes) {
        s.b.set_span(node.span);
        values.push(match graph.input_of(value) {
            Some(input) => s.b.input(input.name.clone(), input.role, input.ty.clone(), input.span),
            None => {
                let args: Vec<Value> = node.args.iter().map(|arg| values[arg.0 as usize]).collect();
                s.emit(node.op.name(), node.attrs.clone(), &args)
            }
        });
    }
    for output in &graph.outputs {
        s.b.output(output.name.clone(), values[output.value.0 as usize], output.target);
    }
    s.b.finish().swept()
}

struct Simplifier {
    b: Builder,
    made: BTreeMap<(&'static str, String, Vec<Value>), Value>,
}

impl Emit for Simplifier {
    fn ty(&self, value: Value) -> &Type {
        self.b.ty(value)
    }

    fn parts(&self, value: Value) -> (&'static dyn OpDef, &Attrs, &[Value]) {
        self.b.parts(value)
    }

    fn emit(&mut self, op: &str, attrs: Attrs, args: &[Value]) -> Value {
        if let Some(value) = rewrite(self, op, &attrs, args) {
            return value;
        }
        let value = self.b.emit(op, attrs, args);
        let node = self.b.graph().node(value);
        let key = (node.op.name(), format!("{:?}", node.attrs), node.args.clone());
        // A node that was made before stays behind unused; the sweep takes it.
        *self.made.entry(key).or_insert(value)
    }
}

impl Look for Simplifier {
    fn as_emit(&mut self) -> &mut dyn Emit {
        self
    }
}
