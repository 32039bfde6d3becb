//! The static memory plan: where in the arena each buffer lies.
//!
//! In: a program and the numbers behind its symbols. Out: a [`Plan`] whose size is known to the byte before the run.
//! Invariant: two buffers that are alive in the same kernel never overlap.

use super::ir::*;
use crate::base::{DType, Diagnostic, shape};

/// The arena for given symbols.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Per buffer its offset in bytes; `None` for buffers from outside.
    pub offsets: Vec<Option<u64>>,
    /// Per buffer its size in bytes, without padding.
    pub sizes: Vec<u64>,
    pub arena_bytes: u64,
}

/// Offsets are multiples of this: a cache line, and more than any vector register.
pub const ALIGNMENT: u64 = 64;

/// Bytes of one stored element.
pub fn element_bytes(dtype: DType) -> u64 {
    match dtype {
        DType::F64 => 8,
        DType::F32 | DType::I32 | DType::Bool => 4,
    }
}

/// Lays out the arena, largest buffers first, each at the lowest offset that is free during its life.
///
/// Errors: `E0803` where a size does not fit 63 bits.
pub fn plan(program: &Program, symbols: &[u64]) -> Result<Plan, Diagnostic> {
    let sizes = program.buffers.iter().map(|b| bytes(b, symbols).ok_or_else(|| too_large(b)));
    let sizes: Vec<u64> = sizes.collect::<Result<_, _>>()?;
    let mut jobs: Vec<(usize, u32, u32)> = vec![];
    for (number, buffer) in program.buffers.iter().enumerate() {
        if let Home::Arena { first, last } = buffer.home {
            jobs.push((number, first, last));
        }
    }
    jobs.sort_by_key(|&(number, ..)| (std::cmp::Reverse(sizes[number]), number));
    let mut placed: Vec<(u64, u64, u32, u32)> = vec![];
    let (mut offsets, mut arena_bytes) = (vec![None; sizes.len()], 0);
    for (number, first, last) in jobs {
        let size = sizes[number].div_ceil(ALIGNMENT) * ALIGNMENT;
        let mut busy: Vec<(u64, u64)> =
            placed.iter().filter(|p| p.2 <= last && first <= p.3).map(|p| (p.0, p.1)).collect();
        busy.sort_unstable();
        let mut offset = 0;
        for (start, end) in busy {
            if offset + size <= start {
                break;
            }
            offset = offset.max(end);
        }
        let end =
            offset.checked_add(size).filter(|&e| e < 1 << 62).ok_or_else(|| too_large(&program.buffers[number]))?;
        placed.push((offset, end, first, last));
        offsets[number] = Some(offset);
        arena_bytes = end.max(arena_bytes);
    }
    Ok(Plan { offsets, sizes, arena_bytes })
}

fn bytes(buffer: &Buffer, symbols: &[u64]) -> Option<u64> {
    shape::elements(&buffer.shape, symbols)?.checked_mul(element_bytes(buffer.dtype)).filter(|&n| n < 1 << 62)
}

fn too_large(buffer: &Buffer) -> Diagnostic {
    Diagnostic::plain("E0803", format!("`{}` needs more memory than can be addressed", buffer.name))
        .note("a size in bytes does not fit 62 bits; make the batch or the layer smaller")
}

/// Writes into every arena buffer the first and last kernel that touches it. What lives from one step of a repeat to the
/// next lives through the whole repeat.
pub fn set_lifetimes(program: &mut Program) {
    let mut lives: Vec<Option<(u32, u32)>> = vec![None; program.buffers.len()];
    for (number, kernel) in program.kernels.iter().enumerate() {
        kernel.for_each_buffer(&mut |id: BufferId| {
            let life = lives[id.0 as usize].get_or_insert((number as u32, number as u32));
            life.1 = number as u32;
        });
    }
    let mut repeats: Vec<(u32, &Repeat)> = (0..).zip(&program.repeats).filter(|(_, r)| !r.kernels.is_empty()).collect();
    repeats.sort_by_key(|(_, r)| r.kernels.len());
    for (number, life) in lives.iter_mut().enumerate() {
        let Some((first, last)) = life else { continue };
        let opening = &program.kernels[*first as usize];
        for (which, repeat) in &repeats {
            let (begin, end) = (repeat.kernels.start, repeat.kernels.end - 1);
            if *last < begin || *first > end {
                continue;
            }
            let inside = *first >= begin && *last <= end;
            if !inside || !fresh(opening, BufferId(number as u32), *which) {
                (*first, *last) = ((*first).min(begin), (*last).max(end));
            }
        }
    }
    for (buffer, life) in program.buffers.iter_mut().zip(lives) {
        if let (Home::Arena { first, last }, Some(life)) = (&mut buffer.home, life) {
            (*first, *last) = life;
        }
    }
}

/// Whether the kernel writes the buffer anew at each step of the repeat: it does not read it, and no address depends on
/// the step.
fn fresh(kernel: &Kernel, buffer: BufferId, repeat: u32) -> bool {
    let reads = |inst: &Inst| matches!(inst, Inst::Load { buffer: b, .. } if *b == buffer);
    let mut whole = !kernel.insts.iter().any(reads);
    kernel.for_each_stmt(&mut |stmt| {
        if let Stmt::Store { buffer: b, at, .. } = stmt
            && *b == buffer
        {
            let mut steps = kernel.steps.iter().filter(|s| s.repeat == repeat);
            whole &= steps.all(|s| at.iter().all(|i| i.factor(Term::Var(s.var)) == 0));
        }
    });
    whole
}

impl Kernel {
    /// Calls `see` with the buffer of each load and each store that runs.
    pub fn for_each_buffer(&self, see: &mut dyn FnMut(BufferId)) {
        for inst in &self.insts {
            if let Inst::Load { buffer, .. } = inst {
                see(*buffer);
            }
        }
        self.for_each_stmt(&mut |stmt| {
            if let Stmt::Store { buffer, .. } = stmt {
                see(*buffer);
            }
        });
    }

    /// Calls `see` with every statement, outer ones before those inside them.
    pub fn for_each_stmt(&self, see: &mut dyn FnMut(&Stmt)) {
        fn walk(body: &[Stmt], see: &mut dyn FnMut(&Stmt)) {
            for stmt in body {
                see(stmt);
                if let Stmt::Loop(inner) = stmt {
                    walk(&inner.body, see);
                }
            }
        }
        walk(&self.body, see);
    }
}
