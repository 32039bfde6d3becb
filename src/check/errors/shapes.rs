//! Messages about shapes and kinds: E03 and what is said beside it.
//!
//! In: the place and the facts. Out: a diagnostic. Invariant: both sides of a clash are in the message.

use super::{AXES_BY_NUMBER, Boxed, error, helped};
use crate::base::{Diagnostic, Edit, Extent, Fix, Span};
use crate::check::library::helps;
use crate::check::trace::Size;
use crate::check::value::{Axis, Kind, Label, Tensor, describe_axes, describe_extents};
use crate::check::window::Window;
use crate::syntax::ast::{Def, DefKind};

pub fn ill_shaped(span: Span, why: &str) -> Boxed {
    error("E0301", span, why.to_string(), "the shapes do not fit here".into())
}

pub fn extent_differs(span: Span, name: &str, wanted: &str, found: &str) -> Boxed {
    error("E0301", span, format!("`{name}` needs {wanted}, gets {found}"), format!("gets {found}, needs {wanted}"))
}

/// `y[i < 8] = x[i]`, where x has fewer.
pub fn runs_beyond(span: Span, index: &str, runs: u64, has: u64) -> Boxed {
    let text = format!("`{index}` runs over {runs} elements, this axis has {has}");
    let d = error("E0301", span, text, format!("has {has}, needs {runs}"));
    Box::new(
        (*d).note(format!("what lies outside is read through `pad`: `pad(x, 0)[{index} - (0 .. {})]`", runs - has)),
    )
}

pub fn rank_differs(span: Span, owner: &str, wanted: &str, found: &Tensor) -> Boxed {
    let shape = describe_axes(found);
    let d = error("E0302", span, format!("`{owner}` takes {wanted}, gets {shape}"), format!("gets {shape}"));
    let flat: Option<u64> = found.own_axes().iter().map(|a| a.extent.fixed()).try_fold(1u64, |n, e| n.checked_mul(e?));
    match (flat, helps("E0302").next()) {
        (Some(n), Some(layer)) if found.own_axes().len() > 1 && !wanted.contains(',') => {
            let start = Span { end: span.start, ..span };
            let d = (*d).note(format!("`{layer}` makes {shape} into [{n}]"));
            Box::new(d.fix(format!("put `{layer}` before it: {shape} becomes [{n}]"), start, format!("{layer} -> ")))
        }
        _ if matches!(found.kind, Kind::Token(_)) => helped(*d, "E0311 tokens"),
        _ if found.own_axes().len() < wanted.split(',').filter(|axis| !axis.contains("..")).count() => {
            Box::new((*d).note(format!("`reshape(x, …)` cuts {shape} into axes, here {wanted}")))
        }
        _ => d,
    }
}

/// `w[o, d, d]` of a tensor of two axes.
pub fn indices_differ(span: Span, written: &str, indices: usize, t: &Tensor) -> Boxed {
    let (shape, rank) = (describe_axes(t), t.own_axes().len());
    let plural = |n: usize, one: &str, more: &str| format!("{n} {}", if n == 1 { one } else { more });
    let found = plural(indices, "index", "indices");
    let text = format!("{written} is {shape}: {}, but {found} here", plural(rank, "axis", "axes"));
    let d = error("E0302", span, text, found);
    Box::new((*d).note("one index for each axis; `..` stands for any number of leading axes"))
}

/// `dense[16]`
pub fn round_brackets(d: Diagnostic, base: Span, all: Span) -> Boxed {
    let edit = |at: u32, text: &str| Edit { span: Span { start: at, end: at + 1, ..all }, text: text.to_string() };
    let edits = vec![edit(base.end, "("), edit(all.end - 1, ")")];
    let d = d.note("settings stand in `( … )`, indices in `[ … ]`");
    let fix = Fix { message: "write `( … )`".to_string(), edits };
    Box::new(Diagnostic { fixes: vec![fix], ..d })
}

/// The next value of a weight or state has more axes than it.
pub fn value_differs(span: Span, kept: &str, found: &Tensor) -> Boxed {
    let shape = describe_axes(found);
    let text = format!("this is kept from step to step as {kept}, but its next value is {shape}");
    let d = error("E0302", span, text, format!("{shape}, needs {kept}"));
    Box::new((*d).note("a weight and a state keep their shapes"))
}

/// A result with too many axes: what joins them stands before the last layer, whose arrow `at` begins with.
pub fn before_the_last(d: Boxed, at: Span) -> Boxed {
    let Some(layer) = helps("E0302").next().filter(|_| d.code == "E0302") else { return d };
    let first = Span { end: at.start, ..at };
    let notes = vec![format!("`{layer}` before the last layer makes one axis of all")];
    let d = Diagnostic { notes, fixes: vec![], ..*d };
    Box::new(d.fix(format!("put `{layer}` before it"), first, format!("-> {layer} ")))
}

/// `logits(3)`
pub fn sizes_in_parentheses(kind: &str, sizes: Span) -> Boxed {
    let d = error("E0302", sizes, format!("the axes of `{kind}` stand in brackets"), "in parentheses here".into());
    let at = |start: u32, text: &str| Edit { span: Span { start, end: start + 1, ..sizes }, text: text.to_string() };
    let edits = vec![at(sizes.start - 1, "["), at(sizes.end, "]")];
    let d = (*d).note("parentheses hold the number of classes or tokens: `class(3)`, `token(50)`");
    Box::new(Diagnostic { fixes: vec![Fix { message: format!("write `{kind}[…]`"), edits }], ..d })
}

/// Another number of inputs than a definition has.
pub fn inputs_differ(span: Span, def: &Def, found: usize) -> Boxed {
    let names = def.inputs.iter().filter_map(|p| p.name.as_ref()).map(|n| format!("`{}`", n.text));
    let (names, name) = (names.collect::<Vec<_>>().join(", "), &def.name.text);
    let plural = if def.inputs.len() == 1 { "input" } else { "inputs" };
    let text = format!("`{name}` takes {} {plural}, {names}, gets {found}", def.inputs.len());
    let d = error("E0301", span, text, format!("gets {found}"));
    Box::new(match (def.inputs.len(), &def.kind) {
        (1, _) => (*d).note(format!("several tensors as one stand in brackets: `{name}([a, b])`")),
        (2, DefKind::Loss) => (*d).note("without parentheses, a loss gets the output and the target"),
        _ => *d,
    })
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

/// A port of a model with one axis more than the field has: the first is taken for the batch.
pub fn batch_written(d: Diagnostic, batch: Span, next: Span) -> Boxed {
    let gap = Span { end: next.start, ..batch };
    let d = d.note("sizes are those of one example: the batch is never written");
    Box::new(d.fix("leave the batch out", gap, ""))
}

pub fn bad_extent(span: Span, value: f64) -> Boxed {
    let d = error("E0303", span, format!("a dimension cannot be {value}"), "must be a whole number from 1".into());
    Box::new(if value == -1.0 { (*d).fix("what is worked out is `_`", span, "_") } else { *d })
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

/// A stride or dilation that is no step; `alone`: the place says nothing else.
pub fn window_step(span: Span, index: &str, found: f64, alone: bool) -> Boxed {
    let text = format!("windows go on by a whole number of elements from 1, not by {found}");
    let d = error("E0305", span, text, format!("the step of `{index}` in an index"));
    Box::new(if found < 1.0 && alone { (*d).fix("take every element", span, "1") } else { *d })
}

pub fn window_offset(span: Span, found: f64) -> Boxed {
    let text = format!("windows begin a whole number of elements outside of an axis, not {found}");
    error("E0305", span, text, "must be a whole number".into())
}

/// A window that reads nothing but what lies outside.
pub fn sees_nothing(span: Span, w: &Window, at: u64) -> Boxed {
    let text = format!("window {} of an axis of {} lies wholly in its margin", at + 1, w.extent);
    let d = error("E0305", span, text, format!("{} before, {} behind", w.before, w.behind));
    Box::new((*d).note(format!(
        "a window reaches over {}: a margin of {} is seen with the axis",
        w.reach(),
        w.reach() - 1
    )))
}

/// More elements of an axis outside than it has to give.
pub fn margin_too_wide(span: Span, how: &str, found: i64, most: u64) -> Boxed {
    let text = format!("`{how}` fills a margin of at most {most} here, not of {found}");
    error("E0305", span, text, format!("needs {found}, has {most}"))
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
        d = d.note("smaller windows and strides, or a margin, in the layers before leave more of it");
    }
    Box::new(d)
}

pub fn nothing_left(span: Span, whole: u64, before: f64, behind: f64) -> Boxed {
    let text = format!("nothing is left of {whole} elements without {before} before and {behind} behind");
    let d = error("E0306", span, text, "takes away all".into());
    Box::new((*d).note(format!("both sides together may take away {}", whole - 1)))
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

/// An order of axes that is none.
pub fn bad_order(span: Span, what: &str, given: usize, tensor: &Tensor) -> Boxed {
    let (rank, shape) = (tensor.own_axes().len(), describe_axes(tensor));
    let d = error("E0308", span, format!("{what} of {shape}"), format!("{given} of {rank} axes"));
    let all: Vec<String> = (0..rank).map(|a| a.to_string()).collect();
    Box::new((*d).note(format!("each axis stands in it once: [{}] in some order", all.join(", "))))
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
    if !names.is_empty() {
        return Box::new(d.note(format!("its named axes: {}", names.join(", "))));
    }
    Box::new(if found.starts_with('`') { d.note(AXES_BY_NUMBER) } else { d })
}

/// `sum[d](x * w)`, where nothing has the index `d`.
pub fn no_such_index(span: Span, name: &str, index: Option<&Label>, t: &Tensor) -> Boxed {
    let index = match index {
        Some(Label::Index(n)) => n.as_str(),
        Some(Label::Batch) => "batch",
        _ => "..",
    };
    let has = t.axes.iter().filter_map(|a| match &a.label {
        Some(Label::Index(n)) => Some(format!("`{n}`")),
        _ => None,
    });
    let has = has.collect::<Vec<_>>().join(", ");
    let d = error(
        "E0308",
        span,
        format!("`{name}[{index}]` goes over an index that nothing in it has"),
        format!("no `{index}` here"),
    );
    Box::new(if has.is_empty() {
        (*d).note(format!("indices stand in brackets behind a tensor: `x[{index}]`"))
    } else {
        (*d).note(format!("what stands in it has {has}"))
    })
}

pub fn bad_element(span: Span, n: f64, extent: Option<u64>) -> Boxed {
    let d = error("E0308", span, format!("there is no element {n}"), "no such element".into());
    let Some(extent) = extent else { return d };
    let d = (*d).note(format!("elements are counted 0 to {}", extent.saturating_sub(1)));
    let back = n + extent as f64;
    let last = n < 0.0 && back >= 0.0;
    Box::new(if last { d.fix(format!("from the end: `{back}`"), span, back.to_string()) } else { d })
}

pub fn no_broadcast(span: Span, tensors: &[&Tensor]) -> Boxed {
    // A single number fits anything.
    let tensors: Vec<&&Tensor> = tensors.iter().filter(|t| !t.own_axes().is_empty()).collect();
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

pub fn kind_differs(span: Span, owner: &str, wanted: &Kind, found: &Kind) -> Boxed {
    let d = error("E0310", span, format!("`{owner}` takes {wanted}, gets {found}"), format!("this is {found}"));
    let twice = (wanted, found) == (&Kind::Logits, &Kind::Prob);
    let d = if twice { Box::new((*d).fix("leave it out", span, "")) } else { d };
    match (wanted, found) {
        (Kind::Logits, Kind::Prob) => helped(*d, "E0310 probabilities"),
        (Kind::Class(_) | Kind::Token(_), Kind::Class(_) | Kind::Token(_)) => d,
        (Kind::Class(_), _) => helped((*d).note("class indices are `class(K)` fields"), "E0310 distributions"),
        (_, Kind::Class(_)) => {
            helped((*d).note("`one_hot` in the data makes rows of 0 and 1 of them"), "E0310 classes")
        }
        _ => d,
    }
}

/// A loss or metric of numbers whose target is a class; `what` says which of the two it is.
pub fn counts_with_indices(span: Span, owner: &str, found: &Kind, from: Span, what: &str) -> Boxed {
    let text = format!("`{owner}` counts with numbers, but its target is {found}");
    let d = (*error("E0310", span, text, "takes numbers".into())).label(from, format!("{found} here"));
    match helps(&format!("E0310 {what}")).next() {
        Some(name) => {
            let d = d.note(format!("for classes write `{name}`"));
            Box::new(d.fix(format!("write `{name}`"), span, name))
        }
        None => Box::new(d),
    }
}

pub fn mixed_types(span: Span, tensors: &[Tensor]) -> Boxed {
    let kinds = tensors.iter().map(|t| t.kind.to_string()).collect::<Vec<_>>().join(" and ");
    let d = error("E0311", span, format!("{kinds} do not mix in arithmetic"), "numbers and indices meet here".into());
    let d = (*d).note("write `real(x)` to turn indices into numbers");
    if tensors.iter().any(|t| matches!(t.kind, Kind::Token(_))) { helped(d, "E0311 tokens") } else { Box::new(d) }
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
