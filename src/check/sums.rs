//! Indices that are sums: `stride * i + dilation * u - pad`.
//!
//! In: what stands in an index. Out: multiples of indices, and how far windows reach outside. Invariant: factors are whole
//! numbers from 1, and an index stands in a sum once.

use super::elaborate::{Elaborator, Res};
use super::errors;
use super::value::{Label, Val, ValKind};
use crate::base::{Extent, Span};
use crate::syntax::ast::{BinaryOp, Expr, ExprKind, UnaryOp};

/// An index in an equation: a sum of multiples of indices, less what lies outside.
pub struct Sum {
    pub terms: Vec<Multiple>,
    pub outside: Outside,
    /// Where `outside` was said: the setting that the user gave, or its default in the library.
    pub said: Span,
    pub span: Span,
}

pub struct Multiple {
    pub factor: f64,
    /// Where the factor was said.
    pub said: Span,
    pub index: String,
}

/// How far windows reach beyond an axis.
#[derive(Clone, Copy, PartialEq)]
pub enum Outside {
    /// `- same`: position i has its middle tap on element `stride · i`; as many positions as multiples of the stride.
    Same,
    /// `- n`, or `- (before .. behind)`. Negative: so many elements are passed over.
    Sides(f64, f64),
}

/// `x` and `value` of `pad(x, value)` before an index.
pub fn padded(base: &Expr) -> Option<(&Expr, &Expr)> {
    let ExprKind::Call(call) = &base.kind else { return None };
    match call.args.as_deref() {
        Some([x, value]) if call.callee.text == "pad" && x.name.is_none() && value.name.is_none() => {
            Some((&x.value, &value.value))
        }
        _ => None,
    }
}

/// `u < 3`, where an index says its own extent.
pub fn bounded(e: &Expr) -> Option<(&str, &Expr)> {
    match &e.kind {
        ExprKind::Binary(first, rest) => match (&first.kind, rest.as_slice()) {
            (ExprKind::Name(n), [(BinaryOp::Lt, _, bound)]) => Some((n, bound)),
            _ => None,
        },
        _ => None,
    }
}

impl Elaborator<'_> {
    /// The sum that an index is, if it mentions an index and is not just its name.
    pub fn index_sum(&mut self, e: &Expr) -> Res<Option<Sum>> {
        if matches!(e.kind, ExprKind::Name(_)) || !self.mentions_index(e) {
            return Ok(None);
        }
        let mut sum = Sum { terms: vec![], outside: Outside::Sides(0.0, 0.0), said: e.span, span: e.span };
        self.add_terms(e, (1.0, e.span), &mut sum)?;
        for (i, term) in sum.terms.iter().enumerate() {
            if term.factor.fract() != 0.0 || term.factor < 1.0 || term.factor > 1e9 {
                return Err(errors::window_step(self.blame(term.said), &term.index, term.factor, term.said != e.span));
            }
            if sum.terms[..i].iter().any(|t| t.index == term.index) {
                return Err(errors::unsupported(self.blame(e.span), &format!("`{}` twice in one index", term.index)));
            }
        }
        if sum.terms.len() > 2 {
            return Err(errors::unsupported(self.blame(e.span), "an index that is a sum of more than two"));
        }
        Ok(Some(sum))
    }

    /// An index that says how far it runs, on an axis that is longer: it stands for the first elements.
    pub fn first_of(&mut self, e: &Expr, extent: Extent) -> Res<Option<Sum>> {
        let ExprKind::Name(n) = &e.kind else { return Ok(None) };
        let told = self.frames.last().is_some_and(|f| f.bounds.contains(n));
        let (Some(Extent::Fixed(runs)), Extent::Fixed(has)) = (self.label_extent(n), extent) else { return Ok(None) };
        if !told || runs == has || !self.is_index(n) {
            return Ok(None);
        }
        if runs > has {
            return Err(errors::runs_beyond(self.blame(e.span), n, runs, has));
        }
        let terms = vec![Multiple { factor: 1.0, said: e.span, index: n.clone() }];
        Ok(Some(Sum { terms, outside: Outside::Sides(0.0, 0.0), said: e.span, span: e.span }))
    }

    fn is_index(&self, name: &str) -> bool {
        self.lookup(name).is_none()
            && !self.items.consts.contains_key(name)
            && !super::expr::WORDS.contains(&name)
            && !matches!(name, "inf" | "pi" | "true" | "false" | "step")
    }

    fn mentions_index(&self, e: &Expr) -> bool {
        match &e.kind {
            ExprKind::Name(n) => self.is_index(n),
            ExprKind::Paren(inner) | ExprKind::Unary(UnaryOp::Neg, inner) => self.mentions_index(inner),
            ExprKind::Binary(first, rest) => {
                use BinaryOp::{Add, Div, Mul, Sub};
                let arithmetic = |op: &BinaryOp| matches!(op, Add | Sub | Mul | Div);
                rest.iter().all(|(op, _, _)| arithmetic(op))
                    && (self.mentions_index(first) || rest.iter().any(|(_, _, x)| self.mentions_index(x)))
            }
            _ => false,
        }
    }

    /// Adds `factor · e`; the factor comes with the place where it was said.
    fn add_terms(&mut self, e: &Expr, (factor, said): (f64, Span), sum: &mut Sum) -> Res<()> {
        match &e.kind {
            ExprKind::Paren(inner) if self.mentions_index(e) => self.add_terms(inner, (factor, said), sum),
            ExprKind::Unary(UnaryOp::Neg, inner) if self.mentions_index(e) => {
                self.add_terms(inner, (-factor, said), sum)
            }
            ExprKind::Name(n) if self.is_index(n) => {
                sum.terms.push(Multiple { factor, said, index: n.clone() });
                Ok(())
            }
            ExprKind::Binary(first, rest)
                if rest.iter().all(|(op, _, _)| matches!(op, BinaryOp::Add | BinaryOp::Sub)) =>
            {
                self.add_terms(first, (factor, said), sum)?;
                for (op, _, x) in rest {
                    let sign = if *op == BinaryOp::Sub { -factor } else { factor };
                    self.add_terms(x, (sign, said), sum)?;
                }
                Ok(())
            }
            ExprKind::Binary(first, rest) if self.mentions_index(e) => {
                let (mut product, mut said, mut inner) = (factor, said, None);
                let factors = rest.iter().map(|(op, _, x)| (*op == BinaryOp::Div, x));
                for (divides, x) in std::iter::once((false, first.as_ref())).chain(factors) {
                    if !self.mentions_index(x) {
                        let v = self.eval(x)?;
                        let n = self.as_number(&v)?;
                        product = if divides { product / n } else { product * n };
                        said = v.span;
                    } else if divides || inner.replace(x).is_some() {
                        let what = "an index that is no sum of multiples of indices";
                        return Err(errors::unsupported(self.blame(e.span), what));
                    }
                }
                inner.map_or(Ok(()), |x| self.add_terms(x, (product, said), sum))
            }
            _ => {
                let v = self.eval(e)?;
                self.add_offset(&v, factor, sum)
            }
        }
    }

    fn add_offset(&mut self, v: &Val, factor: f64, sum: &mut Sum) -> Res<()> {
        let (before, behind) = match &v.kind {
            ValKind::Word(w) if w == "same" && factor == -1.0 => {
                (sum.outside, sum.said) = (Outside::Same, v.span);
                return Ok(());
            }
            ValKind::Range(before, behind) if factor == -1.0 => (*before, *behind),
            _ => {
                let n = -factor * self.as_number(v)?;
                (n, n)
            }
        };
        if before.fract() != 0.0 || behind.fract() != 0.0 || before.abs().max(behind.abs()) > 1e9 {
            return Err(errors::window_offset(self.blame(v.span), before.max(behind)));
        }
        if let Outside::Sides(a, b) = &mut sum.outside {
            (*a, *b) = (*a + before, *b + behind);
            sum.said = v.span;
        }
        Ok(())
    }

    pub fn label_extent(&self, index: &str) -> Option<Extent> {
        let labels = self.frames.last().map(|f| f.labels.as_slice()).unwrap_or_default();
        labels.iter().find(|(l, _)| matches!(l, Label::Index(n) if n == index)).map(|(_, e)| *e)
    }

    pub(super) fn known(&self, index: &str, span: Span) -> Res<Option<u64>> {
        match self.label_extent(index) {
            Some(Extent::Fixed(n)) => Ok(Some(n)),
            Some(_) => Err(errors::unsupported(self.blame(span), "a window over an axis of unknown length")),
            None => Ok(None),
        }
    }
}
