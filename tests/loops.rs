//! From graphs to loops: the loops mean what the graph means.

mod run;
mod table;
