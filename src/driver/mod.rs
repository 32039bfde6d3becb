//! The order of the stages.
pub mod pipeline;
