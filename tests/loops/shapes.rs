//! The loops of the building blocks of networks, as text.

use super::run::scheduled;
use nnc::base::{DType, Extent, Span, Type};
use nnc::graph::{Builder, Graph, Role};
use nnc::loops::{cost, print};
use nnc::ops::{Attr, Emit, Value, build};

fn input(b: &mut Builder, name: &str, role: Role, shape: &[Extent]) -> Value {
    b.input(name, role, Type::f32(shape.to_vec()), Span::default())
}

fn contract(b: &mut Builder, x: Value, y: Value, axes: &str) -> Value {
    b.emit("contract", [("axes", Attr::Text(axes.into()))].into(), &[x, y])
}

const B: Extent = Extent::Sym(0);

fn fixed(n: u64) -> Extent {
    Extent::Fixed(n)
}

fn dense(width: u64) -> Graph {
    let mut b = Builder::new("dense", &["B"]);
    let x = input(&mut b, "x", Role::Data, &[B, fixed(20)]);
    let w = input(&mut b, "w", Role::Param, &[fixed(width), fixed(20)]);
    let bias = input(&mut b, "bias", Role::Param, &[fixed(width)]);
    let z = contract(&mut b, x, w, "bd,od->bo");
    let shape = [B, fixed(width)];
    let bias = build::broadcast(&mut b, bias, &[1], &shape);
    let z = build::add(&mut b, z, bias);
    let zero = build::constant_like(&mut b, 0.0, z);
    let h = build::max(&mut b, z, zero);
    b.output("h", h, None);
    b.finish()
}

fn softmax() -> Graph {
    let mut b = Builder::new("softmax", &["B"]);
    let shape = [B, fixed(40)];
    let x = input(&mut b, "x", Role::Data, &shape);
    let most = b.emit("max_of", [("axes", Attr::Ints(vec![1]))].into(), &[x]);
    let most = build::broadcast(&mut b, most, &[0], &shape);
    let centred = build::sub(&mut b, x, most);
    let e = build::exp(&mut b, centred);
    let total = build::sum_axes(&mut b, e, &[1]);
    let total = build::broadcast(&mut b, total, &[0], &shape);
    let p = build::div(&mut b, e, total);
    b.output("p", p, None);
    b.finish()
}

fn layernorm() -> Graph {
    let mut b = Builder::new("layernorm", &["B"]);
    let shape = [B, fixed(40)];
    let x = input(&mut b, "x", Role::Data, &shape);
    let gain = input(&mut b, "gain", Role::Param, &shape[1..]);
    let mean_of = |b: &mut Builder, x: Value| {
        let total = build::sum_axes(b, x, &[1]);
        let scale = build::constant_like(b, 1.0 / 40.0, total);
        let mean = build::mul(b, total, scale);
        build::broadcast(b, mean, &[0], &shape)
    };
    let mean = mean_of(&mut b, x);
    let centred = build::sub(&mut b, x, mean);
    let square = build::mul(&mut b, centred, centred);
    let variance = mean_of(&mut b, square);
    let small = build::constant_like(&mut b, 1e-5, variance);
    let variance = build::add(&mut b, variance, small);
    let deviation = build::sqrt(&mut b, variance);
    let normal = build::div(&mut b, centred, deviation);
    let gain = build::broadcast(&mut b, gain, &[1], &shape);
    let y = build::mul(&mut b, normal, gain);
    b.output("y", y, None);
    b.finish()
}

fn adam() -> Graph {
    let mut b = Builder::new("adam", &[]);
    let shape = [fixed(128), fixed(96)];
    let w = input(&mut b, "w", Role::Param, &shape);
    let m = input(&mut b, "m", Role::State, &shape);
    let v = input(&mut b, "v", Role::State, &shape);
    let g = input(&mut b, "g", Role::Data, &shape);
    let rate = b.input("rate", Role::Scalar, Type::scalar(DType::F32), Span::default());
    let rate = build::broadcast_to(&mut b, rate, &shape);
    let mix = |b: &mut Builder, old: Value, new: Value, keep: f64| {
        let (kept, rest) = (build::constant_like(b, keep, old), build::constant_like(b, 1.0 - keep, old));
        let (old, new) = (build::mul(b, old, kept), build::mul(b, new, rest));
        build::add(b, old, new)
    };
    let next_m = mix(&mut b, m, g, 0.9);
    let square = build::mul(&mut b, g, g);
    let next_v = mix(&mut b, v, square, 0.999);
    let root = build::sqrt(&mut b, next_v);
    let small = build::constant_like(&mut b, 1e-8, root);
    let root = build::add(&mut b, root, small);
    let step = build::div(&mut b, next_m, root);
    let step = build::mul(&mut b, step, rate);
    let next_w = build::sub(&mut b, w, step);
    b.output("w", next_w, Some(0));
    b.output("m", next_m, Some(1));
    b.output("v", next_v, Some(2));
    b.finish()
}

/// A projection of joined heads and the slope of its weight: both read the heads where they lie.
fn heads() -> Graph {
    let mut b = Builder::new("heads", &["B"]);
    let x = input(&mut b, "x", Role::Data, &[B, fixed(2), fixed(3), fixed(16)]);
    let w = input(&mut b, "w", Role::Param, &[fixed(8), fixed(32)]);
    let g = input(&mut b, "g", Role::Data, &[B, fixed(3), fixed(8)]);
    let steps = build::transpose(&mut b, x, &[0, 2, 1, 3]);
    let joined = build::reshape(&mut b, steps, &[B, fixed(3), fixed(32)]);
    let y = contract(&mut b, joined, w, "btd,od->bto");
    let slope = contract(&mut b, g, joined, "bto,btd->od");
    b.output("y", y, None);
    b.output("slope", slope, None);
    b.finish()
}

/// The slope of a weight that is used at every step of every sequence, and an update with it.
fn slope() -> Graph {
    let mut b = Builder::new("slope", &["B"]);
    let x = input(&mut b, "x", Role::Data, &[B, fixed(128), fixed(40)]);
    let g = input(&mut b, "g", Role::Data, &[B, fixed(128), fixed(8)]);
    let w = input(&mut b, "w", Role::Param, &[fixed(8), fixed(40)]);
    let slope = contract(&mut b, g, x, "bto,btd->od");
    let next = build::sub(&mut b, w, slope);
    b.output("w", next, Some(2));
    b.finish()
}

/// Two values that change places: neither can be stored in place.
fn swap() -> Graph {
    let mut b = Builder::new("swap", &[]);
    let (p, q) = (input(&mut b, "p", Role::State, &[fixed(4)]), input(&mut b, "q", Role::State, &[fixed(4)]));
    b.output("p", q, Some(0));
    b.output("q", p, Some(1));
    b.finish()
}

/// An update whose other elements are read after it would be written.
fn shift() -> Graph {
    let mut b = Builder::new("shift", &[]);
    let p = input(&mut b, "p", Role::State, &[fixed(4), fixed(4)]);
    let turned = build::transpose(&mut b, p, &[1, 0]);
    let next = build::add(&mut b, p, turned);
    b.output("p", next, Some(0));
    b.finish()
}

fn kernels(graph: &Graph) -> usize {
    scheduled(graph, false).kernels.len()
}

#[test]
fn a_dense_layer_with_bias_and_relu_is_one_kernel_beside_the_packed_weight() {
    let program = scheduled(&dense(24), false);
    let names: Vec<&str> = program.kernels.iter().map(|k| k.name.as_str()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names[0].starts_with("pack."), "{names:?}");
}

#[test]
fn softmax_and_layer_norm_and_adam_are_one_kernel_each() {
    assert_eq!([kernels(&softmax()), kernels(&layernorm()), kernels(&adam())], [1, 1, 1]);
}

#[test]
fn values_that_change_places_go_through_a_copy() {
    for graph in [swap(), shift()] {
        let inputs = nnc::graph::random_inputs(&graph, 1, &[]);
        let wanted = nnc::graph::eval::eval(&graph, &inputs, &[]).unwrap();
        let got = super::run::run(&graph, &scheduled(&graph, false), &inputs, &[]);
        for (words, wanted) in got.iter().zip(&wanted) {
            let wanted: Vec<f64> = wanted.iter().map(|&x| f64::from(x as f32)).collect();
            assert_eq!(super::run::numbers(DType::F32, words), wanted);
        }
    }
}

#[test]
fn loops_of_a_dense_layer() {
    insta::assert_snapshot!(print::print(&scheduled(&dense(24), false)));
}

#[test]
fn loops_of_a_wide_dense_layer() {
    insta::assert_snapshot!(print::print(&scheduled(&dense(128), false)));
}

#[test]
fn loops_of_joined_heads() {
    insta::assert_snapshot!(print::print(&scheduled(&heads(), false)));
}

#[test]
fn loops_of_a_sum_in_blocks() {
    insta::assert_snapshot!(print::print(&scheduled(&slope(), false)));
}

#[test]
fn a_sum_in_blocks_has_the_bits_of_the_whole_sum() {
    let graph = slope();
    for batch in [1, 3] {
        let inputs = nnc::graph::random_inputs(&graph, 1, &[batch]);
        let [whole, blocks] = [super::run::loops(&graph, false), scheduled(&graph, false)];
        assert!(whole.repeats.is_empty() && blocks.repeats.len() == 1);
        let run = |program| super::run::run(&graph, program, &inputs, &[batch]);
        assert_eq!(run(&whole), run(&blocks));
    }
}

#[test]
fn loops_of_softmax() {
    insta::assert_snapshot!(print::print(&scheduled(&softmax(), false)));
}

#[test]
fn loops_of_layer_norm() {
    insta::assert_snapshot!(print::print(&scheduled(&layernorm(), false)));
}

#[test]
fn loops_of_an_adam_update() {
    insta::assert_snapshot!(print::print(&scheduled(&adam(), false)));
}

#[test]
fn a_dense_layer_costs_two_operations_a_weight_and_example() {
    let program = scheduled(&dense(24), false);
    let costs = cost::costs(&program);
    // fma, bias, max; the weight's copy costs no arithmetic
    let flops: Vec<u64> = costs.iter().map(|c| c.flops.bound(&[10])).collect();
    assert_eq!(flops, [0, 10 * 24 * (2 * 20 + 2)]);
    assert_eq!(costs[1].written.bound(&[10]), 10 * 24 * 4);
}

fn costs_of(text: &str, symbols: &[u64]) -> Vec<(u64, u64, u64)> {
    let program = nnc::loops::parse::parse(text).unwrap();
    nnc::loops::verify::verify(&program).unwrap();
    let cost = |c: &cost::Cost| (c.flops.bound(symbols), c.read.bound(symbols), c.written.bound(symbols));
    cost::costs(&program).iter().map(cost).collect()
}

/// Of a table, the rows that are read or added to, but never more than the table; of a slice, the slice.
#[test]
fn bytes_are_those_that_the_accesses_reach() {
    let text = "program p(B)
buffer @table f32[100, 8] outside
buffer @rows i32[B] outside
buffer @out f32[B, 8] outside
buffer @third f32[B, 24] outside

kernel gather {
  parallel i0 < B {
    %0 = load @rows[i0]
    vector(8) i1 < 8 {
      %1 = load @table[%0, i1]
      store @out[i0, i1] = %1
    }
  }
}

kernel scatter {
  serial i0 < B {
    %0 = load @rows[i0]
    vector(8) i1 < 8 {
      %1 = load @table[%0, i1]
      %2 = load @out[i0, i1]
      %3 = add %1, %2
      store @table[%0, i1] = %3
    }
  }
}

kernel slice {
  parallel i0 < B {
    vector(8) i1 < 8 {
      %0 = load @third[i0, i1 + 8]
      %1 = neg %0
      store @out[i0, i1] = %1
    }
  }
}
";
    let row = 8 * 4;
    let few = [(0, 3 * (4 + row), 3 * row), (3 * 8, 3 * (4 + 2 * row), 3 * row), (3 * 8, 3 * row, 3 * row)];
    assert_eq!(costs_of(text, &[3]), few);
    let (b, table) = (1000, 100 * row);
    let many = [(0, b * 4 + table, b * row), (b * 8, b * 4 + table + b * row, table), (b * 8, b * row, b * row)];
    assert_eq!(costs_of(text, &[b]), many);
}

/// Of a stack, each step of a repeat takes its own row; what all steps read is gone through in each.
#[test]
fn bytes_and_operations_of_a_repeat_are_those_of_all_its_steps() {
    let text = "program p()
buffer @stack f32[10, 16] outside
buffer @weight f32[16] outside
buffer @state f32[16] outside

steps 0 < 10 forward {

  kernel step step i0 = 0 {
    vector(16) i1 < 16 {
      %0 = load @stack[i0, i1]
      %1 = load @weight[i1]
      %2 = load @state[i1]
      %3 = fma %0, %1, %2
      %4 = lt %0, %1
      %5 = select %4, %3, %2
      store @state[i1] = %5
    }
  }
}
";
    assert_eq!(costs_of(text, &[]), [(10 * 16 * 2, 10 * 16 * 4 * 3, 10 * 16 * 4)]);
}
