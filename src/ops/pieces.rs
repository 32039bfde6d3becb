//! Parts of an axis: slice, pad, concat.
//!
//! In: operands and positions on one axis. Out: elements copied, or a constant outside. Invariant: the axis they work on has
//! a known length, so every read is proven to be in range.

use super::attrs::{example, extents, fixed, operands, valid};
use super::windows::Sizes;
use super::{Attr, Attrs, Emit, Example, Index, Io, Kernel, OpDef, Scalar, ScalarOp, Value};
use super::{adjoint, build};
use crate::base::{DType, Extent, Type};

/// Elements `start`, `start + step`, … of an axis, `len` of them.
pub struct Slice;

impl OpDef for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["axis", "start", "len", "step"]
    }

    fn infer(&self, attrs: &Attrs, args: &[&Type]) -> Result<Type, String> {
        let [ty] = operands("slice", args)?;
        let axis = attrs.axis("axis", ty.rank())?;
        let (start, len, step) = (attrs.count("start", 0)?, attrs.count("len", 1)?, attrs.count("step", 1)?);
        let extent = fixed("slice", ty, axis)?;
        let last = (len - 1).checked_mul(step).and_then(|n| n.checked_add(start));
        if last.is_none_or(|last| last >= extent) {
            return Err(format!(
                "`slice` takes {len} elements from {start} in steps of {step}, but the axis has {extent}"
            ));
        }
        let mut shape = ty.shape.clone();
        shape[axis] = Extent::Fixed(len);
        Ok(Type::new(ty.dtype, shape))
    }

    fn element(&self, k: &mut dyn Kernel, io: &Io<'_>, at: &[Index]) -> Scalar {
        let axis = valid(io.attrs.axis("axis", at.len()));
        let mut from = at.to_vec();
        from[axis] = k.affine(&[(valid(io.attrs.int("step")), at[axis])], valid(io.attrs.int("start")));
        k.load(0, &from)
    }

    fn grad(&self, e: &mut dyn Emit, io: &Io<'_>, g: Value) -> Vec<Option<Value>> {
        let axis = valid(io.attrs.axis("axis", io.ty.rank()));
        let count = |name| valid(io.attrs.count(name, 0));
        let (start, len, step) = (count("start"), count("len"), count("step"));
        let extent = valid(fixed("slice", io.arg_types[0], axis));
        let span = (len - 1) * step + 1;
        let spread = if step == 1 {
            g
        } else {
            // One tap per position, `step` apart: the transpose of a window of size 1.
            let mut shape = io.ty.shape.clone();
            shape.insert(axis + 1, Extent::Fixed(1));
            let taps = build::broadcast_along(e, g, &[axis + 1], &shape);
            build::unwindow(e, taps, axis, Sizes { size: 1, stride: step, dilation: 1 }, span)
        };
        vec![Some(build::pad(e, spread, axis, start, extent - start - span, 0.0))]
    }

    fn differentiable(&self) -> bool {
        true
    }

    fn examples(&self) -> Vec<Example> {
        let all: [(&[u64], [i64; 4]); 6] = [
            (&[5], [0, 0, 5, 1]),
            (&[9], [0, 2, 3, 1]),
            (&[9], [0, 1, 4, 2]),
            (&[3, 17], [1, 0, 6, 3]),
            (&[0, 8], [1, 7, 1, 1]),
            (&[4, 3, 5], [0, 1, 2, 2]),
        ];
        let of = |(shape, [axis, start, len, step]): (&[u64], [i64; 4])| {
            let int = Attr::Int;
            let attrs = [("axis", int(axis)), ("start", int(start)), ("len", int(len)), ("step", int(step))];
            example(attrs.into(), &[&extents(shape)])
        };
        all.into_iter().map(of).collect()
    }
}

/// `lo` elements of `value` before an axis and `hi` behind it.
pub struct Pad;

impl OpDef for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["axis", "lo", "hi", "value"]
    }

    fn infer(&self, attrs: &Attrs, args: &[&Type]) -> Result<Type, String> {
        let [ty] = operands("pad", args)?;
        let axis = attrs.axis("axis", ty.rank())?;
        let (lo, hi, value) = (attrs.count("lo", 0)?, attrs.count("hi", 0)?, attrs.float("value")?);
        if ty.dtype != DType::F32 && value != 0.0 {
            return Err(format!("`pad` fills {} with 0 only, but the value is {value}", ty.dtype));
        }
        let extent = fixed("pad", ty, axis)?;
        let Some(padded) = extent.checked_add(lo).and_then(|n| n.checked_add(hi)) else {
            return Err(format!("`pad` would add {lo} and {hi} elements to {extent}, but lengths have 64 bits"));
        };
        let mut shape = ty.shape.clone();
        shape[axis] = Extent::Fixed(padded);
        Ok(Type::new(ty.dtype, shape))
    }

    fn element(&self, k: &mut dyn Kernel, io: &Io<'_>, at: &[Index]) -> Scalar {
        let axis = valid(io.attrs.axis("axis", at.len()));
        let mut from = at.to_vec();
        from[axis] = k.affine(&[(1, at[axis])], -valid(io.attrs.int("lo")));
        let inside = [(from[axis], io.arg_types[0].shape[axis])];
        k.guarded(&inside, &mut |k| k.load(0, &from), valid(io.attrs.float("value")))
    }

    fn grad(&self, e: &mut dyn Emit, io: &Io<'_>, g: Value) -> Vec<Option<Value>> {
        let axis = valid(io.attrs.axis("axis", io.ty.rank()));
        let (lo, len) = (valid(io.attrs.count("lo", 0)), valid(fixed("pad", io.arg_types[0], axis)));
        vec![Some(adjoint::crop(e, g, axis, lo, len))]
    }

    fn differentiable(&self) -> bool {
        true
    }

    fn examples(&self) -> Vec<Example> {
        let all: [(&[u64], [i64; 3], f64); 6] = [
            (&[5], [0, 0, 0], 0.0),
            (&[5], [0, 2, 1], 0.0),
            (&[3, 4], [1, 0, 3], -1.5),
            (&[0, 4], [1, 1, 1], f64::NEG_INFINITY),
            (&[1], [0, 16, 0], 1.0),
            (&[2, 3, 4], [0, 1, 0], -0.0),
        ];
        let of = |(shape, [axis, lo, hi], value): (&[u64], [i64; 3], f64)| {
            let int = Attr::Int;
            let attrs = [("axis", int(axis)), ("lo", int(lo)), ("hi", int(hi)), ("value", Attr::Float(value))];
            example(attrs.into(), &[&extents(shape)])
        };
        all.into_iter().map(of).collect()
    }
}

/// Operands behind one another along an axis.
pub struct Concat;

impl OpDef for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["axis"]
    }

    fn infer(&self, attrs: &Attrs, args: &[&Type]) -> Result<Type, String> {
        let Some(first) = args.first() else {
            return Err("`concat` needs at least 1 operand, but has none".to_string());
        };
        let axis = attrs.axis("axis", first.rank())?;
        let mut total = 0u64;
        for ty in args {
            let mut aligned = (*ty).clone();
            if ty.rank() == first.rank() {
                aligned.shape[axis] = first.shape[axis];
            }
            if aligned != **first {
                let (a, b) = (first.display(&[]), ty.display(&[]));
                return Err(format!("`concat` needs operands that differ only along axis {axis}, but has {a} and {b}"));
            }
            total = total.checked_add(fixed("concat", ty, axis)?).ok_or("the axis is longer than 64 bits can count")?;
        }
        let mut shape = first.shape.clone();
        shape[axis] = Extent::Fixed(total);
        Ok(Type::new(first.dtype, shape))
    }

    fn element(&self, k: &mut dyn Kernel, io: &Io<'_>, at: &[Index]) -> Scalar {
        let axis = valid(io.attrs.axis("axis", at.len()));
        let lengths: Vec<u64> = io.arg_types.iter().map(|ty| valid(fixed("concat", ty, axis))).collect();
        let place = k.index_value(at[axis]);
        let mut result = None;
        for (arg, &len) in lengths.iter().enumerate().rev() {
            let start: u64 = lengths[..arg].iter().sum();
            let mut from = at.to_vec();
            from[axis] = k.affine(&[(1, at[axis])], -(start as i64));
            let inside = [(from[axis], Extent::Fixed(len))];
            let part = k.guarded(&inside, &mut |k| k.load(arg, &from), 0.0);
            result = Some(match result {
                None => part,
                Some(behind) => {
                    let end = k.constant((start + len) as f64, DType::I32);
                    let here = k.scalar(ScalarOp::Lt, &[place, end]);
                    k.scalar(ScalarOp::Select, &[here, part, behind])
                }
            });
        }
        match result {
            Some(element) => element,
            None => panic!("invariant broken: a concat in a verified graph has operands"),
        }
    }

    fn grad(&self, e: &mut dyn Emit, io: &Io<'_>, g: Value) -> Vec<Option<Value>> {
        let axis = valid(io.attrs.axis("axis", io.ty.rank()));
        let mut start = 0;
        let mut grads = Vec::new();
        for ty in io.arg_types {
            let len = valid(fixed("concat", ty, axis));
            grads.push(Some(build::slice(e, g, axis, start, len, 1)));
            start += len;
        }
        grads
    }

    fn differentiable(&self) -> bool {
        true
    }

    fn examples(&self) -> Vec<Example> {
        let all: [(i64, &[&[u64]]); 5] = [
            (0, &[&[3]]),
            (0, &[&[1], &[17]]),
            (1, &[&[0, 3], &[0, 1], &[0, 4]]),
            (0, &[&[2, 3], &[1, 3]]),
            (1, &[&[2, 1, 3], &[2, 2, 3]]),
        ];
        let of = |(axis, shapes): (i64, &[&[u64]])| {
            let args = shapes.iter().map(|s| Type::f32(extents(s))).collect();
            Example { attrs: [("axis", Attr::Int(axis))].into(), args }
        };
        all.into_iter().map(of).collect()
    }
}
