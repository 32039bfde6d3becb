//! Cases of operators, losses and optimizers, as graphs from source text.
//!
//! In: a case. Out: its differences from the reference. Invariant: the text goes through the parser and the elaborator as a
//! user's does; only the numbers come from the case.

use super::Outcome;
use super::compare::Differences;
use super::file::{Case, Tensors};
use super::machine;
use super::table::{self, Entry, Layout, Mean, Setting};
use ndarray::{ArrayD, Axis as Place, IxDyn};
use nnc::base::{DType, Extent, FileId, SourceMap, Span, Type};
use nnc::check::elaborate::{Elaborator, Weight};
use nnc::check::items::Items;
use nnc::check::library;
use nnc::check::optimizer::UpdateRule;
use nnc::check::terms::Fraction;
use nnc::check::value::{Axis, Func, Kept, Kind, Label, Tensor, Val, ValKind};
use nnc::graph::{Graph, Role};
use nnc::ops::{Emit, Value, build};
use nnc::passes::autodiff;
use nnc::syntax::{self, ast};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The definitions of the library and of a text.
pub struct Source {
    pub sources: SourceMap,
    pub items: Items,
    pub span: Span,
}

pub fn source(text: &str) -> Result<Source, String> {
    let mut sources = SourceMap::default();
    let mut files: Vec<(FileId, ast::File)> = Vec::new();
    let own = std::iter::once(("case.nn", text, false));
    for (name, text, library) in library::FILES.into_iter().map(|(n, t)| (n, t, true)).chain(own) {
        let id = sources.add(name, text, library);
        let (file, errors) = syntax::parse(id, text);
        if let Some(d) = errors.first() {
            return Err(d.render(&sources));
        }
        files.push((id, file));
    }
    let span = Span::new(files[files.len() - 1].0, 0, 0);
    let files: Vec<(FileId, &ast::File)> = files.iter().map(|(id, f)| (*id, f)).collect();
    let (items, errors) = Items::gather(&sources, &files);
    match errors.first() {
        Some(d) => Err(d.render(&sources)),
        None => Ok(Source { sources, items, span }),
    }
}

/// How the tensors of a case lie in ours.
struct Arranged<'a> {
    case: &'a Case,
    entry: &'a Entry,
    /// The inputs that the case has, with those that need not be there.
    inputs: Vec<&'static str>,
    rank: usize,
    batched: bool,
    /// The axes that a normalisation takes together.
    normalised: usize,
}

impl Arranged<'_> {
    fn new<'a>(case: &'a Case, entry: &'a Entry) -> Result<Arranged<'a>, String> {
        let rank = case.tensor(&format!("in.{}", entry.inputs[0]))?.ndim();
        let shape = case.attributes.get("normalized_shape");
        let normalised = shape.map_or(1, |s| s.as_array().map_or(1, Vec::len));
        let along_batch = entry.settings.iter().any(|s| {
            let value = case.attributes.get(s.theirs());
            matches!(s, Setting::Axis(..)) && value.and_then(|v| table::axis(v, rank).ok()) == Some(0)
        });
        let least = if entry.layout == Layout::Normalised { normalised } else { entry.least };
        let more =
            entry.more.iter().map(|(theirs, _)| *theirs).filter(|n| case.tensors.contains_key(&format!("in.{n}")));
        let inputs = entry.inputs.iter().copied().chain(more).collect();
        Ok(Arranged { case, entry, inputs, rank, batched: rank > least && !along_batch, normalised })
    }

    /// An input of the case, or the gradient by it, in our order of axes.
    fn arrange(&self, t: &ArrayD<f64>) -> ArrayD<f64> {
        let mut t = t.clone();
        match self.entry.layout {
            Layout::ClassSecond if t.ndim() == self.rank && self.rank > 2 => {
                let mut order: Vec<usize> = (0..self.rank).filter(|a| *a != 1).collect();
                order.push(1);
                t = t.permuted_axes(order).as_standard_layout().into_owned();
            }
            Layout::ChannelsSecond => t = channels_last(&t, 1),
            Layout::Pointwise if self.reduction() == "none" => t = t.insert_axis(Place(self.rank)),
            _ => {}
        }
        t
    }

    fn reduction(&self) -> &str {
        self.case.attributes.get("reduction").and_then(|r| r.as_str()).unwrap_or("mean")
    }

    fn text(&self, name: &str, settings: &[String], shape: &[usize]) -> String {
        let inputs = self.inputs.join(", ");
        if self.entry.mean.is_some() || self.inputs.len() > 1 {
            let said = |i: &&str| match self.entry.more.iter().find(|(theirs, _)| theirs == i) {
                Some((theirs, ours)) => format!("{ours} = {theirs}"),
                None => i.to_string(),
            };
            let all: Vec<String> = self.inputs.iter().map(said).chain(settings.to_vec()).collect();
            return format!("block case  {inputs} {{ {name}({}) }}", all.join(", "));
        }
        let call = if settings.is_empty() { name.to_string() } else { format!("{name}({})", settings.join(", ")) };
        if self.entry.layout != Layout::Normalised || self.normalised == 1 {
            return format!("block case  {inputs} {{ {inputs} -> {call} }}");
        }
        let own = &shape[usize::from(self.batched)..];
        let (lead, last) = own.split_at(own.len() - self.normalised);
        let flat: Vec<usize> = lead.iter().copied().chain([last.iter().product()]).collect();
        format!("block case  {inputs} {{ {inputs} -> reshape({flat:?}) -> {call} -> reshape({own:?}) }}")
    }

    fn symbols(&self, shape: &[usize]) -> [u64; 2] {
        if self.batched { [shape[0] as u64; 2] } else { [1, 1] }
    }
}

pub fn operator(case: &Case) -> Result<Outcome, String> {
    let given = |name: &&str| case.tensors.contains_key(&format!("in.{name}"));
    let Some(entry) = table::OPERATORS.iter().find(|e| e.op == case.op && e.inputs.iter().all(given)) else {
        return Ok(Outcome::Skipped(format!("no operator `{}` of such inputs", case.op)));
    };
    let arranged = Arranged::new(case, entry)?;
    if let Some((other, _)) = case.group_of("in.").find(|(n, _)| !arranged.inputs.contains(n)) {
        return Ok(Outcome::Skipped(format!("`{}` has no input `{other}`", case.op)));
    }
    let (name, settings) = match table::call(entry, &case.attributes, arranged.rank) {
        Ok(call) => call,
        Err(attribute) => return Ok(Outcome::Skipped(format!("`{}` has no `{attribute}`", case.op))),
    };
    let mut given = Tensors::new();
    for name in &arranged.inputs {
        given.insert(format!("in.{name}"), arranged.arrange(case.tensor(&format!("in.{name}"))?));
    }
    let shape = given[&format!("in.{}", entry.inputs[0])].shape().to_vec();
    let source = source(&arranged.text(&name, &settings, &shape))?;
    let train = case.attributes.get("train").and_then(|t| t.as_bool()).unwrap_or(true);
    let mut e = Elaborator::new(&source.items, "case", train);
    let graph = graph_of(&mut e, &arranged, &mut given, &source)?;
    let filters: Vec<String> = e.weights.values().filter(|w| w.filter).map(|w| last_name(&w.path)).collect();
    let mut differences = Differences::default();
    for mut machine in machine::all(&graph, arranged.symbols(&shape))? {
        given.iter().for_each(|(name, value)| machine.set(name, value));
        machine.run()?;
        for output in &graph.outputs {
            let ours = machine.get(&output.name)?;
            let reference = arranged.arrange_result(&output.name, case.tensor(&output.name)?, &filters);
            let ours = ours.into_shape_with_order(reference.raw_dim()).map_err(|e| format!("{}: {e}", output.name))?;
            differences.tensor(case, &output.name, &ours, &reference, machine.name());
        }
    }
    Ok(Outcome::Compared(differences))
}

impl Arranged<'_> {
    fn arrange_result(&self, name: &str, reference: &ArrayD<f64>, filters: &[String]) -> ArrayD<f64> {
        let grad = name.strip_prefix("grad.");
        if grad.is_some_and(|n| filters.iter().any(|f| f == n)) {
            return channels_last(reference, 1);
        }
        let input = grad.is_some_and(|n| self.inputs.contains(&n));
        let picture = name.starts_with("out.") && self.entry.layout == Layout::ChannelsSecond;
        if input || picture { self.arrange(reference) } else { reference.clone() }
    }
}

/// The outputs `out.…` and `grad.…` of the case; `given` gets the weights and the upstream gradient.
fn graph_of(
    e: &mut Elaborator<'_>,
    arranged: &Arranged<'_>,
    given: &mut Tensors,
    source: &Source,
) -> Result<Graph, String> {
    let (case, entry, batched) = (arranged.case, arranged.entry, arranged.batched);
    let told = |d: Box<nnc::base::Diagnostic>| d.render(&source.sources);
    let (mut inputs, mut wanted) = (Vec::new(), Vec::new());
    for name in &arranged.inputs {
        let name = format!("in.{name}");
        let integer = case.integers.contains(&name);
        let mut tensor = data(e, &name, given[&name].shape(), batched && given[&name].ndim() > 0, integer, source.span);
        // How many there are of what an index names: the indices are held to it here.
        let count = case.attributes.get("num_embeddings").and_then(|n| n.as_u64()).filter(|_| integer);
        if let Some(count) = count.filter(|&n| given[&name].iter().all(|&i| i >= 0.0 && i < n as f64)) {
            tensor.kind = Kind::Token(Some(Extent::Fixed(count)));
        }
        wanted.push((name.replacen("in.", "grad.", 1), tensor.value));
        inputs.push(Val::tensor(tensor, source.span));
    }
    let def = source.items.defs["case"].clone();
    let settings = Arc::new(BTreeMap::new());
    let func = Func::Def { def, settings, body: None, path: Some(Kept::default()), span: source.span };
    let out = e.apply_func(&func, inputs, source.span).map_err(told)?;
    let ValKind::Tensor(out) = out.kind else { return Err("the case gives no tensor".into()) };
    for path in e.order.clone() {
        // The case knows its weights without the name of the layer that has them all.
        let name = path.split_once('.').map_or(path.as_str(), |(_, rest)| rest);
        given.insert(path.clone(), weight(case, name, &e.weights[&path])?);
        wanted.push((format!("grad.{name}"), e.weights[&path].tensor.value));
    }
    for (path, next) in e.carried.clone() {
        let name = last_name(&path);
        given.insert(path.clone(), weight(case, &name, &e.weights[&path])?);
        if case.tensors.contains_key(&format!("state_after.{name}")) {
            e.graph.output(format!("state_after.{name}"), next.value, None);
        }
    }
    let (name, result) = match entry.mean {
        None => ("y", out.value),
        Some(mean) => ("loss", reduced(e, arranged, mean, &out)?),
    };
    e.graph.output(format!("out.{name}"), result, None);
    let total = match case.tensors.get(&format!("gout.{name}")) {
        Some(upstream) => {
            let ty = e.graph.ty(result).clone();
            let seed = e.graph.input("gout", Role::Data, ty, source.span);
            given.insert("gout".into(), arranged.arrange_result(&format!("out.{name}"), upstream, &[]));
            let product = build::binary(&mut e.graph, "mul", seed, result);
            let axes: Vec<usize> = (0..e.graph.ty(product).rank()).collect();
            build::sum_axes(&mut e.graph, product, &axes)
        }
        None => result,
    };
    wanted.retain(|(name, _)| case.tensors.contains_key(name));
    let by: Vec<Value> = wanted.iter().map(|(_, v)| *v).collect();
    let gradients =
        autodiff::differentiate(&mut e.graph, total, &by).map_err(|n| format!("no gradient of {}", n.op))?;
    for ((name, _), value) in wanted.iter().zip(gradients.values) {
        e.graph.output(name.as_str(), value, None);
    }
    Ok(e.graph.clone().finish())
}

/// An input of the graph that stands for a tensor of the case.
pub fn data(e: &mut Elaborator<'_>, name: &str, shape: &[usize], batched: bool, integer: bool, span: Span) -> Tensor {
    let mut axes: Vec<Axis> = shape.iter().map(|n| Axis::new(Extent::Fixed(*n as u64))).collect();
    if batched {
        axes[0] = Axis { label: Some(Label::Batch), ..Axis::new(Elaborator::BATCH) };
    }
    let dtype = if integer { DType::I32 } else { DType::F32 };
    let ty = Type::new(dtype, axes.iter().map(|a| a.extent).collect());
    let value = e.graph.input(name, Role::Data, ty, span);
    Tensor { value, axes, kind: if integer { Kind::Class(None) } else { Kind::Real } }
}

pub fn last_name(path: &str) -> String {
    path.rsplit('.').next().unwrap_or(path).to_string()
}

/// Axis `from` behind all others, where there is more than one behind it.
pub fn channels_last(t: &ArrayD<f64>, from: usize) -> ArrayD<f64> {
    if t.ndim() <= from + 1 {
        return t.clone();
    }
    let order: Vec<usize> = (0..t.ndim()).filter(|a| *a != from).chain([from]).collect();
    t.clone().permuted_axes(order).as_standard_layout().into_owned()
}

/// The parameter of the case, or what PyTorch computes with where it has none.
pub fn weight(case: &Case, name: &str, weight: &Weight) -> Result<ArrayD<f64>, String> {
    let shape: Vec<usize> = weight.shape.iter().map(|e| e.bound(&[]) as usize).collect();
    let given = ["param", "state"].iter().find_map(|kind| case.tensors.get(&format!("{kind}.{name}")));
    match (given.map(|t| if weight.filter { channels_last(t, 1) } else { t.clone() }), name) {
        (Some(t), _) => t.into_shape_with_order(IxDyn(&shape)).map_err(|e| format!("param.{name}: {e}")),
        (None, "weight" | "running_var") => Ok(ArrayD::ones(IxDyn(&shape))),
        (None, "bias" | "running_mean") => Ok(ArrayD::zeros(IxDyn(&shape))),
        _ => Err(format!("the case has no `param.{name}`")),
    }
}

/// PyTorch's `reduction` of a loss.
fn reduced(e: &mut Elaborator<'_>, arranged: &Arranged<'_>, mean: Mean, out: &Tensor) -> Result<Value, String> {
    let Fraction { sum, weight, .. } = e.fractions.pop().ok_or("a loss leaves its sum and its weight")?;
    let first = arranged.case.tensor(&format!("in.{}", arranged.entry.inputs[0]))?;
    let by = |e: &mut Elaborator<'_>, n: usize| {
        let n = build::constant(&mut e.graph, n as f64, DType::F32);
        build::binary(&mut e.graph, "div", sum.value, n)
    };
    Ok(match (arranged.reduction(), mean) {
        ("mean", Mean::Values) => build::binary(&mut e.graph, "div", sum.value, weight.value),
        ("mean", Mean::Elements) => by(e, first.len()),
        ("batchmean", _) => by(e, first.shape()[0]),
        ("sum", _) => sum.value,
        ("none", _) => {
            // The weight of a value is the derivative of the weighted sum by it.
            let weights = autodiff::differentiate(&mut e.graph, sum.value, &[out.value]);
            let weights = weights.map_err(|n| format!("no gradient of {}", n.op))?.values[0];
            build::binary(&mut e.graph, "mul", out.value, weights)
        }
        (other, _) => return Err(format!("the reduction `{other}`")),
    })
}

pub fn optimizer(case: &Case) -> Result<Outcome, String> {
    let Some(entry) = table::find(table::OPTIMIZERS, &case.op) else {
        return Ok(Outcome::Skipped(format!("no optimizer `{}`", case.op)));
    };
    let rule = match rule(entry, &case.attributes) {
        Ok(rule) => rule,
        Err(attribute) => return Ok(Outcome::Skipped(format!("`{}` has no `{attribute}`", case.op))),
    };
    let source = source(&format!("const rule = {rule}"))?;
    let mut e = Elaborator::new(&source.items, "case", true);
    let expression = ast::Expr::clone(&source.items.consts["rule"].1);
    let mut gradients = Vec::new();
    for (name, first) in case.group_of("in.").filter(|(n, _)| !n.starts_with("grad.")) {
        let tensor = data(&mut e, name, first.shape(), false, false, source.span);
        let shape = tensor.axes.iter().map(|a| a.extent).collect();
        gradients.push(data(&mut e, &format!("gradient.{name}"), first.shape(), false, false, source.span).value);
        let init = expression.clone();
        let weight = Weight {
            path: name.into(),
            tensor,
            shape,
            filter: false,
            role: Role::Param,
            init,
            vars: BTreeMap::new(),
            span: source.span,
            made: (0, source.span),
        };
        e.weights.insert(name.into(), weight);
        e.order.push(name.into());
    }
    let rule = UpdateRule { optimizer: expression, schedules: vec![], clip: None, counted: true };
    e.update(&rule, &gradients).map_err(|d| d.render(&source.sources))?;
    let (names, states, graph) = (e.order.clone(), e.states.clone(), e.graph.clone().finish());
    let mut differences = Differences::default();
    for mut machine in machine::all(&graph, [1, 1])? {
        first_states(machine.as_mut(), &graph, &states);
        names.iter().for_each(|n| machine.set(n, &case.tensors[&format!("in.{n}")]));
        let mut paths: BTreeMap<&str, Vec<ArrayD<f64>>> = BTreeMap::new();
        let steps = case.tensor(&format!("out.{}", names[0]))?.shape()[0];
        for step in 0..steps {
            machine.set("step", &ArrayD::from_elem(IxDyn(&[]), (step + 1) as f64));
            for name in &names {
                let all = case.tensor(&format!("in.grad.{name}"))?;
                machine.set(&format!("gradient.{name}"), &all.index_axis(Place(0), step).to_owned());
            }
            machine.run()?;
            for name in &names {
                paths.entry(name).or_default().push(machine.get(name)?);
            }
        }
        for (name, path) in paths {
            let views: Vec<_> = path.iter().map(|t| t.view()).collect();
            let ours = ndarray::stack(Place(0), &views).map_err(|e| e.to_string())?;
            let name = format!("out.{name}");
            differences.tensor(case, &name, &ours, case.tensor(&name)?, machine.name());
        }
    }
    Ok(Outcome::Compared(differences))
}

/// `adam(lr = 0.01, …)`
pub fn rule(entry: &Entry, attributes: &table::Attributes) -> Result<String, String> {
    let (name, settings) = table::call(entry, attributes, 0)?;
    Ok(format!("{name}({})", settings.join(", ")))
}

/// Every state at its first value.
pub fn first_states(machine: &mut dyn machine::Machine, graph: &Graph, states: &[nnc::check::optimizer::StateInit]) {
    for state in states {
        let Some(input) = graph.inputs.iter().find(|i| i.name == state.name) else { continue };
        let shape: Vec<usize> = input.ty.shape.iter().map(|e| e.bound(&[1, 1]) as usize).collect();
        machine.set(&state.name, &ArrayD::from_elem(IxDyn(&shape), state.value));
    }
}
