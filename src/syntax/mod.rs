//! Source text and its tree.
//!
//! In: the bytes of a `.nn` file. Out: [`ast::File`], or diagnostics E00xx; and canonical text again (`nnc fmt`).
//! Invariant: `parse` is the only file that sees pest; `parse(print(file))` is `file` but for its spans.

pub mod ast;
