//! Random loops.
//!
//! In: a generator with some values. Out: a loop along one of them, and its results. Invariant: what is carried stays as small as
//! it began, and so do its gradients: what a step computes of it is fed back in small part.

use super::{BATCH, Generator};
use crate::base::{DType, Extent, Shape, Span, Type};
use crate::graph::{Body, Builder, Graph, Input, Role};
use crate::ops::{Emit, Value, build};

/// A loop in a loop in a loop has steps enough.
const DEEPEST: usize = 2;
/// A step has room for values of so many elements at least.
const LEAST_ROOM: u64 = 40;

/// What a loop takes, with bounds of the magnitude: first values, stacks of rows, values that all steps see whole.
#[derive(Default)]
struct Operands {
    carried: Vec<(Value, f64)>,
    stacks: Vec<(Value, f64)>,
    whole: Vec<(Value, f64)>,
}

impl Generator {
    /// A loop along the first axis of a value, forward or backward; its step is a graph by chance, which may hold another loop.
    pub(super) fn scan(&mut self) {
        let (rows, bound) = self.pick();
        let Some(&extent) = self.shape_of(rows).first() else { return };
        let room = self.room / extent.fixed().unwrap_or(BATCH);
        if self.depth == DEEPEST || room < LEAST_ROOM {
            return;
        }
        let around = std::mem::replace(&mut self.room, room);
        let operands = self.operands((rows, bound), extent);
        let (graph, reached) = self.step(&operands);
        self.room = around;
        let carries = operands.carried.len();
        let known = operands.carried.iter().chain(&operands.stacks).chain(&operands.whole);
        let mut args: Vec<Value> = known.map(|(value, _)| *value).collect();
        for input in &graph.inputs[args.len()..] {
            args.push(self.outside(input));
        }
        let reverse = self.below(2) == 0;
        let body = Body { extent, reverse, carries, slices: operands.stacks.len(), graph };
        for (result, bound) in self.b.scan(body, &args).into_iter().zip(reached) {
            self.keep(result, bound);
        }
    }

    /// `rows` and perhaps another stack, one to three first values, up to two whole values.
    fn operands(&mut self, rows: (Value, f64), extent: Extent) -> Operands {
        let mut operands = Operands { stacks: vec![rows], ..Operands::default() };
        let others: Vec<_> =
            self.pool.iter().copied().filter(|(v, _)| self.b.ty(*v).shape.first() == Some(&extent)).collect();
        if self.below(2) == 0 {
            operands.stacks.push(others[self.below(others.len())]);
        }
        let row: Shape = self.shape_of(rows.0)[1..].to_vec();
        for _ in 0..1 + self.below(3) {
            let first = self.first_value(&row);
            operands.carried.push(first);
        }
        for _ in 0..self.below(3) {
            let (value, bound) = self.pick();
            if self.fits(&self.shape_of(value)) {
                operands.whole.push((value, bound));
            }
        }
        operands
    }

    /// Of the shape of a row, or in a third of the cases of another one.
    fn first_value(&mut self, row: &[Extent]) -> (Value, f64) {
        let (other, bound) = self.pick();
        let shape = self.shape_of(other);
        if shape == row || self.below(3) == 0 && self.fits(&shape) {
            return (other, bound);
        }
        let same: Vec<_> = self.pool.iter().copied().filter(|(v, _)| self.b.ty(*v).shape == row).collect();
        if !same.is_empty() && self.below(2) == 0 {
            return same[self.below(same.len())];
        }
        let value = [0.0, 1.0, -0.5][self.below(3)];
        let constant = build::constant(&mut self.b, value, DType::F32);
        (build::broadcast_to(&mut self.b, constant, row), 1.0)
    }

    /// The graph of one step, and bounds of its outputs: the next carried values, then a row of each of one or two stacks.
    fn step(&mut self, operands: &Operands) -> (Graph, Vec<f64>) {
        let of_row = |shape: Shape| shape[1..].to_vec();
        let whole = |shape: Shape| shape;
        let small = |list: &[(Value, f64)]| list.iter().fold(1.0f64, |most, (_, bound)| most.max(*bound));
        // What is carried may become what another place carried, or a row.
        let carried = small(&operands.carried).max(small(&operands.stacks));
        let mut inputs: Vec<(Role, Shape, f64)> = vec![];
        for (list, role, cut) in [
            (&operands.carried, Role::State, &whole as &dyn Fn(Shape) -> Shape),
            (&operands.stacks, Role::Data, &of_row),
            (&operands.whole, Role::Data, &whole),
        ] {
            let bound_of = |bound: f64| if role == Role::State { carried } else { bound };
            inputs.extend(list.iter().map(|(v, bound)| (role, cut(self.shape_of(*v)), bound_of(*bound))));
        }
        let (builder, pool) = (Builder::new("step", &["B"]), Vec::new());
        let outside = (std::mem::replace(&mut self.b, builder), std::mem::replace(&mut self.pool, pool));
        self.depth += 1;
        for (i, (role, shape, bound)) in inputs.into_iter().enumerate() {
            let value = self.b.input(format!("in{i}"), role, Type::f32(shape), Span::default());
            self.pool.push((value, bound));
        }
        let (carries, rows) = (operands.carried.len(), operands.stacks.len());
        let fed: Vec<Value> = self.pool[..carries + rows].iter().map(|(v, _)| *v).collect();
        for _ in 0..2 + self.below(7) {
            self.grow();
        }
        let next: Vec<Value> = (0..carries).map(|i| self.next(fed[i], &fed)).collect();
        let mut reached = vec![carried; carries];
        for (i, value) in next.into_iter().enumerate() {
            self.b.output(format!("in{i}"), value, Some(i));
        }
        for i in 0..1 + self.below(2) {
            let (value, bound) = self.pick();
            self.b.output(format!("row{i}"), value, None);
            reached.push(bound);
        }
        self.depth -= 1;
        self.pool = outside.1;
        (std::mem::replace(&mut self.b, outside.0).finish(), reached)
    }

    /// What follows a carried value: another value that came into the step, the greater of both, or that and a little of what
    /// the step computed.
    fn next(&mut self, carried: Value, fed: &[Value]) -> Value {
        let shape = self.shape_of(carried);
        let same: Vec<Value> = fed.iter().copied().filter(|v| self.b.ty(*v).shape == shape).collect();
        let other = same[self.below(same.len())];
        match self.below(5) {
            0 => other,
            1 => build::max(&mut self.b, carried, other),
            _ => {
                // What is fed back shrinks, or the rounding of a step would grow from step to step.
                let (made, _) = self.partner(carried);
                let (made, part) = (build::tanh(&mut self.b, made), build::constant_like(&mut self.b, 0.05, carried));
                let made = build::mul(&mut self.b, made, part);
                let moved = build::add(&mut self.b, made, other);
                build::tanh(&mut self.b, moved)
            }
        }
    }

    /// What a step takes from outside besides the operands that it began with.
    fn outside(&mut self, input: &Input) -> Value {
        match input.name.as_str() {
            "rows" | "seed" => self.shared(&input.name, input.role, input.ty.clone()),
            "counter" => self.counter(),
            "rate" => self.rate(),
            _ => self.input(input.role, input.ty.shape.clone()),
        }
    }
}
