//! The data of the loop IR.
//!
//! In: nothing. Out: the types. Invariant: within a kernel a [`Val`] is assigned once and used only where its assignment
//! stands before it in the same or an enclosing block.

use crate::base::{DType, Extent, Shape};
use crate::ops::{ReduceKind, ScalarOp};

/// All kernels of one native function, in the order in which they run.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Program {
    pub name: String,
    /// The names behind `Extent::Sym`; bound to numbers before a run.
    pub symbols: Vec<String>,
    pub buffers: Vec<Buffer>,
    pub kernels: Vec<Kernel>,
    /// Runs of kernels that are repeated; of two, one lies in the other or they are apart.
    pub repeats: Vec<Repeat>,
}

/// The kernels of `kernels` run once for each of `extent` steps.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Repeat {
    pub extent: Extent,
    /// From the last step to the first.
    pub reverse: bool,
    pub kernels: std::ops::Range<u32>,
}

/// A variable of a kernel that is no loop of its own: the number of the step of a repeat around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    pub var: Var,
    pub repeat: u32,
    pub extent: Extent,
}

/// Who owns the memory of a buffer.
#[derive(Clone, Debug, PartialEq)]
pub enum Home {
    /// Bound from outside under this name: parameters, states, data, rows, step scalars (rank 0, written by the run).
    Outside,
    /// In the arena, alive from kernel `first` to kernel `last` (both included).
    Arena { first: u32, last: u32 },
}

/// Row-major storage; `F32`, `I32`, or `Bool` as one byte... only `F32` and `I32` are stored (`Bool` is stored as I32 0/1).
#[derive(Clone, Debug, PartialEq)]
pub struct Buffer {
    pub name: String,
    pub dtype: DType,
    pub shape: Shape,
    pub home: Home,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct BufferId(pub u32);

/// A value inside a kernel: the instruction with this number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Val(pub u32);

/// A loop variable of a kernel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Var(pub u32);

/// One loop nest (or a few in a row over the same outer loop) that stores one or more buffers.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Kernel {
    pub name: String,
    /// Instruction `i` defines `Val(i)`; `body` says where it stands.
    pub insts: Vec<Inst>,
    /// The number of variables: steps and loops.
    pub vars: u32,
    pub steps: Vec<Step>,
    pub body: Vec<Stmt>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Stmt {
    /// Compute this instruction here.
    Let(Val),
    /// To the address that [`Inst::Load`] defines.
    Store {
        buffer: BufferId,
        at: Vec<Affine>,
        value: Val,
    },
    Loop(Loop),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Loop {
    pub var: Var,
    pub extent: Extent,
    pub kind: LoopKind,
    /// Values carried from one iteration to the next.
    pub carries: Vec<Carry>,
    pub body: Vec<Stmt>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LoopKind {
    /// One after the other.
    Serial,
    /// Iterations are independent: threads may share them, and `jam` of them may be interleaved in registers
    /// (unroll and jam; 1 = no). Only the outermost loop of a nest is split over threads.
    Parallel { jam: u8 },
    /// Iterations are independent: this many at a time (a multiple of 4) may go into vector registers.
    Vector { width: u8 },
    /// A reduction in [`crate::ops::Order::Lanes`]: the carries are joined by their reduction from `LANES` accumulators.
    Lanes,
}

/// `result` = the value after the loop. At the head of iteration 0 `current` is `init`; later it is the previous `next`.
/// In a `Lanes` loop, accumulator `i % LANES` plays that part in iteration i, every accumulator starts at `init` (the
/// neutral element of `join`), and `result` is the tree join of them all.
#[derive(Clone, Debug, PartialEq)]
pub struct Carry {
    /// Its instruction is `Inst::Result`.
    pub result: Val,
    pub init: Val,
    /// Its instruction is `Inst::Current`.
    pub current: Val,
    pub next: Val,
    pub join: ReduceKind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Inst {
    Const {
        value: f64,
        dtype: DType,
    },
    /// The element at `at`: the one at Σ at[i] · stride[i] in row-major storage. An index may leave its own axis (a whole
    /// row's number in the last one) where the sum stays inside. With a mask (a Bool value), nothing is read where it is
    /// false, and the result is 0.
    Load {
        buffer: BufferId,
        at: Vec<Affine>,
        mask: Option<Val>,
    },
    Scalar {
        op: ScalarOp,
        args: Vec<Val>,
    },
    /// An index as an I32 value.
    Index(Affine),
    /// Floor division / remainder of an index by a positive constant, as I32.
    Div {
        index: Affine,
        by: u64,
    },
    Rem {
        index: Affine,
        by: u64,
    },
    /// True where 0 <= index < extent.
    InRange {
        index: Affine,
        extent: Extent,
    },
    Current,
    Result,
}

/// `constant + Σ factor · term`
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Affine {
    pub terms: Vec<(i64, Term)>,
    pub constant: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Term {
    Var(Var),
    /// An I32 value: a gathered row, a quotient.
    Val(Val),
}
