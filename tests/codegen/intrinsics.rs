//! The functions of scalars against f64: a sample of all f32, or every one with `NNC_LONG=1`.

use nnc::base::DType;
use nnc::loops::intrinsics::eval;
use nnc::ops::ScalarOp;

fn unary(op: ScalarOp, x: f32) -> f32 {
    f32::from_bits(eval(op, DType::F32, &[x.to_bits()]))
}

fn binary(op: ScalarOp, x: f32, y: f32) -> f32 {
    f32::from_bits(eval(op, DType::F32, &[x.to_bits(), y.to_bits()]))
}

/// The distance of `got` from `want` in units of the last place of `want` as an f32.
fn ulps(got: f32, want: f64) -> f64 {
    let nearest = want as f32;
    if nearest.is_nan() || got.is_nan() {
        return if nearest.is_nan() && got.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if got.is_infinite() || nearest.is_infinite() {
        // the largest finite number and infinity are one unit apart
        let order = |x: f32| f64::from(x.abs().to_bits()) * f64::from(x.signum());
        return (order(got) - order(nearest)).abs();
    }
    let exponent = (nearest.to_bits() >> 23 & 255).max(1) as i32;
    (f64::from(got) - want).abs() / 2f64.powi(exponent - 150)
}

/// erf x = 2/√π · e^(-x²) · Σ 2^n x^(2n+1) / (2n+1)!! (Abramowitz and Stegun 7.1.6; no term is negative)
fn erf(x: f64) -> f64 {
    if x.is_nan() || x.abs() > 6.0 {
        return if x.is_nan() { x } else { x.signum() };
    }
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > sum.abs() * 1e-18 {
        n += 1.0;
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
    }
    sum * 2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp()
}

fn worst(op: ScalarOp, exact: fn(f64) -> f64) -> (f64, f32) {
    let step = if std::env::var_os("NNC_LONG").is_some() { 1 } else { 4099 };
    let mut worst = (0.0, 0.0);
    for bits in (0..=u32::MAX).step_by(step) {
        let x = f32::from_bits(bits);
        let off = ulps(unary(op, x), exact(f64::from(x)));
        if off > worst.0 {
            worst = (off, x);
        }
    }
    worst
}

#[test]
fn every_function_is_within_two_units_in_the_last_place() {
    use ScalarOp::*;
    type Row = (ScalarOp, fn(f64) -> f64);
    let rows: [Row; 10] = [
        (Exp, f64::exp),
        (Log, f64::ln),
        (Sin, f64::sin),
        (Cos, f64::cos),
        (Tanh, f64::tanh),
        (Erf, erf),
        (Sqrt, f64::sqrt),
        (Floor, f64::floor),
        (Abs, f64::abs),
        (Neg, |x| -x),
    ];
    let off: Vec<_> = rows.iter().map(|&(op, exact)| (op, worst(op, exact))).collect();
    assert!(off.iter().all(|(_, (ulps, _))| *ulps <= 2.0), "{off:?}");
}

#[test]
fn a_power_is_within_two_units_in_the_last_place() {
    let (mut worst, mut seed) = ((0.0, 0.0, 0.0), 1u64);
    let mut word = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 32) as u32
    };
    let count = if std::env::var_os("NNC_LONG").is_some() { 100_000_000 } else { 1_000_000 };
    for i in 0..count {
        let x = f32::from_bits(word());
        // Three in four exponents are chosen such that the result is mostly in range.
        let unit = f64::from(word()) / 4_294_967_296.0 * 2.0 - 1.0;
        let y = if i % 4 == 0 { f32::from_bits(word()) } else { (unit * 105.0 / f64::from(x).abs().ln().abs()) as f32 };
        let x = if i % 3 == 0 { x } else { x.abs() };
        let off = ulps(binary(ScalarOp::Pow, x, y), f64::from(x).powf(f64::from(y)));
        if off > worst.0 {
            worst = (off, x, y);
        }
    }
    assert!(worst.0 <= 2.0, "{worst:?}");
}

#[test]
fn a_power_has_the_special_cases_of_the_standard() {
    let values = [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, -3.0, 1e30, -1e30, 1e-40, 16777215.0, 16777217.0];
    let mut values = values.to_vec();
    values.extend([f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX, f32::MIN_POSITIVE]);
    for &x in &values {
        for &y in &values {
            let (got, want) = (binary(ScalarOp::Pow, x, y), f64::from(x).powf(f64::from(y)) as f32);
            let same =
                got.is_nan() && want.is_nan() || got == want && got.is_sign_negative() == want.is_sign_negative();
            assert!(same || ulps(got, f64::from(x).powf(f64::from(y))) <= 1.0, "{x}^{y} = {got}, not {want}");
        }
    }
}

#[test]
fn zeros_keep_their_sign_and_infinities_their_limits() {
    use ScalarOp::*;
    for op in [Sin, Tanh, Erf, Sqrt, Floor, Sign] {
        assert_eq!(unary(op, -0.0).to_bits(), (-0.0f32).to_bits(), "{op:?}");
        assert_eq!(unary(op, 0.0).to_bits(), 0, "{op:?}");
    }
    let infinity = f32::INFINITY;
    assert_eq!([unary(Exp, infinity), unary(Exp, -infinity)], [infinity, 0.0]);
    assert_eq!([unary(Log, infinity), unary(Log, 0.0), unary(Log, -0.0)], [infinity, -infinity, -infinity]);
    assert_eq!([unary(Tanh, infinity), unary(Tanh, -infinity)], [1.0, -1.0]);
    assert_eq!([unary(Erf, infinity), unary(Erf, -infinity)], [1.0, -1.0]);
    assert!([unary(Sin, infinity), unary(Cos, -infinity), unary(Log, -infinity)].iter().all(|x| x.is_nan()));
    for op in [Exp, Log, Sin, Cos, Tanh, Erf, Sign, Sqrt, Floor, Neg, Abs] {
        assert!(unary(op, f32::NAN).is_nan(), "{op:?}");
    }
}

#[test]
fn max_and_min_keep_nan_from_either_side() {
    for op in [ScalarOp::Max, ScalarOp::Min] {
        assert!(binary(op, f32::NAN, 1.0).is_nan() && binary(op, 1.0, f32::NAN).is_nan());
    }
    assert_eq!([binary(ScalarOp::Max, 1.0, 2.0), binary(ScalarOp::Min, 1.0, 2.0)], [2.0, 1.0]);
}

#[test]
fn a_random_word_is_the_one_that_the_operators_define() {
    for (counter, key) in [(0, 0), (1, 2), (u32::MAX, 7), (123_456_789, 987_654_321)] {
        assert_eq!(eval(ScalarOp::Random, DType::I32, &[counter, key]), nnc::ops::scalar::random_word(counter, key));
    }
    assert_eq!(eval(ScalarOp::Unit, DType::I32, &[u32::MAX]), (1.0 - 2f32.powi(-24)).to_bits());
}

#[test]
fn integers_wrap_and_conversions_saturate() {
    let int = |op, x: i32, y: i32| eval(op, DType::I32, &[x as u32, y as u32]) as i32;
    assert_eq!(int(ScalarOp::Add, i32::MAX, 1), i32::MIN);
    assert_eq!([int(ScalarOp::Max, -1, 1), int(ScalarOp::Min, -1, 1), int(ScalarOp::Le, -1, 1)], [1, -1, 1]);
    let to_int = |x: f32| eval(ScalarOp::ToI32, DType::F32, &[x.to_bits()]) as i32;
    assert_eq!([to_int(1e20), to_int(-1e20), to_int(f32::NAN), to_int(-2.9)], [i32::MAX, i32::MIN, 0, -2]);
    assert_eq!(eval(ScalarOp::ToF32, DType::Bool, &[1]), 1f32.to_bits());
    assert_eq!(eval(ScalarOp::ToI32, DType::Bool, &[1]), 1);
}
