//! Loops: which iterations stand side by side, which follow each other.
//!
//! In: the loops of a kernel. Out: blocks and branches around the statements of their bodies. Invariant: each iteration is
//! written with the same instructions in the same order, whether it stands in a vector, a jam, an unrolled body or a tail.

use super::analysis::{Coefficient, vectorizable, weigh};
use super::emit::{Counter, Dim, Emitter, Mask};
use crate::loops::ir::*;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, BlockArg, InstBuilder, Value, types};

/// A number known now or at run time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Num {
    Fixed(i64),
    Dyn(Value),
}

/// The iterations from `low` to `high`. `total` is the length of the whole loop, of which threads may each have a part that
/// begins at a multiple of every step used.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub low: Num,
    pub high: Num,
    pub total: Option<i64>,
}

/// The values that a loop carries: a list of copies for each.
pub type Carried = Vec<Vec<Value>>;

/// How many iterations of a loop stand side by side where registers hold `native` lanes: as many as the schedule advises,
/// as far as a contraction's accumulators fit into the registers (there are 16, or 32 of 16 lanes).
pub fn step(inner: &Loop, native: usize) -> i64 {
    let sums = has_sums(&inner.body);
    match inner.kind {
        LoopKind::Parallel { jam } => {
            let most = match native {
                _ if !sums => native as i64,
                16 => 8,
                8 => 6,
                _ => 4,
            };
            i64::from(jam).min(most).max(1)
        }
        LoopKind::Vector { width } => {
            let most = if sums { i64::from(width).min(2 * native as i64) } else { i64::from(width) };
            most - most % lanes_of(most, native)
        }
        LoopKind::Serial | LoopKind::Lanes => 1,
    }
}

fn has_sums(body: &[Stmt]) -> bool {
    body.iter().any(|s| matches!(s, Stmt::Loop(l) if !l.carries.is_empty() || has_sums(&l.body)))
}

/// The lanes of the registers in which `width` elements stand.
fn lanes_of(width: i64, native: usize) -> i64 {
    1 << width.min(native as i64).ilog2()
}

/// The greatest power of two below `n`, at least 1.
fn previous_power(n: i64) -> i64 {
    if n <= 2 { 1 } else { 1 << (n - 1).ilog2() }
}

/// The most statement copies in the body of an unrolled loop.
const UNROLLED: usize = 48;

impl<'a> Emitter<'a, '_> {
    pub fn repeat(&mut self, inner: &'a Loop) {
        let span = match (self.part_of(inner), inner.extent.fixed()) {
            (Some(part), _) => part,
            (None, Some(n)) => Span { low: Num::Fixed(0), high: Num::Fixed(n as i64), total: Some(n as i64) },
            (None, None) => Span { low: Num::Fixed(0), high: Num::Dyn(self.extent(inner.extent)), total: None },
        };
        self.repeat_span(inner, span);
    }

    fn repeat_span(&mut self, inner: &'a Loop, span: Span) {
        let saved = self.sites.clone();
        let sites = self.sites_in(&inner.body);
        self.prepare(&sites);
        let room = self.dims.len() < super::emit::MAX_DIMS;
        match inner.kind {
            LoopKind::Parallel { jam } if jam > 1 && room => self.jam(inner, span),
            LoopKind::Vector { .. }
                if self.vector_bit() == 0 && room && vectorizable(self.kernel, self.facts, &inner.body) =>
            {
                self.vector(inner, span);
            }
            LoopKind::Lanes => self.lanes(inner, span),
            _ => self.serial(inner, span),
        }
        self.sites = saved;
        self.vars[inner.var.0 as usize] = None;
    }

    pub fn sites_in(&self, body: &[Stmt]) -> Vec<usize> {
        let mut out = Vec::new();
        for stmt in body {
            match stmt {
                Stmt::Let(val) => out.extend(self.load_sites.get(val)),
                Stmt::Store { .. } => out.push(self.store_sites[&std::ptr::from_ref(stmt)]),
                Stmt::Loop(inner) => out.extend(self.sites_in(&inner.body)),
            }
        }
        out
    }

    fn serial(&mut self, inner: &'a Loop, span: Span) {
        let masks = self.depend_on_carries(inner, 0);
        self.splat_wanted();
        let carried = self.initial(inner, &masks);
        let (weight, nested) = weigh(&inner.body);
        let copies: usize = self.dims.iter().map(|d| d.count).product();
        let unroll = match UNROLLED / (weight * copies).max(1) {
            _ if nested => 1,
            0 | 1 => 1,
            2 | 3 => 2,
            _ => 4,
        };
        // A thread's part begins at a multiple of the schedule's step, which knows nothing of this unrolling.
        let span = if matches!(span.low, Num::Dyn(_)) { Span { total: None, ..span } } else { span };
        let (main, rest) = self.split(span, unroll);
        let carried = self.counted(inner, main, (unroll, 1), &masks, carried);
        let carried = match rest {
            Some(rest) => self.counted(inner, rest, (1, 1), &masks, carried),
            None => carried,
        };
        for (carry, copies) in inner.carries.iter().zip(carried) {
            self.define(carry.result, copies);
        }
    }

    /// The values before the first iteration, in as many copies as the loop carries.
    fn initial(&mut self, inner: &Loop, masks: &[Mask]) -> Carried {
        let inits: Vec<Val> = inner.carries.iter().map(|c| c.init).collect();
        self.gather(&inits, masks)
    }

    fn gather(&mut self, vals: &[Val], masks: &[Mask]) -> Carried {
        let mut out = Vec::new();
        for (&val, &mask) in vals.iter().zip(masks) {
            let vector = mask & self.vector_bit() != 0;
            let coords = self.coords(mask);
            out.push(
                coords.iter().map(|c| if vector { self.fetch_vector(val, c) } else { self.fetch(val, c) }).collect(),
            );
        }
        out
    }

    /// Cuts a span into a multiple of `step` and what is left, if anything can be.
    fn split(&mut self, span: Span, step: i64) -> (Span, Option<Span>) {
        if step == 1 || span.total.is_some_and(|n| n % step == 0) {
            return (span, None);
        }
        let middle = match (span.low, span.high) {
            (Num::Fixed(low), Num::Fixed(high)) => Num::Fixed(low + (high - low) / step * step),
            _ if span.total.is_some_and(|n| n < step) => span.low,
            (low, high) => {
                let (low, high) = (self.value(low), self.value(high));
                let count = self.b.ins().isub(high, low);
                let whole = if (step as u64).is_power_of_two() {
                    self.b.ins().band_imm_s(count, -step)
                } else {
                    let by = self.b.ins().iconst(types::I64, step);
                    let times = self.b.ins().udiv(count, by);
                    self.b.ins().imul_imm_s(times, step)
                };
                Num::Dyn(self.b.ins().iadd(low, whole))
            }
        };
        let left = span.total.map(|n| n % step);
        (
            Span { low: span.low, high: middle, total: span.total.map(|n| n - n % step) },
            Some(Span { low: middle, high: span.high, total: left }),
        )
    }

    pub fn value(&mut self, num: Num) -> Value {
        match num {
            Num::Fixed(n) => self.b.ins().iconst(types::I64, n),
            Num::Dyn(value) => value,
        }
    }

    /// Iterations side by side, then what is left in fewer, or all at once where their number is known.
    fn jam(&mut self, inner: &'a Loop, span: Span) {
        let mut step = step(inner, self.native);
        let (main, mut rest) = self.split(span, step);
        self.side_by_side(inner, main, step, 1);
        while let Some(left) = rest {
            let known = left.total.filter(|_| matches!(left.low, Num::Fixed(_)));
            step = known.unwrap_or(previous_power(step)).max(1);
            let (main, after) = self.split(left, step);
            self.side_by_side(inner, main, step, 1);
            rest = after;
        }
    }

    /// Whole registers side by side, then one register, then ever narrower ones, then single elements.
    fn vector(&mut self, inner: &'a Loop, span: Span) {
        let step = step(inner, self.native);
        let mut lanes = lanes_of(step, self.native);
        let (main, mut rest) = self.split(span, step);
        self.side_by_side(inner, main, step / lanes, lanes as usize);
        if step == lanes {
            lanes /= 2;
        }
        while let Some(left) = rest {
            let known = left.total.filter(|_| matches!(left.low, Num::Fixed(_)));
            if let Some(n) = known.filter(|&n| n > 1 && self.native > 4) {
                self.active(inner, left, n);
                break;
            }
            lanes = if lanes < 4 { 1 } else { lanes };
            let (main, after) = self.split(left, lanes);
            let known = main.total.filter(|_| lanes > 1 && matches!(main.low, Num::Fixed(_)));
            self.side_by_side(inner, main, known.map_or(1, |n| (n / lanes).max(1)), lanes as usize);
            (rest, lanes) = (after, lanes / 2);
        }
    }

    /// Runs the `n` iterations of a span at once. The last lanes of the last register stand for nothing.
    fn active(&mut self, inner: &'a Loop, span: Span, n: i64) {
        let lanes = (n as usize).next_power_of_two().clamp(8, self.native);
        let count = (n as usize).div_ceil(lanes);
        self.dims.push(Dim { var: inner.var, count, lanes, active: n as usize - (count - 1) * lanes });
        self.replicated(inner, span, n);
        self.dims.pop();
    }

    /// Runs a span (a multiple of count · lanes) with so many iterations written side by side.
    fn side_by_side(&mut self, inner: &'a Loop, span: Span, count: i64, lanes: usize) {
        if span.total == Some(0) || span.low == span.high {
            return;
        }
        let replicated = count > 1 || lanes > 1;
        if replicated {
            self.dims.push(Dim { var: inner.var, count: count as usize, lanes, active: lanes });
        }
        self.replicated(inner, span, count * lanes as i64);
        if replicated {
            self.dims.pop();
        }
    }

    /// A loop over a span whose turns are `step` iterations, as the innermost dimension says.
    fn replicated(&mut self, inner: &'a Loop, span: Span, step: i64) {
        let saved = self.sites.clone();
        let masks = self.depend_on_carries(inner, 0);
        self.splat_wanted();
        self.counted(inner, span, (1, step), &masks, Vec::new());
        self.sites = saved;
    }

    /// A counted loop of `unroll` bodies a turn, each `step` further; the span is a multiple of both. Returns what is
    /// carried out of it.
    pub fn counted(
        &mut self,
        inner: &'a Loop,
        span: Span,
        turn: (i64, i64),
        masks: &[Mask],
        carried: Carried,
    ) -> Carried {
        let (unroll, step) = turn;
        self.turns(inner, span, unroll * step, carried, &mut |emitter, counter, carried| {
            emitter.bodies(inner, counter, turn, masks, carried)
        })
    }

    /// A counted loop around what `write` writes: the loop's counter and what is carried into a turn are handed to it, and
    /// it returns what is carried out. A span of one turn is no loop.
    pub fn turns(
        &mut self,
        inner: &'a Loop,
        span: Span,
        stride: i64,
        carried: Carried,
        write: &mut dyn FnMut(&mut Self, Counter, Carried) -> Carried,
    ) -> Carried {
        if let (Num::Fixed(low), Num::Fixed(high)) = (span.low, span.high) {
            if low >= high {
                return carried;
            }
            if high - low == stride {
                let value = self.b.ins().iconst(types::I64, low);
                return write(self, Counter { value, fixed: Some(low), shift: 0, offsets: Vec::new() }, carried);
            }
        }
        let coefficients = self.coefficients_of(inner);
        let low = self.value(span.low);
        let mut start = vec![low];
        for c in &coefficients {
            let offset = if span.low == Num::Fixed(0) { low } else { self.scaled(c, low) };
            start.push(offset);
        }
        let counters = start.len();
        start.extend(carried.iter().flatten());
        let steps: Vec<Value> = coefficients.iter().map(|c| self.stride_of(c, stride)).collect();
        let high = self.value(span.high);
        let body = self.block_like(&start);
        let exit = self.block_like(&start[counters..]);
        if matches!((span.low, span.high), (Num::Fixed(_), Num::Fixed(_))) {
            self.b.ins().jump(body, &args(&start));
        } else {
            let some = self.b.ins().icmp(IntCC::SignedLessThan, low, high);
            self.b.ins().brif(some, body, &args(&start), exit, &args(&start[counters..]));
        }
        self.b.switch_to_block(body);
        let params = self.b.block_params(body).to_vec();
        let offsets = coefficients.into_iter().zip(params[1..counters].iter().copied()).collect();
        let counter = Counter { value: params[0], fixed: None, shift: 0, offsets };
        // What the body makes (splats of outer values among it) does not reach the code behind the loop.
        let known = self.slots.clone();
        let after = write(self, counter, regroup(&params[counters..], &carried));
        self.slots = known;
        let mut next = vec![self.b.ins().iadd_imm_s(params[0], stride)];
        for (&param, &step) in params[1..counters].iter().zip(&steps) {
            next.push(self.b.ins().iadd(param, step));
        }
        let more = self.b.ins().icmp(IntCC::SignedLessThan, next[0], high);
        next.extend(after.iter().flatten());
        self.b.ins().brif(more, body, &args(&next), exit, &args(&next[counters..]));
        self.b.seal_block(body);
        self.b.switch_to_block(exit);
        self.b.seal_block(exit);
        let results = self.b.block_params(exit).to_vec();
        regroup(&results, &carried)
    }

    /// A block with parameters of the types of `values`.
    fn block_like(&mut self, values: &[Value]) -> Block {
        let block = self.b.create_block();
        for &value in values {
            let ty = self.b.func.dfg.value_type(value);
            self.b.append_block_param(block, ty);
        }
        block
    }

    fn stride_of(&mut self, c: &Coefficient, stride: i64) -> Value {
        match c.fixed() {
            Some(k) => self.b.ins().iconst(types::I64, k * stride),
            None => {
                let c = self.coefficient(c);
                self.b.ins().imul_imm_s(c, stride)
            }
        }
    }

    /// The bodies of one turn; `carried` is what the first of them starts from.
    fn bodies(
        &mut self,
        inner: &'a Loop,
        counter: Counter,
        (unroll, step): (i64, i64),
        masks: &[Mask],
        carried: Carried,
    ) -> Carried {
        let mut carried = carried;
        let nexts: Vec<Val> = inner.carries.iter().map(|c| c.next).collect();
        for turn in 0..unroll {
            self.vars[inner.var.0 as usize] = Some(Counter { shift: turn * step, ..counter.clone() });
            for (carry, copies) in inner.carries.iter().zip(carried) {
                self.define(carry.current, copies);
            }
            self.block(&inner.body);
            carried = self.gather(&nexts, masks);
            self.forget(&inner.body);
            inner.carries.iter().for_each(|c| self.slots[c.current.0 as usize] = None);
        }
        self.vars[inner.var.0 as usize] = None;
        carried
    }

    /// The distinct strides of a loop's variable that deserve a counter of their own: all that addressing modes lack.
    fn coefficients_of(&self, inner: &Loop) -> Vec<Coefficient> {
        let mut out = Vec::new();
        for site in self.sites_in(&inner.body) {
            for (term, c) in &self.sites[site].linear.terms {
                let simple = c.fixed().is_some_and(|k| matches!(k, 1 | 2 | 4 | 8));
                if *term == Term::Var(inner.var) && !simple && !out.contains(c) {
                    out.push(c.clone());
                }
            }
        }
        out
    }
}

pub fn args(values: &[Value]) -> Vec<BlockArg> {
    values.iter().map(|&v| BlockArg::Value(v)).collect()
}

/// `flat` in groups of the sizes of `like`.
fn regroup(flat: &[Value], like: &Carried) -> Carried {
    let mut rest = flat;
    like.iter()
        .map(|copies| {
            let (here, after) = rest.split_at(copies.len());
            rest = after;
            here.to_vec()
        })
        .collect()
}
