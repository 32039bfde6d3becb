//! Tests of codegen: programs in, bits out.

mod generated;
mod intrinsics;
mod nests;
mod operators;
mod programs;
pub mod run;
mod weights;
