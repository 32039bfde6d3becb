//! The step function: all kernels in order, those of repeats once for each step.
//!
//! In: a program and the functions of its kernels. Out: one function that calls them all. Every thread runs it; a kernel with
//! enough work is shared among all, the others run on the first thread, with a barrier on both sides of what is shared.
//! Invariant: no function holds more than [`PART`] calls, so that a program may have any number of kernels.

use super::emit::memory;
use super::kernel::{self, BARRIER, BUFFERS, MARK, MEETING, SYMBOLS, THREAD, THREADS, WATCH, constant_memory};
use super::share::shared_loop;
use super::unit::Unit;
use crate::base::{Diagnostic, Extent};
use crate::loops::ir::Program;
use crate::loops::tree::Part;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{AbiParam, BlockArg, InstBuilder, Signature, StackSlotData, StackSlotKind, Value, types};
use cranelift_frontend::{FunctionBuilder, Variable};
use cranelift_jit::JITModule;
use cranelift_module::{FuncId, Linkage, Module};

/// Calls of one function. The back end's time and memory grow faster than a function's length.
const PART: usize = 1024;

/// What a function of the step holds.
enum Call {
    Kernel(usize),
    Repeat(usize, Vec<Call>),
    /// A function that holds a part of the step.
    Part(FuncId),
}

/// What all functions of the step share.
pub(super) struct Step<'a> {
    pub program: &'a Program,
    pub kernels: &'a [FuncId],
    /// Where the table of each kernel begins.
    pub tables: &'a [usize],
    /// Kernels with less work than this run on one thread.
    pub shared_work: i64,
    /// Whether kernels are marked where they begin and end.
    pub watched: bool,
}

/// Errors: E0804 where a part is too large for the back end.
pub(super) fn write(unit: &mut Unit, step: &Step<'_>) -> Result<FuncId, Diagnostic> {
    let program = step.program;
    let calls = step.calls(unit, program.tree(), &mut 0)?;
    unit.define("step", unit.signature(1, 0), Linkage::Export, &mut |module, b| {
        let size = 8 * program.repeats.len().max(1) as u32;
        let slot = b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, size, 3));
        let context = b.block_params(b.current_block().expect("a function has an entry block"))[0];
        let (steps, none) = (b.ins().stack_addr(types::I64, slot, 0), b.ins().iconst(types::I64, 0));
        Writer::new(module, b, step, context, steps, none).calls(b, &calls);
        b.ins().return_(&[]);
    })
}

impl Step<'_> {
    /// The calls of `parts`; what is too long for one function goes into functions of its own.
    fn calls(&self, unit: &mut Unit, parts: Vec<Part>, written: &mut usize) -> Result<Vec<Call>, Diagnostic> {
        let mut calls = Vec::with_capacity(parts.len());
        for part in parts {
            calls.push(match part {
                Part::Kernel(number) => Call::Kernel(number),
                Part::Repeat(number, inner) => Call::Repeat(number, self.calls(unit, inner, written)?),
            });
        }
        while calls.iter().map(Call::count).sum::<usize>() > PART && calls.len() > 1 {
            calls = self.gather(unit, calls, written)?;
        }
        Ok(calls)
    }

    /// Neighbours together, as many as a function holds.
    fn gather(&self, unit: &mut Unit, calls: Vec<Call>, written: &mut usize) -> Result<Vec<Call>, Diagnostic> {
        let (mut groups, mut size): (Vec<Vec<Call>>, usize) = (Vec::new(), PART);
        for call in calls {
            size += call.count();
            if size > PART {
                groups.push(Vec::new());
                size = call.count();
            }
            groups.last_mut().expect("invariant: the first call begins a group").push(call);
        }
        let mut out = Vec::with_capacity(groups.len());
        for group in groups {
            out.push(Call::Part(self.part(unit, &group, *written)?));
            *written += 1;
        }
        Ok(out)
    }

    /// Takes the context, where the steps of repeats stand, and whether the kernel before was shared; gives the latter.
    fn part(&self, unit: &mut Unit, calls: &[Call], number: usize) -> Result<FuncId, Diagnostic> {
        let name = format!("step.{number}");
        unit.define(&name, unit.signature(3, 1), Linkage::Local, &mut |module, b| {
            let params = b.block_params(b.current_block().expect("a function has an entry block")).to_vec();
            let mut writer = Writer::new(module, b, self, params[0], params[1], params[2]);
            writer.calls(b, calls);
            let pending = b.use_var(writer.pending);
            b.ins().return_(&[pending]);
        })
    }
}

impl Call {
    fn count(&self) -> usize {
        match self {
            Call::Kernel(_) | Call::Part(_) => 1,
            Call::Repeat(_, inner) => 1 + inner.iter().map(Call::count).sum::<usize>(),
        }
    }
}

/// A function of the step while it is written.
struct Writer<'a> {
    module: &'a mut JITModule,
    step: &'a Step<'a>,
    context: Value,
    thread: Value,
    threads: Value,
    /// The bound extents, as `kernel::evaluate` reads them.
    symbols: Vec<Option<Value>>,
    several: Value,
    first: Value,
    /// Where the numbers of the steps of all repeats stand.
    steps: Value,
    /// Whether the last kernel was shared.
    pending: Variable,
}

impl<'a> Writer<'a> {
    fn new(
        module: &'a mut JITModule,
        b: &mut FunctionBuilder<'_>,
        step: &'a Step<'a>,
        context: Value,
        steps: Value,
        shared: Value,
    ) -> Writer<'a> {
        let thread = b.ins().load(types::I64, constant_memory(), context, THREAD);
        let threads = b.ins().load(types::I64, constant_memory(), context, THREADS);
        let table = b.ins().load(types::I64, constant_memory(), context, SYMBOLS);
        let symbols = (0..step.program.symbols.len())
            .map(|s| Some(b.ins().load(types::I64, constant_memory(), table, 8 * s as i32)))
            .collect();
        let several = b.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, threads, 1);
        let several = b.ins().uextend(types::I64, several);
        let first = b.ins().icmp_imm_u(IntCC::Equal, thread, 0);
        let first = b.ins().uextend(types::I64, first);
        let pending = b.declare_var(types::I64);
        b.def_var(pending, shared);
        Writer { module, step, context, thread, threads, symbols, several, first, steps, pending }
    }

    fn calls(&mut self, b: &mut FunctionBuilder<'_>, calls: &[Call]) {
        for call in calls {
            match call {
                Call::Kernel(number) => self.kernel(b, *number),
                Call::Repeat(number, inner) => self.repeat(b, *number, inner),
                Call::Part(part) => self.part(b, *part),
            }
        }
    }

    fn part(&mut self, b: &mut FunctionBuilder<'_>, part: FuncId) {
        let callee = self.module.declare_func_in_func(part, b.func);
        let pending = b.use_var(self.pending);
        let call = b.ins().call(callee, &[self.context, self.steps, pending]);
        let shared = b.inst_results(call)[0];
        b.def_var(self.pending, shared);
    }

    fn repeat(&mut self, b: &mut FunctionBuilder<'_>, number: usize, inner: &[Call]) {
        let repeat = &self.step.program.repeats[number];
        let extent = match repeat.extent {
            Extent::Fixed(n) => b.ins().iconst(types::I64, n as i64),
            Extent::Sym(s) => match self.symbols[s as usize] {
                Some(symbol) => symbol,
                None => panic!("invariant broken: the step function loads every symbol"),
            },
        };
        let [head, body, after] = [0; 3].map(|_| b.create_block());
        let turn = b.append_block_param(head, types::I64);
        let zero = b.ins().iconst(types::I64, 0);
        b.ins().jump(head, &[BlockArg::Value(zero)]);
        b.switch_to_block(head);
        let more = b.ins().icmp(IntCC::UnsignedLessThan, turn, extent);
        b.ins().brif(more, body, &[], after, &[]);
        b.switch_to_block(body);
        b.seal_block(body);
        let place = if repeat.reverse {
            let last = b.ins().iadd_imm_s(extent, -1);
            b.ins().isub(last, turn)
        } else {
            turn
        };
        b.ins().store(memory(), place, self.steps, 8 * number as i32);
        self.calls(b, inner);
        let next = b.ins().iadd_imm_s(turn, 1);
        b.ins().jump(head, &[BlockArg::Value(next)]);
        b.seal_block(head);
        b.switch_to_block(after);
        b.seal_block(after);
    }

    fn kernel(&mut self, b: &mut FunctionBuilder<'_>, number: usize) {
        let kernel = &self.step.program.kernels[number];
        let shared = match shared_loop(kernel) {
            Some(_) => {
                let work = kernel::evaluate(b, &kernel::work(kernel), &self.symbols);
                let enough = b.ins().icmp_imm_s(IntCC::SignedGreaterThan, work, self.step.shared_work);
                let enough = b.ins().uextend(types::I64, enough);
                b.ins().band(enough, self.several)
            }
            None => b.ins().iconst(types::I64, 0),
        };
        let pending = b.use_var(self.pending);
        let wait = b.ins().bor(shared, pending);
        when(b, wait, |b| meet(b, self.module, self.context));
        b.def_var(self.pending, shared);
        let here = b.ins().bor(shared, self.first);
        let (zero, one) = (b.ins().iconst(types::I64, 0), b.ins().iconst(types::I64, 1));
        let part = b.ins().select(shared, self.thread, zero);
        let parts = b.ins().select(shared, self.threads, one);
        let callee = self.module.declare_func_in_func(self.step.kernels[number], b.func);
        when(b, here, |b| {
            self.mark(b, 2 * number);
            let tables = b.ins().load(types::I64, constant_memory(), self.context, BUFFERS);
            let table = b.ins().iadd_imm_s(tables, 8 * self.step.tables[number] as i64);
            b.ins().call(callee, &[table, part, parts, self.steps]);
            self.mark(b, 2 * number + 1);
        });
    }

    /// Tells the thread's watch where it is.
    fn mark(&self, b: &mut FunctionBuilder<'_>, code: usize) {
        if !self.step.watched {
            return;
        }
        let watch = b.ins().load(types::I64, constant_memory(), self.context, WATCH);
        let code = b.ins().iconst(types::I64, code as i64);
        outside(b, self.module, self.context, MARK, &[watch, code]);
    }
}

fn when(b: &mut FunctionBuilder<'_>, condition: Value, write: impl FnOnce(&mut FunctionBuilder<'_>)) {
    let (then, after) = (b.create_block(), b.create_block());
    b.ins().brif(condition, then, &[], after, &[]);
    b.switch_to_block(then);
    b.seal_block(then);
    write(b);
    b.ins().jump(after, &[]);
    b.switch_to_block(after);
    b.seal_block(after);
}

fn meet(b: &mut FunctionBuilder<'_>, module: &JITModule, context: Value) {
    let meeting = b.ins().load(types::I64, constant_memory(), context, MEETING);
    outside(b, module, context, BARRIER, &[meeting]);
}

/// Calls the function that stands at `place` in the context.
fn outside(b: &mut FunctionBuilder<'_>, module: &JITModule, context: Value, place: i32, args: &[Value]) {
    let mut signature = Signature::new(module.isa().default_call_conv());
    signature.params.resize(args.len(), AbiParam::new(types::I64));
    let signature = b.import_signature(signature);
    let callee = b.ins().load(types::I64, constant_memory(), context, place);
    b.ins().call_indirect(signature, callee, args);
}
