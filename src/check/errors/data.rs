//! Messages about `data` items.
//!
//! In: the place and the facts. Out: a diagnostic. Invariant: what is said of a file's contents is said by the runtime, which
//! opens it.

use super::{Boxed, error, suggest};
use crate::base::{Edit, Fix, Span};
use crate::check::spec::PARTS;
use crate::check::value::Kind;
use crate::syntax::ast::{Arg, Expr, ExprKind};

/// A field of `given` data with a source or a transform.
pub fn given_source(span: Span, data: &str, field: &str) -> Boxed {
    let text = format!("`{field}` of `given` data is the tensor `{data}.{field}` of the file that `--start` names");
    let d = error("E0112", span, text, "has no other source, and no transforms".into());
    let how = "write its type alone; rows of different lengths (`pad`) come from a file: `csv`, `lines`, `ts`";
    Box::new((*d).note(how))
}

/// `stratify` names a field of classes; where there is one only, it is meant.
pub fn no_such_classes(span: Span, name: &str, classes: &[&str]) -> Boxed {
    let text = format!("`stratify` takes a field of classes, and `{name}` is none");
    let d = error("E0106", span, text, "no field of classes".into());
    match classes {
        [one] => Box::new((*d).fix(format!("`{one}` is the field of classes"), span, *one)),
        [] => Box::new((*d).note("no field is a `class(K)`: leave `stratify` out")),
        many => suggest(d, name, span, many),
    }
}

/// `80%` for 0.8 and for 80.
fn share(value: f64) -> String {
    let percent = if value <= 1.0 { (value * 1e8).round() / 1e6 } else { value };
    format!("{percent}%")
}

fn bare(e: &Expr) -> Option<f64> {
    match &e.kind {
        ExprKind::Number { value, unit: None, .. } => Some(*value),
        _ => None,
    }
}

/// Shares without `%`: all of a split at once, since one alone would leave the others wrong.
pub fn missing_share(span: Span, all: &[Arg]) -> Boxed {
    let d = error("E0108", span, "a share needs `%`".into(), "a number of what?".into());
    let edits: Vec<Edit> =
        all.iter().filter_map(|a| Some(Edit { span: a.value.span, text: share(bare(&a.value)?) })).collect();
    let shown: Vec<&str> = edits.iter().map(|e| e.text.as_str()).collect();
    let message = format!("write `{}`", shown.join("`, `"));
    let mut d = *d;
    d.fixes.push(Fix { message, edits });
    Box::new(d)
}

/// `split(80%, 20%)`
pub fn nameless_share(span: Span, all: &[Arg]) -> Boxed {
    let d = error("E0102", span, "a share of which part?".into(), "no name".into());
    let mut d = (*d).note("write `split(train = 80%, test = 20%)`; the parts are `train`, `valid` and `test`");
    let names = if all.len() == 3 { PARTS.to_vec() } else { vec!["train", "test"] };
    if all.len() <= names.len() && all.iter().all(|a| a.name.is_none()) {
        let named = |(a, name): (&Arg, &str)| {
            let text = match bare(&a.value) {
                Some(value) => share(value),
                None => {
                    return Edit { span: Span { end: a.value.span.start, ..a.value.span }, text: format!("{name} = ") };
                }
            };
            Edit { span: a.value.span, text: format!("{name} = {text}") }
        };
        let edits = all.iter().zip(names).map(named).collect();
        d.fixes.push(Fix { message: "name the parts".to_string(), edits });
    }
    Box::new(d)
}

/// `train = 80%` beside the fields.
pub fn loose_share(all: Span, part: &str, value: &Expr) -> Boxed {
    let d = error("E0111", all, format!("`{part}` is a part of the data, and stands in `split(…)`"), "not here".into());
    let d = (*d).note("write `split(train = 80%, valid = 10%, test = 10%)`");
    let shown = match &value.kind {
        ExprKind::Number { value, .. } => share(*value),
        _ => return Box::new(d),
    };
    let text = format!("split({part} = {shown})");
    Box::new(d.fix(format!("write `{text}`"), all, text))
}

/// `y: prob[3] = …`: what comes out of a file is no output of a model.
pub fn no_field_kind(word: Span, kind: &Kind, shaped: bool) -> Boxed {
    let text = format!("a field of data holds numbers, `class(K)` or `token(V)`, not {kind}");
    let d = error("E0112", word, text, "of what a model gives".into());
    Box::new(if shaped { (*d).fix("leave the kind out", word, "") } else { *d })
}

/// `expect test.accuracy >= 90`
pub fn beyond_a_share(span: Span, metric: &str, value: f64) -> Boxed {
    let text = format!("`{metric}` is a share, from 0 to 1, and {value} is beyond it");
    let d = error("E0109", span, text, "from 0 to 1".into());
    Box::new(if (1.0..=100.0).contains(&value) { (*d).note(format!("write `{value}%`")) } else { *d })
}

/// A metric of a part that the split does not make.
pub fn no_part(span: Span, part: &str, metric: &str) -> Boxed {
    let text = format!("`{part}.{metric}` is asked for, but the data has no `{part}` part");
    error("E0416", span, text, format!("add `{part} = 20%` to the `split` of the data"))
}
