//! The graph: typed tensor values in static single assignment form.
//!
//! In: what `check` elaborates. Out: what the passes rewrite and `loops` lowers. Invariant: nodes stand in topological
//! order (arguments before uses), and every type follows from the operator's shape rule (`verify` holds both).

pub mod body;
pub mod builder;
pub mod verify;
pub mod print;
pub mod parse;
pub mod diff;
pub mod generate;
pub mod sample;
pub mod eval;
mod kernel;

pub use body::Body;
pub use builder::Builder;
pub use diff::diff;
pub use eval::eval;
pub use generate::generate;
pub use parse::parse;
pub use print::print;
pub use sample::random_inputs;
pub use verify::verify;

use crate::base::{Span, Type};
use crate::ops::{Attrs, OpDef, Value};

/// A function from inputs to outputs. A training step is one graph: its updated parameters are outputs with a target.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    pub name: String,
    /// The names behind `Extent::Sym`: `B` the batch, `N` the rows of the data set, …
    pub symbols: Vec<String>,
    pub inputs: Vec<Input>,
    /// What the loops do in each step; scan nodes name them by number.
    pub bodies: Vec<Body>,
    pub nodes: Vec<Node>,
    pub outputs: Vec<Output>,
}

/// What an input is, and so who fills it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// A weight that is trained: `l0.weight`.
    Param,
    /// A carried value that is not trained by gradient: running statistics, optimizer moments.
    State,
    /// A field of the data: whole columns `[N, …]` where a `gather` picks the batch, or the batch itself `[B, …]`.
    Data,
    /// The rows of the batch: `i32[B]`, every value in `0..N`.
    Rows,
    /// A scalar known to the run: `step` (f64, counts from 1), `lr`, `progress`; or `seed` (i32).
    Scalar,
}

impl Role {
    pub const ALL: [Role; 5] = [Role::Param, Role::State, Role::Data, Role::Rows, Role::Scalar];

    pub fn name(self) -> &'static str {
        match self {
            Role::Param => "param",
            Role::State => "state",
            Role::Data => "data",
            Role::Rows => "rows",
            Role::Scalar => "scalar",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    pub name: String,
    pub role: Role,
    pub ty: Type,
    pub value: Value,
    /// The definition that made it in the user's file, for messages and `summary`.
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Node {
    pub op: &'static dyn OpDef,
    pub attrs: Attrs,
    pub args: Vec<Value>,
    pub ty: Type,
    /// The call in the user's file that this node comes from: errors, `summary` and profiles name it.
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    pub name: String,
    pub value: Value,
    /// The index in `inputs` of the parameter or state that takes this value when the step ends.
    pub target: Option<usize>,
}

impl Graph {
    pub fn node(&self, value: Value) -> &Node {
        &self.nodes[value.0 as usize]
    }

    /// Every value, in order.
    pub fn values(&self) -> impl Iterator<Item = Value> + use<> {
        (0..self.nodes.len() as u32).map(Value)
    }

    /// The input that this value is, if it is one.
    pub fn input_of(&self, value: Value) -> Option<&Input> {
        let found = self.inputs.binary_search_by_key(&value, |input| input.value);
        found.ok().map(|i| &self.inputs[i])
    }

    /// The types of a node's operands.
    pub fn arg_types(&self, value: Value) -> Vec<&Type> {
        self.node(value).args.iter().map(|&arg| &self.node(arg).ty).collect()
    }
}
