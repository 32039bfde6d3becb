//! The transposes of windows and margins, where their operand is a product: a sum over places that lie apart becomes a
//! product over windows again.
//!
//! In: a value and what its gradient is taken through. Out: the transposed value. Invariant: equal to the plain operator
//! but for the order of sums, so only gradient rules may use it: they say the order, no pass changes it.

use super::attrs::valid;
use super::build;
use super::windows::Sizes;
use super::{Attrs, Emit, Value};

/// A contraction's letters and operands.
struct Product {
    sides: [String; 2],
    out: String,
    args: [Value; 2],
}

fn product(e: &dyn Emit, value: Value) -> Option<Product> {
    let (op, attrs, args) = e.parts(value);
    if op.name() != "contract" {
        return None;
    }
    let (sides, out) = valid(attrs.text("axes")).split_once("->")?;
    let (lhs, rhs) = sides.split_once(',')?;
    Some(Product { sides: [lhs.to_string(), rhs.to_string()], out: out.to_string(), args: [args[0], args[1]] })
}

/// The axis of an operand, where the result's axis stands in it.
fn place(product: &Product, side: usize, axis: usize) -> Option<usize> {
    let letter = *product.out.as_bytes().get(axis)?;
    product.sides[side].bytes().position(|b| b == letter)
}

/// What lay in windows, added up on an axis of `extent` elements. Where positions come from one factor of a product and
/// taps from the other, element q is Σ g[q - dilation · t] · w[t]: windows over g whose taps run backwards.
pub fn unwindow(e: &mut dyn Emit, x: Value, axis: usize, w: Sizes, extent: u64) -> Value {
    windowed(e, x, axis, w).unwrap_or_else(|| build::unwindow(e, x, axis, w, extent))
}

fn windowed(e: &mut dyn Emit, x: Value, axis: usize, w: Sizes) -> Option<Value> {
    let mut p = product(e, x).filter(|_| w.stride == 1)?;
    let side = (0..2).find(|&s| place(&p, s, axis).is_some() && place(&p, 1 - s, axis).is_none())?;
    let at = place(&p, side, axis)?;
    if place(&p, side, axis + 1).is_some() || place(&p, 1 - side, axis + 1).is_none() {
        return None;
    }
    let reach = (w.size - 1) * w.dilation.unsigned_abs();
    let padded = build::pad(e, p.args[side], at, reach, reach, 0.0);
    let windows = build::window(e, padded, at, w.size, 1, -w.dilation);
    let tap = p.out.remove(axis + 1);
    p.sides[side].insert(at + 1, tap);
    let axes = format!("{},{}->{}", p.sides[side], p.sides[1 - side], p.out);
    Some(build::contract(e, windows, p.args[1 - side], &axes))
}

/// Elements `start` to `start + len` of an axis; of a product only these are computed.
pub fn crop(e: &mut dyn Emit, x: Value, axis: usize, start: u64, len: u64) -> Value {
    if e.ty(x).shape[axis].fixed() == Some(len) {
        return x;
    }
    if let Some(mut p) = product(e, x) {
        for side in 0..2 {
            if let Some(at) = place(&p, side, axis) {
                p.args[side] = crop(e, p.args[side], at, start, len);
            }
        }
        let axes = format!("{},{}->{}", p.sides[0], p.sides[1], p.out);
        return build::contract(e, p.args[0], p.args[1], &axes);
    }
    let (op, attrs, args) = e.parts(x);
    let (attrs, inner) = (attrs.clone(), args.first().copied());
    match (op.name(), inner) {
        ("window", Some(inner)) => crop_windows(e, inner, &attrs, axis, (start, len)),
        ("pad", Some(inner)) => crop_margin(e, inner, &attrs, axis, (start, len)),
        _ => None,
    }
    .unwrap_or_else(|| build::slice(e, x, axis, start, len, 1))
}

fn crop_windows(e: &mut dyn Emit, x: Value, attrs: &Attrs, axis: usize, (start, len): (u64, u64)) -> Option<Value> {
    let (own, w) = (valid(attrs.int("axis")) as usize, valid(Sizes::read(attrs)));
    let cropped = if axis == own && w.stride == 1 {
        crop(e, x, own, start, len + (w.size - 1) * w.dilation.unsigned_abs())
    } else if axis == own || axis == own + 1 {
        return None;
    } else {
        crop(e, x, if axis > own { axis - 1 } else { axis }, start, len)
    };
    Some(build::window(e, cropped, own, w.size, w.stride, w.dilation))
}

fn crop_margin(e: &mut dyn Emit, x: Value, attrs: &Attrs, axis: usize, (start, len): (u64, u64)) -> Option<Value> {
    let [own, lo, hi] = ["axis", "lo", "hi"].map(|n| valid(attrs.int(n)) as u64);
    let value = valid(attrs.float("value"));
    if axis as u64 != own {
        let cropped = crop(e, x, axis, start, len);
        return Some(build::pad(e, cropped, own as usize, lo, hi, value));
    }
    let extent = e.ty(x).shape[axis].fixed()?;
    let (first, end) = (start.max(lo), (start + len).min(lo + extent));
    if first >= end {
        return None;
    }
    let cropped = crop(e, x, axis, first - lo, end - first);
    Some(build::pad(e, cropped, axis, first - start, start + len - end, value))
}
