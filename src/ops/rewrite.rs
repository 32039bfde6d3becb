//! Exact rewrites: what a node may be replaced by without changing a bit.
//!
//! In: a node that is about to be made. Out: a value that already says the same, or nothing. Invariant: both sides are equal
//! for every operand, signed zeros and infinities included, in f32 as in f64; no product and sum become an `fma`.

use super::attrs::valid;
use super::{Attr, Attrs, Emit, ScalarOp, Value, build, elementwise, number};
use crate::base::{DType, Extent};

/// A graph that rules can look into.
pub trait Look: Emit {
    fn as_emit(&mut self) -> &mut dyn Emit;
}

/// The operands of a value if it is made by `op`.
fn made_by(e: &dyn Look, value: Value, op: &str) -> Option<Vec<Value>> {
    let (found, _, args) = e.parts(value);
    (found.name() == op).then(|| args.to_vec())
}

/// The number that all elements of a value are, if that is known.
fn uniform(e: &dyn Look, value: Value) -> Option<f64> {
    let (op, attrs, args) = e.parts(value);
    match op.name() {
        "const" => Some(valid(attrs.float("value"))),
        "broadcast" => uniform(e, args[0]),
        _ => None,
    }
}

/// A value equal to `op` of these operands, if a rule knows one. Emitting it may apply rules again; each makes a node
/// simpler, so that ends.
pub fn rewrite(e: &mut dyn Look, op: &str, attrs: &Attrs, args: &[Value]) -> Option<Value> {
    if let Some(row) = elementwise::ROWS.iter().find(|row| row.op.name() == op) {
        return fold(e, row.op, args).or_else(|| algebra(e, row.op, args)).or_else(|| lift(e, op, args));
    }
    match (op, args) {
        ("stop_gradient", &[x]) | ("surrogate", &[x, _]) => Some(x),
        ("concat", &[x]) => Some(x),
        ("pad", &[x]) if valid(attrs.int("lo")) == 0 && valid(attrs.int("hi")) == 0 => Some(x),
        ("broadcast", &[x]) => broadcast(e, attrs, x),
        ("reshape", &[x]) => reshape(e, attrs, x),
        ("slice", &[x]) => slice(e, attrs, x),
        _ => None,
    }
}

/// The result of known rank-0 operands. F64 is computed once per step by these very functions. An f32 result is folded only
/// where rounding plays no part: operands and result are f32 numbers, or the function only moves the sign.
fn fold(e: &mut dyn Look, op: ScalarOp, args: &[Value]) -> Option<Value> {
    use ScalarOp::*;
    let constant = |&arg: &Value| if e.ty(arg).shape.is_empty() { uniform(e, arg) } else { None };
    let numbers: Vec<f64> = args.iter().map(constant).collect::<Option<_>>()?;
    let types: Vec<DType> = args.iter().map(|&arg| e.ty(arg).dtype).collect();
    let result = op.result(&types)?;
    let value = number::apply_typed(op, &numbers, *types.first()?);
    let single = |x: f64| x.is_finite() && f64::from(x as f32) == x;
    let rounded = types.contains(&DType::F32) && !matches!(op, Neg | Abs | Sign | Select);
    let rational = !matches!(op, Exp | Log | Sin | Cos | Tanh | Erf | Pow);
    let exact = rational && numbers.iter().all(|&x| single(x)) && (result != DType::F32 || single(value));
    // From an i32 beyond 2^24, f32 rounds.
    let inexact = op == ToF32 && types[0] == DType::I32 && !single(value);
    if (rounded && !exact) || inexact {
        return None;
    }
    Some(build::constant(e.as_emit(), value, result))
}

fn algebra(e: &mut dyn Look, op: ScalarOp, args: &[Value]) -> Option<Value> {
    use ScalarOp::*;
    let inner = |e: &dyn Look, value, op: ScalarOp| made_by(e, value, op.name()).map(|args| args[0]);
    let first = *args.first()?;
    let second = args.get(1).copied().unwrap_or(first);
    match op {
        Neg | Not => inner(e, first, op),
        Abs => match inner(e, first, Neg) {
            Some(x) => Some(build::abs(e.as_emit(), x)),
            None => inner(e, first, Abs).map(|_| first),
        },
        Max | Min | And | Or if first == second => Some(first),
        Add => {
            if neutral(e, second, -0.0) || neutral(e, first, -0.0) {
                return Some(if neutral(e, second, -0.0) { first } else { second });
            }
            let negated =
                [(first, second), (second, first)].into_iter().find_map(|(x, y)| Some((x, inner(e, y, Neg)?)));
            negated.map(|(x, y)| build::sub(e.as_emit(), x, y))
        }
        Sub if neutral(e, second, 0.0) => Some(first),
        Sub => inner(e, second, Neg).map(|y| build::add(e.as_emit(), first, y)),
        Mul => product(e, first, second),
        Div => quotient(e, first, second),
        Select => {
            let third = args[2];
            match (uniform(e, first), inner(e, first, Not)) {
                (Some(truth), _) => Some(if truth != 0.0 { second } else { third }),
                _ if second == third => Some(second),
                (None, Some(not)) => Some(build::select(e.as_emit(), not, third, second)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Whether adding or subtracting the zero `zero` changes nothing: x + 0 turns -0 into 0, so the sign counts; not for i32.
fn neutral(e: &dyn Look, value: Value, zero: f64) -> bool {
    let integer = e.ty(value).dtype == DType::I32;
    uniform(e, value).is_some_and(|x| x == 0.0 && (integer || x.is_sign_negative() == zero.is_sign_negative()))
}

fn product(e: &mut dyn Look, x: Value, y: Value) -> Option<Value> {
    for (known, other) in [(x, y), (y, x)] {
        match uniform(e, known) {
            Some(1.0) => return Some(other),
            Some(-1.0) => return Some(build::neg(e.as_emit(), other)),
            _ => {}
        }
    }
    let (a, b) = (made_by(e, x, "neg")?, made_by(e, y, "neg")?);
    Some(build::mul(e.as_emit(), a[0], b[0]))
}

/// x / 1, x / -1, and x / 2^k as a product: both are the same real number, rounded once.
fn quotient(e: &mut dyn Look, x: Value, y: Value) -> Option<Value> {
    let by = uniform(e, y)?;
    if by == 1.0 {
        return Some(x);
    }
    let mantissa = by.to_bits() & ((1 << 52) - 1);
    if mantissa != 0 || by.abs() < 2f64.powi(-100) || by.abs() > 2f64.powi(100) {
        return None;
    }
    let factor = build::constant_like(e.as_emit(), 1.0 / by, x);
    Some(build::mul(e.as_emit(), x, factor))
}

/// An operator on values that all repeat along the same axes works once, on what is repeated.
fn lift(e: &mut dyn Look, op: &str, args: &[Value]) -> Option<Value> {
    let mut sources = Vec::new();
    for &arg in args {
        let (found, attrs, inner) = e.parts(arg);
        if found.name() != "broadcast" {
            return None;
        }
        sources.push((inner[0], valid(attrs.ints("axes")).to_vec()));
    }
    let main = sources.iter().position(|(_, axes)| !axes.is_empty()).unwrap_or(0);
    let (base, axes) = sources.get(main)?.clone();
    let shape = e.ty(*args.first()?).shape.clone();
    let small = e.ty(base).shape.clone();
    let same =
        |(source, other): &(Value, Vec<i64>)| *other == axes || (other.is_empty() && uniform(e, *source).is_some());
    if small.len() >= shape.len() || !sources.iter().all(same) {
        return None;
    }
    let emit = e.as_emit();
    let spread = |(source, other): (Value, Vec<i64>), emit: &mut dyn Emit| {
        if other == axes { source } else { build::broadcast_to(emit, source, &small) }
    };
    let inner: Vec<Value> = sources.into_iter().map(|source| spread(source, emit)).collect();
    let made = emit.emit(op, Attrs::none(), &inner);
    let axes: Vec<usize> = axes.iter().map(|&a| a as usize).collect();
    Some(build::broadcast(emit, made, &axes, &shape))
}

fn broadcast(e: &mut dyn Look, attrs: &Attrs, x: Value) -> Option<Value> {
    let shape = valid(attrs.shape("shape")).to_vec();
    let axes = valid(attrs.axes("axes", shape.len()));
    if axes.len() == shape.len() && axes.is_sorted() {
        return Some(x);
    }
    let (op, inner, args) = e.parts(x);
    if op.name() != "broadcast" {
        return None;
    }
    let (source, inner) = (args[0], valid(inner.axes("axes", axes.len())));
    let axes: Vec<usize> = inner.iter().map(|&a| axes[a]).collect();
    Some(build::broadcast(e.as_emit(), source, &axes, &shape))
}

fn reshape(e: &mut dyn Look, attrs: &Attrs, x: Value) -> Option<Value> {
    let shape = valid(attrs.shape("shape")).to_vec();
    if e.ty(x).shape == shape {
        return Some(x);
    }
    let (op, _, args) = e.parts(x);
    let source = *args.first()?;
    match op.name() {
        "reshape" => Some(build::reshape(e.as_emit(), source, &shape)),
        "broadcast" if e.ty(source).shape.is_empty() => Some(build::broadcast_to(e.as_emit(), source, &shape)),
        _ => None,
    }
}

fn slice(e: &mut dyn Look, attrs: &Attrs, x: Value) -> Option<Value> {
    let shape = e.ty(x).shape.clone();
    let axis = valid(attrs.axis("axis", shape.len()));
    let count = |attrs: &Attrs, name| valid(attrs.count(name, 0));
    let [start, len, step] = ["start", "len", "step"].map(|name| count(attrs, name));
    let extent = |e: &dyn Look, value: Value| e.ty(value).shape[axis].fixed().unwrap_or(0);
    if start == 0 && step == 1 && len == extent(e, x) {
        return Some(x);
    }
    let last = start + (len - 1) * step;
    let (op, inner, args) = e.parts(x);
    let same_axis = inner.get("axis") == Some(&Attr::Int(axis as i64));
    let source = *args.first()?;
    match op.name() {
        "broadcast" => {
            let axes = valid(inner.axes("axes", shape.len()));
            let mut shape = shape;
            shape[axis] = Extent::Fixed(len);
            (!axes.contains(&axis)).then(|| build::broadcast(e.as_emit(), source, &axes, &shape))
        }
        "slice" if same_axis => {
            let (before, by) = (count(inner, "start"), count(inner, "step"));
            Some(build::slice(e.as_emit(), source, axis, before + start * by, len, step * by))
        }
        "pad" if same_axis => {
            let lo = count(inner, "lo");
            let inside = start >= lo && last < lo + extent(e, source);
            inside.then(|| build::slice(e.as_emit(), source, axis, start - lo, len, step))
        }
        "concat" if same_axis => {
            let mut offset = 0;
            for part in args.iter().copied() {
                let end = offset + extent(e, part);
                if start >= offset && last < end {
                    return Some(build::slice(e.as_emit(), part, axis, start - offset, len, step));
                }
                offset = end;
            }
            None
        }
        _ => None,
    }
}
