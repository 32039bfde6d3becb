//! Running the loops of a graph beside its meaning in f64.

use ndarray::{ArrayD, IxDyn};
use nnc::base::{DType, Extent, Shape};
use nnc::graph::Graph;
use nnc::loops::ir::Program;
use nnc::loops::{eval, lower, print, schedule, verify};
use nnc::passes::fuse::{Options, fuse_with};
use std::collections::BTreeMap;

pub type Numbers = BTreeMap<String, ArrayD<f64>>;

pub fn array(shape: &Shape, symbols: &[u64], mut number: impl FnMut(usize) -> f64) -> ArrayD<f64> {
    let shape: Vec<usize> = shape.iter().map(|e: &Extent| e.bound(symbols) as usize).collect();
    let count = shape.iter().product();
    ArrayD::from_shape_vec(IxDyn(&shape), (0..count).map(&mut number).collect()).unwrap()
}

/// The verified loops of `graph`.
pub fn loops(graph: &Graph, store_everything: bool) -> Program {
    let fusion = fuse_with(graph, Options { store_everything });
    let program = lower::lower(graph, &fusion);
    verify::verify(&program)
        .unwrap_or_else(|e| panic!("{e}\n{}\n{}", nnc::graph::print(graph), print::print(&program)));
    program
}

/// The same after scheduling.
pub fn scheduled(graph: &Graph, store_everything: bool) -> Program {
    let mut program = loops(graph, store_everything);
    let before = print::print(&program);
    schedule::schedule(&mut program);
    verify::verify(&program).unwrap_or_else(|e| panic!("{e}\n{before}\n{}", print::print(&program)));
    program
}

fn to_words(dtype: DType, numbers: &ArrayD<f64>) -> Vec<u32> {
    let word = |&x: &f64| match dtype {
        DType::F64 => vec![x.to_bits() as u32, (x.to_bits() >> 32) as u32],
        DType::F32 => vec![(x as f32).to_bits()],
        DType::I32 | DType::Bool => vec![x as i64 as u32],
    };
    numbers.iter().flat_map(word).collect()
}

/// The words of every output after a run of the loops, in order.
pub fn run(graph: &Graph, program: &Program, inputs: &Numbers, symbols: &[u64]) -> Vec<Vec<u32>> {
    let mut buffers = eval::empty_buffers(program, symbols).unwrap();
    for (number, input) in graph.inputs.iter().enumerate() {
        buffers[number] = to_words(program.buffers[number].dtype, &inputs[&input.name]);
    }
    eval::eval(program, &mut buffers, symbols)
        .unwrap_or_else(|e| panic!("{e}\n{}\n{}", nnc::graph::print(graph), print::print(program)));
    let (mut free, mut out) = (graph.inputs.len(), vec![]);
    for output in &graph.outputs {
        let number = output.target.unwrap_or(free);
        free += usize::from(output.target.is_none());
        out.push(buffers[number].clone());
    }
    out
}

/// Output words as numbers.
pub fn numbers(dtype: DType, words: &[u32]) -> Vec<f64> {
    let number = |&w: &u32| match dtype {
        DType::F32 => f64::from(f32::from_bits(w)),
        _ => f64::from(w as i32),
    };
    words.iter().map(number).collect()
}
