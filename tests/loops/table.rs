//! Every operator of the table, on each of its examples.

use super::run::{Numbers, array, loops, numbers, run};
use nnc::base::{DType, Span};
use nnc::graph::builder::Builder;
use nnc::graph::{Graph, Role, eval};
use nnc::ops::{self, Example};

const BATCH: u64 = 3;

fn graph_of(op: &str, example: &Example) -> Graph {
    let mut b = Builder::new(op, &["B"]);
    let args: Vec<_> = example
        .args
        .iter()
        .enumerate()
        .map(|(i, ty)| b.input(format!("x{i}"), Role::Data, ty.clone(), Span::default()))
        .collect();
    let out = b.try_emit(op, example.attrs.clone(), &args, Span::default()).unwrap();
    b.output("out", out, None);
    b.finish()
}

fn inputs_of(op: &str, graph: &Graph) -> Numbers {
    let mut inputs = Numbers::new();
    for (number, input) in graph.inputs.iter().enumerate() {
        let (low, high) = ops::sample_domain(op, number);
        let sample = |i: usize| match input.ty.dtype {
            DType::I32 => (i * 7 % 3) as f64,
            DType::Bool => (i * 5 % 2) as f64,
            _ => f64::from((low + (high - low) * ((i * 37 + number * 11) % 101) as f64 / 101.0) as f32),
        };
        inputs.insert(input.name.clone(), array(&input.ty.shape, &[BATCH], sample));
    }
    inputs
}

/// A few units in the last place of the largest number that occurs; f32 has 24 bits.
fn close(got: f64, wanted: f64) -> bool {
    got == wanted || got.is_nan() && wanted.is_nan() || (got - wanted).abs() <= 3e-6 * wanted.abs().max(4.0)
}

#[test]
fn the_loops_of_every_operator_agree_with_its_meaning() {
    for op in ops::table() {
        for example in op.examples() {
            let graph = graph_of(op.name(), &example);
            let inputs = inputs_of(op.name(), &graph);
            let wanted = eval::eval(&graph, &inputs, &[BATCH]).unwrap();
            for store_everything in [false, true] {
                let program = loops(&graph, store_everything);
                let dtype = graph.node(graph.outputs[0].value).ty.dtype;
                let got = numbers(dtype, &run(&graph, &program, &inputs, &[BATCH])[0]);
                assert_eq!(got.len(), wanted[0].len());
                for (got, wanted) in got.iter().zip(wanted[0].iter()) {
                    assert!(close(*got, *wanted), "{got} != {wanted}\n{graph:#?}\n{program:#?}");
                }
            }
        }
    }
}
