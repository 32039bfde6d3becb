//! Passes: graph to graph, one file and one public function each.
//!
//! In: a verified graph. Out: a verified graph of the same meaning. Invariant: a pass makes only rewrites that are exact in
//! IEEE arithmetic; it never turns a product and a sum into an `fma`.

pub mod autodiff;

pub use autodiff::{Gradients, NotDifferentiable, differentiate};
