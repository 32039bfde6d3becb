//! What a kernel costs: operations and bytes, as functions of the symbols.
//!
//! In: a verified program. Out: a [`Cost`] per kernel. Invariant: an estimate for reports and thresholds; no bit depends on it.

use super::ir::*;
use super::plan::element_bytes;
use crate::base::Extent;
use std::collections::BTreeMap;

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

/// Bytes of one buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Touched {
    /// All of it, as often as a repeat goes through it again.
    whole: Count,
    /// What the accesses can reach: an element for each step of the loops that their addresses depend on.
    reached: Count,
}

/// The bytes that a kernel moves: of each buffer no more than it has, and no more than its accesses reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes(BTreeMap<BufferId, Touched>);

impl Bytes {
    pub fn bound(&self, symbols: &[u64]) -> u64 {
        let least = |t: &Touched| t.whole.bound(symbols).min(t.reached.bound(symbols));
        self.0.values().map(least).fold(0, u64::saturating_add)
    }
}

/// The cost of one kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Arithmetic operations on elements, as [`crate::ops::ScalarOp::flops`] counts them.
    pub flops: Count,
    pub read: Bytes,
    pub written: Bytes,
}

impl Cost {
    /// Bytes that are read and written.
    pub fn moved(&self, symbols: &[u64]) -> u64 {
        self.read.bound(symbols).saturating_add(self.written.bound(symbols))
    }
}

/// The costs of all kernels, in order.
pub fn costs(program: &Program) -> Vec<Cost> {
    program.kernels.iter().enumerate().map(|(number, kernel)| cost(program, number, kernel)).collect()
}

fn cost(program: &Program, number: usize, kernel: &Kernel) -> Cost {
    let repeats = program.around(number).into_iter().map(|r| program.repeats[r].extent).collect();
    let mut walk = Walk { program, kernel, repeats, loops: vec![], cost: Cost::default() };
    walk.block(&kernel.body);
    walk.cost
}

struct Walk<'a> {
    program: &'a Program,
    kernel: &'a Kernel,
    /// The extents of the repeats around the kernel.
    repeats: Vec<Extent>,
    loops: Vec<(Var, Extent)>,
    cost: Cost,
}

impl Walk<'_> {
    fn block(&mut self, body: &[Stmt]) {
        for stmt in body {
            match stmt {
                Stmt::Let(val) => self.inst(*val),
                Stmt::Store { buffer, at, .. } => {
                    let mut written = std::mem::take(&mut self.cost.written);
                    self.access(&mut written, *buffer, at);
                    self.cost.written = written;
                }
                Stmt::Loop(inner) => {
                    self.loops.push((inner.var, inner.extent));
                    self.block(&inner.body);
                    self.loops.pop();
                }
            }
        }
    }

    fn inst(&mut self, val: Val) {
        match &self.kernel.insts[val.0 as usize] {
            Inst::Scalar { op, .. } => {
                let loops = self.loops.iter().map(|(_, extent)| *extent);
                let times: Vec<Extent> = self.repeats.iter().copied().chain(loops).collect();
                self.cost.flops.add(&times, op.flops());
            }
            Inst::Load { buffer, at, .. } => {
                let mut read = std::mem::take(&mut self.cost.read);
                self.access(&mut read, *buffer, at);
                self.cost.read = read;
            }
            _ => {}
        }
    }

    fn access(&self, bytes: &mut Bytes, id: BufferId, at: &[Affine]) {
        let buffer = &self.program.buffers[id.0 as usize];
        let size = element_bytes(buffer.dtype);
        let uses = |var: Var| at.iter().any(|i| i.factor(Term::Var(var)) != 0);
        // A row that the data names may be another one each time.
        let indirect = at.iter().any(|i| i.terms.iter().any(|(_, t)| matches!(t, Term::Val(_))));
        let loops = self.loops.iter().filter(|(var, _)| indirect || uses(*var)).map(|(_, extent)| *extent);
        let reached: Vec<Extent> = self.repeats.iter().copied().chain(loops).collect();
        // Of a stack, each step takes its own part; any other buffer is gone through at each step.
        let stack = self.kernel.steps.iter().any(|s| uses(s.var));
        let again = if stack { &[] } else { self.repeats.as_slice() };
        let known = bytes.0.entry(id).or_default();
        known.reached.add(&reached, size);
        if known.whole == Count::default() {
            known.whole.add(&[again, &buffer.shape].concat(), size);
        }
    }
}
