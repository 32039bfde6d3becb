//! Tests of runtime: text in, text out.

mod allocations;
pub mod common;
mod data;
mod files;
mod memory;
mod arrays;
mod limits;
mod numbers;
mod pictures;
mod sequences;
mod training;
