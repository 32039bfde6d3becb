//! Addresses: what is added where.
//!
//! In: the linear form of an access. Out: instructions that compute it, as far out as its terms are known. Invariant: an address
//! is the row-major one, whichever of its terms were added before.

use super::analysis::Coefficient;
use super::emit::{Coord, Emitter};
use crate::loops::ir::*;
use cranelift_codegen::ir::{InstBuilder, Value, types};

/// How the lanes of a vector access lie in memory.
#[derive(PartialEq)]
pub enum Lay {
    Together,
    Scattered,
}

impl<'a> Emitter<'a, '_> {
    pub fn coefficient(&mut self, c: &Coefficient) -> Value {
        match c.fixed() {
            Some(k) => self.b.ins().iconst(types::I64, k),
            None => self.entry.coefficients[c],
        }
    }

    /// c · x
    pub fn scaled(&mut self, c: &Coefficient, x: Value) -> Value {
        match c.fixed() {
            Some(1) => x,
            Some(k) if k > 0 && (k as u64).is_power_of_two() => {
                self.b.ins().ishl_imm_u(x, i64::from(k.trailing_zeros()))
            }
            _ => {
                let c = self.coefficient(c);
                self.b.ins().imul(c, x)
            }
        }
    }

    pub fn plus(&mut self, base: Value, k: i64) -> Value {
        if k == 0 { base } else { self.b.ins().iadd_imm_s(base, k) }
    }

    /// The dimension that a loop variable runs over, if it is replicated.
    pub fn dim_of(&self, var: Var) -> Option<usize> {
        self.dims.iter().position(|d| d.var == var)
    }

    fn counter(&self, var: Var) -> &super::emit::Counter {
        match &self.vars[var.0 as usize] {
            Some(counter) => counter,
            None => panic!("invariant broken: loop variable {} of `{}` is not open", var.0, self.kernel.name),
        }
    }

    /// c · (the loop's counter), without the place among its copies; (value, constant part).
    fn counter_times(&mut self, var: Var, c: &Coefficient) -> (Option<Value>, i64) {
        let counter = self.counter(var).clone();
        if let (Some(k), Some(i)) = (c.fixed(), counter.fixed) {
            return (None, k.wrapping_mul(i + counter.shift));
        }
        let kept = counter.offsets.iter().find(|(other, _)| other == c).map(|(_, v)| *v);
        let value = match kept {
            Some(value) => value,
            None => self.scaled(c, counter.value),
        };
        match c.fixed() {
            Some(k) => (Some(value), k.wrapping_mul(counter.shift)),
            None if counter.shift == 0 => (Some(value), 0),
            None => {
                let c = self.coefficient(c);
                let moved = self.b.ins().imul_imm_s(c, counter.shift);
                (Some(self.b.ins().iadd(value, moved)), 0)
            }
        }
    }

    /// How far the copy at `coord`, lane `lane`, stands from its loop's counter.
    fn place(&self, dim: usize, coord: &Coord, lane: usize) -> i64 {
        let d = self.dims[dim];
        (coord[dim] * d.lanes + if d.lanes > 1 { lane } else { 0 }) as i64
    }

    /// Adds to every site in `body` the terms that are known before the next loop begins.
    pub fn prepare(&mut self, sites: &[usize]) {
        for &site in sites {
            for term in 0..self.sites[site].added.len() {
                if !self.sites[site].added[term] {
                    self.prepare_term(site, term);
                }
            }
        }
    }

    fn prepare_term(&mut self, site: usize, number: usize) {
        let linear = self.sites[site].linear.clone();
        let (term, c) = &linear.terms[number];
        let grow = match *term {
            Term::Var(var) => match (&self.vars[var.0 as usize], self.dim_of(var)) {
                (None, _) => return,
                // The places of the copies are constants, added where the access stands.
                (_, Some(_)) if c.fixed().is_some() => 0,
                (_, Some(d)) if self.dims[d].lanes > 1 => return,
                (_, Some(d)) => 1 << d,
                (_, None) => 0,
            },
            Term::Val(val) => {
                let known = self.slots[val.0 as usize].is_some() || self.is_const(val);
                if !known || self.is_vector(val) {
                    return;
                }
                self.masks[val.0 as usize]
            }
        };
        let (old, mask) = (self.sites[site].mask, self.sites[site].mask | grow);
        let mut bases = Vec::new();
        for coord in self.coords(mask) {
            let base = self.sites[site].base[self.rank(old, &coord)];
            bases.push(self.add_term(base, term, c, &coord));
        }
        let state = &mut self.sites[site];
        (state.base, state.mask, state.added[number]) = (bases, mask, true);
    }

    fn is_const(&self, val: Val) -> bool {
        matches!(self.kernel.insts[val.0 as usize], Inst::Const { .. })
    }

    fn add_term(&mut self, base: Value, term: &Term, c: &Coefficient, coord: &Coord) -> Value {
        match *term {
            Term::Var(var) => {
                let (value, constant) = self.counter_times(var, c);
                let base = value.map_or(base, |v| self.b.ins().iadd(base, v));
                let base = self.plus(base, constant);
                match self.dim_of(var).filter(|_| c.fixed().is_none()) {
                    Some(d) if coord[d] > 0 => {
                        let c = self.coefficient(c);
                        let place = self.place(d, coord, 0);
                        let moved = self.b.ins().imul_imm_s(c, place);
                        self.b.ins().iadd(base, moved)
                    }
                    _ => base,
                }
            }
            Term::Val(val) => {
                let value = self.fetch(val, coord);
                self.add_index(base, value, c)
            }
        }
    }

    fn add_index(&mut self, base: Value, index: Value, c: &Coefficient) -> Value {
        let index = self.b.ins().sextend(types::I64, index);
        let bytes = self.scaled(c, index);
        self.b.ins().iadd(base, bytes)
    }

    /// The address of an access for one copy and lane: a base and a constant number of bytes.
    pub fn address(&mut self, site: usize, coord: &Coord, lane: usize) -> (Value, i32) {
        let linear = self.sites[site].linear.clone();
        let (mut base, mut constant) = {
            let state = &self.sites[site];
            (state.base[self.rank(state.mask, coord)], linear.constant.fixed().unwrap_or(0))
        };
        for (number, (term, c)) in linear.terms.iter().enumerate() {
            let added = self.sites[site].added[number];
            let dim = if let Term::Var(var) = term { self.dim_of(*var) } else { None };
            if let (Some(d), Some(k)) = (dim, c.fixed()) {
                constant += k * self.place(d, coord, lane);
            } else if let (Some(d), false) = (dim, added) {
                // A symbolic stride between lanes.
                let c = self.coefficient(c);
                let place = self.place(d, coord, lane);
                let moved = self.b.ins().imul_imm_s(c, place);
                base = self.b.ins().iadd(base, moved);
            }
            if added {
                continue;
            }
            match *term {
                Term::Var(var) => {
                    let (value, k) = self.counter_times(var, c);
                    base = value.map_or(base, |v| self.b.ins().iadd(base, v));
                    constant += k;
                }
                Term::Val(val) => {
                    let mut value = self.fetch(val, coord);
                    if self.is_vector(val) {
                        value = self.b.ins().extractlane(value, lane as u8);
                    }
                    base = self.add_index(base, value, c);
                }
            }
        }
        match i32::try_from(constant) {
            // Reserve room for the other lanes of a vector.
            Ok(small) if small < i32::MAX - 64 => (base, small),
            _ => (self.plus(base, constant), 0),
        }
    }

    /// How the lanes lie; `None` if all lanes have one address.
    pub fn lay(&self, site: usize, bytes: i64) -> Option<Lay> {
        let vector = self.vector_bit();
        let mut lay = None;
        for (term, c) in &self.sites[site].linear.terms {
            match *term {
                Term::Var(var) if self.dim_of(var).is_some_and(|d| vector >> d & 1 == 1) => {
                    lay = match (lay, c.fixed()) {
                        (None, Some(k)) if k == bytes => Some(Lay::Together),
                        _ => Some(Lay::Scattered),
                    };
                }
                Term::Val(val) if self.is_vector(val) => lay = Some(Lay::Scattered),
                _ => {}
            }
        }
        lay
    }

    /// The dimensions that a term differs among.
    pub fn term_mask(&self, term: &Term) -> super::emit::Mask {
        match *term {
            Term::Var(var) => self.dim_of(var).map_or(0, |d| 1 << d),
            Term::Val(val) => self.masks[val.0 as usize],
        }
    }

    /// An index for one copy and lane, as I64.
    pub fn affine(&mut self, index: &Affine, coord: &Coord, lane: usize) -> Value {
        let (mut sum, mut constant) = (None, index.constant);
        for &(factor, term) in &index.terms {
            let c = Coefficient::number(factor);
            let value = match term {
                Term::Var(var) => {
                    if let Some(d) = self.dim_of(var) {
                        constant += factor * self.place(d, coord, lane);
                    }
                    let (value, k) = self.counter_times(var, &c);
                    constant += k;
                    value
                }
                Term::Val(val) => {
                    let mut value = self.fetch(val, coord);
                    if self.is_vector(val) {
                        value = self.b.ins().extractlane(value, lane as u8);
                    }
                    let value = self.b.ins().sextend(types::I64, value);
                    Some(self.scaled(&c, value))
                }
            };
            sum = match (sum, value) {
                (Some(a), Some(b)) => Some(self.b.ins().iadd(a, b)),
                (a, b) => a.or(b),
            };
        }
        match sum {
            Some(sum) => self.plus(sum, constant),
            None => self.b.ins().iconst(types::I64, constant),
        }
    }
}
