//! Passes: graph to graph, one file and one public function each; and from a graph to the choice of its kernels.
//!
//! In: a verified graph. Out: a verified graph of the same meaning, or a [`fuse::Fusion`]. Invariant: a pass makes only
//! rewrites that are exact in IEEE arithmetic; it never turns a product and a sum into an `fma`.

pub mod autodiff;
pub mod simplify;
pub mod hoist;
pub mod footprint;
pub mod fuse;
mod groups;
mod inplace;

pub use autodiff::{Gradients, NotDifferentiable, differentiate};
pub use hoist::{StepScalars, hoist};
pub use simplify::simplify;
