//! Random functions of elements, and values that come from no other one.
//!
//! In: a generator with some values. Out: one more, or a few. Invariant: arguments stay away from poles, and the bound of a value
//! is that of its magnitude.

use super::Generator;
use crate::base::{DType, Type};
use crate::graph::Role;
use crate::ops::{Value, build};

impl Generator {
    pub(super) fn unary(&mut self) {
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
    pub(super) fn positive(&mut self, x: Value) -> Value {
        let (size, half) = (build::abs(&mut self.b, x), build::constant_like(&mut self.b, 0.5, x));
        build::add(&mut self.b, size, half)
    }

    pub(super) fn binary(&mut self) {
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

    pub(super) fn choose(&mut self) {
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

    /// Indices, random numbers, scalars of the step, stopped gradients.
    pub(super) fn rare(&mut self) {
        let (x, bound) = self.pick();
        let shape = self.shape_of(x);
        let made = match self.below(6) {
            5 => {
                // two forms of one function, so that differences have this gradient, too
                let (twice, sum) = (build::constant_like(&mut self.b, 2.0, x), build::add(&mut self.b, x, x));
                let product = build::mul(&mut self.b, twice, x);
                build::surrogate(&mut self.b, sum, product)
            }
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
                let counter = self.counter();
                let stream = self.below(100) as i64;
                let noise = build::random(&mut self.b, &shape, stream, seed, counter);
                build::mul(&mut self.b, x, noise)
            }
            _ => {
                let rate = self.rate();
                let rate = build::broadcast_to(&mut self.b, rate, &shape);
                build::mul(&mut self.b, x, rate)
            }
        };
        self.keep(made, bound * 40.0);
    }
}
