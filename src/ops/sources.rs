//! Operators without real operands: inputs, constants, indices, random numbers.
//!
//! In: attributes. Out: tensors that depend on no parameter. Invariant: none of them has a gradient.

use super::attrs::{extents, operands, valid};
use super::{Attr, Attrs, Emit, Example, Index, Io, Kernel, OpDef, Scalar, ScalarOp, Value};
use crate::base::{DType, Extent, Type};

/// A value from outside; `Graph::inputs` says which. Its type is given when it is made, not computed.
pub struct Input;

impl OpDef for Input {
    fn name(&self) -> &'static str {
        "input"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &[]
    }

    fn infer(&self, _: &Attrs, _: &[&Type]) -> Result<Type, String> {
        Err("an input is given its type where it is made, but here it would have to be computed".to_string())
    }

    fn element(&self, _: &mut dyn Kernel, _: &Io<'_>, _: &[Index]) -> Scalar {
        panic!("invariant broken: the elements of an input are given, not computed")
    }

    fn grad(&self, _: &mut dyn Emit, _: &Io<'_>, _: Value) -> Vec<Option<Value>> {
        vec![]
    }

    fn differentiable(&self) -> bool {
        true
    }

    fn examples(&self) -> Vec<Example> {
        vec![]
    }
}

/// `value` as a rank-0 tensor of type `dtype`. An I32 value is an integer in range, a Bool is 0 or 1.
pub struct Const;

impl OpDef for Const {
    fn name(&self) -> &'static str {
        "const"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["value", "dtype"]
    }

    fn infer(&self, attrs: &Attrs, args: &[&Type]) -> Result<Type, String> {
        let [] = operands("const", args)?;
        let (value, dtype) = (attrs.float("value")?, attrs.dtype("dtype")?);
        let fits = match dtype {
            DType::F32 | DType::F64 => true,
            DType::I32 => value.fract() == 0.0 && value >= f64::from(i32::MIN) && value <= f64::from(i32::MAX),
            DType::Bool => value == 0.0 || value == 1.0,
        };
        if !fits {
            return Err(format!("the constant {value} is no value of type {dtype}"));
        }
        Ok(Type::scalar(dtype))
    }

    fn element(&self, k: &mut dyn Kernel, io: &Io<'_>, _: &[Index]) -> Scalar {
        k.constant(valid(io.attrs.float("value")), io.ty.dtype)
    }

    fn grad(&self, _: &mut dyn Emit, _: &Io<'_>, _: Value) -> Vec<Option<Value>> {
        vec![]
    }

    fn differentiable(&self) -> bool {
        true
    }

    fn examples(&self) -> Vec<Example> {
        let of = |value: f64, dtype| Attrs::from([("value", Attr::Float(value)), ("dtype", Attr::DType(dtype))]);
        let all = [(0.5, DType::F32), (-0.0, DType::F32), (7.0, DType::I32), (1.0, DType::Bool), (-3.0, DType::F32)];
        all.into_iter().map(|(v, t)| Example { attrs: of(v, t), args: vec![] }).collect()
    }
}

/// The index along `axis`, as I32.
pub struct Iota;

impl OpDef for Iota {
    fn name(&self) -> &'static str {
        "iota"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["shape", "axis"]
    }

    fn infer(&self, attrs: &Attrs, args: &[&Type]) -> Result<Type, String> {
        let [] = operands("iota", args)?;
        let shape = attrs.shape("shape")?;
        attrs.axis("axis", shape.len())?;
        Ok(Type::new(DType::I32, shape.to_vec()))
    }

    fn element(&self, k: &mut dyn Kernel, io: &Io<'_>, at: &[Index]) -> Scalar {
        k.index_value(at[valid(io.attrs.axis("axis", at.len()))])
    }

    fn grad(&self, _: &mut dyn Emit, _: &Io<'_>, _: Value) -> Vec<Option<Value>> {
        vec![]
    }

    fn differentiable(&self) -> bool {
        true
    }

    fn examples(&self) -> Vec<Example> {
        let all: [(&[u64], i64); 5] = [(&[1], 0), (&[17], 0), (&[3, 5], 1), (&[0, 4], 0), (&[2, 3, 4], 1)];
        let of = |shape: &[u64], axis| [("shape", Attr::Shape(extents(shape))), ("axis", Attr::Int(axis))].into();
        all.into_iter().map(|(s, a)| Example { attrs: of(s, a), args: vec![] }).collect()
    }
}

/// Uniform numbers in [0, 1), multiples of 2^-24: the upper 24 bits of the random word whose counter is the row-major
/// number of the element and whose key is mixed from `stream`, `seed` and `step`:
/// `key = random_word(step, random_word(stream, seed))`. A number needs lengths: where an axis behind the first is symbolic, the
/// axes before it have a number of their own, which is mixed into the key. So they depend on nothing else, threads and order included.
pub struct Random;

impl OpDef for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["shape", "stream"]
    }

    fn infer(&self, attrs: &Attrs, args: &[&Type]) -> Result<Type, String> {
        for ty in operands::<2>(self.name(), args)? {
            if *ty != Type::scalar(DType::I32) {
                return Err(format!("seed and step must be i32[], but one is {}", ty.display(&[])));
            }
        }
        let (shape, stream) = (attrs.shape("shape")?, attrs.int("stream")?);
        if i32::try_from(stream).is_err() {
            return Err(format!("the stream {stream} is outside the 32-bit integers"));
        }
        numbering(shape)?;
        Ok(Type::f32(shape.to_vec()))
    }

    fn element(&self, k: &mut dyn Kernel, io: &Io<'_>, at: &[Index]) -> Scalar {
        let mut parts = valid(numbering(&io.ty.shape));
        let last = parts.pop().unwrap_or_default();
        let stream = k.constant(valid(io.attrs.int("stream")) as f64, DType::I32);
        let (seed, step) = (k.load(0, &[]), k.load(1, &[]));
        let key = k.scalar(ScalarOp::Random, &[stream, seed]);
        let mut key = k.scalar(ScalarOp::Random, &[step, key]);
        let number = |k: &mut dyn Kernel, part: &[(i64, usize)]| {
            let terms: Vec<(i64, Index)> = part.iter().map(|&(stride, axis)| (stride, at[axis])).collect();
            let number = k.affine(&terms, 0);
            k.index_value(number)
        };
        for part in parts {
            let before = number(k, &part);
            key = k.scalar(ScalarOp::Random, &[before, key]);
        }
        let counter = number(k, &last);
        let word = k.scalar(ScalarOp::Random, &[counter, key]);
        k.scalar(ScalarOp::Unit, &[word])
    }

    fn grad(&self, _: &mut dyn Emit, _: &Io<'_>, _: Value) -> Vec<Option<Value>> {
        vec![None, None]
    }

    fn differentiable(&self) -> bool {
        true
    }

    fn examples(&self) -> Vec<Example> {
        let all: [(&[u64], i64); 6] =
            [(&[], 0), (&[17], 1), (&[3, 5], 2), (&[0, 4], -7), (&[2, 3, 4], 1), (&[2, 3, 0, 4], 1)];
        let of = |shape: &[u64], stream| [("shape", Attr::Shape(extents(shape))), ("stream", Attr::Int(stream))].into();
        let scalar = Type::scalar(DType::I32);
        all.into_iter().map(|(s, n)| Example { attrs: of(s, n), args: vec![scalar.clone(), scalar.clone()] }).collect()
    }
}

/// The axes in parts that have row-major numbers: a part ends before each symbolic axis. Per axis its stride. The product of a
/// part's fixed axes fits 31 bits.
fn numbering(shape: &[Extent]) -> Result<Vec<Vec<(i64, usize)>>, String> {
    let mut parts = vec![vec![]];
    let mut total = 1u64;
    for (axis, extent) in shape.iter().enumerate().rev() {
        if let Some(part) = parts.last_mut() {
            part.insert(0, (total as i64, axis));
        }
        total = total
            .checked_mul(extent.fixed().unwrap_or(1))
            .filter(|&n| n < 1 << 31)
            .ok_or_else(|| "random numbers are numbered in 31 bits, but the tensor has more elements".to_string())?;
        if extent.fixed().is_none() && axis > 0 {
            parts.push(vec![]);
            total = 1;
        }
    }
    parts.reverse();
    Ok(parts)
}
