//! What every stage shares: places in the text, messages about them, element types and shapes.
//!
//! In: nothing. Out: plain values. Invariant: this module knows no stage of the compiler.

pub mod span;
pub mod diagnostic;
pub mod shape;
pub mod names;
pub mod both;

pub use diagnostic::{Diagnostic, Edit, Fix, Label, Severity};
pub use shape::{DType, Extent, Shape, Type};
pub use span::{FileId, SourceMap, Span};
