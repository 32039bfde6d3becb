//! What instructions read: memory operands, conditions, comparisons.
//!
//! In: values. Out: operands with registers. Invariant: a load is done elsewhere only if nothing is stored in between and
//! nobody else reads it.

use super::inst::*;
use super::select::Selector;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstructionData, Opcode, Value, types};
use regalloc2::VReg;

impl Selector<'_> {
    /// Whether the load that makes `value` may be done by the instruction at hand instead.
    pub fn movable_load(&self, value: Value) -> Option<(Value, i32)> {
        let value = self.resolve(value);
        let (inst, data) = self.definition(value)?;
        let &InstructionData::Load { opcode: Opcode::Load, arg, offset, .. } = data else { return None };
        let here = self.at?;
        (self.uses[value] == 1 && self.colours[inst] == self.colours[here] && self.asked(value).is_none())
            .then(|| (arg, offset.into()))
    }

    /// A memory operand: sums and small multiples go into it.
    pub fn address(&mut self, base: Value, offset: i32) -> (Mem, Vec<VReg>) {
        let (mut base, mut displacement, mut index) = (self.resolve(base), offset, None);
        for _ in 0..4 {
            match self.definition(base) {
                Some((_, &InstructionData::Binary { opcode: Opcode::Iadd, args: [a, b] })) => {
                    let sum = self.small(b).and_then(|n| displacement.checked_add(n));
                    if let Some(sum) = sum {
                        (base, displacement) = (self.resolve(a), sum);
                    } else if index.is_none() {
                        let (a, b) = if self.scaled(a).is_some() { (b, a) } else { (a, b) };
                        index = Some(self.scaled(b).unwrap_or((b, 0)));
                        base = self.resolve(a);
                    } else {
                        break;
                    }
                }
                Some((_, &InstructionData::StackAddr { stack_slot, offset, .. })) => {
                    let slot = self.slots[stack_slot] as i32 + i32::from(offset);
                    let mem =
                        Mem { base: Base::Frame, index: None, displacement: displacement + slot, broadcast: false };
                    return match index {
                        None => (mem, vec![]),
                        Some((i, log)) => (Mem { index: Some(log), ..mem }, vec![self.reg(i)]),
                    };
                }
                _ => break,
            }
        }
        let mut registers = vec![self.reg(base)];
        registers.extend(index.map(|(i, _)| self.reg(i)));
        (Mem { base: Base::Register, index: index.map(|i| i.1), displacement, broadcast: false }, registers)
    }

    /// `value` as another one shifted left by 1, 2 or 3.
    fn scaled(&self, value: Value) -> Option<(Value, u8)> {
        match self.definition(self.resolve(value)) {
            Some((_, &InstructionData::Binary { opcode: Opcode::Ishl, args: [x, by] })) => {
                self.number(by).filter(|n| (1..=3).contains(n)).map(|n| (x, n as u8))
            }
            _ => None,
        }
    }

    /// What a branch or selection on `value` compares.
    pub fn condition(&mut self, value: Value) -> (Condition, Vec<VReg>) {
        let value = self.resolve(value);
        match self.definition(value) {
            Some((_, &InstructionData::IntCompare { args: [a, b], cond, .. })) if !self.ty(a).is_vector() => {
                let wide = self.ty(a) == types::I64;
                match self.small(b) {
                    Some(n) => (Condition::Compare { code: code(cond), wide, number: Some(n) }, vec![self.reg(a)]),
                    None => {
                        (Condition::Compare { code: code(cond), wide, number: None }, vec![self.reg(a), self.reg(b)])
                    }
                }
            }
            _ => (Condition::Truth, vec![self.reg(value)]),
        }
    }

    /// Whether `value` is a comparison of elements, and of which.
    pub fn comparison(&self, value: Value) -> Option<(Compare, Value, Value)> {
        match self.definition(self.resolve(value))? {
            (_, &InstructionData::FloatCompare { args: [a, b], cond, .. }) => {
                // The quiet predicates of `vcmpps`.
                let predicate = match cond {
                    FloatCC::Equal => 0x00,
                    FloatCC::LessThan => 0x11,
                    FloatCC::LessThanOrEqual => 0x12,
                    FloatCC::Unordered => 0x03,
                    FloatCC::NotEqual => 0x04,
                    other => panic!("invariant broken: the emitter compares with {other:?}"),
                };
                Some((Compare::Real(predicate), a, b))
            }
            (_, &InstructionData::IntCompare { args: [a, b], cond, .. }) if self.ty(a).is_vector() => {
                let compare = match cond {
                    IntCC::Equal => Compare::Equal,
                    IntCC::SignedLessThan => Compare::Less,
                    IntCC::UnsignedLessThan => Compare::Below,
                    other => panic!("invariant broken: the emitter compares lanes with {other:?}"),
                };
                Some((compare, a, b))
            }
            _ => None,
        }
    }
}

/// The machine's condition codes.
pub fn code(cond: IntCC) -> u8 {
    match cond {
        IntCC::Equal => 0x4,
        IntCC::NotEqual => 0x5,
        IntCC::SignedLessThan => 0xC,
        IntCC::SignedGreaterThanOrEqual => 0xD,
        IntCC::SignedGreaterThan => 0xF,
        IntCC::SignedLessThanOrEqual => 0xE,
        IntCC::UnsignedLessThan => 0x2,
        IntCC::UnsignedGreaterThanOrEqual => 0x3,
        IntCC::UnsignedGreaterThan => 0x7,
        IntCC::UnsignedLessThanOrEqual => 0x6,
    }
}
