//! The one integration binary; a module an area.

mod check;
mod cli;
mod codegen;
mod failures;
mod golden;
mod graph;
mod library;
mod loops;
mod models;
mod passes;
mod runtime;
mod saved;
mod speed;
mod syntax;
