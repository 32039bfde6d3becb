//! Simplify and hoist: rewrites that may change no bit.

use ndarray::{ArrayD, IxDyn};
use nnc::base::{DType, Extent, Span, Type};
use nnc::graph::{Builder, Graph, Role, eval, generate, parse, print, random_inputs, verify};
use nnc::ops::build;
use nnc::passes::{differentiate, hoist, simplify, spread};
use std::collections::BTreeMap;

/// A generated graph with its gradients as outputs.
fn with_gradients(seed: u64, size: usize) -> Graph {
    let graph = generate(seed, size);
    let loss = graph.outputs.last().expect("the loss").value;
    let params: Vec<_> = graph.inputs.iter().filter(|i| i.role == Role::Param).map(|i| i.value).collect();
    let mut b = Builder::from_graph(graph);
    let gradients = differentiate(&mut b, loss, &params).expect("a generated graph has gradients");
    for (i, value) in gradients.values.iter().enumerate() {
        b.output(format!("gradient{i}"), *value, None);
    }
    b.finish()
}

fn bits(results: &[ArrayD<f64>]) -> Vec<Vec<u64>> {
    // All NaNs count as equal.
    let one = |x: &f64| if x.is_nan() { f64::NAN.to_bits() } else { x.to_bits() };
    results.iter().map(|array| array.iter().map(one).collect()).collect()
}

fn rounds() -> u64 {
    if std::env::var_os("NNC_LONG").is_some() { 20_000 } else { 300 }
}

#[test]
fn simplify_keeps_every_bit_of_generated_graphs_and_their_gradients() {
    let (mut before, mut after) = (0, 0);
    for seed in 0..rounds() {
        let graph = with_gradients(seed, 8 + seed as usize % 25);
        let small = simplify(&graph);
        verify(&graph).expect("a built graph verifies");
        verify(&small).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{}", print(&small)));
        let inputs = random_inputs(&graph, seed, &[5]);
        let expected = eval(&graph, &inputs, &[5]).expect("it runs");
        let found = eval(&small, &inputs, &[5]).expect("it runs");
        assert_eq!(bits(&expected), bits(&found), "seed {seed}\n{}\n{}", print(&graph), print(&small));
        (before, after) = (before + graph.nodes.len(), after + small.nodes.len());
    }
    assert!(after * 10 < before * 9, "{after} nodes are left of {before}");
}

#[test]
fn what_leaves_its_loop_keeps_every_bit() {
    let mut moved = 0;
    for seed in 0..rounds() {
        let graph = simplify(&with_gradients(seed, 8 + seed as usize % 25));
        let other = spread(&graph);
        verify(&other).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{}", print(&other)));
        let inputs = random_inputs(&graph, seed, &[5]);
        let expected = eval(&graph, &inputs, &[5]).expect("it runs");
        let found = eval(&other, &inputs, &[5]).expect("it runs");
        assert_eq!(bits(&expected), bits(&found), "seed {seed}\n{}\n{}", print(&graph), print(&other));
        moved += usize::from(print(&other).contains("\"ahead."));
    }
    assert!(moved > 3, "{moved} graphs had something to move");
}

#[test]
fn simplify_has_nothing_left_to_do_the_second_time() {
    for seed in 0..rounds() {
        let once = simplify(&with_gradients(seed, 20));
        assert_eq!(print(&simplify(&once)), print(&once), "seed {seed}");
    }
}

#[test]
fn what_a_loop_in_a_loop_does_not_need_leaves_both() {
    let text = "graph \"g\" ()
body 0: 2 forward, 0 carries, 2 slices
  graph \"outer\" ()
  body 0: 3 forward, 0 carries, 2 slices
    graph \"inner\" ()
    %0: f32[] = input data \"a\"
    %1: f32[] = input data \"b\"
    %2: f32[] = neg %0
    output \"y\" = %2
    output \"z\" = %1
  %0: f32[3] = input data \"c\"
  %1: f32[3] = input data \"d\"
  %2: f32[3] = scan %0 %1 body=0 result=0
  %3: f32[3] = scan %0 %1 body=0 result=1
  output \"y\" = %2
  output \"z\" = %3
%0: f32[2, 3] = input data \"p\"
%1: f32[2, 3] = input data \"q\"
%2: f32[2, 3] = scan %0 %1 body=0 result=0
output \"y\" = %2
";
    let once = print(&simplify(&parse(text).expect("a graph")));
    assert!(once.contains("%2: f32[2, 3] = scan %0 body=0 result=0"), "{once}");
    assert!(once.contains("  %1: f32[3] = scan %0 body=0 result=0"), "{once}");
}

#[test]
fn gradients_of_generated_graphs_agree_with_differences_along_a_direction() {
    let (mut checked, mut near) = (0, 0);
    for seed in 0..rounds() / 3 {
        let graph = with_gradients(seed, 15);
        let Some(loss) = graph.outputs.iter().position(|o| o.name == "loss") else { panic!("it has a loss") };
        let inputs = random_inputs(&graph, seed, &[3]);
        let results = eval(&graph, &inputs, &[3]).expect("it runs");
        let params = graph.inputs.iter().filter(|i| i.role == Role::Param);
        let slope: f64 = params.clone().zip(&results[loss + 1..]).map(|(p, g)| (&inputs[&p.name] * g).sum()).sum();
        let shifted = |h: f64| {
            let mut moved = inputs.clone();
            for param in params.clone() {
                let x = moved.get_mut(&param.name).expect("an input");
                *x = &*x * (1.0 + h);
            }
            eval(&graph, &moved, &[3]).expect("it runs")[loss].sum()
        };
        let differences = (shifted(1e-6) - shifted(-1e-6)) / 2e-6;
        checked += 1;
        near += usize::from((slope - differences).abs() <= 1e-5 * (1.0 + slope.abs() + results[loss].sum().abs()));
    }
    // The rest are steps of floor, sign and comparisons within the difference, and gradients stopped on purpose.
    assert!(near * 10 >= checked * 7, "{near} of {checked}");
}

fn simplified(body: &str) -> String {
    let head = "graph \"g\" (B)\n%0: f32[B, 4] = input data \"x\"\n%1: f32[B, 4] = input data \"y\"\n";
    let graph = parse(&format!("{head}{body}")).expect("a graph");
    print(&simplify(&graph)).replace(head, "")
}

#[test]
fn zero_is_dropped_only_where_its_sign_does_no_harm() {
    let with = |op: &str, zero: &str| {
        simplified(&format!(
            "%2: f32[] = const value={zero} dtype=f32\n%3: f32[B, 4] = broadcast %2 axes=[] shape=(B, 4)\n\
             %4: f32[B, 4] = {op} %0 %3\noutput \"z\" = %4\n"
        ))
    };
    assert_eq!(with("sub", "0.0"), "output \"z\" = %0\n");
    assert_eq!(with("add", "-0.0"), "output \"z\" = %0\n");
    assert!(with("add", "0.0").contains("add %0 %3"));
    assert!(with("sub", "-0.0").contains("sub %0 %3"));
    assert!(with("mul", "0.0").contains("mul %0 %3"));
    assert_eq!(with("mul", "1.0"), "output \"z\" = %0\n");
    assert_eq!(with("mul", "-1.0"), "%2: f32[B, 4] = neg %0\noutput \"z\" = %2\n");
    assert!(with("div", "4.0").contains("const value=0.25"));
    assert!(with("div", "3.0").contains("div %0 %3"));
}

#[test]
fn a_product_and_a_sum_stay_two_operations() {
    let text = simplified("%2: f32[B, 4] = mul %0 %1\n%3: f32[B, 4] = add %2 %0\noutput \"z\" = %3\n");
    assert!(text.contains("mul %0 %1") && text.contains("add %2 %0"), "{text}");
}

#[test]
fn equal_nodes_are_made_once_and_unused_ones_not_at_all() {
    let text = simplified(
        "%2: f32[B, 4] = exp %0\n%3: f32[B, 4] = exp %0\n%4: f32[B, 4] = add %2 %3\n%5: f32[B, 4] = sin %4\n\
         output \"z\" = %4\n",
    );
    assert_eq!(text, "%2: f32[B, 4] = exp %0\n%3: f32[B, 4] = add %2 %2\noutput \"z\" = %3\n");
}

#[test]
fn f32_constants_fold_only_where_nothing_is_rounded() {
    let sum = |a: &str| {
        simplified(&format!(
            "%2: f32[] = const value={a} dtype=f32\n%3: f32[] = const value=0.25 dtype=f32\n%4: f32[] = add %2 %3\n\
             output \"z\" = %4\n"
        ))
    };
    assert_eq!(sum("0.5"), "%2: f32[] = const value=0.75 dtype=f32\noutput \"z\" = %2\n");
    assert!(sum("0.1").contains("add"), "0.1 is no f32 number");
}

#[test]
fn a_slice_of_a_concat_is_a_slice_of_its_part() {
    let text = simplified(
        "%2: f32[B, 8] = concat %0 %1 axis=1\n%3: f32[B, 2] = slice %2 axis=1 start=5 len=2 step=1\noutput \"z\" = %3\n",
    );
    assert_eq!(text, "%2: f32[B, 2] = slice %1 axis=1 start=1 len=2 step=1\noutput \"z\" = %2\n");
}

/// w - lr · (1 - 0.9^step) · w, with a scalar that is chosen by a comparison and a random number of the step.
fn scheduled() -> Graph {
    let mut b = Builder::new("step", &[]);
    let scalar = |b: &mut Builder, name: &str, dtype| b.input(name, Role::Scalar, Type::scalar(dtype), Span::default());
    let (step, lr) = (scalar(&mut b, "step", DType::F64), scalar(&mut b, "lr", DType::F64));
    let w = b.input("w", Role::Param, Type::f32(vec![Extent::Fixed(3)]), Span::default());
    let seed = scalar(&mut b, "seed", DType::I32);
    let (decay, one) = (build::constant(&mut b, 0.9, DType::F64), build::constant(&mut b, 1.0, DType::F64));
    let power = build::pow(&mut b, decay, step);
    let correction = build::sub(&mut b, one, power);
    let early = build::le(&mut b, step, one);
    let correction = build::select(&mut b, early, one, correction);
    let rate = build::mul(&mut b, lr, correction);
    let rate = build::to_f32(&mut b, rate);
    let rate = build::broadcast_to(&mut b, rate, &[Extent::Fixed(3)]);
    let change = build::mul(&mut b, rate, w);
    let counter = build::to_i32(&mut b, step);
    let noise = build::random(&mut b, &[Extent::Fixed(3)], 7, seed, counter);
    let change = build::mul(&mut b, change, noise);
    let early = build::broadcast_to(&mut b, early, &[Extent::Fixed(3)]);
    let change = build::select(&mut b, early, change, w);
    let next = build::sub(&mut b, w, change);
    b.output("w", next, Some(2));
    b.finish()
}

#[test]
fn hoisted_scalars_are_inputs_and_are_computed_from_the_step() {
    let graph = scheduled();
    let (hoisted, scalars) = hoist(&graph).expect("every f64 depends on the step alone");
    verify(&hoisted).expect("it is well-typed");
    assert!(hoisted.nodes.iter().all(|node| node.ty.dtype != DType::F64), "{}", print(&hoisted));
    assert_eq!(scalars.inputs, ["step", "lr"]);
    let names: Vec<_> = scalars.results.iter().map(|(name, dtype, _)| format!("{name}: {dtype}")).collect();
    assert_eq!(names, ["scalar.0: f32", "scalar.1: i32", "scalar.2: i32"]);
    for step in [1.0, 4.0] {
        let number = |x: f64| ArrayD::from_elem(IxDyn(&[]), x);
        let w = ArrayD::from_shape_vec(IxDyn(&[3]), vec![1.0, -2.0, 0.5]).expect("3 numbers");
        let mut inputs = BTreeMap::from([("w".to_string(), w), ("seed".to_string(), number(3.0))]);
        for (value, (name, _, _)) in scalars.eval(&[("lr", 0.5), ("step", step)]).iter().zip(&scalars.results) {
            inputs.insert(name.clone(), number(*value));
        }
        let found = eval(&hoisted, &inputs, &[]).expect("it runs");
        inputs.insert("step".to_string(), number(step));
        inputs.insert("lr".to_string(), number(0.5));
        assert_eq!(bits(&eval(&graph, &inputs, &[]).expect("it runs")), bits(&found));
    }
}

#[test]
fn hoisting_keeps_every_bit_of_generated_graphs() {
    for seed in 0..100 {
        let graph = simplify(&with_gradients(seed, 30));
        let (hoisted, scalars) = hoist(&graph).expect("every f64 depends on the step alone");
        verify(&hoisted).expect("it is well-typed");
        let mut inputs = random_inputs(&graph, seed, &[4]);
        let expected = eval(&graph, &inputs, &[4]).expect("it runs");
        let given: Vec<(&str, f64)> = scalars.inputs.iter().map(|n| (n.as_str(), inputs[n].sum())).collect();
        for (value, (name, _, _)) in scalars.eval(&given).iter().zip(&scalars.results) {
            inputs.insert(name.clone(), ArrayD::from_elem(IxDyn(&[]), *value));
        }
        assert_eq!(bits(&expected), bits(&eval(&hoisted, &inputs, &[4]).expect("it runs")), "seed {seed}");
    }
}

#[test]
fn an_f64_that_depends_on_data_is_named() {
    let text = "graph \"g\" ()\n%0: f32[] = input data \"x\"\n%1: f64[] = input scalar \"step\"\n%2: bool[] = lt %0 %0\n\
                %3: f64[] = select %2 %1 %1\n%4: f32[] = to_f32 %3\noutput \"y\" = %4\n";
    let error = hoist(&parse(text).expect("a graph")).expect_err("its choice depends on x");
    assert_eq!(error.node.0, 3);
}
