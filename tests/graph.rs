//! Tests of operators and graphs: every row of the table against its own shape rule, its formula, and central differences.

use ndarray::{ArrayD, IxDyn};
use nnc::base::{DType, Extent, Span, Type};
use nnc::graph::{Builder, Graph, Role, eval, verify};
use nnc::ops::scalar::random_word;
use nnc::ops::{self, Emit, Example, OpDef, Value, build};
use nnc::passes::differentiate;
use std::collections::BTreeMap;

mod language;
mod numbers;
mod scan;

/// The number of the symbol in examples.
pub const BATCH: u64 = 3;

pub type Inputs = BTreeMap<String, ArrayD<f64>>;

/// A number in [0, 1).
pub fn unit(seed: u32, counter: u32) -> f64 {
    f64::from(random_word(counter, seed + 1)) / 4_294_967_296.0
}

pub fn fixed(shape: &[u64]) -> Vec<Extent> {
    shape.iter().map(|&n| if n == 0 { Extent::Sym(0) } else { Extent::Fixed(n) }).collect()
}

fn sample(ty: &Type, (low, high): (f64, f64), seed: u32) -> ArrayD<f64> {
    let shape: Vec<usize> = ty.shape.iter().map(|e| e.bound(&[BATCH]) as usize).collect();
    let data = (0..shape.iter().product::<usize>() as u32).map(|i| match ty.dtype {
        DType::I32 => (unit(seed, i) * 3.0).floor(),
        DType::Bool => (unit(seed, i) * 2.0).floor(),
        DType::F32 | DType::F64 => low + (high - low) * unit(seed, i),
    });
    ArrayD::from_shape_vec(IxDyn(&shape), data.collect()).expect("as many numbers as the shape has")
}

/// A graph of one node, its operands as inputs `x0`, `x1`, …, and numbers for them.
fn graph_of(op: &dyn OpDef, example: &Example, seed: u32) -> (Builder, Value, Vec<Value>, Inputs) {
    let mut b = Builder::new("example", &["B"]);
    let mut inputs = Inputs::new();
    let mut args = vec![];
    for (i, ty) in example.args.iter().enumerate() {
        args.push(b.input(format!("x{i}"), Role::Data, ty.clone(), Span::default()));
        inputs.insert(format!("x{i}"), sample(ty, ops::sample_domain(op.name(), i), seed * 10 + i as u32));
    }
    let result = b.try_emit(op.name(), example.attrs.clone(), &args, Span::default());
    let value = result.unwrap_or_else(|text| panic!("an example of `{}` does not fit: {text}", op.name()));
    (b, value, args, inputs)
}

fn run(graph: &Graph, inputs: &Inputs) -> Vec<ArrayD<f64>> {
    verify(graph).expect("a built graph verifies");
    eval(graph, inputs, &[BATCH]).expect("an example has all it needs")
}

#[test]
fn names_are_unique_and_found() {
    for op in ops::table() {
        let found = ops::find(op.name()).expect("every operator is found by its name");
        assert!(std::ptr::addr_eq(*op, found) || format!("{op:?}") == format!("{found:?}"));
        assert_eq!(ops::table().iter().filter(|other| other.name() == op.name()).count(), 1, "{op:?}");
    }
}

#[test]
fn every_operator_has_five_examples_and_its_shape_rule_agrees_with_its_elements() {
    for op in ops::table().iter().filter(|op| !["input", "scan"].contains(&op.name())) {
        let examples = op.examples();
        assert!(examples.len() >= 5, "{op:?}");
        for (seed, example) in examples.iter().enumerate() {
            let (mut b, value, _, inputs) = graph_of(*op, example, seed as u32);
            let ty = b.ty(value).clone();
            b.output("y", value, None);
            let result = run(&b.finish(), &inputs).remove(0);
            let shape: Vec<usize> = ty.shape.iter().map(|e| e.bound(&[BATCH]) as usize).collect();
            assert_eq!(result.shape(), shape, "{op:?}");
        }
    }
}

/// `Σ weight · y` of one node, with the gradient by every real operand as outputs behind it.
fn weighted_sum(op: &dyn OpDef, example: &Example, seed: u32) -> Option<(Graph, Vec<usize>, Inputs)> {
    let (mut b, value, args, mut inputs) = graph_of(op, example, seed);
    let ty = b.ty(value).clone();
    let real: Vec<usize> = (0..args.len()).filter(|&i| example.args[i].dtype == DType::F32).collect();
    if ty.dtype != DType::F32 || real.is_empty() || !op.differentiable() {
        return None;
    }
    let weight = b.input("weight", Role::Data, ty.clone(), Span::default());
    inputs.insert("weight".to_string(), sample(&ty, (-2.0, 2.0), seed * 10 + 9));
    let product = build::mul(&mut b, value, weight);
    let axes: Vec<usize> = (0..ty.rank()).collect();
    let loss = if axes.is_empty() { product } else { build::sum_axes(&mut b, product, &axes) };
    let wrt: Vec<Value> = real.iter().map(|&i| args[i]).collect();
    let gradients = differentiate(&mut b, loss, &wrt).expect("it says that it is differentiable");
    b.output("loss", loss, None);
    for (i, &gradient) in gradients.values.iter().enumerate() {
        b.output(format!("gradient {i}"), gradient, None);
    }
    Some((b.finish(), real, inputs))
}

#[test]
fn gradients_agree_with_central_differences() {
    let another = ["stop_gradient", "surrogate"];
    for op in ops::table().iter().filter(|op| !another.contains(&op.name())) {
        for (seed, example) in op.examples().iter().enumerate() {
            let Some((graph, real, mut inputs)) = weighted_sum(*op, example, seed as u32) else { continue };
            let results = run(&graph, &inputs);
            if results[0].iter().any(|loss| !loss.is_finite()) {
                continue; // padded with -inf, as max-pooling does: there are no differences to take
            }
            for (place, &arg) in real.iter().enumerate() {
                let name = format!("x{arg}");
                let count = inputs[&name].len();
                assert_eq!(results[place + 1].shape(), inputs[&name].shape());
                for i in (0..count).step_by(count / 12 + 1) {
                    let expected = results[place + 1].as_slice().expect("row-major")[i];
                    let slope = central_difference(&graph, &mut inputs, &name, i);
                    let near = (expected - slope).abs() <= 1e-8 + 1e-6 * slope.abs();
                    assert!(near, "{op:?} example {seed}, {name}[{i}]: rule {expected}, differences {slope}");
                }
            }
        }
    }
}

pub fn central_difference(graph: &Graph, inputs: &mut Inputs, name: &str, i: usize) -> f64 {
    let at = inputs[name].as_slice().expect("row-major")[i];
    let h = 1e-5 * at.abs().max(1.0);
    let mut loss = |x: f64| {
        inputs.get_mut(name).expect("an input").as_slice_mut().expect("row-major")[i] = x;
        run(graph, inputs)[0].sum()
    };
    let slope = (loss(at + h) - loss(at - h)) / (2.0 * h);
    loss(at);
    slope
}

fn loss_through(path: impl Fn(&mut Builder, Value) -> Value) -> (Builder, Value, Value) {
    let mut b = Builder::new("path", &[]);
    let x = b.input("x", Role::Param, Type::f32(fixed(&[4])), Span::default());
    let y = path(&mut b, x);
    let loss = build::sum_axes(&mut b, y, &[0]);
    (b, x, loss)
}

#[test]
fn argmax_on_the_way_to_the_loss_is_named() {
    let (mut b, x, loss) = loss_through(|b, x| {
        let (best, square) = (build::argmax(b, x, 0), build::mul(b, x, x));
        let best = build::to_f32(b, best);
        let best = build::broadcast_to(b, best, &fixed(&[4]));
        build::mul(b, square, best)
    });
    let error = differentiate(&mut b, loss, &[x]).expect_err("argmax has no gradient");
    assert_eq!((error.op, error.node), ("argmax", Value(1)));
}

#[test]
fn a_stopped_gradient_is_zero_and_reported_as_unreached() {
    let (mut b, x, loss) = loss_through(|b, x| build::stop_gradient(b, x));
    let gradients = differentiate(&mut b, loss, &[x]).expect("nothing on the path lacks a gradient");
    assert_eq!(gradients.unreached, [0]);
    b.output("g", gradients.values[0], None);
    let inputs = Inputs::from([("x".to_string(), ArrayD::from_elem(IxDyn(&[4]), 2.0))]);
    assert_eq!(eval(&b.finish(), &inputs, &[]).expect("it runs")[0].sum(), 0.0);
}

#[test]
fn a_surrogate_has_the_value_of_one_and_the_gradient_of_the_other() {
    let (mut b, x, loss) = loss_through(|b, x| {
        let (floor, square) = (build::floor(b, x), build::mul(b, x, x));
        build::surrogate(b, floor, square)
    });
    let gradients = differentiate(&mut b, loss, &[x]).expect("no gradient flows through floor");
    b.output("loss", loss, None);
    b.output("g", gradients.values[0], None);
    let inputs = Inputs::from([("x".to_string(), ArrayD::from_elem(IxDyn(&[4]), 2.5))]);
    let results = eval(&b.finish(), &inputs, &[]).expect("it runs");
    assert_eq!((results[0].sum(), results[1].sum()), (4.0 * 2.0, 4.0 * 5.0));
}

#[test]
fn argmax_behind_a_stopped_gradient_is_allowed() {
    let (mut b, x, loss) = loss_through(|b, x| {
        let still = build::stop_gradient(b, x);
        let best = build::argmax(b, still, 0);
        let best = build::to_f32(b, best);
        let best = build::broadcast_to(b, best, &fixed(&[4]));
        build::mul(b, x, best)
    });
    let gradients = differentiate(&mut b, loss, &[x]).expect("no gradient would flow through argmax");
    assert!(gradients.unreached.is_empty());
}

#[test]
fn a_greatest_value_found_twice_sends_its_gradient_to_the_first() {
    let (mut b, x, _) = loss_through(|_, x| x);
    let best = build::max_axes(&mut b, x, &[0]);
    let gradients = differentiate(&mut b, best, &[x]).expect("max_of has a gradient");
    b.output("g", gradients.values[0], None);
    let x = ArrayD::from_shape_vec(IxDyn(&[4]), vec![1.0, 5.0, 5.0, -2.0]).expect("4 numbers");
    let results = eval(&b.finish(), &Inputs::from([("x".to_string(), x)]), &[]).expect("it runs");
    assert_eq!(results[0].as_slice(), Some([0.0, 1.0, 0.0, 0.0].as_slice()));
}

#[test]
fn a_row_number_out_of_range_is_an_error_with_both_facts() {
    let mut b = Builder::new("rows", &[]);
    let table = b.input("table", Role::Param, Type::f32(fixed(&[3, 2])), Span::default());
    let rows = b.input("rows", Role::Rows, Type::new(DType::I32, fixed(&[1])), Span::default());
    let picked = build::gather(&mut b, table, rows);
    b.output("picked", picked, None);
    let inputs = Inputs::from([
        ("table".to_string(), ArrayD::zeros(IxDyn(&[3, 2]))),
        ("rows".to_string(), ArrayD::from_elem(IxDyn(&[1]), 3.0)),
    ]);
    let error = eval(&b.finish(), &inputs, &[]).expect_err("row 3 does not exist");
    assert_eq!(error, "%2 = gather: row 3 is read from an axis of 3 elements");
}

#[test]
fn what_does_not_fit_is_said_with_both_facts() {
    let mut b = Builder::new("errors", &["B"]);
    let x = b.input("x", Role::Data, Type::f32(fixed(&[0, 4])), Span::default());
    let y = b.input("y", Role::Data, Type::f32(fixed(&[0, 5])), Span::default());
    let said = |b: &mut Builder, op: &str, attrs: &[(&'static str, ops::Attr)], args: &[Value]| {
        b.try_emit(op, ops::Attrs(attrs.to_vec()), args, Span::default()).expect_err("it does not fit")
    };
    let text = said(&mut b, "add", &[], &[x, y]);
    assert_eq!(text, "`add` needs operands of one shape, but has f32[B, 4] and f32[B, 5]");
    let text = said(&mut b, "sum", &[("axes", ops::Attr::Ints(vec![2]))], &[x]);
    assert_eq!(text, "axis 2 does not exist: the tensor has 2 axes, counted from 0");
    let text = said(&mut b, "contract", &[("axes", ops::Attr::Text("bd,bd->b".into()))], &[x, y]);
    assert_eq!(text, "`d` must have one length, but it differs between f32[B, 4] and f32[B, 5]");
    let text = said(&mut b, "reshape", &[("shape", ops::Attr::Shape(fixed(&[4, 0])))], &[x]);
    assert_eq!(
        text,
        "`reshape` keeps the number of elements and every symbolic axis, but f32[B, 4] would become f32[4, B]"
    );
    assert!(said(&mut b, "input", &[], &[]).contains("an input is given its type"));
}

/// A dense layer of the first model takes a second or two at most, or the interpreter is no use as a yardstick.
#[test]
fn a_dense_layer_of_64_784_512_is_interpreted_in_seconds() {
    let mut b = Builder::new("dense", &["B"]);
    let x = b.input("x", Role::Data, Type::f32(fixed(&[0, 784])), Span::default());
    let w = b.input("w", Role::Param, Type::f32(fixed(&[512, 784])), Span::default());
    let y = build::contract(&mut b, x, w, "bd,od->bo");
    b.output("y", y, None);
    let graph = b.finish();
    let inputs = nnc::graph::random_inputs(&graph, 1, &[64]);
    let start = std::time::Instant::now();
    let y = eval(&graph, &inputs, &[64]).expect("it runs").remove(0);
    let (x, w) = (&inputs["x"], &inputs["w"]);
    let expected = (0..784).fold(0.0, |sum, d| f64::mul_add(x[[5, d]], w[[7, d]], sum));
    assert_eq!(y[[5, 7]].to_bits(), expected.to_bits());
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}
