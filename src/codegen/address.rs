//! Addresses: what is added where, loads and stores.
//!
//! In: the linear form of an access. Out: instructions that compute it, as far out as its terms are known. Invariant: where
//! a mask is false, the address is that of zeros of ours.

use super::analysis::{Coefficient, element_bytes};
use super::emit::{Coord, Emitter, memory, scalar_type, vector_type};
use crate::base::DType;
use crate::loops::ir::*;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{BlockArg, InstBuilder, Value, types};

/// How the lanes of a vector access lie in memory.
enum Lay {
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

    fn plus(&mut self, base: Value, k: i64) -> Value {
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
    fn lay(&self, site: usize, bytes: i64) -> Option<Lay> {
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

    /// The address to read: that of zeros where the mask is false.
    fn guard(&mut self, mask: Option<Value>, (base, offset): (Value, i32)) -> (Value, i32) {
        let Some(mask) = mask else { return (base, offset) };
        let address = self.plus(base, i64::from(offset));
        (self.b.ins().select(mask, address, self.entry.zeros), 0)
    }

    pub fn load(&mut self, val: Val, mask: Option<Val>, coord: &Coord) -> Value {
        let (site, dtype) = (self.load_sites[&val], self.dtype(val));
        if !self.is_vector(val) {
            let mask = mask.map(|m| self.fetch(m, coord));
            let at = self.address(site, coord, 0);
            let (base, offset) = self.guard(mask, at);
            return self.b.ins().load(scalar_type(dtype), memory(), base, offset);
        }
        let uneven = mask.filter(|&m| self.is_vector(m));
        let even = mask.filter(|&m| !self.is_vector(m)).map(|m| self.fetch(m, coord));
        let bits = uneven.map(|m| {
            let mask = self.fetch(m, coord);
            self.b.ins().vhigh_bits(types::I32, mask)
        });
        match (self.lay(site, element_bytes(dtype)), bits) {
            (Some(Lay::Together), None) => {
                let at = self.address(site, coord, 0);
                let (base, offset) = self.guard(even, at);
                let ty = vector_type(dtype, self.lanes_now());
                self.b.ins().load(ty, memory(), base, offset)
            }
            (Some(Lay::Together), Some(bits)) => self.load_partly(site, dtype, bits, coord),
            (_, bits) => self.load_lanes(site, dtype, even, bits, coord),
        }
    }

    /// One instruction where all lanes are wanted (the inside of an image), else lane by lane (its border).
    fn load_partly(&mut self, site: usize, dtype: DType, bits: Value, coord: &Coord) -> Value {
        let lanes = self.lanes_now();
        let ty = vector_type(dtype, lanes);
        let [whole, part, done] = [0; 3].map(|_| self.b.create_block());
        let result = self.b.append_block_param(done, ty);
        let (base, offset) = self.address(site, coord, 0);
        let all = self.b.ins().icmp_imm_s(IntCC::Equal, bits, (1 << lanes) - 1);
        self.b.ins().brif(all, whole, &[], part, &[]);
        self.b.switch_to_block(whole);
        let value = self.b.ins().load(ty, memory(), base, offset);
        self.b.ins().jump(done, &[BlockArg::Value(value)]);
        self.b.switch_to_block(part);
        let value = self.load_lanes(site, dtype, None, Some(bits), coord);
        self.b.ins().jump(done, &[BlockArg::Value(value)]);
        [whole, part, done].iter().for_each(|&block| self.b.seal_block(block));
        self.b.switch_to_block(done);
        result
    }

    fn load_lanes(
        &mut self,
        site: usize,
        dtype: DType,
        even: Option<Value>,
        bits: Option<Value>,
        coord: &Coord,
    ) -> Value {
        let mut out = None;
        for lane in 0..self.lanes_now() {
            let at = self.address(site, coord, lane);
            let mask = match bits {
                Some(bits) => Some(self.b.ins().band_imm_u(bits, 1 << lane)),
                None => even,
            };
            let (base, offset) = self.guard(mask, at);
            let value = self.b.ins().load(scalar_type(dtype), memory(), base, offset);
            out = Some(self.insert(out, dtype, value, lane));
        }
        out.expect("every lane was read")
    }

    /// Puts a scalar into a lane of a vector that is made by the first one.
    pub fn insert(&mut self, vector: Option<Value>, dtype: DType, value: Value, lane: usize) -> Value {
        match vector {
            None => {
                let ty = vector_type(dtype, self.lanes_now());
                self.b.ins().splat(ty, value)
            }
            Some(vector) => self.b.ins().insertlane(vector, value, lane as u8),
        }
    }

    pub fn store(&mut self, site: usize, value: Val) {
        let dtype = self.dtype(value);
        let mut mask = self.masks[value.0 as usize];
        for (term, _) in &self.sites[site].linear.clone().terms {
            mask |= self.term_mask(term);
        }
        let lay = if mask & self.vector_bit() == 0 { None } else { self.lay(site, element_bytes(dtype)) };
        for coord in self.coords(mask) {
            match lay {
                None if mask & self.vector_bit() == 0 => {
                    let (base, offset) = self.address(site, &coord, 0);
                    let value = self.fetch(value, &coord);
                    self.b.ins().store(memory(), value, base, offset);
                }
                Some(Lay::Together) => {
                    let (base, offset) = self.address(site, &coord, 0);
                    let value = self.fetch_vector(value, &coord);
                    self.b.ins().store(memory(), value, base, offset);
                }
                _ => {
                    let value = self.fetch_vector(value, &coord);
                    for lane in 0..self.lanes_now() {
                        let (base, offset) = self.address(site, &coord, lane);
                        let element = self.b.ins().extractlane(value, lane as u8);
                        self.b.ins().store(memory(), element, base, offset);
                    }
                }
            }
        }
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
