//! Real functions of numbers in f64, without the system's mathematics library.
//!
//! In: numbers. Out: numbers, the same bits on every machine. Invariant: only + - · / sqrt fma floor and bit patterns are
//! used. Relative error about 1e-15 (tested against the standard library); `pow` loses the digits of |y · log x|.
//! Methods: reduction of the argument to a small interval, then the Taylor series or continued fraction of the function
//! (Abramowitz and Stegun 4.1.27, 4.2.1, 4.3.65, 4.5.70, 7.1.6, 7.1.14), cut where the next term is below half an ulp.

use super::ScalarOp;
use super::scalar::random_word;
use crate::base::DType;

/// ln 2, as a part with 33 bits (so that its small multiples are exact) and the rest.
const LN2_HIGH: f64 = 0.693_147_180_369_123_8;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// The meaning of a scalar function in f64; truth values are 0 and 1. `Random` and `ToI32` give 32-bit integers. see
/// [`apply_typed`] for sums and products of integers.
pub fn apply(op: ScalarOp, x: &[f64]) -> f64 {
    use ScalarOp::*;
    let truth = |b: bool| f64::from(u8::from(b));
    match op {
        Neg => -x[0],
        Abs => x[0].abs(),
        Sign => sign(x[0]),
        Floor => x[0].floor(),
        Sqrt => x[0].sqrt(),
        Exp => exp(x[0]),
        Log => log(x[0]),
        Sin => sin(x[0]),
        Cos => cos(x[0]),
        Tanh => tanh(x[0]),
        Erf => erf(x[0]),
        Add => x[0] + x[1],
        Sub => x[0] - x[1],
        Mul => x[0] * x[1],
        Div => x[0] / x[1],
        Max => greater(x[0], x[1]),
        Min => -greater(-x[0], -x[1]),
        Pow => pow(x[0], x[1]),
        Fma => x[0].mul_add(x[1], x[2]),
        Lt => truth(x[0] < x[1]),
        Le => truth(x[0] <= x[1]),
        Eq => truth(x[0] == x[1]),
        And => truth(x[0] != 0.0 && x[1] != 0.0),
        Or => truth(x[0] != 0.0 || x[1] != 0.0),
        Not => truth(x[0] == 0.0),
        Select => {
            if x[0] != 0.0 {
                x[1]
            } else {
                x[2]
            }
        }
        ToF32 => x[0],
        ToI32 => f64::from(x[0] as i32),
        Random => f64::from(random_word(word(x[0]), word(x[1])) as i32),
        Unit => f64::from(word(x[0]) >> 8) / f64::from(1u32 << 24),
    }
}

/// [`apply`] for operands of these types: sums, differences and products of I32 wrap around.
pub fn apply_typed(op: ScalarOp, x: &[f64], first: DType) -> f64 {
    use ScalarOp::*;
    if first != DType::I32 {
        return apply(op, x);
    }
    let whole = |i: usize| x.get(i).map_or(0, |&x| x as i32);
    match op {
        Neg => f64::from(whole(0).wrapping_neg()),
        Add => f64::from(whole(0).wrapping_add(whole(1))),
        Sub => f64::from(whole(0).wrapping_sub(whole(1))),
        Mul => f64::from(whole(0).wrapping_mul(whole(1))),
        _ => apply(op, x),
    }
}

fn word(x: f64) -> u32 {
    x as i64 as u32
}

/// -1, 0, 1; zeros and NaN stay themselves.
fn sign(x: f64) -> f64 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        x
    }
}

/// NaN if either is; of equal numbers the second.
fn greater(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

/// 2^k for -1022 <= k <= 1023.
fn power_of_two(k: i64) -> f64 {
    f64::from_bits(((k + 1023) as u64) << 52)
}

/// e^x: x = k · ln 2 + r with |r| <= ln 2 / 2, then the Taylor series of e^r to r^13.
pub fn exp(x: f64) -> f64 {
    if x.is_nan() || x > 709.79 {
        return if x.is_nan() { x } else { f64::INFINITY };
    }
    if x < -745.2 {
        return 0.0;
    }
    let k = (x * std::f64::consts::LOG2_E + 0.5).floor();
    let (high, low) = ((-k).mul_add(LN2_HIGH, x), k * LN2_LOW);
    let r = high - low;
    let mut tail = 0.0;
    for n in (2..=14).rev() {
        // r²/2! + r³/3! + … by Horner's rule
        tail = (tail + 1.0) * r / f64::from(n);
    }
    // The error of r itself, (high - r) - low, is put back: it would cost an ulp.
    let value = 1.0 + (r + (r * tail + ((high - r) - low)));
    let k = k as i64;
    let half = k / 2;
    value * power_of_two(half) * power_of_two(k - half)
}

/// The natural logarithm: x = m · 2^k with m near 1, s = (m-1)/(m+1), log m = 2 (s + s³/3 + s⁵/5 + …).
pub fn log(x: f64) -> f64 {
    if x.is_nan() || x < 0.0 {
        return f64::NAN;
    }
    if x == 0.0 {
        return f64::NEG_INFINITY;
    }
    if x == f64::INFINITY {
        return x;
    }
    let (x, shift) = if x < f64::MIN_POSITIVE { (x * power_of_two(54), -54) } else { (x, 0) };
    let bits = x.to_bits();
    let mut k = (bits >> 52) as i64 - 1023 + shift;
    let mut m = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    if m > std::f64::consts::SQRT_2 {
        (m, k) = (m / 2.0, k + 1);
    }
    let f = m - 1.0;
    let s = f / (m + 1.0);
    let square = s * s;
    let mut tail = 0.0;
    for n in (1..=12).rev() {
        tail = square * (tail + 1.0 / f64::from(2 * n + 1));
    }
    // 2 s = f - s · f exactly, so log m = f - s · (f - 2 tail).
    let k = k as f64;
    k * LN2_HIGH + (f - (s * (f - 2.0 * tail) - k * LN2_LOW))
}

/// x - n · π/2 for the nearest n, in three parts of π/2; the error stays below 1e-16 for |x| up to 1e6.
fn quarter_turns(x: f64) -> (i64, f64) {
    const PARTS: [f64; 3] = [std::f64::consts::FRAC_PI_2, 6.123_233_995_736_766e-17, -1.497_384_904_859_169_8e-33];
    let n = (x * std::f64::consts::FRAC_2_PI + 0.5).floor();
    let r = PARTS.iter().fold(x, |r, &part| (-n).mul_add(part, r));
    (n.rem_euclid(4.0) as i64, r)
}

/// The Taylor series x - x³/3! + … (first = 1) or 1 - x²/2! + … (first = 0) on |x| <= π/4.
fn alternating(x: f64, first: u32) -> f64 {
    let square = x * x;
    let mut tail = 0.0;
    for n in (1..=10).rev() {
        let last = 2 * n + first;
        tail = square * (1.0 + tail) / -f64::from(last * (last - 1));
    }
    if first == 1 { tail.mul_add(x, x) } else { 1.0 + tail }
}

/// The sine; NaN for infinite x.
pub fn sin(x: f64) -> f64 {
    if !x.is_finite() {
        return f64::NAN;
    }
    let (quarter, r) = quarter_turns(x);
    let value = alternating(r, if quarter % 2 == 0 { 1 } else { 0 });
    if quarter >= 2 { -value } else { value }
}

/// The cosine; NaN for infinite x.
pub fn cos(x: f64) -> f64 {
    if !x.is_finite() {
        return f64::NAN;
    }
    let (quarter, r) = quarter_turns(x);
    let value = alternating(r, if quarter % 2 == 0 { 0 } else { 1 });
    if quarter == 1 || quarter == 2 { -value } else { value }
}

/// The hyperbolic tangent: near 0 the continued fraction x/(1 + x²/(3 + x²/(5 + …))), else 1 - 2/(e^2x + 1).
pub fn tanh(x: f64) -> f64 {
    if x.abs() < 0.6 {
        let mut below = 25.0;
        for n in (0..12).rev() {
            below = f64::from(2 * n + 1) + x * x / below;
        }
        return x / below;
    }
    let value = 1.0 - 2.0 / (exp(2.0 * x.abs()) + 1.0);
    if x < 0.0 { -value } else { value }
}

/// The error function: below 2.5 the series 2/√π e^(-x²) Σ 2ⁿ x^(2n+1) / (2n+1)!!, whose terms are all positive; above, one
/// minus the continued fraction of its complement.
pub fn erf(x: f64) -> f64 {
    let a = x.abs();
    if x.is_nan() || x == 0.0 {
        return x;
    }
    let value = if a < 2.5 {
        let (mut term, mut sum) = (a, a);
        for n in 1..80 {
            term *= 2.0 * a * a / f64::from(2 * n + 1);
            sum += term;
        }
        std::f64::consts::FRAC_2_SQRT_PI * exp(-a * a) * sum
    } else if a < 6.5 {
        let mut below = a;
        for n in (1..=60).rev() {
            below = a + f64::from(n) / 2.0 / below;
        }
        1.0 - exp(-a * a) * std::f64::consts::FRAC_2_SQRT_PI / 2.0 / below
    } else {
        1.0
    };
    if x < 0.0 { -value } else { value }
}

/// x^y: by repeated multiplication for integers up to 1024, else e^(y · log x). Special values as in IEEE 754 `pow`.
pub fn pow(x: f64, y: f64) -> f64 {
    if y == 0.0 || x == 1.0 {
        return 1.0;
    }
    if x.is_nan() || y.is_nan() {
        return f64::NAN;
    }
    let whole = y.floor() == y;
    if whole && y.abs() <= 1024.0 {
        return integer_power(x, y);
    }
    if x < 0.0 && !whole && x != f64::NEG_INFINITY {
        return f64::NAN;
    }
    if x == -1.0 && y.is_infinite() {
        return 1.0;
    }
    let odd = whole && y.abs() < 9_007_199_254_740_992.0 && (y / 2.0).floor() * 2.0 != y;
    let value = if x == 0.0 { if y > 0.0 { 0.0 } else { f64::INFINITY } } else { exp(y * log(x.abs())) };
    if odd && x.is_sign_negative() { -value } else { value }
}

fn integer_power(x: f64, y: f64) -> f64 {
    let mut n = y.abs() as u64;
    let (mut base, mut product) = (x, 1.0);
    while n > 0 {
        if n % 2 == 1 {
            product *= base;
        }
        base *= base;
        n /= 2;
    }
    if y < 0.0 { 1.0 / product } else { product }
}
