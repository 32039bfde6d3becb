//! The driver: what each command needs from the compiler.
//!
//! In: paths and options from the command line. Out: checked sources, stage texts, reports. Invariant: this is the only
//! place that knows the order of the stages; it prints nothing.

pub mod times;
pub mod read;
pub mod write;
pub mod pipeline;
pub mod compile;
pub mod engine;
pub mod trainer;
pub mod session;
pub mod stage;
pub mod report;
pub mod measure;
pub mod origin;
pub mod roof;
pub mod profile;
pub mod trace;
pub mod suite;
pub mod summary;
pub mod commands;
pub mod stages;

pub use session::{Options, Session};
pub use stage::Stage;
