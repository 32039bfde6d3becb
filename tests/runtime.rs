//! Tests of runtime: text in, text out.

mod allocations;
mod common;
mod data;
mod files;
mod numbers;
mod sequences;
mod training;
