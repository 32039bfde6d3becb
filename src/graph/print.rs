//! Graphs as stable text.
//!
//! In: a graph. Out: a line per node and output, in order. Invariant: the text says everything but the spans, and
//! [`super::parse`] reads it back.

use super::{Body, Graph, Node};
use crate::base::shape::display_shape;
use crate::ops::{Attr, Value};

/// `graph "mlp" (B)`, the bodies of loops, indented, then `%3: f32[B, 512] = contract %0 %1 axes="bd,od->bo"`, then `output "loss" = %7`.
pub fn print(graph: &Graph) -> String {
    let mut text = format!("graph {:?} ({})\n", graph.name, graph.symbols.join(", "));
    for (number, body) in graph.bodies.iter().enumerate() {
        text.push_str(&format!("body {number}: {}\n", head(body, &graph.symbols)));
        print(&body.graph).lines().for_each(|line| text.push_str(&format!("  {line}\n")));
    }
    for value in graph.values() {
        text.push_str(&format!("%{}: {}\n", value.0, node(graph, value)));
    }
    for output in &graph.outputs {
        let target = output.target.and_then(|t| graph.inputs.get(t));
        let target = target.map_or(String::new(), |input| format!(" -> {:?}", input.name));
        text.push_str(&format!("output {:?} = %{}{target}\n", output.name, output.value.0));
    }
    text
}

/// `12 backward, 2 carries, 3 slices`
pub(super) fn head(body: &Body, symbols: &[String]) -> String {
    let way = if body.reverse { "backward" } else { "forward" };
    format!("{} {way}, {} carries, {} slices", display_shape(&[body.extent], symbols), body.carries, body.slices)
}

/// `f32[B, 512] = contract %0 %1 axes="bd,od->bo"`
pub fn node(graph: &Graph, value: Value) -> String {
    let node = graph.node(value);
    let args: String = node.args.iter().map(|arg| format!(" %{}", arg.0)).collect();
    let ty = node.ty.display(&graph.symbols);
    if let Some(input) = graph.input_of(value) {
        return format!("{ty} = {} {} {:?}", node.op.name(), input.role.name(), input.name);
    }
    format!("{ty} = {}{args}{}", node.op.name(), attributes(graph, node))
}

fn attributes(graph: &Graph, node: &Node) -> String {
    node.attrs.0.iter().map(|(name, attr)| format!(" {name}={}", attribute(attr, &graph.symbols))).collect()
}

/// Integers `3`, lists `[0, 1]`, numbers `1.0` `1e-8` `inf` `NaN`, texts `"bd,od->bo"`, shapes `(B, 28)`, types `f32`.
fn attribute(attr: &Attr, symbols: &[String]) -> String {
    match attr {
        Attr::Int(n) => n.to_string(),
        Attr::Ints(list) => format!("{list:?}"),
        Attr::Float(x) => format!("{x:?}"),
        Attr::Text(text) => format!("{text:?}"),
        Attr::Shape(shape) => format!("({})", display_shape(shape, symbols)),
        Attr::DType(dtype) => dtype.to_string(),
    }
}
