//! Indices of tensors: `x[.., d]`, `x[0]`, `z[y]`.
//!
//! In: a tensor and what stands in the brackets behind it. Out: the tensor with labels for axes, or what the indices choose.
//! Invariant: each axis is named, chosen from, or under `..`.

use super::elaborate::{Elaborator, Res};
use super::errors;
use super::foreign::dotted;
use super::sums::padded;
use super::value::{Label, Tensor, Val, ValKind};
use crate::base::{DType, Span};
use crate::ops::{Attr, Attrs};
use crate::syntax::ast::{Expr, ExprKind};
use std::cmp::Reverse;

impl Elaborator<'_> {
    /// `x[.., d]`: names for axes, a number for one element, an integer tensor for a choice.
    pub(super) fn index(&mut self, base: &Expr, items: &[Expr], span: Span) -> Res<Val> {
        if let Some(row) = self.row(base, items, span)? {
            return Ok(row);
        }
        let (base, outside) = match padded(base) {
            Some((x, value)) => (x, Some(self.fill(value)?)),
            None => (base, None),
        };
        let v = self.eval(base)?;
        let ValKind::Tensor(t) = &v.kind else {
            let d = errors::wrong_type(self.blame(base.span), "a tensor before `[`", &v);
            return Err(if matches!(v.kind, ValKind::Func(_)) {
                errors::round_brackets(*d, base.span, span)
            } else {
                d
            });
        };
        let rank = t.own_axes().len();
        let rest = items.iter().position(|i| matches!(i.kind, ExprKind::Rest));
        let explicit = items.len() - usize::from(rest.is_some());
        // Without `..`, the leading axes are kept as they are: `softmax(z)[y]` chooses along the last axis.
        let choice = rest.is_none() && explicit < rank && items.iter().all(|i| self.is_choice(i));
        if explicit > rank || (rest.is_none() && explicit < rank && !choice) {
            let written = dotted(base).map_or("the tensor".to_string(), |(_, path)| format!("`{path}`"));
            return Err(errors::indices_differ(self.blame(span), &written, explicit, t));
        }
        let hidden = rank - explicit;
        let before = if choice { hidden } else { rest.unwrap_or(0) };
        let mut out = t.clone();
        let skip = usize::from(t.batched());
        for k in 0..if choice || rest.is_some() { hidden } else { 0 } {
            out.axes[skip + before.min(rest.unwrap_or(0)) + k].label = Some(Label::Rest(Reverse(hidden - 1 - k)));
        }
        let own: Vec<&Expr> = items.iter().filter(|i| !matches!(i.kind, ExprKind::Rest)).collect();
        let place = |i: usize| if choice || rest.is_some_and(|r| i >= r) { skip + hidden + i } else { skip + i };
        let (mut later, mut sums) = (Vec::new(), Vec::new());
        for (i, item) in own.iter().enumerate() {
            let sum = match self.index_sum(item)? {
                None => self.first_of(item, out.axes[place(i)].extent)?,
                sum => sum,
            };
            match sum {
                Some(sum) => sums.push((place(i), sum)),
                None => self.index_axis(&mut out, place(i), item, &mut later)?,
            }
        }
        self.note_labels(&out);
        out = self.windows(out, sums, outside)?;
        self.note_labels(&out);
        let out = self.take(out, later, choice, span)?;
        Ok(Val::tensor(out, span))
    }

    fn is_choice(&self, item: &Expr) -> bool {
        matches!(&item.kind, ExprKind::Name(n) if matches!(self.lookup(n).map(|v| &v.kind), Some(ValKind::Tensor(_))))
    }

    fn index_axis(&mut self, t: &mut Tensor, place: usize, item: &Expr, later: &mut Vec<(usize, Val)>) -> Res<()> {
        if let ExprKind::Name(n) = &item.kind
            && !matches!(self.lookup(n).map(|v| &v.kind), Some(ValKind::Tensor(_) | ValKind::Number(_)))
        {
            let label = if n == "batch" { Label::Batch } else { Label::Index(n.clone()) };
            if t.axes.iter().any(|a| a.label.as_ref() == Some(&label)) {
                return Err(errors::unsupported(self.blame(item.span), &format!("the diagonal `{n}`, `{n}`")));
            }
            t.axes[place].label = Some(label);
            return Ok(());
        }
        let v = self.eval(item)?;
        t.axes[place].label = Some(Label::Index(format!("#{place}")));
        later.push((place, v));
        Ok(())
    }

    /// Carries out what an index chooses: a fixed element, or one element per row.
    fn take(&mut self, mut t: Tensor, later: Vec<(usize, Val)>, choice: bool, span: Span) -> Res<Tensor> {
        for (place, v) in later {
            let label = Label::Index(format!("#{place}"));
            match (&v.kind, v.as_number()) {
                (ValKind::Tensor(at), _) if self.dtype(at) == DType::I32 => {
                    let at = if choice { self.label_rest(at) } else { at.clone() };
                    t = self.pick(&t, &label, &at, span)?;
                }
                (_, Some(n)) => t = self.element(t, &label, n, v.span)?,
                _ => return Err(errors::wrong_type(self.blame(v.span), "an index, a number or class indices", &v)),
            }
        }
        Ok(if choice { self.unlabel_rest(t) } else { t })
    }

    fn element(&mut self, t: Tensor, label: &Label, n: f64, span: Span) -> Res<Tensor> {
        let place =
            t.axes.iter().position(|a| a.label.as_ref() == Some(label)).unwrap_or_else(|| panic!("labelled axis"));
        if n > 0.0 {
            self.refuse_padding(&format!("element {n}"), &t.axes[place], span)?;
        }
        let extent = t.axes[place].extent.fixed();
        if n.fract() != 0.0 || n < 0.0 || extent.is_some_and(|e| n >= e as f64) {
            return Err(errors::bad_element(self.blame(span), n, extent));
        }
        let attrs = vec![("axis", place as i64), ("start", n as i64), ("len", 1), ("step", 1)];
        let attrs = Attrs(attrs.into_iter().map(|(k, v)| (k, Attr::Int(v))).collect());
        let value = self.emit("slice", attrs, &[t.value], span)?;
        let mut axes = t.axes.clone();
        axes.remove(place);
        let shape = super::tensor::extents(&axes);
        let value = self.emit("reshape", Attrs(vec![("shape", Attr::Shape(shape))]), &[value], span)?;
        Ok(Tensor { value, axes, kind: t.kind })
    }

    pub fn note_labels(&mut self, t: &Tensor) {
        for axis in &t.axes {
            if let Some(label) = axis.label.clone() {
                let frame = self.frame();
                if !frame.labels.iter().any(|(l, _)| *l == label) {
                    frame.labels.push((label, axis.extent));
                }
            }
        }
    }
}
