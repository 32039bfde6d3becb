//! Where a size comes from: the layers between the data and a value.
//!
//! In: a value of the graph that is being made. Out: places in the user's text with the shapes that they gave. Invariant: in
//! the order in which they were made; a layer inside another listed one is not listed.

use super::elaborate::Elaborator;
use crate::base::{Extent, Span};
use crate::graph::Role;
use crate::ops::Value;

/// A place and the shape that an example has there.
pub struct Size {
    pub span: Span,
    pub shape: Vec<Extent>,
}

/// More places than this hide the one that matters.
const SHOWN: usize = 8;

impl Elaborator<'_> {
    /// The data and the layers that `value` is computed from, where the shape changes; at most the last few.
    pub fn sizes_on_the_way(&self, value: Value) -> Vec<Size> {
        let graph = self.graph.graph();
        let mut behind = vec![false; value.0 as usize + 1];
        behind[value.0 as usize] = true;
        for v in (0..behind.len()).rev().filter(|&v| v < graph.nodes.len()) {
            if behind[v] {
                graph.nodes[v].args.iter().for_each(|a| behind[a.0 as usize] = true);
            }
        }
        let mut out: Vec<Size> = Vec::new();
        let data =
            graph.inputs.iter().filter(|i| i.role == Role::Data && behind.get(i.value.0 as usize) == Some(&true));
        for input in data {
            let shape = input.ty.shape.iter().skip(1).copied().collect();
            out.push(Size { span: input.span, shape });
        }
        let reached = |v: u32| behind.get(v as usize) == Some(&true);
        let mut layers: Vec<_> = self.layers.iter().filter(|l| l.nodes.clone().any(reached)).collect();
        layers.sort_by_key(|l| (l.nodes.start, l.depth));
        let mut end = 0;
        for layer in layers {
            if layer.nodes.start >= end {
                end = layer.nodes.end;
                if out.last().is_none_or(|s| s.shape != layer.shape) {
                    out.push(Size { span: layer.span, shape: layer.shape.clone() });
                }
            }
        }
        let first = out.len().saturating_sub(SHOWN);
        out.split_off(first)
    }
}
