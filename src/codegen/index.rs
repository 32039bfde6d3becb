//! Indices as values: positions, quotients, remainders, and whether an index is in range.
//!
//! In: affine forms. Out: I32 and truth values, one element or the lanes of a vector. Invariant: the same numbers as arithmetic in 64
//! bits; short cuts are taken only where the range of the index shows that they are exact.

use super::analysis::Coefficient;
use super::emit::{Coord, Emitter, vector_type};
use super::lanes::{splat_constant, vector_constant};
use crate::base::{DType, Extent};
use crate::loops::ir::*;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};

impl Emitter<'_, '_> {
    pub fn index(&mut self, val: Val, index: &Affine, coord: &Coord) -> Value {
        if self.is_vector(val) {
            return self.vector_index(index, coord);
        }
        let wide = self.affine(index, coord, 0);
        self.b.ins().ireduce(types::I32, wide)
    }

    /// Positions in I32, where arithmetic modulo 2^32 gives the lower half of what 64 bits would.
    fn vector_index(&mut self, index: &Affine, coord: &Coord) -> Value {
        let vector = self.vector_bit();
        let (mut even, mut steps, mut uneven) = (Affine { terms: vec![], constant: index.constant }, 0i64, Vec::new());
        for &(factor, term) in &index.terms {
            match term {
                Term::Val(val) if self.is_vector(val) => uneven.push((factor, val)),
                _ => {
                    if let Term::Var(var) = term
                        && self.dim_of(var).is_some_and(|d| vector >> d & 1 == 1)
                    {
                        steps += factor;
                    }
                    even.terms.push((factor, term));
                }
            }
        }
        let first = self.affine(&even, coord, 0);
        let first = self.b.ins().ireduce(types::I32, first);
        let ty = vector_type(DType::I32, self.lanes_now());
        let mut sum = self.b.ins().splat(ty, first);
        if steps != 0 {
            let words: Vec<u32> = (0..i64::from(ty.lane_count())).map(|lane| steps.wrapping_mul(lane) as u32).collect();
            let steps = vector_constant(self.b, ty, &words);
            sum = self.b.ins().iadd(sum, steps);
        }
        for (factor, val) in uneven {
            let mut value = self.fetch(val, coord);
            if factor != 1 {
                let factor = splat_constant(self.b, ty, factor as u32);
                value = self.b.ins().imul(value, factor);
            }
            sum = self.b.ins().iadd(sum, value);
        }
        sum
    }

    pub fn div_rem(&mut self, val: Val, index: &Affine, by: u64, rem: bool, coord: &Coord) -> Value {
        if !self.is_vector(val) {
            return self.divide(index, by, rem, coord, 0);
        }
        let mut out = None;
        for lane in 0..self.lanes_now() {
            let value = self.divide(index, by, rem, coord, lane);
            out = Some(self.insert(out, DType::I32, value, lane));
        }
        out.expect("every lane was divided")
    }

    /// Floor division by a constant: shifts for powers of two, else by multiplication with 2^64 / by rounded up, which is
    /// exact while n · by < 2^64 (Granlund and Montgomery, 1994), else by the divider.
    fn divide(&mut self, index: &Affine, by: u64, rem: bool, coord: &Coord, lane: usize) -> Value {
        let n = self.affine(index, coord, lane);
        let (low, high) = self.facts.range(index);
        let result = if by.is_power_of_two() {
            match rem {
                true => self.b.ins().band_imm_u(n, (by - 1) as i64),
                false => self.b.ins().sshr_imm_u(n, i64::from(by.trailing_zeros())),
            }
        } else {
            let lift = if low < 0 { (-low).div_euclid(i128::from(by)) + 1 } else { 0 };
            // Fits: `Facts::divisible` was asked.
            let lifted = (lift * i128::from(by)) as i64;
            let positive = if lift == 0 { n } else { self.b.ins().iadd_imm_s(n, lifted) };
            let quotient = if (high + i128::from(lifted) + 1) * i128::from(by) < 1 << 64 {
                let magic = (u64::MAX / by + 1) as i64;
                let magic = self.b.ins().iconst(types::I64, magic);
                self.b.ins().umulhi(positive, magic)
            } else {
                let by = self.b.ins().iconst(types::I64, by as i64);
                self.b.ins().udiv(positive, by)
            };
            if rem {
                let whole = self.scaled(&Coefficient::number(by as i64), quotient);
                self.b.ins().isub(positive, whole)
            } else {
                self.b.ins().iadd_imm_s(quotient, -(lift as i64))
            }
        };
        self.b.ins().ireduce(types::I32, result)
    }

    /// 0 <= index < extent, as one unsigned comparison.
    pub fn in_range(&mut self, val: Val, index: &Affine, extent: Extent, coord: &Coord) -> Value {
        if !self.is_vector(val) {
            let (index, extent) = (self.affine(index, coord, 0), self.extent(extent));
            return self.b.ins().icmp(IntCC::UnsignedLessThan, index, extent);
        }
        let (low, high) = self.facts.range(index);
        let extent_fits = extent.fixed().is_none_or(|n| n <= i32::MAX as u64);
        let extent = self.extent(extent);
        if low >= i128::from(i32::MIN) && high <= i128::from(i32::MAX) && extent_fits {
            let index = self.vector_index(index, coord);
            let extent = self.b.ins().ireduce(types::I32, extent);
            let ty = vector_type(DType::I32, self.lanes_now());
            let extent = self.b.ins().splat(ty, extent);
            return self.b.ins().icmp(IntCC::UnsignedLessThan, index, extent);
        }
        let mut out = None;
        for lane in 0..self.lanes_now() {
            let index = self.affine(index, coord, lane);
            let inside = self.b.ins().icmp(IntCC::UnsignedLessThan, index, extent);
            let inside = self.b.ins().bmask(types::I32, inside);
            out = Some(self.insert(out, DType::I32, inside, lane));
        }
        out.expect("every lane was compared")
    }
}
