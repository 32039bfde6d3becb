//! The tree of a source file, as written: nothing is resolved.
//!
//! In: what `parse` found. Out: what `check` and `print` read. Invariant: every node has the span of its own text, and
//! nesting is at most [`MAX_DEPTH`] deep (chains such as `a + b + c` and `x -> f -> g` are lists), so that recursion over
//! the tree, its drop included, is safe.

use crate::base::Span;
use std::sync::Arc;

/// The deepest nesting of brackets, blocks and prefix operators that the parser accepts.
pub const MAX_DEPTH: usize = 256;

#[derive(Clone, PartialEq, Debug)]
pub struct Ident {
    pub text: String,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct File {
    pub items: Vec<Item>,
    /// All comments in order of the source, for `print`; `text` starts with `//`.
    pub comments: Vec<Comment>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Comment {
    pub text: String,
    pub span: Span,
    /// True where only blanks stand before it on its line.
    pub own_line: bool,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Item {
    pub kind: ItemKind,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub enum ItemKind {
    /// `use "blocks.nn"`
    Use { path: Str },
    /// `const temp = 4`
    Const { name: Ident, value: Arc<Expr> },
    /// `data iris = csv("iris.csv") { … }`; `reader` is the call without its body.
    Data { name: Ident, reader: Expr, body: Vec<Stmt> },
    /// `fn init block op loss optimizer model`: one form for all. Shared: a definition may be as long as the file.
    Def(Arc<Def>),
    /// `train mlp(D = 4) on iris as name { … }`
    Train { model: Ident, args: Vec<Arg>, data: Ident, alias: Option<Ident>, body: Vec<Stmt> },
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DefKind {
    Fn,
    Init,
    Block,
    Op,
    Loss,
    Optimizer,
    Model,
}

/// `block stage(out, k, pad = 0)  [H, W, _] -> [_, _, out] { … }`
#[derive(Clone, PartialEq, Debug)]
pub struct Def {
    pub kind: DefKind,
    pub name: Ident,
    pub params: Vec<ParamDecl>,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
    pub body: Vec<Stmt>,
}

/// A setting of a definition. A parameter that takes a body (`{ … }` of a combinator) is written `body`.
#[derive(Clone, PartialEq, Debug)]
pub struct ParamDecl {
    pub name: Ident,
    pub default: Option<Expr>,
}

/// An input or output: `x: [4]`, `z: logits[K]`, `[H, W, _]`, `logits[10]`, `w`. A lone word is a name in an input
/// (`w, g`) and a kind in an output (`-> prob`): `check` decides; the parser puts it into `name`.
#[derive(Clone, PartialEq, Debug)]
pub struct Port {
    pub name: Option<Ident>,
    pub ty: Option<TypeExpr>,
    pub span: Span,
}

/// `class(3)`, `token(V)[T]`, `[28, 28, 1]`, `logits[T, V]`: a kind, its arguments, and the axes; at least one of kind and
/// axes is there. `..` as an axis is `ExprKind::Rest`, `_` is `ExprKind::Wildcard`.
#[derive(Clone, PartialEq, Debug)]
pub struct TypeExpr {
    pub kind: Option<Ident>,
    pub args: Vec<Expr>,
    pub dims: Option<Vec<Expr>>,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Stmt {
    pub kind: StmtKind,
    pub span: Span,
}

/// The rare and large forms are boxed: a file may have millions of statements.
#[derive(Clone, PartialEq, Debug)]
pub enum StmtKind {
    /// `a = …`, `i, f = …`, `y[t, d] = …`, `schedule.lr = …`, `x: [4] = …`
    Bind { targets: Vec<Target>, value: Expr },
    /// `x: [784]` without a value: a field that is given from outside.
    Field { name: Ident, ty: Box<TypeExpr> },
    /// `param weight: [D] = ones`
    Param(Box<Slot>),
    /// `state m = 0, v = 0`
    State(Vec<Slot>),
    /// `assert D % heads == 0, "…"`
    Assert { condition: Expr, message: Option<Str> },
    /// `expect test.accuracy >= 0.93`
    Expect(Expr),
    /// `train { … }` / `infer { … }` inside an op: only in that phase.
    Phase { train: bool, body: Vec<Stmt> },
    /// `scan(T) h: [units] = 0, c: [units] = 0 { … }`
    Scan { args: Vec<Arg>, states: Vec<Slot>, body: Vec<Stmt> },
    /// A pipeline, a result, or a call such as `split(…)`.
    Expr(Expr),
}

/// The left side of a binding.
#[derive(Clone, PartialEq, Debug)]
pub struct Target {
    /// `schedule.lr` has two parts.
    pub path: Vec<Ident>,
    /// `[t, d]` of an indexed equation.
    pub index: Option<Vec<Expr>>,
    pub ty: Option<Box<TypeExpr>>,
    pub span: Span,
}

/// A stored tensor: its name, its axes if given, its first value.
#[derive(Clone, PartialEq, Debug)]
pub struct Slot {
    pub name: Ident,
    pub ty: Option<TypeExpr>,
    pub init: Option<Expr>,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Str {
    pub text: String,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

impl Expr {
    /// The word, where it is nothing but a name.
    pub fn name(&self) -> Option<&str> {
        match &self.kind {
            ExprKind::Name(n) => Some(n),
            _ => None,
        }
    }
}

#[derive(Clone, PartialEq, Debug)]
pub enum ExprKind {
    /// `3`, `0.5`, `3_000`, `1e-3`, with a unit where one is written: `10 epochs`, `80%` (its value is 80).
    Number {
        value: f64,
        integer: bool,
        unit: Option<Unit>,
    },
    Str(String),
    /// A name, also `true` and `false`.
    Name(String),
    /// `_`
    Wildcard,
    /// `..`
    Rest,
    /// `test.accuracy`, `embed.transposed`
    Field(Box<Expr>, Ident),
    Call(Box<Call>),
    /// `x[t, d]`, `pad(x, 0)[i + u, c]`
    Index(Box<Expr>, Vec<Expr>),
    /// `[x[t], h]`, `[400]`; also `accuracy, confusion` behind `=`, which begins where its first element does.
    List(Vec<Expr>),
    /// `0..1`, `3e-4 .. 3e-5`
    Range(Box<Expr>, Box<Expr>),
    Unary(UnaryOp, Box<Expr>),
    /// Operators of one precedence level, left to right: `a - b + c` is `a` and `[(Sub, b), (Add, c)]`.
    /// `^` is right-associative and has exactly one pair. Each operator keeps its own span.
    Binary(Box<Expr>, Vec<(BinaryOp, Span, Expr)>),
    /// `x -> dense(16) -> relu`: at least two parts. The spans are those of the arrows.
    Pipe(Box<Expr>, Vec<(Span, Expr)>),
    /// `( … )`: kept so that canonical printing does not lose the user's brackets.
    Paren(Box<Expr>),
}

/// `dense(16, bias = false)`, `sum[d](x)`, `repeat(4) { … }`, `if(c) { … } else { … }`, `residual { … }`.
#[derive(Clone, PartialEq, Debug)]
pub struct Call {
    pub callee: Ident,
    /// `[d]` of a reduction.
    pub axes: Option<Vec<Expr>>,
    /// `None` where no parentheses are written (`residual { … }`).
    pub args: Option<Vec<Arg>>,
    pub body: Option<Vec<Stmt>>,
    /// The body after `else`, only of `if`.
    pub otherwise: Option<Vec<Stmt>>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Arg {
    pub name: Option<Ident>,
    pub value: Expr,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    Percent,
    Epochs,
    Steps,
    Seconds,
    Minutes,
    Hours,
    Samples,
    Bytes,
    Kilobytes,
    Megabytes,
    Gigabytes,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnaryOp {
    Neg,
    Not,
}

/// From the loosest binding to the tightest: `|`; `or`; `then`; `and`; (`not`); comparisons; (`..`); `+ -`; `* / %`; `^`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BinaryOp {
    Alternative,
    Or,
    Then,
    And,
    Lt,
    Le,
    Gt,
    Ge,
    Eq,
    Ne,
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
}
