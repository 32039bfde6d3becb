//! What the emitter must know about a kernel before it writes an instruction.
//!
//! In: a verified kernel. Out: types of values, ranges of indices, and addresses as linear forms in bytes. Invariant: a
//! linear form equals the row-major address for every value of the loop variables and symbols.

use crate::base::{DType, Extent};
use crate::loops::ir::*;
use crate::ops::ScalarOp;
use std::collections::BTreeMap;

/// Σ k · (product of symbols): the stride of an axis once inner axes have symbolic extents. Sorted; no term is zero.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Coefficient(pub Vec<(Vec<u32>, i64)>);

impl Coefficient {
    pub fn number(k: i64) -> Coefficient {
        let mut c = Coefficient::default();
        c.add(&[], k);
        c
    }

    /// The value, if no symbol is in it.
    pub fn fixed(&self) -> Option<i64> {
        match self.0.as_slice() {
            [] => Some(0),
            [(symbols, k)] if symbols.is_empty() => Some(*k),
            _ => None,
        }
    }

    pub fn add(&mut self, symbols: &[u32], k: i64) {
        match self.0.binary_search_by(|(s, _)| s.as_slice().cmp(symbols)) {
            Ok(at) => {
                self.0[at].1 = self.0[at].1.wrapping_add(k);
                if self.0[at].1 == 0 {
                    self.0.remove(at);
                }
            }
            Err(at) if k != 0 => self.0.insert(at, (symbols.to_vec(), k)),
            Err(_) => {}
        }
    }
}

/// `constant + Σ coefficient · term`, in bytes from the start of a buffer.
#[derive(Clone, Debug, Default)]
pub struct Linear {
    pub terms: Vec<(Term, Coefficient)>,
    pub constant: Coefficient,
}

/// The bytes of a stored element.
pub fn element_bytes(dtype: DType) -> i64 {
    if dtype == DType::F64 { 8 } else { 4 }
}

pub fn linear(buffer: &Buffer, at: &[Affine]) -> Linear {
    let (mut terms, mut constant) = (BTreeMap::<Term, Coefficient>::new(), Coefficient::default());
    let (mut number, mut symbols) = (element_bytes(buffer.dtype), Vec::new());
    for (index, extent) in at.iter().zip(&buffer.shape).rev() {
        constant.add(&symbols, number.wrapping_mul(index.constant));
        for &(factor, term) in &index.terms {
            terms.entry(term).or_default().add(&symbols, number.wrapping_mul(factor));
        }
        match *extent {
            Extent::Fixed(n) => number = number.wrapping_mul(n as i64),
            Extent::Sym(s) => {
                let place = symbols.partition_point(|&other| other <= s);
                symbols.insert(place, s);
            }
        }
    }
    let terms = terms.into_iter().filter(|(_, c)| !c.0.is_empty()).collect();
    Linear { terms, constant }
}

/// What is known of a kernel as a whole.
pub struct Facts {
    pub types: Vec<DType>,
    /// The extent of every loop variable.
    pub extents: Vec<Extent>,
    /// Per value, if it is a whole number: its least and greatest value.
    ranges: Vec<(i128, i128)>,
}

/// The largest number that a symbol may stand for; held where symbols are bound.
pub const MAX_SYMBOL: u64 = i32::MAX as u64;
const ANY: (i128, i128) = (i32::MIN as i128, i32::MAX as i128);

impl Facts {
    pub fn new(program: &Program, kernel: &Kernel) -> Facts {
        let mut facts = Facts {
            types: vec![DType::F32; kernel.insts.len()],
            extents: vec![Extent::Fixed(0); kernel.vars as usize],
            ranges: vec![ANY; kernel.insts.len()],
        };
        kernel.steps.iter().for_each(|step| facts.extents[step.var.0 as usize] = step.extent);
        facts.block(program, kernel, &kernel.body);
        facts
    }

    fn block(&mut self, program: &Program, kernel: &Kernel, body: &[Stmt]) {
        for stmt in body {
            match stmt {
                Stmt::Let(val) => self.inst(program, kernel, *val),
                Stmt::Store { .. } => {}
                Stmt::Loop(inner) => {
                    self.extents[inner.var.0 as usize] = inner.extent;
                    for carry in &inner.carries {
                        let dtype = self.types[carry.init.0 as usize];
                        self.types[carry.current.0 as usize] = dtype;
                        self.types[carry.result.0 as usize] = dtype;
                    }
                    self.block(program, kernel, &inner.body);
                }
            }
        }
    }

    fn inst(&mut self, program: &Program, kernel: &Kernel, val: Val) {
        let (mut range, dtype) = (
            ANY,
            match &kernel.insts[val.0 as usize] {
                Inst::Const { dtype, .. } => *dtype,
                Inst::Load { buffer, .. } => program.buffers[buffer.0 as usize].dtype,
                Inst::Scalar { op, args } => self.result(*op, args),
                Inst::InRange { .. } => DType::Bool,
                _ => DType::I32,
            },
        );
        match &kernel.insts[val.0 as usize] {
            Inst::Const { value, dtype: DType::I32 } => range = (*value as i128, *value as i128),
            Inst::Index(index) => range = self.range(index),
            Inst::Div { index, by } => {
                let (low, high) = self.range(index);
                range = (low.div_euclid(i128::from(*by)), high.div_euclid(i128::from(*by)));
            }
            Inst::Rem { by, .. } => range = (0, i128::from(*by) - 1),
            _ => {}
        }
        let fits = range.0 >= ANY.0 && range.1 <= ANY.1;
        (self.types[val.0 as usize], self.ranges[val.0 as usize]) = (dtype, if fits { range } else { ANY });
    }

    /// Whether the quotients and remainders of a kernel can be computed in 64 bits: each index, lifted to where it is
    /// positive, fits them.
    pub fn divisible(&self, kernel: &Kernel) -> bool {
        kernel.insts.iter().all(|inst| match inst {
            Inst::Div { index, by } | Inst::Rem { index, by } => {
                let (low, high) = self.range(index);
                let lifted = low.min(0).unsigned_abs() as i128 + i128::from(*by);
                lifted <= i128::from(i64::MAX) && high + lifted <= i128::from(u64::MAX)
            }
            _ => true,
        })
    }

    fn result(&self, op: ScalarOp, args: &[Val]) -> DType {
        let types: Vec<DType> = args.iter().map(|a| self.types[a.0 as usize]).collect();
        match op.result(&types) {
            Some(dtype) => dtype,
            None => panic!("invariant broken: a verified kernel applies `{op:?}` to {types:?}"),
        }
    }

    /// The least and the greatest value of an index.
    pub fn range(&self, index: &Affine) -> (i128, i128) {
        let start = i128::from(index.constant);
        index.terms.iter().fold((start, start), |(low, high), &(factor, term)| {
            let (l, h) = match term {
                Term::Var(v) => (0, i128::from(self.extents[v.0 as usize].fixed().unwrap_or(MAX_SYMBOL).max(1)) - 1),
                Term::Val(v) => self.ranges[v.0 as usize],
            };
            let (a, b) = (i128::from(factor) * l, i128::from(factor) * h);
            (low + a.min(b), high + a.max(b))
        })
    }
}

/// True where the lanes of a vector register may run the iterations of this loop: no F64 in it, and no inner loop that
/// wants the lanes for itself.
pub fn vectorizable(kernel: &Kernel, facts: &Facts, body: &[Stmt]) -> bool {
    body.iter().all(|stmt| match stmt {
        Stmt::Let(val) => {
            let plain = |v: &Val| facts.types[v.0 as usize] != DType::F64;
            match &kernel.insts[val.0 as usize] {
                Inst::Scalar { args, .. } => plain(val) && args.iter().all(plain),
                Inst::Load { .. } => plain(val),
                _ => true,
            }
        }
        Stmt::Store { .. } => true,
        Stmt::Loop(inner) => {
            !matches!(inner.kind, LoopKind::Vector { .. } | LoopKind::Lanes) && vectorizable(kernel, facts, &inner.body)
        }
    })
}

/// The number of statements of a body, and whether it has an inner loop.
pub fn weigh(body: &[Stmt]) -> (usize, bool) {
    (body.len(), body.iter().any(|s| matches!(s, Stmt::Loop(_))))
}
