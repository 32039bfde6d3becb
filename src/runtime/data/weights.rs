//! Weights as a safetensors file.
//!
//! In: tensors by name. Out: the bytes of a file. Invariant: the same tensors give the same bytes, and [`super::given::parse`] gives the
//! same bits back.

use super::given::channels_second;
use crate::base::Diagnostic;
use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};
use std::collections::HashMap;

/// A weight or a state, row-major as the step has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    pub name: String,
    pub shape: Vec<u64>,
    /// Bits of f32.
    pub words: Vec<u32>,
    /// Files have its last axis in the second place.
    pub filter: bool,
}

/// `about` says where the weights come from; it stands in the header under `nnc`.
///
/// Errors: E0803 where the file would be larger than memory can address.
pub fn bytes(weights: &[Weight], about: &str) -> Result<Vec<u8>, Box<Diagnostic>> {
    let failed = |e: &dyn std::fmt::Display| Box::new(Diagnostic::plain("E0803", format!("the weights: {e}")));
    let mut tensors: Vec<(&str, Vec<usize>, Vec<u8>)> = Vec::new();
    for weight in weights {
        let (mut shape, turned) = (weight.shape.clone(), weight.filter && weight.shape.len() > 1);
        let second = turned.then(|| channels_second(&weight.words, &weight.shape));
        if turned {
            shape[1..].rotate_right(1);
        }
        let words = second.as_deref().unwrap_or(&weight.words);
        let shape = shape.iter().map(|&d| d as usize).collect();
        tensors.push((&weight.name, shape, words.iter().flat_map(|w| w.to_le_bytes()).collect()));
    }
    let mut views = Vec::new();
    for (name, shape, data) in &tensors {
        views.push((*name, TensorView::new(Dtype::F32, shape.clone(), data).map_err(|e| failed(&e))?));
    }
    // One entry: a map of several would be written in any order.
    let header = HashMap::from([("nnc".to_string(), about.to_string())]);
    serialize(views, Some(header)).map_err(|e| failed(&e))
}
