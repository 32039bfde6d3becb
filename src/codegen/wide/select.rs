//! Chooses machine instructions for a function in Cranelift's form.
//!
//! In: the function that the emitter wrote. Out: [`Code`] with virtual registers. Invariant: every result is that of the
//! instruction's meaning, bit for bit (NaNs count as equal).
//!
//! Blocks and instructions are visited from the last to the first, so that an instruction whose results nobody asks for in a
//! register (an address folded into an access, a comparison folded into a branch) is never written.

use super::inst::*;
use super::operands::code;
use cranelift_codegen::entity::SecondaryMap;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, Function, InstructionData, Opcode, Type, Value, ValueDef, types};
use regalloc2::{Operand, PReg, RegClass, VReg};

/// The registers of the first four parameters in the calling convention of Unix: rdi, rsi, rdx, rcx.
const PARAMETERS: [usize; 4] = [7, 6, 2, 1];
const RAX: usize = 0;
const RDX: usize = 2;

pub fn general(reg: usize) -> PReg {
    PReg::new(reg, RegClass::Int)
}

pub struct Selector<'f> {
    pub func: &'f Function,
    pub level: Level,
    pub code: Code,
    vregs: SecondaryMap<Value, Option<VReg>>,
    /// How many instructions read each value.
    pub uses: SecondaryMap<Value, u32>,
    /// Per instruction: its block and the stores before it; a load moves only between equal colours.
    pub colours: SecondaryMap<ir::Inst, u32>,
    pub slots: SecondaryMap<ir::StackSlot, u32>,
    /// What the instruction at hand becomes, in order.
    sequence: Vec<Inst>,
    pub at: Option<ir::Inst>,
}

/// The operand list of an instruction in the making.
#[derive(Default)]
pub struct Operands {
    pub list: Vec<Operand>,
    pub mem: Option<Mem>,
}

impl Operands {
    pub fn result(vreg: VReg) -> Operands {
        Operands { list: vec![Operand::reg_def(vreg)], mem: None }
    }

    /// The result takes the register of input `input`, counted from 1.
    pub fn over(vreg: VReg, input: usize) -> Operands {
        Operands { list: vec![Operand::reg_reuse_def(vreg, input)], mem: None }
    }

    pub fn read(mut self, vreg: VReg) -> Operands {
        self.list.push(Operand::reg_use(vreg));
        self
    }

    pub fn memory(mut self, (mem, registers): (Mem, Vec<VReg>)) -> Operands {
        self.list.extend(registers.into_iter().map(Operand::reg_use));
        self.mem = Some(mem);
        self
    }
}

pub fn select(func: &Function, level: Level) -> Code {
    let mut selector = Selector {
        func,
        level,
        code: Code::default(),
        vregs: SecondaryMap::new(),
        uses: SecondaryMap::new(),
        colours: SecondaryMap::new(),
        slots: SecondaryMap::new(),
        sequence: vec![],
        at: None,
    };
    selector.survey();
    super::blocks::select_blocks(&mut selector);
    selector.code
}

impl<'f> Selector<'f> {
    fn survey(&mut self) {
        for (slot, data) in &self.func.sized_stack_slots {
            self.slots[slot] = self.code.slots;
            self.code.slots += data.size.next_multiple_of(64);
        }
        let mut colour = 0;
        for block in self.func.layout.blocks() {
            colour += 1;
            for inst in self.func.layout.block_insts(block) {
                self.colours[inst] = colour;
                if matches!(self.func.dfg.insts[inst].opcode(), Opcode::Store | Opcode::Call) {
                    colour += 1;
                }
                for value in self.func.dfg.inst_values(inst) {
                    let value = self.resolve(value);
                    self.uses[value] += 1;
                }
            }
        }
    }

    pub fn class(ty: Type) -> RegClass {
        if ty.is_vector() || ty.is_float() { RegClass::Float } else { RegClass::Int }
    }

    pub fn ty(&self, value: Value) -> Type {
        self.func.dfg.value_type(value)
    }

    /// The instruction that makes `value`, unless a block's parameter is.
    pub fn definition(&self, value: Value) -> Option<(ir::Inst, &'f InstructionData)> {
        match self.func.dfg.value_def(value) {
            ValueDef::Result(inst, _) => Some((inst, &self.func.dfg.insts[inst])),
            _ => None,
        }
    }

    /// The value whose register holds the bits of `value`: through changes of type that move no bit. Truth values are 0 or 1 in
    /// 64 bits; above the 32 bits of a number stands anything.
    pub fn resolve(&self, value: Value) -> Value {
        let value = self.func.dfg.resolve_aliases(value);
        let moved = match self.definition(value) {
            Some((_, &InstructionData::Unary { opcode: Opcode::Ireduce, arg })) => arg,
            Some((_, &InstructionData::Unary { opcode: Opcode::Uextend, arg })) if self.ty(arg) == types::I8 => arg,
            Some((_, &InstructionData::LoadNoOffset { opcode: Opcode::Bitcast, arg, .. }))
                if Self::class(self.ty(arg)) == Self::class(self.ty(value)) =>
            {
                arg
            }
            _ => return value,
        };
        self.resolve(moved)
    }

    pub fn fresh(&mut self, class: RegClass) -> VReg {
        self.code.vregs += 1;
        VReg::new(self.code.vregs - 1, class)
    }

    /// The register that `value` is asked for in, if it is.
    pub fn asked(&self, value: Value) -> Option<VReg> {
        self.vregs[value]
    }

    /// The register of `value`, made for it at its definition; constants are made anew.
    pub fn reg(&mut self, value: Value) -> VReg {
        let value = self.resolve(value);
        if let Some(number) = self.number(value) {
            let vreg = self.fresh(RegClass::Int);
            self.push(Op::Constant(number), Operands::result(vreg));
            return vreg;
        }
        if let Some(vreg) = self.constant_vector(value) {
            return vreg;
        }
        if let Some(vreg) = self.vregs[value] {
            return vreg;
        }
        let vreg = self.fresh(Self::class(self.ty(value)));
        self.vregs[value] = Some(vreg);
        vreg
    }

    /// The number that `value` always is.
    pub fn number(&self, value: Value) -> Option<i64> {
        let value = self.resolve(value);
        match self.definition(value) {
            Some((_, &InstructionData::UnaryImm { opcode: Opcode::Iconst, imm })) => Some(imm.bits()),
            _ => None,
        }
    }

    pub fn small(&self, value: Value) -> Option<i32> {
        self.number(value).and_then(|n| i32::try_from(n).ok())
    }

    pub fn push(&mut self, op: Op, operands: Operands) {
        let start = self.code.operands.len() as u32;
        self.code.operands.extend(operands.list);
        let operands_end = self.code.operands.len() as u32;
        self.sequence.push(Inst { op, operands: start..operands_end, mem: operands.mem });
    }

    pub fn take_sequence(&mut self) -> Vec<Inst> {
        std::mem::take(&mut self.sequence)
    }

    pub fn parameters(&mut self, params: &[Value]) {
        let mut operands = Operands::default();
        for (&param, &reg) in params.iter().zip(&PARAMETERS) {
            let vreg = self.reg(param);
            operands.list.push(Operand::reg_fixed_def(vreg, general(reg)));
        }
        self.push(Op::Parameters, operands);
    }

    /// An instruction that gives a whole number, a truth value or nothing.
    pub fn integer(&mut self, inst: ir::Inst, data: &InstructionData, result: Option<(Value, VReg)>) {
        if let (InstructionData::Store { args: [value, base], offset, .. }, _) = (data, result) {
            return self.store(*value, *base, (*offset).into());
        }
        let Some((value, to)) = result else {
            panic!("invariant broken: the emitter writes {} in no kernel", self.func.dfg.display_inst(inst))
        };
        let wide = self.ty(value) == types::I64;
        match *data {
            InstructionData::Load { opcode: Opcode::Load, arg, offset, .. } => {
                let at = self.address(arg, offset.into());
                self.push(Op::Load { bytes: self.ty(value).bytes() as u8 }, Operands::result(to).memory(at));
            }
            InstructionData::StackAddr { .. } => {
                let at = self.address(value, 0);
                self.push(Op::Address, Operands::result(to).memory(at));
            }
            InstructionData::IntCompare { .. } => {
                let (condition, reads) = self.condition(value);
                let operands = reads.into_iter().fold(Operands::result(to), Operands::read);
                self.push(Op::Set(condition), operands);
            }
            InstructionData::FloatCompare { .. } => self.truth_of_comparison(value, to),
            InstructionData::Ternary { opcode: Opcode::Select, args: [c, x, y] } => {
                let (condition, reads) = self.condition(c);
                let (x, y) = (self.reg(x), self.reg(y));
                let place = reads.len() + 2;
                let operands = reads.into_iter().fold(Operands::over(to, place), Operands::read);
                self.push(Op::Choose(condition), operands.read(x).read(y));
            }
            InstructionData::Unary { opcode, arg } => self.unary(opcode, arg, to),
            InstructionData::LoadNoOffset { opcode: Opcode::Bitcast, arg, .. } => {
                let operands = Operands::result(to).read(self.reg(arg));
                self.push(Op::ToNumber, operands);
            }
            InstructionData::BinaryImm8 { opcode: Opcode::Extractlane, arg, imm } => self.extract(arg, imm, to),
            InstructionData::Binary { opcode, args: [a, b] } => self.binary(opcode, wide, (a, b), to, value),
            _ => panic!("invariant broken: the emitter writes {} in no kernel", self.func.dfg.display_inst(inst)),
        }
    }

    fn unary(&mut self, opcode: Opcode, arg: Value, to: VReg) {
        match opcode {
            Opcode::Sextend | Opcode::Uextend => {
                let signed = opcode == Opcode::Sextend;
                let operands = match self.movable_load(arg) {
                    Some((base, offset)) => {
                        let at = self.address(base, offset);
                        Operands::result(to).memory(at)
                    }
                    None => Operands::result(to).read(self.reg(arg)),
                };
                self.push(Op::Extend { signed }, operands);
            }
            Opcode::Bmask => {
                let operands = Operands::over(to, 1).read(self.reg(arg));
                self.push(Op::Negate, operands);
            }
            Opcode::FcvtToSintSat => {
                let element = self.truncated(arg);
                self.push(Op::ToNumber, Operands::result(to).read(element));
            }
            Opcode::VhighBits => {
                let width = self.width(arg);
                let operands = Operands::result(to).read(self.reg(arg));
                self.push(Op::SignBits { width }, operands);
            }
            other => panic!("invariant broken: the emitter writes {other} in no kernel"),
        }
    }

    fn binary(&mut self, opcode: Opcode, wide: bool, (a, b): (Value, Value), to: VReg, value: Value) {
        let number = self.small(b);
        let alu = |op| Op::Alu { op, wide, number };
        let op = match opcode {
            Opcode::Iadd => {
                let at = self.address(value, 0);
                return self.push(Op::Address, Operands::result(to).memory(at));
            }
            Opcode::Isub => alu(Alu::Sub),
            Opcode::Band => alu(Alu::And),
            Opcode::Bor => alu(Alu::Or),
            Opcode::Bxor => alu(Alu::Xor),
            Opcode::Imul => {
                let first = self.reg(a);
                let operands = match number {
                    Some(_) => Operands::result(to).read(first),
                    None => Operands::over(to, 1).read(first).read(self.reg(b)),
                };
                return self.push(Op::Multiply { wide, number }, operands);
            }
            Opcode::Ishl | Opcode::Ushr | Opcode::Sshr => {
                let op = match opcode {
                    Opcode::Ishl => Shift::Left,
                    Opcode::Ushr => Shift::Right,
                    _ => Shift::Arithmetic,
                };
                let Some(by) = number else { panic!("invariant broken: the emitter shifts by numbers") };
                let operands = Operands::over(to, 1).read(self.reg(a));
                return self.push(Op::Shift { op, wide, by: by as u8 }, operands);
            }
            Opcode::Umin | Opcode::Umax => {
                let (x, y) = (self.reg(a), self.reg(b));
                let least = opcode == Opcode::Umin;
                let first = if least { IntCC::UnsignedLessThan } else { IntCC::UnsignedGreaterThan };
                let condition = Condition::Compare { code: code(first), wide, number: None };
                let operands = Operands::over(to, 4).read(x).read(y).read(x).read(y);
                return self.push(Op::Choose(condition), operands);
            }
            Opcode::Umulhi | Opcode::Udiv => return self.high_or_divide(opcode, (a, b), to),
            other => panic!("invariant broken: the emitter writes {other} in no kernel"),
        };
        let operands = Operands::over(to, 1).read(self.reg(a));
        let operands = if number.is_some() { operands } else { operands.read(self.reg(b)) };
        self.push(op, operands);
    }

    /// Both work in rax and rdx.
    fn high_or_divide(&mut self, opcode: Opcode, (a, b): (Value, Value), to: VReg) {
        let (a, b) = (self.reg(a), self.reg(b));
        let (op, result, second) = match opcode {
            Opcode::Umulhi => (Op::High, RDX, Operand::reg_use(b)),
            // The dividend's upper half is set before the divisor is read.
            _ => (Op::Divide, RAX, Operand::reg_use_at_end(b)),
        };
        let list = vec![Operand::reg_fixed_def(to, general(result)), Operand::reg_fixed_use(a, general(RAX)), second];
        self.push(op, Operands { list, mem: None });
    }

    fn store(&mut self, value: Value, base: Value, offset: i32) {
        let ty = self.ty(value);
        if Self::class(ty) == RegClass::Float {
            return self.store_vector(value, base, offset);
        }
        let read = self.reg(value);
        let at = self.address(base, offset);
        self.push(Op::Store { bytes: ty.bytes() as u8 }, Operands::default().read(read).memory(at));
    }
}
