//! Where a size comes from: the layers between the data and a value.
//!
//! In: a value of the graph that is being made. Out: places in the user's text with the shapes that they gave. Invariant: in
//! the order in which they were made; a layer inside another listed one is not listed.

use super::elaborate::Elaborator;
use super::errors::{self, Boxed};
use super::value::{Label, Tensor, describe_extents};
use crate::base::{Extent, Span};
use crate::graph::Role;
use crate::ops::Value;
use crate::syntax::ast::DefKind;

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
        let user = self.layers.iter().filter(|l| !self.items.is_library(l.span));
        let mut layers: Vec<_> = user.filter(|l| l.nodes.clone().any(reached)).collect();
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

    /// With the place where `value` got its shape.
    pub fn born(&self, d: Boxed, value: Value) -> Boxed {
        match self.sizes_on_the_way(value).pop() {
            Some(size) => labelled(d, size.span, format!("{} here", describe_extents(&size.shape))),
            None => d,
        }
    }

    /// Shapes that do not fit together, and where each comes from.
    pub fn unmatched(&self, tensors: &[&Tensor], span: Span) -> Boxed {
        let d = errors::no_broadcast(self.blame(span), tensors);
        tensors.iter().filter(|t| !t.own_axes().is_empty()).fold(d, |d, t| self.born(d, t.value))
    }

    /// Remembers the layer that takes a mean over the batch in which each example has one value.
    pub fn note_mean_of_one(&mut self, t: &Tensor, places: &[usize], span: Span) {
        let over_batch = places.iter().any(|&p| t.axes[p].label == Some(Label::Batch));
        let single = places.iter().all(|&p| t.axes[p].label == Some(Label::Batch) || t.axes[p].extent.is_one());
        let in_layer = self.frames.last().is_some_and(|f| f.kind == Some(DefKind::Op));
        if self.train && over_batch && single && in_layer {
            self.alone.push(self.blame(span));
        }
    }
}

/// With another label, unless there is one at this place already.
pub fn labelled(d: Boxed, span: Span, text: String) -> Boxed {
    if d.labels.iter().any(|l| l.span == span && l.text == text) {
        return d;
    }
    Box::new((*d).label(span, text))
}
