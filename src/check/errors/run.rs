//! Messages about `train` items: their entries, losses, metrics, schedules and optimizers.
//!
//! In: the place and the facts. Out: a diagnostic. Invariant: as of `errors`.

use super::super::library::helps;
use super::{Boxed, duplicate, error, wrong_type_words};
use crate::base::{Diagnostic, Edit, Fix, Span};
use crate::syntax::ast::{Arg, BinaryOp, Call, Expr, ExprKind, Ident};

/// Two `train` items of one model: `--train` could not tell them apart, nor could what they print.
pub fn trained_twice(first: Span, model: &Ident, data: Span) -> Boxed {
    let d = duplicate(first, model.span, "the `train` item", &model.text);
    let text = format!(" as {}2", model.text);
    Box::new((*d).fix(format!("give it a name of its own: `{}`", text.trim()), data.after(), text))
}

/// A piece of a schedule whose end nothing tells.
pub fn piece_without_length(span: Span, name: &str, last: bool) -> Boxed {
    let why = if last { "the run's end is not counted in steps or epochs" } else { "another one follows" };
    let text = format!("this piece of the schedule has no length, and {why}");
    let d = error("E0104", span, text, "how long?".into());
    Box::new((*d).note(format!("a piece runs for a number of steps or epochs: `{name}(0 .. 0.1, 200 steps)`")))
}

/// `ramp(0 .. 0.1, 100)`: the last number was meant as the length of the piece.
pub fn length_of_what(d: Boxed, call: &Call) -> Boxed {
    match call.args.as_deref() {
        Some([.., Arg { name: None, value: Expr { kind: ExprKind::Number { value, unit: None, .. }, span } }])
            if d.code == "E0102" && d.span() == Some(*span) =>
        {
            let text = format!("{value} steps");
            let d = (*d).note("a length has a unit");
            Box::new(d.fix(format!("write `{text}`"), *span, text))
        }
        _ => d,
    }
}

/// `metrics = accuracy and mae`
pub fn metrics_in_a_row(first: Span, rest: &[(BinaryOp, Span, Expr)]) -> Boxed {
    let all = rest.last().map_or(first, |(.., e)| first.to(e.span));
    let d = *wrong_type_words(all, "metrics in a row", "an operator between them");
    let mut before = first.end;
    let mut edits = Vec::new();
    for (_, sign, e) in rest {
        edits.push(Edit { span: Span { start: before, end: e.span.start, ..*sign }, text: ", ".to_string() });
        before = e.span.end;
    }
    Box::new(Diagnostic { fixes: vec![Fix { message: "part them by commas".to_string(), edits }], ..d })
}

/// A definition that a bare loss or metric cannot feed.
pub fn not_two_inputs(span: Span, owner: &str, names: &[&str]) -> Boxed {
    let n = names.len();
    let text = format!("`{owner}` has {n} input{}, a loss or metric gets two", if n == 1 { "" } else { "s" });
    let d = error("E0104", span, text, "which tensors?".into());
    Box::new((*d).note(format!("name what it takes: `{owner}({})`", names.join(", "))))
}

/// `clip = 1.0`: how much, but not how.
pub fn clips_how(d: Boxed, clip: &Expr) -> Boxed {
    match (&clip.kind, helps("E0105 clip").next()) {
        (ExprKind::Number { value, .. }, Some(name)) => {
            let text = format!("{name}({value})");
            let d = (*d).note(format!("say what is bounded: `clip = {text}`"));
            Box::new(d.fix(format!("write `{text}`"), clip.span, text))
        }
        _ => d,
    }
}

pub fn ambiguous(span: Span, owner: &str, what: &str, names: &[&str]) -> Boxed {
    if names.is_empty() {
        let d = error(
            "E0104",
            span,
            format!("`{owner}` has no {what}: the model reads every field"),
            format!("no {what} is left"),
        );
        return Box::new((*d).note(format!("name both: `{owner}(output, x)`")));
    }
    let d = error("E0104", span, format!("`{owner}` could take any of {}", names.join(", ")), format!("which {what}?"));
    Box::new((*d).note(format!("name both: `{owner}(output, {})`", names[0])))
}

pub fn which_metric(span: Span, name: &str, alike: &[&str]) -> Boxed {
    let list = alike.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(" or ");
    let d = error("E0104", span, format!("`{name}` could be {list}"), "which of them?".into());
    Box::new((*d).note(format!("give one of them a name: `fn mine  y, t {{ {}(…) }}`", name)))
}

/// An optimizer whose body gives its weight no new value.
pub fn weight_never_assigned(span: Span, owner: &str, name: &str) -> Boxed {
    let text = format!("`{owner}` never assigns `{name}`: it would train nothing");
    let d = error("E0104", span, text, format!("`{name}` keeps its value"));
    Box::new((*d).note(format!("the next value of the weight is what its body assigns: `{name} = {name} - …`")))
}

/// An update that leaves every weight as it is, such as one with a learning rate of 0.
pub fn moves_nothing(span: Span, owner: &str) -> Diagnostic {
    let text = format!("`{owner}` changes no weight: every step subtracts 0");
    Diagnostic::warning("W0203", span, text, "trains nothing")
        .note("give it a learning rate above 0, or a schedule of it")
}
