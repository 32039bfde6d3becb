//! Holds a program to the rules of the loop IR.
//!
//! In: any [`Program`]. Out: nothing, or the first broken rule as a sentence. Invariant: in a verified program every value is
//! assigned once before its uses, types fit, and every address whose range is known lies in its buffer.

use super::ir::*;
use super::range::Range;
use crate::base::{DType, Extent};
use crate::ops::ReduceKind;

pub fn verify(program: &Program) -> Result<(), String> {
    for (number, buffer) in program.buffers.iter().enumerate() {
        if buffer.dtype == DType::Bool {
            return Err(format!("buffer {number} `{}` stores bool; truth values are stored as i32", buffer.name));
        }
        if program.buffers[..number].iter().any(|b| b.name == buffer.name) {
            return Err(format!("two buffers are called `{}`", buffer.name));
        }
    }
    for (number, repeat) in program.repeats.iter().enumerate() {
        let range = &repeat.kernels;
        let crosses = |other: &Repeat| {
            let o = &other.kernels;
            o.start < range.start && range.start < o.end && o.end < range.end
        };
        if range.start > range.end || range.end as usize > program.kernels.len() || program.repeats.iter().any(crosses)
        {
            return Err(format!("loop {number} over the kernels {range:?} crosses another or the end"));
        }
    }
    for (number, kernel) in program.kernels.iter().enumerate() {
        for step in &kernel.steps {
            let repeat = program.repeats.get(step.repeat as usize);
            if !repeat.is_some_and(|r| r.kernels.contains(&(number as u32)) && r.extent == step.extent) {
                return Err(format!("kernel `{}` counts the steps of a loop that is not around it", kernel.name));
            }
        }
        let mut check = Check::new(program, kernel);
        check.block(&kernel.body).map_err(|e| format!("kernel `{}`: {e}", kernel.name))?;
    }
    Ok(())
}

/// The type of every value of a kernel of a verified program; values that stand nowhere count as F32.
pub fn types(program: &Program, kernel: &Kernel) -> Vec<DType> {
    let mut check = Check::new(program, kernel);
    match check.block(&kernel.body) {
        Ok(()) => check.types.into_iter().map(|t| t.unwrap_or(DType::F32)).collect(),
        Err(e) => panic!("invariant broken: types are asked of verified kernels only: {e}"),
    }
}

struct Check<'a> {
    program: &'a Program,
    kernel: &'a Kernel,
    types: Vec<Option<DType>>,
    /// Whether the value can be seen where the walk stands.
    visible: Vec<bool>,
    ranges: Vec<Range>,
    /// The extents of the open loops' variables, and of all that were ever opened.
    open: Vec<Option<Extent>>,
    used: Vec<bool>,
}

type Checked<T> = Result<T, String>;

impl<'a> Check<'a> {
    fn new(program: &'a Program, kernel: &'a Kernel) -> Check<'a> {
        let (values, vars) = (kernel.insts.len(), kernel.vars as usize);
        let (mut open, mut used) = (vec![None; vars], vec![false; vars]);
        for step in kernel.steps.iter().filter(|s| (s.var.0 as usize) < vars) {
            (open[step.var.0 as usize], used[step.var.0 as usize]) = (Some(step.extent), true);
        }
        Check {
            program,
            kernel,
            types: vec![None; values],
            visible: vec![false; values],
            ranges: vec![Range::default(); values],
            open,
            used,
        }
    }

    fn block(&mut self, body: &[Stmt]) -> Checked<()> {
        let mut made = vec![];
        for stmt in body {
            match stmt {
                Stmt::Let(val) => {
                    let dtype = self.inst(*val)?;
                    self.define(*val, dtype)?;
                    made.push(*val);
                }
                Stmt::Store { buffer, at, value } => {
                    let dtype = self.value(*value)?;
                    let target = self.address(*buffer, at, false)?;
                    if dtype != target {
                        return Err(format!("{dtype} is stored where {target} belongs"));
                    }
                }
                Stmt::Loop(inner) => made.extend(self.enter(inner)?),
            }
        }
        made.iter().for_each(|v| self.visible[v.0 as usize] = false);
        Ok(())
    }

    fn enter(&mut self, inner: &Loop) -> Checked<Vec<Val>> {
        let var = inner.var.0 as usize;
        if self.used.get(var) != Some(&false) {
            return Err(format!("the loop variable {var} is used twice or not declared"));
        }
        self.shape_of(inner)?;
        (self.used[var], self.open[var]) = (true, Some(inner.extent));
        for carry in &inner.carries {
            let dtype = self.value(carry.init)?;
            self.expect(carry.current, &Inst::Current)?;
            self.define(carry.current, dtype)?;
        }
        let carried: Vec<Val> = inner.carries.iter().map(|c| c.next).collect();
        self.body_of_loop(&inner.body, &carried)?;
        self.open[var] = None;
        let mut results = vec![];
        for carry in &inner.carries {
            let [init, next] = [carry.init, carry.next].map(|v| self.types[v.0 as usize]);
            if init != next {
                return Err(format!("a loop carries %{} and %{} of different types", carry.init.0, carry.next.0));
            }
            self.visible[carry.current.0 as usize] = false;
            self.expect(carry.result, &Inst::Result)?;
            self.define(carry.result, init.unwrap_or(DType::F32))?;
            results.push(carry.result);
        }
        Ok(results)
    }

    /// The body of a loop, at the end of which the carried values must be visible.
    fn body_of_loop(&mut self, body: &[Stmt], carried: &[Val]) -> Checked<()> {
        self.block(body)?;
        for &next in carried {
            let here = body.iter().any(|s| match s {
                Stmt::Let(v) => *v == next,
                Stmt::Loop(l) => l.carries.iter().any(|c| c.result == next),
                Stmt::Store { .. } => false,
            });
            if !here && !self.visible.get(next.0 as usize).is_some_and(|&v| v) {
                return Err(format!("%{} is carried, but not known at the end of the loop", next.0));
            }
        }
        Ok(())
    }

    fn shape_of(&self, inner: &Loop) -> Checked<()> {
        let fits = match inner.kind {
            LoopKind::Serial => true,
            LoopKind::Parallel { jam } => jam >= 1 && inner.carries.is_empty(),
            LoopKind::Vector { width } => width >= 4 && width % 4 == 0 && inner.carries.is_empty(),
            LoopKind::Lanes => !inner.carries.is_empty(),
        };
        if !fits {
            return Err(format!("the loop over variable {} does not fit its kind {:?}", inner.var.0, inner.kind));
        }
        if let (LoopKind::Lanes, Some(carry)) =
            (inner.kind, inner.carries.iter().find(|c| !neutral(self.kernel.insts.get(c.init.0 as usize), c.join)))
        {
            return Err(format!("lanes start at %{}, which is not neutral", carry.init.0));
        }
        Ok(())
    }

    fn expect(&self, val: Val, wanted: &Inst) -> Checked<()> {
        match self.kernel.insts.get(val.0 as usize) {
            Some(inst) if inst == wanted => Ok(()),
            _ => Err(format!("%{} is carried by a loop, but is no {wanted:?}", val.0)),
        }
    }

    fn define(&mut self, val: Val, dtype: DType) -> Checked<()> {
        let v = val.0 as usize;
        if self.types.get(v).is_none_or(|t| t.is_some()) {
            return Err(format!("%{v} is assigned twice or does not exist"));
        }
        (self.types[v], self.visible[v]) = (Some(dtype), true);
        Ok(())
    }

    fn value(&self, val: Val) -> Checked<DType> {
        let v = val.0 as usize;
        match self.types.get(v) {
            Some(&Some(dtype)) if self.visible[v] => Ok(dtype),
            _ => Err(format!("%{v} is used where it is not known")),
        }
    }

    fn inst(&mut self, val: Val) -> Checked<DType> {
        let kernel = self.kernel;
        let Some(inst) = kernel.insts.get(val.0 as usize) else { return Err(format!("%{} does not exist", val.0)) };
        match inst {
            Inst::Const { dtype, .. } => Ok(*dtype),
            Inst::Load { buffer, at, mask } => {
                if let Some(mask) = mask.filter(|&m| self.value(m) != Ok(DType::Bool)) {
                    return Err(format!("the mask %{} is not a truth value that is known", mask.0));
                }
                self.address(*buffer, at, mask.is_some())
            }
            Inst::Scalar { op, args } => {
                let dtypes = args.iter().map(|&a| self.value(a)).collect::<Checked<Vec<_>>>()?;
                op.result(&dtypes).ok_or_else(|| format!("`{}` does not take {dtypes:?}", op.name()))
            }
            Inst::Index(index) => {
                self.ranges[val.0 as usize] = self.index(index)?;
                Ok(DType::I32)
            }
            Inst::Div { by: 0, .. } | Inst::Rem { by: 0, .. } => Err(format!("%{} divides by 0", val.0)),
            Inst::Div { index, by } => {
                self.ranges[val.0 as usize] = self.index(index)?.quotient(*by);
                Ok(DType::I32)
            }
            Inst::Rem { index, by } => {
                self.ranges[val.0 as usize] = self.index(index)?.remainder(*by);
                Ok(DType::I32)
            }
            Inst::InRange { index, .. } => self.index(index).map(|_| DType::Bool),
            Inst::Current | Inst::Result => Err(format!("%{} belongs to a loop and is no statement", val.0)),
        }
    }

    fn index(&self, index: &Affine) -> Checked<Range> {
        for &(_, term) in &index.terms {
            match term {
                Term::Var(var) if self.open.get(var.0 as usize).is_none_or(|e| e.is_none()) => {
                    return Err(format!("the loop variable {} is used outside its loop", var.0));
                }
                Term::Val(val) if self.value(val)? != DType::I32 => {
                    return Err(format!("%{} is an index, but no i32", val.0));
                }
                _ => {}
            }
        }
        Ok(index.range(|term| match term {
            Term::Val(val) => self.ranges[val.0 as usize],
            Term::Var(var) => {
                let extent = self.open[var.0 as usize].and_then(Extent::fixed);
                Range { low: Some(0), high: extent.map(|n| n as i64 - 1) }
            }
        }))
    }

    /// Every index must be in range, or else the address that it and some indices before it make together; where nothing
    /// is known (symbols, row numbers) the data decides.
    fn address(&self, buffer: BufferId, at: &[Affine], masked: bool) -> Checked<DType> {
        let Some(buffer) = self.program.buffers.get(buffer.0 as usize) else {
            return Err(format!("buffer {} does not exist", buffer.0));
        };
        if at.len() != buffer.shape.len() {
            return Err(format!("`{}` has {} axes, but {} indices", buffer.name, buffer.shape.len(), at.len()));
        }
        let (mut linear, mut size, mut leaves) = (Range::of(0, 0), Some(1i64), false);
        for (index, extent) in at.iter().zip(&buffer.shape).rev() {
            let (range, extent) = (self.index(index)?, extent.fixed().map(|n| n as i64));
            let last = extent.map(|n| n - 1);
            leaves |= range.low.is_some_and(|l| l < 0) || range.high.zip(last).is_some_and(|(h, n)| h > n);
            let assumed = Range { low: range.low.or(Some(0)), high: range.high.or(last) };
            linear = size.map_or(Range::default(), |size| linear.plus(assumed.scale(size)));
            size = size.zip(extent).and_then(|(size, n)| size.checked_mul(n));
            leaves &= match size {
                Some(size) => !linear.within(size as u64),
                None => linear.low.is_some_and(|l| l < 0),
            };
        }
        if leaves && !masked {
            return Err(format!("an access to `{}` leaves it", buffer.name));
        }
        Ok(buffer.dtype)
    }
}

fn neutral(inst: Option<&Inst>, join: ReduceKind) -> bool {
    let wanted = match join {
        ReduceKind::Sum | ReduceKind::Dot => 0.0,
        ReduceKind::Max => f64::NEG_INFINITY,
        ReduceKind::Min => f64::INFINITY,
    };
    matches!(inst, Some(Inst::Const { value, .. }) if *value == wanted)
}
