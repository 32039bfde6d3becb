//! The values of elaboration: what an expression can be before it is a node of a graph.
//!
//! In: nothing. Out: the types. Invariant: a tensor's graph value has exactly the axes listed, in their order; the batch
//! axis, where there is one, comes first and carries [`Label::Batch`].

use crate::base::{Extent, Span};
use crate::ops::Value;
use crate::syntax::ast::{Def, Expr, Stmt, TypeExpr, Unit};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A value with the place in the user's text that gave it: messages blame that place.
#[derive(Clone, Debug)]
pub struct Val {
    pub kind: ValKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum ValKind {
    Number(Number),
    Bool(bool),
    Text(String),
    /// A bare word that names nothing else: `same`, `none`.
    Word(String),
    /// A dimension: its name for `axis = T`, its extent in arithmetic.
    Dim {
        name: String,
        extent: Extent,
    },
    /// A number that depends on the step alone; an f64 node of rank 0.
    Scalar(Value),
    Tensor(Tensor),
    /// The branches of a fork, or a bracketed list.
    List(Vec<Val>),
    /// All weights, as in `l2(weights)`; elementwise functions apply to each.
    Set(Vec<Tensor>),
    Func(Func),
    Range(f64, f64),
    /// The step of a scan along this axis.
    Step {
        axis: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number {
    pub value: f64,
    pub integer: bool,
    pub unit: Option<Unit>,
}

#[derive(Clone, Debug)]
pub struct Tensor {
    pub value: Value,
    pub axes: Vec<Axis>,
    pub kind: Kind,
}

impl Tensor {
    /// The axes of one example: all but the batch.
    pub fn own_axes(&self) -> &[Axis] {
        let skip = usize::from(self.batched());
        &self.axes[skip..]
    }

    pub fn batched(&self) -> bool {
        self.axes.first().is_some_and(|a| a.label == Some(Label::Batch))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    pub extent: Extent,
    /// The name that the enclosing definition gives it: `T` in `[T, D]`.
    pub name: Option<String>,
    /// Its index in an equation. Axes with labels are matched by them, axes without by position from the right.
    pub label: Option<Label>,
    /// How many steps along it each row of the batch has, i32[B]: what is behind them is padding. Where fields meet, a step is
    /// one of all of them. None: there is no padding.
    pub lengths: Vec<Value>,
}

impl Axis {
    /// An axis without a name, found by its place.
    pub fn new(extent: Extent) -> Axis {
        Axis { extent, name: None, label: None, lengths: vec![] }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    Batch,
    /// An axis under `..`; counted from the right, so that operands of different rank align at their last axes.
    Rest(std::cmp::Reverse<usize>),
    Index(String),
}

/// What the elements of a tensor mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Real,
    Logits,
    LogProb,
    Prob,
    Mask,
    Int,
    /// Class indices; the number of classes where it is known.
    Class(Option<Extent>),
    /// Token indices; the size of the vocabulary where it is known.
    Token(Option<Extent>),
}

impl Kind {
    /// The number of classes or tokens, where the kind has one and it is known.
    pub fn count(&self) -> Option<Extent> {
        match self {
            Kind::Class(count) | Kind::Token(count) => *count,
            _ => None,
        }
    }

    /// True where the elements are stored as i32.
    pub fn is_integer(&self) -> bool {
        matches!(self, Kind::Int | Kind::Class(_) | Kind::Token(_))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Real => f.write_str("real"),
            Kind::Logits => f.write_str("logits"),
            Kind::LogProb => f.write_str("logprob"),
            Kind::Prob => f.write_str("prob"),
            Kind::Mask => f.write_str("mask"),
            Kind::Int => f.write_str("int"),
            Kind::Class(None) => f.write_str("class"),
            Kind::Token(None) => f.write_str("token"),
            Kind::Class(Some(k)) => write!(f, "class({})", describe_extents(&[*k]).trim_matches(['[', ']'])),
            Kind::Token(Some(k)) => write!(f, "token({})", describe_extents(&[*k]).trim_matches(['[', ']'])),
        }
    }
}

/// Whether a type is written with this word: `image[H, W, C]`, `filter[out, h, w, in]`. Both say that files keep the last axis
/// before the other axes of a picture; in arithmetic they are plain numbers.
pub fn is_word(ty: &TypeExpr, word: &str) -> bool {
    ty.kind.as_ref().is_some_and(|k| k.text == word)
}

/// Something that can be applied to inputs.
#[derive(Clone, Debug)]
pub enum Func {
    /// A definition with its settings. With a path it keeps its weights: every application uses the same.
    Def {
        def: Arc<Def>,
        settings: Arc<BTreeMap<String, Val>>,
        body: Option<Arc<Template>>,
        path: Option<Kept>,
        span: Span,
    },
    /// A built-in function with its named arguments.
    Builtin { name: &'static str, args: Vec<(Option<String>, Val)>, axes: Option<Vec<Expr>>, span: Span },
    /// The body of a combinator: new weights at each application, the names of the place where it was written.
    Template(Arc<Template>),
    /// One after the other.
    Compose(Vec<Val>),
}

/// The name under which a layer keeps its weights.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    pub path: String,
    /// The place that gave the name: see `Frame::origin`.
    pub within: u32,
}

/// `{ … }` with the scope in which it stands.
#[derive(Clone, Debug)]
pub struct Template {
    pub body: Vec<Stmt>,
    pub vars: BTreeMap<String, Val>,
    /// Whether its first layer keeps its weights under the name of the combinator itself.
    pub nameless: bool,
    pub span: Span,
}

impl Val {
    pub fn new(kind: ValKind, span: Span) -> Val {
        Val { kind, span }
    }

    pub fn number(value: f64, span: Span) -> Val {
        let integer = value.fract() == 0.0;
        Val::new(ValKind::Number(Number { value, integer, unit: None }), span)
    }

    pub fn tensor(tensor: Tensor, span: Span) -> Val {
        Val::new(ValKind::Tensor(tensor), span)
    }

    /// The ends of a range; those of a number are itself.
    pub fn ends(&self) -> Option<(f64, f64)> {
        match self.kind {
            ValKind::Range(a, b) => Some((a, b)),
            _ => self.as_number().map(|n| (n, n)),
        }
    }

    /// The value as a plain number: a literal, or a dimension whose extent is known.
    pub fn as_number(&self) -> Option<f64> {
        match &self.kind {
            ValKind::Number(n) => Some(if n.unit == Some(Unit::Percent) { n.value / 100.0 } else { n.value }),
            ValKind::Dim { extent: Extent::Fixed(n), .. } => Some(*n as f64),
            ValKind::Bool(b) => Some(f64::from(u8::from(*b))),
            _ => None,
        }
    }

    /// True where it holds no value of a graph, so that it means the same in another one.
    pub fn is_plain(&self) -> bool {
        match &self.kind {
            ValKind::Tensor(_) | ValKind::Scalar(_) | ValKind::Set(_) => false,
            ValKind::List(items) => items.iter().all(Val::is_plain),
            ValKind::Func(Func::Def { settings, .. }) => settings.values().all(Val::is_plain),
            ValKind::Func(_) => false,
            _ => true,
        }
    }

    /// What it is, in the user's words: for messages.
    pub fn describe(&self) -> String {
        match &self.kind {
            ValKind::Number(n) if n.integer => format!("the number {}", n.value),
            ValKind::Number(n) => format!("the number {}", n.value),
            ValKind::Bool(b) => format!("`{b}`"),
            ValKind::Text(t) => format!("the string \"{t}\""),
            ValKind::Word(w) => format!("the word `{w}`"),
            ValKind::Dim { name, .. } => format!("the dimension `{name}`"),
            ValKind::Scalar(_) => "a number that changes with the step".into(),
            ValKind::Tensor(t) => format!("a tensor {}", describe_axes(t)),
            ValKind::List(items) => format!("a list of {}", items.len()),
            ValKind::Set(_) => "all weights".into(),
            ValKind::Func(_) => "a layer or function".into(),
            ValKind::Range(a, b) => format!("the range {a} .. {b}"),
            ValKind::Step { axis } => format!("the step along `{axis}`, which stands only in an index: `x[t]`"),
        }
    }
}

/// `[28, 28, 1]`: the axes of one example.
pub fn describe_axes(tensor: &Tensor) -> String {
    describe_extents(&tensor.own_axes().iter().map(|a| a.extent).collect::<Vec<_>>())
}

pub fn describe_extents(extents: &[Extent]) -> String {
    let shown = extents.iter().map(|e| match e {
        Extent::Fixed(n) => n.to_string(),
        Extent::Sym(_) => "_".to_string(),
    });
    format!("[{}]", shown.collect::<Vec<_>>().join(", "))
}

/// A function that the user names keeps its weights under that name.
pub fn keep(f: &mut Func, kept: Kept) {
    match f {
        Func::Def { path: path @ None, .. } => *path = Some(kept),
        Func::Compose(parts) => {
            for (i, part) in parts.iter_mut().enumerate() {
                if let ValKind::Func(f) = &mut part.kind {
                    keep(f, Kept { path: join(&kept.path, &i.to_string()), ..kept.clone() });
                }
            }
        }
        _ => {}
    }
}

/// The names below `path` with another ending, behind those that they have.
pub fn ended(path: &str, ending: &str) -> String {
    let slash = if path.contains('/') { "" } else { "/" };
    format!("{path}{slash}{ending}")
}

/// The name `part` below `path`. One that begins with `_` is an ending: it is put behind the next name. Until then it stands
/// behind a `/`: `rnn` and `_l0` are `rnn/_l0`, and with `weight` they are `rnn.weight_l0`.
pub fn join(path: &str, part: &str) -> String {
    let (base, ending) = path.split_once('/').unwrap_or((path, ""));
    match part.strip_prefix('_') {
        Some(_) => format!("{base}/{part}{ending}"),
        None if base.is_empty() => format!("{part}{ending}"),
        None => format!("{base}.{part}{ending}"),
    }
}
