//! Writes the statements of a kernel as Cranelift instructions, several copies of each where loops are replicated.
//!
//! In: a kernel and the loops that are open around a statement. Out: instructions. Invariant: a value has one copy for each
//! combination of the replicated loops that it depends on, so what copies share is computed once.
//!
//! A *dimension* is a loop of which several iterations are written side by side: the rows of a jam, or the registers of
//! a vector. A *mask* is a set of dimensions, a *coordinate* an iteration of each.

use super::analysis::{Facts, Linear, linear};
use super::lanes::{Lanes, splat_constant};
use crate::base::{DType, Extent};
use crate::loops::intrinsics::{Operand, apply};
use crate::loops::ir::*;
use crate::ops::ScalarOp;
use cranelift_codegen::ir::{FuncRef, InstBuilder, MemFlagsData, Type, Value, types};
use cranelift_frontend::FunctionBuilder;
use std::collections::BTreeMap;

/// A loop of which `count` iterations (of `lanes` elements each) are written side by side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dim {
    pub var: Var,
    pub count: usize,
    /// 1 for a jam, the lanes of a register for a vector.
    pub lanes: usize,
    /// Lanes of the last register that stand for an iteration; the others compute what nobody reads.
    pub active: usize,
}

pub type Mask = u8;
pub const MAX_DIMS: usize = 4;
/// The place in each dimension.
pub type Coord = [usize; MAX_DIMS];

/// The copies of a value and, where vectors need them, equal lanes of each.
#[derive(Clone, Default, Debug)]
pub struct Slot {
    pub copies: Vec<Value>,
    pub splats: Vec<Value>,
}

/// An access to memory, and how much of its address has been computed so far.
#[derive(Clone)]
pub struct Site {
    pub buffer: usize,
    pub linear: std::rc::Rc<Linear>,
    /// The sum of the terms that are added: a copy for each coordinate of `mask`.
    pub base: Vec<Value>,
    pub mask: Mask,
    pub added: Vec<bool>,
}

/// The value of an open loop's variable.
#[derive(Clone)]
pub struct Counter {
    pub value: Value,
    pub fixed: Option<i64>,
    /// What this copy of an unrolled body adds to it.
    pub shift: i64,
    /// Products that are kept beside it: coefficient · value.
    pub offsets: Vec<(super::analysis::Coefficient, Value)>,
}

/// What the entry block of a kernel loads.
pub struct Entry {
    pub symbols: Vec<Option<Value>>,
    pub coefficients: BTreeMap<super::analysis::Coefficient, Value>,
    /// 64 readable zero bytes.
    pub zeros: Value,
    /// `number::apply` for F64.
    pub wide: FuncRef,
}

pub struct Emitter<'a, 'f> {
    pub b: &'a mut FunctionBuilder<'f>,
    pub kernel: &'a Kernel,
    pub facts: &'a Facts,
    pub entry: Entry,
    /// The lanes of the widest vector register.
    pub native: usize,
    pub dims: Vec<Dim>,
    pub masks: Vec<Mask>,
    /// True where a vector needs this value, which is the same in all lanes.
    pub wanted: Vec<bool>,
    pub slots: Vec<Option<Slot>>,
    pub vars: Vec<Option<Counter>>,
    pub sites: Vec<Site>,
    pub load_sites: BTreeMap<Val, usize>,
    pub store_sites: BTreeMap<*const Stmt, usize>,
    /// The loops of which this thread has a part.
    pub parts: Vec<super::share::Part<'a>>,
}

/// Memory of ours never traps; it may lie at any multiple of 4.
pub fn memory() -> MemFlagsData {
    MemFlagsData::new().with_notrap()
}

pub fn scalar_type(dtype: DType) -> Type {
    match dtype {
        DType::F32 => types::F32,
        DType::I32 => types::I32,
        DType::Bool => types::I8,
        DType::F64 => types::F64,
    }
}

pub fn vector_type(dtype: DType, lanes: usize) -> Type {
    let lane = if dtype == DType::F32 { types::F32 } else { types::I32 };
    lane.by(lanes as u32).expect("vectors have up to 16 lanes")
}

/// Gives every load and store of a kernel a site, with its buffer's start as the base.
pub fn number_sites(
    program: &Program,
    kernel: &Kernel,
) -> (Vec<Site>, BTreeMap<Val, usize>, BTreeMap<*const Stmt, usize>) {
    let (mut sites, mut loads, mut stores) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    let mut site = |buffer: BufferId, at: &[Affine]| {
        let linear = linear(&program.buffers[buffer.0 as usize], at);
        let added = vec![false; linear.terms.len()];
        sites.push(Site { buffer: buffer.0 as usize, linear: linear.into(), base: Vec::new(), mask: 0, added });
        sites.len() - 1
    };
    fn walk<'k>(body: &'k [Stmt], see: &mut dyn FnMut(&'k Stmt)) {
        for stmt in body {
            see(stmt);
            if let Stmt::Loop(inner) = stmt {
                walk(&inner.body, see);
            }
        }
    }
    walk(&kernel.body, &mut |stmt| match stmt {
        Stmt::Let(val) => {
            if let Inst::Load { buffer, at, .. } = &kernel.insts[val.0 as usize] {
                loads.insert(*val, site(*buffer, at));
            }
        }
        Stmt::Store { buffer, at, .. } => {
            stores.insert(std::ptr::from_ref(stmt), site(*buffer, at));
        }
        Stmt::Loop(_) => {}
    });
    (sites, loads, stores)
}

impl<'a> Emitter<'a, '_> {
    /// The set with the vector dimension, or nothing.
    pub fn vector_bit(&self) -> Mask {
        self.dims.iter().position(|d| d.lanes > 1).map_or(0, |d| 1 << d)
    }

    /// The lanes of the open vector, or of the widest one.
    pub fn lanes_now(&self) -> usize {
        self.dims.iter().map(|d| d.lanes).find(|&l| l > 1).unwrap_or(self.native)
    }

    /// How many lanes of a register of the open vector stand for iterations.
    pub fn active_at(&self, coord: &Coord) -> usize {
        let open = self.dims.iter().enumerate().find(|(_, d)| d.lanes > 1);
        open.map_or(self.native, |(at, d)| if coord[at] + 1 == d.count { d.active } else { d.lanes })
    }

    /// All coordinates of the dimensions in `mask`, the first dimension slowest.
    pub fn coords(&self, mask: Mask) -> Vec<Coord> {
        let mut out = vec![[0; MAX_DIMS]];
        for (d, dim) in self.dims.iter().enumerate().filter(|(d, _)| mask >> d & 1 == 1) {
            out = out.into_iter().flat_map(|c| (0..dim.count).map(move |i| with(c, d, i))).collect();
        }
        out
    }

    /// The number of `coord` among the coordinates of `mask`.
    pub fn rank(&self, mask: Mask, coord: &Coord) -> usize {
        let inside = self.dims.iter().enumerate().filter(|(d, _)| mask >> d & 1 == 1);
        inside.fold(0, |n, (d, dim)| n * dim.count + coord[d])
    }

    pub fn dtype(&self, val: Val) -> DType {
        self.facts.types[val.0 as usize]
    }

    pub fn is_vector(&self, val: Val) -> bool {
        self.masks[val.0 as usize] & self.vector_bit() != 0
    }

    /// The copy of `val` at `coord`: a vector if it differs among lanes, else one element.
    pub fn fetch(&mut self, val: Val, coord: &Coord) -> Value {
        if let Inst::Const { value, dtype } = self.kernel.insts[val.0 as usize] {
            return self.number(value, dtype);
        }
        let place = self.rank(self.masks[val.0 as usize], coord);
        match &self.slots[val.0 as usize] {
            Some(slot) => slot.copies[place],
            None => {
                panic!("invariant broken: %{} of kernel `{}` is used before it is defined", val.0, self.kernel.name)
            }
        }
    }

    /// The lanes of `val` at `coord`.
    pub fn fetch_vector(&mut self, val: Val, coord: &Coord) -> Value {
        if let Inst::Const { value, dtype } = self.kernel.insts[val.0 as usize] {
            let word = match dtype {
                DType::Bool => (value != 0.0) as u32 * u32::MAX,
                _ => constant_word(value, dtype),
            };
            return splat_constant(self.b, vector_type(dtype, self.lanes_now()), word);
        }
        if self.is_vector(val) {
            return self.fetch(val, coord);
        }
        let place = self.rank(self.masks[val.0 as usize], coord);
        let ready = self.slots[val.0 as usize].as_ref().and_then(|s| s.splats.get(place).copied());
        let lanes = self.lanes_now() as u32;
        ready.filter(|&r| self.b.func.dfg.value_type(r).lane_count() == lanes).unwrap_or_else(|| {
            let scalar = self.fetch(val, coord);
            self.splat(self.dtype(val), scalar)
        })
    }

    fn number(&mut self, value: f64, dtype: DType) -> Value {
        match dtype {
            DType::F32 => self.b.ins().f32const(value as f32),
            DType::F64 => self.b.ins().f64const(value),
            DType::I32 => self.b.ins().iconst(types::I32, i64::from(constant_word(value, dtype))),
            DType::Bool => self.b.ins().iconst(types::I8, i64::from(value != 0.0)),
        }
    }

    pub fn splat(&mut self, dtype: DType, scalar: Value) -> Value {
        let scalar = if dtype == DType::Bool { self.b.ins().bmask(types::I32, scalar) } else { scalar };
        let ty = vector_type(dtype, self.lanes_now());
        self.b.ins().splat(ty, scalar)
    }

    /// Records the copies of `val`, with their splats where a vector will want them.
    pub fn define(&mut self, val: Val, copies: Vec<Value>) {
        let wanted = self.wanted[val.0 as usize] && !self.is_vector(val) && self.dtype(val) != DType::F64;
        let splats = if wanted {
            let dtype = self.dtype(val);
            copies.iter().map(|&c| self.splat(dtype, c)).collect()
        } else {
            Vec::new()
        };
        self.slots[val.0 as usize] = Some(Slot { copies, splats });
    }

    pub fn forget(&mut self, body: &[Stmt]) {
        for stmt in body {
            match stmt {
                Stmt::Let(val) => self.slots[val.0 as usize] = None,
                Stmt::Store { .. } => {}
                Stmt::Loop(inner) => inner.carries.iter().for_each(|c| self.slots[c.result.0 as usize] = None),
            }
        }
    }

    /// All copies of a value.
    pub fn inst(&mut self, val: Val) {
        let copies = match &self.kernel.insts[val.0 as usize] {
            Inst::Const { .. } => return,
            Inst::Load { mask, .. } => self.load_square(val, *mask),
            _ => None,
        };
        let copies = copies.unwrap_or_else(|| {
            let coords = self.coords(self.masks[val.0 as usize]);
            coords.iter().map(|coord| self.copy(val, coord)).collect()
        });
        self.define(val, copies);
    }

    /// The copy of a value at `coord`.
    pub fn copy(&mut self, val: Val, coord: &Coord) -> Value {
        let kernel = self.kernel;
        match &kernel.insts[val.0 as usize] {
            Inst::Load { mask, .. } => self.load(val, *mask, coord),
            Inst::Scalar { op, args } => self.scalar(val, *op, args, coord),
            Inst::Index(index) => self.index(val, index, coord),
            Inst::Div { index, by } => self.div_rem(val, index, *by, false, coord),
            Inst::Rem { index, by } => self.div_rem(val, index, *by, true, coord),
            Inst::InRange { index, extent } => self.in_range(val, index, *extent, coord),
            inst @ (Inst::Const { .. } | Inst::Current | Inst::Result) => {
                panic!("invariant broken: {inst:?} is no statement of a verified kernel")
            }
        }
    }

    fn scalar(&mut self, val: Val, op: ScalarOp, args: &[Val], coord: &Coord) -> Value {
        if self.dtype(val) == DType::F64 || args.iter().any(|&a| self.dtype(a) == DType::F64) {
            return self.wide(val, op, args);
        }
        let vector = self.is_vector(val);
        let operands: Vec<Operand<Value, Value>> = args
            .iter()
            .map(|&arg| {
                let value = if vector { self.fetch_vector(arg, coord) } else { self.fetch(arg, coord) };
                if self.dtype(arg) == DType::Bool { Operand::Truth(value) } else { Operand::Word(value) }
            })
            .collect();
        let first = self.dtype(args[0]);
        let lanes = if vector { self.lanes_now() } else { 1 };
        self.apply(op, first, lanes, &operands)
    }

    pub fn apply(&mut self, op: ScalarOp, first: DType, lanes: usize, args: &[Operand<Value, Value>]) -> Value {
        match apply(&mut Lanes { b: self.b, lanes: lanes as u32 }, op, first, args) {
            Operand::Word(value) | Operand::Truth(value) => value,
        }
    }

    /// A scalar of the step in f64: a call, since there are a few of them in a whole step.
    fn wide(&mut self, val: Val, op: ScalarOp, args: &[Val]) -> Value {
        let origin = [0; MAX_DIMS];
        let mut operands = vec![self.b.ins().iconst(types::I64, op as i64)];
        for &arg in args {
            let value = self.fetch(arg, &origin);
            operands.push(match self.dtype(arg) {
                DType::F64 => value,
                DType::F32 => self.b.ins().fpromote(types::F64, value),
                DType::I32 => self.b.ins().fcvt_from_sint(types::F64, value),
                DType::Bool => {
                    let word = self.b.ins().uextend(types::I32, value);
                    self.b.ins().fcvt_from_sint(types::F64, word)
                }
            });
        }
        while operands.len() < 4 {
            operands.push(self.b.ins().f64const(0.0));
        }
        let call = self.b.ins().call(self.entry.wide, &operands);
        let result = self.b.inst_results(call)[0];
        match self.dtype(val) {
            DType::F64 => result,
            DType::F32 => self.b.ins().fdemote(types::F32, result),
            DType::I32 => {
                let wide = self.b.ins().fcvt_to_sint_sat(types::I64, result);
                self.b.ins().ireduce(types::I32, wide)
            }
            DType::Bool => {
                let zero = self.b.ins().f64const(0.0);
                self.b.ins().fcmp(cranelift_codegen::ir::condcodes::FloatCC::NotEqual, result, zero)
            }
        }
    }

    /// The number of iterations, as I64.
    pub fn extent(&mut self, extent: Extent) -> Value {
        match extent {
            Extent::Fixed(n) => self.b.ins().iconst(types::I64, n as i64),
            Extent::Sym(s) => match self.entry.symbols[s as usize] {
                Some(value) => value,
                None => panic!("invariant broken: symbol {s} was not loaded at the entry"),
            },
        }
    }
}

pub fn with(mut coord: Coord, d: usize, i: usize) -> Coord {
    coord[d] = i;
    coord
}

/// The bits of a constant of 32 bits.
pub fn constant_word(value: f64, dtype: DType) -> u32 {
    match dtype {
        DType::F32 => (value as f32).to_bits(),
        DType::Bool => u32::from(value != 0.0),
        _ => value as i64 as i32 as u32,
    }
}
