//! Takes out of loops what needs nothing that is carried, and computes it for all steps at once.
//!
//! In: a verified graph. Out: the same graph with contractions and reductions that depend on rows alone in front of their loops,
//! where they are large. Invariant: every output keeps its bits.

use super::footprint::footprint;
use crate::base::Span;
use crate::graph::{Body, Builder, Graph};
use crate::ops::steps::stacked;
use crate::ops::{Emit, Value};
use std::collections::BTreeMap;

pub fn spread(graph: &Graph) -> Graph {
    if graph.bodies.is_empty() {
        return graph.clone();
    }
    let symbols: Vec<&str> = graph.symbols.iter().map(String::as_str).collect();
    let mut b = Builder::new(graph.name.clone(), &symbols);
    let mut plans: Vec<Plan> = vec![];
    for body in &graph.bodies {
        let body = Body { graph: spread(&body.graph), ..body.clone() };
        plans.push(Plan::new(body));
    }
    for plan in &plans {
        b.body(plan.rest());
    }
    let mut rows: Vec<Option<Vec<Value>>> = vec![None; plans.len()];
    let mut values: Vec<Value> = Vec::with_capacity(graph.nodes.len());
    for (value, node) in graph.values().zip(&graph.nodes) {
        b.set_span(node.span);
        let mut args: Vec<Value> = node.args.iter().map(|arg| values[arg.0 as usize]).collect();
        if let Some((body, _)) = graph.scan_of(value) {
            let plan = &plans[body];
            let more = rows[body].get_or_insert_with(|| plan.ahead(&mut b, &args)).clone();
            let at = plan.body.carries + plan.body.slices;
            args.splice(at..at, more);
        }
        values.push(match graph.input_of(value) {
            Some(input) => b.input(input.name.clone(), input.role, input.ty.clone(), input.span),
            None => b.emit(node.op.name(), node.attrs.clone(), &args),
        });
    }
    for output in &graph.outputs {
        b.output(output.name.clone(), values[output.value.0 as usize], output.target);
    }
    b.finish().swept()
}

/// What becomes of a body.
struct Plan {
    body: Body,
    /// Values of the step that are computed ahead for all steps.
    moved: Vec<Value>,
    /// Per node whether it needs the row of the step.
    rows: Vec<bool>,
}

impl Plan {
    fn new(body: Body) -> Plan {
        let graph = &body.graph;
        let mut plan = Plan { moved: vec![], rows: vec![false; graph.nodes.len()], body: Body::default() };
        let mut free = vec![false; graph.nodes.len()];
        let mut heavy = vec![false; graph.nodes.len()];
        for value in graph.values() {
            let (node, v) = (graph.node(value), value.0 as usize);
            let number = graph.inputs.iter().position(|input| input.value == value);
            plan.rows[v] = number.is_some_and(|n| (body.carries..body.carries + body.slices).contains(&n));
            plan.rows[v] |= node.args.iter().any(|arg| plan.rows[arg.0 as usize]);
            free[v] = match number {
                Some(n) => n >= body.carries,
                None => {
                    let single = graph.scan_of(value).is_none() && node.args.iter().all(|arg| free[arg.0 as usize]);
                    single && (!plan.rows[v] || possible(graph, value, &plan.rows, &body))
                }
            };
            heavy[v] = free[v] && plan.rows[v] && number.is_none() && !footprint(graph, value).reduces.is_empty();
        }
        // What only serves something else that is taken out goes with it.
        let mut asked = vec![false; graph.nodes.len()];
        graph.outputs.iter().for_each(|output| asked[output.value.0 as usize] = true);
        for value in (0..graph.nodes.len()).rev().map(|v| Value(v as u32)) {
            let v = value.0 as usize;
            if !asked[v] {
                continue;
            }
            if heavy[v] {
                plan.moved.push(value);
            } else {
                graph.node(value).args.iter().for_each(|arg| asked[arg.0 as usize] = true);
            }
        }
        plan.moved.sort();
        plan.body = body;
        plan
    }

    /// The body that reads the rows of what is moved.
    fn rest(&self) -> Body {
        let (body, graph) = (&self.body, &self.body.graph);
        let symbols: Vec<&str> = graph.symbols.iter().map(String::as_str).collect();
        let mut b = Builder::new(graph.name.clone(), &symbols);
        for inner in &graph.bodies {
            b.body(inner.clone());
        }
        let mut map: BTreeMap<Value, Value> = BTreeMap::new();
        let first_whole = body.carries + body.slices;
        for (number, input) in graph.inputs.iter().enumerate() {
            if number == first_whole {
                self.rows_of_moved(&mut b, &mut map);
            }
            let made = b.input(input.name.clone(), input.role, input.ty.clone(), input.span);
            map.insert(input.value, made);
        }
        if graph.inputs.len() == first_whole {
            self.rows_of_moved(&mut b, &mut map);
        }
        for (value, node) in graph.values().zip(&graph.nodes) {
            if map.contains_key(&value) {
                continue;
            }
            let args: Vec<Value> = node.args.iter().map(|arg| map[arg]).collect();
            b.set_span(node.span);
            let made = b.emit(node.op.name(), node.attrs.clone(), &args);
            map.insert(value, made);
        }
        for output in &graph.outputs {
            b.output(output.name.clone(), map[&output.value], output.target);
        }
        Body { slices: body.slices + self.moved.len(), graph: b.finish(), ..body.clone() }
    }

    fn rows_of_moved(&self, b: &mut Builder, map: &mut BTreeMap<Value, Value>) {
        for &value in &self.moved {
            let ty = self.body.graph.node(value).ty.clone();
            let made = b.input(format!("ahead.{}", value.0), crate::graph::Role::Data, ty, Span::default());
            map.insert(value, made);
        }
    }

    /// All steps of what is moved, in front of the loop.
    fn ahead(&self, b: &mut Builder, args: &[Value]) -> Vec<Value> {
        let graph = &self.body.graph;
        let mut made: BTreeMap<Value, Value> = graph.inputs.iter().map(|i| i.value).zip(args.iter().copied()).collect();
        let mut needed = vec![false; graph.nodes.len()];
        self.moved.iter().for_each(|value| needed[value.0 as usize] = true);
        for v in (0..graph.nodes.len()).rev().filter(|&v| needed[v]).collect::<Vec<_>>() {
            let mut stack = vec![v];
            while let Some(v) = stack.pop() {
                for arg in &graph.nodes[v].args {
                    if !std::mem::replace(&mut needed[arg.0 as usize], true) {
                        stack.push(arg.0 as usize);
                    }
                }
            }
        }
        for value in graph.values().filter(|v| needed[v.0 as usize]) {
            if made.contains_key(&value) {
                continue;
            }
            let node = graph.node(value);
            let operands: Vec<(Value, bool)> =
                node.args.iter().map(|arg| (made[arg], self.rows[arg.0 as usize])).collect();
            let all = match self.rows[value.0 as usize] {
                true => stacked(b, node.op, &node.attrs, &operands, self.body.extent),
                false => {
                    let operands: Vec<Value> = operands.iter().map(|(value, _)| *value).collect();
                    Some(b.emit(node.op.name(), node.attrs.clone(), &operands))
                }
            };
            let Some(all) = all else { panic!("invariant broken: only what has a form for all steps is moved") };
            made.insert(value, all);
        }
        self.moved.iter().map(|value| made[value]).collect()
    }
}

/// Whether the operator of a node has a form for all steps at once: it is tried on a graph of its own.
fn possible(graph: &Graph, value: Value, rows: &[bool], body: &Body) -> bool {
    let node = graph.node(value);
    let symbols: Vec<&str> = graph.symbols.iter().map(String::as_str).collect();
    let mut b = Builder::new("trial", &symbols);
    let mut operands = vec![];
    for arg in &node.args {
        let (ty, stack) = (graph.node(*arg).ty.clone(), rows[arg.0 as usize]);
        let ty = if stack { body.stack_of(&ty) } else { ty };
        if crate::graph::builder::check_type(&ty, &graph.symbols).is_err() {
            return false;
        }
        operands.push((b.placeholder(ty), stack));
    }
    let large = body.stack_of(&node.ty);
    let fits = crate::graph::builder::check_type(&large, &graph.symbols).is_ok();
    fits && stacked(&mut b, node.op, &node.attrs, &operands, body.extent).is_some()
}
