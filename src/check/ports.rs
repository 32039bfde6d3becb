//! Ports: the shapes and kinds that a definition asks of its inputs and promises of its outputs.
//!
//! In: values and the ports they meet. Out: dimensions bound to names, or the clash with both births. Invariant: a name
//! means one extent within a definition.

use super::elaborate::{Elaborator, Res};
use super::errors;
use super::items::names_in_expr;
use super::value::{Kind, Tensor, Val, ValKind, describe_axes, describe_extents};
use crate::base::{Diagnostic, Extent, Span};
use crate::syntax::ast::{BinaryOp, Def, DefKind, Expr, ExprKind, Port, Stmt, StmtKind, TypeExpr};
use std::collections::BTreeMap;
use std::sync::Arc;

const KINDS: [&str; 10] = ["real", "image", "filter", "logits", "logprob", "prob", "mask", "int", "class", "token"];

/// Names of axes outside a definition by their names inside it.
pub type Outer = BTreeMap<String, Option<String>>;

impl Elaborator<'_> {
    pub fn bind_ports(&mut self, def: &Arc<Def>, inputs: Vec<Val>, span: Span) -> Res<Outer> {
        let mut outer = Outer::new();
        if inputs.len() != def.inputs.len() && !(def.inputs.is_empty() && inputs.len() == 1) {
            return Err(errors::inputs_differ(self.blame(span), def, inputs.len()));
        }
        if def.inputs.is_empty() {
            self.frame().input = inputs.into_iter().next();
            return Ok(outer);
        }
        for (port, mut v) in def.inputs.iter().zip(inputs) {
            if port.ty.is_some() && matches!(v.kind, ValKind::List(_)) {
                return Err(errors::not_joined(self.blame(span), &def.name.text, &v));
            }
            if let (Some(ty), ValKind::Tensor(t)) = (&port.ty, &mut v.kind) {
                if let Some(kind) = self.kind_of(ty)? {
                    self.accept(&kind, t, &def.name.text, span).map_err(|d| {
                        let counts =
                            if kind.count().is_some() && t.kind.count().is_some() { ty.args.as_slice() } else { &[] };
                        self.births(*d, counts, &def.name.text, v.span, &t.kind.to_string())
                    })?;
                    self.bind_count(ty, &t.kind, v.span);
                } else if t.kind.is_integer() && def.kind == DefKind::Loss {
                    return Err(errors::kind_differs(self.blame(span), &def.name.text, &Kind::Real, &t.kind));
                }
                if let Some(dims) = &ty.dims {
                    let rank = t.own_axes().len();
                    let shape = describe_axes(t);
                    let unified = self.unify(dims, t, &def.name.text, (span, v.span), &mut outer);
                    unified.map_err(|d| match dims.as_slice() {
                        [batch, next, ..] if def.kind == DefKind::Model && dims.len() == rank + 1 => {
                            errors::batch_written(*d, batch.span, next.span)
                        }
                        _ if d.code == "E0301" => self.births(*d, dims, &def.name.text, v.span, &shape),
                        _ if d.code == "E0302" => self.births(*d, &[], &def.name.text, v.span, &shape),
                        _ => d,
                    })?;
                } else if ty.kind.is_some() && !t.own_axes().is_empty() && matches!(def.kind, DefKind::Loss) {
                    return Err(errors::rank_differs(self.blame(span), &def.name.text, "[]", t));
                }
            }
            match &port.name {
                Some(n) => {
                    self.frame().vars.insert(n.text.clone(), v);
                }
                None => self.frame().input = Some(v),
            }
        }
        Ok(outer)
    }

    /// The kind that a type names; dimension names in `class(K)` are evaluated where they are bound.
    pub fn kind_of(&mut self, ty: &TypeExpr) -> Res<Option<Kind>> {
        let Some(word) = &ty.kind else { return Ok(None) };
        let mut count = None;
        if let ([first, .., last] | [first @ last], false) =
            (ty.args.as_slice(), matches!(word.text.as_str(), "class" | "token"))
            && KINDS.contains(&word.text.as_str())
        {
            return Err(errors::sizes_in_parentheses(&word.text, self.blame(first.span.to(last.span))));
        }
        if let Some(arg) = ty.args.first() {
            let known = !matches!(&arg.kind, ExprKind::Name(n) if self.lookup(n).is_none());
            if known && !matches!(arg.kind, ExprKind::Wildcard) {
                count = Some(self.extent(arg)?);
            }
        }
        Ok(Some(match word.text.as_str() {
            "real" | "image" | "filter" => Kind::Real,
            "logits" => Kind::Logits,
            "logprob" => Kind::LogProb,
            "prob" => Kind::Prob,
            "mask" => Kind::Mask,
            "int" => Kind::Int,
            "class" => Kind::Class(count),
            "token" => Kind::Token(count),
            other => {
                let d = errors::undefined(self.blame(word.span), other, &KINDS);
                return Err(Box::new((*d).note(format!("the kinds are {}", KINDS.join(", ")))));
            }
        }))
    }

    /// `V` of `token(V)`, where nothing has bound it yet: the number that the value's own kind has.
    fn bind_count(&mut self, ty: &TypeExpr, found: &Kind, span: Span) {
        if let Some(Expr { kind: ExprKind::Name(n), .. }) = ty.args.first()
            && let (None, Some(count)) = (self.lookup(n), found.count())
        {
            self.bind_dim(n, count, span);
        }
    }

    /// `d`, with the places from which the two sides of a clash come: the value, and the names that `sizes` mentions.
    fn births(&self, d: Diagnostic, sizes: &[Expr], owner: &str, at: Span, found: &str) -> errors::Boxed {
        let mut known: Vec<(String, Span)> = Vec::new();
        for e in sizes {
            names_in_expr(e, &mut |n, _| {
                if let Some(Val { kind: ValKind::Dim { extent: Extent::Fixed(k), .. }, span }) = self.lookup(n) {
                    known.push((format!("`{n}` of `{owner}` is {k} here"), *span));
                }
            });
        }
        let seen = |span: Span| !self.items.is_library(span) && d.span() != Some(span);
        let mut labels = vec![(format!("{found} here"), at)];
        labels.extend(known);
        let shown = labels.into_iter().filter(|(_, span)| seen(*span)).collect::<Vec<_>>();
        Box::new(shown.into_iter().fold(d, |d, (text, span)| d.label(span, text)))
    }

    /// Plain numbers may be taken for anything but indices; a named kind only for itself.
    fn accept(&mut self, wanted: &Kind, t: &Tensor, owner: &str, span: Span) -> Res<()> {
        let fits = match (wanted, &t.kind) {
            // What the data tells is held to it once the data is there.
            (Kind::Class(Some(Extent::Fixed(_))), Kind::Class(Some(Extent::Sym(_)))) => true,
            (Kind::Class(a) | Kind::Token(a), Kind::Class(b) | Kind::Token(b)) => a.is_none() || b.is_none() || a == b,
            (w, k) if w == k => true,
            (Kind::Real, k) => !k.is_integer(),
            (Kind::Int, k) => k.is_integer(),
            (_, Kind::Real) => !wanted.is_integer(),
            (Kind::LogProb | Kind::Prob, Kind::Prob) => wanted == &Kind::Prob,
            _ => false,
        };
        if fits { Ok(()) } else { Err(errors::kind_differs(self.blame(span), owner, wanted, &t.kind)) }
    }

    /// Matches a port's axes with a tensor's: free names are bound, the rest is compared.
    /// `span` is where they meet, `from` where the tensor comes from.
    fn unify(
        &mut self,
        dims: &[Expr],
        t: &mut Tensor,
        owner: &str,
        (span, from): (Span, Span),
        outer: &mut Outer,
    ) -> Res<()> {
        let rest = dims.iter().position(|d| matches!(d.kind, ExprKind::Rest));
        let rank = t.own_axes().len();
        let explicit = dims.len() - usize::from(rest.is_some());
        if rank < explicit || (rest.is_none() && rank != explicit) {
            let shape = shape_text(dims);
            return Err(errors::rank_differs(self.blame(span), owner, &shape, t));
        }
        let skip = t.axes.len() - rank;
        for (i, dim) in dims.iter().enumerate() {
            let place = match rest {
                Some(r) if i == r => continue,
                Some(r) if i > r => skip + rank - (dims.len() - i),
                _ => skip + i,
            };
            let found = t.axes[place].extent;
            if let ExprKind::Name(n) = &dim.kind {
                outer.entry(n.clone()).or_insert_with(|| t.axes[place].name.clone());
                t.axes[place].name = Some(n.clone());
                self.frame().births.entry(n.clone()).or_insert(t.value);
            }
            self.unify_extent(dim, found, owner, (span, from)).map_err(|d| self.born(d, t.value))?;
        }
        Ok(())
    }

    fn unify_extent(&mut self, dim: &Expr, found: Extent, owner: &str, (span, from): (Span, Span)) -> Res<()> {
        let (name, value) = match &dim.kind {
            ExprKind::Wildcard => return Ok(()),
            ExprKind::Name(n) if self.lookup(n).is_none() => (n, found),
            ExprKind::Binary(..) => match (self.solve(dim)?, found) {
                (Some((n, factor, offset)), Extent::Fixed(f)) => {
                    let rest = f as f64 - offset;
                    if rest % factor != 0.0 || rest / factor < 1.0 {
                        let wanted = format!("a multiple of {factor}");
                        return Err(errors::extent_differs(self.blame(span), owner, &wanted, &f.to_string()));
                    }
                    self.bind_dim(&n, Extent::Fixed((rest / factor) as u64), from);
                    return Ok(());
                }
                _ => return self.same_extent(dim, found, owner, span),
            },
            _ => return self.same_extent(dim, found, owner, span),
        };
        self.bind_dim(&name.clone(), value, from);
        Ok(())
    }

    fn bind_dim(&mut self, name: &str, extent: Extent, span: Span) {
        let v = Val::new(ValKind::Dim { name: name.into(), extent }, span);
        self.frame().vars.insert(name.into(), v);
    }

    fn same_extent(&mut self, dim: &Expr, found: Extent, owner: &str, span: Span) -> Res<()> {
        let wanted = self.extent(dim)?;
        if wanted == found {
            return Ok(());
        }
        let show = |e: Extent| describe_extents(&[e]).trim_matches(['[', ']']).to_string();
        let ExprKind::Name(name) = &dim.kind else {
            return Err(errors::extent_differs(self.blame(span), owner, &show(wanted), &show(found)));
        };
        let wanted = format!("{name} = {}", show(wanted));
        let d = errors::extent_differs(self.blame(span), owner, &wanted, &show(found));
        Err(match self.frames.last().and_then(|f| f.births.get(name)) {
            Some(&value) => self.born(d, value),
            None => d,
        })
    }

    /// `factor · name + offset` where exactly one name of a linear term is not bound yet.
    fn solve(&mut self, dim: &Expr) -> Res<Option<(String, f64, f64)>> {
        let ExprKind::Binary(a, rest) = &dim.kind else { return Ok(None) };
        let [(op, _, b)] = rest.as_slice() else { return Ok(None) };
        let free = |s: &Self, e: &Expr| matches!(&e.kind, ExprKind::Name(n) if s.lookup(n).is_none());
        let (name, other, left) = match (free(self, a), free(self, b)) {
            (true, false) => (a.as_ref(), b, true),
            (false, true) => (b, a.as_ref(), false),
            _ => return Ok(None),
        };
        let ExprKind::Name(name) = &name.kind else { return Ok(None) };
        let n = self.number(other)?;
        Ok(match (op, left) {
            (BinaryOp::Mul, _) if n != 0.0 => Some((name.clone(), n, 0.0)),
            (BinaryOp::Add, _) => Some((name.clone(), 1.0, n)),
            (BinaryOp::Sub, true) => Some((name.clone(), 1.0, -n)),
            _ => None,
        })
    }

    /// An axis as a number: a whole one from 1, or a symbol that is bound later.
    pub fn extent(&mut self, e: &Expr) -> Res<Extent> {
        let v = self.eval(e)?;
        if let ValKind::Dim { extent, .. } = v.kind {
            return Ok(extent);
        }
        let n = self.as_number(&v)?;
        let at = self.blame(v.span);
        if n.fract() != 0.0 || n < 1.0 || n.is_nan() {
            return Err(errors::bad_extent(at, n));
        }
        if n >= (1u64 << 31) as f64 {
            return Err(errors::too_large(at, &[Extent::Fixed(n as u64)]));
        }
        Ok(Extent::Fixed(n as u64))
    }

    /// What a definition gives back: the named output, or the last value; with the promised axes and kind.
    pub fn result(&mut self, def: &Arc<Def>, last: Option<Val>, outer: &Outer, span: Span) -> Res<Val> {
        let input = self.frame().input.clone();
        if def.outputs.len() > 1 {
            let mut items = Vec::new();
            for port in &def.outputs {
                let v = self.output_value(def, port, None)?;
                items.push(self.promise_output(def, port, v, outer, span)?);
            }
            return Ok(Val::new(ValKind::List(items), span));
        }
        let last = match last {
            Some(v) if matches!(v.kind, ValKind::Func(_)) && input.is_some() => {
                Some(self.finish_body(Some(v), input, span)?)
            }
            other => other,
        };
        let Some(port) = def.outputs.first() else {
            if def.kind == DefKind::Loss
                && let Some(v) = last
            {
                return self.finish_loss(v, span);
            }
            return last.ok_or_else(|| errors::no_result(self.blame(def.name.span), &def.name.text, None));
        };
        let v = self.output_value(def, port, last)?;
        self.promise_output(def, port, v, outer, span)
    }

    fn output_value(&mut self, def: &Def, port: &Port, last: Option<Val>) -> Res<Val> {
        match &port.name {
            Some(n) if self.lookup(&n.text).is_some() => {
                Ok(self.lookup(&n.text).cloned().unwrap_or_else(|| panic!("found")))
            }
            name => last.ok_or_else(|| {
                let name = name.as_ref().map(|n| n.text.as_str());
                errors::no_result(self.blame(def.name.span), &def.name.text, name)
            }),
        }
    }

    fn promise_output(&mut self, def: &Arc<Def>, port: &Port, mut v: Val, outer: &Outer, span: Span) -> Res<Val> {
        let at = if self.items.is_library(def.name.span) { span } else { v.span };
        let ValKind::Tensor(t) = &mut v.kind else { return Ok(v) };
        let mut inner = Outer::new();
        if let Some(ty) = &port.ty {
            if let Some(kind) = self.kind_of(ty)? {
                if t.kind == Kind::Prob && kind == Kind::Logits {
                    return Err(errors::kind_differs(self.blame(at), &def.name.text, &kind, &t.kind));
                }
                // Rows are picked by what an index promises to be, so no formula may promise it.
                let proven = t.kind.is_integer() && (kind.count().is_none() || kind.count() == t.kind.count());
                if kind.is_integer() && !proven {
                    return Err(errors::kind_differs(self.blame(at), &def.name.text, &kind, &t.kind));
                }
                if !(kind.is_integer() && kind.count().is_none()) {
                    t.kind = kind;
                }
            }
            if let Some(dims) = &ty.dims {
                let fix = promised_size(dims, t, &def.body);
                self.unify(dims, t, &def.name.text, (at, at), &mut inner).map_err(|d| match fix {
                    Some((place, wanted)) => Box::new((*d).fix(format!("write `{wanted}`"), place, wanted.to_string())),
                    None => errors::before_the_last(d, at),
                })?;
            }
        }
        for axis in &mut t.axes {
            let Some(name) = axis.name.clone() else { continue };
            match outer.get(&name) {
                Some(outside) => axis.name = outside.clone(),
                None if inner.contains_key(&name) => axis.name = None,
                None => {}
            }
        }
        let dims = port.ty.as_ref().and_then(|ty| ty.dims.as_deref()).unwrap_or_default();
        for (place, name) in in_place_of(def, dims, t, outer) {
            if t.axes.iter().all(|a| a.name.as_ref() != Some(&name)) {
                t.axes[place].name.get_or_insert(name);
            }
        }
        Ok(v)
    }
}

/// What the axes of a result are called outside that are new in the place of an axis of the input: of `[H, W, C] -> [_, _, out]`
/// all three.
fn in_place_of(def: &Def, dims: &[Expr], t: &Tensor, outer: &Outer) -> Vec<(usize, String)> {
    let from =
        def.inputs.first().and_then(|port| port.ty.as_ref()).and_then(|ty| ty.dims.as_deref()).unwrap_or_default();
    let rest = |dims: &[Expr]| dims.iter().position(|d| matches!(d.kind, ExprKind::Rest));
    if from.len() != dims.len() || rest(from) != rest(dims) {
        return vec![];
    }
    let new = |dim: &Expr| match &dim.kind {
        ExprKind::Name(n) => !outer.contains_key(n),
        kind => matches!(kind, ExprKind::Wildcard | ExprKind::Binary(..)),
    };
    let named = |(i, (from, to)): (usize, (&Expr, &Expr))| match &from.kind {
        ExprKind::Name(n) if new(to) => {
            let place = if rest(dims).is_some_and(|r| i > r) {
                t.axes.len() - (dims.len() - i)
            } else {
                i + t.axes.len() - t.own_axes().len()
            };
            Some((place, outer.get(n)?.clone()?))
        }
        _ => None,
    };
    from.iter().zip(dims).enumerate().filter_map(named).collect()
}

/// Where the last layer of a body is given a size that its output does not have, and the promised one.
fn promised_size(dims: &[Expr], t: &Tensor, body: &[Stmt]) -> Option<(Span, f64)> {
    let number = |e: &Expr| match e.kind {
        ExprKind::Number { value, .. } => Some(value),
        _ => None,
    };
    let pairs = dims.iter().rev().zip(t.own_axes().iter().rev());
    let mut differing = pairs.filter_map(|(d, a)| Some((number(d)?, a.extent.fixed()? as f64)));
    let (wanted, found) = differing.find(|(wanted, found)| wanted != found)?;
    let last = body.iter().rev().find_map(|s| match &s.kind {
        StmtKind::Expr(Expr { kind: ExprKind::Pipe(_, parts), .. }) => parts.last().map(|(_, part)| part),
        _ => None,
    })?;
    let ExprKind::Call(call) = &last.kind else { return None };
    let size = call.args.iter().flatten().find(|a| number(&a.value) == Some(found))?;
    Some((size.value.span, wanted))
}

/// `[H, W, _]` as it is written in a message.
pub fn shape_text(dims: &[Expr]) -> String {
    let parts = dims.iter().map(|d| match &d.kind {
        ExprKind::Rest => "..".to_string(),
        ExprKind::Wildcard => "_".to_string(),
        ExprKind::Name(n) => n.clone(),
        ExprKind::Number { value, .. } => value.to_string(),
        _ => "…".to_string(),
    });
    format!("[{}]", parts.collect::<Vec<_>>().join(", "))
}
