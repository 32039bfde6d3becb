//! Random numbers for the inputs of any graph, for tests.
//!
//! In: a graph, a seed and the numbers behind its symbols. Out: an array for each input. Invariant: the same seed gives the
//! same numbers on every machine, and every f64 scalar and f32 element is exact in f32.

use super::Graph;
use crate::base::DType;
use crate::ops::scalar::random_word;
use ndarray::{ArrayD, Dimension, IxDyn};
use std::collections::BTreeMap;

/// Numbers for the inputs of a graph: real ones in -2 .. 2, row numbers 0, 1, 2; f64 scalars are whole, from 1 to 9.
pub fn random_inputs(graph: &Graph, seed: u64, symbols: &[u64]) -> BTreeMap<String, ArrayD<f64>> {
    let mut inputs = BTreeMap::new();
    for (number, input) in graph.inputs.iter().enumerate() {
        let shape: Vec<usize> = input.ty.shape.iter().map(|e| e.bound(symbols) as usize).collect();
        let key = random_word(number as u32 + 1, seed as u32 ^ 0x2545_f491);
        let draw = |i: u32| f64::from(random_word(i, key) >> 8) / f64::from(1u32 << 24);
        let number = |i: u32| match input.ty.dtype {
            DType::F32 => draw(i) * 4.0 - 2.0,
            DType::I32 => (draw(i) * 3.0).floor(),
            DType::Bool => (draw(i) * 2.0).floor(),
            DType::F64 => (draw(i) * 9.0).floor() + 1.0,
        };
        let array = ArrayD::from_shape_fn(IxDyn(&shape), |at| {
            let at = at.slice();
            let place = at.iter().zip(&shape).fold(0, |place, (i, n)| place * n + i);
            number(place as u32)
        });
        inputs.insert(input.name.clone(), array);
    }
    inputs
}
