//! x^y for real y, within 2 units in the last place.
//!
//! In: two f32. Out: an f32, with the special cases of IEEE 754-2019 `pow`. Invariant: log2 |x| is carried in two f32 (about
//! 36 bits), since its error is multiplied by up to 128 in the exponent.
//! Fits as in the module `exponential`.

use super::exponential::{scale, split};
use super::{Arith, magnitude, polynomial, round, sign_bit, with_sign};

/// 1 / ln 2 in two parts.
const LOG2_E: (f32, f32) = (std::f32::consts::LOG2_E, 1.925_963e-8);
/// 1 / 3 in two parts.
const THIRD: (f32, f32) = (0.333_333_34, -9.934_108e-9);
/// (atanh(s) / s - 1 - z / 3) / z² in z = s², for s <= 0.1717; error 2^-36 of atanh.
const ATANH: [f32; 3] = [0.117_152_825, 0.142_732_86, 0.200_000_8];
/// (2^r - 1) / r for |r| <= 0.51; error 2^-28 of 2^r.
const EXP2: [f32; 6] =
    [0.000_154_583_2, 0.001_339_377, 0.009_618_074, 0.055_503_543, 0.240_226_5, std::f32::consts::LN_2];

/// A number as an unevaluated sum: high + low.
type Pair<V> = (V, V);

/// x · y: the rounded product and what the rounding lost, plus the cross terms.
fn product<A: Arith>(a: &mut A, x: Pair<A::V>, y: Pair<A::V>) -> Pair<A::V> {
    let high = a.mul(x.0, y.0);
    let zero = a.float(0.0);
    let minus = a.sub(zero, high);
    let low = a.fma(x.0, y.0, minus);
    let low = a.fma(x.0, y.1, low);
    (high, a.fma(x.1, y.0, low))
}

/// x + y + low for |x| >= |y| or x = 0.
fn sum<A: Arith>(a: &mut A, x: A::V, y: A::V, low: A::V) -> Pair<A::V> {
    let high = a.add(x, y);
    let gone = a.sub(x, high);
    let lost = a.add(gone, y);
    (high, a.add(lost, low))
}

/// log2 m + e, by s = (m - 1) / (m + 1) and ln m = 2 atanh s.
fn log2<A: Arith>(a: &mut A, e: A::V, m: A::V) -> Pair<A::V> {
    let (zero, one, two) = (a.float(0.0), a.float(1.0), a.float(2.0));
    let (f, d) = (a.sub(m, one), a.add(m, one));
    let gone = a.sub(d, one);
    let d_low = a.sub(m, gone);
    let s = a.div(f, d);
    let minus = a.sub(zero, s);
    let rest = a.fma(minus, d, f);
    let rest = a.fma(minus, d_low, rest);
    let s = (s, a.div(rest, d));
    let z = product(a, s, s);
    let p = polynomial(a, z.0, &ATANH);
    let (third, third_low) = (a.float(THIRD.0), a.float(THIRD.1));
    let p = a.fma(z.0, p, third_low);
    let w = sum(a, third, p, zero);
    let t = product(a, z, w);
    let g = sum(a, one, t.0, t.1);
    let twice = (a.mul(s.0, two), a.mul(s.1, two));
    let natural = product(a, twice, g);
    let factor = (a.float(LOG2_E.0), a.float(LOG2_E.1));
    let l = product(a, natural, factor);
    let l = sum(a, e, l.0, l.1);
    sum(a, l.0, l.1, zero)
}

/// 2^(p + low); the low part counts only where the high part is in range.
fn exp2<A: Arith>(a: &mut A, p: A::V, low: A::V) -> A::V {
    let (zero, one, most, least, edge) = (a.float(0.0), a.float(1.0), a.float(129.0), a.float(-151.0), a.float(200.0));
    let size = magnitude(a, p);
    let inside = a.lt(size, edge);
    let low = a.select(inside, low, zero);
    let p = a.below(most, p);
    let p = a.above(least, p);
    let (n, whole) = round(a, p);
    let r = a.sub(p, n);
    let r = a.add(r, low);
    let q = polynomial(a, r, &EXP2);
    let q = a.fma(q, r, one);
    scale(a, q, whole)
}

/// |x|^y with 0^y, inf^y and 1^y as they must be; NaN where y is NaN and |x| is not 1.
fn power_of_magnitude<A: Arith>(a: &mut A, t: A::V, y: A::V) -> A::V {
    let (zero, one, infinity, lowest) =
        (a.float(0.0), a.float(1.0), a.float(f32::INFINITY), a.float(f32::NEG_INFINITY));
    let (e, m) = split(a, t);
    let l = log2(a, e, m);
    let (finite, nothing) = (a.lt(t, infinity), a.eq(t, zero));
    let high = a.select(finite, l.0, t);
    let high = a.select(nothing, lowest, high);
    let p = product(a, (y, zero), (high, l.1));
    let r = exp2(a, p.0, p.1);
    let unit = a.eq(t, one);
    a.select(unit, one, r)
}

pub(super) fn pow<A: Arith>(a: &mut A, x: A::V, y: A::V) -> A::V {
    let (zero, one, half, nan, lowest) =
        (a.float(0.0), a.float(1.0), a.float(0.5), a.float(f32::NAN), a.float(f32::NEG_INFINITY));
    let t = magnitude(a, x);
    let r = power_of_magnitude(a, t, y);
    let (floor, halved) = (a.floor(y), a.mul(y, half));
    let (whole, down) = (a.eq(floor, y), a.floor(halved));
    let even = a.eq(down, halved);
    let odd = a.not(even);
    let odd = a.both(whole, odd);
    let (sign, plain) = (sign_bit(a, x), a.int(0));
    let sign = a.select(odd, sign, plain);
    let r = with_sign(a, r, sign);
    let (negative, bounded) = (a.lt(x, zero), a.lt(lowest, x));
    let (negative, fraction) = (a.both(negative, bounded), a.not(whole));
    let undefined = a.both(negative, fraction);
    let (x_nan, y_nan) = (a.is_nan(x), a.is_nan(y));
    let strange = a.either(x_nan, y_nan);
    let undefined = a.either(undefined, strange);
    let r = a.select(undefined, nan, r);
    let (x_one, y_zero) = (a.eq(x, one), a.eq(y, zero));
    let always = a.either(x_one, y_zero);
    a.select(always, one, r)
}
