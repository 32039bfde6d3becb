//! Loops over steps: their meaning, their text, and their gradients against central differences.

use super::{Inputs, fixed};
use ndarray::{ArrayD, IxDyn};
use nnc::base::{Extent, Span, Type};
use nnc::graph::{Body, Builder, Graph, Role, diff, eval, parse, print, random_inputs, verify};
use nnc::ops::{Emit, Value, build};
use nnc::passes::{differentiate, simplify};

fn f32s(shape: &[u64]) -> Type {
    Type::f32(fixed(shape))
}

fn sigmoid(b: &mut Builder, x: Value) -> Value {
    let half = build::constant_like(b, 0.5, x);
    let inner = build::mul(b, x, half);
    let curve = build::tanh(b, inner);
    let scaled = build::mul(b, curve, half);
    build::add(b, scaled, half)
}

/// A step of an LSTM: carried h and c, a row of the gates' input part, the weight of h.
fn lstm_step(units: u64) -> Graph {
    let mut b = Builder::new("step", &["B"]);
    let state = || f32s(&[0, units]);
    let h = b.input("h", Role::State, state(), Span::default());
    let c = b.input("c", Role::State, state(), Span::default());
    let x = b.input("x", Role::Data, f32s(&[0, 4 * units]), Span::default());
    let w = b.input("w", Role::Param, f32s(&[4 * units, units]), Span::default());
    let bias = b.input("bias", Role::Param, f32s(&[4 * units]), Span::default());
    let product = build::contract(&mut b, h, w, "bh,gh->bg");
    let bias = build::broadcast(&mut b, bias, &[1], &fixed(&[0, 4 * units]));
    let gates = build::add(&mut b, product, bias);
    let gates = build::add(&mut b, x, gates);
    let part = |b: &mut Builder, i: u64| build::slice(b, gates, 1, i * units, units, 1);
    let [i, f, g, o] = [0, 1, 2, 3].map(|i| part(&mut b, i));
    let [i, f, o] = [i, f, o].map(|x| sigmoid(&mut b, x));
    let g = build::tanh(&mut b, g);
    let (kept, new) = (build::mul(&mut b, f, c), build::mul(&mut b, i, g));
    let next = build::add(&mut b, kept, new);
    let shown = build::tanh(&mut b, next);
    let out = build::mul(&mut b, o, shown);
    b.output("h", out, Some(0));
    b.output("c", next, Some(1));
    b.output("y", out, None);
    b.finish()
}

/// Σ over all results, each weighted; with the gradients by all inputs.
fn lstm(steps: u64, units: u64, reverse: bool) -> Graph {
    let mut b = Builder::new("lstm", &["B"]);
    let extent = fixed(&[steps])[0];
    let state = f32s(&[0, units]);
    let h = b.input("h0", Role::Data, state.clone(), Span::default());
    let c = b.input("c0", Role::Data, state, Span::default());
    let x = b.input("x", Role::Data, f32s(&[steps, 0, 4 * units]), Span::default());
    let w = b.input("w", Role::Param, f32s(&[4 * units, units]), Span::default());
    let bias = b.input("bias", Role::Param, f32s(&[4 * units]), Span::default());
    let body = Body { extent, reverse, carries: 2, slices: 1, graph: lstm_step(units) };
    let results = b.scan(body, &[h, c, x, w, bias]);
    finish(b, &results, &[h, c, x, w, bias])
}

fn finish(mut b: Builder, results: &[Value], wrt: &[Value]) -> Graph {
    let mut loss = None;
    for (i, &result) in results.iter().enumerate() {
        let ty = b.ty(result).clone();
        let weight = b.input(format!("weight{}.{i}", b.graph().inputs.len()), Role::Data, ty.clone(), Span::default());
        let product = build::mul(&mut b, result, weight);
        let axes: Vec<usize> = (0..ty.rank()).collect();
        let sum = build::sum_axes(&mut b, product, &axes);
        loss = Some(loss.map_or(sum, |before| build::add(&mut b, before, sum)));
    }
    let loss = loss.expect("there are results");
    let gradients = differentiate(&mut b, loss, wrt).expect("all of it is smooth");
    assert!(gradients.unreached.is_empty());
    b.output("loss", loss, None);
    for (i, gradient) in gradients.values.into_iter().enumerate() {
        let name = b.graph().inputs[i].name.clone();
        b.output(format!("gradient {name}"), gradient, None);
    }
    b.finish()
}

fn slopes_agree(graph: &Graph, symbols: &[u64], seed: u64) {
    verify(graph).unwrap_or_else(|e| panic!("{e}\n{}", print(graph)));
    let mut inputs: Inputs = random_inputs(graph, seed, symbols);
    let results = eval(graph, &inputs, symbols).expect("it runs");
    for (output, gradient) in graph.outputs.iter().zip(&results).skip(1) {
        let name = output.name.strip_prefix("gradient ").expect("a gradient");
        let count = gradient.len();
        assert_eq!(gradient.shape(), inputs[name].shape());
        for i in (0..count).step_by(count / 10 + 1) {
            let found = gradient.as_slice().expect("row-major")[i];
            let at = inputs[name].as_slice().expect("row-major")[i];
            let h = 1e-5 * at.abs().max(1.0);
            let mut loss = |x: f64| {
                inputs.get_mut(name).expect("an input").as_slice_mut().expect("row-major")[i] = x;
                eval(graph, &inputs, symbols).expect("it runs")[0].sum()
            };
            let slope = (loss(at + h) - loss(at - h)) / (2.0 * h);
            loss(at);
            assert!((found - slope).abs() <= 1e-8 + 1e-6 * slope.abs(), "{name}[{i}]: {found}, slope {slope}");
        }
    }
}

#[test]
fn the_gradient_of_a_loop_is_its_slope() {
    for (seed, (steps, units, reverse)) in
        [(1, 1, false), (2, 1, false), (3, 4, true), (5, 3, false), (4, 7, true), (7, 2, false)].into_iter().enumerate()
    {
        let graph = lstm(steps, units, reverse);
        slopes_agree(&graph, &[super::BATCH], seed as u64);
        slopes_agree(&simplify(&graph), &[super::BATCH], seed as u64);
    }
}

#[test]
fn simplification_keeps_the_bits_of_loops_and_they_read_back() {
    let graph = lstm(4, 3, true);
    let small = simplify(&graph);
    verify(&small).unwrap_or_else(|e| panic!("{e}\n{}", print(&small)));
    let inputs = random_inputs(&graph, 1, &[2]);
    assert_eq!(eval(&graph, &inputs, &[2]), eval(&small, &inputs, &[2]));
    for graph in [graph, small] {
        let text = print(&graph);
        let back = parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(print(&back), text);
        assert_eq!(diff(&graph, &back), "");
    }
}

#[test]
fn the_sum_over_the_steps_for_a_weight_is_one_contraction() {
    let text = print(&simplify(&lstm(6, 4, false)));
    let outside: Vec<&str> = text.lines().filter(|l| !l.starts_with("  ") && l.contains("contract")).collect();
    assert_eq!(outside.len(), 1, "{text}");
    assert!(outside[0].contains("axes=\"zbg,zbh->gh\""), "{text}");
}

/// A counted sum: an integer and a number are carried, nothing is sliced, and only the last values are asked for.
#[test]
fn what_no_result_needs_leaves_the_loop() {
    let mut b = Builder::new("step", &[]);
    let total = b.input("total", Role::State, f32s(&[2]), Span::default());
    let unused = b.input("unused", Role::State, f32s(&[3]), Span::default());
    let by = b.input("by", Role::Param, f32s(&[2]), Span::default());
    let (next, other) = (build::add(&mut b, total, by), build::tanh(&mut b, unused));
    b.output("total", next, Some(0));
    b.output("unused", other, Some(1));
    b.output("row", next, None);
    let step = b.finish();
    let mut b = Builder::new("sum", &[]);
    let first = b.input("first", Role::Data, f32s(&[2]), Span::default());
    let spare = b.input("spare", Role::Data, f32s(&[3]), Span::default());
    let by = b.input("by", Role::Data, f32s(&[2]), Span::default());
    let body = Body { extent: Extent::Fixed(4), reverse: false, carries: 2, slices: 0, graph: step };
    let results = b.scan(body, &[first, spare, by]);
    b.output("total", results[0], None);
    let small = simplify(&b.finish());
    let text = "graph \"sum\" ()
body 0: 4 forward, 1 carries, 0 slices
  graph \"step\" ()
  %0: f32[2] = input state \"total\"
  %1: f32[2] = input param \"by\"
  %2: f32[2] = add %0 %1
  output \"total\" = %2 -> \"total\"
%0: f32[2] = input data \"first\"
%1: f32[3] = input data \"spare\"
%2: f32[2] = input data \"by\"
%3: f32[2] = scan %0 %2 body=0 result=0
output \"total\" = %3
";
    assert_eq!(print(&small), text);
    let inputs = Inputs::from([
        ("first".to_string(), ArrayD::from_elem(IxDyn(&[2]), 1.0)),
        ("spare".to_string(), ArrayD::zeros(IxDyn(&[3]))),
        ("by".to_string(), ArrayD::from_elem(IxDyn(&[2]), 0.5)),
    ]);
    assert_eq!(eval(&small, &inputs, &[]).expect("it runs")[0].as_slice(), Some([3.0, 3.0].as_slice()));
}

/// x ← x · row(t) · Π over an inner loop of tanh(x + w): a loop in a loop, and the number of steps a symbol.
#[test]
fn loops_stand_in_loops_and_the_number_of_steps_may_be_a_symbol() {
    let steps = Extent::Sym(0);
    let mut b = Builder::new("inner", &["T"]);
    let x = b.input("x", Role::State, f32s(&[2]), Span::default());
    let w = b.input("w", Role::Param, f32s(&[2]), Span::default());
    let moved = build::add(&mut b, x, w);
    let next = build::tanh(&mut b, moved);
    b.output("x", next, Some(0));
    let inner = Body { extent: Extent::Fixed(2), reverse: true, carries: 1, slices: 0, graph: b.finish() };
    let mut b = Builder::new("outer", &["T"]);
    let x = b.input("x", Role::State, f32s(&[2]), Span::default());
    let row = b.input("row", Role::Data, f32s(&[2]), Span::default());
    let w = b.input("w", Role::Param, f32s(&[2]), Span::default());
    let last = b.scan(inner, &[x, w])[0];
    let next = build::mul(&mut b, last, row);
    b.output("x", next, Some(0));
    b.output("y", next, None);
    let outer = Body { extent: steps, reverse: false, carries: 1, slices: 1, graph: b.finish() };
    let mut b = Builder::new("both", &["T"]);
    let x = b.input("x", Role::Data, f32s(&[2]), Span::default());
    let rows = b.input("rows", Role::Data, Type::f32(vec![steps, Extent::Fixed(2)]), Span::default());
    let w = b.input("w", Role::Param, f32s(&[2]), Span::default());
    let results = b.scan(outer, &[x, rows, w]);
    let graph = finish(b, &results, &[x, rows, w]);
    for steps in [1, 2, 5] {
        slopes_agree(&graph, &[steps], steps);
        slopes_agree(&simplify(&graph), &[steps], steps);
    }
}

#[test]
fn argmax_inside_a_loop_is_named() {
    let mut b = Builder::new("step", &[]);
    let x = b.input("x", Role::State, f32s(&[4]), Span::default());
    let best = build::argmax(&mut b, x, 0);
    let best = build::to_f32(&mut b, best);
    let best = build::broadcast_to(&mut b, best, &fixed(&[4]));
    let next = build::mul(&mut b, x, best);
    b.output("x", next, Some(0));
    let body = Body { extent: Extent::Fixed(3), reverse: false, carries: 1, slices: 0, graph: b.finish() };
    let mut b = Builder::new("argmax", &[]);
    let x = b.input("x", Role::Param, f32s(&[4]), Span::default());
    let last = b.scan(body, &[x])[0];
    let loss = build::sum_axes(&mut b, last, &[0]);
    let error = differentiate(&mut b, loss, &[x]).expect_err("argmax has no gradient");
    assert_eq!(error.op, "argmax");
}

#[test]
fn a_body_that_does_not_fit_is_refused_with_both_facts() {
    let graph = lstm(4, 3, false);
    let text = print(&graph);
    let refused = |old: &str, new: &str| parse(&text.replacen(old, new, 1)).expect_err("it is broken");
    let error = refused("body 0: 4 forward", "body 0: 5 forward");
    assert!(error.contains("needs f32[5, B, 12], but f32[4, B, 12]"), "{error}");
    let error = refused("2 carries", "9 carries");
    assert!(error.contains("fewer inputs or outputs than it carries"), "{error}");
    let text = refused(" result=0\n", " result=77\n");
    assert!(text.contains("but not 77"), "{text}");
}

#[test]
fn a_second_gradient_of_a_loop_is_the_slope_of_the_first() {
    let mut graph = lstm(3, 2, false);
    let place = graph.outputs.iter().position(|o| o.name == "gradient w").expect("an output");
    let value = graph.outputs[place].value;
    graph.outputs.clear();
    let wrt: Vec<Value> = graph.inputs.iter().take(5).map(|i| i.value).collect();
    let graph = finish(Builder::from_graph(graph), &[value], &wrt);
    slopes_agree(&graph, &[2], 3);
}
