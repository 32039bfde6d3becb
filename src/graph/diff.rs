//! What differs between two graphs, whatever their numbering.
//!
//! In: two graphs. Out: lines `- old`, `+ new`, `~ old => new`, or nothing. Invariant: graphs that compute the same outputs
//! by the same operators on the same inputs have no difference.

use super::Graph;
use super::print::node as show;
use crate::ops::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The differences as text, empty where there is none. Nodes are compared by what they compute; a node whose operands
/// alone differ is not listed, the operand is.
pub fn diff(old: &Graph, new: &Graph) -> String {
    let mut classes = BTreeMap::new();
    let sides = [Side::new(old, &mut classes), Side::new(new, &mut classes)];
    let mut lines = Vec::new();
    let mut paired = [BTreeSet::new(), BTreeSet::new()];
    let mut open: Vec<(Value, Value)> = Vec::new();
    for output in &old.outputs {
        match new.outputs.iter().find(|other| other.name == output.name) {
            None => lines.push(format!("- output {:?}", output.name)),
            Some(other) => {
                if target(old, output.target) != target(new, other.target) {
                    lines.push(format!("~ output {:?}: its target differs", output.name));
                }
                open.push((output.value, other.value));
            }
        }
    }
    let known = |name: &String| old.outputs.iter().any(|o| o.name == *name);
    lines.extend(new.outputs.iter().filter(|o| !known(&o.name)).map(|o| format!("+ output {:?}", o.name)));
    open.reverse();
    while let Some((a, b)) = open.pop() {
        if sides[0].classes[a.0 as usize] == sides[1].classes[b.0 as usize] || !paired[0].insert(a) {
            continue;
        }
        paired[1].insert(b);
        let (left, right) = (old.node(a), new.node(b));
        let alike = left.op.name() == right.op.name() && left.args.len() == right.args.len() && !left.args.is_empty();
        if sides[0].own(a) != sides[1].own(b) {
            lines.push(format!("~ %{}: {} => %{}: {}", a.0, show(old, a), b.0, show(new, b)));
        }
        if alike {
            open.extend(left.args.iter().copied().zip(right.args.iter().copied()).rev());
        }
    }
    for (mark, this, other, seen) in [("-", 0, 1, &paired[0]), ("+", 1, 0, &paired[1])] {
        let there: BTreeSet<usize> = sides[other].classes.iter().copied().collect();
        for value in sides[this].graph.values() {
            if !there.contains(&sides[this].classes[value.0 as usize]) && !seen.contains(&value) {
                lines.push(format!("{mark} %{}: {}", value.0, show(sides[this].graph, value)));
            }
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn target(graph: &Graph, target: Option<usize>) -> Option<&str> {
    target.and_then(|t| graph.inputs.get(t)).map(|input| input.name.as_str())
}

/// A graph with a number for what each node computes; equal numbers mean the same computation, in both graphs.
struct Side<'a> {
    graph: &'a Graph,
    classes: Vec<usize>,
}

impl<'a> Side<'a> {
    fn new(graph: &'a Graph, known: &mut BTreeMap<(String, Vec<usize>), usize>) -> Side<'a> {
        let mut side = Side { graph, classes: Vec::with_capacity(graph.nodes.len()) };
        for value in graph.values() {
            let args = graph.node(value).args.iter().map(|arg| side.classes[arg.0 as usize]).collect();
            let next = known.len();
            side.classes.push(*known.entry((side.own(value), args)).or_insert(next));
        }
        side
    }

    /// What a node says without its operands: type, operator, attributes, and an input's role and name.
    fn own(&self, value: Value) -> String {
        let text = show(self.graph, value);
        if self.graph.input_of(value).is_some() {
            return text;
        }
        let mut own = text.split(' ').filter(|word| !word.starts_with('%')).collect::<Vec<_>>().join(" ");
        if let Some((number, _)) = self.graph.scan_of(value) {
            // The number of a body is a number of this graph; what it does is what counts.
            let body = &self.graph.bodies[number];
            own = own.replace(&format!(" body={number} "), " ");
            own += &format!(" {}\n{}", super::print::head(body, &self.graph.symbols), super::print(&body.graph));
        }
        own
    }
}
