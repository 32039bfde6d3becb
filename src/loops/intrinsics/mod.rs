//! The f32 meaning of every [`ScalarOp`], written once.
//!
//! In: a scalar operation and its operands. Out: its result, as numbers for the loop interpreter ([`eval`]) and as
//! instructions for the code generator (its own [`Arith`]). Invariant: every formula is a sequence of IEEE operations, each
//! rounded once and with subnormal numbers kept, and no function of a library, so that all machines compute the same bits. Which bits a NaN has is left
//! open.

mod circular;
mod exponential;
mod numbers;
mod power;

use crate::base::DType;
use crate::ops::ScalarOp;
pub use numbers::Numbers;

/// The primitive operations that formulas are made of. A `V` holds 32 bits, read as f32 or as an integer as the
/// operation says; a `M` holds a truth value.
pub trait Arith {
    type V: Copy;
    type M: Copy;

    fn float(&mut self, value: f32) -> Self::V;
    fn int(&mut self, value: u32) -> Self::V;

    fn add(&mut self, x: Self::V, y: Self::V) -> Self::V;
    fn sub(&mut self, x: Self::V, y: Self::V) -> Self::V;
    fn mul(&mut self, x: Self::V, y: Self::V) -> Self::V;
    fn div(&mut self, x: Self::V, y: Self::V) -> Self::V;
    /// x · y + z, rounded once
    fn fma(&mut self, x: Self::V, y: Self::V, z: Self::V) -> Self::V;
    fn sqrt(&mut self, x: Self::V) -> Self::V;
    fn floor(&mut self, x: Self::V) -> Self::V;
    /// x where x > y, else y: also y where either is NaN.
    fn above(&mut self, x: Self::V, y: Self::V) -> Self::V;
    /// x where x < y, else y: also y where either is NaN.
    fn below(&mut self, x: Self::V, y: Self::V) -> Self::V;
    fn lt(&mut self, x: Self::V, y: Self::V) -> Self::M;
    fn le(&mut self, x: Self::V, y: Self::V) -> Self::M;
    fn eq(&mut self, x: Self::V, y: Self::V) -> Self::M;
    /// True where x is NaN.
    fn is_nan(&mut self, x: Self::V) -> Self::M;

    /// The bits of an f32 as an integer, and back.
    fn bits(&mut self, x: Self::V) -> Self::V;
    fn number(&mut self, x: Self::V) -> Self::V;
    fn iadd(&mut self, x: Self::V, y: Self::V) -> Self::V;
    fn isub(&mut self, x: Self::V, y: Self::V) -> Self::V;
    fn imul(&mut self, x: Self::V, y: Self::V) -> Self::V;
    fn shl(&mut self, x: Self::V, by: u32) -> Self::V;
    /// Shift right, filled with zeros.
    fn shr(&mut self, x: Self::V, by: u32) -> Self::V;
    /// Shift right, filled with the sign.
    fn sar(&mut self, x: Self::V, by: u32) -> Self::V;
    fn and(&mut self, x: Self::V, y: Self::V) -> Self::V;
    fn or(&mut self, x: Self::V, y: Self::V) -> Self::V;
    fn xor(&mut self, x: Self::V, y: Self::V) -> Self::V;
    /// x < y as signed integers.
    fn ilt(&mut self, x: Self::V, y: Self::V) -> Self::M;
    fn ieq(&mut self, x: Self::V, y: Self::V) -> Self::M;

    /// A signed integer to the nearest f32.
    fn to_float(&mut self, x: Self::V) -> Self::V;
    /// Toward zero, saturating; NaN is 0.
    fn to_int(&mut self, x: Self::V) -> Self::V;
    fn select(&mut self, c: Self::M, x: Self::V, y: Self::V) -> Self::V;
    fn both(&mut self, x: Self::M, y: Self::M) -> Self::M;
    fn either(&mut self, x: Self::M, y: Self::M) -> Self::M;
    fn not(&mut self, x: Self::M) -> Self::M;
    /// 1 where true, else 0, as an integer.
    fn truth(&mut self, x: Self::M) -> Self::V;
}

/// An operand or result: 32 bits, or a truth value.
#[derive(Clone, Copy, Debug)]
pub enum Operand<V, M> {
    Word(V),
    Truth(M),
}

impl<V: Copy, M: Copy> Operand<V, M> {
    pub fn word(self) -> V {
        match self {
            Operand::Word(v) => v,
            Operand::Truth(_) => panic!("a number was expected where a truth value stands: types were not verified"),
        }
    }

    pub fn truth(self) -> M {
        match self {
            Operand::Truth(m) => m,
            Operand::Word(_) => panic!("a truth value was expected where a number stands: types were not verified"),
        }
    }
}

/// `op` of `args`, whose types [`ScalarOp::result`] has accepted and none of which is F64; `first` is the type of `args[0]`.
pub fn apply<A: Arith>(a: &mut A, op: ScalarOp, first: DType, args: &[Operand<A::V, A::M>]) -> Operand<A::V, A::M> {
    use ScalarOp::*;
    let int = first == DType::I32;
    let word = |i: usize| args[i].word();
    Operand::Word(match op {
        Lt | Le | Eq => return Operand::Truth(compare(a, op, int, word(0), word(1))),
        And => return Operand::Truth(a.both(args[0].truth(), args[1].truth())),
        Or => return Operand::Truth(a.either(args[0].truth(), args[1].truth())),
        Not => return Operand::Truth(a.not(args[0].truth())),
        Select => return select(a, args[0].truth(), args[1], args[2]),
        ToF32 if first == DType::Bool => {
            let one = a.truth(args[0].truth());
            a.to_float(one)
        }
        ToI32 if first == DType::Bool => a.truth(args[0].truth()),
        ToF32 if int => a.to_float(word(0)),
        ToF32 | ToI32 if op == ToF32 || int => word(0),
        ToF32 | ToI32 => a.to_int(word(0)),
        Random => random(a, word(0), word(1)),
        Unit => {
            let high = a.shr(word(0), 8);
            let (high, scale) = (a.to_float(high), a.float(1.0 / 16_777_216.0));
            a.mul(high, scale)
        }
        _ if int => integer(a, op, args),
        _ => real(a, op, args),
    })
}

/// `op` of words: f32 bits, i32 bits, or 0 and 1 for Bool; the result likewise. `first` is the type of `args[0]`.
pub fn eval(op: ScalarOp, first: DType, args: &[u32]) -> u32 {
    use ScalarOp::*;
    let operand = |i: usize, truth: bool| {
        if truth { Operand::Truth(args[i] != 0) } else { Operand::Word(args[i]) }
    };
    let truth = first == DType::Bool;
    let result = match (op, args.len()) {
        (Select, _) => return if args[0] != 0 { args[1] } else { args[2] },
        (_, 1) => apply(&mut Numbers, op, first, &[operand(0, truth)]),
        (_, 2) => apply(&mut Numbers, op, first, &[operand(0, truth), operand(1, truth)]),
        _ => apply(&mut Numbers, op, first, &[operand(0, false), operand(1, false), operand(2, false)]),
    };
    match result {
        Operand::Word(w) => w,
        Operand::Truth(t) => u32::from(t),
    }
}

/// NaN if x or y is NaN, else the greater; of zeros, or of equal numbers, y.
pub fn max<A: Arith>(a: &mut A, x: A::V, y: A::V) -> A::V {
    let (greater, nan) = (a.above(x, y), a.is_nan(x));
    a.select(nan, x, greater)
}

/// NaN if x or y is NaN, else the lesser; of zeros, or of equal numbers, y.
pub fn min<A: Arith>(a: &mut A, x: A::V, y: A::V) -> A::V {
    let (lesser, nan) = (a.below(x, y), a.is_nan(x));
    a.select(nan, x, lesser)
}

fn compare<A: Arith>(a: &mut A, op: ScalarOp, int: bool, x: A::V, y: A::V) -> A::M {
    match (op, int) {
        (ScalarOp::Lt, false) => a.lt(x, y),
        (ScalarOp::Le, false) => a.le(x, y),
        (_, false) => a.eq(x, y),
        (ScalarOp::Lt, true) => a.ilt(x, y),
        (ScalarOp::Le, true) => {
            let greater = a.ilt(y, x);
            a.not(greater)
        }
        (_, true) => a.ieq(x, y),
    }
}

fn select<A: Arith>(a: &mut A, c: A::M, x: Operand<A::V, A::M>, y: Operand<A::V, A::M>) -> Operand<A::V, A::M> {
    match (x, y) {
        (Operand::Word(x), Operand::Word(y)) => Operand::Word(a.select(c, x, y)),
        _ => {
            let (x, y, other) = (x.truth(), y.truth(), a.not(c));
            let (x, y) = (a.both(c, x), a.both(other, y));
            Operand::Truth(a.either(x, y))
        }
    }
}

fn integer<A: Arith>(a: &mut A, op: ScalarOp, args: &[Operand<A::V, A::M>]) -> A::V {
    let x = args[0].word();
    let y = args.get(1).map_or(x, |y| y.word());
    match op {
        ScalarOp::Neg => {
            let zero = a.int(0);
            a.isub(zero, x)
        }
        ScalarOp::Add => a.iadd(x, y),
        ScalarOp::Sub => a.isub(x, y),
        ScalarOp::Mul => a.imul(x, y),
        ScalarOp::Max => {
            let less = a.ilt(x, y);
            a.select(less, y, x)
        }
        ScalarOp::Min => {
            let less = a.ilt(x, y);
            a.select(less, x, y)
        }
        _ => panic!("{op:?} has no meaning for integers: types were not verified"),
    }
}

fn real<A: Arith>(a: &mut A, op: ScalarOp, args: &[Operand<A::V, A::M>]) -> A::V {
    use ScalarOp::*;
    let x = args[0].word();
    let y = args.get(1).map_or(x, |y| y.word());
    match op {
        Neg => flip_sign(a, x),
        Abs => magnitude(a, x),
        Sign => sign(a, x),
        Floor => a.floor(x),
        Sqrt => a.sqrt(x),
        Exp => exponential::exp(a, x),
        Log => exponential::log(a, x),
        Sin => circular::sin(a, x),
        Cos => circular::cos(a, x),
        Tanh => exponential::tanh(a, x),
        Erf => exponential::erf(a, x),
        Add => a.add(x, y),
        Sub => a.sub(x, y),
        Mul => a.mul(x, y),
        Div => a.div(x, y),
        Max => max(a, x, y),
        Min => min(a, x, y),
        Pow => power::pow(a, x, y),
        Fma => a.fma(x, y, args[2].word()),
        _ => panic!("{op:?} has no meaning for real numbers: types were not verified"),
    }
}

const SIGN: u32 = 0x8000_0000;

/// The sign bit of an f32, as an integer.
fn sign_bit<A: Arith>(a: &mut A, x: A::V) -> A::V {
    let (bits, sign) = (a.bits(x), a.int(SIGN));
    a.and(bits, sign)
}

fn flip_sign<A: Arith>(a: &mut A, x: A::V) -> A::V {
    let sign = a.int(SIGN);
    with_sign(a, x, sign)
}

/// x with its sign flipped where `sign` has the sign bit.
fn with_sign<A: Arith>(a: &mut A, x: A::V, sign: A::V) -> A::V {
    let bits = a.bits(x);
    let bits = a.xor(bits, sign);
    a.number(bits)
}

fn magnitude<A: Arith>(a: &mut A, x: A::V) -> A::V {
    let (bits, rest) = (a.bits(x), a.int(!SIGN));
    let bits = a.and(bits, rest);
    a.number(bits)
}

/// 1, -1, or x itself where x is zero or NaN.
fn sign<A: Arith>(a: &mut A, x: A::V) -> A::V {
    let (zero, one, minus) = (a.float(0.0), a.float(1.0), a.float(-1.0));
    let (positive, negative) = (a.lt(zero, x), a.lt(x, zero));
    let r = a.select(negative, minus, x);
    a.select(positive, one, r)
}

/// Horner's rule; coefficients from the highest power down.
fn polynomial<A: Arith>(a: &mut A, x: A::V, coefficients: &[f32]) -> A::V {
    let mut r = a.float(coefficients[0]);
    for &c in &coefficients[1..] {
        let c = a.float(c);
        r = a.fma(r, x, c);
    }
    r
}

/// The nearest whole number of |x| < 2^22, as f32 and as an integer: 1.5 · 2^23 has a unit of 1 in its last place.
fn round<A: Arith>(a: &mut A, x: A::V) -> (A::V, A::V) {
    const MAGIC: f32 = 12_582_912.0;
    let magic = a.float(MAGIC);
    let moved = a.add(x, magic);
    let (whole, bits, base) = (a.sub(moved, magic), a.bits(moved), a.int(MAGIC.to_bits()));
    (whole, a.isub(bits, base))
}

/// [`crate::ops::scalar::random_word`].
fn random<A: Arith>(a: &mut A, counter: A::V, key: A::V) -> A::V {
    let word = a.xor(counter, key);
    let golden = a.int(0x9E37_79B9);
    let (word, spread) = (mix(a, word), a.imul(key, golden));
    let word = a.iadd(word, spread);
    mix(a, word)
}

fn mix<A: Arith>(a: &mut A, x: A::V) -> A::V {
    let mut x = x;
    for (shift, factor) in [(16, Some(0x7feb_352d)), (15, Some(0x846c_a68b)), (16, None)] {
        let high = a.shr(x, shift);
        x = a.xor(x, high);
        if let Some(factor) = factor {
            let factor = a.int(factor);
            x = a.imul(x, factor);
        }
    }
    x
}
