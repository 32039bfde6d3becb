//! What a kernel costs: operations and bytes, as functions of the symbols.
//!
//! In: a verified program. Out: a [`Cost`] per kernel. Invariant: an estimate for reports and thresholds; no bit depends on it.

use super::ir::*;
use super::plan::element_bytes;
use crate::base::Extent;
use crate::ops::ScalarOp;
use std::collections::{BTreeMap, BTreeSet};

/// A polynomial in the symbols: the factor of each product of symbols.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count(pub BTreeMap<Vec<u32>, u64>);

impl Count {
    fn add(&mut self, extents: &[Extent], factor: u64) {
        let mut symbols: Vec<u32> = vec![];
        let mut product = factor;
        for extent in extents {
            match *extent {
                Extent::Fixed(n) => product = product.saturating_mul(n),
                Extent::Sym(s) => symbols.push(s),
            }
        }
        symbols.sort_unstable();
        let known = self.0.entry(symbols).or_default();
        *known = known.saturating_add(product);
    }

    /// The number for given symbols; saturates.
    pub fn bound(&self, symbols: &[u64]) -> u64 {
        let term = |(product, factor): (&Vec<u32>, &u64)| {
            product.iter().fold(*factor, |n, &s| n.saturating_mul(symbols[s as usize]))
        };
        self.0.iter().map(term).fold(0, u64::saturating_add)
    }
}

/// The cost of one kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Arithmetic operations on elements; an `fma` counts two, every other function one.
    pub flops: Count,
    /// Bytes of the buffers that are read, each once; of a gathered buffer, what is loaded.
    pub read: Count,
    pub written: Count,
}

/// The costs of all kernels, in order.
pub fn costs(program: &Program) -> Vec<Cost> {
    program.kernels.iter().enumerate().map(|(number, kernel)| cost(program, number, kernel)).collect()
}

fn cost(program: &Program, number: usize, kernel: &Kernel) -> Cost {
    let steps: Vec<Extent> = program.around(number).into_iter().map(|r| program.repeats[r].extent).collect();
    let mut walk = Walk {
        program,
        kernel,
        extents: steps.clone(),
        read: BTreeSet::new(),
        written: BTreeSet::new(),
        cost: Cost::default(),
    };
    walk.block(&kernel.body);
    let Walk { mut cost, read, written, .. } = walk;
    for (buffers, count) in [(read, &mut cost.read), (written, &mut cost.written)] {
        for id in buffers {
            let buffer = &program.buffers[id.0 as usize];
            // Of a stack, each step takes its own part; any other buffer is gone through at each step.
            let again = if kernel.steps.is_empty() { steps.as_slice() } else { &[] };
            count.add(&[again, &buffer.shape].concat(), element_bytes(buffer.dtype));
        }
    }
    cost
}

struct Walk<'a> {
    program: &'a Program,
    kernel: &'a Kernel,
    extents: Vec<Extent>,
    read: BTreeSet<BufferId>,
    written: BTreeSet<BufferId>,
    cost: Cost,
}

impl Walk<'_> {
    fn block(&mut self, body: &[Stmt]) {
        for stmt in body {
            match stmt {
                Stmt::Let(val) => self.inst(*val),
                Stmt::Store { buffer, .. } => {
                    self.written.insert(*buffer);
                }
                Stmt::Loop(inner) => {
                    self.extents.push(inner.extent);
                    self.block(&inner.body);
                    self.extents.pop();
                }
            }
        }
    }

    fn inst(&mut self, val: Val) {
        match &self.kernel.insts[val.0 as usize] {
            Inst::Scalar { op: ScalarOp::Fma, .. } => self.cost.flops.add(&self.extents, 2),
            Inst::Scalar { .. } => self.cost.flops.add(&self.extents, 1),
            Inst::Load { buffer, at, .. } => {
                let indirect = at.iter().any(|i| i.terms.iter().any(|(_, t)| matches!(t, Term::Val(_))));
                if indirect {
                    let bytes = element_bytes(self.program.buffers[buffer.0 as usize].dtype);
                    self.cost.read.add(&self.extents, bytes);
                } else {
                    self.read.insert(*buffer);
                }
            }
            _ => {}
        }
    }
}
