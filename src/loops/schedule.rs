//! Chooses how the loops of each kernel run: their order, blocks, threads and vector registers.
//!
//! In: a verified program as `lower` makes it. Out: the same program, faster. Invariant: it recognises shapes of loop nests,
//! never operators, and moves independent loops only, so no bit changes; nothing depends on the machine or its threads.

use super::block::block;
use super::contraction::{Contraction, find};
use super::ir::*;
use super::nest::{Axis, Nest, stride};
use super::pack::{Cut, Packed};
use super::rewrite::{sink, substitute, tidy};
use super::split::split;
use super::{pack, plan};
use crate::base::Extent;
use crate::passes::footprint::nominal;
use std::collections::BTreeMap;

/// Lanes of an elementwise loop: two 256-bit registers.
const WIDE: u8 = 16;
/// Columns of a contraction that are computed side by side at most, and of a packed panel: two 512-bit registers. Narrower ones
/// run over a panel in parts.
const PANEL: u64 = 32;
/// The lanes of a register, and what a tile of one register a row reaches of one of two: it loads as much as it multiplies.
const LANES: u64 = 16;
const ONE_REGISTER: f64 = 0.9;
/// Rows of a contraction that are computed side by side at most.
const ROWS: u64 = 8;
/// From this many columns on, a contraction runs panel by panel.
const PANELS_FROM: u64 = 64;
/// Panels of a single row that are computed side by side.
const ROW_PANELS: u8 = 4;
/// So many elements stay in the second-level cache, beside what is computed with them.
const NEAR: f64 = 131_072.0;
/// A batch that is still usual. A block that is too small costs little, one that leaves the cache much.
const LARGE: f64 = 256.0;
/// A longer row is worth sharing out between threads.
const LONG: u64 = 8192;

pub fn schedule(program: &mut Program) {
    program.kernels.iter_mut().for_each(split);
    block(program);
    let kernels = std::mem::take(&mut program.kernels);
    let mut packed = Packed::new(&kernels);
    // Each kernel with its place among the old ones: the old one that it stands before, and in how many repeats.
    let mut placed: Vec<(usize, usize, Kernel)> = vec![];
    for (number, mut kernel) in kernels.into_iter().enumerate() {
        let around = program.around(number);
        for &repeat in &around {
            let repeat = &program.repeats[repeat];
            // What is copied must be so at each step: of what the steps write, only within a step.
            if repeat.kernels.start as usize == number || repeat.kernels.end as usize == number + 1 {
                packed.forget(repeat);
            }
        }
        join_rows(program, &mut kernel);
        match find(program, &kernel) {
            Some(found) => contract(program, &mut kernel, found, &mut packed),
            None => {
                flatten(program, &mut kernel);
                vectorize(&mut kernel.body, WIDE);
            }
        }
        sink(&mut kernel);
        tidy(&mut kernel);
        packed.wrote(&kernel);
        for copy in std::mem::take(&mut program.kernels) {
            let (at, depth) = before(program, &around, &packed, &copy, number);
            placed.push((at, depth, copy));
        }
        placed.push((number, usize::MAX, kernel));
    }
    placed.sort_by_key(|&(number, depth, _)| (number, depth));
    let renumbered =
        |number: usize, depth: usize| placed.iter().filter(|p| (p.0, p.1) < (number, depth)).count() as u32;
    let mut ranges = vec![];
    for (r, repeat) in program.repeats.iter().enumerate() {
        let (start, end) = (repeat.kernels.start as usize, repeat.kernels.end as usize);
        let inside = program.around(start).iter().position(|&a| a == r).map_or(0, |depth| depth + 1);
        let start = renumbered(start, inside);
        ranges.push(start..renumbered(end, 0).max(start));
    }
    program.repeats.iter_mut().zip(ranges).for_each(|(repeat, range)| repeat.kernels = range);
    program.kernels = placed.into_iter().map(|(_, _, kernel)| kernel).collect();
    plan::set_lifetimes(program);
}

/// The place of a copy that the kernel `number` reads: before the outermost repeat whose steps do not write its source.
fn before(program: &Program, around: &[usize], packed: &Packed, copy: &Kernel, number: usize) -> (usize, usize) {
    for (depth, &repeat) in around.iter().enumerate() {
        let repeat = &program.repeats[repeat];
        let new = |inst: &Inst| matches!(inst, Inst::Load { buffer, .. } if packed.writes(repeat, *buffer));
        if !copy.insts.iter().any(new) {
            return (repeat.kernels.start as usize, depth);
        }
    }
    (number, around.len())
}

/// The contraction's columns innermost, around the sum; `jam` rows side by side around them.
fn contract(program: &mut Program, kernel: &mut Kernel, found: Contraction, packed: &mut Packed) {
    let columns = panels(kernel, found.columns);
    if let Some(copy) = pack::columns(program, kernel, &found, packed) {
        copy.make(program, kernel, columns.as_ref(), packed);
    }
    let rows = pack_rows(program, kernel, &found, packed);
    columns.iter().chain(&rows).for_each(|cut| cut.replace(kernel));
    let mut nest = Nest::of(kernel);
    nest.axes.retain(|a| a.var != found.columns.var && Some(a.var) != found.rows.map(|r| r.var));
    let axis = |var, n, jam| Axis { var, extent: Extent::Fixed(n), kind: LoopKind::Parallel { jam } };
    let mut tile = found.rows.map(|rows| Axis { kind: LoopKind::Parallel { jam: jam(rows.extent) }, ..rows });
    let first = nest.axes.iter().position(|a| !found.column_vars.contains(&a.var)).unwrap_or(nest.axes.len());
    if let (Some(cut), Some(n)) = (rows, found.rows.and_then(|rows| rows.extent.fixed())) {
        nest.axes.push(axis(cut.part, n / cut.width, 1));
        tile = Some(axis(cut.place, cut.width, cut.width as u8));
    }
    let mut inner = found.columns;
    if let (Some(cut), Some(n)) = (columns, found.columns.extent.fixed()) {
        let (panels, near) = (n / cut.width, near(&found, &nest.axes, cut.width));
        // A single row reads each panel once: some panels side by side, so that their sums overlap.
        let side = if tile.is_some() { 1 } else { ROW_PANELS };
        let block = (1..=panels).rev().find(|&k| panels.is_multiple_of(k) && k as f64 <= near).unwrap_or(1);
        if block == panels || tile.is_none() {
            nest.axes.push(axis(cut.part, panels, side));
        } else if block == 1 {
            nest.axes.insert(first, axis(cut.part, panels, 1));
        } else {
            let of = Cut::new(kernel, axis(cut.part, panels, 1), block);
            of.replace(kernel);
            nest = Nest { axes: nest.axes, ..Nest::of(kernel) };
            nest.axes.insert(first, axis(of.part, panels / block, 1));
            nest.axes.push(axis(of.place, block, 1));
        }
        inner = axis(cut.place, cut.width, 1);
    }
    nest.axes.extend(tile);
    nest.axes.push(Axis { kind: lanes(inner.extent, PANEL as u8), ..inner });
    nest.put(kernel);
}

/// The columns in panels, if there are many.
pub fn panels(kernel: &mut Kernel, columns: Axis) -> Option<Cut> {
    let many = columns.extent.fixed().filter(|&n| n >= PANELS_FROM)?;
    let used = |width: u64| {
        let registers = width.div_ceil(LANES);
        width as f64 / (registers * LANES) as f64 * if registers == 1 { ONE_REGISTER } else { 1.0 }
    };
    // Whole registers of four lanes, the narrowest ones.
    let widths = (8..=PANEL).step_by(4).filter(|&width| many.is_multiple_of(width));
    let width = widths.max_by(|&a, &b| used(a).total_cmp(&used(b)).then(a.cmp(&b)))?;
    Some(Cut::new(kernel, columns, width))
}

/// How many panels of the columns' operand pass for each step of the rows' loops: what stays in the second-level cache beside
/// what is computed with it. Where all that the rows read stays there too, it is 1: a panel that passes alone stays in the
/// first level while all rows pass.
fn near(found: &Contraction, outer: &[Axis], width: u64) -> f64 {
    let size = |axes: &mut dyn Iterator<Item = &Axis>| {
        axes.map(|a| a.extent.fixed().map_or(LARGE, |n| n as f64)).product::<f64>()
    };
    let terms = size(&mut found.terms.iter());
    let around = outer.iter().filter(|a| found.row_vars.contains(&a.var));
    let (columns, rows) = (terms * nominal(found.columns.extent), terms * size(&mut found.rows.iter().chain(around)));
    if columns > NEAR && rows <= NEAR { 1.0 } else { NEAR / (terms * width as f64) }
}

/// Makes one loop of the rows and of the loop around them where their elements lie one behind the other, so that tiles of
/// rows are full.
fn join_rows(program: &Program, kernel: &mut Kernel) {
    while let Some(rows) = find(program, kernel).and_then(|found| found.rows) {
        let mut nest = Nest::of(kernel);
        let place = nest.axes.iter().position(|a| a.var == rows.var).filter(|&p| p > 0);
        let Some((place, outer)) = place.map(|p| (p - 1, nest.axes[p - 1])) else { return };
        let (Some(a), Some(b)) = (outer.extent.fixed(), rows.extent.fixed()) else { return };
        if b.is_multiple_of(ROWS) || !joinable(program, kernel, outer.var, rows.var, b) {
            return;
        }
        join(program, kernel, outer.var, rows.var);
        nest = Nest { axes: nest.axes, ..Nest::of(kernel) };
        nest.axes.remove(place);
        nest.axes[place].extent = Extent::Fixed(a * b);
        nest.put(kernel);
    }
}

/// Copies the rows' operand where that pays; gives the cut of the rows if the copy is one of panels.
fn pack_rows(program: &mut Program, kernel: &mut Kernel, found: &Contraction, packed: &mut Packed) -> Option<Cut> {
    let mirrored = found.mirrored()?;
    let whole = mirrored.columns.extent.fixed().is_some_and(|n| n.is_multiple_of(ROWS));
    if let Some(copy) = pack::rows(program, kernel, &mirrored, packed).filter(|_| whole) {
        let cut = Cut::new(kernel, mirrored.columns, ROWS);
        copy.make(program, kernel, Some(&cut), packed);
        return Some(cut);
    }
    if let Some(copy) = pack::parts(program, kernel, &mirrored, packed) {
        copy.make(program, kernel, None, packed);
    }
    None
}

/// How many rows stand side by side.
fn jam(extent: Extent) -> u8 {
    extent.fixed().unwrap_or(ROWS).clamp(1, ROWS) as u8
}

/// As many lanes as there are elements, or a few more, of which the last stand for nothing.
fn lanes(extent: Extent, most: u8) -> LoopKind {
    match extent.fixed() {
        Some(0 | 1) => LoopKind::Parallel { jam: 1 },
        Some(n) if n < u64::from(most) => LoopKind::Vector { width: n.next_power_of_two().max(4) as u8 },
        _ => LoopKind::Vector { width: most },
    }
}

/// Makes the innermost independent loops vector loops.
fn vectorize(body: &mut [Stmt], width: u8) -> bool {
    let mut any = false;
    for stmt in body {
        let Stmt::Loop(inner) = stmt else { continue };
        let independent = vectorize(&mut inner.body, width);
        any |= independent;
        if matches!(inner.kind, LoopKind::Parallel { .. }) {
            any = true;
            if !independent && !has_lanes(&inner.body) {
                inner.kind = lanes(inner.extent, width);
            }
        }
    }
    any
}

fn has_lanes(body: &[Stmt]) -> bool {
    body.iter().any(|s| matches!(s, Stmt::Loop(l) if l.kind == LoopKind::Lanes || has_lanes(&l.body)))
}

/// Joins neighbouring axes over which every access is contiguous or constant, so that inner loops are long; a long single
/// axis is split again, for threads.
fn flatten(program: &Program, kernel: &mut Kernel) {
    let mut nest = Nest::of(kernel);
    if nest.axes.is_empty() || nest.body.iter().any(|s| matches!(s, Stmt::Loop(_))) {
        return;
    }
    let mut place = nest.axes.len() - 1;
    while place > 0 {
        place -= 1;
        let (outer, inner) = (nest.axes[place], nest.axes[place + 1]);
        let (Some(a), Some(b)) = (outer.extent.fixed(), inner.extent.fixed()) else { continue };
        let last_two = nest.axes.len() == 2 && a * b >= LONG && chunk(a * b).is_none();
        if last_two || !joinable(program, kernel, outer.var, inner.var, b) {
            continue;
        }
        join(program, kernel, outer.var, inner.var);
        nest = Nest { axes: nest.axes, ..Nest::of(kernel) };
        nest.axes.remove(place);
        nest.axes[place].extent = Extent::Fixed(a * b);
    }
    let whole = nest.axes[0].extent.fixed().filter(|&n| nest.axes.len() == 1 && n >= LONG);
    if let Some((n, part)) = whole.and_then(|n| Some((n, chunk(n)?))) {
        let (block, lane) = (Var(kernel.vars), Var(kernel.vars + 1));
        kernel.vars += 2;
        let form = Affine { terms: vec![(part as i64, Term::Var(block)), (1, Term::Var(lane))], constant: 0 };
        substitute(kernel, Term::Var(nest.axes[0].var), &form);
        let kind = LoopKind::Parallel { jam: 1 };
        let split = [(block, n / part), (lane, part)];
        nest.axes = split.map(|(var, n)| Axis { var, extent: Extent::Fixed(n), kind }).to_vec();
        nest = Nest { axes: nest.axes, ..Nest::of(kernel) };
    }
    nest.put(kernel);
}

/// The longest part of at most 4096 elements into which a row divides evenly, in whole vectors.
fn chunk(n: u64) -> Option<u64> {
    (32..=256).rev().map(|k| k * u64::from(WIDE)).find(|part| n.is_multiple_of(*part))
}

/// Whether all that the two variables do is to address elements `outer · b + inner`.
fn joinable(program: &Program, kernel: &Kernel, outer: Var, inner: Var, b: u64) -> bool {
    let contiguous = |buffer: BufferId, at: &[Affine]| {
        let buffer = &program.buffers[buffer.0 as usize];
        let (far, near) = (stride(buffer, at, outer), stride(buffer, at, inner));
        far.zip(near).is_some_and(|(far, near)| Some(far) == near.checked_mul(b as i64))
    };
    let free = |inst: &Inst| inst.indices().iter().all(|i| [outer, inner].iter().all(|&v| i.factor(Term::Var(v)) == 0));
    let loads = kernel.insts.iter().all(|inst| match inst {
        Inst::Load { buffer, at, .. } => free(inst) || contiguous(*buffer, at),
        _ => free(inst),
    });
    let mut stores = true;
    kernel.for_each_stmt(&mut |stmt| {
        if let Stmt::Store { buffer, at, .. } = stmt {
            stores &= contiguous(*buffer, at);
        }
    });
    loads && stores
}

/// Replaces the pair by `inner` alone, which now counts the elements of both axes.
fn join(program: &Program, kernel: &mut Kernel, outer: Var, inner: Var) {
    let shapes: BTreeMap<u32, &Buffer> = program.buffers.iter().enumerate().map(|(i, b)| (i as u32, b)).collect();
    let rewrite = |buffer: BufferId, at: &mut Vec<Affine>| {
        let near = stride(shapes[&buffer.0], at, inner).unwrap_or(0);
        for index in at.iter_mut() {
            index.terms.retain(|&(_, t)| t != Term::Var(outer) && t != Term::Var(inner));
        }
        if let (Some(last), true) = (at.last_mut(), near != 0) {
            *last = Affine::sum([(1, &*last), (near, &Affine::term(Term::Var(inner)))], 0);
        }
    };
    for inst in &mut kernel.insts {
        if let Inst::Load { buffer, at, .. } = inst {
            rewrite(*buffer, at);
        }
    }
    fn stores(body: &mut [Stmt], rewrite: &dyn Fn(BufferId, &mut Vec<Affine>)) {
        for stmt in body {
            match stmt {
                Stmt::Let(_) => {}
                Stmt::Store { buffer, at, .. } => rewrite(*buffer, at),
                Stmt::Loop(inner) => stores(&mut inner.body, rewrite),
            }
        }
    }
    stores(&mut kernel.body, &rewrite);
}
