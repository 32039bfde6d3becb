//! Copies of operands in the order in which a contraction reads them.
//!
//! In: a contraction whose columns lie far apart in memory. Out: a kernel that copies the operand, and the contraction reading
//! the copy. Invariant: a copy holds the same elements; it is used only until its source is written again.

use super::contraction::Contraction;
use super::ir::*;
use super::nest::{Axis, Nest, stride};
use crate::base::{Extent, Shape};
use crate::passes::footprint::{nominal, nominal_elements};
use std::collections::BTreeMap;

/// Rows of an operand this far apart (in elements) are worth a copy.
const FAR: i64 = 256;
/// Copies run over squares of this many elements each way: the lanes of the widest register.
const SQUARE: u8 = 16;
/// A copy is read by at least this many rows.
const ROWS: f64 = 8.0;
/// A copy of rows is read by at least this many columns, and the sum has this many terms.
const COLUMNS: f64 = 256.0;
const TERMS: f64 = 64.0;

/// Copies that can be used again.
#[derive(Default)]
pub struct Packed(BTreeMap<String, (BufferId, BufferId)>);

impl Packed {
    /// Forgets the copies of what this kernel writes.
    pub fn wrote(&mut self, kernel: &Kernel) {
        kernel.for_each_stmt(&mut |stmt| {
            if let Stmt::Store { buffer, .. } = stmt {
                self.0.retain(|_, (source, _)| source != buffer);
            }
        });
    }
}

impl Packed {
    /// Forgets the copies of these buffers.
    pub fn forget(&mut self, written: &dyn Fn(BufferId) -> bool) {
        self.0.retain(|_, (source, _)| !written(*source));
    }
}

/// Whether reading a copy is worth making it.
pub fn pays(program: &Program, kernel: &Kernel, found: &Contraction) -> bool {
    let Inst::Load { buffer, at, mask: None } = &kernel.insts[found.operand.0 as usize] else { return false };
    let buffer = &program.buffers[buffer.0 as usize];
    let step = |t: &Term| matches!(t, Term::Var(v) if kernel.steps.iter().any(|s| s.var == *v));
    if at.iter().any(|i| i.terms.iter().any(|(_, t)| matches!(t, Term::Val(_)) || step(t))) {
        return false;
    }
    let axes = axes_of(kernel, found);
    let copied: f64 = axes.iter().map(|a| nominal(a.extent)).product();
    let computed: f64 = Nest::of(kernel).axes.iter().chain(&found.terms).map(|a| nominal(a.extent)).product();
    let far = axes.iter().any(|a| stride(buffer, at, a.var).is_none_or(|s| s >= FAR));
    let apart = stride(buffer, at, found.columns.var) != Some(1);
    let repeated = copied > 1.5 * nominal_elements(&buffer.shape);
    !repeated && computed >= ROWS * copied && (apart || far && found.columns.extent.fixed().is_some_and(|n| n >= 64))
}

/// Whether a copy in panels is worth it for rows (the columns of `found`) that lie side by side, their terms far apart: each
/// term of a tile is read from a line of its own, and lines at equal distances fall into few places of the caches.
pub fn pays_for_rows(program: &Program, kernel: &Kernel, found: &Contraction) -> bool {
    let Inst::Load { buffer, at, .. } = &kernel.insts[found.operand.0 as usize] else { return false };
    let buffer = &program.buffers[buffer.0 as usize];
    let terms: f64 = found.terms.iter().map(|a| nominal(a.extent)).product();
    let apart = found.terms.iter().any(|a| stride(buffer, at, a.var).is_some_and(|s| s >= FAR));
    let beside = stride(buffer, at, found.columns.var) == Some(1);
    let columns = found.rows.map_or(0.0, |columns| nominal(columns.extent));
    beside && apart && terms >= TERMS && columns >= COLUMNS && pays(program, kernel, found)
}

/// The loops that the operand depends on: independent ones, then the terms, then the columns.
fn axes_of(kernel: &Kernel, found: &Contraction) -> Vec<Axis> {
    let Inst::Load { at, .. } = &kernel.insts[found.operand.0 as usize] else { return vec![] };
    let nest = Nest::of(kernel);
    let outer = nest.axes.into_iter().filter(|a| found.column_vars.contains(&a.var));
    let terms = found.terms.iter().copied().filter(|a| at.iter().any(|i| i.factor(Term::Var(a.var)) != 0));
    outer.chain(terms).chain([found.columns]).collect()
}

/// Panels: their width, and the variables that will stand for the panel and for the column inside it.
pub type Panels = Option<(u64, Var, Var)>;

/// Puts a copying kernel into `program` (unless there is such a copy) and lets `kernel` read the copy. Panels of `width`
/// columns are stored one after the other: `[.., columns / width, terms.., width]`.
pub fn pack(program: &mut Program, kernel: &mut Kernel, found: &Contraction, panels: Panels, packed: &mut Packed) {
    let width = panels.map_or(1, |(width, ..)| width);
    let axes = axes_of(kernel, found);
    let Inst::Load { buffer: source, at, .. } = kernel.insts[found.operand.0 as usize].clone() else { return };
    let outer = axes.iter().filter(|a| found.column_vars.contains(&a.var)).count();
    let vars: Vec<Var> = axes.iter().map(|a| a.var).collect();
    let rename = |at: &[Affine], to: &dyn Fn(usize) -> Affine| -> Vec<Affine> {
        let mut replace = |term| match term {
            Term::Var(v) => vars.iter().position(|&w| w == v).map_or(Affine::term(term), to),
            Term::Val(_) => Affine::term(term),
        };
        at.iter().map(|i| i.map(&mut replace)).collect()
    };
    let number = |i: usize| Affine::term(Term::Var(Var(i as u32)));
    let key = format!("{source:?} {:?} {outer} {width} {:?}", rename(&at, &number), extents(&axes));
    let copy = match packed.0.get(&key) {
        Some(&(_, copy)) => copy,
        None => {
            let copy = add_copy(program, source, &axes, outer, width, &|to| rename(&at, to));
            packed.0.insert(key, (source, copy));
            copy
        }
    };
    let mut place = vars.clone();
    if let (Some((_, panel, lane)), Some(_)) = (panels, place.pop()) {
        place.insert(outer, panel);
        place.push(lane);
    } else {
        place = vars;
    }
    let place = place.into_iter().map(|v| Affine::term(Term::Var(v))).collect();
    kernel.insts[found.operand.0 as usize] = Inst::Load { buffer: copy, at: place, mask: None };
}

fn extents(axes: &[Axis]) -> Shape {
    axes.iter().map(|a| a.extent).collect()
}

type Renamed<'a> = &'a dyn Fn(&dyn Fn(usize) -> Affine) -> Vec<Affine>;

/// The kernel that makes a copy; its buffer is new.
fn add_copy(
    program: &mut Program,
    source: BufferId,
    axes: &[Axis],
    outer: usize,
    width: u64,
    at: Renamed<'_>,
) -> BufferId {
    let mut shape = extents(axes);
    if let (true, Some(Extent::Fixed(n))) = (width > 1, shape.pop()) {
        shape.insert(outer, Extent::Fixed(n / width));
        shape.push(Extent::Fixed(width));
    } else {
        shape = extents(axes);
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
    let along = |behind: usize| shape.len().checked_sub(behind).and_then(|v| stride(&from, &from_at, Var(v as u32)));
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
    super::rewrite::tidy(&mut kernel);
    program.kernels.push(kernel);
    copy
}
