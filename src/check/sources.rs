//! Built-in functions whose elements come from no tensor: random numbers, first values, tables, indices.
//!
//! In: evaluated arguments. Out: a value. Invariant: a random tensor has a stream of its own, in the order of elaboration.

use super::builtin::Args;
use super::elaborate::{Elaborator, Res};
use super::errors;
use super::tensor::extents;
use super::value::{Axis, Kind, Tensor, Val, ValKind};
use crate::base::{DType, Extent, Span, Type};
use crate::graph::Role;
use crate::ops::{Attr, Attrs, Value};
use crate::syntax::ast::Expr;

impl Elaborator<'_> {
    /// An i32 scalar that the run gives: `seed`, `step`.
    fn random_inputs(&mut self, span: Span) -> [Value; 2] {
        let ty = Type::scalar(DType::I32);
        ["seed", "counter"].map(|n| self.input(n, Role::Scalar, ty.clone(), span))
    }

    /// Uniform numbers in [0, 1), one for each element of x, new ones each step, also of the scans around.
    pub(super) fn random(&mut self, args: Args, span: Span) -> Res<Val> {
        let [x] = self.positional("random", &args, span)?;
        let t = self.expect_tensor(&x)?;
        let axes: Vec<Axis> = self.steps_around().into_iter().map(Axis::new).chain(t.axes).collect();
        let value = self.random_tensor(&extents(&axes), span)?;
        let own = self.part_of_step(Tensor { value, axes, kind: Kind::Real });
        Ok(Val::tensor(own, span))
    }

    fn random_tensor(&mut self, shape: &[Extent], span: Span) -> Res<Value> {
        let count = shape.iter().filter_map(|e| e.fixed()).try_fold(1u64, |n, e| n.checked_mul(e));
        if count.is_none_or(|n| n > i32::MAX as u64) {
            return Err(errors::too_many_random(self.blame(span), shape));
        }
        let inputs = self.random_inputs(span);
        let stream = self.next_stream();
        let attrs = Attrs(vec![("shape", Attr::Shape(shape.to_vec())), ("stream", Attr::Int(stream))]);
        self.emit("random", attrs, &inputs, span)
    }

    /// First values of a weight: `uniform(a, b)`, `normal(mean, deviation)` (Box and Muller 1958).
    pub(super) fn first_values(&mut self, name: &str, args: Args, span: Span) -> Res<Val> {
        let [a, b] = match args.as_slice() {
            [(None, Val { kind: ValKind::Range(a, b), span })] => [Val::number(*a, *span), Val::number(*b, *span)],
            _ => self.positional(name, &args, span)?,
        };
        let (a, b) = (self.as_number(&a)?, self.as_number(&b)?);
        let Some(shape) = self.init_shape.clone() else {
            return Err(errors::not_a_statement(self.blame(span), "anything but the first value of a `param`"));
        };
        let axes: Vec<Axis> = shape.iter().map(|e| Axis::new(*e)).collect();
        let tensor = |value| Val::tensor(Tensor { value, axes: axes.clone(), kind: Kind::Real }, span);
        let num = |n: f64| Val::number(n, span);
        let u = tensor(self.random_tensor(&shape, span)?);
        let (scale, unit) = if name == "uniform" {
            (num(b - a), u)
        } else {
            let angle = tensor(self.random_tensor(&shape, span)?);
            let open = self.elementwise("sub", &[num(1.0), u], span)?;
            let log = self.elementwise("log", &[open], span)?;
            let square = self.elementwise("mul", &[log, num(-2.0)], span)?;
            let radius = self.elementwise("sqrt", &[square], span)?;
            let turn = self.elementwise("mul", &[angle, num(2.0 * std::f64::consts::PI)], span)?;
            let cos = self.elementwise("cos", &[turn], span)?;
            (num(b), self.elementwise("mul", &[radius, cos], span)?)
        };
        let scaled = self.elementwise("mul", &[unit, scale], span)?;
        self.elementwise("add", &[scaled, num(a)], span)
    }

    /// A list of numbers as a tensor of one axis.
    pub(super) fn table(&mut self, args: Args, span: Span) -> Res<Val> {
        let [list] = self.positional("table", &args, span)?;
        let ValKind::List(items) = &list.kind else {
            return Err(errors::wrong_type(self.blame(list.span), "a list of numbers", &list));
        };
        let iota = Val::tensor(self.iota(Extent::Fixed(items.len() as u64), None, span)?, span);
        let mut out = Val::number(0.0, span);
        for (i, item) in items.iter().enumerate() {
            let n = Val::number(self.as_number(item)?, span);
            let here = self.elementwise("eq", &[iota.clone(), Val::number(i as f64, span)], span)?;
            out = self.elementwise("select", &[here, n, out], span)?;
        }
        Ok(out)
    }

    /// `pair(k)`: two values; one stands for both.
    pub(super) fn pair(&mut self, args: Args, span: Span) -> Res<Val> {
        let [v] = self.positional("pair", &args, span)?;
        match &v.kind {
            ValKind::List(items) if items.len() == 2 => Ok(v),
            ValKind::List(_) => Err(errors::wrong_type(self.blame(v.span), "one value, or one per axis of two", &v)),
            _ => Ok(Val::new(ValKind::List(vec![v.clone(), v.clone()]), v.span)),
        }
    }

    /// The number of elements of one example; with axes, `count[batch, c](x[.., c])`, of those axes.
    pub(super) fn count_of(&mut self, args: Args, axes: Option<&[Expr]>, span: Span) -> Res<Val> {
        let [x] = self.positional("count", &args, span)?;
        let t = self.expect_tensor(&x)?;
        if let Some(axes) = axes {
            let labels = self.labels(axes)?;
            let counted = t.axes.iter().filter(|a| a.label.as_ref().is_some_and(|l| labels.contains(l)));
            let counted: Vec<Axis> = counted.cloned().collect();
            return Ok(Val::tensor(self.elements(&counted, span)?, span));
        }
        let n = t.own_axes().iter().map(|a| a.extent.fixed()).try_fold(1.0, |n, e| Some(n * e? as f64));
        n.map(|n| Val::number(n, span))
            .ok_or_else(|| errors::unsupported(self.blame(span), "`count` of an axis of unknown length"))
    }

    /// `index(x, axis)`: along an axis of x, the numbers 0, 1, … as class indices; the other axes have extent 1.
    pub(super) fn index_of(&mut self, args: Args, span: Span) -> Res<Val> {
        let [x, axis] = self.positional("index", &args, span)?;
        let t = self.expect_tensor(&x)?;
        let place = self.axis(&t, &axis)?;
        let mut iota = self.iota(t.axes[place].extent, None, span)?;
        let after = t.axes.len() - place - 1;
        let one = Axis::new(Extent::Fixed(1));
        iota.axes.extend(std::iter::repeat_n(one, after));
        let shape = extents(&iota.axes);
        iota.value = self.emit("reshape", Attrs(vec![("shape", Attr::Shape(shape))]), &[iota.value], span)?;
        Ok(Val::tensor(iota, span))
    }

    /// `take(x, places, axis)`: along an axis of x, the elements at `places`; numbers are rounded down, and what lies outside
    /// is taken from the nearest end. The result is as long as `places` along the axis.
    pub(super) fn taken(&mut self, args: Args, span: Span) -> Res<Val> {
        let [x, places, axis] = self.positional("take", &args, span)?;
        let (t, mut p) = (self.expect_tensor(&x)?, self.expect_tensor(&places)?);
        let place = self.axis(&t, &axis)?;
        self.refuse_padding("take", &t.axes[place], span)?;
        if self.dtype(&p) == DType::F32 {
            let floor = self.apply("floor", &[p], span)?;
            let value = self.emit("to_i32", Attrs::default(), &[floor.value], span)?;
            p = Tensor { value, axes: floor.axes, kind: Kind::Int };
        }
        let mut axes = t.axes.clone();
        let own = p.axes.iter().rev().take_while(|a| a.label.is_none()).nth(t.axes.len() - 1 - place);
        axes[place].extent = own.map_or(Extent::Fixed(1), |a| a.extent);
        let fits = |a: &Axis, b: &Axis| a.extent.is_one() || a.extent == b.extent;
        let positional = p.axes.iter().filter(|a| a.label.is_none()).count();
        let tail = t.own_axes().len().checked_sub(positional);
        let labelled = p.axes.iter().filter(|a| a.label.is_some()).all(|a| axes.iter().any(|b| b.label == a.label));
        let behind = &axes[axes.len() - positional.min(axes.len())..];
        let rest = p.axes.iter().filter(|a| a.label.is_none()).zip(behind).all(|(a, b)| fits(a, b));
        if tail.is_none() || !labelled || !rest {
            return Err(self.unmatched(&[&t, &p], span));
        }
        let places = self.broadcast_to(&p, &axes, span)?;
        let value = self.emit("take", Attrs(vec![("axis", Attr::Int(place as i64))]), &[t.value, places], span)?;
        Ok(Val::tensor(Tensor { value, axes, kind: t.kind }, span))
    }
}
