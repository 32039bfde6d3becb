//! sin and cos of every f32, within 2 units in the last place.
//!
//! In: an f32 in radians. Out: an f32; NaN for infinities. Invariant: the argument is reduced exactly enough for its worst
//! case (an f32 comes within 2^-30 of a multiple of π/2).
//! Fits as in the module `exponential`.

use super::{Arith, magnitude, polynomial, round, sign_bit, with_sign};

/// (sin r - r) / r³ in r², for |r| <= π/4; error 2^-32.
const SIN: [f32; 4] = [2.793_910_4e-6, -0.000_198_493_84, 0.008_333_371, -0.166_666_67];
/// (cos r - 1 + r²/2) / r⁴ in r², for |r| <= π/4; error 2^-36.
const COS: [f32; 4] = [-2.849_925_2e-7, 2.481_820_2e-5, -0.001_388_897_1, 0.041_666_668];
/// π/2 in two parts.
const QUARTER: (f32, f32) = (std::f32::consts::FRAC_PI_2, -4.371_139e-8);

/// 2^(16 j) · 2/π modulo 4, in four f32 each (bits): the multiples of 4 are whole turns and would only cost precision.
const TWO_OVER_PI: [[u32; 4]; 7] = [
    [0x3f22_f983, 0x32dc_9c88, 0x25a9_4fe1, 0x18ea_fa3f],
    [0x3fc1_b727, 0x3288_2a54, 0xa476_2a0c, 0x17fa_9a6f],
    [0x4013_9105, 0x3394_fe14, 0xa728_2e0b, 0x1a53_7703],
    [0x3da9_4fe1, 0x30ea_fa3f, 0xa432_c890, 0x175b_6296],
    [0x3ffe_13ac, 0xb238_2b2d, 0x25ee_06db, 0x1825_664f],
    [0x4055_f47d, 0x339a_6ee0, 0x275b_6296, 0x9acd_8779],
    [0x3ffa_9a6f, 0xb27c_9276, 0x25ac_c9e2, 0x1864_1080],
];

/// For t >= 0: y = t / 2^(16 j) and the parts of 2^(16 j) · 2/π. Where j > 0, y is whole (so that whole turns may be
/// left out) and below 2^39.
fn window<A: Arith>(a: &mut A, t: A::V) -> (A::V, [A::V; 4]) {
    let mut scale = a.float(1.0);
    let mut parts = TWO_OVER_PI[0].map(|bits| a.float(f32::from_bits(bits)));
    for (j, row) in TWO_OVER_PI.iter().enumerate().skip(1) {
        let (start, inverse) = (((127 + 23 + 16 * j) as u32) << 23, ((127 - 16 * j) as u32) << 23);
        let (start, inverse) = (a.float(f32::from_bits(start)), a.float(f32::from_bits(inverse)));
        let here = a.le(start, t);
        scale = a.select(here, inverse, scale);
        for (part, &bits) in parts.iter_mut().zip(row) {
            let value = a.float(f32::from_bits(bits));
            *part = a.select(here, value, *part);
        }
    }
    (a.mul(t, scale), parts)
}

/// x minus a multiple of 4, exactly; at most about 2 in size.
fn modulo_turn<A: Arith>(a: &mut A, x: A::V) -> A::V {
    let (quarter, half, minus) = (a.float(0.25), a.float(0.5), a.float(-4.0));
    let turns = a.fma(x, quarter, half);
    let turns = a.floor(turns);
    a.fma(turns, minus, x)
}

/// x · y = high + low exactly.
fn two_product<A: Arith>(a: &mut A, x: A::V, y: A::V) -> (A::V, A::V) {
    let (high, zero) = (a.mul(x, y), a.float(0.0));
    let minus = a.sub(zero, high);
    (high, a.fma(x, y, minus))
}

/// x + y = high + low exactly (Knuth, TAOCP 2, 4.2.2 theorem B).
fn two_sum<A: Arith>(a: &mut A, x: A::V, y: A::V) -> (A::V, A::V) {
    let high = a.add(x, y);
    let second = a.sub(high, x);
    let first = a.sub(high, second);
    let (lost_x, lost_y) = (a.sub(x, first), a.sub(y, second));
    (high, a.add(lost_x, lost_y))
}

/// t >= 0 as (quadrant, r, low): t = quadrant · π/2 + r + low with |r| <= about π/4; the quadrant counts modulo 4.
fn reduce<A: Arith>(a: &mut A, t: A::V) -> (A::V, A::V, A::V) {
    let (y, [c1, c2, c3, c4]) = window(a, t);
    let zero = a.float(0.0);
    let (p1, e1) = two_product(a, y, c1);
    let (p2, e2) = two_product(a, y, c2);
    let (p3, e3) = two_product(a, y, c3);
    let mut low = a.fma(y, c4, e3);
    let (p1, e1, p2) = (modulo_turn(a, p1), modulo_turn(a, e1), modulo_turn(a, p2));
    let (s, lost) = two_sum(a, p1, e1);
    low = a.add(low, lost);
    let (s, lost) = two_sum(a, s, p2);
    low = a.add(low, lost);
    let (n, quadrant) = round(a, s);
    let mut s = a.sub(s, n);
    for part in [p3, e2] {
        let (sum, lost) = two_sum(a, s, part);
        (s, low) = (sum, a.add(low, lost));
    }
    let (s, low) = two_sum(a, s, low);
    let (high_quarter, low_quarter) = (a.float(QUARTER.0), a.float(QUARTER.1));
    let r = a.mul(s, high_quarter);
    let minus = a.sub(zero, r);
    let rest = a.fma(s, high_quarter, minus);
    let rest = a.fma(s, low_quarter, rest);
    let rest = a.fma(low, high_quarter, rest);
    let small = a.float(0.75);
    let near = a.lt(t, small);
    let none = a.int(0);
    (a.select(near, none, quadrant), a.select(near, t, r), a.select(near, zero, rest))
}

/// sin(r + low) and cos(r + low) for |r| <= about π/4.
fn both<A: Arith>(a: &mut A, r: A::V, low: A::V) -> (A::V, A::V) {
    let (zero, one, half) = (a.float(0.0), a.float(1.0), a.float(0.5));
    let z = a.mul(r, r);
    let halved = a.mul(z, half);
    let top = a.sub(one, halved);
    let p = polynomial(a, z, &SIN);
    let cube = a.mul(z, r);
    let rest = a.mul(low, top);
    let rest = a.fma(p, cube, rest);
    let sin = a.add(r, rest);
    let gone = a.sub(one, top);
    let lost = a.sub(gone, halved);
    let q = polynomial(a, z, &COS);
    let fourth = a.mul(z, z);
    let minus = a.sub(zero, r);
    let rest = a.fma(minus, low, lost);
    let rest = a.fma(q, fourth, rest);
    (sin, a.add(top, rest))
}

/// sin of quadrant · π/2 + r + low
fn turned<A: Arith>(a: &mut A, quadrant: A::V, r: A::V, low: A::V) -> A::V {
    let (sin, cos) = both(a, r, low);
    let (one, none) = (a.int(1), a.int(0));
    let bit = a.and(quadrant, one);
    let even = a.ieq(bit, none);
    let value = a.select(even, sin, cos);
    let half = a.shl(quadrant, 30);
    let top = a.int(super::SIGN);
    let sign = a.and(half, top);
    with_sign(a, value, sign)
}

pub(super) fn sin<A: Arith>(a: &mut A, x: A::V) -> A::V {
    let (sign, t) = (sign_bit(a, x), magnitude(a, x));
    let (quadrant, r, low) = reduce(a, t);
    let value = turned(a, quadrant, r, low);
    with_sign(a, value, sign)
}

pub(super) fn cos<A: Arith>(a: &mut A, x: A::V) -> A::V {
    let t = magnitude(a, x);
    let (quadrant, r, low) = reduce(a, t);
    let one = a.int(1);
    let quadrant = a.iadd(quadrant, one);
    turned(a, quadrant, r, low)
}
