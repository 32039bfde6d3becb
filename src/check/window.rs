//! Windows: axes read at sums, as in `x[stride * i + dilation * u - pad]`.
//!
//! In: a tensor and the sum at which an axis is read. Out: on the right two axes in place of one, positions and taps; on the left one axis in place
//! of two, where what meets at one place is added up. Invariant: an element outside is read only through `pad(x, value)`,
//! which says what it is; the two forms are each other's transpose.

use super::elaborate::{Elaborator, Res};
use super::errors;
use super::margin::Fill;
use super::sums::{Outside, Sum};
use super::tensor::extents;
use super::value::{Axis, Label, Tensor, Val};
use crate::base::{Extent, Span};
use crate::ops::{Attr, Attrs};

/// What a sum asks of an axis.
pub struct Window {
    pub extent: u64,
    pub before: i64,
    pub behind: i64,
    pub taps: u64,
    pub stride: u64,
    pub dilation: u64,
}

impl Window {
    /// From the first tap to the last.
    pub fn reach(&self) -> u64 {
        (self.taps - 1).saturating_mul(self.dilation).saturating_add(1)
    }

    pub fn padded(&self) -> i64 {
        self.extent as i64 + self.before + self.behind
    }

    /// The first of so many positions whose taps all lie outside of the axis.
    fn sees_nothing(&self, positions: u64) -> Option<u64> {
        let (extent, step) = (self.extent as i64, self.dilation as i64);
        let (before, last) = (self.before.max(0) as u64, positions - 1);
        // Only the first ones and the last one may.
        (0..positions.min(before.div_ceil(self.stride))).chain([last]).find(|&at| {
            let first = at as i64 * self.stride as i64 - self.before;
            let inside = if first < 0 { first + (-first + step - 1) / step * step } else { first };
            inside >= extent || (inside - first) / step >= self.taps as i64
        })
    }

    fn positions(&self) -> Option<u64> {
        let padded = u64::try_from(self.padded()).ok()?;
        padded.checked_sub(self.reach()).map(|rest| rest / self.stride + 1)
    }
}

/// How an axis is read: its window, how many positions it takes, and the indices that stand for positions and taps.
struct Plan {
    w: Window,
    positions: u64,
    position: String,
    tap: Option<String>,
    span: Span,
}

impl Elaborator<'_> {
    /// Reads several axes at sums. What only splits an axis comes last, next to the product that may not need the split.
    pub fn windows(&mut self, mut t: Tensor, sums: Vec<(usize, Sum)>, fill: Option<Fill>) -> Res<Tensor> {
        let splits =
            |s: &Self, sum: &Sum| sum.terms.len() == 2 && sum.terms.iter().all(|m| s.label_extent(&m.index).is_some());
        let (last, first): (Vec<_>, Vec<_>) = sums.iter().partition(|(_, sum)| splits(self, sum));
        let mut plans = Vec::new();
        for (place, sum) in first.iter().chain(&last) {
            plans.push((*place, self.plan(&t, *place, sum, fill)?));
        }
        // What lies outside is added before any window is taken: the margin of one axis is not repeated by the taps of another.
        for (place, Plan { w, span, .. }) in &plans {
            let fill = fill.unwrap_or(Fill::Number(0.0));
            t.value = self.resize(t.value, *place, w.extent, (w.before, w.behind), fill, *span)?;
            t.axes[*place].extent = Extent::Fixed(w.padded() as u64);
        }
        // Then from the last axis to the first, because a window inserts an axis.
        let (first, last) = plans.split_at(first.len());
        for (place, plan) in first.iter().rev() {
            t = self.emit_window(t, *place, plan)?;
        }
        for (place, plan) in last.iter().rev() {
            let inserted = first.iter().filter(|(p, plan)| p < place && plan.tap.is_some()).count();
            t = self.emit_window(t, place + inserted, plan)?;
        }
        Ok(t)
    }

    /// How axis `place` of `t` is read at `sum`. `fill` is what is read beyond its ends.
    fn plan(&mut self, t: &Tensor, place: usize, sum: &Sum, fill: Option<Fill>) -> Res<Plan> {
        self.refuse_padding("a window", &t.axes[place], sum.span)?;
        let Extent::Fixed(extent) = t.axes[place].extent else {
            return Err(errors::unsupported(self.blame(sum.span), "a window over an axis of unknown length"));
        };
        let counts = sum.terms.iter().map(|m| self.known(&m.index, sum.span)).collect::<Res<Vec<_>>>()?;
        let (position, tap) = match (sum.terms.as_slice(), counts.as_slice()) {
            ([m], [count]) => ((m, *count), None),
            ([a, b], [None, Some(n)]) => ((a, None), Some((b, *n))),
            ([a, b], [Some(n), None]) => ((b, None), Some((a, *n))),
            ([a, b], [Some(n), Some(k)]) => match a.factor as u64 == *k || (b.factor as u64 != *n && n >= k) {
                true => ((a, Some(*n)), Some((b, *k))),
                false => ((b, Some(*k)), Some((a, *n))),
            },
            ([a, b], _) => return Err(errors::unknown_extent(self.blame(sum.span), [&a.index, &b.index])),
            _ => panic!("a sum of indices has one term or two"),
        };
        let (taps, dilation) = tap.map_or((1, 1), |(m, n)| (n, m.factor as u64));
        let mut w = Window { extent, before: 0, behind: 0, taps, stride: position.0.factor as u64, dilation };
        match sum.outside {
            Outside::Sides(before, behind) => {
                // A plain shift forward leaves the end where it is.
                (w.before, w.behind) =
                    (before as i64, if before < 0.0 && before == behind { 0 } else { behind as i64 });
            }
            Outside::Same => {
                w.before = ((w.reach() - 1) / 2) as i64;
                let last = (extent.div_ceil(w.stride) - 1) * w.stride + w.reach();
                w.behind = (last as i64 - extent as i64 - w.before).max(0);
            }
        }
        match fill {
            None if w.before > 0 || w.behind > 0 => {
                return Err(errors::reads_outside(self.blame(sum.span), w.before.max(w.behind)));
            }
            Some(fill) => self.check_margin(&w, fill, sum.said)?,
            None => {}
        }
        let positions = match (w.positions(), position.1) {
            (Some(most), Some(n)) if n <= most => n,
            (Some(most), None) => most,
            _ => return Err(self.no_room(t, &w, sum)),
        };
        if let (Some(Fill::Number(n)), Some(at)) = (fill, w.sees_nothing(positions))
            && n.is_infinite()
        {
            return Err(self.sees_nothing(&w, at, sum.said));
        }
        let (position, tap) = (position.0.index.clone(), tap.map(|(m, _)| m.index.clone()));
        Ok(Plan { w, positions, position, tap, span: sum.span })
    }

    /// Positions and taps in the place of an axis that already has what lies outside.
    fn emit_window(&mut self, t: Tensor, place: usize, plan: &Plan) -> Res<Tensor> {
        let Plan { w, positions, position, tap, span } = plan;
        let (mut value, mut axes, kind, positions, span) = (t.value, t.axes, t.kind, *positions, *span);
        let labelled =
            |n: u64, index: &str| Axis { label: Some(Label::Index(index.to_string())), ..Axis::new(Extent::Fixed(n)) };
        axes[place] = labelled(positions, position);
        let int = |name, n: u64| (name, Attr::Int(n as i64));
        let Some(tap) = tap else {
            if positions as i64 != w.padded() || w.stride != 1 {
                let attrs = [int("axis", place as u64), int("start", 0), int("len", positions), int("step", w.stride)];
                value = self.emit("slice", attrs.into(), &[value], span)?;
            }
            return Ok(Tensor { value, axes, kind });
        };
        axes.insert(place + 1, labelled(w.taps, tap));
        let axis = int("axis", place as u64);
        let first = |n| Attrs::from([axis.clone(), int("start", 0), int("len", n), int("step", 1)]);
        if w.dilation == 1 && (w.stride == w.taps || positions == 1) {
            // Side by side: no element is in two windows.
            let covered = positions * w.taps;
            if covered as i64 != w.padded() {
                value = self.emit("slice", first(covered), &[value], span)?;
            }
            let attrs = Attrs(vec![("shape", Attr::Shape(extents(&axes)))]);
            value = self.emit("reshape", attrs, &[value], span)?;
            return Ok(Tensor { value, axes, kind });
        }
        let attrs = [axis.clone(), int("size", w.taps), int("stride", w.stride), int("dilation", w.dilation)];
        value = self.emit("window", attrs.into(), &[value], span)?;
        if Some(positions) != w.positions() {
            value = self.emit("slice", first(positions), &[value], span)?;
        }
        Ok(Tensor { value, axes, kind })
    }

    /// The error of a window for which there is no room: how the axis came to be that short, and what would fit.
    fn no_room(&mut self, t: &Tensor, w: &Window, sum: &Sum) -> errors::Boxed {
        let at = self.blame(sum.span);
        let mut d = *errors::no_room(at, w, &self.sizes_on_the_way(t.value));
        if w.reach() as i64 > w.padded() {
            if let Some(setting) = self.default_at(sum.said) {
                let end = Span { start: at.end.saturating_sub(1), end: at.end.saturating_sub(1), ..at };
                d = d.fix(format!("keep the size with `{setting} = same`"), end, format!(", {setting} = same"));
            } else if !self.items.is_library(sum.said) {
                d = d.fix("keep the size with `same`", sum.said, "same");
            }
            let most = (w.padded() - 1) / w.dilation as i64 + 1;
            let given = self.frames.last().and_then(|f| {
                let user = |v: &&Val| !self.items.is_library(v.span) && v.as_number() == Some(w.taps as f64);
                f.vars.values().find(user).map(|v| v.span)
            });
            if let (Some(place), true) = (given, most >= 1) {
                d = d.fix(format!("a window of {most} fits: write `{most}`"), place, most.to_string());
            }
        }
        Box::new(d)
    }

    /// The setting whose default in the library stands at `span`.
    fn default_at(&self, span: Span) -> Option<&str> {
        let params = self.items.defs.values().flat_map(|d| &d.params);
        let library = params.filter(|p| self.items.is_library(p.name.span));
        let mut found = library.filter(|p| p.default.as_ref().is_some_and(|e| e.span == span));
        found.next().map(|p| p.name.text.as_str())
    }

    /// The left side of an equation at `sum`: axes `place` and `place + 1` of `t` become one. What meets is added.
    pub fn unwindow(&mut self, mut t: Tensor, place: usize, sum: &Sum) -> Res<Tensor> {
        let [a, b] = [&sum.terms[0], &sum.terms[1]].map(|m| m.factor as u64);
        let [Extent::Fixed(n), Extent::Fixed(k)] = [t.axes[place].extent, t.axes[place + 1].extent] else {
            return Err(errors::unsupported(self.blame(sum.span), "a window over an axis of unknown length"));
        };
        let whole = (n - 1).saturating_mul(a).saturating_add((k - 1).saturating_mul(b)).saturating_add(1);
        t.axes.remove(place + 1);
        t.axes[place] = Axis::new(Extent::Fixed(whole));
        self.check_size(&extents(&t.axes), sum.span)?;
        let int = |name, n: u64| (name, Attr::Int(n as i64));
        t.value = if b == 1 && a == k {
            self.emit("reshape", Attrs(vec![("shape", Attr::Shape(extents(&t.axes)))]), &[t.value], sum.span)?
        } else {
            let attrs = [int("axis", place as u64), int("size", k), int("stride", a), int("dilation", b)];
            let attrs: Vec<_> = attrs.into_iter().chain([int("extent", whole)]).collect();
            self.emit("unwindow", Attrs(attrs), &[t.value], sum.span)?
        };
        let Outside::Sides(before, behind) = sum.outside else {
            return Err(errors::unsupported(self.blame(sum.said), "`same` on the left side of an equation"));
        };
        let left = whole as i64 - before as i64 - behind as i64;
        if left < 1 {
            return Err(errors::nothing_left(self.blame(sum.said), whole, before, behind));
        }
        t.value = self.resize(t.value, place, whole, (-before as i64, -behind as i64), Fill::Number(0.0), sum.span)?;
        t.axes[place].extent = Extent::Fixed(left as u64);
        Ok(t)
    }

    /// The axes that a sum on the left joins, the one with more elements (or whose steps hold the other) first.
    pub fn unwindowed(&mut self, sum: &mut Sum) -> Res<[Axis; 2]> {
        if sum.terms.len() != 2 {
            return Err(errors::not_a_statement(self.blame(sum.span), "the left side of an equation"));
        }
        let mut axes = Vec::new();
        for m in &sum.terms {
            let Some(n) = self.known(&m.index, sum.span)? else {
                return Err(errors::undefined(self.blame(sum.span), &m.index, &[]));
            };
            axes.push((n, Axis { label: Some(Label::Index(m.index.clone())), ..Axis::new(Extent::Fixed(n)) }));
        }
        let holds = |i: usize, j: usize| sum.terms[j].factor == 1.0 && sum.terms[i].factor as u64 == axes[j].0;
        if !holds(0, 1) && (holds(1, 0) || axes[1].0 > axes[0].0) {
            axes.swap(0, 1);
            sum.terms.swap(0, 1);
        }
        let (second, first) = (axes.pop(), axes.pop());
        match (first, second) {
            (Some(a), Some(b)) => Ok([a.1, b.1]),
            _ => panic!("a sum of two indices has two axes"),
        }
    }
}
