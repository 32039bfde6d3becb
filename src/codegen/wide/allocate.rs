//! Registers for virtual registers.
//!
//! In: selected [`Code`]. Out: where every operand lives, and the moves between. Invariant: rsp and rbp hold the frame, and
//! r11 is left to instructions that are several of the machine's.

use super::assemble::{RBP, RSP, SCRATCH};
use super::inst::{Code, Level, Op};
use super::select::general;
use regalloc2::{
    Block, Function, Inst, InstRange, MachineEnv, Operand, Output, PReg, PRegSet, RegClass, RegallocOptions, VReg,
};

/// What a called function keeps: rbx, r12 to r15.
pub const KEPT: [usize; 5] = [3, 12, 13, 14, 15];

/// A spill slot holds 8 bytes.
pub const SLOT: u32 = 8;

pub struct Allocatable<'a> {
    pub code: &'a Code,
    pub level: Level,
}

impl Function for Allocatable<'_> {
    fn num_insts(&self) -> usize {
        self.code.insts.len()
    }

    fn num_blocks(&self) -> usize {
        self.code.blocks.len()
    }

    fn entry_block(&self) -> Block {
        Block::new(0)
    }

    fn block_insns(&self, block: Block) -> InstRange {
        let range = &self.code.blocks[block.index()].insts;
        InstRange::new(Inst::new(range.start as usize), Inst::new(range.end as usize))
    }

    fn block_succs(&self, block: Block) -> &[Block] {
        &self.code.blocks[block.index()].succs
    }

    fn block_preds(&self, block: Block) -> &[Block] {
        &self.code.blocks[block.index()].preds
    }

    fn block_params(&self, block: Block) -> &[VReg] {
        &self.code.blocks[block.index()].params
    }

    fn is_ret(&self, inst: Inst) -> bool {
        matches!(self.code.insts[inst.index()].op, Op::Return)
    }

    fn is_branch(&self, inst: Inst) -> bool {
        matches!(self.code.insts[inst.index()].op, Op::Branch(_) | Op::Jump)
    }

    fn branch_blockparams(&self, block: Block, _: Inst, _: usize) -> &[VReg] {
        &self.code.blocks[block.index()].args
    }

    fn inst_operands(&self, inst: Inst) -> &[Operand] {
        self.code.operands_of(&self.code.insts[inst.index()])
    }

    fn inst_clobbers(&self, inst: Inst) -> PRegSet {
        match self.code.insts[inst.index()].op {
            Op::High => PRegSet::empty().with(general(0)),
            Op::Divide => PRegSet::empty().with(general(2)),
            _ => PRegSet::empty(),
        }
    }

    fn num_vregs(&self) -> usize {
        self.code.vregs
    }

    fn spillslot_size(&self, class: RegClass) -> usize {
        match (class, self.level) {
            (RegClass::Float, Level::Avx512) => 8,
            (RegClass::Float, Level::Avx2) => 4,
            _ => 1,
        }
    }
}

/// The registers that may be used: those that need not be saved first.
fn environment(level: Level) -> MachineEnv {
    let (mut first, mut kept, mut vectors) = (PRegSet::empty(), PRegSet::empty(), PRegSet::empty());
    for reg in (0..16).filter(|r| ![RSP, RBP, SCRATCH].contains(&(*r as u8))) {
        if KEPT.contains(&reg) { kept.add(general(reg)) } else { first.add(general(reg)) }
    }
    for reg in 0..if level == Level::Avx512 { 32 } else { 16 } {
        vectors.add(PReg::new(reg, RegClass::Float));
    }
    let none = PRegSet::empty();
    MachineEnv {
        preferred_regs_by_class: [first, vectors, none],
        non_preferred_regs_by_class: [kept, none, none],
        scratch_by_class: [None; 3],
        fixed_stack_slots: vec![],
    }
}

pub fn allocate(code: &Code, level: Level) -> Output {
    let options = RegallocOptions { validate_ssa: cfg!(debug_assertions), ..RegallocOptions::default() };
    regalloc2::run(&Allocatable { code, level }, &environment(level), &options)
        .unwrap_or_else(|why| panic!("invariant broken: selected code can be given registers: {why}"))
}
