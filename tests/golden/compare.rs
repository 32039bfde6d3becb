//! The bar: how far a result may be from the reference.
//!
//! In: a tensor and its reference. Out: the differences beyond the bar. Invariant: a number that is not finite never passes.

use super::file::Case;
use ndarray::ArrayD;

/// The least relative bar for f32 results, and the factor on PyTorch's own f32 error.
const RELATIVE: f64 = 1e-5;
const FACTOR: f64 = 20.0;
/// References below this are zero in exact arithmetic; the bar for them is absolute.
const ZERO: f64 = 1e-10;
const ABSOLUTE: f64 = 1e-5;

#[derive(Default)]
pub struct Differences {
    pub failed: Vec<String>,
}

impl Differences {
    /// Compares with the tensor `name` of the case.
    pub fn tensor(&mut self, case: &Case, name: &str, ours: &ArrayD<f64>, reference: &ArrayD<f64>, by: &str) {
        let error = case.f32_error.get(name).copied().unwrap_or(0.0);
        self.within(name, ours, reference, RELATIVE.max(FACTOR * error), by);
    }

    /// Compares with a relative bar.
    pub fn within(&mut self, name: &str, ours: &ArrayD<f64>, reference: &ArrayD<f64>, relative: f64, by: &str) {
        if ours.shape() != reference.shape() {
            let text = format!("{name} ({by}): the shape is {:?}, not {:?}", ours.shape(), reference.shape());
            return self.failed.push(text);
        }
        let largest = reference.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        let bar = if largest <= ZERO { ABSOLUTE } else { relative * largest };
        let mut worst = (0.0f64, 0.0, 0.0);
        for (a, b) in ours.iter().zip(reference) {
            let difference = if a.is_finite() { (a - b).abs() } else { f64::INFINITY };
            if difference > worst.0 {
                worst = (difference, *a, *b);
            }
        }
        if worst.0 > bar {
            let (difference, a, b) = worst;
            let text =
                format!("{name} ({by}): the largest difference is {difference:e} ({a} and {b}), the bar is {bar:e}");
            self.failed.push(text);
        }
    }
}
