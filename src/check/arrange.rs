//! The built-in functions that arrange elements anew: reshape, permute, join, split; and the sum of branches.
//!
//! In: tensors and sizes. Out: nodes of the graph. Invariant: elements move, and none is lost, repeated or changed.

use super::builtin::Args;
use super::elaborate::{Elaborator, Res};
use super::errors;
use super::tensor::extents;
use super::value::{Axis, Kind, Tensor, Val, ValKind};
use crate::base::{Extent, Span};
use crate::ops::{Attr, Attrs, Value};

impl Elaborator<'_> {
    /// `reshape(x, [20, _])`: the axes of one example; `_` is worked out.
    pub(super) fn reshape(&mut self, args: Args, span: Span) -> Res<Val> {
        let [x, to] = self.positional("reshape", &args, span)?;
        let t = self.expect_tensor(&x)?;
        let ValKind::List(items) = &to.kind else {
            return Err(errors::wrong_type(self.blame(to.span), "axes in brackets, such as `[20, 20]`", &to));
        };
        let (mut shape, mut unknown) = (Vec::new(), None);
        for (i, item) in items.iter().enumerate() {
            if matches!(&item.kind, ValKind::Word(w) if w == "_") {
                if unknown.replace(i).is_some() {
                    return Err(errors::two_unknowns(self.blame(item.span)));
                }
                shape.push(Extent::Fixed(1));
            } else {
                shape.push(self.extent_of(item)?);
            }
        }
        self.check_size(&shape, span)?;
        let size = |e: &[Extent]| e.iter().filter_map(|e| e.fixed()).product::<u64>();
        let own: Vec<Extent> = t.own_axes().iter().map(|a| a.extent).collect();
        if let Some(i) = unknown {
            shape[i] = Extent::Fixed((size(&own) / size(&shape).max(1)).max(1));
        }
        if size(&own) != size(&shape) {
            return Err(self.born(errors::reshape_differs(self.blame(to.span), &t, &shape), t.value));
        }
        let mut axes: Vec<Axis> = t.axes[..usize::from(t.batched())].to_vec();
        axes.extend(self.reshaped(&t, &shape, span)?);
        let value = self.emit("reshape", Attrs(vec![("shape", Attr::Shape(extents(&axes)))]), &[t.value], span)?;
        Ok(Val::tensor(Tensor { value, axes, kind: t.kind }, span))
    }

    /// The axes of a new shape: those before and behind the change stay what they are.
    fn reshaped(&self, t: &Tensor, shape: &[Extent], span: Span) -> Res<Vec<Axis>> {
        let own = t.own_axes();
        let same = |pair: &(&Axis, &Extent)| pair.0.extent == *pair.1;
        let lead = own.iter().zip(shape).take_while(same).count();
        let most = own.len().min(shape.len()) - lead;
        let tail = own.iter().rev().zip(shape.iter().rev()).take(most).take_while(same).count();
        for axis in &own[lead..own.len() - tail] {
            self.refuse_padding("reshape", axis, span)?;
        }
        let changed = shape[lead..shape.len() - tail].iter().map(|e| Axis::new(*e));
        Ok(own[..lead].iter().cloned().chain(changed).chain(own[own.len() - tail..].iter().cloned()).collect())
    }

    fn extent_of(&mut self, v: &Val) -> Res<Extent> {
        if let ValKind::Dim { extent, .. } = v.kind {
            return Ok(extent);
        }
        let n = self.as_number(v)?;
        if n.fract() != 0.0 || n < 1.0 {
            return Err(errors::bad_extent(self.blame(v.span), n));
        }
        if n >= (1u64 << 31) as f64 {
            return Err(errors::too_large(self.blame(v.span), &[Extent::Fixed(n as u64)]));
        }
        Ok(Extent::Fixed(n as u64))
    }

    /// `permute(x, [C, H, W])`: the axes by name, or by number, in a new order.
    pub(super) fn permute(&mut self, args: Args, span: Span) -> Res<Val> {
        let [x, order] = self.positional("permute", &args, span)?;
        let t = self.expect_tensor(&x)?;
        let ValKind::List(items) = &order.kind else {
            return Err(errors::wrong_type(self.blame(order.span), "a list of axes", &order));
        };
        let skip = usize::from(t.batched());
        let mut places: Vec<usize> = (0..skip).collect();
        for item in items {
            let place = self.axis(&t, item)?;
            if places.contains(&place) {
                return Err(errors::bad_order(
                    self.blame(item.span),
                    "an axis stands twice in this order",
                    items.len(),
                    &t,
                ));
            }
            places.push(place);
        }
        if places.len() != t.axes.len() {
            return Err(errors::bad_order(
                self.blame(order.span),
                "an axis is left out of this order",
                items.len(),
                &t,
            ));
        }
        let axes: Vec<Axis> = places.iter().map(|p| t.axes[*p].clone()).collect();
        let map = (0..places.len()).map(|i| places.iter().position(|p| *p == i).unwrap_or(i) as i64).collect();
        let attrs = Attrs(vec![("axes", Attr::Ints(map)), ("shape", Attr::Shape(extents(&axes)))]);
        let value = self.emit("broadcast", attrs, &[t.value], span)?;
        Ok(Val::tensor(Tensor { value, axes, kind: t.kind }, span))
    }

    fn list_of_tensors(&mut self, name: &str, v: &Val, span: Span) -> Res<Vec<Tensor>> {
        match &v.kind {
            ValKind::List(items) if !items.is_empty() => items.iter().map(|i| self.expect_tensor(i)).collect(),
            _ => Err(errors::no_branches(self.blame(span), name, v)),
        }
    }

    /// `join(xs, axis)`: tensors side by side. Lists of one length are joined one by one: all first values, all second ones, …
    pub(super) fn join(&mut self, args: Args, span: Span) -> Res<Val> {
        let [xs, axis] = self.positional("join", &args, span)?;
        if let Some(columns) = columns(&xs) {
            let one = |items| vec![(None, Val::new(ValKind::List(items), span)), (None, axis.clone())];
            let joined = columns.into_iter().map(|items| self.join(one(items), span)).collect::<Res<Vec<_>>>()?;
            return Ok(Val::new(ValKind::List(joined), span));
        }
        let tensors = self.list_of_tensors("concat", &xs, span)?;
        let place = self.axis(&tensors[0], &axis)?;
        let mut total = 0;
        let mut axes = tensors[0].axes.clone();
        for t in &tensors {
            if t.axes.len() != tensors[0].axes.len() {
                return Err(self.unmatched(&tensors.iter().collect::<Vec<_>>(), span));
            }
            let Extent::Fixed(n) = t.axes[place].extent else {
                return Err(errors::unsupported(self.blame(span), "`concat` along an axis of unknown length"));
            };
            total += n;
            self.refuse_padding("concat", &t.axes[place], span)?;
            axes.iter_mut().zip(&t.axes).for_each(|(a, b)| a.join(b.clone()));
        }
        let attrs = Attrs(vec![("axis", Attr::Int(place as i64))]);
        let values: Vec<Value> = tensors.iter().map(|t| t.value).collect();
        let value = self.emit("concat", attrs, &values, span)?;
        axes[place].extent = Extent::Fixed(total);
        Ok(Val::tensor(Tensor { value, axes, kind: Kind::Real }, span))
    }

    pub(super) fn split(&mut self, args: Args, span: Span) -> Res<Val> {
        let [x, parts] = self.positional("split", &args, span)?;
        let t = self.expect_tensor(&x)?;
        let n = self.as_number(&parts)?;
        let last = Val::number(-1.0, span);
        let place = self.axis(&t, &last)?;
        self.refuse_padding("split", &t.axes[place], span)?;
        if n < 1.0 || n.fract() != 0.0 {
            return Err(errors::out_of_range(
                self.blame(parts.span),
                "the number of parts",
                "a whole number from 1",
                n,
            ));
        }
        let Some(extent) = t.axes[place].extent.fixed().filter(|e| *e % n as u64 == 0) else {
            let found = super::value::describe_axes(&t);
            return Err(errors::extent_differs(
                self.blame(span),
                "split",
                &format!("a last axis that is a multiple of {n}"),
                &found,
            ));
        };
        let len = extent / n as u64;
        let mut items = Vec::new();
        for i in 0..n as u64 {
            let attrs = [("axis", place as i64), ("start", (i * len) as i64), ("len", len as i64), ("step", 1)];
            let attrs = Attrs(attrs.into_iter().map(|(k, v)| (k, Attr::Int(v))).collect());
            let value = self.emit("slice", attrs, &[t.value], span)?;
            let mut axes = t.axes.clone();
            axes[place].extent = Extent::Fixed(len);
            items.push(Val::tensor(Tensor { value, axes, kind: t.kind.clone() }, span));
        }
        Ok(Val::new(ValKind::List(items), span))
    }

    pub(super) fn added(&mut self, args: Args, span: Span) -> Res<Val> {
        let [xs] = self.positional("added", &args, span)?;
        let tensors = self.list_of_tensors("add", &xs, span)?;
        let from = |i: usize| match &xs.kind {
            ValKind::List(items) => items[i].span,
            _ => span,
        };
        let mut sum = Val::tensor(tensors[0].clone(), from(0));
        for (i, t) in tensors.iter().enumerate().skip(1) {
            sum = self.elementwise("add", &[sum, Val::tensor(t.clone(), from(i))], span)?;
        }
        Ok(sum)
    }
}

/// The first elements of a list of lists of one length, its second elements, and so on.
fn columns(lists: &Val) -> Option<Vec<Vec<Val>>> {
    let ValKind::List(lists) = &lists.kind else { return None };
    let rows = lists.iter().map(|l| if let ValKind::List(items) = &l.kind { Some(items) } else { None });
    let rows: Vec<&Vec<Val>> = rows.collect::<Option<_>>()?;
    let length = rows.first()?.len();
    let same = rows.iter().all(|r| r.len() == length);
    same.then(|| (0..length).map(|i| rows.iter().map(|r| r[i].clone()).collect()).collect())
}
