//! The gradient of every definition of the library against central differences, at several shapes.
//!
//! In: the example of each definition. Out: nothing, or the first difference. Invariant: the differences are of the same
//! graph in f64, at points drawn so that no kink lies within a step.

use ndarray::{ArrayD, IxDyn};
use nnc::check::elaborate::Elaborator;
use nnc::check::library;
use nnc::driver::pipeline::Library;
use nnc::graph::{self, Graph, Role};
use nnc::ops::{Emit, build};
use nnc::passes::autodiff;
use std::collections::BTreeMap;

const BATCH: u64 = 2;

/// Name, inputs and body of every definition whose example is a computation.
fn examples() -> Vec<(String, String, String)> {
    let (mut out, mut example) = (Vec::new(), None);
    for line in library::FILES.iter().flat_map(|(_, text)| text.lines()) {
        if let Some(e) = line.strip_prefix("// Example: ") {
            example = e.split_once('{').map(|(a, b)| (a.trim().to_string(), b.to_string()));
        }
        let words: Vec<&str> = line.split([' ', '(']).collect();
        if ["fn", "block", "op", "loss"].contains(&words[0])
            && let Some((inputs, body)) = example.take()
        {
            out.push((words[1].to_string(), inputs, body));
        }
    }
    out
}

/// The example with other extents: each number in brackets of an input, and the same number in the body, becomes another.
fn resized(inputs: &str, body: &str, shift: u64) -> (String, String) {
    let (mut inputs, mut body) = (inputs.to_string(), body.to_string());
    for old in (2..=6u64).rev() {
        // Distinct extents stay distinct, and equal ones equal.
        let new = 10 * (old + shift);
        inputs = word(&inputs, &old.to_string(), &new.to_string());
        body = word(&body, &format!("dense({old})"), &format!("dense({new})"));
    }
    let small = |text: &str| (2..=11u64).fold(text.to_string(), |t, n| word(&t, &(10 * n).to_string(), &n.to_string()));
    (small(&inputs), small(&body))
}

/// Replaces a text where no digit stands beside it.
fn word(text: &str, old: &str, new: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(old) {
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit() || c == '.');
        let (before, after) = (&rest[..at], &rest[at + old.len()..]);
        out.push_str(before);
        let inside = digit(before.chars().last())
            || digit(after.chars().next())
            || before.ends_with('f')
            || before.ends_with('l');
        out.push_str(if inside { old } else { new });
        rest = after;
    }
    out + rest
}

fn file(inputs: &str, body: &str) -> String {
    let mut fields = String::new();
    let mut depth = 0;
    for c in inputs.replace("logits", "").chars() {
        depth += i32::from(c == '[' || c == '(') - i32::from(c == ']' || c == ')');
        fields.push(if c == ',' && depth == 0 { ';' } else { c });
    }
    format!(
        "data d = given {{ {fields}; goal: class(2) }}\nmodel m  {inputs} {{ {body}\n\
         train m on d {{ loss = sum(output); optimizer = adam(lr = 0.01); stop = 3 epochs }}\n"
    )
}

/// The loss alone, the loss with its gradients, and what they are by.
pub type Graphs = (Graph, Graph, Vec<String>);

/// The model's output summed, and its gradients by real fields and weights, named by their inputs.
pub fn graph_of(text: &str) -> Result<Graphs, String> {
    let nowhere = |path: &str| Err(nnc::base::Diagnostic::plain("E0601", format!("no file {path}")));
    let a = Library::load().analyse("example.nn", text, &nowhere);
    if a.has_errors() {
        return Err(a.diagnostics.iter().map(|d| d.render(&a.sources)).collect());
    }
    let run = &a.checked.runs[0];
    // As in training, but for what is random.
    let mut e = Elaborator::new(&a.checked.items, "example", true);
    e.random = false;
    let f = e.forward(run, &a.checked.data_of(run)).map_err(|d| d.render(&a.sources))?;
    let mut value = f.outputs[0].1.value;
    if e.graph.ty(value).dtype != nnc::base::DType::F32 {
        return Ok((Graph::default(), Graph::default(), vec![]));
    }
    let axes: Vec<usize> = (0..e.graph.ty(value).rank()).collect();
    // Each element counts differently, or the gradient of a softmax would be 0.
    let square = build::binary(&mut e.graph, "mul", value, value);
    value = if axes.is_empty() { square } else { build::sum_axes(&mut e.graph, square, &axes) };
    e.graph.output("loss", value, None);
    let loss = e.graph.clone().finish();
    let real = |i: &&graph::Input| i.ty.dtype == nnc::base::DType::F32 && matches!(i.role, Role::Param | Role::Data);
    let by: Vec<_> = e.graph.graph().inputs.iter().filter(real).map(|i| (i.name.clone(), i.value)).collect();
    let values: Vec<_> = by.iter().map(|(_, v)| *v).collect();
    let gradients = autodiff::differentiate(&mut e.graph, value, &values);
    let Ok(gradients) = gradients else { return Ok((Graph::default(), Graph::default(), vec![])) };
    for ((name, _), g) in by.iter().zip(gradients.values) {
        e.graph.output(format!("grad {name}"), g, None);
    }
    Ok((loss, e.graph.clone().finish(), by.into_iter().map(|(n, _)| n).collect()))
}

/// Numbers between -1.5 and 1.5 that keep away from 0, ±1 and halves, where the definitions have their kinks.
fn point(seed: &mut u64) -> f64 {
    *seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    let u = (*seed >> 11) as f64 / (1u64 << 53) as f64;
    let cell = (u * 6.0).floor();
    -1.5 + 0.5 * cell + 0.1 + 0.3 * (u * 6.0 - cell)
}

fn inputs_of(graph: &Graph, seed: &mut u64) -> BTreeMap<String, ArrayD<f64>> {
    let mut out = BTreeMap::new();
    for input in &graph.inputs {
        let shape: Vec<usize> = input.ty.shape.iter().map(|e| e.bound(&[BATCH; 2]) as usize).collect();
        let count: usize = shape.iter().product();
        let values = (0..count).map(|i| match (input.role, input.ty.dtype) {
            (Role::Rows, _) => i as f64,
            (_, nnc::base::DType::F32) => point(seed),
            _ => (i % 2) as f64,
        });
        let values: Vec<f64> = values.collect();
        out.insert(input.name.clone(), ArrayD::from_shape_vec(IxDyn(&shape), values).expect("the shape's numbers"));
    }
    out
}

/// The first element whose gradient is not the slope.
pub fn difference(forward: &Graph, graph: &Graph, names: &[String], seed: &mut u64) -> Option<String> {
    let mut inputs = inputs_of(graph, seed);
    let place = |name: &str| graph.outputs.iter().position(|o| o.name == name).expect("an output");
    let results = graph::eval(graph, &inputs, &[BATCH; 2]).expect("it runs");
    for name in names {
        let gradient = &results[place(&format!("grad {name}"))];
        let count = gradient.len();
        for i in (0..count).step_by((count / 12).max(1)) {
            let at = inputs[name].as_slice().expect("row-major")[i];
            let h = 1e-5 * at.abs().max(1.0);
            let mut value = |x: f64| {
                inputs.get_mut(name).expect("an input").as_slice_mut().expect("row-major")[i] = x;
                graph::eval(forward, &inputs, &[BATCH; 2]).expect("it runs")[0].sum()
            };
            let (above, below) = (value(at + h), value(at - h));
            value(at);
            let (slope, ours) = ((above - below) / (2.0 * h), gradient.as_slice().expect("row-major")[i]);
            // The difference of two rounded values, divided by 2h, is known to this much.
            let rounding = 4.0 * f64::EPSILON * above.abs().max(below.abs()) / h;
            let error = (slope - ours).abs();
            if error.is_nan() || error > 1e-8 + rounding + 1e-6 * slope.abs() {
                return Some(format!("{name}[{i}]: the gradient is {ours}, the slope {slope}"));
            }
        }
    }
    None
}

#[test]
fn every_gradient_of_the_library_is_its_slope() {
    let (mut wrong, mut seed, mut compared) = (String::new(), 7, 0);
    for (name, inputs, body) in examples() {
        for shift in 0..5 {
            let (inputs, body) = resized(&inputs, &body, shift);
            let text = file(&inputs, &body);
            match graph_of(&text) {
                Err(why) => wrong.push_str(&format!("--- {name}\n{text}\n{why}\n")),
                Ok((_, _, names)) if names.is_empty() => {}
                Ok((forward, graph, names)) => {
                    compared += 1;
                    if let Some(d) = difference(&forward, &graph, &names, &mut seed) {
                        wrong.push_str(&format!("--- {name}: {d}\n{text}\n"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(compared > 5 * 46, "{compared} examples have gradients");
}

#[test]
fn a_probability_that_is_nearly_0_or_1_has_a_finite_gradient() {
    let text = "data d = given { z: [1]; t: [1] }\nmodel m  z: [1], t: [1] -> [1] { OUT }\n\
                train m on d { loss = sum(output); optimizer = adam(lr = 0.01); stop = 3 epochs }\n";
    // Per body: the value and the gradient of its square by z.
    let of = |body: &str, z: f64, t: f64| {
        let (_, graph, _) = graph_of(&text.replace("OUT", body)).expect("it compiles");
        let one = |x| ArrayD::from_elem(IxDyn(&[BATCH as usize, 1]), x);
        let mut inputs = inputs_of(&graph, &mut 7);
        inputs.insert("d.z".into(), one(z));
        inputs.insert("d.t".into(), one(t));
        let results = graph::eval(&graph, &inputs, &[BATCH; 2]).expect("it runs");
        let place = graph.outputs.iter().position(|o| o.name == "grad d.z").expect("an output");
        let value = (results[0].sum() / BATCH as f64).sqrt();
        (value, results[place].as_slice().expect("row-major")[0] / (2.0 * value))
    };
    let near = |(a, b): (f64, f64), (c, d): (f64, f64)| {
        assert!((a - c).abs() <= 1e-6 * c.abs() && (b - d).abs() <= 1e-6 * d.abs(), "({a}, {b}) is not ({c}, {d})");
    };
    let bce = "binary_cross_entropy(sigmoid(z), t)";
    near(of(bce, -25.0, 1.0), (25.0, -1.0));
    near(of(bce, 25.0, 0.0), (25.0, 1.0));
    let far = of(bce, -300.0, 1.0);
    assert!(far.0 == 100.0 && far.1.abs() < 1e-100, "{far:?}");
    near(of("z -> sigmoid", -60.0, 0.0), ((-60f64).exp(), (-60f64).exp()));
    near(of("z -> softplus", -60.0, 0.0), ((-60f64).exp(), (-60f64).exp()));
    near(of("z -> softplus", 0.0, 0.0), (2f64.ln(), 0.5));
    near(of("binary_cross_entropy_logits(z, t)", 0.0, 1.0), (2f64.ln(), -0.5));
    near(of("binary_cross_entropy_logits(z, t)", 30.0, 0.0), (30.0, 1.0));
}
