//! The terms of a figure: a loss or metric over a part of the data is a sum of means, each over all that counts for it.
//!
//! In: the value of a loss or metric in one batch. Out: per term Σ w·x and Σ w of the batch, which are added up over the
//! part. Invariant: the sum of a batch's quotients is the value; over a part it depends on no batch size where the value is
//! a sum of losses, each times a factor.

use super::elaborate::{Elaborator, Res};
use super::value::{Kind, Tensor};
use crate::base::{DType, Span};
use crate::graph::Role;
use crate::ops::Value;
use std::collections::BTreeMap;

/// What a loss came to: its mean is `sum / weight`.
#[derive(Clone, Debug)]
pub struct Fraction {
    /// The mean, or the values where losses are not reduced.
    pub value: Value,
    pub sum: Tensor,
    pub weight: Tensor,
    /// Whether each row has the same share of the weight.
    pub even: bool,
}

/// Σ w·x and Σ w over a batch.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    pub sum: Value,
    pub weight: Value,
}

/// A value as Σ factor · mean + the rest.
#[derive(Default)]
struct Parts {
    means: Vec<(Fraction, Option<Tensor>)>,
    /// What is the same in every batch, such as a penalty on weights.
    fixed: Vec<Tensor>,
    /// What is no sum of means: a root of a loss, a product of two. Its mean over the batches is what can be had.
    other: Vec<Tensor>,
}

impl Elaborator<'_> {
    /// The terms of a value over a batch: a tensor's mean over its elements, or the losses that make up a number.
    pub fn terms(&mut self, t: &Tensor, span: Span) -> Res<Vec<Term>> {
        if !t.axes.is_empty() {
            let own = self.fractions.iter().find(|f| f.value == t.value).cloned();
            let Fraction { sum, weight, .. } = own.map_or_else(|| self.fraction_of(t, None, span), Ok)?;
            return Ok(vec![Term { sum: sum.value, weight: weight.value }]);
        }
        let parts = self.parts(t, span)?;
        let even = parts.means.iter().rev().find(|(f, _)| f.even).map(|(f, _)| f.weight.clone());
        let mut weights: Vec<Tensor> = Vec::new();
        for (f, _) in parts.means.iter().filter(|(f, _)| !f.even) {
            if weights.iter().all(|w| w.value != f.weight.value) {
                weights.push(f.weight.clone());
            }
        }
        let even = match even {
            None if !parts.other.is_empty() || weights.is_empty() => Some(self.count(&[Self::BATCH], span)?),
            even => even,
        };
        match (&even, weights.as_slice()) {
            (Some(weight), []) | (None, [weight]) => {
                let sum = self.apply("mul", &[t.clone(), weight.clone()], span)?;
                Ok(vec![Term { sum: sum.value, weight: weight.value }])
            }
            _ => self.several(parts, even, weights, span),
        }
    }

    /// A term for what each row has an even share in, and one for each weight.
    fn several(&mut self, parts: Parts, even: Option<Tensor>, weights: Vec<Tensor>, span: Span) -> Res<Vec<Term>> {
        let mut out = Vec::new();
        let mut fixed = parts.fixed;
        if let Some(weight) = even {
            let mut values = parts.other;
            values.append(&mut fixed);
            for (f, factor) in parts.means.iter().filter(|(f, _)| f.even) {
                let mean = Tensor { value: f.value, axes: vec![], kind: Kind::Real };
                values.push(self.times(&mean, factor, span)?);
            }
            let value = self.added_up(values, span)?;
            let sum = self.apply("mul", &[value, weight.clone()], span)?;
            out.push(Term { sum: sum.value, weight: weight.value });
        }
        for weight in weights {
            let mut sums = Vec::new();
            for value in std::mem::take(&mut fixed) {
                sums.push(self.apply("mul", &[value, weight.clone()], span)?);
            }
            for (f, factor) in parts.means.iter().filter(|(f, _)| !f.even && f.weight.value == weight.value) {
                sums.push(self.times(&f.sum, factor, span)?);
            }
            let sum = self.added_up(sums, span)?;
            out.push(Term { sum: sum.value, weight: weight.value });
        }
        Ok(out)
    }

    fn times(&mut self, t: &Tensor, factor: &Option<Tensor>, span: Span) -> Res<Tensor> {
        match factor {
            None => Ok(t.clone()),
            Some(f) => self.apply("mul", &[f.clone(), t.clone()], span),
        }
    }

    fn added_up(&mut self, values: Vec<Tensor>, span: Span) -> Res<Tensor> {
        let mut values = values.into_iter();
        let Some(mut sum) = values.next() else { panic!("a term has a value") };
        for value in values {
            sum = self.apply("add", &[sum, value], span)?;
        }
        Ok(sum)
    }

    /// Goes from `t` back to the means, each value once and after all that use it; carries the factor that each has in `t`.
    fn parts(&mut self, t: &Tensor, span: Span) -> Res<Parts> {
        let varies = self.varying();
        let mut out = Parts::default();
        let mut open: BTreeMap<Value, Option<Tensor>> = BTreeMap::from([(t.value, None)]);
        while let Some((value, factor)) = open.pop_last() {
            let scalar = |value| Tensor { value, axes: vec![], kind: Kind::Real };
            if let Some(f) = self.fractions.iter().find(|f| f.value == value).cloned() {
                out.means.push((f, factor));
                continue;
            }
            let varying = |v: Value| varies[v.0 as usize];
            let node = self.graph.graph().node(value);
            let next = match (node.op.name(), node.args.as_slice()) {
                _ if !varying(value) => {
                    out.fixed.push(self.times(&scalar(value), &factor, span)?);
                    continue;
                }
                ("add", &[a, b]) => vec![(a, factor.clone()), (b, factor)],
                ("sub", &[a, b]) => vec![(a, factor.clone()), (b, Some(self.negated(factor, span)?))],
                ("neg", &[a]) => vec![(a, Some(self.negated(factor, span)?))],
                ("mul", &[a, b]) if !varying(a) => vec![(b, Some(self.times(&scalar(a), &factor, span)?))],
                ("mul", &[a, b]) if !varying(b) => vec![(a, Some(self.times(&scalar(b), &factor, span)?))],
                ("div", &[a, b]) if !varying(b) => {
                    let one = self.one(factor, span)?;
                    vec![(a, Some(self.apply("div", &[one, scalar(b)], span)?))]
                }
                _ => {
                    out.other.push(self.times(&scalar(value), &factor, span)?);
                    continue;
                }
            };
            for (v, factor) in next {
                let factor = match open.remove(&v) {
                    None => factor,
                    Some(before) => {
                        let both = [self.one(before, span)?, self.one(factor, span)?];
                        Some(self.apply("add", &both, span)?)
                    }
                };
                open.insert(v, factor);
            }
        }
        out.means.reverse();
        Ok(out)
    }

    fn one(&mut self, factor: Option<Tensor>, span: Span) -> Res<Tensor> {
        match factor {
            Some(f) => Ok(f),
            None => Ok(Tensor { value: self.constant(1.0, DType::F32, span)?, axes: vec![], kind: Kind::Real }),
        }
    }

    fn negated(&mut self, factor: Option<Tensor>, span: Span) -> Res<Tensor> {
        let one = self.one(factor, span)?;
        self.apply("neg", &[one], span)
    }

    /// For each value of the graph, whether it depends on the rows of the batch.
    fn varying(&self) -> Vec<bool> {
        let graph = self.graph.graph();
        let mut out = vec![false; graph.nodes.len()];
        for input in graph.inputs.iter().filter(|i| matches!(i.role, Role::Data | Role::Rows)) {
            out[input.value.0 as usize] = true;
        }
        for (i, node) in graph.nodes.iter().enumerate() {
            out[i] |= node.args.iter().any(|a| out[a.0 as usize]);
        }
        out
    }
}
