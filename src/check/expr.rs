//! Expressions: numbers, words, tensors, pipelines, indexed equations.
//!
//! In: an expression and the names of the current frame. Out: a value. Invariant: the same text in the same frame makes the
//! same nodes in the same order.

use super::builtin;
use super::elaborate::{Elaborator, Res};
use super::errors;
use super::foreign::renamed;
use super::value::{Func, Kind, Number, Tensor, Val, ValKind};
use crate::base::{DType, Span};
use crate::syntax::ast::{BinaryOp, Call, Expr, ExprKind, UnaryOp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Words that settings understand; anything else unknown is a mistake.
pub const WORDS: [&str; 16] = [
    "states",
    "none",
    "same",
    "given",
    "learned",
    "sinusoidal",
    "soft",
    "hard",
    "all",
    "last",
    "tanh_form",
    "inside",
    "outside",
    "reflect",
    "replicate",
    "circular",
];

fn is_comparison(op: BinaryOp) -> bool {
    use BinaryOp::{Eq, Ge, Gt, Le, Lt, Ne};
    matches!(op, Eq | Ge | Gt | Le | Lt | Ne)
}

impl Elaborator<'_> {
    /// What [`Elaborator::eval`] gives, without its count.
    pub fn value(&mut self, e: &Expr) -> Res<Val> {
        let kind = match &e.kind {
            ExprKind::Number { value, integer, unit } => {
                ValKind::Number(Number { value: *value, integer: *integer, unit: *unit })
            }
            ExprKind::Str(s) => ValKind::Text(s.clone()),
            ExprKind::Name(n) => return self.name(n, e.span),
            ExprKind::Paren(inner) => return self.eval(inner),
            ExprKind::Call(c) => return self.call(c, e.span, false),
            ExprKind::List(items) => ValKind::List(items.iter().map(|i| self.list_item(i)).collect::<Res<_>>()?),
            ExprKind::Range(a, b) => ValKind::Range(self.number(a)?, self.number(b)?),
            ExprKind::Unary(op, x) => return self.unary(*op, x, e.span),
            ExprKind::Binary(first, rest) => return self.binary(first, rest, e.span),
            ExprKind::Pipe(first, rest) => return self.pipe(first, rest),
            ExprKind::Index(base, items) => return self.index(base, items, e.span),
            ExprKind::Field(base, field) => return self.field(base, field, e.span),
            ExprKind::Wildcard | ExprKind::Rest => {
                return Err(errors::not_a_statement(self.blame(e.span), "an expression"));
            }
        };
        Ok(Val::new(kind, e.span))
    }

    /// In a list, `_` is an axis to be worked out.
    fn list_item(&mut self, e: &Expr) -> Res<Val> {
        match &e.kind {
            ExprKind::Wildcard => Ok(Val::new(ValKind::Word("_".into()), e.span)),
            _ => self.eval(e),
        }
    }

    /// A number known at compile time.
    pub fn number(&mut self, e: &Expr) -> Res<f64> {
        let v = self.eval(e)?;
        self.as_number(&v)
    }

    pub fn as_number(&self, v: &Val) -> Res<f64> {
        match (&v.kind, v.as_number()) {
            (_, Some(n)) => Ok(n),
            (ValKind::Text(t), _) => Err(errors::number_as_string(self.blame(v.span), t)),
            _ => Err(errors::wrong_type(self.blame(v.span), "a number", v)),
        }
    }

    fn name(&mut self, n: &str, span: Span) -> Res<Val> {
        if let Some(v) = self.lookup(n) {
            return Ok(v.clone());
        }
        match n {
            "true" | "false" => return Ok(Val::new(ValKind::Bool(n == "true"), span)),
            "pi" => return Ok(Val::number(std::f64::consts::PI, span)),
            "inf" => return Ok(Val::number(f64::INFINITY, span)),
            "step" => return Ok(self.step_scalar("step", span)),
            _ => {}
        }
        if let Some((_, value)) = self.items.consts.get(n) {
            if let Some(number) = self.constants.get(n) {
                return Ok(number.clone());
            }
            let value = Arc::clone(value);
            self.frames.push(Default::default());
            let v = self.eval(&value);
            self.frames.pop();
            // Numbers are kept: a chain of constants that each read the one before twice would double with each.
            if let Some(number) = v.as_ref().ok().filter(|v| v.as_number().is_some()) {
                self.constants.insert(n.to_string(), number.clone());
            }
            return v;
        }
        if let Some(def) = self.items.defs.get(n) {
            let settings = Arc::new(BTreeMap::new());
            let func = Func::Def { def: def.clone(), settings, body: None, path: None, span };
            return Ok(Val::new(ValKind::Func(func), span));
        }
        if let Some(name) = builtin::find(n) {
            return Ok(Val::new(ValKind::Func(Func::Builtin { name, args: vec![], axes: None, span }), span));
        }
        if WORDS.contains(&n) {
            return Ok(Val::new(ValKind::Word(n.into()), span));
        }
        Err(self.undefined(n, span))
    }

    pub fn undefined(&self, n: &str, span: Span) -> errors::Boxed {
        let mut known: Vec<&str> =
            self.frames.last().map(|f| f.vars.keys().map(String::as_str).collect()).unwrap_or_default();
        known.extend(self.items.defs.keys().map(String::as_str));
        known.extend(self.items.consts.keys().map(String::as_str));
        renamed(errors::undefined(self.blame(span), n, &known), n, span, None, self.items)
    }

    fn unary(&mut self, op: UnaryOp, x: &Expr, span: Span) -> Res<Val> {
        let v = self.eval(x)?;
        match (op, &v.kind) {
            (UnaryOp::Neg, ValKind::Number(n)) => Ok(Val::new(ValKind::Number(Number { value: -n.value, ..*n }), span)),
            (UnaryOp::Neg, _) => self.elementwise("neg", &[v], span),
            (UnaryOp::Not, _) if v.as_number().is_some() => {
                Ok(Val::new(ValKind::Bool(v.as_number() == Some(0.0)), span))
            }
            (UnaryOp::Not, _) => self.elementwise("not", &[v], span),
        }
    }

    fn binary(&mut self, first: &Expr, rest: &[(BinaryOp, Span, Expr)], span: Span) -> Res<Val> {
        let mut v = self.eval(first)?;
        let mut left = first;
        for (i, (op, at, e)) in rest.iter().enumerate() {
            let w = self.eval(e)?;
            if i > 0 && is_comparison(*op) && !matches!(w.kind, ValKind::Func(_)) {
                return Err(errors::chained(self.blame(*at), left));
            }
            if is_comparison(*op)
                && let Some(truth) = self.beside_truth(&v, &w)
            {
                let beside = if truth { (left, &v) } else { (e, &w) };
                return Err(errors::compared_with_truth(self.blame(beside.0.span), beside.1, (*op, *at), e));
            }
            left = e;
            let arrow = matches!(op, BinaryOp::Gt | BinaryOp::Sub | BinaryOp::Alternative)
                && matches!(w.kind, ValKind::Func(_));
            v = self.operator(*op, v, w, span).map_err(|d| match arrow {
                true => {
                    let same = rest.iter().filter(|(o, ..)| o == op);
                    errors::arrows(*d, same.map(|(_, at, _)| *at).collect())
                }
                false => d,
            })?;
        }
        Ok(v)
    }

    /// Whether exactly one side is a truth value, and the other one numbers: then, whether it is the right one.
    fn beside_truth(&self, a: &Val, b: &Val) -> Option<bool> {
        let numbers = |v: &Val| match &v.kind {
            ValKind::Tensor(t) => self.dtype(t) != DType::Bool,
            ValKind::Number(_) | ValKind::Dim { .. } | ValKind::Scalar(_) | ValKind::Set(_) => true,
            _ => false,
        };
        let truth = |v: &Val| matches!(v.kind, ValKind::Bool(_));
        match (truth(a), truth(b)) {
            (false, true) if numbers(a) => Some(true),
            (true, false) if numbers(b) => Some(false),
            _ => None,
        }
    }

    fn operator(&mut self, op: BinaryOp, a: Val, b: Val, span: Span) -> Res<Val> {
        if let (ValKind::Word(x) | ValKind::Text(x), BinaryOp::Eq | BinaryOp::Ne) = (&a.kind, op) {
            let same = matches!(&b.kind, ValKind::Word(y) | ValKind::Text(y) if x == y);
            return Ok(Val::new(ValKind::Bool(same == (op == BinaryOp::Eq)), span));
        }
        if let (ValKind::Word(_) | ValKind::Text(_), BinaryOp::Eq | BinaryOp::Ne) = (&b.kind, op) {
            return Ok(Val::new(ValKind::Bool(op == BinaryOp::Ne), span));
        }
        let folded = a.as_number().is_some() && b.as_number().is_some();
        let truth = |v: Res<Val>| -> Res<Val> {
            let v = v?;
            match (folded, v.as_number()) {
                (true, Some(n)) => Ok(Val::new(ValKind::Bool(n != 0.0), span)),
                _ => Ok(v),
            }
        };
        match op {
            BinaryOp::Add => self.elementwise("add", &[a, b], span),
            BinaryOp::Sub => self.elementwise("sub", &[a, b], span),
            BinaryOp::Mul => self.elementwise("mul", &[a, b], span),
            BinaryOp::Div if b.as_number() == Some(0.0) => {
                Err(errors::out_of_range(self.blame(b.span), "the right side of `/`", "other than 0", 0.0))
            }
            BinaryOp::Div => self.elementwise("div", &[a, b], span),
            BinaryOp::Pow => self.power(a, b, span),
            BinaryOp::Mod => {
                let (x, y) = (self.as_number(&a)?, self.as_number(&b)?);
                if y == 0.0 {
                    return Err(errors::out_of_range(self.blame(b.span), "the right side of `%`", "other than 0", y));
                }
                Ok(Val::number(x - y * (x / y).floor(), span))
            }
            BinaryOp::Lt => truth(self.elementwise("lt", &[a, b], span)),
            BinaryOp::Le => truth(self.elementwise("le", &[a, b], span)),
            BinaryOp::Gt => truth(self.elementwise("lt", &[b, a], span)),
            BinaryOp::Ge => truth(self.elementwise("le", &[b, a], span)),
            BinaryOp::Eq => truth(self.elementwise("eq", &[a, b], span)),
            BinaryOp::Ne if folded => Ok(Val::new(ValKind::Bool(a.as_number() != b.as_number()), span)),
            BinaryOp::Ne => {
                let same = self.elementwise("eq", &[a, b], span)?;
                self.elementwise("not", &[same], span)
            }
            BinaryOp::And if folded => {
                Ok(Val::new(ValKind::Bool(a.as_number() != Some(0.0) && b.as_number() != Some(0.0)), span))
            }
            BinaryOp::Or if folded => {
                Ok(Val::new(ValKind::Bool(a.as_number() != Some(0.0) || b.as_number() != Some(0.0)), span))
            }
            BinaryOp::And => self.elementwise("and", &[a, b], span),
            BinaryOp::Or => self.elementwise("or", &[a, b], span),
            BinaryOp::Then | BinaryOp::Alternative => Err(errors::not_a_statement(self.blame(span), "this expression")),
        }
    }

    /// Small whole powers are products (x·x is exact where a general power is not); one half is a square root.
    pub fn power(&mut self, a: Val, b: Val, span: Span) -> Res<Val> {
        let tensor = matches!(a.kind, ValKind::Tensor(_) | ValKind::Set(_));
        match b.as_number() {
            Some(n) if tensor && n.fract() == 0.0 && (1.0..=8.0).contains(&n) => {
                let mut v = a.clone();
                for _ in 1..n as usize {
                    v = self.elementwise("mul", &[v, a.clone()], span)?;
                }
                Ok(v)
            }
            Some(0.5) if tensor => self.elementwise("sqrt", &[a], span),
            Some(-1.0) if tensor => self.elementwise("div", &[Val::number(1.0, span), a], span),
            _ => self.elementwise("pow", &[a, b], span),
        }
    }

    fn pipe(&mut self, first: &Expr, rest: &[(Span, Expr)]) -> Res<Val> {
        let mut v = match &first.kind {
            ExprKind::Call(c) if self.has_inputs(c) => self.eval(first)?,
            _ => self.piped(first)?,
        };
        for (arrow, part) in rest {
            let f = self.piped(part)?;
            let ValKind::Func(func) = &f.kind else {
                return Err(errors::wrong_type(self.blame(part.span), "a layer or function behind `->`", &f));
            };
            v = match v.kind {
                ValKind::Func(Func::Compose(mut parts)) => {
                    parts.push(f);
                    Val::new(ValKind::Func(Func::Compose(parts)), v.span.to(part.span))
                }
                ValKind::Func(_) => {
                    let span = v.span.to(part.span);
                    Val::new(ValKind::Func(Func::Compose(vec![v, f])), span)
                }
                _ => {
                    let mut out = self.apply_func(func, vec![v], part.span)?;
                    out.span = arrow.to(part.span);
                    out
                }
            };
        }
        Ok(v)
    }

    /// Whether a call at the head of a pipeline has its inputs in its parentheses: what depends on a tensor is one.
    fn has_inputs(&self, c: &Call) -> bool {
        let mut found = false;
        let mut is_tensor = |n: &str, _| found |= matches!(self.lookup(n).map(|v| &v.kind), Some(ValKind::Tensor(_)));
        let inputs = c.args.iter().flatten().filter(|a| a.name.is_none());
        inputs.for_each(|a| super::items::names_in_expr(&a.value, &mut is_tensor));
        found
    }

    /// A part of a pipeline: what stands in its parentheses are settings, its input comes along the arrow.
    fn piped(&mut self, e: &Expr) -> Res<Val> {
        match &e.kind {
            ExprKind::Call(c) => self.call(c, e.span, true),
            ExprKind::Name(n) if self.lookup(n).is_none() && !self.knows(n) => Err(self.unknown_layer(n, e.span, None)),
            _ => self.eval(e),
        }
    }

    fn knows(&self, n: &str) -> bool {
        self.items.defs.contains_key(n)
            || self.items.consts.contains_key(n)
            || builtin::find(n).is_some()
            || WORDS.contains(&n)
    }

    pub fn unknown_layer(&self, n: &str, span: Span, call: Option<&Call>) -> errors::Boxed {
        let mut known: Vec<&str> = self.items.defs.keys().map(String::as_str).collect();
        known.extend(
            self.frames.last().map(|f| f.vars.keys().map(String::as_str).collect::<Vec<_>>()).unwrap_or_default(),
        );
        let builtins: Vec<&str> = builtin::names().collect();
        known.extend(builtins);
        renamed(errors::unknown_layer(self.blame(span), n, &known), n, span, call, self.items)
    }

    pub fn elementwise_operand(&mut self, v: &Val, span: Span) -> Res<Tensor> {
        match (&v.kind, v.as_number()) {
            (ValKind::Tensor(t), _) => self.cast_mask(t, span),
            (_, Some(n)) => {
                let value = self.constant(n, DType::F32, span)?;
                Ok(Tensor { value, axes: vec![], kind: Kind::Real })
            }
            _ => Err(errors::wrong_type(self.blame(v.span), "a tensor", v)),
        }
    }

    fn cast_mask(&mut self, t: &Tensor, span: Span) -> Res<Tensor> {
        if self.dtype(t) == DType::Bool { self.cast(t, DType::F32, span) } else { Ok(t.clone()) }
    }
}
