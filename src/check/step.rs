//! The step of a scan as a graph of its own.
//!
//! In: a graph whose last nodes are those of a step. Out: the loop in their place. Invariant: what a step computes without its
//! row and without what is carried stands outside the loop.

use super::elaborate::Elaborator;
use super::scan::{Carried, Steps};
use crate::base::Span;
use crate::graph::{Body, Builder, Graph, Node, Role};
use crate::ops::Value;
use std::collections::BTreeMap;

impl Elaborator<'_> {
    /// Takes the nodes of the step out of the graph, and puts the loop in their place.
    pub(super) fn close(
        &mut self,
        steps: &Steps,
        carried: &[Carried<'_>],
        nexts: &[Value],
        reverse: bool,
        span: Span,
    ) -> Vec<Value> {
        let (nodes, inputs) = self.graph.split_off(steps.start as usize);
        let mut split = Split { start: steps.start, moved: BTreeMap::new(), inner: BTreeMap::new(), nodes: &nodes };
        let begins = |v: Value| steps.carried.contains(&v) || steps.rows.iter().any(|(_, _, row)| *row == v);
        let mut inside = vec![false; nodes.len()];
        for (i, node) in nodes.iter().enumerate() {
            let value = Value(steps.start + i as u32);
            inside[i] = begins(value) || node.args.iter().any(|a| split.local(*a).is_some_and(|a| inside[a]));
            if inside[i] {
                continue;
            }
            let mut node = node.clone();
            node.args.iter_mut().for_each(|arg| *arg = split.outside(*arg));
            let input = inputs.iter().find(|input| input.value == value);
            let moved = self.graph.again(node, input);
            split.moved.insert(value, moved);
        }
        for weight in self.weights.values_mut() {
            weight.tensor.value = split.outside(weight.tensor.value);
        }
        // A step of a scan around this one may have been read for the first time in here.
        for around in &mut self.steps {
            for (value, _, row) in &mut around.rows {
                (*value, *row) = (split.outside(*value), split.outside(*row));
            }
            around.lengths.iter_mut().for_each(|length| *length = split.outside(*length));
        }
        let mut args: Vec<Value> = carried.iter().map(|c| c.first).collect();
        for &(value, place, _) in &steps.rows {
            let stacked = self.time_major(split.outside(value), place);
            args.push(stacked);
        }
        let graph = split.step(self.graph.graph(), steps, carried, nexts, &inside, &mut args);
        let (carries, slices) = (carried.len(), steps.rows.len());
        self.graph.set_span(self.blame(span));
        let body = Body { extent: steps.extent, reverse, carries, slices, graph };
        let results = self.graph.scan(body, &args);
        self.graph.set_span(Span::default());
        let end = self.graph.graph().nodes.len() as u32;
        for layer in self.layers.iter_mut().filter(|l| l.nodes.end > steps.start) {
            layer.nodes = layer.nodes.start.min(end)..end;
        }
        results
    }
}

/// The nodes of a step while they are sorted.
struct Split<'n> {
    start: u32,
    /// Nodes that stand outside after all, where they are now.
    moved: BTreeMap<Value, Value>,
    /// Values of the step in the graph of the step.
    inner: BTreeMap<Value, Value>,
    nodes: &'n [Node],
}

impl Split<'_> {
    /// The place among the step's nodes.
    fn local(&self, value: Value) -> Option<usize> {
        value.0.checked_sub(self.start).map(|i| i as usize)
    }

    /// Where a value is outside the loop.
    fn outside(&self, value: Value) -> Value {
        self.moved.get(&value).copied().unwrap_or(value)
    }

    /// The graph of one step; `args` gets what all steps see whole.
    fn step(
        mut self,
        outer: &Graph,
        steps: &Steps,
        carried: &[Carried<'_>],
        nexts: &[Value],
        inside: &[bool],
        args: &mut Vec<Value>,
    ) -> Graph {
        let mut graph = Graph { name: format!("scan {}", steps.axis), ..Graph::default() };
        (graph.symbols, graph.bodies) = (outer.symbols.clone(), outer.bodies.clone());
        let mut b = Builder::from_graph(graph);
        let ty = |v: Value| self.nodes[(v.0 - self.start) as usize].ty.clone();
        for (c, &value) in carried.iter().zip(&steps.carried) {
            let made = b.input(c.slot.name.text.clone(), Role::State, ty(value), c.slot.span);
            self.inner.insert(value, made);
        }
        for (i, &(_, _, row)) in steps.rows.iter().enumerate() {
            let made = b.input(format!("row.{i}"), Role::Data, ty(row), Span::default());
            self.inner.insert(row, made);
        }
        let own: Vec<usize> = (0..inside.len()).filter(|&i| inside[i]).collect();
        let begun = self.inner.clone();
        let own = own.into_iter().filter(|&i| !begun.contains_key(&Value(self.start + i as u32)));
        let own: Vec<usize> = own.collect();
        let reads = own.iter().flat_map(|&i| self.nodes[i].args.clone()).chain(nexts.iter().copied());
        for value in reads.collect::<Vec<_>>() {
            let computed = self.local(value).is_some_and(|i| inside[i]);
            if computed || self.inner.contains_key(&value) {
                continue;
            }
            let from = self.outside(value);
            let made =
                b.input(format!("whole.{}", args.len()), Role::Param, outer.node(from).ty.clone(), Span::default());
            args.push(from);
            self.inner.insert(value, made);
        }
        for i in own {
            let mut node = self.nodes[i].clone();
            node.args.iter_mut().for_each(|arg| *arg = self.inner[arg]);
            let made = b.again(node, None);
            self.inner.insert(Value(self.start + i as u32), made);
        }
        for (i, (c, next)) in carried.iter().zip(nexts).enumerate() {
            b.output(c.slot.name.text.clone(), self.inner[next], Some(i));
        }
        for (c, next) in carried.iter().zip(nexts) {
            b.output(format!("{}.all", c.slot.name.text), self.inner[next], None);
        }
        b.finish().swept()
    }
}
