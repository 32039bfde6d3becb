//! Recurrent layers: several layers, both directions, initial states, all states and the last ones.
//!
//! In: a case of `rnn`, `gru` or `lstm`. Out: its differences from the reference. Invariant: the network follows from the
//! attributes: one layer of the library for each layer and direction, named by its ending.

use super::Outcome;
use super::build::{data, source, weight};
use super::compare::Differences;
use super::file::{Case, Tensors};
use super::machine;
use ndarray::ArrayD;
use nnc::check::elaborate::Elaborator;
use nnc::check::value::{Func, Kept, Val, ValKind};
use nnc::graph::Role;
use nnc::ops::{Emit, Value, build};
use nnc::passes::autodiff;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the attributes say.
struct Network {
    units: u64,
    /// The width of h, where it is not that of c.
    narrow: Option<u64>,
    layers: u64,
    directions: u64,
    bias: bool,
    relu: bool,
    cell: String,
}

pub fn is_one(case: &Case) -> bool {
    ["rnn", "gru", "lstm"].contains(&case.op.as_str())
}

fn network(case: &Case) -> Result<Network, String> {
    let known = [
        "input_size",
        "hidden_size",
        "num_layers",
        "bias",
        "bidirectional",
        "nonlinearity",
        "batch_first",
        "proj_size",
    ];
    if let Some(unknown) = case.attributes.keys().find(|a| !known.contains(&a.as_str())) {
        return Err(unknown.clone());
    }
    let get = |name: &str| case.attributes.get(name).filter(|v| !v.is_null());
    let flag = |name: &str, default| get(name).and_then(|v| v.as_bool()).unwrap_or(default);
    let relu = match get("nonlinearity").and_then(|v| v.as_str()) {
        None | Some("tanh") => false,
        Some("relu") if case.op == "rnn" => true,
        _ => return Err("nonlinearity".into()),
    };
    Ok(Network {
        units: get("hidden_size").and_then(|v| v.as_u64()).ok_or("hidden_size")?,
        narrow: get("proj_size").and_then(|v| v.as_u64()).filter(|&n| n > 0 && case.op == "lstm"),
        layers: get("num_layers").and_then(|v| v.as_u64()).unwrap_or(1),
        directions: 1 + u64::from(flag("bidirectional", false)),
        bias: flag("bias", true),
        relu,
        cell: case.op.clone(),
    })
}

impl Network {
    fn states(&self) -> &'static [&'static str] {
        if self.cell == "lstm" { &["h", "c"] } else { &["h"] }
    }

    fn width(&self, state: &str) -> u64 {
        self.narrow.filter(|_| state == "h").unwrap_or(self.units)
    }

    fn text(&self, inputs: &[String]) -> String {
        let Network { units, layers, directions, bias, cell, .. } = self;
        let count = layers * directions;
        let numbered = |name: &str| (0..count).map(|k| format!("{name}{k}")).collect::<Vec<_>>().join(", ");
        let results: Vec<String> = self.states().iter().map(|s| format!("{s}n")).collect();
        let mut text = format!("block case  {} -> y, {} {{\n", inputs.join(", "), results.join(", "));
        let given: Vec<&str> = self.states().iter().copied().filter(|s| inputs.contains(&format!("{s}0"))).collect();
        for s in &given {
            let split = if count > 1 { format!(" -> split({count})") } else { String::new() };
            let width = self.width(s);
            text += &format!("  {} = reshape({s}0, [{}]){split}\n", numbered(&format!("{s}first")), count * width);
        }
        let mut below = "x".to_string();
        for layer in 0..*layers {
            let mut sides = vec![];
            for direction in 0..*directions {
                let (k, reverse) = (layer * directions + direction, direction == 1);
                let ending = if reverse { "_reverse" } else { "" };
                let targets: Vec<String> = self.states().iter().map(|s| format!("{s}last{k}")).collect();
                let firsts: String = given.iter().map(|s| format!(", {s}0 = {s}first{k}")).collect();
                let relu = if self.relu { ", relu = true" } else { "" };
                let narrow = self.narrow.map_or(String::new(), |n| format!(", proj = {n}"));
                text += &format!(
                    "  f{k} = keep(one_{cell}({units}, bias = {bias}{relu}{narrow}, give = states, reverse = {reverse}{firsts}), \
                     \"_l{layer}{ending}\")\n  y{k}, {} = {below} -> f{k}\n",
                    targets.join(", ")
                );
                sides.push(format!("y{k}"));
            }
            below = format!("x{}", layer + 1);
            text += &format!("  {below} = [{}] -> concat\n", sides.join(", "));
        }
        text += &format!("  y = {below}\n");
        for s in self.states() {
            let rows: Vec<String> =
                (0..count).map(|k| format!("reshape({s}last{k}, [1, {}])", self.width(s))).collect();
            text += &format!("  {s}n = [{}] -> concat(axis = 0)\n", rows.join(", "));
        }
        text + "}\n"
    }
}

/// States have the batch as their second axis in the reference, as the first one here.
fn turned(name: &str, t: &ArrayD<f64>) -> ArrayD<f64> {
    let name = name.rsplit('.').next().unwrap_or(name);
    if !["h0", "c0", "hn", "cn"].contains(&name) {
        return t.clone();
    }
    t.clone().permuted_axes(vec![1, 0, 2]).as_standard_layout().into_owned()
}

pub fn operator(case: &Case) -> Result<Outcome, String> {
    let network = match network(case) {
        Ok(network) => network,
        Err(attribute) => return Ok(Outcome::Skipped(format!("`{}` has no `{attribute}`", case.op))),
    };
    let inputs: Vec<String> = ["x", "h0", "c0"]
        .map(String::from)
        .into_iter()
        .filter(|i| case.tensors.contains_key(&format!("in.{i}")))
        .collect();
    let source = source(&network.text(&inputs))?;
    let told = |d: Box<nnc::base::Diagnostic>| d.render(&source.sources);
    let mut e = Elaborator::new(&source.items, "case", true);
    let (mut given, mut wanted, mut values) = (Tensors::new(), vec![], vec![]);
    for name in &inputs {
        let key = format!("in.{name}");
        given.insert(key.clone(), turned(name, case.tensor(&key)?));
        let tensor = data(&mut e, &key, given[&key].shape(), true, false, source.span);
        wanted.push((format!("grad.{name}"), tensor.value));
        values.push(Val::tensor(tensor, source.span));
    }
    let (def, settings) = (source.items.defs["case"].clone(), Arc::new(BTreeMap::new()));
    let func = Func::Def { def, settings, body: None, path: Some(Kept::default()), span: source.span };
    let ValKind::List(results) = e.apply_func(&func, values, source.span).map_err(told)?.kind else {
        return Err("the case gives no list".into());
    };
    for path in e.order.clone() {
        let name = path.rsplit('.').next().unwrap_or(&path);
        given.insert(path.clone(), weight(case, name, &e.weights[&path])?);
        wanted.push((format!("grad.{name}"), e.weights[&path].tensor.value));
    }
    let mut total: Option<Value> = None;
    let names = std::iter::once("y".to_string()).chain(network.states().iter().map(|s| format!("{s}n")));
    for (name, result) in names.zip(results) {
        let ValKind::Tensor(result) = result.kind else { return Err(format!("`{name}` is no tensor")) };
        e.graph.output(format!("out.{name}"), result.value, None);
        let Some(upstream) = case.tensors.get(&format!("gout.{name}")) else { continue };
        let key = format!("gout.{name}");
        let seed = e.graph.input(key.as_str(), Role::Data, e.graph.ty(result.value).clone(), source.span);
        given.insert(key, turned(&name, upstream));
        let product = build::mul(&mut e.graph, seed, result.value);
        let axes: Vec<usize> = (0..e.graph.ty(product).rank()).collect();
        let sum = build::sum_axes(&mut e.graph, product, &axes);
        total = Some(total.map_or(sum, |before| build::add(&mut e.graph, before, sum)));
    }
    let by: Vec<Value> = wanted.iter().map(|(_, v)| *v).collect();
    let gradients = autodiff::differentiate(&mut e.graph, total.ok_or("no upstream gradient")?, &by);
    let gradients = gradients.map_err(|n| format!("no gradient of {}", n.op))?;
    for ((name, _), value) in wanted.iter().zip(gradients.values) {
        e.graph.output(name.as_str(), value, None);
    }
    let (graph, batch) = (e.graph.clone().finish(), given["in.x"].shape()[0] as u64);
    let mut differences = Differences::default();
    for mut machine in machine::all(&graph, [batch; 2])? {
        given.iter().for_each(|(name, value)| machine.set(name, value));
        machine.run()?;
        for output in &graph.outputs {
            let ours = machine.get(&output.name)?;
            let reference = turned(&output.name, case.tensor(&output.name)?);
            differences.tensor(case, &output.name, &ours, &reference, machine.name());
        }
    }
    Ok(Outcome::Compared(differences))
}
