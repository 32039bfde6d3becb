//! The bytes of each instruction.
//!
//! In: an instruction and its registers. Out: one machine instruction, or the few that it stands for. Invariant: a result is
//! written last, or over an input that is not read again.

use super::assemble::{Rm, SCRATCH, condition, general};
use super::inst::*;
use super::rows::{self, Form};
use super::write::{Registers, Writer};

/// The mask register that comparisons use.
const MASK: u8 = 1;

impl Writer<'_> {
    /// Compares, and returns the condition code under which the condition holds.
    pub fn test(&mut self, condition: Condition, registers: &mut Registers<'_>) -> u8 {
        let first = registers.take();
        match condition {
            Condition::Truth => {
                self.a.general(&[0x85], false, first, Rm::Reg(first), 0);
                self.a.line(format_args!("  test {0}, {0}", general(first)));
                0x5
            }
            Condition::Compare { code, wide, number: None } => {
                let second = registers.take();
                self.a.general(&[0x3B], wide, first, Rm::Reg(second), 0);
                self.a.line(format_args!("  cmp {}, {}", general(first), general(second)));
                code
            }
            Condition::Compare { code, wide, number: Some(n) } => {
                self.number_operation(7, wide, first, n);
                self.a.line(format_args!("  cmp {}, {n}", general(first)));
                code
            }
        }
    }

    /// One of the eight operations of opcodes 81 and 83.
    fn number_operation(&mut self, field: u8, wide: bool, reg: u8, n: i32) {
        match i8::try_from(n) {
            Ok(short) => {
                self.a.general(&[0x83], wide, field, Rm::Reg(reg), 1);
                self.a.byte(short as u8);
            }
            Err(_) => {
                self.a.general(&[0x81], wide, field, Rm::Reg(reg), 4);
                self.a.word(n);
            }
        }
    }

    pub fn inst(&mut self, inst: &Inst, r: &mut Registers<'_>) {
        match inst.op {
            Op::Constant(number) => self.constant(r.take(), number),
            Op::Vector { row, width, imm } => self.vector(inst, row, width, imm, r),
            Op::Zero { width } => {
                let to = r.take();
                self.a.zero(to, width);
            }
            Op::MaskedLoad { width, lanes } => self.masked(inst, false, width, lanes, r),
            Op::MaskedStore { width, lanes } => self.masked(inst, true, width, lanes, r),
            Op::Mask { .. } | Op::MaskedBlend { .. } | Op::Blend { .. } | Op::SignBits { .. } => self.lanes(inst.op, r),
            Op::Extract { .. }
            | Op::ExtractNumber { .. }
            | Op::Insert { .. }
            | Op::InsertNumber { .. }
            | Op::SplatNumber { .. }
            | Op::ToElement
            | Op::ToNumber
            | Op::ChooseElement(_) => self.element(inst.op, r),
            _ => self.integer(inst, r),
        }
    }

    fn constant(&mut self, to: u8, number: i64) {
        if let Ok(unsigned) = u32::try_from(number) {
            // 32 bits clear the upper half.
            if to > 7 {
                self.a.byte(0x41);
            }
            self.a.byte(0xB8 + (to & 7));
            self.a.word(unsigned as i32);
        } else if let Ok(small) = i32::try_from(number) {
            self.a.general(&[0xC7], true, 0, Rm::Reg(to), 4);
            self.a.word(small);
        } else {
            self.a.byte(0x48 | to >> 3);
            self.a.byte(0xB8 + (to & 7));
            self.a.word(number as i32);
            self.a.word((number >> 32) as i32);
        }
        self.a.line(format_args!("  mov {}, {number}", general(to)));
    }

    fn integer(&mut self, inst: &Inst, r: &mut Registers<'_>) {
        match inst.op {
            Op::Store { bytes } => {
                let value = r.take();
                let place = self.place(inst.mem.unwrap_or_else(|| no_memory(inst)), r);
                let opcode = if bytes == 1 { 0x88 } else { 0x89 };
                self.general_memory(&[opcode], "mov to", bytes == 8, value, place);
            }
            Op::Load { bytes } => {
                let to = r.take();
                let place = self.place(inst.mem.unwrap_or_else(|| no_memory(inst)), r);
                let opcode: &[u8] = if bytes == 1 { &[0x0F, 0xB6] } else { &[0x8B] };
                self.general_memory(opcode, "mov", bytes == 8, to, place);
            }
            Op::Address => {
                let to = r.take();
                let place = self.place(inst.mem.unwrap_or_else(|| no_memory(inst)), r);
                self.general_memory(&[0x8D], "lea", true, to, place);
            }
            Op::Extend { signed } => {
                let to = r.take();
                let from = match inst.mem {
                    Some(mem) => Rm::Mem(self.place(mem, r)),
                    None => Rm::Reg(r.take()),
                };
                let opcode = if signed { 0x63 } else { 0x8B };
                self.a.general(&[opcode], signed, to, from, 0);
                let shown = self.a.show(from, &|r| general(r).to_string());
                let name = if signed { "movsxd" } else { "mov32" };
                self.a.line(format_args!("  {name} {}, {shown}", general(to)));
            }
            Op::Alu { op, wide, number } => self.alu(op, wide, number, r),
            Op::Multiply { wide, number } => self.multiply(wide, number, r),
            Op::Shift { op, wide, by } => {
                let to = r.take();
                let (field, name) = match op {
                    Shift::Left => (4, "shl"),
                    Shift::Right => (5, "shr"),
                    Shift::Arithmetic => (7, "sar"),
                };
                self.a.general(&[0xC1], wide, field, Rm::Reg(to), 1);
                self.a.byte(by);
                self.a.line(format_args!("  {name} {}, {by}", general(to)));
            }
            Op::Negate => {
                let to = r.take();
                self.a.general(&[0xF7], false, 3, Rm::Reg(to), 0);
                self.a.line(format_args!("  neg {}", general(to)));
            }
            Op::High | Op::Divide => self.high_or_divide(matches!(inst.op, Op::High), r),
            Op::Set(test) => {
                let to = r.take();
                let code = self.test(test, r);
                self.a.general(&[0x0F, 0x90 + code], false, 0, Rm::Reg(to), 0);
                self.a.general(&[0x0F, 0xB6], false, to, Rm::Reg(to), 0);
                self.a.line(format_args!("  set{0} {1}; movzx {1}", condition(code), general(to)));
            }
            Op::Choose(test) => {
                let to = r.take();
                let code = self.test(test, r);
                let from = r.take();
                self.a.general(&[0x0F, 0x40 + code], true, to, Rm::Reg(from), 0);
                self.a.line(format_args!("  cmov{} {}, {}", condition(code), general(to), general(from)));
            }
            _ => panic!("invariant broken: {:?} is written where its kind is", inst.op),
        }
    }

    fn alu(&mut self, op: Alu, wide: bool, number: Option<i32>, r: &mut Registers<'_>) {
        let (field, name) = match op {
            Alu::Or => (1, "or"),
            Alu::And => (4, "and"),
            Alu::Sub => (5, "sub"),
            Alu::Xor => (6, "xor"),
        };
        let (to, _) = (r.take(), r.take());
        match number {
            Some(n) => {
                self.number_operation(field, wide, to, n);
                self.a.line(format_args!("  {name} {}, {n}", general(to)));
            }
            None => {
                let from = r.take();
                self.a.general(&[field << 3 | 3], wide, to, Rm::Reg(from), 0);
                self.a.line(format_args!("  {name} {}, {}", general(to), general(from)));
            }
        }
    }

    fn multiply(&mut self, wide: bool, number: Option<i32>, r: &mut Registers<'_>) {
        let (to, first) = (r.take(), r.take());
        match number {
            Some(n) => {
                self.a.general(&[0x69], wide, to, Rm::Reg(first), 4);
                self.a.word(n);
                self.a.line(format_args!("  imul {}, {}, {n}", general(to), general(first)));
            }
            None => {
                let second = r.take();
                self.a.general(&[0x0F, 0xAF], wide, to, Rm::Reg(second), 0);
                self.a.line(format_args!("  imul {}, {}", general(to), general(second)));
            }
        }
    }

    fn high_or_divide(&mut self, high: bool, r: &mut Registers<'_>) {
        let (_, _, by) = (r.take(), r.take(), r.take());
        if !high {
            self.a.general(&[0x33], false, 2, Rm::Reg(2), 0);
            self.a.line(format_args!("  xor rdx, rdx"));
        }
        let (field, name) = if high { (4, "mul") } else { (6, "div") };
        self.a.general(&[0xF7], true, field, Rm::Reg(by), 0);
        self.a.line(format_args!("  {name} {}", general(by)));
    }

    fn vector(&mut self, inst: &Inst, row: &rows::Row, width: Width, imm: Option<u8>, r: &mut Registers<'_>) {
        let rm = |w: &Self, r: &mut Registers<'_>| match inst.mem {
            Some(mem) => Rm::Mem(w.place(mem, r)),
            None => Rm::Reg(r.take()),
        };
        let fields = match row.form {
            Form::Three if row.accumulates => {
                let (to, _, first) = (r.take(), r.take(), r.take());
                (to, first, rm(self, r))
            }
            Form::Three => {
                let (to, first) = (r.take(), r.take());
                (to, first, rm(self, r))
            }
            Form::Two | Form::Store => (r.take(), 0, rm(self, r)),
            Form::Shift => {
                let (to, from) = (r.take(), r.take());
                (row.extension, to, Rm::Reg(from))
            }
        };
        self.a.vector(row, width, fields, imm, 0);
    }

    fn masked(&mut self, inst: &Inst, store: bool, width: Width, lanes: Option<u16>, r: &mut Registers<'_>) {
        let mut take = |wanted: bool| if wanted { r.take() } else { 0 };
        let (to, mask, value) = (take(!store), take(lanes.is_none()), take(store));
        let place = self.place(inst.mem.unwrap_or_else(|| no_memory(inst)), r);
        if self.a.level == Level::Avx2 {
            let row = if store { &rows::STORE_MASKED } else { &rows::LOAD_MASKED };
            let reg = if store { value } else { to };
            return self.a.vector(row, width, (reg, mask, Rm::Mem(place)), None, 0);
        }
        match lanes {
            Some(lanes) => {
                self.constant(SCRATCH, i64::from(lanes));
                self.a.mask_from(MASK, SCRATCH);
            }
            None => self.a.vector(&rows::VECTOR_TO_MASK, width, (MASK, 0, Rm::Reg(mask)), None, 0),
        }
        if store {
            self.a.vector(&rows::STORE, width, (value, 0, Rm::Mem(place)), None, MASK);
        } else {
            self.a.zeroing = true;
            self.a.vector(&rows::LOAD, width, (to, 0, Rm::Mem(place)), None, MASK);
            self.a.zeroing = false;
        }
    }

    /// Sets the mask register, or a vector register under AVX2, where `first` and `second` compare so.
    fn compare(&mut self, compare: Compare, width: Width, to: u8, (first, second): (u8, u8)) {
        let second = Rm::Reg(second);
        if self.a.level == Level::Avx512 {
            let (row, imm) = match compare {
                Compare::Real(predicate) => (&rows::COMPARE, predicate),
                Compare::Equal => (&rows::COMPARE_SIGNED, 0),
                Compare::Less => (&rows::COMPARE_SIGNED, 1),
                Compare::Below => (&rows::COMPARE_UNSIGNED, 1),
            };
            return self.a.vector(row, width, (MASK, first, second), Some(imm), 0);
        }
        match (compare, second) {
            (Compare::Real(predicate), _) => {
                self.a.vector(&rows::COMPARE, width, (to, first, second), Some(predicate), 0)
            }
            (Compare::Less, Rm::Reg(second)) => {
                self.a.vector(&rows::COMPARE_GREATER, width, (to, second, Rm::Reg(first)), None, 0);
            }
            (Compare::Equal, _) => self.a.vector(&rows::COMPARE_EQUAL, width, (to, first, second), None, 0),
            _ => panic!("invariant broken: AVX2 compares no unsigned numbers"),
        }
    }

    fn lanes(&mut self, op: Op, r: &mut Registers<'_>) {
        let modern = self.a.level == Level::Avx512;
        let to = r.take();
        match op {
            Op::Mask { compare, width } => {
                let pair = (r.take(), r.take());
                self.compare(compare, width, to, pair);
                if modern {
                    self.a.vector(&rows::MASK_TO_VECTOR, width, (to, 0, Rm::Reg(MASK)), None, 0);
                }
            }
            Op::MaskedBlend { compare, width } => {
                let (pair, yes, no, spare) = ((r.take(), r.take()), r.take(), r.take(), r.take());
                self.compare(compare, width, spare, pair);
                if modern {
                    self.a.vector(&rows::BLEND_BY_MASK, width, (to, no, Rm::Reg(yes)), None, MASK);
                } else {
                    self.a.vector(&rows::BLEND_BY_SIGN, width, (to, no, Rm::Reg(yes)), Some(spare << 4), 0);
                }
            }
            Op::Blend { width } => {
                let (mask, yes, no) = (r.take(), r.take(), r.take());
                if modern {
                    // The table of `mask ? yes : no`.
                    self.a.vector(&rows::TERNARY, width, (to, yes, Rm::Reg(no)), Some(0xCA), 0);
                } else {
                    self.a.vector(&rows::BLEND_BY_SIGN, width, (to, no, Rm::Reg(yes)), Some(mask << 4), 0);
                }
            }
            Op::SignBits { width } => {
                let from = r.take();
                if modern {
                    self.a.vector(&rows::VECTOR_TO_MASK, width, (MASK, 0, Rm::Reg(from)), None, 0);
                    self.a.mask_to(to, MASK);
                } else {
                    self.a.vector(&rows::SIGN_BITS, width, (to, 0, Rm::Reg(from)), None, 0);
                }
            }
            _ => panic!("invariant broken: {op:?} is written where its kind is"),
        }
    }

    fn element(&mut self, op: Op, r: &mut Registers<'_>) {
        let to = r.take();
        match op {
            Op::ToElement => {
                let from = r.take();
                self.a.vector(&rows::FROM_NUMBER, Width::X, (to, 0, Rm::Reg(from)), None, 0);
            }
            Op::ToNumber => {
                let from = r.take();
                self.a.vector(&rows::TO_NUMBER, Width::X, (from, 0, Rm::Reg(to)), None, 0);
            }
            Op::SplatNumber { width } => {
                let from = r.take();
                self.splat_number(to, from, width);
            }
            Op::Extract { lane } => {
                let from = r.take();
                self.lane_to_front(to, from, lane);
            }
            Op::ExtractNumber { lane } => {
                let (from, spare) = (r.take(), r.take());
                self.lane_to_front(spare, from, lane);
                self.a.vector(&rows::TO_NUMBER, Width::X, (spare, 0, Rm::Reg(to)), None, 0);
            }
            Op::Insert { lane, width } | Op::InsertNumber { lane, width } => {
                let (_, element, spare) = (r.take(), r.take(), r.take());
                if matches!(op, Op::Insert { .. }) {
                    self.a.vector(&rows::SPLAT, width, (spare, 0, Rm::Reg(element)), None, 0);
                } else {
                    self.splat_number(spare, element, width);
                }
                self.blend_lanes(to, spare, 1 << lane, width);
            }
            Op::ChooseElement(test) => {
                let code = self.test(test, r);
                let (yes, no) = (r.take(), r.take());
                debug_assert_eq!(to, no, "the result takes the register of the second choice");
                // Skips the move where the condition fails; its length is known once it is written.
                self.a.byte(0x70 + (code ^ 1));
                self.a.byte(0);
                self.a.line(format_args!("  j{} over the next", condition(code ^ 1)));
                let start = self.a.bytes.len();
                self.a.vector(&rows::COPY, Width::X, (to, 0, Rm::Reg(yes)), None, 0);
                self.a.bytes[start - 1] = (self.a.bytes.len() - start) as u8;
            }
            _ => panic!("invariant broken: {op:?} is written where its kind is"),
        }
    }

    fn splat_number(&mut self, to: u8, from: u8, width: Width) {
        if self.a.level == Level::Avx512 {
            return self.a.vector(&rows::SPLAT_NUMBER, width, (to, 0, Rm::Reg(from)), None, 0);
        }
        self.a.vector(&rows::FROM_NUMBER, Width::X, (to, 0, Rm::Reg(from)), None, 0);
        self.a.vector(&rows::SPLAT, width, (to, 0, Rm::Reg(to)), None, 0);
    }

    fn lane_to_front(&mut self, to: u8, from: u8, lane: u8) {
        let (quarter, rest) = (lane / 4, lane % 4);
        let mut at = from;
        if quarter > 0 {
            let whole = if self.a.level == Level::Avx512 { Width::Z } else { Width::Y };
            self.a.vector(&rows::QUARTER, whole, (from, 0, Rm::Reg(to)), Some(quarter), 0);
            at = to;
        }
        self.a.vector(&rows::PERMUTE, Width::X, (to, 0, Rm::Reg(at)), Some(rest), 0);
    }

    /// Takes the lanes of `from` whose bits are set in `lanes`.
    fn blend_lanes(&mut self, to: u8, from: u8, lanes: i32, width: Width) {
        if self.a.level == Level::Avx2 {
            return self.a.vector(&rows::BLEND_BY_NUMBER, width, (to, to, Rm::Reg(from)), Some(lanes as u8), 0);
        }
        self.constant(SCRATCH, i64::from(lanes));
        self.a.mask_from(MASK, SCRATCH);
        self.a.vector(&rows::BLEND_BY_MASK, width, (to, to, Rm::Reg(from)), None, MASK);
    }
}

fn no_memory(inst: &Inst) -> Mem {
    panic!("invariant broken: {:?} reads or writes memory", inst.op)
}
