//! From allocated code to bytes.
//!
//! In: [`Code`] and its allocation. Out: the function's bytes and text. Invariant: blocks stand in their order; one that is
//! nothing but a jump has no bytes, and who goes to it goes to where it jumps.

use super::allocate::{KEPT, SLOT};
use super::assemble::{Assembler, Label, Place, RBP, RSP, Reg, Rm, general};
use super::inst::*;
use super::rows;
use regalloc2::{Allocation, Edit, InstOrEdit, Output, RegClass};

pub struct Writer<'a> {
    pub a: Assembler,
    code: &'a Code,
    output: &'a Output,
    /// Where going to a block leads.
    targets: Vec<Label>,
    saved: Vec<Reg>,
    frame: u32,
}

/// The registers of one instruction, taken in the order of its operands.
pub struct Registers<'a> {
    allocations: &'a [Allocation],
    next: usize,
}

impl Registers<'_> {
    pub fn take(&mut self) -> Reg {
        self.next += 1;
        register(self.allocations[self.next - 1])
    }
}

fn register(allocation: Allocation) -> Reg {
    match allocation.as_reg() {
        Some(reg) => reg.hw_enc() as Reg,
        None => panic!("invariant broken: every operand is asked for in a register"),
    }
}

pub fn write(code: &Code, output: &Output, level: Level, text: bool) -> (Vec<u8>, String) {
    let blocks = code.blocks.len();
    let a = Assembler::new(level, blocks, text);
    let spills = output.num_spillslots as u32 * SLOT;
    let frame = (spills.next_multiple_of(64) + code.slots).next_multiple_of(64);
    let mut writer = Writer { a, code, output, targets: (0..blocks).collect(), saved: saved(output), frame };
    writer.thread_jumps();
    writer.enter();
    for block in 0..blocks {
        writer.block(block);
    }
    writer.a.finish(&code.pool)
}

/// The registers that the caller wants back, of those in use.
fn saved(output: &Output) -> Vec<Reg> {
    let mut used = [false; 16];
    let mut see = |allocation: &Allocation| {
        if let Some(reg) = allocation.as_reg().filter(|r| r.class() == RegClass::Int) {
            used[reg.hw_enc()] = true;
        }
    };
    output.allocs.iter().for_each(&mut see);
    for (_, Edit::Move { from, to }) in &output.edits {
        see(from);
        see(to);
    }
    KEPT.iter().filter(|&&r| used[r]).map(|&r| r as Reg).collect()
}

impl Writer<'_> {
    fn steps(&self, block: usize) -> Vec<InstOrEdit<'_>> {
        let all = super::allocate::Allocatable { code: self.code, level: self.a.level };
        let steps = self.output.block_insts_and_edits(&all, regalloc2::Block::new(block));
        steps.filter(|s| !matches!(s, InstOrEdit::Edit(Edit::Move { from, to }) if from == to)).collect()
    }

    /// A block that only jumps leads to where it jumps.
    fn thread_jumps(&mut self) {
        for block in (1..self.code.blocks.len()).rev() {
            let steps = self.steps(block);
            let only = match steps.as_slice() {
                [InstOrEdit::Inst(inst)] => matches!(self.code.insts[inst.index()].op, Op::Jump),
                _ => false,
            };
            let target = self.code.blocks[block].succs.first().map(|s| s.index());
            if let (true, Some(target)) = (only, target.filter(|t| *t != block)) {
                self.targets[block] = target;
            }
        }
    }

    fn target(&self, block: usize) -> Label {
        let mut at = block;
        for _ in 0..self.targets.len() {
            if self.targets[at] == at {
                break;
            }
            at = self.targets[at];
        }
        at
    }

    /// The block whose bytes stand behind this one's.
    fn following(&self, block: usize) -> Option<Label> {
        (block + 1..self.targets.len()).find(|&b| self.targets[b] == b)
    }

    fn enter(&mut self) {
        self.push_or_pop(0x50, RBP);
        self.move_general(RBP, RSP);
        for reg in self.saved.clone() {
            self.push_or_pop(0x50, reg);
        }
        if self.frame > 0 {
            // sub rsp, frame; and rsp, -64
            self.a.general(&[0x81], true, 5, Rm::Reg(RSP), 4);
            self.a.word(self.frame as i32);
            self.a.general(&[0x83], true, 4, Rm::Reg(RSP), 1);
            self.a.byte(0xC0);
            self.a.line(format_args!("  sub rsp, {}; and rsp, -64", self.frame));
        }
    }

    fn leave(&mut self) {
        self.a.zero_upper();
        if self.frame > 0 {
            let displacement = -8 * self.saved.len() as i32;
            let at = Place { base: Some(RBP), index: None, displacement, broadcast: false };
            self.a.general(&[0x8D], true, RSP, Rm::Mem(at), 0);
            self.a.line(format_args!("  lea rsp, [rbp {displacement:+}]"));
        }
        for reg in self.saved.clone().into_iter().rev() {
            self.push_or_pop(0x58, reg);
        }
        self.push_or_pop(0x58, RBP);
        self.a.byte(0xC3);
        self.a.line(format_args!("  ret"));
    }

    fn push_or_pop(&mut self, opcode: u8, reg: Reg) {
        if reg > 7 {
            self.a.byte(0x41);
        }
        self.a.byte(opcode + (reg & 7));
        self.a.line(format_args!("  {} {}", if opcode == 0x50 { "push" } else { "pop" }, general(reg)));
    }

    pub fn move_general(&mut self, to: Reg, from: Reg) {
        self.a.general(&[0x8B], true, to, Rm::Reg(from), 0);
        self.a.line(format_args!("  mov {}, {}", general(to), general(from)));
    }

    fn block(&mut self, block: usize) {
        if self.targets[block] != block {
            return;
        }
        self.a.bind(block);
        let (code, output) = (self.code, self.output);
        let all = super::allocate::Allocatable { code, level: self.a.level };
        for step in output.block_insts_and_edits(&all, regalloc2::Block::new(block)) {
            match step {
                InstOrEdit::Edit(Edit::Move { from, to }) => self.edit(*from, *to),
                InstOrEdit::Inst(inst) => {
                    let mut registers = Registers { allocations: output.inst_allocs(inst), next: 0 };
                    let inst = &code.insts[inst.index()];
                    match inst.op {
                        Op::Parameters => {}
                        Op::Jump => self.go(block, code.blocks[block].succs[0].index()),
                        Op::Branch(condition) => {
                            let code_ = self.test(condition, &mut registers);
                            let succs = &code.blocks[block].succs;
                            self.branch(block, code_, succs[0].index(), succs[1].index());
                        }
                        Op::Return => self.leave(),
                        _ => self.inst(inst, &mut registers),
                    }
                }
            }
        }
    }

    fn go(&mut self, from: usize, to: usize) {
        let target = self.target(to);
        if self.following(from) != Some(target) {
            self.a.jump(None, target);
        }
    }

    fn branch(&mut self, from: usize, code: u8, then: usize, other: usize) {
        let (then, other) = (self.target(then), self.target(other));
        if self.following(from) == Some(then) {
            // Condition codes come in pairs of opposites.
            self.a.jump(Some(code ^ 1), other);
        } else {
            self.a.jump(Some(code), then);
            self.go(from, other);
        }
    }

    fn slot(&self, allocation: Allocation) -> Option<Place> {
        let displacement = (allocation.as_stack()?.index() as u32 * SLOT) as i32;
        Some(Place { base: Some(RSP), index: None, displacement, broadcast: false })
    }

    fn edit(&mut self, from: Allocation, to: Allocation) {
        if from == to {
            return;
        }
        let class = from.as_reg().or(to.as_reg()).map(|r| r.class());
        let whole = if self.a.level == Level::Avx512 { Width::Z } else { Width::Y };
        match (self.slot(from), self.slot(to), class) {
            (None, None, Some(RegClass::Int)) => self.move_general(register(to), register(from)),
            (None, None, _) => self.a.vector(&rows::COPY, whole, (register(to), 0, Rm::Reg(register(from))), None, 0),
            (Some(slot), None, Some(RegClass::Int)) => self.general_memory(&[0x8B], "mov", true, register(to), slot),
            (Some(slot), None, _) => self.a.vector(&rows::LOAD, whole, (register(to), 0, Rm::Mem(slot)), None, 0),
            (None, Some(slot), Some(RegClass::Int)) => {
                self.general_memory(&[0x89], "mov to", true, register(from), slot);
            }
            (None, Some(slot), _) => self.a.vector(&rows::STORE, whole, (register(from), 0, Rm::Mem(slot)), None, 0),
            (Some(_), Some(_), _) => panic!("invariant broken: no move is from the stack to the stack"),
        }
    }

    pub fn general_memory(&mut self, opcode: &[u8], name: &str, wide: bool, reg: Reg, place: Place) {
        self.a.general(opcode, wide, reg, Rm::Mem(place), 0);
        let shown = self.a.show(Rm::Mem(place), &|r| general(r).to_string());
        self.a.line(format_args!("  {name} {}, {shown}", general(reg)));
    }

    /// The memory operand of an instruction; its registers are the last operands.
    pub fn place(&self, mem: Mem, registers: &mut Registers<'_>) -> Place {
        let spills = (self.output.num_spillslots as u32 * SLOT).next_multiple_of(64) as i32;
        let (base, displacement) = match mem.base {
            Base::Register => (Some(registers.take()), mem.displacement),
            Base::Frame => (Some(RSP), mem.displacement + spills),
            Base::Pool => (None, mem.displacement),
        };
        let index = mem.index.map(|log| (registers.take(), log));
        Place { base, index, displacement, broadcast: mem.broadcast }
    }
}
