//! One kernel to one function.
//!
//! In: a verified kernel. Out: the body of a function of (table, part, parts, steps). Invariant: the parts of all threads together
//! are the kernel, whatever their number, and each part begins at a multiple of every step its loop takes.

use super::analysis::{Coefficient, Facts};
use super::emit::{Counter, Emitter, Entry, memory, number_sites};
use super::share::{share, shared_loop};
use crate::base::Extent;
use crate::loops::ir::*;
use crate::ops::ScalarOp;
use cranelift_codegen::ir::{FuncRef, InstBuilder, MemFlagsData, StackSlotData, StackSlotKind, Value, types};
use cranelift_frontend::FunctionBuilder;
use std::collections::{BTreeMap, BTreeSet};

/// Byte offsets in [`super::context::Context`].
pub const BUFFERS: i32 = std::mem::offset_of!(super::context::Context, buffers) as i32;
pub const SYMBOLS: i32 = std::mem::offset_of!(super::context::Context, symbols) as i32;
pub const THREAD: i32 = std::mem::offset_of!(super::context::Context, thread) as i32;
pub const THREADS: i32 = std::mem::offset_of!(super::context::Context, threads) as i32;
pub const BARRIER: i32 = std::mem::offset_of!(super::context::Context, barrier) as i32;
pub const MEETING: i32 = std::mem::offset_of!(super::context::Context, meeting) as i32;
pub const MARK: i32 = std::mem::offset_of!(super::context::Context, mark) as i32;
pub const WATCH: i32 = std::mem::offset_of!(super::context::Context, watch) as i32;

/// What no store of a step changes.
pub fn constant_memory() -> MemFlagsData {
    MemFlagsData::trusted().with_readonly()
}

/// The buffers of a kernel in the order of its table: before their pointers stands that to the numbers of the symbols.
pub fn table(kernel: &Kernel) -> Vec<BufferId> {
    let mut buffers = Vec::new();
    kernel.for_each_buffer(&mut |b| {
        if !buffers.contains(&b) {
            buffers.push(b);
        }
    });
    buffers
}

/// The work of a kernel in simple operations on one element.
pub fn work(kernel: &Kernel) -> Coefficient {
    fn walk(kernel: &Kernel, body: &[Stmt], symbols: &[u32], times: i64, total: &mut Coefficient) {
        for stmt in body {
            match stmt {
                Stmt::Let(val) => total.add(symbols, times.saturating_mul(price(&kernel.insts[val.0 as usize]))),
                Stmt::Store { .. } => total.add(symbols, times),
                Stmt::Loop(inner) => match inner.extent {
                    Extent::Fixed(n) => {
                        let times = times.saturating_mul(n.min(1 << 40) as i64).min(1 << 40);
                        walk(kernel, &inner.body, symbols, times, total);
                    }
                    Extent::Sym(s) => {
                        let mut symbols = symbols.to_vec();
                        symbols.insert(symbols.partition_point(|&o| o <= s), s);
                        walk(kernel, &inner.body, &symbols, times, total);
                    }
                },
            }
        }
    }
    let mut total = Coefficient::default();
    walk(kernel, &kernel.body, &[], 1, &mut total);
    total
}

fn price(inst: &Inst) -> i64 {
    use ScalarOp::*;
    match inst {
        Inst::Scalar { op: Exp | Log | Tanh | Erf | Div | Sqrt, .. } => 10,
        Inst::Scalar { op: Sin | Cos | Pow, .. } => 40,
        Inst::Const { .. } => 0,
        _ => 1,
    }
}

/// Writes the function. `b` stands in an entry block with the four parameters: the kernel's table, part, parts, the steps'
/// numbers.
///
/// `native` is the number of lanes of the widest vector register.
pub fn write(
    b: &mut FunctionBuilder<'_>,
    program: &Program,
    kernel: &Kernel,
    facts: &Facts,
    (native, wide): (usize, FuncRef),
) {
    let params = b.block_params(b.current_block().expect("a function has an entry block")).to_vec();
    let (mut sites, load_sites, store_sites) = number_sites(program, kernel);
    let symbols = load_symbols(b, program, kernel, &sites, params[0]);
    let mut coefficients = BTreeMap::new();
    for site in &sites {
        for c in site.linear.terms.iter().map(|(_, c)| c).chain([&site.linear.constant]) {
            if c.fixed().is_none() && !coefficients.contains_key(c) {
                let value = evaluate(b, c, &symbols);
                coefficients.insert(c.clone(), value);
            }
        }
    }
    let buffers = table(kernel);
    let mut bases = BTreeMap::new();
    for site in &mut sites {
        let base = *bases
            .entry(site.buffer)
            .or_insert_with(|| b.ins().load(types::I64, constant_memory(), params[0], place(&buffers, site.buffer)));
        let moved = coefficients.get(&site.linear.constant).map(|&c| b.ins().iadd(base, c));
        site.base = vec![moved.unwrap_or(base)];
    }
    let zeros =
        if kernel.insts.iter().any(|i| matches!(i, Inst::Load { mask: Some(_), .. })) { zeros(b) } else { params[0] };
    let mut emitter = Emitter {
        b,
        kernel,
        facts,
        entry: Entry { symbols, coefficients, zeros, wide },
        native,
        dims: Vec::new(),
        masks: vec![0; kernel.insts.len()],
        wanted: vec![false; kernel.insts.len()],
        slots: vec![None; kernel.insts.len()],
        vars: vec![None; kernel.vars as usize],
        sites,
        load_sites,
        store_sites,
        parts: Vec::new(),
    };
    for step in &kernel.steps {
        let value = emitter.b.ins().load(types::I64, memory(), params[3], 8 * step.repeat as i32);
        emitter.vars[step.var.0 as usize] = Some(Counter { value, fixed: None, shift: 0, offsets: vec![] });
    }
    emitter.depend(&kernel.body);
    if let Some(shared) = shared_loop(kernel) {
        share(&mut emitter, shared, params[1], params[2]);
    }
    emitter.block(&kernel.body);
    emitter.b.ins().return_(&[]);
}

/// Where the pointer to a buffer stands in the table.
fn place(buffers: &[BufferId], buffer: usize) -> i32 {
    let found = buffers.iter().position(|b| b.0 as usize == buffer);
    8 * (1 + found.unwrap_or_else(|| panic!("invariant broken: a kernel's table has all its buffers"))) as i32
}

/// Σ k · symbols
pub fn evaluate(b: &mut FunctionBuilder<'_>, c: &Coefficient, symbols: &[Option<Value>]) -> Value {
    let mut sum = None;
    for (factors, k) in &c.0 {
        let mut product = b.ins().iconst(types::I64, *k);
        for &s in factors {
            let Some(symbol) = symbols[s as usize] else { panic!("invariant broken: symbol {s} was not loaded") };
            product = b.ins().imul(product, symbol);
        }
        sum = Some(sum.map_or(product, |sum| b.ins().iadd(sum, product)));
    }
    sum.unwrap_or_else(|| b.ins().iconst(types::I64, 0))
}

fn load_symbols(
    b: &mut FunctionBuilder<'_>,
    program: &Program,
    kernel: &Kernel,
    sites: &[super::emit::Site],
    kernel_table: Value,
) -> Vec<Option<Value>> {
    let mut used = BTreeSet::new();
    let mut see = |extent: Extent| {
        if let Extent::Sym(s) = extent {
            used.insert(s);
        }
    };
    kernel.for_each_stmt(&mut |stmt| {
        if let Stmt::Loop(inner) = stmt {
            see(inner.extent);
        }
    });
    for inst in &kernel.insts {
        if let Inst::InRange { extent, .. } = inst {
            see(*extent);
        }
    }
    for site in sites {
        program.buffers[site.buffer].shape.iter().for_each(|&e| see(e));
    }
    if used.is_empty() {
        return vec![None; program.symbols.len()];
    }
    let table = b.ins().load(types::I64, constant_memory(), kernel_table, 0);
    let mut out = vec![None; program.symbols.len()];
    for s in used {
        out[s as usize] = Some(b.ins().load(types::I64, constant_memory(), table, 8 * s as i32));
    }
    out
}

/// 64 zero bytes on the stack.
fn zeros(b: &mut FunctionBuilder<'_>) -> Value {
    let slot = b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, 64, 4));
    let at = b.ins().stack_addr(types::I64, slot, 0);
    let zero = super::lanes::splat_constant(b, types::I32X4, 0);
    for i in 0..4 {
        b.ins().store(memory(), zero, at, 16 * i);
    }
    at
}
