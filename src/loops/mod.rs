//! The loop IR: explicit loop nests over buffers.
//!
//! In: a fused and planned graph. Out: what both the loop interpreter and the code generator run. Invariant: the meaning of a
//! program is that of its loops run one element after the other; `LoopKind` is advice that changes no bit, except
//! `Lanes`, which *is* meaning.

pub mod intrinsics;
pub mod ir;
pub mod tree;
pub mod range;
pub mod build;
mod formula;
pub mod lower;
pub mod plan;
pub mod verify;
pub mod eval;
pub mod rewrite;
pub mod nest;
pub mod contraction;
pub mod pack;
pub mod prepack;
pub mod bind;
pub mod split;
pub mod block;
pub mod schedule;
pub mod print;
pub mod parse;
pub mod cost;
