//! Messages about names given twice, and weights of layers that are one by mistake.
//!
//! In: both places. Out: a diagnostic that shows both. Invariant: as of `errors`.

use super::{Boxed, error};
use crate::base::Span;

pub fn duplicate(first: Span, second: Span, what: &str, name: &str) -> Boxed {
    let d = error("E0103", second, format!("{what} `{name}` is given twice"), "here again".into());
    Box::new((*d).label(first, "first given here"))
}

/// What is named a second time gets a name of its own: nothing that was written is lost.
pub fn duplicate_name(first: Span, second: Span, what: &str, name: &str) -> Boxed {
    let other = format!("{name}2");
    Box::new((*duplicate(first, second, what, name)).fix(format!("give it another name: `{other}`"), second, other))
}

/// A second layer under the name that another one keeps.
pub fn weight_of_two(first: Span, second: Span, weight: &str) -> Boxed {
    let text = format!("two layers have one weight, `{weight}`, because they have one name");
    let d = *error("E0103", second, text, "this layer".into());
    let d = if first == second { d } else { d.label(first, "and this one") };
    Box::new(d.note("a name bound with `=` keeps one layer: give each layer a name of its own"))
}

/// A layer where there is no model.
pub fn weight_outside(span: Span, place: &str, weight: &str) -> Boxed {
    let text = format!("{place} has no weights of its own, but this layer has one, `{weight}`");
    let d = error("E0111", span, text, "a layer with weights".into());
    Box::new(
        (*d).note("layers with weights stand in a model; what a loss needs of them is one more output of the model"),
    )
}

/// `written` is the whole of what is given a second time.
pub fn duplicate_setting(first: Span, second: Span, written: Span, what: &str, name: &str) -> Boxed {
    Box::new((*duplicate(first, second, what, name)).fix(format!("remove the second `{name}`"), written, ""))
}
