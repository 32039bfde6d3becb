//! Long sums of products run in blocks of terms, so that what a block reads stays in the caches.
//!
//! In: a program as `lower` makes it. Out: the same program, in which a contraction whose sum has many terms runs once for each
//! step of its outermost loop, or for each part of its only one: zeros, a repeat that adds to what is stored, and a kernel that
//! reads the sums. Invariant: the terms of an element are added in the same order, so no bit changes.

use super::contraction::{Contraction, find};
use super::ir::*;
use super::nest::{Axis, Nest, stride};
use super::rewrite::tidy;
use super::split::part;
use crate::base::{DType, Extent};
use crate::passes::footprint::nominal;
use std::ops::Range;

/// A sum of this many terms reads more than the caches hold: 40 elements a term in a tile of 8 rows and 32 columns.
const LONG: f64 = 2048.0;
/// A sum over one loop is cut from this many terms on.
const LONG_LOOP: u64 = 1024;
/// A block has this many terms at least: its sums are loaded and stored once for each block.
const LEAST: f64 = 128.0;
/// Of a sum over one loop, a part has this many terms at most: a panel of 32 columns of it fills two thirds of a first-level
/// cache, 256 rows a part of the second level.
const PART: u64 = 256;
/// The lanes of the widest register.
const LANES: u64 = 16;

pub fn block(program: &mut Program) {
    // Where the kernels of each old one begin among the new ones.
    let (mut places, mut repeats) = (vec![], vec![]);
    for mut kernel in std::mem::take(&mut program.kernels) {
        places.push(program.kernels.len() as u32);
        let long = if part_long_sum(program, &mut kernel) { LONG_LOOP as f64 } else { LONG };
        if !is_long_sum(program, &kernel, long) {
            program.kernels.push(kernel);
            continue;
        }
        let written = arrange(program, &mut kernel);
        let number = program.repeats.len() + repeats.len();
        let (steps, kernels) = blocks(program, &kernel, &written, number as u32);
        let begin = program.kernels.len() as u32 + 1;
        repeats.push(Repeat { extent: steps, reverse: false, kernels: begin..begin + 1 });
        program.kernels.extend(kernels);
    }
    places.push(program.kernels.len() as u32);
    for repeat in &mut program.repeats {
        let Range { start, end } = repeat.kernels;
        repeat.kernels = places[start as usize]..places[end as usize];
    }
    program.repeats.extend(repeats);
}

/// Makes two loops of a long sum that has one: parts of the terms, and the terms of a part. Tells whether it did.
fn part_long_sum(program: &Program, kernel: &mut Kernel) -> bool {
    let Some(found) = find(program, kernel).filter(|found| found.rows.is_some()) else { return false };
    let ([sum], Some(n)) = (found.terms.as_slice(), found.terms[0].extent.fixed()) else { return false };
    let parts = (LEAST as u64..=PART).rev().find(|&by| n >= LONG_LOOP && n.is_multiple_of(by));
    let Some(by) = parts else { return false };
    let (outer, inner) = (Var(kernel.vars), Var(kernel.vars + 1));
    kernel.vars += 2;
    part(kernel, sum.var, (outer, inner, by));
    true
}

/// Whether the kernel is a contraction that is worth it: one sum, of `long` terms at least, behind which nothing but its result
/// is needed.
fn is_long_sum(program: &Program, kernel: &Kernel, long: f64) -> bool {
    let Some(found) = find(program, kernel).filter(|f| f.rows.is_some() && f.terms.len() > 1) else { return false };
    let terms = |axes: &[Axis]| axes.iter().map(|a| nominal(a.extent)).product::<f64>();
    let body = Nest::of(kernel).body;
    let mut loops = body.iter().filter_map(|s| match s {
        Stmt::Loop(sum) => Some(sum),
        _ => None,
    });
    let alone = loops.next().filter(|_| loops.next().is_none());
    let zero = |sum: &Loop| matches!(kernel.insts[sum.carries[0].init.0 as usize], Inst::Const { .. });
    terms(&found.terms) >= long && terms(&found.terms[1..]) >= LEAST && alone.is_some_and(zero)
}

/// Puts the loops of a long sum into the order in which its sums are stored: the columns last, and in panels if there are many,
/// so that the sums of a tile lie together, those of the next tile behind them. Gives the order in which the result is written.
fn arrange(program: &Program, kernel: &mut Kernel) -> Vec<Axis> {
    let Some(found) = find(program, kernel) else { return vec![] };
    let columns = wider(program, kernel, &found).unwrap_or(found.columns);
    let cut = super::schedule::panels(kernel, columns);
    cut.iter().for_each(|cut| cut.replace(kernel));
    let mut nest = Nest::of(kernel);
    let axis = |var, n| Axis { var, extent: Extent::Fixed(n), ..columns };
    let parts = match cut {
        Some(cut) => vec![axis(cut.part, nominal(columns.extent) as u64 / cut.width), axis(cut.place, cut.width)],
        None => vec![columns],
    };
    let same = |a: &Axis| a.var == columns.var;
    let spread = |a: &Axis| if same(a) { parts.clone() } else { vec![*a] };
    let written = nest.axes.iter().flat_map(spread).collect();
    nest.axes.retain(|a| !same(a));
    let (lanes, panels) = parts.split_last().map_or((vec![], vec![]), |(l, p)| (vec![*l], p.to_vec()));
    nest.axes = [panels, nest.axes, lanes].concat();
    let order = nest.axes.clone();
    nest.put(kernel);
    if columns.var == found.columns.var { order } else { written }
}

/// Where the last axis is too short for the lanes of a register: another one along which an operand lies in memory, and the
/// other operand stays the same.
fn wider(program: &Program, kernel: &Kernel, found: &Contraction) -> Option<Axis> {
    let short = found.columns.extent.fixed().filter(|&n| n < LANES)?;
    let strides = |load: Val, var: Var| match &kernel.insts[load.0 as usize] {
        Inst::Load { buffer, at, .. } => stride(&program.buffers[buffer.0 as usize], at, var),
        _ => None,
    };
    let beside = |a: &Axis| strides(found.other, a.var) == Some(1) && strides(found.operand, a.var) == Some(0);
    let axes = Nest::of(kernel).axes.into_iter().filter(beside);
    axes.filter(|a| a.extent.fixed().is_some_and(|n| n.min(LANES) > short)).max_by_key(|a| a.extent.fixed())
}

/// The number of steps, and what runs before, in and behind them.
fn blocks(program: &mut Program, kernel: &Kernel, written: &[Axis], repeat: u32) -> (Extent, [Kernel; 3]) {
    let nest = Nest::of(kernel);
    let mut loops = nest.body.iter().enumerate().filter_map(|(at, s)| match s {
        Stmt::Loop(sum) => Some((at, sum)),
        _ => None,
    });
    let Some((at, outer)) = loops.next() else { panic!("invariant broken: a long sum is a loop") };
    let shape = nest.axes.iter().map(|a| a.extent).collect();
    let home = Home::Arena { first: 0, last: 0 };
    program.buffers.push(Buffer { name: format!("{}.sums", kernel.name), dtype: DType::F32, shape, home });
    let buffer = BufferId(program.buffers.len() as u32 - 1);
    let sums = Sums { kernel, nest: &nest, written, at, outer, buffer };
    (outer.extent, [sums.begin(), sums.add(repeat), sums.finish()])
}

/// A contraction while it is cut into kernels.
struct Sums<'a> {
    kernel: &'a Kernel,
    nest: &'a Nest,
    /// The loops in the order in which the result is written.
    written: &'a [Axis],
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
    fn with(&self, name: &str, insts: Vec<Inst>, steps: Vec<Step>, nest: (&[Axis], Vec<Stmt>)) -> Kernel {
        let name = format!("{}{name}", self.kernel.name);
        let mut kernel = Kernel { name, insts, vars: self.kernel.vars, steps, body: vec![] };
        Nest { axes: nest.0.to_vec(), outside: self.nest.outside.clone(), body: nest.1 }.put(&mut kernel);
        tidy(&mut kernel);
        kernel
    }

    fn begin(&self) -> Kernel {
        let mut body = self.nest.body[..self.at].to_vec();
        body.push(self.store(self.outer.carries[0].init));
        self.with(".begin", self.kernel.insts.clone(), self.kernel.steps.clone(), (&self.nest.axes, body))
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
        self.with(".add", insts, steps, (&self.nest.axes, body))
    }

    /// What the kernel makes of the sums.
    fn finish(&self) -> Kernel {
        let mut insts = self.kernel.insts.clone();
        let result = self.outer.carries[0].result;
        insts[result.0 as usize] = self.load();
        let mut body = self.nest.body.clone();
        body[self.at] = Stmt::Let(result);
        self.with("", insts, self.kernel.steps.clone(), (self.written, body))
    }
}
