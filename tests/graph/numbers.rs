//! The project's own real functions against the standard library.

use super::unit;
use nnc::ops::number::{cos, erf, exp, log, pow, sin, tanh};

type Function = fn(f64) -> f64;

fn near(ours: f64, theirs: f64, tolerance: f64) -> bool {
    ours == theirs || (ours.is_nan() && theirs.is_nan()) || (ours - theirs).abs() <= tolerance * theirs.abs()
}

#[test]
fn functions_agree_with_the_standard_library() {
    let all: [(&str, Function, Function, f64, f64); 7] = [
        ("exp", exp, f64::exp, -708.0, 709.0),
        ("exp", exp, f64::exp, -1.0, 1.0),
        ("log", log, f64::ln, 1e-9, 3.0),
        ("log", log, f64::ln, 0.0, 1e12),
        ("tanh", tanh, f64::tanh, -1.2, 1.2),
        ("tanh", tanh, f64::tanh, -20.0, 20.0),
        ("tanh", tanh, f64::tanh, -1e-7, 1e-7),
    ];
    for (name, ours, theirs, low, high) in all {
        for i in 0..20_000 {
            let x = low + (high - low) * unit(1, i);
            assert!(near(ours(x), theirs(x), 1e-15), "{name}({x:e}): {:e} for {:e}", ours(x), theirs(x));
        }
    }
    for i in 0..20_000 {
        let x = (unit(2, i) - 0.5) * 2e5;
        assert!((sin(x) - x.sin()).abs() <= 4e-16 && (cos(x) - x.cos()).abs() <= 4e-16, "{x:e}");
    }
}

#[test]
fn extremes_are_those_of_ieee() {
    for x in [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 5e-324, -5e-324, 1e308, -1e308, 709.78, -745.1] {
        assert!(near(exp(x), x.exp(), 1e-15), "exp({x})");
        assert!(near(log(x), x.ln(), 1e-15), "log({x})");
        assert!(near(tanh(x), x.tanh(), 1e-15), "tanh({x})");
        for y in [0.0, 1.0, -1.0, 2.0, 3.0, 0.5, -2.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 2000.0, 2001.0] {
            assert!(near(pow(x, y), x.powf(y), 1e-12), "pow({x}, {y}): {} for {}", pow(x, y), x.powf(y));
        }
    }
    assert_eq!(tanh(-0.0).to_bits(), (-0.0f64).to_bits());
}

#[test]
fn powers_agree_with_the_standard_library() {
    for i in 0..5_000 {
        let (x, y) = (0.01 + 3.0 * unit(3, i), 20.0 * unit(4, i) - 10.0);
        assert!(near(pow(x, y), x.powf(y), 1e-14), "{x} ^ {y}");
        let n = y.floor();
        assert!(near(pow(-x, n), (-x).powf(n), 1e-14), "-{x} ^ {n}");
    }
}

/// Values of Abramowitz and Stegun, table 7.1, and of the complement from its integral to 16 digits.
#[test]
fn the_error_function_has_its_known_values() {
    let known = [
        (0.1, 0.112_462_916_018_284_9),
        (0.5, 0.520_499_877_813_046_5),
        (1.0, 0.842_700_792_949_714_9),
        (2.0, 0.995_322_265_018_952_7),
        (2.5, 0.999_593_047_982_555),
        (3.0, 0.999_977_909_503_001_4),
        (4.0, 0.999_999_984_582_742_1),
    ];
    for (x, value) in known {
        assert!(near(erf(x), value, 1e-15), "erf({x}) = {}", erf(x));
        assert_eq!(erf(-x), -erf(x));
    }
    assert_eq!((erf(f64::INFINITY), erf(0.0)), (1.0, 0.0));
    assert!(erf(f64::NAN).is_nan());
}
