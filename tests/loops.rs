//! From graphs to loops: the loops mean what the graph means.

pub mod generated;
pub mod run;
mod shapes;
mod table;
