//! Building graphs in short words.
//!
//! In: values of an [`Emit`]. Out: new values. Invariant: every function adds only nodes that the table accepts, given
//! operands that fit; operands that do not fit panic in [`Emit::emit`].

use super::windows::Sizes;
use super::{Attr, Attrs, Emit, Value};
use crate::base::{DType, Extent, Shape};

pub fn unary(e: &mut dyn Emit, op: &str, x: Value) -> Value {
    e.emit(op, Attrs::none(), &[x])
}

pub fn binary(e: &mut dyn Emit, op: &str, a: Value, b: Value) -> Value {
    e.emit(op, Attrs::none(), &[a, b])
}

macro_rules! short {
    ($make:ident: $($name:ident $op:literal ($($x:ident),*);)*) => {
        $(#[doc = concat!("`", $op, "`, element by element; the shapes are equal.")]
        pub fn $name(e: &mut dyn Emit, $($x: Value),*) -> Value {
            e.emit($op, Attrs::none(), &[$($x),*])
        })*
    };
}

short! { elementwise:
    neg "neg" (x); abs "abs" (x); sign "sign" (x); floor "floor" (x); sqrt "sqrt" (x); exp "exp" (x); log "log" (x);
    sin "sin" (x); cos "cos" (x); tanh "tanh" (x); erf "erf" (x); not "not" (x); to_f32 "to_f32" (x); to_i32 "to_i32" (x);
    add "add" (a, b); sub "sub" (a, b); mul "mul" (a, b); div "div" (a, b); max "max" (a, b); min "min" (a, b);
    pow "pow" (a, b); lt "lt" (a, b); le "le" (a, b); eq "eq" (a, b); and "and" (a, b); or "or" (a, b);
    fma "fma" (x, y, z); select "select" (c, a, b);
    stop_gradient "stop_gradient" (x); surrogate "surrogate" (x, other); gather "gather" (table, rows);
}

/// A rank-0 constant.
pub fn constant(e: &mut dyn Emit, value: f64, dtype: DType) -> Value {
    e.emit("const", [("value", Attr::Float(value)), ("dtype", Attr::DType(dtype))].into(), &[])
}

/// A constant of the type and shape of `x`.
pub fn constant_like(e: &mut dyn Emit, value: f64, x: Value) -> Value {
    let ty = e.ty(x).clone();
    let scalar = constant(e, value, ty.dtype);
    broadcast_to(e, scalar, &ty.shape)
}

/// A rank-0 value spread over `shape` (itself where the shape has no axes).
pub fn broadcast_to(e: &mut dyn Emit, scalar: Value, shape: &[Extent]) -> Value {
    if shape.is_empty() { scalar } else { broadcast(e, scalar, &[], shape) }
}

/// Axis `i` of `x` becomes axis `axes[i]` of `shape`; the other axes repeat.
pub fn broadcast(e: &mut dyn Emit, x: Value, axes: &[usize], shape: &[Extent]) -> Value {
    let axes = axes.iter().map(|&a| a as i64).collect();
    e.emit("broadcast", [("axes", Attr::Ints(axes)), ("shape", Attr::Shape(shape.to_vec()))].into(), &[x])
}

/// `x` (the shape without `dropped`, in order) repeated along the `dropped` axes of `shape`: the transpose of [`sum_axes`].
pub fn broadcast_along(e: &mut dyn Emit, x: Value, dropped: &[usize], shape: &[Extent]) -> Value {
    let kept: Vec<usize> = (0..shape.len()).filter(|a| !dropped.contains(a)).collect();
    broadcast(e, x, &kept, shape)
}

/// Axis `i` of the result is axis `order[i]` of `x`.
pub fn transpose(e: &mut dyn Emit, x: Value, order: &[usize]) -> Value {
    let from = e.ty(x).shape.clone();
    let shape: Shape = order.iter().map(|&a| from[a]).collect();
    let axes: Vec<usize> = (0..from.len()).filter_map(|a| order.iter().position(|&o| o == a)).collect();
    broadcast(e, x, &axes, &shape)
}

pub fn reshape(e: &mut dyn Emit, x: Value, shape: &[Extent]) -> Value {
    e.emit("reshape", [("shape", Attr::Shape(shape.to_vec()))].into(), &[x])
}

fn over(e: &mut dyn Emit, op: &str, x: Value, axes: &[usize]) -> Value {
    let axes = axes.iter().map(|&a| a as i64).collect();
    e.emit(op, [("axes", Attr::Ints(axes))].into(), &[x])
}

pub fn sum_axes(e: &mut dyn Emit, x: Value, axes: &[usize]) -> Value {
    over(e, "sum", x, axes)
}

pub fn max_axes(e: &mut dyn Emit, x: Value, axes: &[usize]) -> Value {
    over(e, "max_of", x, axes)
}

pub fn min_axes(e: &mut dyn Emit, x: Value, axes: &[usize]) -> Value {
    over(e, "min_of", x, axes)
}

pub fn argmax(e: &mut dyn Emit, x: Value, axis: usize) -> Value {
    e.emit("argmax", [("axis", Attr::Int(axis as i64))].into(), &[x])
}

/// `contract(e, x, w, "bd,od->bo")`
pub fn contract(e: &mut dyn Emit, a: Value, b: Value, axes: &str) -> Value {
    e.emit("contract", [("axes", Attr::Text(axes.to_string()))].into(), &[a, b])
}

/// The elements of one axis at `places`, which has the shape of the result.
pub fn take(e: &mut dyn Emit, x: Value, places: Value, axis: usize) -> Value {
    e.emit("take", [("axis", Attr::Int(axis as i64))].into(), &[x, places])
}

/// Elements `start`, `start + step`, … of one axis, `len` of them.
pub fn slice(e: &mut dyn Emit, x: Value, axis: usize, start: u64, len: u64, step: u64) -> Value {
    let int = |n: u64| Attr::Int(n as i64);
    let attrs = [("axis", int(axis as u64)), ("start", int(start)), ("len", int(len)), ("step", int(step))];
    e.emit("slice", attrs.into(), &[x])
}

/// `lo` elements of `value` before and `hi` behind one axis.
pub fn pad(e: &mut dyn Emit, x: Value, axis: usize, lo: u64, hi: u64, value: f64) -> Value {
    let int = |n: u64| Attr::Int(n as i64);
    let attrs = [("axis", int(axis as u64)), ("lo", int(lo)), ("hi", int(hi)), ("value", Attr::Float(value))];
    e.emit("pad", attrs.into(), &[x])
}

pub fn concat(e: &mut dyn Emit, parts: &[Value], axis: usize) -> Value {
    e.emit("concat", [("axis", Attr::Int(axis as i64))].into(), parts)
}

/// The windows of one axis: it becomes positions, and the taps of a window stand right behind it.
pub fn window(e: &mut dyn Emit, x: Value, axis: usize, size: u64, stride: u64, dilation: i64) -> Value {
    e.emit("window", window_attrs(axis, size, stride, dilation).into(), &[x])
}

/// The transpose of [`window`]: taps are added where they came from, on an axis of `extent` elements.
pub fn unwindow(e: &mut dyn Emit, x: Value, axis: usize, w: Sizes, extent: u64) -> Value {
    let [a, b, c, d] = window_attrs(axis, w.size, w.stride, w.dilation);
    e.emit("unwindow", [a, b, c, d, ("extent", Attr::Int(extent as i64))].into(), &[x])
}

fn window_attrs(axis: usize, size: u64, stride: u64, dilation: i64) -> [(&'static str, Attr); 4] {
    let int = |n: u64| Attr::Int(n as i64);
    [("axis", int(axis as u64)), ("size", int(size)), ("stride", int(stride)), ("dilation", Attr::Int(dilation))]
}

/// The rows of `g` added into a table of `extent` rows that is 0 elsewhere: the transpose of `gather`.
pub fn scatter_add(e: &mut dyn Emit, rows: Value, g: Value, extent: Extent) -> Value {
    e.emit("scatter_add", [("extent", Attr::Shape(vec![extent]))].into(), &[rows, g])
}

/// The index along `axis`, as i32.
pub fn iota(e: &mut dyn Emit, shape: &[Extent], axis: usize) -> Value {
    e.emit("iota", [("shape", Attr::Shape(shape.to_vec())), ("axis", Attr::Int(axis as i64))].into(), &[])
}

/// Uniform numbers in [0, 1), a function of `seed` and `step` (i32, rank 0), the stream and the place.
pub fn random(e: &mut dyn Emit, shape: &[Extent], stream: i64, seed: Value, step: Value) -> Value {
    e.emit("random", [("shape", Attr::Shape(shape.to_vec())), ("stream", Attr::Int(stream))].into(), &[seed, step])
}
