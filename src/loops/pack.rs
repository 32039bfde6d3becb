//! Copies of operands in the order in which a contraction reads them.
//!
//! In: a contraction whose operand lies in memory otherwise than it is read. Out: a kernel that copies it, and the contraction
//! reading the copy. Invariant: a copy holds the same elements; it is used only until its source is written again.

use super::contraction::Contraction;
use super::ir::*;
use super::nest::{Axis, Nest, stride};
use super::rewrite::{substitute, tidy};
use crate::base::{Extent, Shape};
use crate::passes::footprint::{nominal, nominal_elements};
use std::collections::{BTreeMap, BTreeSet};

/// Rows of an operand this far apart (in elements) are worth a copy.
const FAR: i64 = 256;
/// Copies run over squares of this many elements each way: the lanes of the widest register.
const SQUARE: u8 = 16;
/// Of columns that lie side by side, a copy is read by at least this many rows. Those apart would be gathered one by one, which
/// costs more than the copy even of a single row.
const ROWS: f64 = 8.0;
/// A copy of rows is read by at least this many columns, and the sum has this many terms.
const COLUMNS: f64 = 256.0;
const TERMS: f64 = 64.0;

/// Copies that can be used again, and what each kernel of the program writes.
pub struct Packed {
    copies: BTreeMap<String, (BufferId, BufferId)>,
    written: Vec<BTreeSet<BufferId>>,
}

impl Packed {
    pub fn new(kernels: &[Kernel]) -> Packed {
        Packed { copies: BTreeMap::new(), written: kernels.iter().map(writes).collect() }
    }

    /// Forgets the copies of what this kernel writes.
    pub fn wrote(&mut self, kernel: &Kernel) {
        let written = writes(kernel);
        self.copies.retain(|_, (source, _)| !written.contains(source));
    }

    /// Forgets the copies of what is written at some step of `repeat`.
    pub fn forget(&mut self, repeat: &Repeat) {
        let written = &self.written;
        self.copies.retain(|_, (source, _)| !writes_in(written, repeat, *source));
    }

    /// Whether some step of `repeat` writes `buffer`.
    pub fn writes(&self, repeat: &Repeat, buffer: BufferId) -> bool {
        writes_in(&self.written, repeat, buffer)
    }
}

fn writes_in(written: &[BTreeSet<BufferId>], repeat: &Repeat, buffer: BufferId) -> bool {
    repeat.kernels.clone().any(|k| written[k as usize].contains(&buffer))
}

fn writes(kernel: &Kernel) -> BTreeSet<BufferId> {
    let mut out = BTreeSet::new();
    kernel.for_each_stmt(&mut |stmt| {
        if let Stmt::Store { buffer, .. } = stmt {
            out.insert(*buffer);
        }
    });
    out
}

/// A loop in parts of `width` iterations: the variables that will stand for the part and for the place in it.
#[derive(Clone, Copy)]
pub struct Cut {
    pub whole: Axis,
    pub width: u64,
    pub part: Var,
    pub place: Var,
}

impl Cut {
    pub fn new(kernel: &mut Kernel, whole: Axis, width: u64) -> Cut {
        kernel.vars += 2;
        Cut { whole, width, part: Var(kernel.vars - 2), place: Var(kernel.vars - 1) }
    }

    /// Writes the two variables wherever the one of the whole loop stands.
    pub fn replace(&self, kernel: &mut Kernel) {
        let terms = vec![(self.width as i64, Term::Var(self.part)), (1, Term::Var(self.place))];
        substitute(kernel, Term::Var(self.whole.var), &Affine { terms, constant: 0 });
    }
}

/// What a copy holds: the elements that a load reads, in the order of `axes`. The last axis may be cut; its parts then
/// lie one after the other in place of the axis number `panels`: `[.., columns / width, terms.., width]`.
pub struct Copy {
    load: Val,
    axes: Vec<Axis>,
    panels: usize,
}

/// The copy of the columns' operand, if reading it is worth making it.
pub fn columns(program: &Program, kernel: &Kernel, found: &Contraction, packed: &Packed) -> Option<Copy> {
    let copied = Copied::of(program, kernel, found, packed)?;
    let far = copied.axes().iter().any(|a| copied.stride(a).is_none_or(|s| s >= FAR));
    let apart = copied.stride(&found.columns) != Some(1);
    let long = found.columns.extent.fixed().is_some_and(|n| n >= 32);
    (apart || copied.reads >= ROWS && far && long).then(|| copied.in_panels())
}

/// The copy of rows (the columns of `found`) that lie side by side, their terms far apart: each term of a tile would be read
/// from a line of its own, and lines at equal distances fall into few places of the caches.
pub fn rows(program: &Program, kernel: &Kernel, found: &Contraction, packed: &Packed) -> Option<Copy> {
    let copied = Copied::of(program, kernel, found, packed)?;
    let apart = found.terms.iter().any(|a| copied.stride(a).is_some_and(|s| s >= FAR));
    let beside = copied.stride(&found.columns) == Some(1);
    (beside && apart && copied.terms >= TERMS && copied.reads >= COLUMNS).then(|| copied.in_panels())
}

/// The copy of rows (the columns of `found`) of which a kernel in a repeat reads a part at a time, the parts far apart from row
/// to row: in the copy, all that one step reads lies together.
pub fn parts(program: &Program, kernel: &Kernel, found: &Contraction, packed: &Packed) -> Option<Copy> {
    let copied = Copied::of(program, kernel, found, packed)?;
    let step = |a: &Axis| kernel.steps.iter().any(|s| s.var == a.var);
    let apart = copied.stride(&found.columns).is_some_and(|s| s >= FAR);
    (copied.outer.iter().any(step) && apart && copied.reads >= COLUMNS).then(|| copied.in_rows())
}

/// An operand that may be copied.
struct Copied<'a> {
    load: Val,
    buffer: &'a Buffer,
    at: &'a [Affine],
    /// The loops it depends on: those around, the terms, the columns.
    outer: Vec<Axis>,
    inner: Vec<Axis>,
    columns: Axis,
    /// The terms of the sum, and how often each copied element is read.
    terms: f64,
    reads: f64,
}

impl<'a> Copied<'a> {
    fn of(program: &'a Program, kernel: &'a Kernel, found: &Contraction, packed: &Packed) -> Option<Copied<'a>> {
        let Inst::Load { buffer: id, at, mask: None } = &kernel.insts[found.operand.0 as usize] else { return None };
        let buffer = &program.buffers[id.0 as usize];
        let depends = |var: Var| at.iter().any(|i| i.factor(Term::Var(var)) != 0);
        // A step's part of what the steps themselves write is not there before they run.
        let steps: Vec<&Step> = kernel.steps.iter().filter(|s| depends(s.var)).collect();
        let early = |s: &&Step| s.extent.fixed().is_none() || packed.writes(&program.repeats[s.repeat as usize], *id);
        let named = at.iter().any(|i| i.terms.iter().any(|(_, t)| matches!(t, Term::Val(_))));
        if named || steps.iter().any(early) {
            return None;
        }
        let around = steps.iter().map(|s| Axis { var: s.var, extent: s.extent, kind: LoopKind::Serial });
        let nest = Nest::of(kernel);
        let axes = nest.axes.iter().copied().filter(|a| found.column_vars.contains(&a.var));
        let outer: Vec<Axis> = around.chain(axes).collect();
        let inner: Vec<Axis> = found.terms.iter().copied().filter(|a| depends(a.var)).collect();
        let size = |axes: &mut dyn Iterator<Item = &Axis>| axes.map(|a| nominal(a.extent)).product::<f64>();
        let copied = size(&mut outer.iter().chain(&inner).chain([&found.columns]));
        let steps: f64 = steps.iter().map(|s| nominal(s.extent)).product();
        let computed = steps * size(&mut nest.axes.iter().chain(&found.terms));
        if copied > 1.5 * nominal_elements(&buffer.shape) {
            return None;
        }
        let (terms, reads) = (size(&mut found.terms.iter()), computed / copied);
        Some(Copied { load: found.operand, buffer, at, outer, inner, columns: found.columns, terms, reads })
    }

    fn axes(&self) -> Vec<Axis> {
        [self.outer.as_slice(), &self.inner, &[self.columns]].concat()
    }

    fn stride(&self, axis: &Axis) -> Option<i64> {
        stride(self.buffer, self.at, axis.var)
    }

    fn in_panels(&self) -> Copy {
        Copy { load: self.load, axes: self.axes(), panels: self.outer.len() }
    }

    fn in_rows(&self) -> Copy {
        let axes = [self.outer.as_slice(), &[self.columns], &self.inner].concat();
        Copy { load: self.load, axes, panels: self.outer.len() }
    }
}

impl Copy {
    /// Puts a copying kernel into `program` (unless there is such a copy) and lets `kernel` read the copy.
    pub fn make(&self, program: &mut Program, kernel: &mut Kernel, cut: Option<&Cut>, packed: &mut Packed) {
        let Inst::Load { buffer: source, at, .. } = kernel.insts[self.load.0 as usize].clone() else { return };
        let rename = |to: &dyn Fn(usize) -> Affine| -> Vec<Affine> {
            let mut replace = |term| match term {
                Term::Var(v) => self.axes.iter().position(|a| a.var == v).map_or(Affine::term(term), to),
                Term::Val(_) => Affine::term(term),
            };
            at.iter().map(|i| i.map(&mut replace)).collect()
        };
        let number = |i: usize| Affine::term(Term::Var(Var(i as u32)));
        let extents: Shape = self.axes.iter().map(|a| a.extent).collect();
        let width = cut.map_or(1, |c| c.width);
        let key = format!("{source:?} {:?} {} {width} {extents:?}", rename(&number), self.panels);
        let copy = match packed.copies.get(&key) {
            Some(&(_, copy)) => copy,
            None => {
                let copy = self.add(program, source, width, &rename);
                packed.copies.insert(key, (source, copy));
                copy
            }
        };
        let mut place: Vec<Var> = self.axes.iter().map(|a| a.var).collect();
        if let (Some(cut), Some(_)) = (cut, cut.and_then(|_| place.pop())) {
            place.insert(self.panels, cut.part);
            place.push(cut.place);
        }
        let at = place.into_iter().map(|v| Affine::term(Term::Var(v))).collect();
        kernel.insts[self.load.0 as usize] = Inst::Load { buffer: copy, at, mask: None };
    }

    /// The kernel that makes a copy; its buffer is new.
    fn add(&self, program: &mut Program, source: BufferId, width: u64, at: Renamed<'_>) -> BufferId {
        let (axes, outer) = (&self.axes, self.panels);
        let mut shape: Shape = axes.iter().map(|a| a.extent).collect();
        if let (true, Some(Extent::Fixed(n))) = (width > 1, shape.last().copied()) {
            shape.pop();
            shape.insert(outer, Extent::Fixed(n / width));
            shape.push(Extent::Fixed(width));
        }
        let from = program.buffers[source.0 as usize].clone();
        let name = format!("{}.packed{}", from.name, program.buffers.len());
        let copy = BufferId(program.buffers.len() as u32);
        let home = Home::Arena { first: 0, last: 0 };
        program.buffers.push(Buffer { name: name.clone(), dtype: from.dtype, shape: shape.clone(), home });
        let mut build = super::build::Builder::new();
        let vars: Vec<Affine> = shape.iter().map(|&e| Affine::term(Term::Var(build.open(e)))).collect();
        let place = |i: usize| match (width > 1, i + 1 == axes.len()) {
            (true, true) => Affine::sum([(width as i64, &vars[outer]), (1, &vars[vars.len() - 1])], 0),
            (true, false) if i >= outer => vars[i + 1].clone(),
            _ => vars[i].clone(),
        };
        let from_at = at(&place);
        let along =
            |behind: usize| shape.len().checked_sub(behind).and_then(|v| stride(&from, &from_at, Var(v as u32)));
        let crosswise = along(1) != Some(1) && along(2) == Some(1);
        let element = build.load(source, from.dtype, from_at, None);
        build.store(copy, vars.clone(), element);
        for level in (0..shape.len()).rev() {
            let last = level + 1 == shape.len();
            let lanes = shape[level].fixed().is_none_or(|n| n >= 8);
            let kind = match level + 2 == shape.len() {
                _ if last && lanes => LoopKind::Vector { width: SQUARE },
                // Squares that lie crosswise are exchanged in registers.
                true if crosswise => LoopKind::Parallel { jam: SQUARE },
                _ => LoopKind::Parallel { jam: 1 },
            };
            build.close(kind, None);
        }
        let mut kernel = build.finish(format!("pack.{name}"));
        tidy(&mut kernel);
        program.kernels.push(kernel);
        copy
    }
}

type Renamed<'a> = &'a dyn Fn(&dyn Fn(usize) -> Affine) -> Vec<Affine>;
