//! exp, log, tanh and erf, within 2 units in the last place of the exact value.
//!
//! In: an f32. Out: an f32, also at infinities, NaN, zeros and subnormal numbers. Invariant: no branch, only selection.
//! The polynomials are least-squares fits at Chebyshev nodes, their coefficients rounded to f32 one after the other (lower
//! powers first) and the rest fitted anew; each names the relative error that remains.

use super::{Arith, magnitude, polynomial, round, sign_bit, with_sign};

/// ln 2 = LN2_HIGH + LN2_LOW; the first has 15 bits, so that its product with an exponent is exact.
const LN2_HIGH: f32 = 0.693_145_75;
const LN2_LOW: f32 = 1.428_606_8e-6;
/// 1 / ln 2
const LOG2_E: f32 = std::f32::consts::LOG2_E;

/// (e^r - 1 - r) / r² for |r| <= ln 2 / 2; error 2^-28 of e^r.
const EXP: [f32; 5] = [0.001_375_159_4, 0.008_369_655, 0.041_669_6, 0.166_665_12, 0.499_999_88];

/// (ln(1 + f) - f + f²/2) / f³ for sqrt(1/2) - 1 <= f <= sqrt(2) - 1; error 2^-30 of ln.
const LOG: [f32; 9] = [
    0.068_049_18,
    -0.117_258_29,
    0.118_885_93,
    -0.123_964_21,
    0.142_181_22,
    -0.166_685_27,
    0.200_022_27,
    -0.25,
    0.333_333_1,
];

/// (tanh x - x) / x³ in x², for |x| <= 0.625; error 2^-27 of tanh.
const TANH: [f32; 5] = [-0.005_701_635, 0.020_635_43, -0.053_738_292, 0.133_314_19, -0.333_332_8];

/// erf(x) / x - 1 in x², for |x| <= 0.93; error 2^-25 of erf.
const ERF: [f32; 6] = [-0.000_597_433_25, 0.004_990_482, -0.026_765_259, 0.112_817_97, -0.376_124_95, 0.128_379_15];

/// (-ln(erfc t) - t) / t for 0.92 <= t <= 4; error 2^-30 of erf.
const ERFC: [f32; 7] =
    [1.187_857_5e-5, -0.000_328_980_9, 0.003_666_359, -0.023_810_087, 0.106_289_78, 0.635_121, 0.128_655_57];

/// 2^n · r for a whole n in -152..=130, rounded once: the first factor leaves r normal.
pub(super) fn scale<A: Arith>(a: &mut A, r: A::V, n: A::V) -> A::V {
    let first = a.sar(n, 1);
    let second = a.isub(n, first);
    let bias = a.int(127);
    let mut r = r;
    for part in [first, second] {
        let biased = a.iadd(part, bias);
        let bits = a.shl(biased, 23);
        let factor = a.number(bits);
        r = a.mul(r, factor);
    }
    r
}

/// e^x. Beyond the clamped range the result is 0 or infinite anyway.
pub(super) fn exp<A: Arith>(a: &mut A, x: A::V) -> A::V {
    let (most, least) = (a.float(89.0), a.float(-104.0));
    let x = a.below(most, x);
    let x = a.above(least, x);
    let log2_e = a.float(LOG2_E);
    let quotient = a.mul(x, log2_e);
    let (n, whole) = round(a, quotient);
    let (high, low, one) = (a.float(-LN2_HIGH), a.float(-LN2_LOW), a.float(1.0));
    let r = a.fma(n, high, x);
    let r = a.fma(n, low, r);
    let p = polynomial(a, r, &EXP);
    let square = a.mul(r, r);
    let p = a.fma(p, square, r);
    let p = a.add(p, one);
    scale(a, p, whole)
}

/// x = 2^e · m with sqrt(1/2) <= m < sqrt(2), for positive finite x: (e as f32, m).
pub(super) fn split<A: Arith>(a: &mut A, x: A::V) -> (A::V, A::V) {
    let (normal, up, zero, down) = (a.float(f32::MIN_POSITIVE), a.float(8_388_608.0), a.float(0.0), a.float(-23.0));
    let small = a.lt(x, normal);
    let scaled = a.mul(x, up);
    let (x, shift) = (a.select(small, scaled, x), a.select(small, down, zero));
    let (bits, root) = (a.bits(x), a.int(std::f32::consts::FRAC_1_SQRT_2.to_bits()));
    let above = a.isub(bits, root);
    let exponent = a.sar(above, 23);
    let moved = a.shl(exponent, 23);
    let mantissa = a.isub(bits, moved);
    let (m, e) = (a.number(mantissa), a.to_float(exponent));
    (a.add(e, shift), m)
}

/// ln x; -inf at zeros, NaN below.
pub(super) fn log<A: Arith>(a: &mut A, x: A::V) -> A::V {
    let (e, m) = split(a, x);
    let (one, half, high, low) = (a.float(1.0), a.float(-0.5), a.float(LN2_HIGH), a.float(LN2_LOW));
    let f = a.sub(m, one);
    let p = polynomial(a, f, &LOG);
    let square = a.mul(f, f);
    let cube = a.mul(square, f);
    let rest = a.mul(cube, p);
    let rest = a.fma(e, low, rest);
    let rest = a.fma(half, square, rest);
    let r = a.add(f, rest);
    let r = a.fma(e, high, r);
    let (zero, infinity, nan) = (a.float(0.0), a.float(f32::INFINITY), a.float(f32::NAN));
    let finite = a.lt(x, infinity);
    let r = a.select(finite, r, x);
    let negative = a.lt(x, zero);
    let r = a.select(negative, nan, r);
    let (nothing, lowest) = (a.eq(x, zero), a.float(f32::NEG_INFINITY));
    a.select(nothing, lowest, r)
}

/// tanh x = 1 - 2 / (e^2x + 1), and a polynomial near zero.
pub(super) fn tanh<A: Arith>(a: &mut A, x: A::V) -> A::V {
    let (sign, t) = (sign_bit(a, x), magnitude(a, x));
    let (one, two, edge) = (a.float(1.0), a.float(2.0), a.float(0.625));
    let square = a.mul(t, t);
    let p = polynomial(a, square, &TANH);
    let cube = a.mul(square, t);
    let near = a.fma(p, cube, t);
    let twice = a.add(t, t);
    let e = exp(a, twice);
    let e = a.add(e, one);
    let part = a.div(two, e);
    let far = a.sub(one, part);
    let small = a.lt(t, edge);
    let r = a.select(small, near, far);
    with_sign(a, r, sign)
}

/// erf x = 1 - exp(-(t + t · ERFC(t))) for t = |x|, and a polynomial near zero.
pub(super) fn erf<A: Arith>(a: &mut A, x: A::V) -> A::V {
    let (sign, t) = (sign_bit(a, x), magnitude(a, x));
    let (one, edge, most) = (a.float(1.0), a.float(0.925), a.float(4.0));
    let square = a.mul(t, t);
    let p = polynomial(a, square, &ERF);
    let near = a.fma(p, t, t);
    let clamped = a.below(most, t);
    let q = polynomial(a, clamped, &ERFC);
    let q = a.fma(q, clamped, clamped);
    let (zero, small) = (a.float(0.0), a.lt(t, edge));
    let q = a.sub(zero, q);
    let e = exp(a, q);
    let far = a.sub(one, e);
    let r = a.select(small, near, far);
    with_sign(a, r, sign)
}
