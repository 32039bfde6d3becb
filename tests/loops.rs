//! From graphs to loops: the loops mean what the graph means.

mod generated;
mod run;
mod shapes;
mod table;
