//! Random well-shaped graphs, for tests.
//!
//! In: a seed and a size. Out: a graph that verifies. Invariant: the same seed gives the same graph
//! on every machine; values stay finite and away from poles, so a difference between two ways to compute them is a fault.
//! Sizes lean to where compilers of this kind fail: 1, and around the widths of vector registers.

use super::{Builder, Graph, Role};
use crate::base::{DType, Extent, Shape, Span, Type};
use crate::ops::scalar::random_word;
use crate::ops::windows::Sizes;
use crate::ops::{Emit, Value, build};

mod scan;

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
}

impl Generator {
    fn below(&mut self, n: usize) -> usize {
        self.drawn += 1;
        ((u64::from(random_word(self.drawn, self.key)) * n as u64) >> 32) as usize
    }

    fn dim(&mut self) -> Extent {
        Extent::Fixed(DIMS[self.below(DIMS.len())])
    }

    fn fits(shape: &[Extent]) -> bool {
        crate::base::shape::elements(shape, &[BATCH]).is_some_and(|n| n <= MAX_VALUE)
    }

    fn shape(&mut self) -> Shape {
        let mut shape = Shape::new();
        for axis in 0..self.below(4) {
            let next = if axis == 0 && self.below(2) == 0 { Extent::Sym(0) } else { self.dim() };
            shape.push(next);
            if !Generator::fits(&shape) {
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
        if !Generator::fits(&self.shape_of(x)) {
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

    fn unary(&mut self) {
        let (x, bound) = self.pick();
        let names = ["neg", "abs", "tanh", "sin", "cos", "erf", "floor", "sign", "exp", "log", "sqrt"];
        let name = names[self.below(names.len())];
        let (x, bound) = match name {
            "exp" => {
                let size = build::abs(&mut self.b, x);
                (build::neg(&mut self.b, size), 1.0)
            }
            "log" | "sqrt" => (self.positive(x), bound + 1.0),
            "neg" | "abs" => (x, bound),
            "floor" => (x, bound + 1.0),
            _ => (x, 1.0),
        };
        let y = build::unary(&mut self.b, name, x);
        self.keep(y, bound);
    }

    /// |x| + 1/2
    fn positive(&mut self, x: Value) -> Value {
        let (size, half) = (build::abs(&mut self.b, x), build::constant_like(&mut self.b, 0.5, x));
        build::add(&mut self.b, size, half)
    }

    fn binary(&mut self) {
        let (x, bound) = self.pick();
        let (y, other) = self.partner(x);
        let names = ["add", "sub", "mul", "max", "min", "div", "fma", "pow"];
        let name = names[self.below(names.len())];
        let (made, bound) = match name {
            "div" => {
                let y = self.positive(y);
                (build::div(&mut self.b, x, y), bound * 2.0)
            }
            "fma" => {
                let (z, third) = self.partner(x);
                (build::fma(&mut self.b, x, y, z), bound * other + third)
            }
            "pow" => {
                let (base, exponent) = (self.positive(x), build::sin(&mut self.b, y));
                (build::pow(&mut self.b, base, exponent), bound + 3.0)
            }
            "mul" => (build::mul(&mut self.b, x, y), bound * other),
            _ => (build::binary(&mut self.b, name, x, y), bound + other),
        };
        self.keep(made, bound);
    }

    fn choose(&mut self) {
        let (x, bound) = self.pick();
        let ((y, other), (z, third)) = (self.partner(x), self.partner(x));
        let name = ["lt", "le", "eq"][self.below(3)];
        let mut holds = build::binary(&mut self.b, name, x, y);
        if self.below(3) == 0 {
            let also = build::lt(&mut self.b, z, x);
            let name = ["and", "or"][self.below(2)];
            holds = build::binary(&mut self.b, name, holds, also);
        }
        if self.below(4) == 0 {
            holds = build::not(&mut self.b, holds);
        }
        let made = build::select(&mut self.b, holds, y, z);
        self.keep(made, bound.max(other).max(third));
    }

    /// Broadcast, transposition, reshape.
    fn spread(&mut self) {
        let (x, bound) = self.pick();
        let mut shape = self.shape_of(x);
        let mut axes: Vec<usize> = (0..shape.len()).collect();
        let made = match self.below(3) {
            0 if shape.len() > 1 => {
                let (i, j) = (self.below(axes.len()), self.below(axes.len()));
                axes.swap(i, j);
                build::transpose(&mut self.b, x, &axes)
            }
            1 if shape.iter().skip(1).any(|e| e.fixed().is_some()) => {
                let last = shape.iter().rposition(|e| e.fixed().is_some()).unwrap_or(0);
                match (shape[last].fixed(), shape[last - 1].fixed()) {
                    (Some(n), Some(m)) => {
                        shape[last - 1] = Extent::Fixed(n * m);
                        shape.remove(last);
                    }
                    (Some(n), None) if n % 3 == 0 => {
                        shape[last] = Extent::Fixed(n / 3);
                        shape.insert(last, Extent::Fixed(3));
                    }
                    _ => shape.push(Extent::Fixed(1)),
                }
                build::reshape(&mut self.b, x, &shape)
            }
            _ => {
                let place = self.below(shape.len() + 1);
                let symbolic = place == 0 && shape.iter().all(|e| e.fixed().is_some()) && self.below(2) == 0;
                let extent = if symbolic { Extent::Sym(0) } else { self.dim() };
                shape.insert(place, extent);
                if !Generator::fits(&shape) || shape.len() > 4 {
                    return;
                }
                build::broadcast_along(&mut self.b, x, &[place], &shape)
            }
        };
        self.keep(made, bound);
    }

    fn subset(&mut self, count: usize) -> Vec<usize> {
        (0..count).filter(|_| self.below(2) == 0).collect()
    }

    fn reduce(&mut self) {
        let (x, bound) = self.pick();
        let axes = self.subset(self.shape_of(x).len());
        if axes.is_empty() {
            return;
        }
        match self.below(3) {
            0 => {
                let made = build::sum_axes(&mut self.b, x, &axes);
                self.keep(made, bound * 40.0);
            }
            1 => {
                let made = build::max_axes(&mut self.b, x, &axes);
                self.keep(made, bound);
            }
            _ => {
                let made = build::min_axes(&mut self.b, x, &axes);
                self.keep(made, bound);
            }
        }
    }

    /// With a new weight along one axis, or with a partner along some.
    fn contract(&mut self) {
        let (x, bound) = self.pick();
        let shape = self.shape_of(x);
        let letters = &"abcd"[..shape.len().min(4)];
        if letters.is_empty() || shape.len() > 4 {
            return;
        }
        let summed = self.below(letters.len());
        let letter = &letters[summed..=summed];
        let kept = letters.replace(letter, "");
        if self.below(3) == 0 || shape[summed].fixed().is_none() {
            let (y, other) = self.partner(x);
            let made = build::contract(&mut self.b, x, y, &format!("{letters},{letters}->{kept}"));
            return self.keep(made, bound * other * 40.0);
        }
        let width = self.dim();
        let (weight, axes) = match self.below(2) {
            0 => (vec![width, shape[summed]], format!("{letters},o{letter}->{kept}o")),
            _ => (vec![shape[summed], width], format!("{letters},{letter}o->o{kept}")),
        };
        let weight = self.input(Role::Param, weight);
        let made = build::contract(&mut self.b, x, weight, &axes);
        self.keep(made, bound * 80.0);
    }

    fn cut(&mut self) {
        let Some((x, bound, axis, extent)) = self.pick_axis() else { return };
        let start = self.below(extent as usize) as u64;
        let step = 1 + self.below(3) as u64;
        let len = 1 + self.below(((extent - start - 1) / step + 1) as usize) as u64;
        let made = build::slice(&mut self.b, x, axis, start, len, step);
        self.keep(made, bound);
    }

    /// Padding, or values behind one another.
    fn join(&mut self) {
        let Some((x, bound, axis, _)) = self.pick_axis() else { return };
        if self.below(2) == 0 {
            let (lo, hi) = (self.below(4) as u64, self.below(4) as u64);
            let value = [0.0, -0.0, -1.5][self.below(3)];
            let made = build::pad(&mut self.b, x, axis, lo, hi, value);
            return self.keep(made, bound + 1.5);
        }
        let ((y, other), (z, third)) = (self.partner(x), self.partner(x));
        let parts = if self.below(2) == 0 { vec![x, y] } else { vec![x, y, z] };
        let made = build::concat(&mut self.b, &parts, axis);
        self.keep(made, bound.max(other).max(third));
    }

    fn windows(&mut self) {
        let Some((x, bound, axis, extent)) = self.pick_axis() else { return };
        let size = 1 + self.below(extent.min(4) as usize) as u64;
        let most = if size > 1 { (extent - 1) / (size - 1) } else { 1 };
        let (stride, apart) = (1 + self.below(3) as u64, 1 + self.below(most.min(3) as usize) as i64);
        let dilation = if self.below(3) == 0 { -apart } else { apart };
        let taps = build::window(&mut self.b, x, axis, size, stride, dilation);
        if !Generator::fits(&self.shape_of(taps)) {
            return;
        }
        match self.below(4) {
            0 => {
                let made = build::max_axes(&mut self.b, taps, &[axis + 1]);
                self.keep(made, bound);
            }
            2 => self.convolve(taps, bound, axis, size),
            1 => {
                let made = build::unwindow(&mut self.b, taps, axis, Sizes { size, stride, dilation }, extent);
                self.keep(made, bound * size as f64);
            }
            _ => self.keep(taps, bound),
        }
    }

    /// Windows times a weight over their taps, with new columns.
    fn convolve(&mut self, taps: Value, bound: f64, axis: usize, size: u64) {
        let all: Vec<char> = ('a'..).take(self.b.ty(taps).rank()).collect();
        let columns = [1, 3, 4, 8][self.below(4)];
        let weight = self.input(Role::Param, vec![Extent::Fixed(size), Extent::Fixed(columns)]);
        let (tap, lhs): (char, String) = (all[axis + 1], all.iter().collect());
        let kept: String = all.iter().filter(|c| **c != tap).collect();
        let made = build::contract(&mut self.b, taps, weight, &format!("{lhs},{tap}z->{kept}z"));
        self.keep(made, bound * 2.0 * size as f64);
    }

    fn rows(&mut self) {
        let rows = self.shared("rows", Role::Rows, Type::new(DType::I32, vec![Extent::Sym(0)]));
        let (x, bound) = self.pick();
        let shape = self.shape_of(x);
        match shape.first() {
            Some(Extent::Fixed(3..)) => {
                let made = build::gather(&mut self.b, x, rows);
                self.keep(made, bound);
            }
            Some(Extent::Sym(0)) => {
                let extent = Extent::Fixed(3 + self.below(6) as u64);
                let made = build::scatter_add(&mut self.b, rows, x, extent);
                self.keep(made, bound * 40.0);
            }
            _ => {}
        }
    }

    /// Indices, random numbers, scalars of the step, stopped gradients.
    fn rare(&mut self) {
        let (x, bound) = self.pick();
        let shape = self.shape_of(x);
        let made = match self.below(5) {
            4 => {
                let Some((x, bound, axis, extent)) = self.pick_axis() else { return };
                let shape = self.shape_of(x);
                let (places, last) = (build::iota(&mut self.b, &shape, axis), extent as f64 - 2.0);
                let last = build::constant_like(&mut self.b, last, places);
                let mirrored = build::sub(&mut self.b, last, places);
                let made = build::take(&mut self.b, x, mirrored, axis);
                return self.keep(made, bound * 2.0);
            }
            0 => {
                let Some((x, _, axis, _)) = self.pick_axis() else { return };
                let still = build::stop_gradient(&mut self.b, x);
                let best = build::argmax(&mut self.b, still, axis);
                let best = build::to_f32(&mut self.b, best);
                return self.keep(best, 33.0);
            }
            1 if !shape.is_empty() => {
                let axis = self.below(shape.len());
                let index = build::iota(&mut self.b, &shape, axis);
                let index = build::to_f32(&mut self.b, index);
                build::mul(&mut self.b, index, x)
            }
            2 if shape.iter().skip(1).all(|e| e.fixed().is_some()) => {
                let seed = self.shared("seed", Role::Scalar, Type::scalar(DType::I32));
                let step = self.shared("step", Role::Scalar, Type::scalar(DType::F64));
                let step = build::to_i32(&mut self.b, step);
                let stream = self.below(100) as i64;
                let noise = build::random(&mut self.b, &shape, stream, seed, step);
                build::mul(&mut self.b, x, noise)
            }
            _ => {
                let step = self.shared("step", Role::Scalar, Type::scalar(DType::F64));
                let rate = build::constant(&mut self.b, 0.9, DType::F64);
                let rate = build::pow(&mut self.b, rate, step);
                let rate = build::to_f32(&mut self.b, rate);
                let rate = build::broadcast_to(&mut self.b, rate, &shape);
                build::mul(&mut self.b, x, rate)
            }
        };
        self.keep(made, bound * 40.0);
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
