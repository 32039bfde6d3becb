//! Reductions over axes: sum, max_of, min_of; and argmax.
//!
//! In: one f32 operand and the axes to reduce, which are dropped. Out: the rest. Invariant: the order in which terms are
//! joined is a function of the operand's shape and the axes alone.

use super::attrs::{example, extents, operands, valid};
use super::build;
use super::{Attr, Attrs, Emit, Example, Index, Io, Kernel, LANES, OpDef, Order, ReduceKind, Scalar, ScalarOp, Value};
use crate::base::{DType, Extent, Type};

pub struct Reduction {
    name: &'static str,
    kind: ReduceKind,
}

pub static SUM: Reduction = Reduction { name: "sum", kind: ReduceKind::Sum };
pub static MAX_OF: Reduction = Reduction { name: "max_of", kind: ReduceKind::Max };
pub static MIN_OF: Reduction = Reduction { name: "min_of", kind: ReduceKind::Min };

impl OpDef for Reduction {
    fn name(&self) -> &'static str {
        self.name
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["axes"]
    }

    fn infer(&self, attrs: &Attrs, args: &[&Type]) -> Result<Type, String> {
        let [ty] = operands(self.name, args)?;
        real(self.name, ty)?;
        let axes = attrs.axes("axes", ty.rank())?;
        if axes.is_empty() || !axes.is_sorted() {
            return Err(format!("`{}` needs at least 1 axis, in ascending order, but has {axes:?}", self.name));
        }
        let kept = (0..ty.rank()).filter(|a| !axes.contains(a));
        Ok(Type::new(ty.dtype, kept.map(|a| ty.shape[a]).collect()))
    }

    fn element(&self, k: &mut dyn Kernel, io: &Io<'_>, at: &[Index]) -> Scalar {
        let shape = &io.arg_types[0].shape;
        let axes = valid(io.attrs.axes("axes", shape.len()));
        let reduced: Vec<Extent> = axes.iter().map(|&a| shape[a]).collect();
        k.reduce(self.kind, order(shape, &axes), &reduced, &mut |k, inner| {
            let (mut outer, mut inner) = (at.iter(), inner.iter());
            let pick = |a| if axes.contains(&a) { inner.next() } else { outer.next() };
            let from: Vec<Index> = (0..shape.len()).filter_map(pick).copied().collect();
            (k.load(0, &from), None)
        })
    }

    fn grad(&self, e: &mut dyn Emit, io: &Io<'_>, g: Value) -> Vec<Option<Value>> {
        let shape = &io.arg_types[0].shape;
        let axes = valid(io.attrs.axes("axes", shape.len()));
        if self.kind == ReduceKind::Sum {
            return vec![Some(build::broadcast_along(e, g, &axes, shape))];
        }
        if axes.iter().all(|&a| shape[a].fixed().is_some()) {
            return vec![Some(self.first_grad(e, io.args[0], &axes, g))];
        }
        vec![Some(even_grad(e, io, &axes, g))]
    }

    fn differentiable(&self) -> bool {
        true
    }

    fn examples(&self) -> Vec<Example> {
        let all: [(&[u64], &[i64]); 10] = [
            (&[1], &[0]),
            (&[15], &[0]),
            (&[16], &[0]),
            (&[33], &[0]),
            (&[0, 5], &[0]),
            (&[0, 3], &[0, 1]),
            (&[3, 17], &[1]),
            (&[3, 4, 5], &[0, 2]),
            (&[2, 3, 16], &[1, 2]),
            (&[4, 3, 2], &[1]),
        ];
        let of =
            |(shape, axes): (&[u64], &[i64])| example([("axes", Attr::Ints(axes.to_vec()))].into(), &[&extents(shape)]);
        all.into_iter().map(of).collect()
    }
}

impl Reduction {
    /// The gradient to the first (in row-major order) of the elements that have the greatest or least value: the axes are
    /// reduced one by one from the last, and each step sends its gradient to the first element that is equal.
    fn first_grad(&self, e: &mut dyn Emit, x: Value, axes: &[usize], g: Value) -> Value {
        let Some((&last, rest)) = axes.split_last() else { return g };
        let shape = e.ty(x).shape.clone();
        let inner = if rest.is_empty() {
            g
        } else {
            let reduced = e.emit(self.name, [("axes", Attr::Ints(vec![last as i64]))].into(), &[x]);
            self.first_grad(e, reduced, rest, g)
        };
        let ordered = if self.kind == ReduceKind::Min { build::neg(e, x) } else { x };
        let first = build::argmax(e, ordered, last);
        let first = build::broadcast_along(e, first, &[last], &shape);
        let place = build::iota(e, &shape, last);
        let (here, zero) = (build::eq(e, place, first), build::constant_like(e, 0.0, x));
        let g = build::broadcast_along(e, inner, &[last], &shape);
        build::select(e, here, g, zero)
    }
}

/// The gradient in equal parts to all elements that are equal to the result: over symbolic axes, which have no argmax.
fn even_grad(e: &mut dyn Emit, io: &Io<'_>, axes: &[usize], g: Value) -> Value {
    let (x, shape) = (io.args[0], &io.arg_types[0].shape);
    let best = build::broadcast_along(e, io.out, axes, shape);
    let equal = build::eq(e, x, best);
    let ones = build::to_f32(e, equal);
    let count = build::sum_axes(e, ones, axes);
    let share = build::div(e, g, count);
    let share = build::broadcast_along(e, share, axes, shape);
    let zero = build::constant_like(e, 0.0, x);
    build::select(e, equal, share, zero)
}

/// Lanes where the last reduced axis is contiguous and long (or of unknown length), else serial.
pub fn order(shape: &[Extent], axes: &[usize]) -> Order {
    let last = shape.len().checked_sub(1).filter(|last| axes.contains(last));
    let long = last.is_some_and(|last| shape[last].fixed().is_none_or(|n| n >= LANES as u64));
    if long { Order::Lanes } else { Order::Serial }
}

fn real(name: &str, ty: &Type) -> Result<(), String> {
    if ty.dtype != DType::F32 {
        return Err(format!("`{name}` takes f32 numbers, but its operand is {}", ty.display(&[])));
    }
    Ok(())
}

/// The first index along an axis at which the greatest value stands; 0 where a value is NaN. An axis of known length has at
/// most 2^24 elements, so that f32 holds every index; a symbol is a batch or a vocabulary, and both are smaller.
pub struct Argmax;

impl OpDef for Argmax {
    fn name(&self) -> &'static str {
        "argmax"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["axis"]
    }

    fn infer(&self, attrs: &Attrs, args: &[&Type]) -> Result<Type, String> {
        let [ty] = operands("argmax", args)?;
        real("argmax", ty)?;
        let axis = attrs.axis("axis", ty.rank())?;
        if let Some(extent) = ty.shape[axis].fixed().filter(|&extent| extent > 1 << 24) {
            return Err(format!("`argmax` takes at most 2^24 elements, but axis {axis} has {extent}"));
        }
        let mut shape = ty.shape.clone();
        shape.remove(axis);
        Ok(Type::new(DType::I32, shape))
    }

    fn element(&self, k: &mut dyn Kernel, io: &Io<'_>, at: &[Index]) -> Scalar {
        let shape = &io.arg_types[0].shape;
        let axis = valid(io.attrs.axis("axis", shape.len()));
        let (extents, order) = ([shape[axis]], order(shape, &[axis]));
        let place = |index: Index| {
            let mut from = at.to_vec();
            from.insert(axis, index);
            from
        };
        let best = k.reduce(ReduceKind::Max, order, &extents, &mut |k, i| (k.load(0, &place(i[0])), None));
        // The least index of an element that is not below the greatest; no comparison with NaN holds, so that one index does.
        let first = k.reduce(ReduceKind::Min, order, &extents, &mut |k, i| {
            let x = k.load(0, &place(i[0]));
            let below = k.scalar(ScalarOp::Lt, &[x, best]);
            let behind = k.constant(f64::INFINITY, DType::F32);
            let index = k.index_value(i[0]);
            let index = k.scalar(ScalarOp::ToF32, &[index]);
            (k.scalar(ScalarOp::Select, &[below, behind, index]), None)
        });
        k.scalar(ScalarOp::ToI32, &[first])
    }

    fn grad(&self, _: &mut dyn Emit, _: &Io<'_>, _: Value) -> Vec<Option<Value>> {
        vec![None]
    }

    fn differentiable(&self) -> bool {
        false
    }

    fn examples(&self) -> Vec<Example> {
        let all: [(&[u64], i64); 6] =
            [(&[1], 0), (&[17], 0), (&[3, 5], 1), (&[5, 3], 0), (&[0, 10], 1), (&[2, 4, 3], 1)];
        let of = |(shape, axis): (&[u64], i64)| example([("axis", Attr::Int(axis))].into(), &[&extents(shape)]);
        all.into_iter().map(of).collect()
    }
}
