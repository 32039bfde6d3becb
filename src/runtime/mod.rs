//! Carrying out a checked program: data, random numbers, the training loop.
//!
//! In: specifications from `check` and compiled steps. Out: data sets, trained weights, figures. Invariant: the order of
//! the rows, and so every bit of the weights, follows from data, seed and batch size alone.

pub mod limits;
pub mod memory;
pub mod random;
pub mod data;
pub mod finite;
pub mod train;
pub mod machine;
