//! What each thread runs of a kernel that threads share.
//!
//! In: a kernel, the number of this thread's part and of all parts. Out: the iterations of its outermost loop, or of its two
//! outermost ones taken as one, that are this part. Invariant: the parts together are the kernel, whatever their number, and
//! each begins at a multiple of every step its loop takes.

use super::emit::Emitter;
use super::nest::{Num, Span, step};
use crate::loops::ir::*;
use cranelift_codegen::ir::{InstBuilder, Value, types};

/// An outermost loop of fewer iterations is shared together with the loop inside it: threads would get unequal parts of few,
/// and of one iteration, nothing.
const FEW: u64 = 16;

/// The part of a loop that this thread runs.
pub struct Part<'a> {
    shared: &'a Loop,
    iterations: Iterations<'a>,
}

enum Iterations<'a> {
    /// These iterations.
    Whole(Value, Value),
    /// Of all runs of the loop inside `outer`, one behind the other in granules of `step` iterations, `run` of them in each,
    /// the granules from `low` to `high`.
    Runs { outer: &'a Loop, low: Value, high: Value, run: Value, step: i64 },
}

/// The loop that threads share, if the kernel is one independent loop and what is computed for it.
pub fn shared_loop(kernel: &Kernel) -> Option<&Loop> {
    independent(&kernel.body)
}

fn independent(body: &[Stmt]) -> Option<&Loop> {
    let mut loops = body.iter().filter(|s| !matches!(s, Stmt::Let(_)));
    match (loops.next(), loops.next()) {
        (Some(Stmt::Loop(inner)), None) if !matches!(inner.kind, LoopKind::Serial | LoopKind::Lanes) => Some(inner),
        _ => None,
    }
}

/// The loop inside the shared one that is shared with it.
fn second(outer: &Loop, native: usize) -> Option<&Loop> {
    let inner = independent(&outer.body)?;
    let few = outer.extent.fixed().is_none_or(|n| n < FEW);
    // A loop whose beginning is known has a better ending, where it does not end in a whole step.
    let whole = inner.extent.fixed().is_none_or(|n| n.is_multiple_of(step(inner, native) as u64));
    let parallel = matches!(inner.kind, LoopKind::Parallel { .. });
    (few && step(outer, native) == 1 && parallel && whole).then_some(inner)
}

/// Lets the kernel run part `part` of `parts` only.
pub fn share<'a>(emitter: &mut Emitter<'a, '_>, shared: &'a Loop, part: Value, parts: Value) {
    match second(shared, emitter.native) {
        Some(inner) => {
            let granule = step(inner, emitter.native);
            let (outer, extent) = (emitter.extent(shared.extent), emitter.extent(inner.extent));
            let run = up(emitter, extent, granule);
            let all = emitter.b.ins().imul(outer, run);
            let (low, high) = cut(emitter, all, 1, part, parts);
            let first = emitter.b.ins().udiv(low, run);
            let end = emitter.b.ins().iadd(high, run);
            let end = emitter.b.ins().iadd_imm_s(end, -1);
            let end = emitter.b.ins().udiv(end, run);
            emitter.parts.push(Part { shared, iterations: Iterations::Whole(first, end) });
            emitter.parts.push(Part {
                shared: inner,
                iterations: Iterations::Runs { outer: shared, low, high, run, step: granule },
            });
        }
        None => {
            let extent = emitter.extent(shared.extent);
            let granule = step(shared, emitter.native);
            let (low, high) = cut(emitter, extent, granule, part, parts);
            emitter.parts.push(Part { shared, iterations: Iterations::Whole(low, high) });
        }
    }
}

/// Part `part` of `parts` of `extent` iterations; it begins at a multiple of `granule`.
fn cut(emitter: &mut Emitter<'_, '_>, extent: Value, granule: i64, part: Value, parts: Value) -> (Value, Value) {
    let granules = up(emitter, extent, granule);
    let b = &mut *emitter.b;
    let granules = b.ins().iadd(granules, parts);
    let granules = b.ins().iadd_imm_s(granules, -1);
    let granules = b.ins().udiv(granules, parts);
    let chunk = b.ins().imul_imm_s(granules, granule);
    let low = b.ins().imul(part, chunk);
    let low = b.ins().umin(low, extent);
    let high = b.ins().iadd(low, chunk);
    (low, b.ins().umin(high, extent))
}

/// ⌈extent / granule⌉, at least 1.
fn up(emitter: &mut Emitter<'_, '_>, extent: Value, granule: i64) -> Value {
    let b = &mut *emitter.b;
    let one = b.ins().iconst(types::I64, 1);
    let up = b.ins().iadd_imm_s(extent, granule - 1);
    let by = b.ins().iconst(types::I64, granule);
    let up = b.ins().udiv(up, by);
    b.ins().umax(up, one)
}

impl Emitter<'_, '_> {
    /// The iterations of a shared loop that this thread runs; `None` for a loop that is not shared.
    pub fn part_of(&mut self, inner: &Loop) -> Option<Span> {
        let part = self.parts.iter().find(|p| std::ptr::eq(p.shared, inner))?;
        let total = inner.extent.fixed().map(|n| n as i64);
        let (low, high) = match part.iterations {
            Iterations::Whole(low, high) => (low, high),
            Iterations::Runs { outer, low, high, run, step } => {
                let at = match &self.vars[outer.var.0 as usize] {
                    Some(counter) => counter.value,
                    None => panic!("invariant broken: the loop around is open"),
                };
                let extent = self.extent(inner.extent);
                let b = &mut *self.b;
                let before = b.ins().imul(at, run);
                let mut inside = |granules: Value| {
                    let granules = b.ins().umax(granules, before);
                    let granules = b.ins().isub(granules, before);
                    let place = b.ins().imul_imm_s(granules, step);
                    b.ins().umin(place, extent)
                };
                (inside(low), inside(high))
            }
        };
        Some(Span { low: Num::Dyn(low), high: Num::Dyn(high), total })
    }
}
