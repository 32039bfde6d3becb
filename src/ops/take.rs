//! Elements of one axis by number: what mirrors, shifts and crops.
//!
//! In: a tensor, and for each element of the result its place on the axis. Out: the elements there. Invariant: a place outside
//! of the axis is taken as its nearest end, so no place reads beyond the tensor.

use super::attrs::{extents, fixed, operands, valid};
use super::build;
use super::{Attr, Attrs, Emit, Example, Index, Io, Kernel, OpDef, Scalar, ScalarOp, Value};
use crate::base::{DType, Extent, Type};

/// x[.., n, ..], places i32[.., m, ..] → [.., m, ..]
pub struct Take;

impl OpDef for Take {
    fn name(&self) -> &'static str {
        "take"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["axis"]
    }

    fn infer(&self, attrs: &Attrs, args: &[&Type]) -> Result<Type, String> {
        let [x, places] = operands("take", args)?;
        if places.dtype != DType::I32 {
            return Err(format!("`take` takes places of type i32, but they are {}", places.display(&[])));
        }
        let axis = attrs.axis("axis", x.rank())?;
        fixed("take", x, axis)?;
        let fits = |(i, (a, b)): (usize, (&Extent, &Extent))| i == axis || a == b;
        if x.rank() != places.rank() || !x.shape.iter().zip(&places.shape).enumerate().all(fits) {
            let (x, places) = (x.display(&[]), places.display(&[]));
            return Err(format!("`take` has {places} for {x}: they may differ along axis {axis} alone"));
        }
        Ok(Type::new(x.dtype, places.shape.clone()))
    }

    fn element(&self, k: &mut dyn Kernel, io: &Io<'_>, at: &[Index]) -> Scalar {
        let axis = valid(io.attrs.axis("axis", at.len()));
        let last = valid(fixed("take", io.arg_types[0], axis)) - 1;
        let place = k.load(1, at);
        let (first, last) = (k.constant(0.0, DType::I32), k.constant(last as f64, DType::I32));
        let place = k.scalar(ScalarOp::Max, &[place, first]);
        let place = k.scalar(ScalarOp::Min, &[place, last]);
        let mut from = at.to_vec();
        from[axis] = k.value_index(place);
        k.load(0, &from)
    }

    /// Every element gets the sum of the gradients of those that were taken from it.
    fn grad(&self, e: &mut dyn Emit, io: &Io<'_>, g: Value) -> Vec<Option<Value>> {
        let (x, places) = (io.arg_types[0], io.args[1]);
        let axis = valid(io.attrs.axis("axis", x.rank()));
        let (first, last) = (build::constant_like(e, 0.0, places), valid(fixed("take", x, axis)) - 1);
        let last = build::constant_like(e, last as f64, places);
        let places = build::max(e, places, first);
        let places = build::min(e, places, last);
        let mut shape = io.ty.shape.clone();
        shape.insert(axis, x.shape[axis]);
        let wanted = build::iota(e, &shape, axis);
        let places = build::broadcast_along(e, places, &[axis], &shape);
        let g = build::broadcast_along(e, g, &[axis], &shape);
        let (here, zero) = (build::eq(e, wanted, places), build::constant_like(e, 0.0, g));
        let parts = build::select(e, here, g, zero);
        vec![Some(build::sum_axes(e, parts, &[axis + 1])), None]
    }

    fn differentiable(&self) -> bool {
        true
    }

    fn examples(&self) -> Vec<Example> {
        let all: [(i64, &[u64], &[u64]); 6] = [
            (0, &[1], &[1]),
            (0, &[3], &[7]),
            (1, &[2, 5], &[2, 3]),
            (1, &[0, 4, 3], &[0, 4, 3]),
            (2, &[3, 1, 17], &[3, 1, 16]),
            (0, &[4, 2], &[9, 2]),
        ];
        let of = |(axis, x, places): (i64, &[u64], &[u64])| {
            let args = vec![Type::f32(extents(x)), Type::new(DType::I32, extents(places))];
            Example { attrs: [("axis", Attr::Int(axis))].into(), args }
        };
        all.into_iter().map(of).collect()
    }
}
