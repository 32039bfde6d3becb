//! Tests of runtime: text in, text out.

mod allocations;
pub mod common;
mod data;
#[cfg(target_os = "linux")]
mod faults;
mod files;
mod memory;
pub mod arrays;
mod limits;
mod numbers;
pub mod pictures;
mod sequences;
mod training;
