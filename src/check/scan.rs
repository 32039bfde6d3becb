//! `scan(T) h: [units] = 0 { … }`: a loop along a named axis, with carried values.
//!
//! In: the statement and the frame it stands in. Out: a loop in the graph; `h` is then what is carried after the last step,
//! `h.all` all that was carried along T. Invariant: what a step computes without its row and without what is carried stands
//! outside the loop.

use super::elaborate::{Elaborator, Res};
use super::errors;
use super::tensor::extents;
use super::value::{Axis, Kind, Label, Tensor, Val, ValKind, describe_axes};
use crate::base::{DType, Extent, Span, Type};
use crate::ops::{Attr, Attrs, Emit, Value};
use crate::syntax::ast::{Arg, Expr, Slot, Stmt};

/// A scan while its body is carried out: nodes from `start` on are those of a step.
#[derive(Debug)]
pub struct Steps {
    pub axis: String,
    pub extent: Extent,
    pub start: u32,
    /// Per row of a step: what it is a row of, which of its axes, and the value that stands for it.
    pub rows: Vec<(Value, usize, Value)>,
    pub carried: Vec<Value>,
    /// How many rows each example has along the axis, if the rest is padding: there, nothing changes.
    pub lengths: Vec<Value>,
}

/// A carried value: its name, axes and first value.
pub struct Carried<'s> {
    pub slot: &'s Slot,
    pub axes: Vec<Axis>,
    pub first: Value,
}

impl Elaborator<'_> {
    pub fn scan(&mut self, args: &[Arg], slots: &[Slot], body: &[Stmt], span: Span) -> Res<Val> {
        self.each_carried_once(slots)?;
        self.each_named_once(args.iter().filter_map(|a| a.name.as_ref()), "the setting")?;
        let (axis, extent, reverse) = self.scan_axis(args, span)?;
        let Some(first) = slots.first() else {
            let form = "scan(T) h: [4] = 0 { … }";
            return Err(errors::lacks(self.blame(span), "scan", "something to carry", form));
        };
        let batched = self.any_batched();
        let carried = slots.iter().map(|slot| self.carried(slot, batched)).collect::<Res<Vec<_>>>()?;
        let outside = self.frame().vars.clone();
        let start = self.graph.graph().nodes.len() as u32;
        let mut steps = Steps { axis: axis.clone(), extent, start, rows: vec![], carried: vec![], lengths: vec![] };
        for c in &carried {
            let ty = Type::f32(extents(&c.axes));
            let value = self.graph.placeholder(ty);
            steps.carried.push(value);
            let tensor = Tensor { value, axes: c.axes.clone(), kind: Kind::Real };
            self.frame().vars.insert(c.slot.name.text.clone(), Val::tensor(tensor, c.slot.span));
        }
        let step = Val::new(ValKind::Step { axis: axis.clone() }, span);
        self.frame().vars.insert(axis.to_lowercase(), step);
        self.steps.push(steps);
        let done = self.statements(body);
        let nexts = done.and_then(|_| self.nexts(&carried, span));
        let Some(steps) = self.steps.pop() else { panic!("a scan ends in the order in which scans begin") };
        let nexts = nexts?;
        self.frame().vars = outside;
        let results = self.close(&steps, &carried, &nexts, reverse, span);
        for (i, c) in carried.iter().enumerate() {
            let last = Tensor { value: results[i], axes: c.axes.clone(), kind: Kind::Real };
            let all = self.all_states(c, (&axis, extent), &steps.lengths, results[carried.len() + i], span)?;
            let name = &c.slot.name.text;
            self.frame().vars.insert(name.clone(), Val::tensor(last, span));
            self.frame().vars.insert(format!("{name}.all"), Val::tensor(all, span));
        }
        let all = self.lookup(&format!("{}.all", first.name.text)).cloned();
        all.ok_or_else(|| panic!("a scan leaves all that it carried"))
    }

    /// `(T)`, `(T, reverse = true)`
    fn scan_axis(&mut self, args: &[Arg], span: Span) -> Res<(String, Extent, bool)> {
        let (mut axis, mut reverse) = (None, self.backward);
        for arg in args {
            let v = self.eval(&arg.value)?;
            match (&arg.name, &v.kind) {
                (None, ValKind::Dim { name, extent }) if axis.is_none() => axis = Some((name.clone(), *extent)),
                (None, _) => {
                    let wanted = "the name of an axis, as `T` where the input is `x: [T, D]`";
                    return Err(errors::wrong_type(self.blame(arg.value.span), wanted, &v));
                }
                (Some(n), ValKind::Bool(b)) if n.text == "reverse" => reverse ^= *b,
                (Some(n), _) if n.text == "reverse" => {
                    return Err(errors::wrong_type(self.blame(arg.value.span), "`true` or `false`", &v));
                }
                (Some(n), _) => return Err(errors::unknown_setting(self.blame(n.span), &n.text, "scan", &["reverse"])),
            }
        }
        match axis {
            Some((name, extent)) => Ok((name, extent, reverse)),
            None => Err(errors::lacks(self.blame(span), "scan", "an axis", "scan(T) h: [4] = 0 { … }")),
        }
    }

    /// Whether the definition works on a batch: then what it carries is one value per example.
    fn any_batched(&mut self) -> bool {
        let batched = |v: &Val| matches!(&v.kind, ValKind::Tensor(t) if t.batched());
        let frame = self.frame();
        frame.vars.values().any(batched) || frame.input.as_ref().is_some_and(batched)
    }

    fn carried<'s>(&mut self, slot: &'s Slot, batched: bool) -> Res<Carried<'s>> {
        let Some(dims) = slot.ty.as_ref().and_then(|t| t.dims.as_ref()) else {
            let name = &slot.name.text;
            let form = format!("scan(T) {name}: [4] = 0 {{ … }}");
            return Err(errors::lacks(self.blame(slot.span), name, "axes: a shape behind a `:`", &form));
        };
        let mut axes = vec![];
        if batched {
            axes.push(Axis { label: Some(Label::Batch), ..Axis::new(Self::BATCH) });
        }
        for d in dims {
            axes.push(Axis::new(self.extent(d)?));
        }
        let own: Vec<Extent> = axes.iter().skip(usize::from(batched)).map(|a| a.extent).collect();
        self.check_size(&own, slot.span)?;
        let first = match &slot.init {
            Some(init) => self.eval(init)?,
            None => Val::number(0.0, slot.span),
        };
        let first = self.carried_value(&first, &axes, &slot.name.text, slot.span)?;
        Ok(Carried { slot, axes, first })
    }

    /// A number or a tensor with exactly the axes of what is carried.
    fn carried_value(&mut self, v: &Val, axes: &[Axis], name: &str, span: Span) -> Res<Value> {
        let t = match (&v.kind, v.as_number()) {
            (_, Some(n)) => Tensor { value: self.constant(n, DType::F32, span)?, axes: vec![], kind: Kind::Real },
            (ValKind::Tensor(t), _) if self.dtype(t) == DType::F32 => t.clone(),
            _ => return Err(errors::wrong_type(self.blame(v.span), "a number or a tensor of real numbers", v)),
        };
        let skip = usize::from(axes.first().is_some_and(|a| a.label.is_some()));
        let own = t.own_axes();
        let fits = own.len() <= axes.len() - skip
            && own.iter().rev().zip(axes[skip..].iter().rev()).all(|(a, b)| a.extent == b.extent || a.extent.is_one())
            && (!t.batched() || skip == 1);
        if !fits {
            let carried = Tensor { value: t.value, axes: axes.to_vec(), kind: Kind::Real };
            let (wanted, found) = (describe_axes(&carried), describe_axes(&t));
            return Err(errors::carried_differs(self.blame(v.span), name, &wanted, &found));
        }
        let mut t = t;
        for (axis, like) in t.axes.iter_mut().rev().zip(axes.iter().rev()) {
            axis.label = like.label.clone();
        }
        self.broadcast_to(&t, axes, span)
    }

    /// The next carried values: in the padding of an example, those before.
    fn nexts(&mut self, carried: &[Carried<'_>], span: Span) -> Res<Vec<Value>> {
        let nexts = carried.iter().map(|c| self.next(c)).collect::<Res<Vec<Value>>>()?;
        let number = self.steps.len() - 1;
        let Steps { lengths, extent, carried: before, .. } = &self.steps[number];
        let (lengths, extent, before) = (lengths.clone(), *extent, before.clone());
        let batch = Axis { label: Some(Label::Batch), ..Axis::new(Self::BATCH) };
        let ragged = Axis { lengths, ..Axis::new(extent) };
        let like = Tensor { value: before[0], axes: vec![batch, ragged], kind: Kind::Real };
        let Some(present) = self.steps_of(&like, 1, span)? else { return Ok(nexts) };
        let present = self.row_of(&present, 1, number);
        let tensor = |value, c: &Carried<'_>| Tensor { value, axes: c.axes.clone(), kind: Kind::Real };
        let mut out = vec![];
        for ((c, next), before) in carried.iter().zip(nexts).zip(before) {
            out.push(self.apply("select", &[present.clone(), tensor(next, c), tensor(before, c)], span)?.value);
        }
        Ok(out)
    }

    /// What a step makes of a carried value.
    fn next(&mut self, c: &Carried<'_>) -> Res<Value> {
        let name = &c.slot.name.text;
        let v = self.lookup(name).cloned().unwrap_or_else(|| panic!("what is carried has a value"));
        let value = self.carried_value(&v, &c.axes, name, v.span)?;
        let carried = self.steps.last().map(|s| s.carried.as_slice()).unwrap_or_default();
        if carried.contains(&value)
            && matches!(&v.kind, ValKind::Tensor(t) if t.value == value)
            && v.span == c.slot.span
        {
            return Err(errors::never_assigned(self.blame(c.slot.span), name));
        }
        Ok(value)
    }

    /// `x[t]`: the row of this step along the axis of the scan; `None` where `t` is no step.
    pub fn row(&mut self, base: &Expr, items: &[Expr], span: Span) -> Res<Option<Val>> {
        let step = items.iter().find_map(|item| match &item.kind {
            crate::syntax::ast::ExprKind::Name(n) => match self.lookup(n).map(|v| &v.kind) {
                Some(ValKind::Step { axis }) => Some((n.clone(), axis.clone())),
                _ => None,
            },
            _ => None,
        });
        let Some((name, axis)) = step else { return Ok(None) };
        if items.len() != 1 {
            let what = format!("an index that has more than the step `{name}`");
            return Err(errors::unsupported(self.blame(span), &what));
        }
        let v = self.eval(base)?;
        let t = self.expect_tensor(&v)?;
        let Some(place) = t.axes.iter().position(|a| a.name.as_ref() == Some(&axis)) else {
            return Err(errors::bad_axis(self.blame(base.span), &format!("`{axis}`"), &t));
        };
        let Some(number) = self.steps.iter().rposition(|s| s.axis == axis && s.extent == t.axes[place].extent) else {
            return Err(errors::bad_axis(self.blame(base.span), &format!("`{axis}` of this scan"), &t));
        };
        if self.in_step(number, t.value) {
            return Err(errors::row_of_step(self.blame(base.span), &axis));
        }
        for length in &t.axes[place].lengths {
            if !self.steps[number].lengths.contains(length) {
                self.steps[number].lengths.push(*length);
            }
        }
        Ok(Some(Val::tensor(self.row_of(&t, place, number), span)))
    }

    /// The part that belongs to the steps around, of a value with an axis for each of them in front.
    pub fn part_of_step(&mut self, mut t: Tensor) -> Tensor {
        for number in 0..self.steps.len() {
            t = self.row_of(&t, 0, number);
        }
        t
    }

    /// The extents of the scans around, outermost first.
    pub fn steps_around(&self) -> Vec<Extent> {
        self.steps.iter().map(|s| s.extent).collect()
    }

    /// The value that stands for the row of a step.
    fn row_of(&mut self, t: &Tensor, place: usize, number: usize) -> Tensor {
        let mut axes = t.axes.clone();
        axes.remove(place);
        let known = self.steps[number].rows.iter().find(|(value, p, _)| (*value, *p) == (t.value, place));
        let value = match known {
            Some(&(_, _, row)) => row,
            None => {
                let row = self.graph.placeholder(Type::new(self.dtype(t), extents(&axes)));
                self.steps[number].rows.push((t.value, place, row));
                row
            }
        };
        Tensor { value, axes, kind: t.kind.clone() }
    }

    /// Whether a value depends on what a step of this scan begins with.
    fn in_step(&self, number: usize, value: Value) -> bool {
        let steps = &self.steps[number];
        let mut stack = vec![value];
        while let Some(value) = stack.pop() {
            if value.0 < steps.start {
                continue;
            }
            if steps.carried.contains(&value) || steps.rows.iter().any(|(_, _, row)| *row == value) {
                return true;
            }
            stack.extend(&self.graph.graph().node(value).args);
        }
        false
    }

    /// The axis at `place` first, so that the rows of the steps lie one after the other.
    pub(super) fn time_major(&mut self, value: Value, place: usize) -> Value {
        let rank = self.graph.ty(value).rank();
        let order: Vec<usize> = std::iter::once(place).chain((0..rank).filter(|&a| a != place)).collect();
        if place == 0 { value } else { crate::ops::build::transpose(&mut self.graph, value, &order) }
    }

    /// All that was carried, with the axis of the scan behind the batch.
    fn all_states(
        &mut self,
        c: &Carried<'_>,
        (axis, extent): (&str, Extent),
        lengths: &[Value],
        stack: Value,
        span: Span,
    ) -> Res<Tensor> {
        let place = usize::from(c.axes.first().is_some_and(|a| a.label.is_some()));
        let mut axes = c.axes.clone();
        axes.insert(place, Axis { name: Some(axis.to_string()), lengths: lengths.to_vec(), ..Axis::new(extent) });
        let mut value = stack;
        if place == 1 {
            let map = std::iter::once(1).chain(std::iter::once(0)).chain(2..axes.len() as i64).collect();
            let attrs = Attrs(vec![("axes", Attr::Ints(map)), ("shape", Attr::Shape(extents(&axes)))]);
            value = self.emit("broadcast", attrs, &[stack], span)?;
        }
        Ok(Tensor { value, axes, kind: Kind::Real })
    }
}
