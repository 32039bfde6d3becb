//! Calls of built-in functions.
//!
//! In: evaluated arguments. Out: a value. Invariant: every name of [`FUNCTIONS`] has its arm.

use super::elaborate::{Elaborator, Res};
use super::errors;
use super::functions::FUNCTIONS;
use super::value::{Axis, Func, Kind, Label, Tensor, Val, ValKind};
use crate::base::{DType, Span};
use crate::ops::{Attr, Attrs};
use crate::syntax::ast::{Expr, StmtKind};
use std::sync::Arc;

pub(super) type Args = Vec<(Option<String>, Val)>;

/// Elementwise functions of one tensor or number; `rsqrt` is 1 / sqrt.
const UNARY: [&str; 13] =
    ["neg", "abs", "sign", "floor", "sqrt", "exp", "log", "sin", "cos", "tanh", "erf", "rsqrt", "not"];
const REDUCTIONS: [&str; 4] = ["sum", "mean", "max", "min"];
/// The built-in of this name.
pub fn find(name: &str) -> Option<&'static str> {
    names().find(|n| *n == name)
}

pub fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|f| f.name)
}

impl Elaborator<'_> {
    pub fn builtin(&mut self, name: &str, args: Args, axes: Option<&[Expr]>, span: Span) -> Res<Val> {
        if let Some(op) = UNARY.iter().find(|u| **u == name) {
            let [x] = self.positional(name, &args, span)?;
            if *op == "rsqrt" {
                let root = self.elementwise("sqrt", &[x], span)?;
                return self.elementwise("div", &[Val::number(1.0, span), root], span);
            }
            return self.elementwise(op, &[x], span);
        }
        if REDUCTIONS.contains(&name) {
            return self.reduction(name, args, axes, span);
        }
        match name {
            "select" => {
                let three: [Val; 3] = self.positional(name, &args, span)?;
                if let Some(c) = three[0].as_number() {
                    return Ok(three[if c != 0.0 { 1 } else { 2 }].clone());
                }
                self.elementwise("select", &three, span)
            }
            "pow" => {
                let [a, b] = self.positional(name, &args, span)?;
                self.power(a, b, span)
            }
            "argmax" => self.argmax(args, span),
            "real" | "stop_gradient" => {
                let op = if name == "real" { "to_f32" } else { "stop_gradient" };
                let [x] = self.positional(name, &args, span)?;
                match x.kind {
                    ValKind::Number(_) | ValKind::Scalar(_) if op == "stop_gradient" => return Ok(x),
                    ValKind::Set(_) => return self.elementwise(op, &[x], span),
                    _ => {}
                }
                let t = self.expect_tensor(&x)?;
                if name == "real" && self.dtype(&t) == DType::F32 {
                    return Ok(x);
                }
                let value = self.emit(op, Attrs::default(), &[t.value], span)?;
                let kind = if name == "real" { Kind::Real } else { t.kind };
                Ok(Val::tensor(Tensor { value, axes: t.axes, kind }, span))
            }
            "surrogate" => {
                let [x, other] = self.positional(name, &args, span)?;
                match (&x.kind, &other.kind) {
                    (ValKind::Number(_) | ValKind::Scalar(_), ValKind::Number(_) | ValKind::Scalar(_)) => return Ok(x),
                    (ValKind::Set(_), _) | (_, ValKind::Set(_)) => {
                        return self.elementwise("surrogate", &[x, other], span);
                    }
                    _ => {}
                }
                let two = [self.expect_tensor(&x)?, self.expect_tensor(&other)?];
                Ok(Val::tensor(self.apply("surrogate", &two, span)?, span))
            }
            "reshape" => self.reshape(args, span),
            "permute" => self.permute(args, span),
            "join" => self.join(args, span),
            "split" => self.split(args, span),
            "added" => self.added(args, span),
            "iterate" => self.iterate(args, span),
            "branches" => self.branches(args, span),
            "total" => self.total(args, span),
            "random" => self.random(args, span),
            "uniform" | "normal" => self.first_values(name, args, span),
            "table" => self.table(args, span),
            "count" => self.count_of(args, axes, span),
            "pair" => self.pair(args, span),
            "pad" => Err(errors::not_a_statement(self.blame(span), "anything but an index: `pad(x, 0)[i - 1]`")),
            "index" => self.index_of(args, span),
            "gather" => self.gather(args, span),
            "present" => self.present(args, span),
            "keep" => self.keep(args, span),
            "backward" => self.backwards(args, span),
            "take" => self.taken(args, span),
            _ => panic!("`{name}` is in the list of built-in functions"),
        }
    }

    pub(super) fn positional<const N: usize>(&mut self, name: &str, args: &Args, span: Span) -> Res<[Val; N]> {
        if let Some((Some(n), v)) = args.iter().find(|(n, _)| n.is_some()) {
            return Err(errors::unknown_setting(self.blame(v.span), n, name, &[]));
        }
        let values: Vec<Val> = args.iter().map(|(_, v)| v.clone()).collect();
        let have = values.len();
        values
            .try_into()
            .map_err(|_| errors::ill_shaped(self.blame(span), &format!("`{name}` takes {N} values, gets {have}")))
    }

    pub(super) fn named(&self, name: &str, args: &Args, known: &[&str]) -> Res<()> {
        match args.iter().find(|(n, _)| n.as_ref().is_some_and(|n| !known.contains(&n.as_str()))) {
            Some((Some(n), v)) => Err(errors::unknown_setting(self.blame(v.span), n, name, known)),
            _ => Ok(()),
        }
    }

    pub fn expect_tensor(&self, v: &Val) -> Res<Tensor> {
        match &v.kind {
            ValKind::Tensor(t) => Ok(t.clone()),
            _ => Err(errors::wrong_type(self.blame(v.span), "a tensor", v)),
        }
    }

    /// `sum[d](x)` over labels, `sum(x, axis = T, keep = true)` over a position, `max(a, b)` of two.
    fn reduction(&mut self, name: &str, args: Args, axes: Option<&[Expr]>, span: Span) -> Res<Val> {
        self.named(name, &args, &["axis", "keep"])?;
        let values: Vec<Val> = args.iter().filter(|(n, _)| n.is_none()).map(|(_, v)| v.clone()).collect();
        if let ("max" | "min", [a, b]) = (name, values.as_slice()) {
            return self.elementwise(if name == "max" { "max" } else { "min" }, &[a.clone(), b.clone()], span);
        }
        if let ("max" | "min", [x], None) = (name, values.as_slice(), axes)
            && let Some((a, b)) = x.ends()
        {
            return Ok(Val::number(if name == "max" { a.max(b) } else { a.min(b) }, x.span));
        }
        let [x] = values.as_slice() else {
            return Err(errors::ill_shaped(
                self.blame(span),
                &format!("`{name}` takes one tensor, gets {}", values.len()),
            ));
        };
        let t = self.expect_tensor(x)?;
        let op = match name {
            "max" => "max_of",
            "min" => "min_of",
            other => other,
        };
        let get = |n: &str| args.iter().find(|(m, _)| m.as_deref() == Some(n)).map(|(_, v)| v.clone());
        let keep = get("keep").is_some_and(|k| k.as_number() == Some(1.0));
        let places: Vec<usize> = match (axes, get("axis")) {
            (Some(axes), _) => {
                let labels = self.labels(axes)?;
                let found = |l: &Label| t.axes.iter().position(|a| a.label.as_ref() == Some(l));
                let mut places: Vec<usize> = labels.iter().filter_map(found).collect();
                places.sort_unstable();
                if places.len() < labels.iter().filter(|l| !matches!(l, Label::Rest(_))).count() {
                    let lacks = labels.iter().find(|l| found(l).is_none());
                    return Err(errors::no_such_index(self.blame(span), name, lacks, &t));
                }
                places
            }
            (None, Some(axis)) => vec![self.axis(&t, &axis)?],
            (None, None) => self.all_own(name, &t, span)?,
        };
        Ok(Val::tensor(self.reduce(op, &t, &places, keep, span)?, span))
    }

    /// All axes of an example. Among indices of an equation, which of them are meant must be said: to reduce over those that
    /// stand on the left as well gives one number for all elements.
    fn all_own(&mut self, name: &str, t: &Tensor, span: Span) -> Res<Vec<usize>> {
        let index = |a: &Axis| match &a.label {
            Some(Label::Index(n)) => Some(n.clone()),
            Some(Label::Rest(_)) => Some("..".to_string()),
            _ => None,
        };
        let mut indices: Vec<String> = t.own_axes().iter().filter_map(index).collect();
        indices.dedup();
        if !indices.is_empty() {
            let left = &self.frame().left;
            let wanted: Vec<String> = indices.iter().filter(|i| *i != ".." && !left.contains(i)).cloned().collect();
            return Err(errors::reduces_all(self.blame(span), name, &indices, &wanted));
        }
        Ok((usize::from(t.batched())..t.axes.len()).collect())
    }

    /// The place among all axes of an axis given by its name or by its number within one example.
    pub(super) fn axis(&mut self, t: &Tensor, axis: &Val) -> Res<usize> {
        let skip = usize::from(t.batched());
        let rank = t.own_axes().len() as i64;
        if let ValKind::Dim { name, .. } | ValKind::Word(name) = &axis.kind {
            let found = t.axes.iter().position(|a| a.name.as_ref() == Some(name));
            return found.ok_or_else(|| errors::bad_axis(self.blame(axis.span), &format!("`{name}`"), t));
        }
        let n = self.as_number(axis)?;
        let place = if n < 0.0 { n as i64 + rank } else { n as i64 };
        if n.fract() != 0.0 || place < 0 || place >= rank {
            return Err(errors::bad_axis(self.blame(axis.span), &format!("{n}"), t));
        }
        Ok(skip + place as usize)
    }

    fn argmax(&mut self, args: Args, span: Span) -> Res<Val> {
        self.named("argmax", &args, &["axis"])?;
        let Some((None, x)) = args.first() else {
            return Err(errors::ill_shaped(self.blame(span), "`argmax` takes a tensor"));
        };
        let t = self.expect_tensor(x)?;
        let last = Val::number(-1.0, span);
        let axis = args.iter().find(|(n, _)| n.is_some()).map_or(last, |(_, v)| v.clone());
        let place = self.axis(&t, &axis)?;
        let count = Some(t.axes[place].extent);
        let padded = self.padded(&t, &[place]);
        let t = self.fill_padding(&t, &padded, f64::NEG_INFINITY, span)?;
        let value = self.emit("argmax", Attrs(vec![("axis", Attr::Int(place as i64))]), &[t.value], span)?;
        let mut axes = t.axes.clone();
        axes.remove(place);
        Ok(Val::tensor(Tensor { value, axes, kind: Kind::Class(count) }, span))
    }

    /// `iterate(body, n, x)`: body(body(… x)), with new weights each time; `iterate(layer, n, x, "_l")`: a layer, whose weights
    /// are kept under the name and the number of the round.
    fn iterate(&mut self, mut args: Args, span: Span) -> Res<Val> {
        let name = if args.len() == 4 { args.pop() } else { None };
        let [body, n, mut x] = self.positional("iterate", &args, span)?;
        let times = self.as_number(&n)?;
        if times.fract() != 0.0 || times < 0.0 {
            return Err(errors::out_of_range(
                self.blame(n.span),
                "the number of repetitions",
                "a whole number from 0",
                times,
            ));
        }
        // Repetitions multiply: known on the way to the innermost body, before the second round of any.
        let outer = self.repetitions;
        self.repetitions *= times.max(1.0);
        if self.repetitions > super::elaborate::MAX_APPLICATIONS as f64 {
            return Err(errors::expands(self.blame(n.span), self.repetitions));
        }
        let ValKind::Func(f) = &body.kind else {
            return Err(errors::wrong_type(self.blame(span), "a body `{ … }`", &body));
        };
        for i in 0..times as usize {
            let mut f = f.clone();
            if let Some((_, name)) = &name {
                let kept = self.joined_name(&[name.clone(), Val::number(i as f64, span)])?;
                super::value::keep(&mut f, kept);
            }
            x = self.apply_func(&f, vec![x], span)?;
        }
        self.repetitions = outer;
        Ok(x)
    }

    /// `branches(body, x)`: each statement of the body on its own, applied to x.
    fn branches(&mut self, args: Args, span: Span) -> Res<Val> {
        let [body, x] = self.positional("branches", &args, span)?;
        let ValKind::Func(Func::Template(t)) = &body.kind else {
            return Err(errors::wrong_type(self.blame(span), "a body `{ … }`", &body));
        };
        let mut items = Vec::new();
        for stmt in &t.body {
            if !matches!(stmt.kind, StmtKind::Expr(_)) {
                return Err(errors::not_a_statement(self.blame(stmt.span), "branches"));
            }
            let one = super::value::Template { body: vec![stmt.clone()], span: stmt.span, ..(**t).clone() };
            items.push(self.apply_func(&Func::Template(Arc::new(one)), vec![x.clone()], stmt.span)?);
        }
        Ok(Val::new(ValKind::List(items), span))
    }

    /// The sum of every element of a tensor, or of all weights, as one number.
    fn total(&mut self, args: Args, span: Span) -> Res<Val> {
        let [x] = self.positional("total", &args, span)?;
        let tensors = match &x.kind {
            ValKind::Set(s) if s.is_empty() && self.sealed != Some("an optimizer") => {
                return Err(errors::no_weights(self.blame(x.span), self.order.len()));
            }
            ValKind::Set(s) => s.clone(),
            ValKind::Tensor(t) => vec![t.clone()],
            _ => return Err(errors::wrong_type(self.blame(x.span), "weights or a tensor", &x)),
        };
        let mut sum: Option<Val> = None;
        for t in &tensors {
            let all: Vec<usize> = (0..t.axes.len()).collect();
            let one = Val::tensor(self.reduce("sum", t, &all, false, span)?, span);
            sum = Some(match sum {
                None => one,
                Some(s) => self.elementwise("add", &[s, one], span)?,
            });
        }
        Ok(sum.unwrap_or_else(|| Val::number(0.0, span)))
    }
}
