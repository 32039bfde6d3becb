//! Long sums of products run in blocks of terms, so that what a block reads stays in the caches.
//!
//! In: a program as `lower` makes it. Out: the same program, in which a contraction whose sum has several loops and many terms
//! runs once for each step of the outermost one: zeros, a repeat that adds to what is stored, and a kernel that reads the
//! sums. Invariant: the terms of an element are added in the same order, so no bit changes.

use super::contraction::find;
use super::ir::*;
use super::nest::{Axis, Nest};
use super::rewrite::tidy;
use crate::base::{DType, Extent};
use crate::passes::footprint::nominal;
use std::ops::Range;

/// A sum of this many terms reads more than the caches hold: 40 elements a term in a tile of 8 rows and 32 columns.
const LONG: f64 = 2048.0;
/// A block has this many terms at least: its sums are loaded and stored once for each block.
const LEAST: f64 = 128.0;

pub fn block(program: &mut Program) {
    // Where the kernels of each old one begin among the new ones.
    let (mut places, mut repeats) = (vec![], vec![]);
    for kernel in std::mem::take(&mut program.kernels) {
        places.push(program.kernels.len() as u32);
        match long_sum(program, &kernel) {
            Some(sum) => {
                let number = program.repeats.len() + repeats.len();
                let (steps, kernels) = blocks(program, &kernel, sum, number as u32);
                let begin = program.kernels.len() as u32 + 1;
                repeats.push(Repeat { extent: steps, reverse: false, kernels: begin..begin + 1 });
                program.kernels.extend(kernels);
            }
            None => program.kernels.push(kernel),
        }
    }
    places.push(program.kernels.len() as u32);
    for repeat in &mut program.repeats {
        let Range { start, end } = repeat.kernels;
        repeat.kernels = places[start as usize]..places[end as usize];
    }
    program.repeats.extend(repeats);
}

/// The place of the sum in the nest's body, if the kernel is a contraction that is worth it.
fn long_sum(program: &Program, kernel: &Kernel) -> Option<usize> {
    let found = find(program, kernel)?;
    let terms = |axes: &[Axis]| axes.iter().map(|a| nominal(a.extent)).product::<f64>();
    if found.rows.is_none() || found.terms.len() < 2 || terms(&found.terms) < LONG || terms(&found.terms[1..]) < LEAST {
        return None;
    }
    let body = Nest::of(kernel).body;
    let mut loops = (0..body.len()).filter(|&at| matches!(body[at], Stmt::Loop(_)));
    let at = loops.next().filter(|_| loops.next().is_none())?;
    let Stmt::Loop(sum) = &body[at] else { return None };
    matches!(kernel.insts[sum.carries[0].init.0 as usize], Inst::Const { .. }).then_some(at)
}

/// The number of steps, and what runs before, in and behind them.
fn blocks(program: &mut Program, kernel: &Kernel, sum: usize, repeat: u32) -> (Extent, [Kernel; 3]) {
    let nest = Nest::of(kernel);
    let Stmt::Loop(outer) = &nest.body[sum] else { panic!("invariant broken: the sum is a loop") };
    let shape = nest.axes.iter().map(|a| a.extent).collect();
    let home = Home::Arena { first: 0, last: 0 };
    program.buffers.push(Buffer { name: format!("{}.sums", kernel.name), dtype: DType::F32, shape, home });
    let buffer = BufferId(program.buffers.len() as u32 - 1);
    let sums = Sums { kernel, nest: &nest, at: sum, outer, buffer };
    (outer.extent, [sums.begin(), sums.add(repeat), sums.finish()])
}

/// A contraction while it is cut into kernels.
struct Sums<'a> {
    kernel: &'a Kernel,
    nest: &'a Nest,
    /// Where the loop `outer` stands in the nest's body.
    at: usize,
    outer: &'a Loop,
    buffer: BufferId,
}

impl Sums<'_> {
    fn place(&self) -> Vec<Affine> {
        self.nest.axes.iter().map(|a| Affine::term(Term::Var(a.var))).collect()
    }

    fn store(&self, value: Val) -> Stmt {
        Stmt::Store { buffer: self.buffer, at: self.place(), value }
    }

    fn load(&self) -> Inst {
        Inst::Load { buffer: self.buffer, at: self.place(), mask: None }
    }

    /// The kernel with another body for its nest.
    fn with(&self, name: &str, insts: Vec<Inst>, steps: Vec<Step>, body: Vec<Stmt>) -> Kernel {
        let name = format!("{}{name}", self.kernel.name);
        let mut kernel = Kernel { name, insts, vars: self.kernel.vars, steps, body: vec![] };
        Nest { axes: self.nest.axes.clone(), outside: self.nest.outside.clone(), body }.put(&mut kernel);
        tidy(&mut kernel);
        kernel
    }

    fn begin(&self) -> Kernel {
        let mut body = self.nest.body[..self.at].to_vec();
        body.push(self.store(self.outer.carries[0].init));
        self.with(".begin", self.kernel.insts.clone(), self.kernel.steps.clone(), body)
    }

    /// One step: a block's terms added to the stored sum.
    fn add(&self, repeat: u32) -> Kernel {
        let (mut insts, mut steps) = (self.kernel.insts.clone(), self.kernel.steps.clone());
        steps.push(Step { var: self.outer.var, repeat, extent: self.outer.extent });
        let carry = &self.outer.carries[0];
        insts[carry.current.0 as usize] = self.load();
        let mut body = self.nest.body[..self.at].to_vec();
        body.push(Stmt::Let(carry.current));
        body.extend(self.outer.body.iter().cloned());
        body.push(self.store(carry.next));
        self.with(".add", insts, steps, body)
    }

    /// What the kernel makes of the sums.
    fn finish(&self) -> Kernel {
        let mut insts = self.kernel.insts.clone();
        let result = self.outer.carries[0].result;
        insts[result.0 as usize] = self.load();
        let mut body = self.nest.body.clone();
        body[self.at] = Stmt::Let(result);
        self.with("", insts, self.kernel.steps.clone(), body)
    }
}
