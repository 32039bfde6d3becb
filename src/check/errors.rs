//! The messages of the checker: one function per mistake, with both facts and what to type.
//!
//! In: the place and the facts. Out: a diagnostic. Invariant: a code is made in one function only, or in functions that
//! tell variants of the same mistake.

use super::expr::WORDS;
use super::library::{also_setting, helps};
use super::value::{Val, ValKind};
use crate::base::names::nearest;
use crate::base::{Diagnostic, Edit, Fix, Span};
use crate::syntax::ast::{BinaryOp, Def, Expr, ExprKind};

mod data;
mod run;
mod shapes;
mod twice;
pub use data::*;
pub use run::*;
pub use shapes::*;
pub use twice::*;

pub type Boxed = Box<Diagnostic>;

fn error(code: &'static str, span: Span, message: String, label: String) -> Boxed {
    Box::new(Diagnostic::error(code, span, message, label))
}

fn suggest(d: Boxed, name: &str, span: Span, candidates: &[&str]) -> Boxed {
    match nearest(name, candidates.iter().copied()) {
        Some(near) => Box::new((*d).fix(format!("did you mean `{near}`?"), span, near)),
        None => d,
    }
}

/// With what the library says against this case of an error.
fn helped(d: Diagnostic, case: &str) -> Boxed {
    Box::new(helps(case).fold(d, |d, text| d.note(text)))
}

pub fn no_model(span: Span) -> Boxed {
    let d = error("E0004", span, "no model defined".into(), "this file ends without a `model`".into());
    Box::new((*d).note("write `model NAME  x: [4] -> logits[3] { x -> … }`; `nnc lib` lists the layers"))
}

pub fn unknown_layer(span: Span, name: &str, candidates: &[&str]) -> Boxed {
    let d = error(
        "E0101",
        span,
        format!("there is no layer or function `{name}`"),
        "not defined here or in the library".into(),
    );
    let d = suggest(d, name, span, candidates);
    if d.fixes.is_empty() { Box::new((*d).note("`nnc lib` lists what there is")) } else { d }
}

pub fn unknown_setting(span: Span, name: &str, owner: &str, candidates: &[&str]) -> Boxed {
    let d = error("E0102", span, format!("`{owner}` has no setting `{name}`"), "not a setting".into());
    let list = candidates.iter().map(|c| format!("`{c}`")).collect::<Vec<_>>().join(", ");
    let note =
        if candidates.is_empty() { format!("`{owner}` takes no settings") } else { format!("`{owner}` takes {list}") };
    let d = helped((*d).note(note), &format!("E0102 {name}"));
    let d = *d;
    match also_setting(name, candidates) {
        Some("_") => Box::new(d),
        Some(setting) => Box::new(d.fix(format!("here it is `{setting}`"), span, setting)),
        None => suggest(Box::new(d), name, span, candidates),
    }
}

/// Settings for a layer that has a name, and so has them already.
pub fn made_already(span: Span, name: &str) -> Boxed {
    let text = format!("`{name}` has its settings already");
    let d = error("E0102", span, text, "not a setting".into());
    Box::new((*d).note(format!("they stand where it gets its name: `{name} = …(…)`")))
}

/// With `name` as what to type there, before any other suggestion.
pub fn meant(d: Diagnostic, span: Span, name: &str) -> Boxed {
    let d = Diagnostic { fixes: vec![], ..d };
    Box::new(d.fix(format!("write `{name}`, which must be given"), span, name))
}

pub fn no_body(span: Span, owner: &str) -> Boxed {
    error("E0102", span, format!("`{owner}` takes no body `{{ … }}`"), "not a combinator".into())
}

pub fn too_many_settings(span: Span, owner: &str, most: usize) -> Boxed {
    let text = match most {
        0 => format!("`{owner}` takes no settings"),
        1 => format!("`{owner}` takes at most 1 value in parentheses"),
        _ => format!("`{owner}` takes at most {most} values in parentheses"),
    };
    error("E0102", span, text, "one too many".into())
}

/// `repeat(3, dense(6))`
pub fn body_in_braces(d: Diagnostic, owner: &str) -> Boxed {
    Box::new(d.note(format!("its body stands in braces: `{owner}(…) {{ … }}`")))
}

pub fn missing_setting(span: Span, owner: &str, name: &str) -> Boxed {
    if name == "body" {
        return lacks(span, owner, "a body", &format!("{owner} {{ … }}"));
    }
    let d = error("E0104", span, format!("`{owner}` needs `{name}`"), format!("`{name}` is not given"));
    Box::new((*d).note(format!("write `{owner}({name} = …)`")))
}

/// A definition whose input stands in the parentheses of its settings.
pub fn input_as_setting(d: Boxed, def: &Def) -> Boxed {
    let [only] = def.params.as_slice() else { return d };
    if !def.inputs.is_empty() || only.default.is_some() {
        return d;
    }
    let (name, input) = (&def.name, &only.name);
    let text =
        format!("parentheses hold settings; an input stands behind them: `{}  {} {{ … }}`", name.text, input.text);
    let d = Diagnostic { notes: vec![text], ..*d }.label(input.span, "a setting");
    let all = Span { start: name.span.end, end: input.span.end + 1, ..name.span };
    Box::new(d.fix(format!("make `{}` an input", input.text), all, format!("  {}", input.text)))
}

/// `x > dense(8) > relu`: each of these signs was meant as an arrow.
pub fn arrows(d: Diagnostic, signs: Vec<Span>) -> Boxed {
    let notes = vec!["an arrow moves a tensor into a layer: `->`".to_string()];
    let edits = signs.into_iter().map(|span| Edit { span, text: "->".to_string() }).collect();
    Box::new(Diagnostic { notes, fixes: vec![Fix { message: "write `->`".to_string(), edits }], ..d })
}

/// `1 < x < 4`; `second` is what stands in the middle.
pub fn chained(again: Span, second: &Expr) -> Boxed {
    let d = error("E0105", again, "a comparison compares two values".into(), "a third one".into());
    let middle = match &second.kind {
        ExprKind::Name(n) => n.clone(),
        ExprKind::Number { value, unit: None, .. } => value.to_string(),
        _ => return Box::new((*d).note("join two comparisons: `1 < x and x < 4`")),
    };
    Box::new((*d).fix("join two comparisons", second.span.after(), format!(" and {middle}")))
}

/// `x == true`, where x is numbers; the comparison is that of `sign`, its right side `right`.
pub fn compared_with_truth(span: Span, found: &Val, sign: (BinaryOp, Span), right: &Expr) -> Boxed {
    let d = wrong_type(span, "a truth value beside a truth value", found);
    match (&right.kind, sign.0) {
        (ExprKind::Name(word), BinaryOp::Eq | BinaryOp::Ne) if word == "true" || word == "false" => {
            let text = if (word == "true") == (sign.0 == BinaryOp::Eq) { "!= 0" } else { "== 0" };
            Box::new((*d).fix(format!("numbers are compared with numbers: `{text}`"), sign.1.to(right.span), text))
        }
        _ => d,
    }
}

/// A layer in arithmetic.
pub fn not_applied(d: Boxed, found: &Val) -> Boxed {
    match &found.kind {
        ValKind::Func(_) => {
            Box::new((*d).note("a layer gets its input along an arrow, in parentheses: `y + (x -> …)`"))
        }
        _ => d,
    }
}

/// A statement whose value nothing takes, since a later one gives the result.
pub fn dropped(span: Span) -> Diagnostic {
    let d = Diagnostic::warning("W0201", span, "nothing uses this value: a later one is the result", "not used");
    d.note("go on with `->`, or give it a name: `h = …`")
}

/// An index of the left side over which the right side reduces.
pub fn reduced_away(span: Span, index: &str) -> Boxed {
    let text = format!("`{index}` is reduced over on the right, so the left side has no `{index}`");
    let d = error("E0106", span, text, "no index of the right side".into());
    Box::new((*d).note(format!("leave it out, or say how many there are: `{index} < 3`")))
}

/// Something other than a setting is missing; `form` is how it is written.
pub fn lacks(span: Span, owner: &str, what: &str, form: &str) -> Boxed {
    let d = error("E0104", span, format!("`{owner}` needs {what}"), format!("{what} is missing"));
    Box::new((*d).note(format!("write `{form}`")))
}

/// The example to type is the library's where it has one.
pub fn missing_entry(span: Span, owner: &str, name: &str, example: &str) -> Boxed {
    let example = helps(&format!("E0104 {name}")).next().unwrap_or(example);
    let d = error("E0104", span, format!("{owner} does not say its `{name}`"), format!("`{name}` is missing"));
    Box::new((*d).note(format!("write `{example}` in its body")))
}

pub fn wrong_type(span: Span, expected: &str, found: &Val) -> Boxed {
    error("E0105", span, format!("expected {expected}, found {}", found.describe()), format!("expected {expected}"))
}

/// `l2(weights)` of a model whose weights all have one axis.
pub fn no_weights(span: Span, all: usize) -> Boxed {
    let text = format!("`weights` are those of two axes and more, and of this model's {all} none has two");
    error("E0105", span, text, "nothing to add up: leave this term out".into())
}

pub fn wrong_type_words(span: Span, expected: &str, found: &str) -> Boxed {
    error("E0105", span, format!("expected {expected}, found {found}"), format!("expected {expected}"))
}

pub fn no_branches(span: Span, owner: &str, found: &Val) -> Boxed {
    helped(*wrong_type(span, &format!("branches for `{owner}`"), found), "E0105 branches")
}

/// Several tensors where one is taken.
pub fn not_joined(span: Span, owner: &str, found: &Val) -> Boxed {
    helped(*wrong_type(span, &format!("one tensor for `{owner}`"), found), "E0105 joined")
}

pub fn number_as_string(span: Span, text: &str) -> Boxed {
    let d = wrong_type_words(span, "a number", &format!("the string \"{text}\""));
    if WORDS.contains(&text) {
        return Box::new((*d).fix(format!("a word stands without quotes: `{text}`"), span, text));
    }
    if text.parse::<f64>().is_ok() { Box::new((*d).fix("write the number without quotes", span, text)) } else { d }
}

/// An axis is known by a name only where a definition gives it one.
const AXES_BY_NUMBER: &str =
    "an axis has the name under which it comes in, as `x: [H, W, C]`; of these, `[2, 0, 1]` is the order C, H, W";

pub fn undefined(span: Span, name: &str, candidates: &[&str]) -> Boxed {
    let d = error("E0106", span, format!("`{name}` is not defined"), "not known here".into());
    let d = if name.chars().next().is_some_and(char::is_uppercase) && name.chars().count() <= 2 {
        let how =
            format!("a size that no input has: make `{name}` a setting in parentheses behind the definition's name");
        let counted = format!("a model knows what its data counts: `y: class({name})` in the data gives it `{name}`");
        Box::new((*d).note(how).note(counted).note(AXES_BY_NUMBER))
    } else {
        d
    };
    suggest(d, name, span, candidates)
}

pub const CYCLE: &str = "E0107";

pub fn cycle(span: Span, path: &[String]) -> Boxed {
    let first = path.first().cloned().unwrap_or_default();
    let d = error(CYCLE, span, format!("`{first}` contains itself"), "the circle closes here".into());
    helped((*d).note(format!("the way round: {}", path.join(" → "))), "E0107")
}

pub fn missing_unit(span: Span, what: &str, fixed: &str) -> Boxed {
    let d = error("E0108", span, format!("{what} needs a unit"), "a number of what?".into());
    Box::new((*d).fix(format!("write `{fixed}`"), span.after(), &fixed[fixed.find(' ').unwrap_or(fixed.len())..]))
}

pub fn wrong_unit(span: Span, what: &str, wanted: &str) -> Boxed {
    error("E0108", span, format!("{what} is {wanted}"), "this unit does not fit here".into())
}

pub fn out_of_range(span: Span, what: &str, range: &str, found: f64) -> Boxed {
    error("E0109", span, format!("{what} must be {range}, not {found}"), format!("must be {range}"))
}

/// `sqrt(-1)`
pub fn not_a_number(span: Span, op: &str, of: &[f64]) -> Boxed {
    let of = of.iter().map(f64::to_string).collect::<Vec<_>>().join(", ");
    error("E0109", span, format!("`{op}` of {of} is no number"), "gives no number".into())
}

pub fn promise(span: Span, text: &str) -> Boxed {
    error("E0110", span, text.to_string(), "this assertion does not hold".into())
}

pub fn not_a_statement(span: Span, where_: &str) -> Boxed {
    error("E0111", span, format!("this does not belong into {where_}"), "not expected here".into())
}

/// A definition that ends without a value.
pub fn no_result(span: Span, name: &str, output: Option<&str>) -> Boxed {
    let d = error("E0111", span, format!("nothing gives the result of `{name}`"), "no result".into());
    Box::new((*d).note(match output {
        Some(y) => format!("assign `{y}` in every case, under `train {{ }}` as well as under `infer {{ }}`"),
        None => "end its body with the value itself: `x -> …`, not `y = x -> …`".to_string(),
    }))
}

/// An `if` on something that is not known while the file is compiled.
pub fn no_select(span: Span) -> Boxed {
    let text = "this `if` depends on the step or on data, and one of its sides has no value";
    let d = error("E0111", span, text.into(), "chosen while it runs".into());
    Box::new((*d).note("choose between two values with `select(condition, a, b)`: `w = select(condition, a, b)`"))
}

pub fn unsupported(span: Span, what: &str) -> Boxed {
    error("E0112", span, format!("{what} cannot be compiled"), "this version has no way to compile it".into())
}

pub fn no_such_part(span: Span, owner: &str, name: &str, weights: &[&str]) -> Boxed {
    let d = error("E0106", span, format!("this `{owner}` has no weight `{name}`"), "not known here".into());
    let d = suggest(d, name, span, weights);
    if weights.is_empty() {
        return Box::new((*d).note("a layer has its weights from its first use on: apply it before"));
    }
    Box::new((*d).note(format!("its weights: {}", weights.join(", "))))
}

pub fn expands(span: Span, n: f64) -> Boxed {
    let d = error("E0801", span, format!("this expands to {n} layers, limit 100 000"), "repeated here".into());
    Box::new((*d).note("nested repetitions multiply"))
}

/// E0003 beyond one file's brackets: definitions or constants inside each other.
pub fn nests(span: Span, limit: usize) -> Boxed {
    let d = error("E0003", span, format!("nesting deeper than {limit}"), "this is one level too many".into());
    Box::new((*d).note("definitions and constants that use each other stand inside each other; make the chain shorter"))
}

/// A reduction that names no index, of a tensor that has indices.
pub fn reduces_all(span: Span, name: &str, indices: &[String], wanted: &[String]) -> Boxed {
    let text = format!("`{name}` does not say over which index it goes");
    let d = error("E0308", span, text, format!("the indices here: {}", indices.join(", ")));
    let example = wanted.first().or(indices.first()).map_or("..", String::as_str);
    let d = (*d).note(format!("in an equation write `{name}[{example}](…)`"));
    if wanted.is_empty() {
        return Box::new(d);
    }
    let at = Span { end: span.start + name.len() as u32, ..span }.after();
    let list = wanted.join(", ");
    Box::new(d.fix(format!("`{list}` is not on the left: reduce over it"), at, format!("[{list}]")))
}

/// A layer that takes means over the batch, of one value each.
pub fn mean_of_one(span: Span, rows: &str) -> Diagnostic {
    let text = format!("a mean over the batch is one of a single value: {rows}");
    let d = Diagnostic::warning("W0204", span, text, "each value is its own mean, so their difference is 0");
    d.note("a batch of 2 or more, or a layer that takes its means within an example")
}

pub fn unreached(span: Span, path: &str) -> Diagnostic {
    let text = format!("the loss does not depend on `{path}`");
    Diagnostic::warning("W0202", span, text, "never trained")
}

pub fn unused(span: Span, what: &str, name: &str) -> Diagnostic {
    Diagnostic::warning("W0201", span, format!("{what} `{name}` is never used"), "not used")
}

pub fn never_changed(span: Span, name: &str) -> Diagnostic {
    Diagnostic::warning("W0201", span, format!("the state `{name}` never changes"), "nothing is assigned to it")
}
