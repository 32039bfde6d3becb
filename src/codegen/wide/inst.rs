//! The machine instructions of the wide back end, before and after their registers are known.
//!
//! In: nothing. Out: the types. Invariant: an instruction's operands stand in the order result, inputs, temporaries, then the
//! base and the index of its memory operand.

use super::rows::Row;
use regalloc2::{Operand, VReg};
use std::ops::Range;

/// The vector instructions that this back end may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// AVX2 and FMA3: 16 registers of 8 lanes.
    Avx2,
    /// AVX-512 F, DQ, VL: 32 registers of 16 lanes and mask registers.
    Avx512,
}

impl Level {
    /// Lanes of the widest register.
    pub fn lanes(self) -> usize {
        match self {
            Level::Avx2 => 8,
            Level::Avx512 => 16,
        }
    }

    /// The next level below.
    pub fn narrower(self) -> Option<Level> {
        match self {
            Level::Avx512 => Some(Level::Avx2),
            Level::Avx2 => None,
        }
    }

    /// Whether this machine has the instructions.
    #[cfg(target_arch = "x86_64")]
    pub fn is_available(self) -> bool {
        match self {
            Level::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Level::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub fn is_available(self) -> bool {
        false
    }
}

/// A vector register, or its lower half or quarter. One element occupies a quarter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Width {
    X,
    Y,
    Z,
}

impl Width {
    pub fn bytes(self) -> u32 {
        16 << self as u32
    }
}

/// Where a memory operand begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Base {
    /// A register: the operand after the inputs.
    Register,
    /// The function's stack slots.
    Frame,
    /// The constants behind the function.
    Pool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mem {
    pub base: Base,
    /// The logarithm of the index register's scale.
    pub index: Option<u8>,
    pub displacement: i32,
    /// One element, repeated in all lanes.
    pub broadcast: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Alu {
    Or,
    And,
    Sub,
    Xor,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shift {
    Left,
    Right,
    Arithmetic,
}

/// What a branch, a selection or a truth value depends on; the operands that it reads are the first inputs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// A comparison of two registers, or of one with a number; `code` is the machine's condition code.
    Compare { code: u8, wide: bool, number: Option<i32> },
    /// A truth value that is not 0.
    Truth,
}

/// How elements are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compare {
    /// The predicate of `vcmpps`.
    Real(u8),
    /// Equal, or less as signed or as unsigned integers.
    Equal,
    Less,
    Below,
}

#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// Defines the function's parameters.
    Parameters,
    Constant(i64),
    Alu {
        op: Alu,
        wide: bool,
        number: Option<i32>,
    },
    Multiply {
        wide: bool,
        number: Option<i32>,
    },
    Shift {
        op: Shift,
        wide: bool,
        by: u8,
    },
    Negate,
    Address,
    /// 32 bits to 64, with the sign or with zeros.
    Extend {
        signed: bool,
    },
    Load {
        bytes: u8,
    },
    Store {
        bytes: u8,
    },
    /// The upper half of a product of 64 bits.
    High,
    Divide,
    Set(Condition),
    Choose(Condition),
    Branch(Condition),
    Jump,
    Return,
    /// A vector instruction of the table.
    Vector {
        row: &'static Row,
        width: Width,
        imm: Option<u8>,
    },
    /// All lanes 0.
    Zero {
        width: Width,
    },
    /// All bits set where the comparison holds.
    Mask {
        compare: Compare,
        width: Width,
    },
    /// The third input where the comparison of the first two holds, else the fourth.
    MaskedBlend {
        compare: Compare,
        width: Width,
    },
    /// The second input where the first has all bits set, else the third.
    Blend {
        width: Width,
    },
    /// The sign bits of the lanes as a number.
    SignBits {
        width: Width,
    },
    /// The lanes that the mask selects, 0 elsewhere; only these are read or stored. A fixed mask is a number, any other the
    /// first input.
    MaskedLoad {
        width: Width,
        lanes: Option<u16>,
    },
    MaskedStore {
        width: Width,
        lanes: Option<u16>,
    },
    /// A lane of a vector as one element or as a number.
    Extract {
        lane: u8,
    },
    ExtractNumber {
        lane: u8,
    },
    /// A vector with one lane replaced by an element or by a number.
    Insert {
        lane: u8,
        width: Width,
    },
    InsertNumber {
        lane: u8,
        width: Width,
    },
    /// A number in all lanes.
    SplatNumber {
        width: Width,
    },
    /// A number as one element, and back.
    ToElement,
    ToNumber,
    /// One element if the condition holds, else the other.
    ChooseElement(Condition),
}

#[derive(Clone, Debug)]
pub struct Inst {
    pub op: Op,
    pub operands: Range<u32>,
    pub mem: Option<Mem>,
}

#[derive(Clone, Debug, Default)]
pub struct Block {
    pub insts: Range<u32>,
    pub params: Vec<VReg>,
    pub succs: Vec<regalloc2::Block>,
    pub preds: Vec<regalloc2::Block>,
    /// What its final jump hands to its only successor.
    pub args: Vec<VReg>,
}

/// A function while and after its instructions are selected.
#[derive(Clone, Debug, Default)]
pub struct Code {
    pub insts: Vec<Inst>,
    pub operands: Vec<Operand>,
    pub blocks: Vec<Block>,
    pub vregs: usize,
    pub pool: Vec<u8>,
    /// Bytes of the stack slots that the function asks for.
    pub slots: u32,
}

impl Code {
    pub fn operands_of(&self, inst: &Inst) -> &[Operand] {
        &self.operands[inst.operands.start as usize..inst.operands.end as usize]
    }

    /// The offset of these bytes among the constants.
    pub fn constant(&mut self, bytes: &[u8]) -> i32 {
        let found = self.pool.chunks_exact(bytes.len()).position(|c| c == bytes);
        if let Some(place) = found {
            return (place * bytes.len()) as i32;
        }
        while !self.pool.len().is_multiple_of(bytes.len()) {
            self.pool.push(0);
        }
        self.pool.extend_from_slice(bytes);
        (self.pool.len() - bytes.len()) as i32
    }
}
