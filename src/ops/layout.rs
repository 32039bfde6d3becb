//! Operators that only rename places: broadcast (with transposition) and reshape; and those that only say where the gradient
//! goes.
//!
//! In: one operand. Out: its elements at other places. Invariant: no element is computed.

use super::attrs::{example, extents, operands, valid};
use super::build;
use super::{Attr, Attrs, Emit, Example, Index, Io, Kernel, OpDef, Scalar, Value};
use crate::base::{DType, Extent, Type};

/// Operand axis `i` becomes result axis `axes[i]`, of the same extent; the result repeats along its other axes.
pub struct Broadcast;

impl OpDef for Broadcast {
    fn name(&self) -> &'static str {
        "broadcast"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["axes", "shape"]
    }

    fn infer(&self, attrs: &Attrs, args: &[&Type]) -> Result<Type, String> {
        let [ty] = operands("broadcast", args)?;
        let shape = attrs.shape("shape")?;
        let axes = attrs.axes("axes", shape.len())?;
        if axes.len() != ty.rank() {
            return Err(format!(
                "`broadcast` places {} axes, but its operand {} has {}",
                axes.len(),
                ty.display(&[]),
                ty.rank()
            ));
        }
        if ty.dtype == DType::F64 && !shape.is_empty() {
            return Err("f64 is for scalars of the step, but `broadcast` would make a tensor of them".to_string());
        }
        for (i, &axis) in axes.iter().enumerate() {
            if ty.shape[i] != shape[axis] {
                let (from, to) = (ty.display(&[]), Type::new(ty.dtype, shape.to_vec()).display(&[]));
                return Err(format!(
                    "`broadcast` keeps lengths, but axis {i} of {from} would become axis {axis} of {to}"
                ));
            }
        }
        Ok(Type::new(ty.dtype, shape.to_vec()))
    }

    fn element(&self, k: &mut dyn Kernel, io: &Io<'_>, at: &[Index]) -> Scalar {
        let axes = valid(io.attrs.axes("axes", at.len()));
        let from: Vec<Index> = axes.iter().map(|&a| at[a]).collect();
        k.load(0, &from)
    }

    fn grad(&self, e: &mut dyn Emit, io: &Io<'_>, g: Value) -> Vec<Option<Value>> {
        let axes = valid(io.attrs.axes("axes", io.ty.rank()));
        let repeated: Vec<usize> = (0..io.ty.rank()).filter(|a| !axes.contains(a)).collect();
        let total = if repeated.is_empty() { g } else { build::sum_axes(e, g, &repeated) };
        let mut kept = axes.clone();
        kept.sort_unstable();
        let order: Vec<usize> = axes.iter().filter_map(|a| kept.iter().position(|k| k == a)).collect();
        if order.is_sorted() {
            return vec![Some(total)];
        }
        vec![Some(build::transpose(e, total, &order))]
    }

    fn differentiable(&self) -> bool {
        true
    }

    fn examples(&self) -> Vec<Example> {
        type Case<'a> = (&'a [u64], &'a [i64], &'a [u64]);
        let all: [Case; 8] = [
            (&[], &[], &[5]),
            (&[], &[], &[0, 3]),
            (&[4], &[1], &[3, 4]),
            (&[4], &[0], &[4, 17]),
            (&[3, 5], &[1, 0], &[5, 3]),
            (&[0, 4], &[2, 0], &[4, 3, 0]),
            (&[2, 3, 4], &[2, 0, 1], &[3, 4, 2]),
            (&[1], &[0], &[1, 1]),
        ];
        let of = |(from, axes, shape): Case| {
            let attrs = [("axes", Attr::Ints(axes.to_vec())), ("shape", Attr::Shape(extents(shape)))];
            example(attrs.into(), &[&extents(from)])
        };
        all.into_iter().map(of).collect()
    }
}

/// The same elements, in row-major order, under another shape. Symbolic axes stay, in order; between two of them (and
/// before the first, and behind the last) the fixed axes have equal products.
pub struct Reshape;

impl OpDef for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["shape"]
    }

    fn infer(&self, attrs: &Attrs, args: &[&Type]) -> Result<Type, String> {
        let [ty] = operands("reshape", args)?;
        let shape = attrs.shape("shape")?;
        groups(&ty.shape, shape).ok_or_else(|| {
            let (from, to) = (ty.display(&[]), Type::new(ty.dtype, shape.to_vec()).display(&[]));
            format!("`reshape` keeps the number of elements and every symbolic axis, but {from} would become {to}")
        })?;
        Ok(Type::new(ty.dtype, shape.to_vec()))
    }

    fn element(&self, k: &mut dyn Kernel, io: &Io<'_>, at: &[Index]) -> Scalar {
        let (from, to) = (&io.arg_types[0].shape, &io.ty.shape);
        let Some(groups) = groups(from, to) else { panic!("invariant broken: a reshape in a verified graph fits") };
        let mut places = Vec::new();
        for group in groups {
            let (source, target) = (&from[group.from.clone()], &to[group.to.clone()]);
            match (source, &at[group.to.clone()]) {
                ([_], &[index]) => places.push(index),
                (source, indices) => split(k, source, target, indices, &mut places),
            }
        }
        k.load(0, &places)
    }

    fn grad(&self, e: &mut dyn Emit, io: &Io<'_>, g: Value) -> Vec<Option<Value>> {
        vec![Some(build::reshape(e, g, &io.arg_types[0].shape))]
    }

    fn differentiable(&self) -> bool {
        true
    }

    fn examples(&self) -> Vec<Example> {
        let all: [(&[u64], &[u64]); 8] = [
            (&[6], &[2, 3]),
            (&[2, 3], &[6]),
            (&[4, 6], &[3, 8]),
            (&[0, 4, 3], &[0, 12]),
            (&[0, 12], &[0, 1, 4, 3]),
            (&[1], &[]),
            (&[2, 3, 0, 4], &[6, 0, 2, 2]),
            (&[5, 4, 1], &[1, 5, 2, 2]),
        ];
        let of =
            |(from, to): (&[u64], &[u64])| example([("shape", Attr::Shape(extents(to)))].into(), &[&extents(from)]);
        all.into_iter().map(of).collect()
    }
}

/// Axes of the operand that hold the same elements as axes of the result.
struct Group {
    from: std::ops::Range<usize>,
    to: std::ops::Range<usize>,
}

/// The finest common grouping of two shapes, or `None` if they do not hold the same elements.
fn groups(from: &[Extent], to: &[Extent]) -> Option<Vec<Group>> {
    let (mut i, mut j, mut groups) = (0, 0, Vec::new());
    while i < from.len() || j < to.len() {
        let (start, other) = (i, j);
        if let Some(&symbol @ Extent::Sym(_)) = from.get(i)
            && to.get(j) == Some(&symbol)
        {
            (i, j) = (i + 1, j + 1);
        } else {
            // Take axes from the side whose product is smaller until the products agree.
            let (mut left, mut right) = (1u64, 1u64);
            loop {
                if left <= right && i < from.len() && (left < right || from[i].fixed().is_some()) {
                    left = left.checked_mul(from[i].fixed()?)?;
                    i += 1;
                } else if right <= left && j < to.len() && (right < left || to[j].fixed().is_some()) {
                    right = right.checked_mul(to[j].fixed()?)?;
                    j += 1;
                } else {
                    return None;
                }
                if left == right {
                    break;
                }
            }
        }
        groups.push(Group { from: start..i, to: other..j });
    }
    Some(groups)
}

/// The indices of the operand's axes of a group, from those of the result's.
fn split(k: &mut dyn Kernel, source: &[Extent], target: &[Extent], at: &[Index], places: &mut Vec<Index>) {
    let length = |e: &Extent| e.fixed().unwrap_or(1);
    let mut stride = 1i64;
    let mut terms = Vec::new();
    for (extent, &index) in target.iter().zip(at).rev() {
        terms.insert(0, (stride, index));
        stride *= length(extent) as i64;
    }
    let mut rest = k.affine(&terms, 0);
    for (i, extent) in source.iter().enumerate() {
        let inner: u64 = source[i + 1..].iter().map(length).product();
        let last = i + 1 == source.len();
        if last {
            places.push(rest);
        } else if length(extent) == 1 {
            places.push(k.affine(&[], 0));
        } else {
            let (quotient, remainder) = k.div_rem(rest, inner);
            places.push(quotient);
            rest = remainder;
        }
    }
}

/// Its operand, which the gradient takes for a constant.
pub struct StopGradient;

impl OpDef for StopGradient {
    fn name(&self) -> &'static str {
        "stop_gradient"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &[]
    }

    fn infer(&self, _: &Attrs, args: &[&Type]) -> Result<Type, String> {
        let [ty] = operands("stop_gradient", args)?;
        Ok(ty.clone())
    }

    fn element(&self, k: &mut dyn Kernel, _: &Io<'_>, at: &[Index]) -> Scalar {
        k.load(0, at)
    }

    fn grad(&self, _: &mut dyn Emit, _: &Io<'_>, _: Value) -> Vec<Option<Value>> {
        vec![None]
    }

    fn differentiable(&self) -> bool {
        true
    }

    fn examples(&self) -> Vec<Example> {
        let all: [&[u64]; 5] = [&[], &[1], &[17], &[0, 3], &[2, 3, 4]];
        all.iter().map(|s| example(Attrs::none(), &[&extents(s)])).collect()
    }
}

/// Its first operand, with the gradient of the second, which has the same type and whose values do not matter.
pub struct Surrogate;

impl OpDef for Surrogate {
    fn name(&self) -> &'static str {
        "surrogate"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &[]
    }

    fn infer(&self, _: &Attrs, args: &[&Type]) -> Result<Type, String> {
        let [value, other] = operands("surrogate", args)?;
        if value != other {
            return Err(format!("`surrogate` has two operands of one type, not {value:?} and {other:?}"));
        }
        Ok(value.clone())
    }

    fn element(&self, k: &mut dyn Kernel, _: &Io<'_>, at: &[Index]) -> Scalar {
        k.load(0, at)
    }

    fn grad(&self, _: &mut dyn Emit, _: &Io<'_>, gradient: Value) -> Vec<Option<Value>> {
        vec![None, Some(gradient)]
    }

    fn differentiable(&self) -> bool {
        true
    }

    fn examples(&self) -> Vec<Example> {
        let all: [&[u64]; 5] = [&[], &[1], &[17], &[0, 3], &[2, 3, 4]];
        all.iter().map(|s| example(Attrs::none(), &[&extents(s), &extents(s)])).collect()
    }
}
