//! Random reductions, products and windows.
//!
//! In: a generator with some values. Out: one more. Invariant: what a sum may reach is in its bound.

use super::Generator;
use crate::base::Extent;
use crate::graph::Role;
use crate::ops::windows::Sizes;
use crate::ops::{Emit, Value, build};

impl Generator {
    pub(super) fn subset(&mut self, count: usize) -> Vec<usize> {
        (0..count).filter(|_| self.below(2) == 0).collect()
    }

    pub(super) fn reduce(&mut self) {
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
    pub(super) fn contract(&mut self) {
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

    pub(super) fn windows(&mut self) {
        let Some((x, bound, axis, extent)) = self.pick_axis() else { return };
        let size = 1 + self.below(extent.min(4) as usize) as u64;
        let most = if size > 1 { (extent - 1) / (size - 1) } else { 1 };
        let (stride, apart) = (1 + self.below(3) as u64, 1 + self.below(most.min(3) as usize) as i64);
        let dilation = if self.below(3) == 0 { -apart } else { apart };
        let taps = build::window(&mut self.b, x, axis, size, stride, dilation);
        if !self.fits(&self.shape_of(taps)) {
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
    pub(super) fn convolve(&mut self, taps: Value, bound: f64, axis: usize, size: u64) {
        let all: Vec<char> = ('a'..).take(self.b.ty(taps).rank()).collect();
        let columns = [1, 3, 4, 8][self.below(4)];
        let weight = self.input(Role::Param, vec![Extent::Fixed(size), Extent::Fixed(columns)]);
        let (tap, lhs): (char, String) = (all[axis + 1], all.iter().collect());
        let kept: String = all.iter().filter(|c| **c != tap).collect();
        let made = build::contract(&mut self.b, taps, weight, &format!("{lhs},{tap}z->{kept}z"));
        self.keep(made, bound * 2.0 * size as f64);
    }
}
