//! `nnc`: a declarative language for neural networks and its compiler.
//!
//! In: the text of a `.nn` file. Out: a native training step and the run that uses it.
//! Invariant: the modules below stand in dependency order; each uses only those above it (a test holds this).

pub mod base;
pub mod syntax;
pub mod ops;
pub mod graph;
pub mod check;
pub mod passes;
pub mod loops;
pub mod codegen;
pub mod runtime;
pub mod driver;
pub mod cli;
