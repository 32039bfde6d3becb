//! The operator table: one definition per operator.
//!
//! In: nothing. Out: for each operator its name, attributes, shape rule, the formula of one output element, and its
//! gradient. Invariant: no other module has a case per operator; each asks the table.
//! The traits [`Kernel`] and [`Emit`] and the handle [`Value`] live here, so that the table needs neither graph nor loops.

pub mod scalar;
pub mod number;
pub mod attrs;
pub mod build;
pub mod elementwise;
pub mod sources;
pub mod layout;
pub mod pieces;
pub mod windows;
pub mod adjoint;
pub mod reductions;
pub mod contract;
pub mod rows;
pub mod scan;
pub mod steps;
pub mod take;
pub mod rewrite;
mod table;

use crate::base::{DType, Extent, Type};
pub use scalar::ScalarOp;
pub use table::{find, sample_domain, table};

/// A tensor value of a graph: the node with this number. Prints as `%3`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Value(pub u32);

/// A handle of a scalar inside a kernel (an element, a number); made and understood by one [`Kernel`] only.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Scalar(pub u32);

/// A handle of an integer index inside a kernel; made and understood by one [`Kernel`] only.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Index(pub u32);

/// How the terms of a reduction are joined.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ReduceKind {
    /// acc + x, from 0
    Sum,
    /// max(acc, x), from -inf; NaN stays
    Max,
    /// min(acc, x), from +inf; NaN stays
    Min,
    /// fma(x, y, acc), from 0: the body gives two scalars
    Dot,
}

/// The order in which the terms of a reduction are joined. It is a function of operator and shape alone, so that no pass
/// and no schedule changes a bit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Order {
    /// One accumulator; the last reduced axis varies fastest.
    Serial,
    /// Along the *last* reduced axis [`LANES`] accumulators, each starting from the neutral element: term `i` goes to
    /// accumulator `i % LANES`, and then they are joined by a fixed tree: `a[l] = a[l] ∘ a[l + h]` for h = 8, 4, 2, 1 (a[l] is
    /// the left operand). For `Dot` the join is addition. Earlier axes join these results serially.
    Lanes,
}

/// The number of virtual lanes of [`Order::Lanes`]: two AVX2 registers or four 128-bit ones.
pub const LANES: usize = 16;

/// What an operator's formula is written against: implemented by the interpreter with numbers and by the lowering with
/// instructions.
pub trait Kernel {
    fn constant(&mut self, value: f64, dtype: DType) -> Scalar;
    /// The element of operand `arg` at `at` (one index per axis). Indices are in range unless inside [`Kernel::guarded`].
    fn load(&mut self, arg: usize, at: &[Index]) -> Scalar;
    fn scalar(&mut self, op: ScalarOp, args: &[Scalar]) -> Scalar;
    /// Joins `body` over the index space `extents` (in row-major order). `body` returns `(x, None)`, or `(x, Some(y))` for `Dot`.
    fn reduce(&mut self, kind: ReduceKind, order: Order, extents: &[Extent], body: ReduceBody<'_>) -> Scalar;
    /// Σ, from 0 and in row-major order of the index space `extents`, of the numbers of `body` whose row (a value of type I32) is
    /// `at`. What computes whole tensors may go through the index space once and add each number to its row.
    fn scatter(&mut self, at: Index, extents: &[Extent], body: ScatterBody<'_>) -> Scalar;
    /// `constant + Σ factor · index`
    fn affine(&mut self, terms: &[(i64, Index)], constant: i64) -> Index;
    /// Floor division and remainder by a positive number.
    fn div_rem(&mut self, index: Index, by: u64) -> (Index, Index);
    /// An index as a value of type I32.
    fn index_value(&mut self, index: Index) -> Scalar;
    /// A value of type I32 as an index. The program proves or checks its range where data is bound.
    fn value_index(&mut self, value: Scalar) -> Index;
    /// `body` where `0 <= index < extent` holds for all pairs, else `otherwise`; loads in `body` never leave their operand.
    fn guarded(
        &mut self,
        inside: &[(Index, Extent)],
        body: &mut dyn FnMut(&mut dyn Kernel) -> Scalar,
        otherwise: f64,
    ) -> Scalar;
}

pub type ReduceBody<'a> = &'a mut dyn FnMut(&mut dyn Kernel, &[Index]) -> (Scalar, Option<Scalar>);

/// The row and the number of one place of a [`Kernel::scatter`].
pub type ScatterBody<'a> = &'a mut dyn FnMut(&mut dyn Kernel, &[Index]) -> (Scalar, Scalar);

/// What a gradient rule, and every pass that builds, is written against: adds nodes to a graph.
pub trait Emit {
    fn ty(&self, value: Value) -> &Type;
    /// The operator, attributes and operands of a value.
    fn parts(&self, value: Value) -> (&'static dyn OpDef, &Attrs, &[Value]);
    /// Adds a node of operator `op` (a name of the table). A rule that builds an ill-typed node is our bug: panics.
    fn emit(&mut self, op: &str, attrs: Attrs, args: &[Value]) -> Value;
}

/// An attribute's value.
#[derive(Clone, PartialEq, Debug)]
pub enum Attr {
    Int(i64),
    Ints(Vec<i64>),
    Float(f64),
    Text(String),
    Shape(Vec<Extent>),
    DType(DType),
}

/// The attributes of a node, in the order in which the operator declares them.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Attrs(pub Vec<(&'static str, Attr)>);

/// A node as its operator sees it.
pub struct Io<'a> {
    pub attrs: &'a Attrs,
    pub args: &'a [Value],
    pub arg_types: &'a [&'a Type],
    pub out: Value,
    pub ty: &'a Type,
}

/// Example operands for the generic tests: shape, gradient, machine code = interpreter. The only symbol is number 0, and
/// an I32 operand takes the values 0, 1 and 2, so that it may pick rows.
pub struct Example {
    pub attrs: Attrs,
    pub args: Vec<Type>,
}

/// One operator. No default methods: the compiler lists what a new one lacks.
pub trait OpDef: Sync {
    fn name(&self) -> &'static str;
    /// The names of the attributes, in the order of printing.
    fn attributes(&self) -> &'static [&'static str];
    /// The result's type, or what does not fit, as a sentence with both facts.
    fn infer(&self, attrs: &Attrs, args: &[&Type]) -> Result<Type, String>;
    /// The element of the result at `at`: meaning and lowering in one.
    fn element(&self, k: &mut dyn Kernel, io: &Io<'_>, at: &[Index]) -> Scalar;
    /// Per operand the gradient, given the gradient `g` of the result; `None` where there is none (indices, comparisons).
    fn grad(&self, e: &mut dyn Emit, io: &Io<'_>, g: Value) -> Vec<Option<Value>>;
    /// False for operators such as `argmax` whose gradient does not exist though their operand is real (E0312).
    fn differentiable(&self) -> bool;
    fn examples(&self) -> Vec<Example>;
}

impl std::fmt::Debug for dyn OpDef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
