//! Tests of codegen: programs in, bits out.

mod intrinsics;
mod operators;
mod programs;
mod run;
