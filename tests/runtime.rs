//! Tests of runtime: text in, text out.

mod allocations;
pub mod common;
mod data;
mod files;
mod memory;
pub mod arrays;
mod limits;
mod numbers;
pub mod pictures;
mod sequences;
mod training;
