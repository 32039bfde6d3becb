//! Reductions with sixteen accumulators.
//!
//! In: `Lanes` loops. Out: vector accumulators over whole sixteens, a tail in memory, the tree. Invariant: iteration i
//! goes to accumulator i % 16, and accumulators are joined as [`crate::ops::Order::Lanes`] says.

use super::analysis::vectorizable;
use super::emit::{Coord, Counter, Dim, Emitter, MAX_DIMS, Mask, memory};
use super::nest::{Carried, Num, Span};
use crate::base::DType;
use crate::loops::intrinsics::Operand;
use crate::loops::ir::*;
use crate::ops::{LANES, ReduceKind, ScalarOp};
use cranelift_codegen::ir::{InstBuilder, StackSlotData, StackSlotKind, Value, types};

impl<'a> Emitter<'a, '_> {
    pub fn lanes(&mut self, inner: &'a Loop, span: Span) {
        let whole = LANES as i64;
        let room = self.vector_bit() == 0 && self.dims.len() < MAX_DIMS;
        let vectors =
            room && span.total.is_none_or(|n| n >= whole) && vectorizable(self.kernel, self.facts, &inner.body);
        let outer = self.depend_on_carries(inner, 0);
        if !vectors {
            let sums = self.memory_of(inner, &outer);
            self.fill(inner, &outer, &sums);
            self.tail(inner, span, &outer, &sums);
            return self.join_memory(inner, &outer, &sums);
        }
        let main = span.total.map_or_else(|| self.sixteens(span), |n| Num::Fixed(n / whole * whole));
        let total = span.total.map(|n| n / whole * whole);
        let carried = self.whole_sixteens(inner, Span { low: span.low, high: main, total });
        if total == span.total && total.is_some() && self.native == 4 {
            return self.join_vectors(inner, &outer, carried);
        }
        let outer = self.depend_on_carries(inner, 0);
        let sums = self.memory_of(inner, &outer);
        for (slots, copies) in sums.iter().zip(&carried) {
            for (slot, groups) in slots.iter().zip(copies.chunks(LANES / self.native)) {
                self.keep(groups, *slot);
            }
        }
        self.tail(inner, Span { low: main, high: span.high, total: None }, &outer, &sums);
        self.join_memory(inner, &outer, &sums);
    }

    fn sixteens(&mut self, span: Span) -> Num {
        let high = self.value(span.high);
        Num::Dyn(self.b.ins().band_imm_s(high, -(LANES as i64)))
    }

    /// The vectors of each copy of each carry, the group fastest.
    fn whole_sixteens(&mut self, inner: &'a Loop, span: Span) -> Carried {
        self.dims.push(Dim { var: inner.var, count: LANES / self.native, lanes: self.native, active: self.native });
        let saved = self.sites.clone();
        let bit = self.vector_bit();
        let masks = self.depend_on_carries(inner, bit);
        self.splat_wanted();
        let mut carried = Carried::new();
        for (carry, &mask) in inner.carries.iter().zip(&masks) {
            let coords = self.coords(mask);
            carried.push(coords.iter().map(|c| self.fetch_vector(carry.init, c)).collect());
        }
        let carried = self.counted(inner, span, (1, LANES as i64), &masks, carried);
        self.sites = saved;
        self.dims.pop();
        carried
    }

    /// Sixteen floats on the stack for each copy of each carry.
    fn memory_of(&mut self, inner: &Loop, masks: &[Mask]) -> Carried {
        let mut out = Carried::new();
        for (carry, &mask) in inner.carries.iter().zip(masks) {
            assert_eq!(self.dtype(carry.init), DType::F32, "invariant broken: lanes hold real numbers");
            let count = self.coords(mask).len();
            let bytes = 4 * LANES as u32;
            let slots = (0..count)
                .map(|_| {
                    let data = StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, 4);
                    let slot = self.b.create_sized_stack_slot(data);
                    self.b.ins().stack_addr(types::I64, slot, 0)
                })
                .collect();
            out.push(slots);
        }
        out
    }

    fn fill(&mut self, inner: &Loop, masks: &[Mask], sums: &Carried) {
        for ((carry, &mask), slots) in inner.carries.iter().zip(masks).zip(sums) {
            for (slot, coord) in slots.iter().zip(self.coords(mask)) {
                let value = self.fetch_vector(carry.init, &coord);
                self.keep(&vec![value; LANES / self.native], *slot);
            }
        }
    }

    /// Stores accumulators side by side.
    fn keep(&mut self, groups: &[Value], slot: Value) {
        for (group, &value) in groups.iter().enumerate() {
            self.b.ins().store(memory(), value, slot, (4 * self.native * group) as i32);
        }
    }

    /// One iteration after the other, on accumulators in memory.
    fn tail(&mut self, inner: &'a Loop, span: Span, masks: &[Mask], sums: &Carried) {
        assert_eq!(self.vector_bit(), 0, "invariant broken: a loop with lanes of its own stands in no vector");
        self.splat_wanted();
        self.turns(inner, span, 1, Carried::new(), &mut |emitter, counter, carried| {
            emitter.tail_turn(inner, masks, sums, counter);
            carried
        });
    }

    fn join_vectors(&mut self, inner: &Loop, masks: &[Mask], carried: Carried) {
        for ((carry, &mask), copies) in inner.carries.iter().zip(masks).zip(carried) {
            let results: Vec<Value> = copies.chunks(4).map(|groups| self.tree(carry.join, groups)).collect();
            self.masks[carry.result.0 as usize] = mask;
            self.define(carry.result, results);
        }
    }

    fn join_memory(&mut self, inner: &Loop, masks: &[Mask], sums: &Carried) {
        let mut carried = Carried::new();
        for slots in sums {
            let mut copies = Vec::new();
            for &slot in slots {
                for group in 0..LANES / 4 {
                    copies.push(self.b.ins().load(types::F32X4, memory(), slot, 16 * group as i32));
                }
            }
            carried.push(copies);
        }
        self.join_vectors(inner, masks, carried);
    }

    /// a[l] = a[l] ∘ a[l + h] for h = 8, 4, 2, 1
    fn tree(&mut self, join: ReduceKind, groups: &[Value]) -> Value {
        let op = match join {
            ReduceKind::Sum | ReduceKind::Dot => ScalarOp::Add,
            ReduceKind::Max => ScalarOp::Max,
            ReduceKind::Min => ScalarOp::Min,
        };
        let mut join = |x: Value, y: Value| self.apply(op, DType::F32, 4, &[Operand::Word(x), Operand::Word(y)]);
        let (low, high) = (join(groups[0], groups[2]), join(groups[1], groups[3]));
        let four = join(low, high);
        let [a, b, c, d] = [0u8, 1, 2, 3].map(|lane| self.b.ins().extractlane(four, lane));
        let mut join = |x: Value, y: Value| self.apply(op, DType::F32, 1, &[Operand::Word(x), Operand::Word(y)]);
        let (even, odd) = (join(a, c), join(b, d));
        join(even, odd)
    }

    /// Reads the accumulators of one iteration, runs the body, writes them back.
    fn tail_turn(&mut self, inner: &'a Loop, masks: &[Mask], sums: &Carried, counter: Counter) {
        let lane = self.b.ins().band_imm_u(counter.value, LANES as i64 - 1);
        let bytes = self.b.ins().ishl_imm_u(lane, 2);
        self.vars[inner.var.0 as usize] = Some(counter);
        for (carry, slots) in inner.carries.iter().zip(sums) {
            let mut copies = Vec::new();
            for &slot in slots {
                let at = self.b.ins().iadd(slot, bytes);
                copies.push(self.b.ins().load(types::F32, memory(), at, 0));
            }
            self.define(carry.current, copies);
        }
        self.block(&inner.body);
        for ((carry, slots), &mask) in inner.carries.iter().zip(sums).zip(masks) {
            let coords: Vec<Coord> = self.coords(mask);
            for (&slot, coord) in slots.iter().zip(&coords) {
                let value = self.fetch(carry.next, coord);
                let at = self.b.ins().iadd(slot, bytes);
                self.b.ins().store(memory(), value, at, 0);
            }
        }
        self.forget(&inner.body);
        inner.carries.iter().for_each(|c| self.slots[c.current.0 as usize] = None);
        self.vars[inner.var.0 as usize] = None;
    }
}
