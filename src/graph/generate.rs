//! Random well-shaped graphs, for tests.
//!
//! In: a seed and a size. Out: a graph that verifies. Invariant: the same seed gives the same graph
//! on every machine; values stay finite and away from poles, so a difference between two ways to compute them is a fault.
//! Sizes lean to where compilers of this kind fail: 1, and around the widths of vector registers.

use super::{Builder, Graph, Role};
use crate::base::{DType, Extent, Shape, Span, Type};
use crate::ops::scalar::random_word;
use crate::ops::{Emit, Value, build};

mod elements;
mod places;
mod scan;
mod sums;

const DIMS: [u64; 12] = [1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33];

/// The most elements of a generated value, with this many in the batch.
const MAX_VALUE: u64 = 3000;
const BATCH: u64 = 5;

/// About `size` nodes over the symbol `B`; the last output is `loss`, of rank 0. Its parameters have the role `Param`; a
/// gradient by them exists. Row numbers lie in 0 .. 3.
pub fn generate(seed: u64, size: usize) -> Graph {
    let mut g = Generator {
        b: Builder::new(format!("generated{seed}"), &["B"]),
        key: random_word(seed as u32, (seed >> 32) as u32 ^ 0x5bd1_e995),
        drawn: 0,
        pool: vec![],
        room: MAX_VALUE,
        depth: 0,
    };
    for _ in 0..2 + g.below(2) {
        let shape = g.shape();
        let role = if g.below(2) == 0 { Role::Param } else { Role::Data };
        g.input(role, shape);
    }
    while g.b.graph().nodes.len() < size {
        g.grow();
    }
    g.finish()
}

struct Generator {
    b: Builder,
    key: u32,
    drawn: u32,
    /// F32 values with a bound of their magnitude.
    pool: Vec<(Value, f64)>,
    /// The most elements of a value, shared by the steps of the loops around.
    room: u64,
    /// How many loops are around.
    depth: usize,
}

impl Generator {
    fn below(&mut self, n: usize) -> usize {
        self.drawn += 1;
        ((u64::from(random_word(self.drawn, self.key)) * n as u64) >> 32) as usize
    }

    fn dim(&mut self) -> Extent {
        Extent::Fixed(DIMS[self.below(DIMS.len())])
    }

    fn fits(&self, shape: &[Extent]) -> bool {
        crate::base::shape::elements(shape, &[BATCH]).is_some_and(|n| n <= self.room)
    }

    fn shape(&mut self) -> Shape {
        let mut shape = Shape::new();
        for axis in 0..self.below(4) {
            let next = if axis == 0 && self.below(2) == 0 { Extent::Sym(0) } else { self.dim() };
            shape.push(next);
            if !self.fits(&shape) {
                shape.pop();
            }
        }
        shape
    }

    fn input(&mut self, role: Role, shape: Shape) -> Value {
        let name = format!("{}{}", role.name(), self.b.graph().inputs.len());
        let value = self.b.input(name, role, Type::f32(shape), Span::default());
        self.pool.push((value, 2.0));
        value
    }

    /// An input of this name and type, made once.
    fn shared(&mut self, name: &str, role: Role, ty: Type) -> Value {
        let found = self.b.graph().inputs.iter().find(|input| input.name == name).map(|input| input.value);
        found.unwrap_or_else(|| self.b.input(name, role, ty, Span::default()))
    }

    /// The number of the step in i32. A loop has no f64: there it comes from outside.
    fn counter(&mut self) -> Value {
        if self.depth > 0 {
            return self.shared("counter", Role::Scalar, Type::scalar(DType::I32));
        }
        let step = self.shared("step", Role::Scalar, Type::scalar(DType::F64));
        build::to_i32(&mut self.b, step)
    }

    /// 0.9 to the power of the number of the step, in f32.
    fn rate(&mut self) -> Value {
        if self.depth > 0 {
            return self.shared("rate", Role::Scalar, Type::scalar(DType::F32));
        }
        let step = self.shared("step", Role::Scalar, Type::scalar(DType::F64));
        let rate = build::constant(&mut self.b, 0.9, DType::F64);
        let rate = build::pow(&mut self.b, rate, step);
        build::to_f32(&mut self.b, rate)
    }

    /// A value, recent ones more often.
    fn pick(&mut self) -> (Value, f64) {
        let (i, j) = (self.below(self.pool.len()), self.below(self.pool.len()));
        self.pool[i.max(j)]
    }

    /// A value with an axis of known length, and the axis.
    fn pick_axis(&mut self) -> Option<(Value, f64, usize, u64)> {
        let (x, bound) = self.pick();
        let shape = self.shape_of(x);
        let axes: Vec<usize> = (0..shape.len()).filter(|&a| shape[a].fixed().is_some()).collect();
        let axis = *axes.get(self.below(axes.len().max(1)))?;
        Some((x, bound, axis, shape[axis].fixed()?))
    }

    /// A value of the same shape, if possible another one.
    fn partner(&mut self, x: Value) -> (Value, f64) {
        let shape = self.shape_of(x);
        let same: Vec<_> = self.pool.iter().copied().filter(|(v, _)| self.b.ty(*v).shape == shape).collect();
        same[self.below(same.len())]
    }

    fn shape_of(&self, x: Value) -> Shape {
        self.b.ty(x).shape.clone()
    }

    /// Keeps a value; a large one is brought back by tanh.
    fn keep(&mut self, x: Value, bound: f64) {
        if !self.fits(&self.shape_of(x)) {
            return;
        }
        let kept = if bound > 100.0 { (build::tanh(&mut self.b, x), 1.0) } else { (x, bound) };
        self.pool.push(kept);
    }

    fn grow(&mut self) {
        match self.below(15) {
            0 | 1 => self.unary(),
            2 | 3 => self.binary(),
            4 => self.choose(),
            5 | 6 => self.spread(),
            7 => self.reduce(),
            8 => self.contract(),
            9 => self.cut(),
            10 => self.join(),
            11 => self.windows(),
            12 => self.rows(),
            13 => self.scan(),
            _ => self.rare(),
        }
    }

    /// The last values are outputs; the loss is the sum of the elements of the last three.
    fn finish(mut self) -> Graph {
        let last: Vec<Value> = self.pool.iter().rev().take(3).map(|(value, _)| *value).collect();
        let mut loss = None;
        for (i, &value) in last.iter().enumerate() {
            self.b.output(format!("y{i}"), value, None);
            let axes: Vec<usize> = (0..self.shape_of(value).len()).collect();
            let total = if axes.is_empty() { value } else { build::sum_axes(&mut self.b, value, &axes) };
            loss = Some(loss.map_or(total, |before| build::add(&mut self.b, before, total)));
        }
        if let Some(loss) = loss {
            self.b.output("loss", loss, None);
        }
        self.b.finish()
    }
}
