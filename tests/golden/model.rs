//! Whole training runs: the loss before each update, the gradients of the first step, the weights at the end.
//!
//! In: a case of the group `model`. Out: its differences from the reference. Invariant: the network is a source file whose
//! layers have the names that the reference gives to its weights.

use super::Outcome;
use super::build::{channels_last, first_states, last_name, rule, weight};
use super::compare::Differences;
use super::file::Case;
use super::machine;
use super::table;
use ndarray::{ArrayD, Axis as Place, IxDyn};
use nnc::check::elaborate::Elaborator;
use nnc::driver::pipeline::Library;
use nnc::graph::Graph;
use nnc::passes::autodiff;
use serde_json::{Value, json};

/// The bar for the loss of each step.
const LOSS: f64 = 1e-4;
/// Gradients of the reference (of f64) below this are 0 in exact arithmetic.
const NOTHING: f64 = 1e-12;

/// The f64 interpreter needs about 100 ns for each product: with more elements in a batch times weights than the first
/// number it takes one step only, with more than the second none, unless `NNC_LONG` is set.
const WHOLE: usize = 20_000_000;
const ONE_STEP: usize = 500_000_000;

pub fn training(case: &Case) -> Result<Outcome, String> {
    let text = match case.op.as_str() {
        "mlp" => perceptron(case)?,
        "vae" => autoencoder(case)?,
        "transformer" => transformer(case)?,
        "rnn" => recurrent(case)?,
        "lenet" => lenet(case)?,
        "cnn3" => three_convolutions(case)?,
        other => return Ok(Outcome::Skipped(format!("no network `{other}`"))),
    };
    let nowhere = |path: &str| Err(nnc::base::Diagnostic::plain("E0601", format!("no file {path}")));
    let analysis = Library::load().analyse("case.nn", &text, &nowhere);
    if analysis.has_errors() {
        return Err(analysis.diagnostics.iter().map(|d| d.render(&analysis.sources)).collect());
    }
    let checked = &analysis.checked;
    let run = &checked.runs[0];
    let mut e = Elaborator::new(&checked.items, "case", true);
    let told = |d: Box<nnc::base::Diagnostic>| d.render(&analysis.sources);
    let forward = e.forward(run, &checked.data_of(run)).map_err(told)?;
    e.graph.output("case.loss", forward.loss, None);
    let weights: Vec<_> = e.order.iter().map(|p| e.weights[p].tensor.value).collect();
    let gradients = autodiff::differentiate(&mut e.graph, forward.loss, &weights);
    let gradients = gradients.map_err(|n| format!("no gradient of {}", n.op))?.values;
    for (path, gradient) in e.order.clone().iter().zip(&gradients) {
        e.graph.output(format!("grad.{path}"), *gradient, None);
    }
    e.update(&run.rule, &gradients).map_err(told)?;
    e.store_carried();
    let (states, graph) = (e.states.clone(), e.graph.clone().finish());
    compare(case, &graph, &states, &e)
}

fn compare(
    case: &Case,
    graph: &Graph,
    states: &[nnc::check::optimizer::StateInit],
    e: &Elaborator<'_>,
) -> Result<Outcome, String> {
    let (weights, x) = (&e.order, case.tensor("in.x")?);
    // Filters and pictures have their channels behind the batch, ours in the end.
    let filters: Vec<&String> = e.weights.values().filter(|w| w.filter).map(|w| &w.path).collect();
    let theirs = |name: &str| -> Result<ArrayD<f64>, String> {
        let filter = name.split_once('.').is_some_and(|(_, path)| filters.iter().any(|f| *f == path));
        case.tensor(name).map(|t| if filter { channels_last(t, 1) } else { t.clone() })
    };
    let carried: Vec<&String> = e.carried.iter().map(|(path, _)| path).collect();
    let (steps, batch) = (x.shape()[0], x.shape()[1]);
    let adaptive = case.attributes.get("opt").is_some_and(|o| o[0].as_str().is_some_and(|o| o.starts_with("adam")));
    let mut differences = Differences::default();
    let count: usize = weights.iter().map(|w| case.tensors[&format!("param.{w}")].len()).sum();
    let work = x.len() / steps * count;
    for mut machine in machine::all(graph, [batch as u64, (steps * batch) as u64])? {
        let limited = machine.in_f64() && std::env::var_os("NNC_LONG").is_none();
        let taken = if !limited || work <= WHOLE { steps } else { 1 };
        if limited && work > ONE_STEP {
            continue;
        }
        first_states(machine.as_mut(), graph, states);
        for path in weights {
            machine.set(path, &theirs(&format!("param.{path}"))?);
        }
        for path in &carried {
            machine.set(path, &weight(case, &last_name(path), &e.weights[*path])?);
        }
        for (name, t) in case.group_of("in.") {
            let shape: Vec<usize> = std::iter::once(steps * batch).chain(t.shape()[2..].iter().copied()).collect();
            let rows = t.clone().into_shape_with_order(IxDyn(&shape)).map_err(|e| e.to_string())?;
            let rows = if case.attributes.contains_key("image") { channels_last(&rows, 1) } else { rows };
            machine.set(&format!("d.{name}"), &rows);
        }
        let mut losses = Vec::new();
        for step in 0..taken {
            let rows = (step * batch..(step + 1) * batch).map(|r| r as f64).collect();
            let rows = ArrayD::from_shape_vec(IxDyn(&[batch]), rows).map_err(|e| e.to_string())?;
            machine.set("rows", &rows);
            machine.set("step", &ArrayD::from_elem(IxDyn(&[]), (step + 1) as f64));
            machine.run()?;
            losses.push(machine.get("case.loss")?.sum());
            if step == 0 {
                for path in weights {
                    let name = format!("grad.{path}");
                    differences.tensor(case, &name, &machine.get(&name)?, &theirs(&name)?, machine.name());
                }
            }
        }
        let losses = ArrayD::from_shape_vec(IxDyn(&[taken]), losses).map_err(|e| e.to_string())?;
        let theirs_first = case.tensor("out.losses")?.slice_axis(Place(0), (..taken).into()).to_owned();
        differences.within("out.losses", &losses, &theirs_first, LOSS, machine.name());
        if taken < steps {
            continue;
        }
        for path in weights.iter().chain(carried.iter().copied()) {
            let (name, mut ours) = (format!("final.{path}"), machine.get(path)?);
            // The update of an adaptive optimizer amplifies the rounding of every gradient before it. Where the gradient is 0 in
            // exact arithmetic (a bias of the keys of an attention), it is all that moves the weight.
            if adaptive && !carried.contains(&path) {
                let (first, end) = (theirs(&format!("grad.{path}"))?, theirs(&name)?);
                ndarray::Zip::from(&mut ours).and(&first).and(&end).for_each(|ours, first, end| {
                    if first.abs() <= NOTHING && ours.is_finite() {
                        *ours = *end;
                    }
                });
            }
            differences.within(&name, &ours, &theirs(&name)?, LOSS, machine.name());
        }
    }
    Ok(Outcome::Compared(differences))
}

fn numbers(case: &Case, key: &str) -> Result<Vec<u64>, String> {
    let list = case.attributes.get(key).and_then(Value::as_array).ok_or_else(|| format!("no `{key}`"))?;
    Ok(list.iter().filter_map(Value::as_u64).collect())
}

/// `adam(lr = 0.01, …)` from `["adam", 0.01, {}]`.
fn optimizer(case: &Case) -> Result<String, String> {
    let told = case.attributes.get("opt").ok_or("no `opt`")?;
    let (kind, more) = (told[0].as_str().ok_or("`opt` names no optimizer")?, &told[2]);
    let or_zero = |key: &str| more.get(key).cloned().unwrap_or(json!(0.0));
    let (op, attribute) = match kind {
        "sgd" => ("sgd", None),
        "momentum" => ("sgd", Some(("momentum", or_zero("mu")))),
        "adam" => ("adam", None),
        "adamw" => ("adamw", Some(("weight_decay", or_zero("wd")))),
        other => return Err(format!("the optimizer `{other}`")),
    };
    let mut attributes = table::Attributes::from([("lr".to_string(), told[1].clone())]);
    attributes.extend(attribute.map(|(k, v)| (k.to_string(), v)));
    rule(table::find(table::OPTIMIZERS, op).ok_or("the optimizer is in the table")?, &attributes)
}

fn batch(case: &Case) -> u64 {
    case.attributes.get("batch").and_then(Value::as_u64).unwrap_or(1)
}

fn perceptron(case: &Case) -> Result<String, String> {
    let dims = numbers(case, "dims")?;
    let act = case.attributes.get("act").and_then(Value::as_str).ok_or("no `act`")?;
    let (Some(first), Some(last)) = (dims.first(), dims.last()) else { return Err("no sizes".into()) };
    let (mut layers, mut chain) = (String::new(), "x".to_string());
    for (i, out) in dims[1..].iter().enumerate() {
        layers.push_str(&format!("  l{i} = dense({out})\n"));
        chain.push_str(&if i == 0 { format!(" -> l{i}") } else { format!(" -> {act} -> l{i}") });
    }
    Ok(format!(
        "data d = given {{ x: [{first}]; y: class({last}) }}\n\
         model m  x: [{first}] -> logits[{last}] {{\n{layers}  {chain}\n}}\n\
         train m on d {{ loss = cross_entropy; optimizer = {}; batch = {}; stop = 20 steps }}\n",
        optimizer(case)?,
        batch(case)
    ))
}

/// A recurrent layer whose last state, or with attention its states weighed and the last one, is classified.
fn recurrent(case: &Case) -> Result<String, String> {
    let number = |key: &str| case.attributes.get(key).and_then(Value::as_u64).ok_or(format!("no `{key}`"));
    let (seq, inp, hidden, classes) = (number("seq")?, number("inp")?, number("hidden")?, number("classes")?);
    let cell = case.attributes.get("cell").and_then(Value::as_str).ok_or("no `cell`")?;
    let attention = case.attributes.get("attention").and_then(Value::as_bool).unwrap_or(false);
    let states = if cell == "lstm" { "states, last, memory" } else { "states, last" };
    let body = if attention {
        format!(
            "  att_k = dense({hidden})\n  att_q = dense({hidden}, bias = false)\n  att_v = dense(1, bias = false)\n\
             \x20 {states} = x -> rnn\n\
             \x20 query = reshape(last -> att_q, [1, {hidden}])\n\
             \x20 share = ((states -> att_k) + query) -> tanh -> att_v -> softmax(axis = 0)\n\
             \x20 context = sum(share * states, axis = 0)\n\
             \x20 [context, last] -> concat -> out\n"
        )
    } else {
        "  x -> rnn -> out\n".to_string()
    };
    let give = if attention { "states" } else { "last" };
    Ok(format!(
        "data d = given {{ x: [{seq}, {inp}]; y: class({classes}) }}\n\
         model m  x: [{seq}, {inp}] -> logits[{classes}] {{\n\
         \x20 rnn = {cell}({hidden}, give = {give})\n  out = dense({classes})\n{body}}}\n\
         train m on d {{ loss = cross_entropy; optimizer = {}; batch = {}; stop = 20 steps }}\n",
        optimizer(case)?,
        batch(case)
    ))
}

/// The noise is left out: z is the mean. The reconstruction is summed over the elements of an example.
fn autoencoder(case: &Case) -> Result<String, String> {
    let [x, h, z] = numbers(case, "dims")?[..] else { return Err("an autoencoder has three sizes".into()) };
    Ok(format!(
        "data d = given {{ x: [{x}] }}\n\
         model m  x: [{x}] -> o: [{x}], centre: [{z}], spread: [{z}] {{\n\
           enc = dense({h})\n  mu = dense({z})\n  logvar = dense({z})\n  dec0 = dense({h})\n  dec1 = dense({x})\n\
           hidden = x -> enc -> relu\n  centre = hidden -> mu\n  spread = hidden -> logvar\n\
           o = centre -> dec0 -> relu -> dec1\n}}\n\
         train m on d {{\n\
           loss = {x} * binary_cross_entropy_logits(o, x) + gaussian_kl(centre, spread)\n\
           optimizer = {}\n  batch = {}\n  stop = 20 steps\n}}\n",
        optimizer(case)?,
        batch(case)
    ))
}

/// Layers with the norm before each part; the class of every step, or without `causal` of the mean of all steps.
fn transformer(case: &Case) -> Result<String, String> {
    let number = |key: &str| case.attributes.get(key).and_then(Value::as_u64).ok_or_else(|| format!("no `{key}`"));
    let (layers, d, heads, ff) = (number("layers")?, number("d")?, number("heads")?, number("ff")?);
    let (seq, vocab, classes) = (number("seq")?, number("vocab")?, number("classes")?);
    let causal = case.attributes.get("causal").and_then(Value::as_bool).unwrap_or(false);
    let mut body = format!("  tok = embedding({d}); pos = position(learned); nf = layernorm; out = dense({classes})\n");
    body.push_str("  h = x -> tok -> pos\n");
    for i in 0..layers {
        body.push_str(&format!(
            "  b{i}n0 = layernorm; b{i}qkv = dense({}); b{i}proj = dense({d})\n\
             \x20 b{i}n1 = layernorm; b{i}ff0 = dense({ff}); b{i}ff1 = dense({d})\n\
             \x20 q, k, v = h -> b{i}n0 -> b{i}qkv -> split(3)\n\
             \x20 h = h + (head_attention(q, k, v, heads = {heads}, causal = {causal}) -> b{i}proj)\n\
             \x20 h = h + (h -> b{i}n1 -> b{i}ff0 -> gelu(exact = false) -> b{i}ff1)\n",
            3 * d
        ));
    }
    let (axes, each, last) = if causal {
        (format!("[{seq}, {classes}]"), format!("[{seq}]"), "h -> nf -> out")
    } else {
        (format!("[{classes}]"), String::new(), "mean(h -> nf, axis = 0) -> out")
    };
    Ok(format!(
        "data d = given {{ x: token({vocab})[{seq}]; y: class({classes}){each} }}\n\
         model m  x: token({vocab})[{seq}] -> logits{axes} {{\n{body}  {last}\n}}\n\
         train m on d {{ loss = cross_entropy; optimizer = {}; batch = {}; stop = 20 steps }}\n",
        optimizer(case)?,
        batch(case)
    ))
}

/// The text of a network on pictures.
fn picture_net(case: &Case, layers: &dyn Fn(u64) -> String, chain: &str) -> Result<String, String> {
    let [channels, height, width] = numbers(case, "image")?[..] else { return Err("a picture has three axes".into()) };
    let classes = case.attributes.get("classes").and_then(Value::as_u64).ok_or("no `classes`")?;
    let layers = layers(classes);
    Ok(format!(
        "data d = given {{ x: image[{height}, {width}, {channels}]; y: class({classes}) }}\n\
         model m  x: [H, W, C] -> logits[{classes}] {{\n{layers}\n  x -> {chain}\n}}\n\
         train m on d {{ loss = cross_entropy; optimizer = {}; batch = {}; stop = 20 steps }}\n",
        optimizer(case)?,
        batch(case)
    ))
}

fn lenet(case: &Case) -> Result<String, String> {
    let layers = |classes| {
        format!("c0 = conv(6, 5, pad = 2); c1 = conv(16, 5); l0 = dense(120); l1 = dense(84); l2 = dense({classes})")
    };
    let chain = "c0 -> relu -> maxpool(2) -> c1 -> relu -> maxpool(2) -> flatten(C, H, W) \
                 -> l0 -> relu -> l1 -> relu -> l2";
    picture_net(case, &layers, chain)
}

fn three_convolutions(case: &Case) -> Result<String, String> {
    let (mut layers, mut chain) = (String::new(), String::new());
    for (i, out) in [32, 64, 128].iter().enumerate() {
        layers.push_str(&format!("c{i} = conv({out}, 3, pad = 1, bias = false); n{i} = batchnorm\n"));
        chain.push_str(&format!("c{i} -> n{i} -> relu -> maxpool(2) -> "));
    }
    picture_net(case, &|classes| format!("{layers}out = dense({classes})"), &format!("{chain}flatten(C, H, W) -> out"))
}
