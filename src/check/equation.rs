//! Equations: `y[i, o] = sum[u](x[i + u] * weight[o, u])`.
//!
//! In: the two sides. Out: the tensor on the left. Invariant: an index means one extent within one equation, and nothing
//! beyond it; its extent is known before a window needs it, in whatever order the factors stand.

use super::elaborate::{Elaborator, Res};
use super::errors;
use super::sums::{Sum, bounded, padded};
use super::value::{Axis, Label, Tensor, Val, ValKind};
use crate::base::{Extent, Span};
use crate::syntax::ast::{Expr, ExprKind};

impl Elaborator<'_> {
    /// Before the right side is evaluated: the extents that either side tells at once.
    pub fn open_equation(&mut self, index: &[Expr], value: &Expr) -> Res<()> {
        self.frame().labels.clear();
        self.frame().bounds.clear();
        for item in index {
            self.bound_index(item)?;
        }
        self.tell_extents(value)
    }

    /// `u < 3` gives the index `u` the extent 3.
    pub fn bound_index(&mut self, item: &Expr) -> Res<()> {
        let Some((name, bound)) = bounded(item) else { return Ok(()) };
        let extent = self.extent(bound)?;
        self.frame().bounds.insert(name.to_string());
        match self.label_extent(name) {
            Some(known) if known != extent => {
                let [known, extent] = [known, extent].map(|e| super::value::describe_extents(&[e]));
                Err(errors::extent_differs(self.blame(item.span), name, &known, &extent))
            }
            Some(_) => Ok(()),
            None => {
                self.frame().labels.push((Label::Index(name.to_string()), extent));
                Ok(())
            }
        }
    }

    /// Notes the extents of indices that stand alone, as in `weight[o, u, v, c]`.
    fn tell_extents(&mut self, e: &Expr) -> Res<()> {
        match &e.kind {
            ExprKind::Index(base, items) => {
                let base = padded(base).map_or(base.as_ref(), |(x, _)| x);
                self.tell_axes(base, items);
                self.tell_extents(base)
            }
            ExprKind::Unary(_, x) | ExprKind::Paren(x) | ExprKind::Field(x, _) => self.tell_extents(x),
            ExprKind::Call(c) => {
                c.axes.iter().flatten().try_for_each(|item| self.bound_index(item))?;
                c.args.iter().flatten().try_for_each(|a| self.tell_extents(&a.value))
            }
            ExprKind::Binary(first, rest) => {
                self.tell_extents(first)?;
                rest.iter().try_for_each(|(_, _, x)| self.tell_extents(x))
            }
            _ => Ok(()),
        }
    }

    fn tell_axes(&mut self, base: &Expr, items: &[Expr]) {
        let ExprKind::Name(name) = &base.kind else { return };
        let Some(ValKind::Tensor(t)) = self.lookup(name).map(|v| v.kind.clone()) else { return };
        let rest = items.iter().position(|i| matches!(i.kind, ExprKind::Rest));
        let own = t.own_axes();
        if items.len() - usize::from(rest.is_some()) > own.len() || (rest.is_none() && items.len() != own.len()) {
            return;
        }
        for (i, item) in items.iter().enumerate() {
            let ExprKind::Name(n) = &item.kind else { continue };
            let place = if rest.is_some_and(|r| i > r) { own.len() + i - items.len() } else { i };
            let label = Label::Index(n.clone());
            if self.lookup(n).is_none() && self.label_extent(n).is_none() {
                self.frame().labels.push((label, own[place].extent));
            }
        }
    }

    /// The left side of `y[.., o] = …`: the value with exactly these axes, in this order, no longer labelled.
    pub fn equation(&mut self, index: &[Expr], v: Val, span: Span) -> Res<Val> {
        let scalar = self.elementwise_operand(&v, span)?;
        let mut axes: Vec<Axis> = scalar.axes.iter().filter(|a| a.label == Some(Label::Batch)).cloned().collect();
        let mut sums: Vec<(usize, Sum)> = Vec::new();
        // An axis keeps what the right side knows of it: its name, and the lengths of its rows.
        let target = |label: Label, extent: Extent| {
            let known = scalar.axes.iter().find(|a| a.label.as_ref() == Some(&label) && a.extent == extent);
            known.cloned().unwrap_or(Axis { label: Some(label), ..Axis::new(extent) })
        };
        let mut stand = vec![(span, false); axes.len()];
        for item in index {
            match &item.kind {
                ExprKind::Rest => {
                    let mut rest: Vec<(Label, Extent)> =
                        self.frame().labels.iter().filter(|(l, _)| matches!(l, Label::Rest(_))).cloned().collect();
                    rest.sort_by(|a, b| a.0.cmp(&b.0));
                    for (label, extent) in rest {
                        axes.push(target(label, extent));
                    }
                }
                ExprKind::Name(n) => {
                    let (label, extent) = self.target_axis(n, item.span)?;
                    axes.push(target(label, extent));
                }
                _ => match (bounded(item), self.index_sum(item)?) {
                    (Some((n, _)), _) => {
                        let (label, extent) = self.target_axis(n, item.span)?;
                        axes.push(target(label, extent));
                    }
                    (None, Some(mut sum)) => {
                        let pair = self.unwindowed(&mut sum)?;
                        for axis in scalar.axes.iter().filter(|a| pair.iter().any(|p| p.label == a.label)) {
                            self.refuse_padding("a window", axis, item.span)?;
                        }
                        sums.push((axes.len(), sum));
                        axes.extend(pair);
                    }
                    _ => return Err(errors::not_a_statement(self.blame(item.span), "the left side of an equation")),
                },
            }
            stand.resize(axes.len(), (item.span, bounded(item).is_some()));
        }
        self.each_once(&stand, &axes, &scalar)?;
        if let Some(free) = scalar.axes.iter().find(|a| !axes.iter().any(|b| b.label == a.label)) {
            let name = match &free.label {
                Some(Label::Index(n)) => n.clone(),
                _ => "..".into(),
            };
            let d = errors::undefined(self.blame(span), &name, &[]);
            return Err(Box::new((*d).note(format!(
                "`{name}` is on the right only: add it to the left, or reduce over it with `sum[{name}](…)`"
            ))));
        }
        let mut t = self.arrange(&scalar, &axes, span)?;
        for (place, sum) in sums.iter().rev() {
            t = self.unwindow(t, *place, sum)?;
        }
        for axis in &mut t.axes {
            if axis.label != Some(Label::Batch) {
                axis.label = None;
            }
        }
        Ok(Val::tensor(t, span))
    }

    /// An index stands on the left once, and what is summed over on the right is not left. `stand` says where each of the
    /// axes stands, and whether its extent is said there.
    fn each_once(&mut self, stand: &[(Span, bool)], axes: &[Axis], scalar: &Tensor) -> Res<()> {
        for (i, (axis, &(at, told))) in axes.iter().zip(stand).enumerate() {
            let Some(Label::Index(n)) = &axis.label else { continue };
            if axes[..i].iter().any(|other| other.label == axis.label) {
                let what = format!("`{n}` twice on the left side of an equation");
                return Err(errors::unsupported(self.blame(at), &what));
            }
            if !told && scalar.axes.iter().all(|a| a.label != axis.label) {
                return Err(errors::reduced_away(self.blame(at), n));
            }
        }
        Ok(())
    }

    fn target_axis(&mut self, n: &str, span: Span) -> Res<(Label, Extent)> {
        let label = Label::Index(n.into());
        let found = self.frame().labels.iter().find(|(l, _)| *l == label).cloned();
        match found {
            Some(found) => Ok(found),
            None => {
                let d = errors::undefined(self.blame(span), n, &[]);
                let how =
                    format!("the index `{n}` stands on the left alone: give it to a tensor on the right, or `{n} < 3`");
                Err(Box::new((*d).note(how)))
            }
        }
    }
}
