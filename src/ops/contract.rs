//! Contraction: sums of products over shared axes, of which matrix products are one case.
//!
//! In: two f32 operands and a letter per axis. Out: the axes that are kept. Invariant: every product is joined by one `fma`,
//! in an order that is a function of the letters and the shapes alone.

use super::attrs::{example, extents, operands, valid};
use super::build;
use super::{Attr, Attrs, Emit, Example, Index, Io, Kernel, OpDef, Order, ReduceKind, Scalar, Value};
use crate::base::{DType, Extent, Type};

/// `axes="bd,od->bo"`: out[b, o] = Σ_d lhs[b, d] · rhs[o, d]. A letter stands for one extent; a letter of an operand that
/// is not in the result is in both operands, and at least one is.
pub struct Contract;

/// The letters of a contraction.
struct Letters {
    lhs: Vec<char>,
    rhs: Vec<char>,
    out: Vec<char>,
    /// Summed, in the order of the left operand.
    summed: Vec<char>,
}

impl Letters {
    fn read(attrs: &Attrs) -> Result<Letters, String> {
        let text = attrs.text("axes")?;
        let parts = text.split_once("->").and_then(|(ins, out)| Some((ins.split_once(',')?, out)));
        let Some(((lhs, rhs), out)) = parts else {
            return Err(format!("`contract` needs axes like \"bd,od->bo\", but has \"{text}\""));
        };
        for side in [lhs, rhs, out] {
            if let Some(letter) = side.chars().find(|c| !c.is_ascii_alphabetic()) {
                return Err(format!("axes are single letters, but \"{text}\" has `{}`", letter.escape_default()));
            }
            if let Some((_, letter)) = side.char_indices().find(|&(i, c)| side[..i].contains(c)) {
                return Err(format!("each letter stands once in an operand, but \"{side}\" has `{letter}` twice"));
            }
        }
        for (side, other) in [(lhs, rhs), (rhs, lhs)] {
            if let Some(letter) = side.chars().find(|&c| !out.contains(c) && !other.contains(c)) {
                return Err(format!("`{letter}` is summed, so it must be in both operands, but \"{other}\" lacks it"));
            }
        }
        if let Some(letter) = out.chars().find(|&c| !lhs.contains(c) && !rhs.contains(c)) {
            return Err(format!("`{letter}` is in the result \"{out}\", but in neither \"{lhs}\" nor \"{rhs}\""));
        }
        let summed: Vec<char> = lhs.chars().filter(|&c| !out.contains(c)).collect();
        if summed.is_empty() {
            return Err(format!("`contract` sums over at least 1 letter, but \"{text}\" sums over none"));
        }
        let list = |side: &str| side.chars().collect();
        Ok(Letters { lhs: list(lhs), rhs: list(rhs), out: list(out), summed })
    }

    /// The extents of the letters, from both operands.
    fn extent(&self, letter: char, args: &[&Type]) -> Option<Extent> {
        let of = |side: &[char], ty: &Type| Some(ty.shape[side.iter().position(|&c| c == letter)?]);
        of(&self.lhs, args[0]).or_else(|| of(&self.rhs, args[1]))
    }

    /// Lanes over the last summed letter where both operands are contiguous along it and the result has few columns to
    /// run over side by side (none, or fewer than 4); else serial.
    fn order(&self, out: &Type) -> Order {
        let last = self.summed.last();
        let contiguous = self.lhs.last() == last && self.rhs.last() == last;
        let few = out.shape.last().is_none_or(|e| e.fixed().is_some_and(|n| n < 4));
        if few && contiguous { Order::Lanes } else { Order::Serial }
    }
}

impl OpDef for Contract {
    fn name(&self) -> &'static str {
        "contract"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["axes"]
    }

    fn infer(&self, attrs: &Attrs, args: &[&Type]) -> Result<Type, String> {
        let types = operands::<2>("contract", args)?;
        let letters = Letters::read(attrs)?;
        for (side, ty) in [(&letters.lhs, types[0]), (&letters.rhs, types[1])] {
            let names: String = side.iter().collect();
            if ty.dtype != DType::F32 {
                return Err(format!("`contract` takes f32 numbers, but an operand is {}", ty.display(&[])));
            }
            if side.len() != ty.rank() {
                return Err(format!("\"{names}\" names {} axes, but its operand is {}", side.len(), ty.display(&[])));
            }
            for (axis, &letter) in side.iter().enumerate() {
                let other = letters.extent(letter, args);
                if other != Some(ty.shape[axis]) {
                    let (a, b) = (types[0].display(&[]), types[1].display(&[]));
                    return Err(format!("`{letter}` must have one length, but it differs between {a} and {b}"));
                }
            }
        }
        let shape = letters.out.iter().filter_map(|&c| letters.extent(c, args)).collect();
        Ok(Type::f32(shape))
    }

    fn element(&self, k: &mut dyn Kernel, io: &Io<'_>, at: &[Index]) -> Scalar {
        let letters = valid(Letters::read(io.attrs));
        let extent = |&c: &char| letters.extent(c, io.arg_types);
        let extents: Vec<Extent> = letters.summed.iter().filter_map(extent).collect();
        // Where each axis of an operand takes its index from: the result's indices, then the summed ones.
        let all: Vec<char> = letters.out.iter().chain(&letters.summed).copied().collect();
        let places =
            |side: &[char]| -> Vec<usize> { side.iter().filter_map(|c| all.iter().position(|a| a == c)).collect() };
        let (lhs, rhs) = (places(&letters.lhs), places(&letters.rhs));
        let pick = |inner: &[Index], place: usize| if place < at.len() { at[place] } else { inner[place - at.len()] };
        let (mut left, mut right) = (Vec::new(), Vec::new());
        k.reduce(ReduceKind::Dot, letters.order(io.ty), &extents, &mut |k, inner| {
            left.clear();
            left.extend(lhs.iter().map(|&p| pick(inner, p)));
            right.clear();
            right.extend(rhs.iter().map(|&p| pick(inner, p)));
            (k.load(0, &left), Some(k.load(1, &right)))
        })
    }

    fn grad(&self, e: &mut dyn Emit, io: &Io<'_>, g: Value) -> Vec<Option<Value>> {
        let letters = valid(Letters::read(io.attrs));
        let lhs = times(e, (g, &letters.out), (io.args[1], &letters.rhs), &letters.lhs, &io.arg_types[0].shape);
        let rhs = times(e, (g, &letters.out), (io.args[0], &letters.lhs), &letters.rhs, &io.arg_types[1].shape);
        vec![Some(lhs), Some(rhs)]
    }

    fn differentiable(&self) -> bool {
        true
    }

    fn examples(&self) -> Vec<Example> {
        let all: [(&str, &[u64], &[u64]); 10] = [
            ("bd,od->bo", &[0, 5], &[7, 5]),
            ("bd,od->bo", &[3, 17], &[1, 17]),
            ("bd,do->bo", &[4, 9], &[9, 16]),
            ("db,do->bo", &[0, 3], &[0, 4]),
            ("d,d->", &[33], &[33]),
            ("bd,bd->", &[2, 8], &[2, 8]),
            ("bd,bd->b", &[0, 4], &[0, 4]),
            ("bhqd,bhkd->bhqk", &[2, 1, 3, 4], &[2, 1, 5, 4]),
            ("bij,bjk->kbi", &[2, 3, 4], &[2, 4, 5]),
            ("biu,uoi->ob", &[2, 3, 4], &[4, 2, 3]),
        ];
        let of = |(axes, lhs, rhs): (&str, &[u64], &[u64])| {
            example([("axes", Attr::Text(axes.to_string()))].into(), &[&extents(lhs), &extents(rhs)])
        };
        all.into_iter().map(of).collect()
    }
}

/// The product of two tensors, summed over the letters that `out` lacks: a contraction, or where nothing is summed, a plain
/// product of broadcasts.
fn times(e: &mut dyn Emit, lhs: (Value, &[char]), rhs: (Value, &[char]), out: &[char], shape: &[Extent]) -> Value {
    if lhs.1.iter().any(|c| !out.contains(c)) {
        let text = |letters: &[char]| letters.iter().collect::<String>();
        return build::contract(e, lhs.0, rhs.0, &format!("{},{}->{}", text(lhs.1), text(rhs.1), text(out)));
    }
    let mut spread = |(value, letters): (Value, &[char])| {
        if letters == out {
            return value;
        }
        let axes: Vec<usize> = letters.iter().filter_map(|c| out.iter().position(|o| o == c)).collect();
        build::broadcast(e, value, &axes, shape)
    };
    let (left, right) = (spread(lhs), spread(rhs));
    build::mul(e, left, right)
}
