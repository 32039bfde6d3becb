//! Passes: graph to graph, one file and one public function each; and from a graph to the choice of its kernels.
//!
//! In: a verified graph. Out: a verified graph of the same meaning, or a [`fuse::Fusion`]. Invariant: a pass makes only
//! rewrites that are exact in IEEE arithmetic; it never turns a product and a sum into an `fma`.

pub mod autodiff;
mod reverse;
pub mod simplify;
pub mod spread;
pub mod hoist;
pub mod footprint;
pub mod fuse;
mod groups;
mod inplace;

pub use autodiff::{Gradients, NotDifferentiable, differentiate};
pub use hoist::{StepScalars, hoist};
pub use simplify::simplify;
pub use spread::spread;
