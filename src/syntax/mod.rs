//! Source text and its tree.
//!
//! In: the bytes of a `.nn` file. Out: [`ast::File`], or diagnostics E00xx; and canonical text again (`nnc fmt`).
//! Invariant: only `parse` sees pest; `parse(print(file))` is `file` but for its spans.

pub mod ast;
mod scan;
mod skeleton;
mod tokens;
mod expected;
mod source;
mod parse;
mod print;

pub use parse::parse;
pub use print::print;
pub use scan::MAX_INTEGER;
pub use source::decode;

/// The largest source file, in bytes: offsets must fit a span, and nobody writes more by hand.
pub const MAX_SOURCE: usize = 64 << 20;
