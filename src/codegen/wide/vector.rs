//! Instructions on elements and vectors.
//!
//! In: real and vector instructions in Cranelift's form. Out: vector instructions. Invariant: one element is computed by the
//! instructions of a quarter register, of which only the lowest lane counts; so a memory operand of one element is folded only
//! where it is repeated in all lanes.

use super::inst::*;
use super::rows::{self, Row};
use super::select::{Operands, Selector};
use cranelift_codegen::ir::{self, InstructionData, Opcode, Type, Value, types};
use regalloc2::{Operand, RegClass, VReg};

/// Rounds toward minus infinity, and raises no flag.
const FLOOR: u8 = 0x9;

impl Selector<'_> {
    pub fn width(&self, value: Value) -> Width {
        match self.ty(value).bytes() {
            64 => Width::Z,
            32 => Width::Y,
            _ => Width::X,
        }
    }

    /// The bytes of a constant element or vector, one copy of them where all lanes are equal.
    fn constant_lanes(&self, value: Value) -> Option<Vec<u8>> {
        match *self.definition(self.resolve(value))?.1 {
            InstructionData::UnaryIeee32 { imm, .. } => Some(imm.bits().to_le_bytes().to_vec()),
            InstructionData::UnaryConst { constant_handle, .. } => {
                let bytes = self.func.dfg.constants.get(constant_handle).as_slice();
                let equal = bytes.chunks_exact(4).all(|c| c == &bytes[..4]);
                Some(if equal { bytes[..4].to_vec() } else { bytes.to_vec() })
            }
            _ => None,
        }
    }

    /// A constant of the pool as a memory operand of `width`.
    fn constant_operand(&mut self, lanes: &[u8], width: Width) -> Mem {
        let mem = Mem { base: Base::Pool, index: None, displacement: 0, broadcast: false };
        if lanes.len() > 4 {
            return Mem { displacement: self.code.constant(lanes), ..mem };
        }
        match self.level {
            Level::Avx512 => Mem { displacement: self.code.constant(lanes), broadcast: true, ..mem },
            Level::Avx2 => Mem { displacement: self.code.constant(&lanes.repeat(width.bytes() as usize / 4)), ..mem },
        }
    }

    /// A constant in a register of its own.
    pub fn constant_vector(&mut self, value: Value) -> Option<VReg> {
        let lanes = self.constant_lanes(value)?;
        let (to, width) = (self.fresh(RegClass::Float), self.width(value));
        let mem = Mem { base: Base::Pool, index: None, displacement: 0, broadcast: false };
        if lanes.iter().all(|b| *b == 0) {
            self.push(Op::Zero { width }, Operands::result(to));
        } else {
            let row = if lanes.len() == 4 { &rows::SPLAT } else { &rows::LOAD };
            let mem = Mem { displacement: self.code.constant(&lanes), ..mem };
            self.push(Op::Vector { row, width, imm: None }, Operands::result(to).memory((mem, vec![])));
        }
        Some(to)
    }

    /// `value` as the memory operand of the instruction at hand, if it is a constant or a load that may move here.
    fn memory_operand(&mut self, value: Value) -> Option<(Mem, Vec<VReg>)> {
        let value = self.resolve(value);
        let width = self.width(value);
        if let Some(lanes) = self.constant_lanes(value) {
            return Some((self.constant_operand(&lanes, width), vec![]));
        }
        if self.ty(value).is_vector()
            && let Some((base, offset)) = self.movable_load(value)
        {
            return Some(self.address(base, offset));
        }
        if self.level == Level::Avx2 || self.uses[value] != 1 || self.asked(value).is_some() {
            return None;
        }
        let element = match *self.definition(value)?.1 {
            InstructionData::Unary { opcode: Opcode::Splat, arg } => arg,
            InstructionData::Load { .. } if !self.ty(value).is_vector() => value,
            _ => return None,
        };
        let (base, offset) = self.movable_load(element)?;
        let (mem, registers) = self.address(base, offset);
        Some((Mem { broadcast: true, ..mem }, registers))
    }

    /// Reads the last input from memory where it can be.
    fn last(&mut self, operands: Operands, value: Value) -> Operands {
        match self.memory_operand(value) {
            Some(at) => operands.memory(at),
            None => operands.read(self.reg(value)),
        }
    }

    fn row(&mut self, row: &'static Row, width: Width, imm: Option<u8>, operands: Operands) {
        self.push(Op::Vector { row, width, imm }, operands);
    }

    fn three(&mut self, row: &'static Row, (a, b): (Value, Value), to: VReg) {
        let commutes = [&rows::ADD, &rows::MUL, &rows::IADD, &rows::AND, &rows::OR, &rows::XOR].contains(&row);
        let (a, b) = if commutes && self.folds(a) && !self.folds(b) { (b, a) } else { (a, b) };
        let width = self.width(a);
        let operands = Operands::result(to).read(self.reg(a));
        let operands = self.last(operands, b);
        self.row(row, width, None, operands);
    }

    /// Whether [`Selector::memory_operand`] would find one.
    fn folds(&self, value: Value) -> bool {
        let value = self.resolve(value);
        self.constant_lanes(value).is_some() || self.ty(value).is_vector() && self.movable_load(value).is_some()
    }

    /// An instruction that gives real numbers or a vector.
    pub fn vector(&mut self, inst: ir::Inst, data: &InstructionData, value: Value, to: VReg) {
        let width = self.width(value);
        match *data {
            InstructionData::Load { opcode: Opcode::Load, arg, offset, .. } => {
                let at = self.address(arg, offset.into());
                let row = if self.ty(value).is_vector() { &rows::LOAD } else { &rows::LOAD_ONE };
                self.row(row, width, None, Operands::result(to).memory(at));
            }
            InstructionData::Binary { opcode, args: [a, b] } => self.vector_binary(opcode, (a, b), to),
            InstructionData::Unary { opcode, arg } => self.vector_unary(opcode, arg, width, to),
            InstructionData::Ternary { opcode: Opcode::Fma, args } => self.fma(args, width, to),
            InstructionData::Ternary { opcode: Opcode::Bitselect, args: [c, x, y] } => self.blend(c, x, y, width, to),
            InstructionData::Ternary { opcode: Opcode::Select, args: [c, x, y] } => self.choose(c, x, y, to),
            InstructionData::FloatCompare { .. } | InstructionData::IntCompare { .. } => {
                let Some((compare, a, b)) = self.comparison(value) else {
                    panic!("invariant broken: a vector of truth values is a comparison of lanes")
                };
                let (a, b) = (self.reg(a), self.reg(b));
                self.mask(compare, (a, b), width, to);
            }
            InstructionData::LoadNoOffset { opcode: Opcode::Bitcast, arg, .. } => {
                let operands = Operands::result(to).read(self.reg(arg));
                self.push(Op::ToElement, operands);
            }
            InstructionData::BinaryImm8 { opcode: Opcode::Extractlane, arg, imm } => self.extract(arg, imm, to),
            InstructionData::TernaryImm8 { opcode: Opcode::Insertlane, args: [vector, element], imm } => {
                self.insert(vector, element, imm, to);
            }
            _ => panic!("invariant broken: the emitter writes {} in no kernel", self.func.dfg.display_inst(inst)),
        }
    }

    fn vector_binary(&mut self, opcode: Opcode, (a, b): (Value, Value), to: VReg) {
        let row = match opcode {
            Opcode::Fadd => &rows::ADD,
            Opcode::Fsub => &rows::SUB,
            Opcode::Fmul => &rows::MUL,
            Opcode::Fdiv => &rows::DIV,
            Opcode::Iadd => &rows::IADD,
            Opcode::Isub => &rows::ISUB,
            Opcode::Imul => &rows::IMUL,
            Opcode::Band => &rows::AND,
            Opcode::Bor => &rows::OR,
            Opcode::Bxor => &rows::XOR,
            Opcode::Ishl | Opcode::Ushr | Opcode::Sshr => {
                let row = match opcode {
                    Opcode::Ishl => &rows::SHL,
                    Opcode::Ushr => &rows::SHR,
                    _ => &rows::SAR,
                };
                let Some(by) = self.number(b) else { panic!("invariant broken: the emitter shifts by numbers") };
                let width = self.width(a);
                let operands = Operands::result(to).read(self.reg(a));
                return self.row(row, width, Some(by as u8), operands);
            }
            other => panic!("invariant broken: the emitter writes {other} on vectors in no kernel"),
        };
        self.three(row, (a, b), to);
    }

    fn vector_unary(&mut self, opcode: Opcode, arg: Value, width: Width, to: VReg) {
        match opcode {
            Opcode::Sqrt | Opcode::Floor => {
                let (row, imm) = if opcode == Opcode::Sqrt { (&rows::SQRT, None) } else { (&rows::ROUND, Some(FLOOR)) };
                let operands = self.last(Operands::result(to), arg);
                self.row(row, width, imm, operands);
            }
            Opcode::Bnot => {
                let ones = self.constant_operand(&[0xFF; 4], width);
                let operands = Operands::result(to).read(self.reg(arg)).memory((ones, vec![]));
                self.row(&rows::XOR, width, None, operands);
            }
            Opcode::FcvtFromSint if Self::class(self.ty(arg)) == RegClass::Int => {
                let element = self.fresh(RegClass::Float);
                let operands = Operands::result(element).read(self.reg(arg));
                self.push(Op::ToElement, operands);
                self.row(&rows::TO_REAL, width, None, Operands::result(to).read(element));
            }
            Opcode::FcvtFromSint => {
                let operands = self.last(Operands::result(to), arg);
                self.row(&rows::TO_REAL, width, None, operands);
            }
            Opcode::FcvtToSintSat => {
                let integer = self.truncated(arg);
                self.row(&rows::COPY, width, None, Operands::result(to).read(integer));
            }
            Opcode::Splat => self.splat(arg, width, to),
            other => panic!("invariant broken: the emitter writes {other} on vectors in no kernel"),
        }
    }

    fn splat(&mut self, arg: Value, width: Width, to: VReg) {
        if let Some((base, offset)) = self.movable_load(arg) {
            let at = self.address(base, offset);
            return self.row(&rows::SPLAT, width, None, Operands::result(to).memory(at));
        }
        let operands = Operands::result(to).read(self.reg(arg));
        match Self::class(self.ty(arg)) {
            RegClass::Int => self.push(Op::SplatNumber { width }, operands),
            _ => self.row(&rows::SPLAT, width, None, operands),
        }
    }

    /// Toward zero; NaN is 0, and what is too large is the greatest number (what is too small is the least already).
    pub fn truncated(&mut self, arg: Value) -> VReg {
        let (width, x) = (self.width(arg), self.reg(arg));
        let [ordered, clean, whole, large, result] = [0; 5].map(|_| self.fresh(RegClass::Float));
        let limit = self.constant_operand(&(2147483648.0f32).to_bits().to_le_bytes(), width);
        let load = if limit.broadcast { &rows::SPLAT } else { &rows::LOAD };
        let limit_register = self.fresh(RegClass::Float);
        let mem = Mem { broadcast: false, ..limit };
        self.row(load, width, None, Operands::result(limit_register).memory((mem, vec![])));
        // Predicate 7: neither is NaN. Predicate 0x1D: not less.
        let compare = Compare::Real(0x07);
        self.push(Op::Mask { compare, width }, Operands::result(ordered).read(x).read(x));
        self.row(&rows::AND, width, None, Operands::result(clean).read(x).read(ordered));
        self.row(&rows::TO_INTEGER, width, None, Operands::result(whole).read(clean));
        let compare = Compare::Real(0x1D);
        self.push(Op::Mask { compare, width }, Operands::result(large).read(clean).read(limit_register));
        self.row(&rows::XOR, width, None, Operands::result(result).read(whole).read(large));
        result
    }

    /// x · y + z over the register of z, or of x where z is in memory.
    fn fma(&mut self, [x, y, z]: [Value; 3], width: Width, to: VReg) {
        let (x, y) = if self.folds(x) && !self.folds(y) { (y, x) } else { (x, y) };
        if let (false, Some(at)) = (self.folds(y), if self.folds(z) { self.memory_operand(z) } else { None }) {
            let operands = Operands::over(to, 1).read(self.reg(x)).read(self.reg(y)).memory(at);
            return self.row(&rows::FMA213, width, None, operands);
        }
        let operands = Operands::over(to, 1).read(self.reg(z)).read(self.reg(x));
        let operands = self.last(operands, y);
        self.row(&rows::FMA231, width, None, operands);
    }

    /// All bits set in the lanes where the comparison holds.
    fn mask(&mut self, compare: Compare, (a, b): (VReg, VReg), width: Width, to: VReg) {
        if compare != Compare::Below || self.level == Level::Avx512 {
            return self.push(Op::Mask { compare, width }, Operands::result(to).read(a).read(b));
        }
        // AVX2 compares signed numbers only: a < b where the lesser of both is not b.
        let [least, not] = [0; 2].map(|_| self.fresh(RegClass::Float));
        self.row(&rows::UMIN, width, None, Operands::result(least).read(a).read(b));
        let compare = Compare::Equal;
        self.push(Op::Mask { compare, width }, Operands::result(not).read(least).read(b));
        let ones = self.constant_operand(&[0xFF; 4], width);
        self.row(&rows::XOR, width, None, Operands::result(to).read(not).memory((ones, vec![])));
    }

    /// x where the lanes of c are true, else y.
    fn blend(&mut self, c: Value, x: Value, y: Value, width: Width, to: VReg) {
        let unsigned = |compare| compare == Compare::Below && self.level == Level::Avx2;
        let Some((compare, a, b)) = self.comparison(c).filter(|c| !unsigned(c.0)) else {
            let place = if self.level == Level::Avx512 { 1 } else { 0 };
            let operands = if place == 1 { Operands::over(to, 1) } else { Operands::result(to) };
            let operands = operands.read(self.reg(c)).read(self.reg(x)).read(self.reg(y));
            return self.push(Op::Blend { width }, operands);
        };
        let same = |s: &Self, p: Value, q: Value| s.resolve(p) == s.resolve(q);
        if let Compare::Real(0x11) = compare {
            // `maxps` and `minps` give their second operand unless the first is greater or less: also for NaN and zeros.
            if same(self, a, y) && same(self, b, x) {
                return self.three(&rows::MAX, (x, y), to);
            }
            if same(self, a, x) && same(self, b, y) {
                return self.three(&rows::MIN, (x, y), to);
            }
        }
        let mut operands = Operands::result(to).read(self.reg(a)).read(self.reg(b)).read(self.reg(x)).read(self.reg(y));
        let mask = self.fresh(RegClass::Float);
        operands.list.push(Operand::reg_temp(mask));
        self.push(Op::MaskedBlend { compare, width }, operands);
    }

    /// One element or the other.
    fn choose(&mut self, c: Value, x: Value, y: Value, to: VReg) {
        if self.comparison(c).is_some() {
            return self.blend(c, x, y, Width::X, to);
        }
        let (condition, reads) = self.condition(c);
        let (x, y) = (self.reg(x), self.reg(y));
        let place = reads.len() + 2;
        let operands = reads.into_iter().fold(Operands::over(to, place), Operands::read);
        self.push(Op::ChooseElement(condition), operands.read(x).read(y));
    }

    /// A comparison of two elements as 0 or 1.
    pub fn truth_of_comparison(&mut self, value: Value, to: VReg) {
        let Some((compare, a, b)) = self.comparison(value) else {
            panic!("invariant broken: a comparison of elements compares elements")
        };
        let (mask, number) = (self.fresh(RegClass::Float), self.fresh(RegClass::Int));
        let operands = Operands::result(mask).read(self.reg(a)).read(self.reg(b));
        self.push(Op::Mask { compare, width: Width::X }, operands);
        self.push(Op::ToNumber, Operands::result(number).read(mask));
        self.push(Op::Alu { op: Alu::And, wide: false, number: Some(1) }, Operands::over(to, 1).read(number));
    }

    pub fn extract(&mut self, arg: Value, lane: u8, to: VReg) {
        let mut operands = Operands::result(to).read(self.reg(arg));
        if to.class() == RegClass::Float {
            return self.push(Op::Extract { lane }, operands);
        }
        let spare = self.fresh(RegClass::Float);
        operands.list.push(Operand::reg_temp(spare));
        self.push(Op::ExtractNumber { lane }, operands);
    }

    fn insert(&mut self, vector: Value, element: Value, lane: u8, to: VReg) {
        let width = self.width(vector);
        let number = Self::class(self.ty(element)) == RegClass::Int;
        let spare = self.fresh(RegClass::Float);
        let mut operands = Operands::over(to, 1).read(self.reg(vector)).read(self.reg(element));
        operands.list.push(Operand::reg_temp(spare));
        self.push(if number { Op::InsertNumber { lane, width } } else { Op::Insert { lane, width } }, operands);
    }

    /// The lanes of a constant mask as bits, where masks have registers of their own; else the mask in a vector register.
    fn lanes_of(&mut self, mask: Value) -> (Option<u16>, Option<VReg>) {
        let lanes = self.constant_lanes(mask).filter(|_| self.level == Level::Avx512);
        match lanes {
            Some(bytes) => {
                let count = self.ty(mask).lane_count() as usize;
                let words = bytes.chunks_exact(4).cycle().take(count).enumerate();
                (Some(words.fold(0, |bits, (lane, word)| bits | u16::from(word[0] & 1) << lane)), None)
            }
            None => (None, Some(self.reg(mask))),
        }
    }

    pub fn load_masked(&mut self, inst: ir::Inst) {
        let value = self.func.dfg.inst_results(inst)[0];
        let Some(to) = self.asked(value) else { return };
        let &[base, mask] = self.func.dfg.inst_args(inst) else { panic!("invariant broken: a masked load takes two") };
        let (lanes, register) = self.lanes_of(mask);
        let at = self.address(base, 0);
        let operands = register.into_iter().fold(Operands::result(to), Operands::read).memory(at);
        let width = self.width(value);
        self.push(Op::MaskedLoad { width, lanes }, operands);
    }

    pub fn store_masked(&mut self, inst: ir::Inst) {
        let &[base, mask, value] = self.func.dfg.inst_args(inst) else {
            panic!("invariant broken: a masked store takes three")
        };
        let (lanes, register) = self.lanes_of(mask);
        let read = self.reg(value);
        let at = self.address(base, 0);
        let operands = register.into_iter().fold(Operands::default(), Operands::read).read(read).memory(at);
        let width = self.width(value);
        self.push(Op::MaskedStore { width, lanes }, operands);
    }

    pub fn store_vector(&mut self, value: Value, base: Value, offset: i32) {
        let ty: Type = self.ty(value);
        let width = self.width(value);
        let read = self.reg(value);
        let at = self.address(base, offset);
        let row = if ty == types::F32 { &rows::STORE_ONE } else { &rows::STORE };
        self.row(row, width, None, Operands::default().read(read).memory(at));
    }
}
