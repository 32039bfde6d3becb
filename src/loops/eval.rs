//! The loop interpreter: what a program means, bit for bit what its machine code does.
//!
//! In: a verified program, the words of its buffers, the numbers behind its symbols. Out: the buffers after the run.
//! Invariant: loops run one element after the other in f32; `Lanes` loops keep their accumulators apart and join them by
//! the tree of [`crate::ops::Order::Lanes`].

use super::intrinsics;
use super::ir::*;
use super::tree::Part;
use super::verify;
use crate::base::{DType, shape};
use crate::ops::{LANES, ReduceKind, ScalarOp, number};

/// Buffers of zeros, as [`eval`] takes them.
pub fn empty_buffers(program: &Program, symbols: &[u64]) -> Result<Vec<Vec<u32>>, String> {
    let size = |b: &Buffer| {
        let count = shape::elements(&b.shape, symbols).filter(|&n| n < 1 << 40);
        let count = count.ok_or_else(|| format!("`{}` is too large to interpret", b.name))?;
        Ok(vec![0; count as usize * words(b.dtype)])
    };
    program.buffers.iter().map(size).collect()
}

/// The number of 32-bit words of an element; f64 has its lower word first.
pub fn words(dtype: DType) -> usize {
    if dtype == DType::F64 { 2 } else { 1 }
}

/// Runs all kernels. An index from data that leaves its buffer is an error.
pub fn eval(program: &Program, buffers: &mut [Vec<u32>], symbols: &[u64]) -> Result<(), String> {
    let strides: Vec<Vec<i64>> = program.buffers.iter().map(|b| strides(b, symbols)).collect();
    let mut steps = vec![0i64; program.repeats.len()];
    for part in program.tree() {
        run(program, &part, &strides, buffers, symbols, &mut steps)?;
    }
    Ok(())
}

fn run(
    program: &Program,
    part: &Part,
    strides: &[Vec<i64>],
    buffers: &mut [Vec<u32>],
    symbols: &[u64],
    steps: &mut [i64],
) -> Result<(), String> {
    match part {
        Part::Repeat(number, parts) => {
            let repeat = &program.repeats[*number];
            let extent = repeat.extent.bound(symbols) as i64;
            for i in 0..extent {
                steps[*number] = if repeat.reverse { extent - 1 - i } else { i };
                parts.iter().try_for_each(|part| run(program, part, strides, buffers, symbols, steps))?;
            }
            Ok(())
        }
        Part::Kernel(number) => {
            let kernel = &program.kernels[*number];
            let mut vars = vec![0; kernel.vars as usize];
            kernel.steps.iter().for_each(|step| vars[step.var.0 as usize] = steps[step.repeat as usize]);
            let types = verify::types(program, kernel);
            let values = vec![0; kernel.insts.len()];
            let mut run = Run { program, kernel, types, strides, buffers, symbols, values, vars };
            run.block(&kernel.body).map_err(|e| format!("kernel `{}`: {e}", kernel.name))
        }
    }
}

fn strides(buffer: &Buffer, symbols: &[u64]) -> Vec<i64> {
    let mut stride = 1i64;
    let mut out: Vec<i64> = buffer
        .shape
        .iter()
        .rev()
        .map(|e| {
            let own = stride;
            stride = stride.saturating_mul(e.bound(symbols) as i64);
            own
        })
        .collect();
    out.reverse();
    out
}

struct Run<'a> {
    program: &'a Program,
    kernel: &'a Kernel,
    types: Vec<DType>,
    strides: &'a [Vec<i64>],
    buffers: &'a mut [Vec<u32>],
    symbols: &'a [u64],
    /// The bits of every value: f32 and i32 in the lower half, truth as 0 or 1.
    values: Vec<u64>,
    vars: Vec<i64>,
}

impl Run<'_> {
    fn block(&mut self, body: &[Stmt]) -> Result<(), String> {
        for stmt in body {
            match stmt {
                Stmt::Let(val) => self.values[val.0 as usize] = self.inst(*val)?,
                Stmt::Store { buffer, at, value } => {
                    let offset = self.offset(*buffer, at)?;
                    self.buffers[buffer.0 as usize][offset] = self.values[value.0 as usize] as u32;
                }
                Stmt::Loop(inner) => self.repeat(inner)?,
            }
        }
        Ok(())
    }

    fn repeat(&mut self, inner: &Loop) -> Result<(), String> {
        let lanes = if inner.kind == LoopKind::Lanes { LANES } else { 1 };
        let start = |c: &Carry| [self.values[c.init.0 as usize]; LANES];
        let mut sums: Vec<[u64; LANES]> = inner.carries.iter().map(start).collect();
        for i in 0..inner.extent.bound(self.symbols) as usize {
            self.vars[inner.var.0 as usize] = i as i64;
            for (carry, sum) in inner.carries.iter().zip(&sums) {
                self.values[carry.current.0 as usize] = sum[i % lanes];
            }
            self.block(&inner.body)?;
            for (carry, sum) in inner.carries.iter().zip(&mut sums) {
                sum[i % lanes] = self.values[carry.next.0 as usize];
            }
        }
        for (carry, sum) in inner.carries.iter().zip(&mut sums) {
            if lanes > 1 {
                join_lanes(carry.join, sum);
            }
            self.values[carry.result.0 as usize] = sum[0];
        }
        Ok(())
    }

    fn index(&self, index: &Affine) -> i64 {
        index.terms.iter().fold(index.constant, |sum, &(factor, term)| {
            let term = match term {
                Term::Var(var) => self.vars[var.0 as usize],
                Term::Val(val) => i64::from(self.values[val.0 as usize] as i32),
            };
            sum.wrapping_add(factor.wrapping_mul(term))
        })
    }

    /// The first word of the element.
    fn offset(&self, buffer: BufferId, at: &[Affine]) -> Result<usize, String> {
        let number = buffer.0 as usize;
        let sum =
            at.iter().zip(&self.strides[number]).fold(0i64, |s, (i, n)| s.wrapping_add(self.index(i).wrapping_mul(*n)));
        let words = words(self.program.buffers[number].dtype);
        match usize::try_from(sum).ok().and_then(|s| s.checked_mul(words)) {
            Some(offset) if offset < self.buffers[number].len() => Ok(offset),
            _ => Err(format!("element {sum} of `{}` does not exist", self.program.buffers[number].name)),
        }
    }

    fn inst(&self, val: Val) -> Result<u64, String> {
        Ok(match &self.kernel.insts[val.0 as usize] {
            Inst::Const { value, dtype } => constant(*value, *dtype),
            Inst::Load { mask: Some(mask), .. } if self.values[mask.0 as usize] == 0 => 0,
            Inst::Load { buffer, at, .. } => {
                let (offset, memory) = (self.offset(*buffer, at)?, &self.buffers[buffer.0 as usize]);
                match self.types[val.0 as usize] {
                    DType::F64 => u64::from(memory[offset]) | u64::from(memory[offset + 1]) << 32,
                    _ => u64::from(memory[offset]),
                }
            }
            Inst::Scalar { op, args } => self.scalar(*op, args),
            Inst::Index(index) => word(self.index(index)),
            Inst::Div { index, by } => word(self.index(index).div_euclid(*by as i64)),
            Inst::Rem { index, by } => word(self.index(index).rem_euclid(*by as i64)),
            Inst::InRange { index, extent } => {
                let index = self.index(index);
                u64::from(index >= 0 && (index as u64) < extent.bound(self.symbols))
            }
            Inst::Current | Inst::Result => panic!("invariant broken: what a loop carries is no statement"),
        })
    }

    fn scalar(&self, op: ScalarOp, args: &[Val]) -> u64 {
        let first = self.types[args[0].0 as usize];
        let mut bits = [0u64; 3];
        for (bits, arg) in bits.iter_mut().zip(args) {
            *bits = self.values[arg.0 as usize];
        }
        if args.iter().any(|a| self.types[a.0 as usize] == DType::F64) {
            return self.wide(op, args, &bits);
        }
        let words = bits.map(|b| b as u32);
        if first == DType::F32 {
            let [x, y, z] = words.map(f32::from_bits);
            match op {
                ScalarOp::Add => return u64::from((x + y).to_bits()),
                ScalarOp::Sub => return u64::from((x - y).to_bits()),
                ScalarOp::Mul => return u64::from((x * y).to_bits()),
                ScalarOp::Fma => return u64::from(x.mul_add(y, z).to_bits()),
                _ => {}
            }
        }
        u64::from(intrinsics::eval(op, first, &words[..args.len()]))
    }

    /// Scalars of the step, in f64.
    fn wide(&self, op: ScalarOp, args: &[Val], bits: &[u64; 3]) -> u64 {
        let number = |(&arg, &bits): (&Val, &u64)| match self.types[arg.0 as usize] {
            DType::F64 => f64::from_bits(bits),
            DType::F32 => f64::from(f32::from_bits(bits as u32)),
            DType::I32 => f64::from(bits as u32 as i32),
            DType::Bool => bits as f64,
        };
        let numbers: Vec<f64> = args.iter().zip(bits).map(number).collect();
        let result = number::apply(op, &numbers);
        let dtypes: Vec<DType> = args.iter().map(|a| self.types[a.0 as usize]).collect();
        match op.result(&dtypes) {
            Some(dtype) => constant(result, dtype),
            None => panic!("invariant broken: a verified kernel applies `{}` to types that it takes", op.name()),
        }
    }
}

fn word(index: i64) -> u64 {
    u64::from(index as i32 as u32)
}

/// The bits of a constant.
pub fn constant(value: f64, dtype: DType) -> u64 {
    match dtype {
        DType::F32 => u64::from((value as f32).to_bits()),
        DType::I32 => word(value as i64),
        DType::Bool => u64::from(value != 0.0),
        DType::F64 => value.to_bits(),
    }
}

fn join_lanes(kind: ReduceKind, sums: &mut [u64; LANES]) {
    let op = match kind {
        ReduceKind::Sum | ReduceKind::Dot => ScalarOp::Add,
        ReduceKind::Max => ScalarOp::Max,
        ReduceKind::Min => ScalarOp::Min,
    };
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            let pair = [sums[lane] as u32, sums[lane + half] as u32];
            sums[lane] = u64::from(intrinsics::eval(op, DType::F32, &pair));
        }
        half /= 2;
    }
}
