//! Numbers that are not finite end a run.
//!
//! In: a loss, the figures of the end, a weight. Out: E0701. Invariant: what a run that ends well reports and saves is finite.

use super::train::Sum;
use crate::base::{Diagnostic, Span};

const SMALLER: &str = "a smaller learning rate (`lr`), a `clip`, or `standardize` on the inputs usually helps";

/// The loss of a step.
pub fn loss(span: Span, loss: f64, epoch: u64, step: u64) -> Box<Diagnostic> {
    let text = format!("the loss is {loss} in epoch {epoch}, step {step}");
    let note = match step {
        1 => "already the first loss is not finite: a log or a division by zero in model or loss, or wild data",
        _ => SMALLER,
    };
    Box::new(Diagnostic::error("E0701", span, text, "training ends here").note(note))
}

/// Whether the figure of these terms is finite, or is none: a mean over rows none of which counts is 0 / 0, and nothing is
/// wrong with it.
pub fn holds(terms: &[Sum]) -> bool {
    terms.iter().all(|term| term.sum.is_finite() && term.weight.is_finite())
}

/// A figure of the end.
pub fn figure(span: Span, name: &str, value: f64, step: u64) -> Box<Diagnostic> {
    let text = format!("`{name}` is {value} with the weights after step {step}");
    Box::new(Diagnostic::error("E0701", span, text, "this run has no result").note(SMALLER))
}

/// A weight of the end, where all figures are finite.
pub fn weight(span: Span, name: &str, value: f32, step: u64) -> Box<Diagnostic> {
    let text = format!("`{name}` holds {value} after step {step}, though the figures are finite");
    let note = "the gradient is not finite: a `sqrt`, a `log` or a division by 0 spoils it even in the branch that a `select` \
                does not take; write `sqrt(max(x, 1e-6))`";
    Box::new(Diagnostic::error("E0701", span, text, "this run has no result").note(note))
}
