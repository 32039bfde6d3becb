//! The order of the stages.
pub mod pipeline;
pub mod compile;
pub mod engine;
pub mod trainer;
