//! Random loops.
//!
//! In: a generator with some values. Out: a loop along one of them, and its results. Invariant: what is carried stays as small as
//! it began.

use super::Generator;
use crate::base::{DType, Extent, Span, Type};
use crate::graph::{Body, Builder, Role};
use crate::ops::build;

impl Generator {
    /// A loop along the first axis of a value: x ← tanh(w·x + row) or the like, forward or backward, from a first value
    /// that is one of its rows or a constant.
    pub(super) fn scan(&mut self) {
        let (rows, bound) = self.pick();
        let shape = self.shape_of(rows);
        if shape.len() < 2 || shape.len() > 3 {
            return;
        }
        let state = Type::f32(shape[1..].to_vec());
        let mut b = Builder::new("step", &["B"]);
        let x = b.input("x", Role::State, state.clone(), Span::default());
        let z = b.input("z", Role::State, state.clone(), Span::default());
        let row = b.input("row", Role::Data, state.clone(), Span::default());
        let mut args = vec![];
        let (kind, last) = (self.below(4), state.shape[state.rank() - 1]);
        // What is fed back shrinks, or the rounding of a step would grow from step to step.
        let mixed = match last.fixed().filter(|_| kind > 0) {
            Some(_) => {
                let weight = Type::f32(vec![last, last]);
                let w = b.input("w", Role::Param, weight.clone(), Span::default());
                args.push(self.input(Role::Param, weight.shape));
                let axes = if state.rank() == 1 { "a,oa->o" } else { "ba,oa->bo" };
                let product = build::contract(&mut b, if kind == 1 { row } else { x }, w, axes);
                let factor = build::constant_like(&mut b, 0.05, x);
                build::mul(&mut b, product, factor)
            }
            None => {
                let small = build::tanh(&mut b, row);
                build::mul(&mut b, x, small)
            }
        };
        let moved = build::add(&mut b, mixed, row);
        let next = build::tanh(&mut b, moved);
        let other = build::max(&mut b, x, z);
        let swap = self.below(3) == 0;
        b.output("x", if swap { other } else { next }, Some(0));
        b.output("z", if swap { next } else { other }, Some(1));
        b.output("y", [next, x, row][self.below(3)], None);
        let body = Body { extent: shape[0], reverse: self.below(2) == 0, carries: 2, slices: 1, graph: b.finish() };
        let zero = build::constant(&mut self.b, 0.0, DType::F32);
        let zeros = build::broadcast_to(&mut self.b, zero, &state.shape);
        let first = match shape[0] {
            Extent::Fixed(_) => {
                let first = build::slice(&mut self.b, rows, 0, 0, 1, 1);
                build::reshape(&mut self.b, first, &state.shape)
            }
            Extent::Sym(_) => zeros,
        };
        let args = [vec![first, zeros, rows], args].concat();
        let results = self.b.scan(body, &args);
        for result in results {
            self.keep(result, bound.max(1.0));
        }
    }
}
