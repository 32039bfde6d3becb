//! From the tree to typed graphs: names, kinds, shapes, units, and the elaboration of every definition.
//!
//! In: the files' trees (the user's and `lib/*.nn`). Out: graphs and specifications, or all diagnostics at once.
//! Invariant: nothing here knows a name that `lib/` defines.

pub mod signature;
pub mod spec;
