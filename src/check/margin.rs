//! What lies outside of an axis: `pad(x, 0)[i - 1]`, `pad(x, reflect)[i - 1]`.
//!
//! In: an axis and how far windows reach beyond its ends. Out: the axis with its margins, or without the elements that windows
//! pass over. Invariant: a margin holds no more elements of the axis than there are to repeat.

use super::elaborate::{Elaborator, Res};
use super::errors;
use super::value::ValKind;
use super::window::Window;
use crate::base::{Extent, Span};
use crate::ops::{Attr, Attrs, Emit, Value};
use crate::syntax::ast::Expr;

/// What is read beyond the ends of an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fill {
    Number(f64),
    /// The elements before the last one, in reverse: the last one is the mirror.
    Reflect,
    /// The last element, again and again.
    Replicate,
    /// The elements of the other end.
    Circular,
}

impl Fill {
    /// The word for it, and the most that it fills of a margin of an axis of `extent`.
    fn limit(self, extent: u64) -> Option<(&'static str, u64)> {
        match self {
            Fill::Reflect => Some(("reflect", extent - 1)),
            Fill::Circular => Some(("circular", extent)),
            Fill::Number(_) | Fill::Replicate => None,
        }
    }
}

impl Elaborator<'_> {
    /// The second value of `pad(x, 0)`.
    pub fn fill(&mut self, e: &Expr) -> Res<Fill> {
        let v = self.eval(e)?;
        match &v.kind {
            ValKind::Word(w) if w == "reflect" => Ok(Fill::Reflect),
            ValKind::Word(w) if w == "replicate" => Ok(Fill::Replicate),
            ValKind::Word(w) if w == "circular" => Ok(Fill::Circular),
            _ => match v.as_number() {
                Some(n) => Ok(Fill::Number(n)),
                None => {
                    let wanted = "a number, `reflect`, `replicate` or `circular`";
                    Err(errors::wrong_type(self.blame(v.span), wanted, &v))
                }
            },
        }
    }

    /// Whether the axis has elements enough for its margins. `said` is where their size was said.
    pub fn check_margin(&self, w: &Window, fill: Fill, said: Span) -> Res<()> {
        let left = w.extent as i64 + w.before.min(0) + w.behind.min(0);
        let Some((how, most)) = fill.limit(left.max(1) as u64) else { return Ok(()) };
        let widest = w.before.max(w.behind);
        if widest > most as i64 { Err(errors::margin_too_wide(self.blame(said), how, widest, most)) } else { Ok(()) }
    }

    /// The error of a window in which no element of the axis is, where that gives no number.
    pub fn sees_nothing(&self, w: &Window, at: u64, said: Span) -> errors::Boxed {
        let d = errors::sees_nothing(self.blame(said), w, at);
        if self.items.is_library(said) || w.dilation > 1 {
            return d;
        }
        let most = w.reach() - 1;
        Box::new((*d).fix(format!("a margin of {most} is the widest: write `{most}`"), said, most.to_string()))
    }

    /// Elements added at both ends of an axis, or with negative numbers, taken away.
    pub fn resize(
        &mut self,
        mut value: Value,
        place: usize,
        extent: u64,
        (before, behind): (i64, i64),
        fill: Fill,
        span: Span,
    ) -> Res<Value> {
        let (cut, rest) = (-before.min(0), -behind.min(0));
        let extent = extent as i64 - cut - rest;
        if cut > 0 || rest > 0 {
            value = self.slice(value, place, cut, extent, span)?;
        }
        let (lo, hi) = (before.max(0), behind.max(0));
        if lo == 0 && hi == 0 {
            return Ok(value);
        }
        let axis = ("axis", Attr::Int(place as i64));
        if let Fill::Number(n) = fill {
            let attrs = [axis, ("lo", Attr::Int(lo)), ("hi", Attr::Int(hi)), ("value", Attr::Float(n))];
            return self.emit("pad", attrs.into(), &[value], span);
        }
        let (first, last) = match fill {
            Fill::Reflect => ((1, lo), (extent - 1 - hi, hi)),
            Fill::Circular => ((extent - lo, lo), (0, hi)),
            Fill::Replicate | Fill::Number(_) => ((0, 1), (extent - 1, 1)),
        };
        let mut parts = vec![];
        if lo > 0 {
            let part = self.slice(value, place, first.0, first.1, span)?;
            parts.push(self.margin(part, place, lo, fill, span)?);
        }
        parts.push(value);
        if hi > 0 {
            let part = self.slice(value, place, last.0, last.1, span)?;
            parts.push(self.margin(part, place, hi, fill, span)?);
        }
        self.emit("concat", [axis].into(), &parts, span)
    }

    /// The elements of an axis that fill one of its margins, as the margin has them.
    fn margin(&mut self, part: Value, place: usize, size: i64, fill: Fill, span: Span) -> Res<Value> {
        let mut shape = self.graph.ty(part).shape.clone();
        if size == 1 || fill == Fill::Circular {
            return Ok(part);
        }
        if fill == Fill::Replicate {
            let without = shape.iter().enumerate().filter(|(i, _)| *i != place).map(|(_, e)| *e).collect();
            let one = self.emit("reshape", [("shape", Attr::Shape(without))].into(), &[part], span)?;
            let axes = (0..shape.len()).filter(|i| *i != place).map(|i| i as i64).collect();
            shape[place] = Extent::Fixed(size as u64);
            return self.emit(
                "broadcast",
                [("axes", Attr::Ints(axes)), ("shape", Attr::Shape(shape))].into(),
                &[one],
                span,
            );
        }
        let (axis, i32) = (("axis", Attr::Int(place as i64)), ("dtype", Attr::DType(crate::base::DType::I32)));
        let places = self.emit("iota", [("shape", Attr::Shape(shape.clone())), axis.clone()].into(), &[], span)?;
        let last = self.emit("const", [("value", Attr::Float((size - 1) as f64)), i32].into(), &[], span)?;
        let last = self.emit(
            "broadcast",
            [("axes", Attr::Ints(vec![])), ("shape", Attr::Shape(shape))].into(),
            &[last],
            span,
        )?;
        let places = self.emit("sub", Attrs::none(), &[last, places], span)?;
        self.emit("take", [axis].into(), &[part, places], span)
    }

    fn slice(&mut self, value: Value, place: usize, start: i64, len: i64, span: Span) -> Res<Value> {
        let int = |name, n: i64| (name, Attr::Int(n));
        let attrs = [int("axis", place as i64), int("start", start), int("len", len), int("step", 1)];
        self.emit("slice", attrs.into(), &[value], span)
    }
}
