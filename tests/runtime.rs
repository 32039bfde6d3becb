//! Tests of runtime: text in, text out.

mod allocations;
pub mod common;
mod data;
mod files;
mod memory;
mod numbers;
mod sequences;
mod training;
