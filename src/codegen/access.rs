//! Loads and stores.
//!
//! In: an access of a kernel. Out: instructions that read or write it, in whole registers where its lanes lie together.
//! Invariant: nothing is read or written for a lane whose mask is false or that stands for no iteration; what a mask leaves out
//! reads zeros of ours.

use super::address::Lay;
use super::analysis::element_bytes;
use super::emit::{Coord, Emitter, Mask, memory, scalar_type, vector_type};
use super::pseudo::{self, Pseudo};
use crate::base::DType;
use crate::loops::ir::*;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{BlockArg, InstBuilder, Value, types};

impl Emitter<'_, '_> {
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
        let together = matches!(self.lay(site, element_bytes(dtype)), Some(Lay::Together));
        if together && self.native > 4 && (uneven.is_some() || self.active_at(coord) < self.lanes_now()) {
            let at = self.address(site, coord, 0);
            let (base, offset) = self.guard(even, at);
            let uneven = uneven.map(|m| self.fetch(m, coord));
            return self.load_masked(dtype, (base, offset), uneven, coord);
        }
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

    /// True in the lanes that stand for iterations.
    fn active_lanes(&mut self, coord: &Coord) -> Value {
        let (lanes, active) = (self.lanes_now(), self.active_at(coord));
        let words: Vec<u32> = (0..lanes).map(|lane| if lane < active { u32::MAX } else { 0 }).collect();
        super::lanes::vector_constant(self.b, vector_type(DType::I32, lanes), &words)
    }

    fn load_masked(
        &mut self,
        dtype: DType,
        (base, offset): (Value, i32),
        uneven: Option<Value>,
        coord: &Coord,
    ) -> Value {
        let (ty, truths) = (vector_type(dtype, self.lanes_now()), vector_type(DType::I32, self.lanes_now()));
        let mask = match (uneven, self.active_at(coord) < self.lanes_now()) {
            (Some(mask), false) => mask,
            (Some(mask), true) => {
                let active = self.active_lanes(coord);
                self.b.ins().band(mask, active)
            }
            (None, _) => self.active_lanes(coord),
        };
        let at = self.plus(base, i64::from(offset));
        let load = pseudo::declare(self.b.func, Pseudo::MaskedLoad, &[types::I64, truths], &[ty]);
        let call = self.b.ins().call(load, &[at, mask]);
        self.b.inst_results(call)[0]
    }

    fn store_active(&mut self, dtype: DType, (base, offset): (Value, i32), value: Value, coord: &Coord) {
        let (ty, truths) = (vector_type(dtype, self.lanes_now()), vector_type(DType::I32, self.lanes_now()));
        let (at, mask) = (self.plus(base, i64::from(offset)), self.active_lanes(coord));
        let store = pseudo::declare(self.b.func, Pseudo::MaskedStore, &[types::I64, truths, ty], &[]);
        self.b.ins().call(store, &[at, mask, value]);
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
        for lane in 0..self.active_at(coord) {
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

    /// The dimensions along which a store has copies.
    pub fn store_mask(&self, site: usize, value: Val) -> Mask {
        let terms = &self.sites[site].linear.terms;
        terms.iter().fold(self.masks[value.0 as usize], |mask, (term, _)| mask | self.term_mask(term))
    }

    pub fn store(&mut self, site: usize, value: Val) {
        let mask = self.store_mask(site, value);
        for coord in self.coords(mask) {
            self.store_copy(site, value, mask, &coord);
        }
    }

    pub fn store_copy(&mut self, site: usize, value: Val, mask: Mask, coord: &Coord) {
        let dtype = self.dtype(value);
        if mask & self.vector_bit() == 0 {
            let (base, offset) = self.address(site, coord, 0);
            let value = self.fetch(value, coord);
            self.b.ins().store(memory(), value, base, offset);
            return;
        }
        let value = self.fetch_vector(value, coord);
        if self.lay(site, element_bytes(dtype)) == Some(Lay::Together) {
            let (base, offset) = self.address(site, coord, 0);
            if self.active_at(coord) < self.lanes_now() {
                self.store_active(dtype, (base, offset), value, coord);
            } else {
                self.b.ins().store(memory(), value, base, offset);
            }
            return;
        }
        for lane in 0..self.active_at(coord) {
            let (base, offset) = self.address(site, coord, lane);
            let element = self.b.ins().extractlane(value, lane as u8);
            self.b.ins().store(memory(), element, base, offset);
        }
    }
}
