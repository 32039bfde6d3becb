//! The messages of the checker: one function per mistake, with both facts and what to type.
//!
//! In: the place and the facts. Out: a diagnostic. Invariant: a code is made in one function only, or in functions that
//! tell variants of the same mistake.

use super::library::helps;
use super::names::nearest;
use super::trace::Size;
use super::value::{Axis, Kind, Tensor, Val, describe_axes, describe_extents};
use super::window::Window;
use crate::base::{Diagnostic, Extent, Span};

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
    suggest(Box::new((*d).note(note)), name, span, candidates)
}

/// With `name` as what to type there, before any other suggestion.
pub fn meant(d: Diagnostic, span: Span, name: &str) -> Boxed {
    let d = Diagnostic { fixes: vec![], ..d };
    Box::new(d.fix(format!("write `{name}`, which must be given"), span, name))
}

pub fn too_many_settings(span: Span, owner: &str, most: usize) -> Boxed {
    let plural = if most == 1 { "value" } else { "values" };
    error("E0102", span, format!("`{owner}` takes at most {most} {plural} in parentheses"), "one too many".into())
}

pub fn duplicate(first: Span, second: Span, what: &str, name: &str) -> Boxed {
    let d = error("E0103", second, format!("{what} `{name}` is given twice"), "here again".into());
    Box::new((*d).label(first, "first given here"))
}

/// What is named a second time gets a name of its own: nothing that was written is lost.
pub fn duplicate_name(first: Span, second: Span, what: &str, name: &str) -> Boxed {
    let other = format!("{name}2");
    Box::new((*duplicate(first, second, what, name)).fix(format!("give it another name: `{other}`"), second, other))
}

/// `written` is the whole of what is given a second time.
pub fn duplicate_setting(first: Span, second: Span, written: Span, what: &str, name: &str) -> Boxed {
    Box::new((*duplicate(first, second, what, name)).fix(format!("remove the second `{name}`"), written, ""))
}

pub fn missing_setting(span: Span, owner: &str, name: &str) -> Boxed {
    let d = error("E0104", span, format!("`{owner}` needs `{name}`"), format!("`{name}` is not given"));
    Box::new((*d).note(format!("write `{owner}({name} = …)`")))
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

pub fn wrong_type_words(span: Span, expected: &str, found: &str) -> Boxed {
    error("E0105", span, format!("expected {expected}, found {found}"), format!("expected {expected}"))
}

pub fn no_branches(span: Span, owner: &str, found: &Val) -> Boxed {
    helped(*wrong_type(span, &format!("branches for `{owner}`"), found), "E0105 branches")
}

pub fn number_as_string(span: Span, text: &str) -> Boxed {
    let d = wrong_type_words(span, "a number", &format!("the string \"{text}\""));
    if text.parse::<f64>().is_ok() { Box::new((*d).fix("write the number without quotes", span, text)) } else { d }
}

pub fn undefined(span: Span, name: &str, candidates: &[&str]) -> Boxed {
    let d = error("E0106", span, format!("`{name}` is not defined"), "not known here".into());
    let d = if name.chars().next().is_some_and(char::is_uppercase) && name.chars().count() <= 2 {
        let how =
            format!("a size that no input has: make `{name}` a setting in parentheses behind the definition's name");
        Box::new((*d).note(how))
    } else {
        d
    };
    suggest(d, name, span, candidates)
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

pub fn cycle(span: Span, path: &[String]) -> Boxed {
    let first = path.first().cloned().unwrap_or_default();
    let d = error("E0107", span, format!("`{first}` contains itself"), "the circle closes here".into());
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

pub fn promise(span: Span, text: &str) -> Boxed {
    error("E0110", span, text.to_string(), "this assertion does not hold".into())
}

pub fn not_a_statement(span: Span, where_: &str) -> Boxed {
    error("E0111", span, format!("this does not belong into {where_}"), "not expected here".into())
}

pub fn unsupported(span: Span, what: &str) -> Boxed {
    error("E0112", span, format!("{what} cannot be compiled"), "this version has no way to compile it".into())
}

pub fn ill_shaped(span: Span, why: &str) -> Boxed {
    error("E0301", span, why.to_string(), "the shapes do not fit here".into())
}

pub fn extent_differs(span: Span, name: &str, wanted: &str, found: &str) -> Boxed {
    error("E0301", span, format!("`{name}` needs {wanted}, gets {found}"), format!("gets {found}, needs {wanted}"))
}

pub fn rank_differs(span: Span, owner: &str, wanted: &str, found: &Tensor) -> Boxed {
    let shape = describe_axes(found);
    let d = error("E0302", span, format!("`{owner}` takes {wanted}, gets {shape}"), format!("gets {shape}"));
    let flat: Option<u64> = found.own_axes().iter().map(|a| a.extent.fixed()).try_fold(1u64, |n, e| n.checked_mul(e?));
    match (flat, helps("E0302").next()) {
        (Some(n), Some(layer)) if found.own_axes().len() > 1 => {
            let start = Span { end: span.start, ..span };
            let d = (*d).note(format!("`{layer}` makes {shape} into [{n}]"));
            Box::new(d.fix(format!("put `{layer}` before it: {shape} becomes [{n}]"), start, format!("{layer} -> ")))
        }
        _ => d,
    }
}

/// What a scan carries changes its shape from step to step.
pub fn carried_differs(span: Span, name: &str, wanted: &str, found: &str) -> Boxed {
    let text = format!("the scan carries `{name}` as {wanted}, but this is {found}");
    let d = error("E0301", span, text, format!("{found}, needs {wanted}"));
    Box::new((*d).note(format!("a carried value keeps its shape: write `{name}: {found}`, or make this {wanted}")))
}

/// A carried value that no step changes.
pub fn never_assigned(span: Span, name: &str) -> Boxed {
    let d = error("E0106", span, format!("no step of the scan assigns `{name}`"), "carried, but never changed".into());
    Box::new((*d).note(format!("write `{name} = …` in the body, or bind it before the scan instead")))
}

/// A row is taken of something that the steps themselves compute.
pub fn row_of_step(span: Span, axis: &str) -> Boxed {
    let text = "a step sees rows of what is known before the scan, but this is computed in the step";
    let d = error("E0106", span, text.into(), format!("has no rows along `{axis}` until the scan is over"));
    Box::new((*d).note("use the value itself, or bind it before the scan"))
}

pub fn bad_extent(span: Span, value: f64) -> Boxed {
    error("E0303", span, format!("a dimension cannot be {value}"), "must be a whole number from 1".into())
}

pub fn too_large(span: Span, extents: &[Extent]) -> Boxed {
    let log2: f64 = extents.iter().filter_map(|e| e.fixed()).map(|n| (n.max(1) as f64).log2()).sum();
    let shape = describe_extents(extents);
    error(
        "E0304",
        span,
        format!("{shape} is a tensor of 2^{log2:.0} elements"),
        "larger than any machine's memory".into(),
    )
}

/// Random numbers are counted in 31 bits.
pub fn too_many_random(span: Span, extents: &[Extent]) -> Boxed {
    let n: u128 = extents.iter().filter_map(|e| e.fixed()).fold(1, |n, e| n.saturating_mul(u128::from(e)));
    let text = format!("{} has {n} elements, at most {} can be random", describe_extents(extents), i32::MAX);
    let d = error("E0304", span, text, format!("{n} = {}", product(extents)));
    Box::new((*d).note("make one of its dimensions smaller"))
}

/// A stride or dilation that is no step.
pub fn window_step(span: Span, index: &str, found: f64) -> Boxed {
    let text = format!("windows go on by a whole number of elements from 1, not by {found}");
    let d = error("E0305", span, text, format!("the step of `{index}` in an index"));
    Box::new(if found < 1.0 { (*d).fix("take every element", span, "1") } else { *d })
}

pub fn window_offset(span: Span, found: f64) -> Boxed {
    let text = format!("windows begin a whole number of elements outside of an axis, not {found}");
    error("E0305", span, text, "must be a whole number".into())
}

/// A window that does not fit: E0305 where the data's own axis is too short, E0306 where layers before made it so.
pub fn no_room(span: Span, w: &Window, sizes: &[Size]) -> Boxed {
    let (taps, reach, extent) = (w.taps, w.reach(), w.extent);
    let spans =
        if w.dilation == 1 { String::new() } else { format!(", {} apart, so over {reach} elements", w.dilation) };
    let short = match (w.before, w.behind) {
        (0, 0) => format!("an axis of {extent}"),
        (a, b) => format!("an axis of {extent} with {a} before and {b} behind it"),
    };
    let shrunk = sizes.len() > 1;
    let text = match shrunk {
        true => format!("nothing is left: a window of {taps}{spans} does not fit {short}"),
        false => format!("a window of {taps}{spans} does not fit {short}"),
    };
    let label = format!("needs {reach}, has {}", w.padded().max(0));
    let mut d = *error(if shrunk { "E0306" } else { "E0305" }, span, text, label);
    for size in sizes {
        d = d.label(size.span, format!("{} here", describe_extents(&size.shape)));
    }
    if shrunk {
        let way = sizes.iter().map(|s| describe_extents(&s.shape)).collect::<Vec<_>>().join(" → ");
        d = d.note(format!("on the way: {way}"));
    }
    Box::new(d)
}

pub fn nothing_left(span: Span, whole: u64, before: f64, behind: f64) -> Boxed {
    let text = format!("nothing is left of {whole} elements without {before} before and {behind} behind");
    error("E0306", span, text, "takes away all".into())
}

pub fn reads_outside(span: Span, by: i64) -> Boxed {
    let text = format!("this index reads {by} elements outside of the axis");
    let d = error("E0305", span, text, "there is nothing to read".into());
    Box::new((*d).note("say what is read there: `pad(x, 0)[…]`, or `pad(x, -inf)[…]` for a maximum"))
}

pub fn unknown_extent(span: Span, [a, b]: [&str; 2]) -> Boxed {
    let d = error("E0104", span, format!("neither `{a}` nor `{b}` has a known length"), "how many of them?".into());
    Box::new((*d).note(format!("say one in the reduction or on the left: `sum[{b} < 3](…)`, `y[{a}, {b} < 3] = …`")))
}

pub fn reshape_differs(span: Span, from: &Tensor, to: &[Extent]) -> Boxed {
    let n = |e: &[Extent]| e.iter().filter_map(|e| e.fixed()).product::<u64>();
    let have: Vec<Extent> = from.own_axes().iter().map(|a| a.extent).collect();
    let (a, b) = (n(to), n(&have));
    let shape = describe_axes(from);
    let d = error("E0307", span, format!("`reshape` needs {a} numbers, gets {b}"), format!("{a} = {}", product(to)));
    Box::new((*d).note(format!("the tensor is {shape} = {b}")))
}

fn product(of: &[Extent]) -> String {
    of.iter().filter_map(|e| e.fixed()).map(|n| n.to_string()).collect::<Vec<_>>().join(" · ")
}

pub fn two_unknowns(span: Span) -> Boxed {
    error("E0307", span, "`reshape` can work out one axis, not two".into(), "the second `_`".into())
}

pub fn bad_axis(span: Span, found: &str, tensor: &Tensor) -> Boxed {
    let names: Vec<String> = tensor.own_axes().iter().filter_map(|a| a.name.clone()).collect();
    let rank = tensor.own_axes().len();
    let d = error("E0308", span, format!("{} has no axis {found}", describe_axes(tensor)), "no such axis".into());
    let range = if rank == 0 {
        "it has no axes".to_string()
    } else {
        format!("axes are counted 0 to {}, or -{rank} to -1", rank - 1)
    };
    let d = (*d).note(range);
    let d = if rank > 0 && found.parse::<f64>().is_ok() { d.fix("the last axis is `-1`", span, "-1") } else { d };
    Box::new(if names.is_empty() { d } else { d.note(format!("its named axes: {}", names.join(", "))) })
}

pub fn no_broadcast(span: Span, tensors: &[&Tensor]) -> Boxed {
    let shapes = tensors.iter().map(|t| describe_axes(t)).collect::<Vec<_>>().join(" and ");
    let ranks: Vec<usize> = tensors.iter().map(|t| t.own_axes().len()).collect();
    let code = if ranks.windows(2).all(|w| w[0] == w[1]) { "E0301" } else { "E0309" };
    let d = error(code, span, format!("{shapes} do not fit together"), "these shapes are joined here".into());
    Box::new((*d).note("axes are matched from the right; they must be equal, or one of them 1"))
}

pub fn padding(span: Span, owner: &str, axis: &Axis) -> Boxed {
    let name = axis.name.clone().unwrap_or_else(|| describe_extents(&[axis.extent]));
    let text = format!("`{owner}` would mix steps with padding: rows have lengths of their own along {name}");
    helped(*error("E0313", span, text, "loses where the padding is".into()), "E0313")
}

pub fn no_such_part(span: Span, owner: &str, name: &str, weights: &[&str]) -> Boxed {
    let d = error("E0106", span, format!("this `{owner}` has no weight `{name}`"), "not known here".into());
    let d = suggest(d, name, span, weights);
    if weights.is_empty() {
        return Box::new((*d).note("a layer has its weights from its first use on: apply it before"));
    }
    Box::new((*d).note(format!("its weights: {}", weights.join(", "))))
}

pub fn kind_differs(span: Span, owner: &str, wanted: &Kind, found: &Kind) -> Boxed {
    let d = error("E0310", span, format!("`{owner}` takes {wanted}, gets {found}"), format!("this is {found}"));
    let twice = (wanted, found) == (&Kind::Logits, &Kind::Prob);
    let d = if twice { Box::new((*d).fix("leave it out", span, "")) } else { d };
    match (wanted, found) {
        (Kind::Logits, Kind::Prob) => helped(*d, "E0310 probabilities"),
        (Kind::Class(_), _) => helped((*d).note("class indices are `class(K)` fields"), "E0310 distributions"),
        (_, Kind::Class(_)) => {
            helped((*d).note("`one_hot` in the data makes rows of 0 and 1 of them"), "E0310 classes")
        }
        _ => d,
    }
}

pub fn mixed_types(span: Span, tensors: &[Tensor]) -> Boxed {
    let kinds = tensors.iter().map(|t| t.kind.to_string()).collect::<Vec<_>>().join(" and ");
    let d = error("E0311", span, format!("{kinds} do not mix in arithmetic"), "numbers and indices meet here".into());
    Box::new((*d).note("write `real(x)` to turn indices into numbers"))
}

pub fn not_differentiable(span: Span, op: &str) -> Boxed {
    let d = error(
        "E0312",
        span,
        format!("`{op}` has no gradient, and the loss depends on weights through it"),
        "the gradient stops here".into(),
    );
    helped((*d).note("use a smooth form of it, or `stop_gradient` where no gradient is wanted"), "E0312")
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

/// An optimizer whose body gives its weight no new value.
pub fn weight_never_assigned(span: Span, owner: &str, name: &str) -> Boxed {
    let text = format!("`{owner}` never assigns `{name}`: it would train nothing");
    let d = error("E0104", span, text, format!("`{name}` keeps its value"));
    Box::new((*d).note(format!("the next value of the weight is what its body assigns: `{name} = {name} - …`")))
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

pub fn missing_share(span: Span, fixed: &str) -> Boxed {
    let d = error("E0108", span, "a share needs `%`".into(), "a number of what?".into());
    Box::new((*d).fix(format!("write `{fixed}`"), span, fixed))
}
