//! Padding carried by the type: what stands in it changes nothing.
//!
//! In: blocks over a sequence whose rows have lengths. Out: the first place where padding shows. Invariant: a row of length n
//! gives what the same row gives without padding, and padding has no gradient.

use ndarray::{ArrayD, Axis as Place, IxDyn, Slice};
use nnc::base::{DType, FileId, SourceMap, Span, Type};
use nnc::check::elaborate::Elaborator;
use nnc::check::items::Items;
use nnc::check::library;
use nnc::check::value::{Axis, Func, Kept, Kind, Label, Tensor, Val, ValKind};
use nnc::graph::{self, Graph, Role};
use nnc::ops::build;
use nnc::passes::autodiff;
use nnc::syntax::{self, ast};
use std::collections::BTreeMap;
use std::sync::Arc;

const WIDTH: usize = 4;

/// One value for each example, of x: [T, 4] and of q: [3, 4], a sequence without padding.
const BLOCKS: [&str; 18] = [
    "sum(x, axis = T)",
    "mean(x, axis = T)",
    "max(x, axis = T)",
    "min(x, axis = T)",
    "mean(x)",
    "sum(x * softmax(x, axis = T), axis = T)",
    "s = dense(1); sum((x -> s -> softmax(axis = 0)) * x, axis = 0)",
    "x -> dense(5) -> tanh -> attend(3)",
    "h = x -> position -> encoder_layer(2, 6, drop = 0); mean(h, axis = T)",
    "h = x -> attention(2, causal = true) -> layernorm; max(h, axis = T)",
    "additive_attention(x, sum(x, axis = T), units = 3)",
    "cross_attention(q, x, x, heads = 2)",
    "h = cross_attention(x, q, q, heads = 2); sum(h, axis = T)",
    "mean(reshape(x, [T, 2, 2]), axis = 0)",
    "x -> gru(3, give = last)",
    "x -> rnn(3, reverse = true, give = last)",
    "y, h, c = x -> lstm(3, give = states); mean(y, axis = T) + h + c",
    "h = x -> bidirectional { lstm(3) }; max(h, axis = T)",
];

fn parsed(text: &str) -> (Vec<(FileId, ast::File)>, SourceMap) {
    let mut sources = SourceMap::default();
    let all = library::FILES.into_iter().chain([("case.nn", text)]);
    let mut files = Vec::new();
    for (name, text) in all {
        let id = sources.add(name, text, name != "case.nn");
        let (file, errors) = syntax::parse(id, text);
        assert!(errors.is_empty(), "{}", errors[0].render(&sources));
        files.push((id, file));
    }
    (files, sources)
}

/// The block's result over `steps` steps, its sum of squares and the gradient of that by x.
fn graph_of(body: &str, steps: u64, ragged: bool) -> Result<Graph, String> {
    let (files, sources) = parsed(&format!("block case  x: [T, D], q: [S, D] {{ {body} }}"));
    let span = Span::new(files[files.len() - 1].0, 0, 0);
    let files: Vec<(FileId, &ast::File)> = files.iter().map(|(id, f)| (*id, f)).collect();
    let (items, _) = Items::gather(&sources, &files);
    let mut e = Elaborator::new(&items, "case", false);
    let batch = Axis { label: Some(Label::Batch), ..Axis::new(Elaborator::BATCH) };
    let mut input = |name: &str, rows: u64| {
        let axes = vec![
            batch.clone(),
            Axis::new(nnc::base::Extent::Fixed(rows)),
            Axis::new(nnc::base::Extent::Fixed(WIDTH as u64)),
        ];
        let ty = Type::f32(axes.iter().map(|a| a.extent).collect());
        let value = e.graph.input(name, Role::Data, ty, span);
        Tensor { value, axes, kind: Kind::Real }
    };
    let (mut x, q) = (input("x", steps), input("q", 3));
    let lengths = e.graph.input("lengths", Role::Data, Type::new(DType::I32, vec![Elaborator::BATCH]), span);
    x.axes[1].lengths.extend(ragged.then_some(lengths));
    let by = x.value;
    let func = Func::Def {
        def: items.defs["case"].clone(),
        settings: Arc::new(BTreeMap::new()),
        body: None,
        path: Some(Kept::default()),
        span,
    };
    let out = e.apply_func(&func, vec![Val::tensor(x, span), Val::tensor(q, span)], span);
    let out = out.map_err(|d| d.render(&sources))?;
    let ValKind::Tensor(out) = out.kind else { return Err("no tensor".into()) };
    let square = build::mul(&mut e.graph, out.value, out.value);
    let axes: Vec<usize> = (0..out.axes.len()).collect();
    let loss = build::sum_axes(&mut e.graph, square, &axes);
    let gradient = autodiff::differentiate(&mut e.graph, loss, &[by]).map_err(|n| n.op.to_string())?.values[0];
    e.graph.output("out", out.value, None);
    e.graph.output("gradient", gradient, None);
    Ok(e.graph.clone().finish())
}

fn numbers(shape: &[usize], seed: usize) -> ArrayD<f64> {
    let count: usize = shape.iter().product();
    let number = |i: usize| ((i * 37 + seed * 11 + 5) % 23) as f64 / 10.0 - 1.1;
    ArrayD::from_shape_vec(IxDyn(shape), (0..count).map(number).collect()).expect("the shape's numbers")
}

/// Result and gradient for these rows; weights are the same whatever the number of steps.
fn run(graph: &Graph, x: &ArrayD<f64>, q: &ArrayD<f64>, lengths: &[usize]) -> Vec<ArrayD<f64>> {
    let mut inputs = BTreeMap::new();
    for input in &graph.inputs {
        let shape: Vec<usize> = input.ty.shape.iter().map(|e| e.bound(&[lengths.len() as u64; 2]) as usize).collect();
        let value = match input.name.as_str() {
            "x" => x.clone(),
            "q" => q.clone(),
            "lengths" => ArrayD::from_shape_vec(IxDyn(&[lengths.len()]), lengths.iter().map(|&n| n as f64).collect())
                .expect("one for each row"),
            _ => numbers(&shape, input.name.len()),
        };
        inputs.insert(input.name.clone(), value);
    }
    graph::eval(graph, &inputs, &[lengths.len() as u64; 2]).expect("it runs")
}

fn near(a: &ArrayD<f64>, b: &ArrayD<f64>) -> bool {
    a.shape() == b.shape() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-12 * (1.0 + b.abs()))
}

#[test]
fn what_stands_in_the_padding_changes_nothing() {
    let (lengths, steps) = ([5usize, 2, 1], 5usize);
    for body in BLOCKS {
        let graph = graph_of(body, steps as u64, true).unwrap_or_else(|e| panic!("{body}\n{e}"));
        let q = numbers(&[lengths.len(), 3, WIDTH], 3);
        let mut x = numbers(&[lengths.len(), steps, WIDTH], 1);
        for (row, &length) in lengths.iter().enumerate() {
            let mut padding = x.index_axis_mut(Place(0), row);
            padding.slice_axis_mut(Place(0), Slice::from(length..)).fill(1000.0);
        }
        let padded = run(&graph, &x, &q, &lengths);
        for (row, &length) in lengths.iter().enumerate() {
            let short = graph_of(body, length as u64, false).unwrap_or_else(|e| panic!("{body}\n{e}"));
            let one = |t: &ArrayD<f64>| t.slice_axis(Place(0), Slice::from(row..row + 1)).to_owned();
            let own = one(&x).slice_axis(Place(1), Slice::from(..length)).to_owned();
            let alone = run(&short, &own, &one(&q), &[length]);
            assert!(
                near(&one(&padded[0]), &alone[0]),
                "{body}: row {row} is\n{}, alone\n{}",
                one(&padded[0]),
                alone[0]
            );
            let gradient = one(&padded[1]);
            let (steps, padding) = gradient.view().split_at(Place(1), length);
            assert!(near(&steps.to_owned(), &alone[1]), "{body}: the gradient of row {row} is\n{steps}\n{}", alone[1]);
            assert!(padding.iter().all(|g| *g == 0.0), "{body}: the padding of row {row} has the gradient {padding}");
        }
    }
}

#[test]
fn the_statistics_of_a_batch_do_not_count_padding() {
    let body = "n = count[batch, ..](x[.., d]); y = mean(x -> batchnorm(tracked = false), axis = T); y + n";
    let lengths = [4usize, 2, 1];
    let q = numbers(&[lengths.len(), 3, WIDTH], 3);
    let short = numbers(&[lengths.len(), 4, WIDTH], 1);
    let mut long = ArrayD::from_elem(IxDyn(&[lengths.len(), 9, WIDTH]), 1000.0);
    long.slice_axis_mut(Place(1), Slice::from(..4)).assign(&short);
    let result = |steps: u64, x: &ArrayD<f64>| {
        let graph = graph_of(body, steps, true).unwrap_or_else(|e| panic!("{body}\n{e}"));
        run(&graph, x, &q, &lengths).swap_remove(0)
    };
    let (few, many) = (result(4, &short), result(9, &long));
    assert!(near(&few, &many), "{few}\n{many}");
}

#[test]
fn a_row_of_nothing_but_padding_is_0_and_never_nan() {
    let q = numbers(&[2, 3, WIDTH], 3);
    let mut x = numbers(&[2, 5, WIDTH], 1);
    x.index_axis_mut(Place(0), 1).fill(1000.0);
    for body in BLOCKS.iter().filter(|b| !b.starts_with("m") && !b.contains(" max(")) {
        let graph = graph_of(body, 5, true).unwrap_or_else(|e| panic!("{body}\n{e}"));
        for result in run(&graph, &x, &q, &[5, 0]) {
            assert!(result.iter().all(|r| r.is_finite()), "{body}: {result}");
        }
    }
}

#[test]
fn what_would_mix_steps_with_padding_is_refused() {
    for body in
        ["x -> flatten", "reshape(x, [2, 10])", "sum(x[1, d], axis = 0)", "fork { identity; identity } -> concat(0)"]
    {
        let body = if body.starts_with("fork") { format!("x -> {body}") } else { body.to_string() };
        let error = graph_of(&body, 5, true).expect_err(&body);
        assert!(error.contains("E0313"), "{body}: {error}");
    }
}
