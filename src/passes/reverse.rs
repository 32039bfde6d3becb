//! The gradient of a loop: a loop that runs the other way.
//!
//! In: a loop of a graph under construction, and the gradients of its results. Out: the gradients of its operands. Invariant:
//! what the way back needs of a step is saved as a stack by the way there, or is cheap to compute again; sums over the steps
//! that no carried value needs are computed behind the loop, from stacks.

use super::autodiff::{NotDifferentiable, pull};
use super::footprint::footprint;
use crate::base::{DType, Span};
use crate::graph::{Body, Builder, Graph, Role};
use crate::ops::steps::{Plan, Step, summed};
use crate::ops::{Attrs, Emit, OpDef, Value, build};
use std::collections::{BTreeMap, BTreeSet};

/// A formula of at most this many additions an element is computed again rather than saved.
const CHEAP: f64 = 4.0;

/// Per operand of `wanted` its gradient, given those of the results of the loop `number`.
pub(super) fn scan(
    b: &mut Builder,
    number: usize,
    args: &[Value],
    grads: &[Option<Value>],
    wanted: &[usize],
) -> Result<Vec<Option<Value>>, NotDifferentiable> {
    let body = b.graph().bodies[number].clone();
    let mut joint = Joint::new(&body, grads, wanted)?;
    let totals: Vec<Option<Plan>> = joint.wanted.iter().map(|&(arg, g)| joint.total(&body, arg, g)).collect();
    joint.plan(&body, &totals);
    let mut back =
        Back { b, joint: &joint, body: &body, number, args, results: BTreeMap::new(), saved: BTreeMap::new() };
    back.save();
    let initial = back.run(grads);
    Ok(joint
        .wanted
        .iter()
        .zip(&totals)
        .map(|(&(arg, g), total)| match (g, total) {
            (Some(_), _) if arg < body.carries => Some(initial[joint.carried[&arg]]),
            (Some(g), None) => Some(back.stacked(g)),
            (Some(_), Some(total)) => Some(back.emit(total)),
            (None, _) => None,
        })
        .collect())
}

/// One step and its gradient in one graph: nodes below `forward` are the step's own.
struct Joint {
    graph: Graph,
    forward: usize,
    /// Per carried value (by its number) its place among the carried values of the way back.
    carried: BTreeMap<usize, usize>,
    /// The inputs that stand for the gradients: of carried values, then of rows of stacks (with their results).
    carry_inputs: Vec<Value>,
    row_inputs: Vec<(usize, Value)>,
    /// The gradients of the carried values before the step.
    carry_grads: Vec<Option<Value>>,
    /// Per operand that is asked for its gradient in the step.
    wanted: Vec<(usize, Option<Value>)>,
    /// Values of the step and its gradient whose stacks are read behind the loops.
    stacks: BTreeSet<Value>,
    /// Nodes of the way back; below `forward`, those that are computed again.
    copied: BTreeSet<Value>,
    /// Values of the step that the way back reads.
    read: BTreeSet<Value>,
}

impl Joint {
    fn new(body: &Body, grads: &[Option<Value>], wanted: &[usize]) -> Result<Joint, NotDifferentiable> {
        let mut graph = body.graph.clone();
        graph.outputs.clear();
        let mut b = Builder::from_graph(graph);
        let (forward, outputs) = (body.graph.nodes.len(), &body.graph.outputs);
        let real = |b: &Builder, i: usize| b.ty(outputs[i].value).dtype == DType::F32;
        let mut seeds = Vec::new();
        let (mut carried, mut carry_inputs, mut row_inputs) = (BTreeMap::new(), vec![], vec![]);
        for (i, output) in outputs.iter().enumerate() {
            let role = if i < body.carries { Role::State } else { Role::Data };
            if !real(&b, i) || (i >= body.carries && grads[i].is_none()) {
                continue;
            }
            let ty = b.ty(output.value).clone();
            let input = b.input(format!("gradient.{i}"), role, ty, Span::default());
            seeds.push((output.value, input));
            if i < body.carries {
                carried.insert(i, carry_inputs.len());
                carry_inputs.push(input);
            } else {
                row_inputs.push((i, input));
            }
        }
        let inputs: Vec<Value> = body.graph.inputs.iter().map(|i| i.value).collect();
        let others: Vec<usize> = wanted.iter().copied().filter(|w| !carried.contains_key(w)).collect();
        let by: Vec<Value> = carried.keys().chain(&others).map(|&i| inputs[i]).collect();
        let found = pull(&mut b, &seeds, &by)?;
        let (carry_grads, rest) = found.split_at(carried.len());
        let wanted = wanted.iter().map(|&w| match (carried.get(&w), others.iter().position(|&o| o == w)) {
            (Some(&place), _) => (w, Some(carry_inputs[place])),
            (_, Some(place)) => (w, rest[place]),
            _ => (w, None),
        });
        let wanted = wanted.collect();
        let carry_grads = carry_grads.to_vec();
        let (stacks, copied, read) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let graph = b.finish();
        Ok(Joint { graph, forward, carried, carry_inputs, row_inputs, carry_grads, wanted, stacks, copied, read })
    }

    /// How the gradient of an operand that all steps see whole comes together; `None` for the others.
    fn total(&self, body: &Body, arg: usize, gradient: Option<Value>) -> Option<Plan> {
        if arg < body.carries + body.slices {
            return None;
        }
        Some(summed(&Look { joint: self, body }, gradient?))
    }

    fn input_number(&self, value: Value) -> Option<usize> {
        self.graph.inputs.iter().position(|i| i.value == value)
    }

    /// Whether a value is an operand that is there before the way back begins.
    fn outside(&self, body: &Body, value: Value) -> bool {
        self.input_number(value).is_some_and(|n| n >= body.carries && (value.0 as usize) < self.forward)
    }

    /// What is copied into the way back, what it reads, and what is stacked.
    fn plan(&mut self, body: &Body, totals: &[Option<Plan>]) {
        for &(arg, gradient) in &self.wanted {
            let sliced = (body.carries..body.carries + body.slices).contains(&arg);
            self.stacks.extend(gradient.filter(|_| sliced));
        }
        let mut plans: Vec<&Plan> = totals.iter().flatten().collect();
        while let Some(plan) = plans.pop() {
            match plan {
                Plan::Stack(value) => drop(self.stacks.insert(*value)),
                Plan::Whole(_) => {}
                Plan::Apply(_, _, args) => plans.extend(args),
            }
        }
        let ends = self.carry_grads.iter().flatten().chain(&self.stacks);
        let mut stack: Vec<Value> = ends.copied().filter(|v| v.0 as usize >= self.forward).collect();
        let mut seen = BTreeSet::new();
        while let Some(value) = stack.pop() {
            if (value.0 as usize) < self.forward {
                self.read.insert(value);
            } else if self.input_number(value).is_none() && seen.insert(value) {
                stack.extend(&self.graph.node(value).args);
            }
        }
        // A gradient may be a value of the step itself.
        self.read.extend(self.carry_grads.iter().flatten().filter(|v| (v.0 as usize) < self.forward));
        let needed = std::mem::take(&mut self.read);
        for value in needed {
            let mut again = BTreeSet::new();
            if self.again(body, value, &mut again) {
                self.copied.extend(again);
            } else {
                self.read.insert(value);
            }
        }
        let reads = self.copied.iter().flat_map(|v| &self.graph.node(*v).args).copied().collect::<Vec<_>>();
        self.read.extend(reads.into_iter().filter(|v| !self.copied.contains(v)));
        self.copied.extend(seen);
    }

    /// Whether a value of the step is computed again on the way back: if it takes little and its operands are at hand.
    /// `again` gets what is then computed.
    fn again(&self, body: &Body, value: Value, again: &mut BTreeSet<Value>) -> bool {
        if self.copied.contains(&value) || again.contains(&value) {
            return true;
        }
        if self.read.contains(&value) || self.input_number(value).is_some() || self.graph.scan_of(value).is_some() {
            return false;
        }
        let found = footprint(&self.graph, value);
        let cheap = found.reduces.is_empty() && found.work <= CHEAP;
        let at_hand = |joint: &Joint, arg: Value, again: &mut BTreeSet<Value>| {
            joint.read.contains(&arg) || joint.outside(body, arg) || joint.again(body, arg, again)
        };
        let args = self.graph.node(value).args.clone();
        let ready = cheap && args.iter().all(|&arg| at_hand(self, arg, again));
        if ready {
            again.insert(value);
        }
        ready
    }
}

struct Look<'a> {
    joint: &'a Joint,
    body: &'a Body,
}

impl Step for Look<'_> {
    fn parts(&self, value: Value) -> (&'static dyn OpDef, &Attrs, &[Value]) {
        let node = self.joint.graph.node(value);
        (node.op, &node.attrs, &node.args)
    }

    fn whole(&self, value: Value) -> bool {
        let first = self.body.carries + self.body.slices;
        self.joint.input_number(value).is_some_and(|n| n >= first && n < self.body.graph.inputs.len())
    }

    fn rank(&self, value: Value) -> usize {
        self.joint.graph.node(value).ty.rank()
    }
}

struct Back<'a> {
    b: &'a mut Builder,
    joint: &'a Joint,
    body: &'a Body,
    number: usize,
    args: &'a [Value],
    /// Stacks that the way back made, by the value of its step.
    results: BTreeMap<Value, Value>,
    /// Stacks of values of the step.
    saved: BTreeMap<Value, Value>,
}

impl Back<'_> {
    /// Lets the way there stack what is read of it.
    fn save(&mut self) {
        let forward = self.joint.forward;
        let stacked = self.joint.stacks.iter().filter(|v| (v.0 as usize) < forward);
        for &value in self.joint.read.iter().chain(stacked) {
            let stack = match self.joint.input_number(value) {
                Some(n) if n >= self.body.carries => self.args[n],
                _ => {
                    let result = self.b.extend_body(self.number, &format!("saved.{}", value.0), value);
                    self.b.scan_result(self.number, result, self.args)
                }
            };
            self.saved.insert(value, stack);
        }
    }

    fn sliced(&self, value: Value) -> bool {
        let first = self.body.carries + self.body.slices;
        self.joint.input_number(value).is_none_or(|n| n < first)
    }

    /// Adds the loop of the way back; gives the gradients of the first carried values.
    fn run(&mut self, grads: &[Option<Value>]) -> Vec<Value> {
        let (joint, body) = (self.joint, self.body);
        let name = format!("{}'", body.graph.name);
        let mut graph = Graph { name, symbols: joint.graph.symbols.clone(), ..Graph::default() };
        graph.bodies = joint.graph.bodies.clone();
        let mut step = Builder::from_graph(graph);
        let mut map: BTreeMap<Value, Value> = BTreeMap::new();
        let mut args = Vec::new();
        let mut input = |step: &mut Builder, name: String, role, value: Value, arg: Value| {
            let ty = joint.graph.node(value).ty.clone();
            map.insert(value, step.input(name, role, ty, Span::default()));
            args.push(arg);
        };
        for ((&carry, _), &value) in joint.carried.iter().zip(&joint.carry_inputs) {
            let first = match grads[carry] {
                Some(gradient) => gradient,
                None => {
                    let zero = build::constant(self.b, 0.0, DType::F32);
                    let shape = joint.graph.node(value).ty.shape.clone();
                    build::broadcast_to(self.b, zero, &shape)
                }
            };
            input(&mut step, format!("gradient.{carry}"), Role::State, value, first);
        }
        for &(result, value) in &joint.row_inputs {
            let Some(gradient) = grads[result] else { continue };
            input(&mut step, format!("gradient.{result}"), Role::Data, value, gradient);
        }
        let (slices, whole): (Vec<Value>, Vec<Value>) = joint.read.iter().partition(|v| self.sliced(**v));
        for &value in &slices {
            input(&mut step, format!("saved.{}", value.0), Role::Data, value, self.saved[&value]);
        }
        for &value in &whole {
            input(&mut step, format!("whole.{}", value.0), Role::Param, value, self.saved[&value]);
        }
        for &value in &joint.copied {
            let node = joint.graph.node(value);
            let operands: Vec<Value> = node.args.iter().map(|arg| map[arg]).collect();
            step.set_span(node.span);
            let copy = step.emit(node.op.name(), node.attrs.clone(), &operands);
            map.insert(value, copy);
        }
        for (i, (gradient, input)) in joint.carry_grads.iter().zip(&joint.carry_inputs).enumerate() {
            let next = match gradient {
                Some(gradient) => map[gradient],
                None => build::constant_like(&mut step, 0.0, map[input]),
            };
            step.output(format!("carried.{i}"), next, Some(i));
        }
        let stacked: Vec<Value> = joint.stacks.iter().copied().filter(|v| v.0 as usize >= joint.forward).collect();
        for value in &stacked {
            step.output(format!("row.{}", value.0), map[value], None);
        }
        let (carries, rows) = (joint.carry_inputs.len(), joint.row_inputs.len());
        let graph = step.finish();
        let back = Body { extent: body.extent, reverse: !body.reverse, carries, slices: rows + slices.len(), graph };
        let results = self.b.scan(back, &args);
        self.results = stacked.into_iter().zip(results[carries..].iter().copied()).collect();
        results[..carries].to_vec()
    }

    /// The stack of a value of the step or of its gradient.
    fn stacked(&self, value: Value) -> Value {
        match self.results.get(&value).or(self.saved.get(&value)) {
            Some(&stack) => stack,
            None => panic!("invariant broken: what is read behind a loop was planned as its result"),
        }
    }

    fn emit(&mut self, plan: &Plan) -> Value {
        match plan {
            Plan::Stack(value) => self.stacked(*value),
            Plan::Whole(value) => match self.joint.input_number(*value) {
                Some(n) => self.args[n],
                None => panic!("invariant broken: only operands are the same in all steps"),
            },
            Plan::Apply(op, attrs, args) => {
                let args: Vec<Value> = args.iter().map(|arg| self.emit(arg)).collect();
                self.b.emit(op, attrs.clone(), &args)
            }
        }
    }
}
