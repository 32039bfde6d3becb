//! Building one kernel: instructions are placed where their operands allow, each once.
//!
//! In: instructions, loops, stores in any nesting. Out: a [`Kernel`]. Invariant: an instruction stands in the outermost block
//! in which all its operands are known, and two equal instructions that see the same operands are one.
//!
//! Nothing made here goes stale: an equal key means equal operands, and operands that are visible stand in open blocks.

use super::ir::*;
use super::range::Range;
use crate::base::{DType, Extent};
use crate::ops::ScalarOp;
use std::collections::HashMap;

#[derive(Default)]
pub struct Builder {
    insts: Vec<Inst>,
    /// The block (counted from the outermost, 0) in which each instruction stands.
    depths: Vec<usize>,
    dtypes: Vec<DType>,
    ranges: Vec<Range>,
    vars: Vec<(Extent, usize)>,
    blocks: Vec<Vec<Stmt>>,
    open: Vec<Var>,
    known: HashMap<Vec<u64>, Val>,
    steps: Vec<Step>,
}

/// Inner blocks that wait while something is computed in an outer one.
pub struct Suspended {
    blocks: Vec<Vec<Stmt>>,
    open: Vec<Var>,
}

impl Builder {
    pub fn new() -> Builder {
        Builder { blocks: vec![vec![]], ..Builder::default() }
    }

    pub fn finish(mut self, name: String) -> Kernel {
        assert!(self.blocks.len() == 1, "invariant broken: every loop is closed before its kernel is finished");
        let body = self.blocks.pop().unwrap_or_default();
        Kernel { name, insts: self.insts, vars: self.vars.len() as u32, steps: self.steps, body }
    }

    pub fn inst(&self, val: Val) -> &Inst {
        &self.insts[val.0 as usize]
    }

    pub fn dtype(&self, val: Val) -> DType {
        self.dtypes[val.0 as usize]
    }

    pub fn depth(&self, val: Val) -> usize {
        self.depths[val.0 as usize]
    }

    fn term_depth(&self, term: Term) -> usize {
        match term {
            Term::Var(var) => self.vars[var.0 as usize].1,
            Term::Val(val) => self.depth(val),
        }
    }

    pub fn affine_depth(&self, index: &Affine) -> usize {
        index.terms.iter().map(|&(_, t)| self.term_depth(t)).max().unwrap_or(0)
    }

    pub fn range(&self, index: &Affine) -> Range {
        index.range(|term| match term {
            Term::Val(val) => self.ranges[val.0 as usize],
            Term::Var(var) => {
                let extent = self.vars[var.0 as usize].0.fixed();
                Range { low: Some(0), high: extent.map(|n| n as i64 - 1) }
            }
        })
    }

    /// Opens a loop inside the innermost open one.
    pub fn open(&mut self, extent: Extent) -> Var {
        let var = Var(self.vars.len() as u32);
        self.blocks.push(vec![]);
        self.vars.push((extent, self.blocks.len() - 1));
        self.open.push(var);
        var
    }

    /// The number of the step of a repeat around the kernel.
    pub fn step(&mut self, repeat: u32, extent: Extent) -> Var {
        let var = Var(self.vars.len() as u32);
        self.vars.push((extent, 0));
        self.steps.push(Step { var, repeat, extent });
        var
    }

    /// The value of a carry inside the innermost open loop.
    pub fn current(&mut self, dtype: DType) -> Val {
        let depth = self.blocks.len() - 1;
        self.place(Inst::Current, dtype, depth, Range::default())
    }

    /// Closes the innermost loop, which carries `(init, current, next)` if given, and returns what comes out of it.
    pub fn close(&mut self, kind: LoopKind, carry: Option<(Val, Val, Val, crate::ops::ReduceKind)>) -> Option<Val> {
        let (Some(body), Some(var)) = (self.blocks.pop(), self.open.pop()) else {
            panic!("invariant broken: only an open loop is closed")
        };
        let depth = self.blocks.len() - 1;
        let extent = self.vars[var.0 as usize].0;
        let mut carries = vec![];
        if let Some((init, current, next, join)) = carry {
            let result = self.place(Inst::Result, self.dtype(init), depth, Range::default());
            carries.push(Carry { result, init, current, next, join });
        }
        let result = carries.first().map(|c| c.result);
        self.blocks[depth].push(Stmt::Loop(Loop { var, extent, kind, carries, body }));
        result
    }

    /// Makes the block at `depth` the innermost one until [`Builder::resume`].
    pub fn suspend(&mut self, depth: usize) -> Suspended {
        Suspended { blocks: self.blocks.split_off(depth + 1), open: self.open.split_off(depth) }
    }

    pub fn resume(&mut self, inner: Suspended) {
        self.blocks.extend(inner.blocks);
        self.open.extend(inner.open);
    }

    pub fn innermost(&self) -> usize {
        self.blocks.len() - 1
    }

    /// Stores at the end of what the innermost block has so far.
    pub fn store(&mut self, buffer: BufferId, at: Vec<Affine>, value: Val) {
        let depth = self.innermost();
        self.blocks[depth].push(Stmt::Store { buffer, at, value });
    }

    fn place(&mut self, inst: Inst, dtype: DType, depth: usize, range: Range) -> Val {
        let val = Val(self.insts.len() as u32);
        self.insts.push(inst);
        self.depths.push(depth);
        self.dtypes.push(dtype);
        self.ranges.push(range);
        val
    }

    fn add(&mut self, inst: Inst, dtype: DType, depth: usize, range: Range) -> Val {
        let key = key(&inst);
        if let Some(&val) = self.known.get(&key) {
            return val;
        }
        assert!(depth < self.blocks.len(), "invariant broken: operands of an instruction stand in open blocks");
        let val = self.place(inst, dtype, depth, range);
        self.known.insert(key, val);
        self.blocks[depth].push(Stmt::Let(val));
        val
    }

    pub fn constant(&mut self, value: f64, dtype: DType) -> Val {
        self.add(Inst::Const { value, dtype }, dtype, 0, Range::default())
    }

    pub fn scalar(&mut self, op: ScalarOp, args: &[Val]) -> Val {
        let depth = args.iter().map(|&a| self.depth(a)).max().unwrap_or(0);
        let dtypes: Vec<DType> = args.iter().map(|&a| self.dtype(a)).collect();
        let Some(dtype) = op.result(&dtypes) else {
            panic!("invariant broken: formulas apply `{}` only to types that it takes, not {dtypes:?}", op.name())
        };
        self.add(Inst::Scalar { op, args: args.to_vec() }, dtype, depth, Range::default())
    }

    pub fn load(&mut self, buffer: BufferId, dtype: DType, at: Vec<Affine>, mask: Option<Val>) -> Val {
        let depth = at.iter().map(|a| self.affine_depth(a)).chain(mask.map(|m| self.depth(m))).max().unwrap_or(0);
        self.add(Inst::Load { buffer, at, mask }, dtype, depth, Range::default())
    }

    /// An index as an I32 value.
    pub fn index_value(&mut self, index: &Affine) -> Val {
        if let Some(Term::Val(val)) = index.as_term() {
            return val;
        }
        let (depth, range) = (self.affine_depth(index), self.range(index));
        self.add(Inst::Index(index.clone()), DType::I32, depth, range)
    }

    /// An I32 value as an index.
    pub fn value_index(&self, value: Val) -> Affine {
        match self.inst(value) {
            Inst::Index(index) => index.clone(),
            _ => Affine::term(Term::Val(value)),
        }
    }

    /// Floor division and remainder; exact parts of the form stay affine: (14 y + x) / 14 is y where 0 <= x < 14.
    pub fn div_rem(&mut self, index: &Affine, by: u64) -> (Affine, Affine) {
        let n = by as i64;
        let mut quotient = Affine::constant(index.constant.div_euclid(n));
        let mut rest = Affine::constant(index.constant.rem_euclid(n));
        for &(factor, term) in &index.terms {
            if factor % n == 0 {
                quotient.terms.push((factor / n, term));
            } else {
                rest.terms.push((factor, term));
            }
        }
        let range = self.range(&rest);
        if range.within(by) {
            return (quotient, rest);
        }
        let depth = self.affine_depth(&rest);
        let div = self.add(Inst::Div { index: rest.clone(), by }, DType::I32, depth, range.quotient(by));
        let rem = self.add(Inst::Rem { index: rest, by }, DType::I32, depth, range.remainder(by));
        (Affine::sum([(1, &quotient), (1, &Affine::term(Term::Val(div)))], 0), Affine::term(Term::Val(rem)))
    }

    /// True where `0 <= index < extent`; `None` where that always holds.
    pub fn in_range(&mut self, index: &Affine, extent: Extent) -> Option<Val> {
        let always = match extent {
            Extent::Fixed(n) => self.range(index).within(n),
            Extent::Sym(_) => matches!(index.as_term(), Some(Term::Var(v)) if self.vars[v.0 as usize].0 == extent),
        };
        if always {
            return None;
        }
        let depth = self.affine_depth(index);
        Some(self.add(Inst::InRange { index: index.clone(), extent }, DType::Bool, depth, Range::default()))
    }

    /// The same address with fewer divisions: `[.., i / 14, i % 14]` in rows of 14 becomes `[.., 0, i]`.
    pub fn join_axes(&self, shape: &[Extent], at: Vec<Affine>) -> Vec<Affine> {
        let divided = |index: &Affine| index.terms.iter().any(|&(_, t)| self.divided(t).is_some());
        if !at.iter().any(divided) {
            return at;
        }
        let first = at.iter().position(divided).unwrap_or(0);
        let first = first.max(shape.iter().rposition(|e| e.fixed().is_none()).unwrap_or(0));
        let (mut stride, mut linear) = (1i64, Affine::default());
        for axis in (first..at.len()).rev() {
            linear = Affine::sum([(1, &linear), (stride, &at[axis])], 0);
            stride *= shape[axis].fixed().unwrap_or(1) as i64;
        }
        let before = linear.terms.len();
        while let Some(joined) = self.join_once(&linear) {
            linear = joined;
        }
        if linear.terms.len() >= before && divided(&linear) {
            return at;
        }
        let mut out = at[..first].to_vec();
        out.resize(at.len() - 1, Affine::default());
        out.push(linear);
        out
    }

    fn divided(&self, term: Term) -> Option<(&Affine, u64, bool)> {
        let Term::Val(val) = term else { return None };
        match self.inst(val) {
            Inst::Div { index, by } => Some((index, *by, true)),
            Inst::Rem { index, by } => Some((index, *by, false)),
            _ => None,
        }
    }

    /// `c·n·(a / n) + c·(a % n)` is `c·a`.
    fn join_once(&self, linear: &Affine) -> Option<Affine> {
        for &(factor, term) in &linear.terms {
            let Some((index, by, false)) = self.divided(term) else { continue };
            for &(other, quotient) in &linear.terms {
                let matching = self.divided(quotient) == Some((index, by, true));
                if matching && other == factor * by as i64 {
                    let mut rest = linear.clone();
                    rest.terms.retain(|&(_, t)| t != term && t != quotient);
                    return Some(Affine::sum([(1, &rest), (factor, index)], 0));
                }
            }
        }
        None
    }
}

/// A number sequence that is equal for equal instructions.
fn key(inst: &Inst) -> Vec<u64> {
    let mut key = vec![];
    let affine = |key: &mut Vec<u64>, index: &Affine| {
        key.extend([index.terms.len() as u64, index.constant as u64]);
        for &(factor, term) in &index.terms {
            let (tag, number) = match term {
                Term::Var(v) => (0, v.0),
                Term::Val(v) => (1, v.0),
            };
            key.extend([factor as u64, tag << 32 | u64::from(number)]);
        }
    };
    match inst {
        Inst::Const { value, dtype } => key.extend([0, value.to_bits(), *dtype as u64]),
        Inst::Load { buffer, at, mask } => {
            key.extend([1, u64::from(buffer.0), mask.map_or(u64::MAX, |m| u64::from(m.0))]);
            at.iter().for_each(|index| affine(&mut key, index));
        }
        Inst::Scalar { op, args } => {
            key.extend([2, *op as u64]);
            key.extend(args.iter().map(|a| u64::from(a.0)));
        }
        Inst::Index(index) => {
            key.push(3);
            affine(&mut key, index);
        }
        Inst::Div { index, by } => {
            key.extend([4, *by]);
            affine(&mut key, index);
        }
        Inst::Rem { index, by } => {
            key.extend([5, *by]);
            affine(&mut key, index);
        }
        Inst::InRange { index, extent } => {
            let (tag, number) = match *extent {
                Extent::Fixed(n) => (6, n),
                Extent::Sym(s) => (7, u64::from(s)),
            };
            key.extend([tag, number]);
            affine(&mut key, index);
        }
        Inst::Current | Inst::Result => panic!("invariant broken: what a loop carries is never looked up"),
    }
    key
}
