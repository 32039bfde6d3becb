//! Loops to machine code.
//!
//! In: a program that `loops::verify` has accepted. Out: a native function that runs it on any number of threads.
//! Invariant: the bits of the loop interpreter (NaNs count as equal), whatever the schedule, the machine and the threads.
//! Every access is in range because the program was verified and the run checks the rows that it binds.

mod access;
mod alike;
mod address;
pub mod analysis;
pub mod context;
mod depend;
mod emit;
mod function;
mod index;
mod kernel;
mod lanes;
mod module;
mod nest;
mod pseudo;
mod reduce;
mod share;
mod step;
mod straight;
mod transpose;
mod unit;
pub mod watch;
mod wide;

pub use kernel::table;
pub use module::{Cache, Compiled, Options, Vectors, compile, compile_with};
