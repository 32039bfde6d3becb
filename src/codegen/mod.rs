//! Loops to machine code.

pub mod context;
