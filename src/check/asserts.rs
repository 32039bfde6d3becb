//! Assertions of a definition about its settings and sizes.
//!
//! In: a condition and its message. Out: E0110 where it does not hold. Invariant: the message shows the numbers that the
//! condition was about.

use super::elaborate::{Elaborator, Res};
use super::errors::{self, Boxed};
use super::trace::labelled;
use super::value::ValKind;
use crate::base::Extent;
use crate::syntax::ast::{BinaryOp, Expr, ExprKind, Str};

impl Elaborator<'_> {
    pub fn assertion(&mut self, condition: &Expr, message: Option<&Str>) -> Res<()> {
        if self.unknown_size(condition) {
            return Ok(());
        }
        let v = self.eval(condition)?;
        if v.as_number() != Some(0.0) {
            return Ok(());
        }
        let text = message.map_or("an assertion does not hold", |m| m.text.as_str());
        let d = errors::promise(self.blame(condition.span), &self.filled_in(text));
        Err(self.dividing(self.with_numbers(d, condition), condition))
    }

    /// Whether a condition is about a size that only the data tells: then it waits for the data.
    fn unknown_size(&self, condition: &Expr) -> bool {
        let mut unknown = false;
        super::items::names_in_expr(condition, &mut |name, _| {
            let value = self.lookup(name).map(|v| &v.kind);
            unknown |= matches!(value, Some(ValKind::Dim { extent: Extent::Sym(_), .. }));
        });
        unknown
    }

    /// `d`, with the numbers behind the names of a condition that does not hold, each where it comes from if the user wrote it.
    fn with_numbers(&self, mut d: Boxed, condition: &Expr) -> Boxed {
        let mut names: Vec<&str> = Vec::new();
        super::items::names_in_expr(condition, &mut |name, _| names.push(name));
        names.sort_unstable();
        names.dedup();
        for name in names {
            let Some((v, n)) = self.lookup(name).and_then(|v| Some((v, v.as_number()?))) else { continue };
            let born = self.frames.last().and_then(|f| f.births.get(name));
            let place = match born {
                Some(&value) => self.sizes_on_the_way(value).pop().map(|size| size.span),
                None => Some(v.span).filter(|&span| !self.items.is_library(span)),
            };
            d = match place {
                Some(place) => labelled(d, place, format!("{name} is {n} here")),
                None => Box::new((*d).note(format!("`{name}` is {n}"))),
            };
        }
        d
    }

    /// For `D % heads == 0`, the number nearest to `heads` that would hold.
    fn dividing(&self, mut d: Boxed, condition: &Expr) -> Boxed {
        let ExprKind::Binary(first, rest) = &condition.kind else { return d };
        if rest.iter().all(|(op, _, _)| *op == BinaryOp::And) {
            let terms = std::iter::once(first.as_ref()).chain(rest.iter().map(|(_, _, term)| term));
            return terms.fold(d, |d, term| self.dividing(d, term));
        }
        let ([(BinaryOp::Eq, _, _)], ExprKind::Binary(whole, by)) = (rest.as_slice(), &first.kind) else { return d };
        let [(BinaryOp::Mod, _, by)] = by.as_slice() else { return d };
        let named = |e: &Expr| match &e.kind {
            ExprKind::Name(name) => self.lookup(name),
            _ => None,
        };
        let (Some(whole), Some(setting)) = (named(whole), named(by)) else { return d };
        if let (Some(n), Some(k)) = (whole.as_number(), setting.as_number())
            && !self.items.is_library(setting.span)
            && let Some(fits) = nearest_divisor(n, k)
        {
            d = Box::new((*d).fix(
                format!("{n} is a multiple of {fits}: write `{fits}`"),
                setting.span,
                fits.to_string(),
            ));
        }
        d
    }

    /// `{groups}` in a message becomes the number of that name.
    fn filled_in(&self, text: &str) -> String {
        let vars = self.frames.last().map(|f| f.vars.iter()).into_iter().flatten();
        let numbers = vars.filter_map(|(name, v)| Some((name, v.as_number()?)));
        numbers.fold(text.to_string(), |text, (name, n)| text.replace(&format!("{{{name}}}"), &n.to_string()))
    }
}

/// The whole number nearest to `k`, and other than it, that divides `n`.
fn nearest_divisor(n: f64, k: f64) -> Option<u64> {
    if n.fract() != 0.0 || !(1.0..4294967296.0).contains(&n) {
        return None;
    }
    let n = n as u64;
    let small = (1..=n.isqrt()).filter(|d| n.is_multiple_of(*d));
    let all = small.flat_map(|d| [d, n / d]).filter(|&d| d as f64 != k);
    all.min_by(|a, b| (*a as f64 - k).abs().total_cmp(&(*b as f64 - k).abs()).then(a.cmp(b)))
}
