//! Random moves of elements: other axes, parts, margins, rows.
//!
//! In: a generator with some values. Out: one more. Invariant: elements keep their values, or are sums of few.

use super::Generator;
use crate::base::{DType, Extent, Type};
use crate::graph::Role;
use crate::ops::build;

impl Generator {
    /// Broadcast, transposition, reshape.
    pub(super) fn spread(&mut self) {
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
                if !self.fits(&shape) || shape.len() > 4 {
                    return;
                }
                build::broadcast_along(&mut self.b, x, &[place], &shape)
            }
        };
        self.keep(made, bound);
    }

    pub(super) fn cut(&mut self) {
        let Some((x, bound, axis, extent)) = self.pick_axis() else { return };
        let start = self.below(extent as usize) as u64;
        let step = 1 + self.below(3) as u64;
        let len = 1 + self.below(((extent - start - 1) / step + 1) as usize) as u64;
        let made = build::slice(&mut self.b, x, axis, start, len, step);
        self.keep(made, bound);
    }

    /// Padding, or values behind one another.
    pub(super) fn join(&mut self) {
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

    pub(super) fn rows(&mut self) {
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
}
