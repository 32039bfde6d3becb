//! The wide back end: kernels in vectors of 8 or 16 lanes, which Cranelift's x64 back end does not have.
//!
//! In: a function that the emitter wrote with wide vectors. Out: its machine code, constants behind it. Invariant: the code
//! uses no register but what its caller allows, calls nothing, and reads and writes where the function says.
//!
//! Selection goes from the last instruction to the first, registers come from the allocator that Cranelift uses too, and the
//! encoder knows the few dozen instructions that kernels are made of.

mod allocate;
mod assemble;
mod blocks;
mod body;
mod exchange;
mod inst;
pub mod rows;
mod operands;
mod select;
mod vector;
mod write;

pub use inst::Level;

use cranelift_codegen::ir::Function;

/// Machine code and, if asked for, its text.
pub struct Written {
    pub bytes: Vec<u8>,
    pub text: String,
}

pub fn compile(func: &Function, level: Level, text: bool) -> Written {
    let code = select::select(func, level);
    let output = allocate::allocate(&code, level);
    let (bytes, text) = write::write(&code, &output, level, text);
    Written { bytes, text }
}
