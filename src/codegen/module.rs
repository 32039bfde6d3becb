//! A whole program to one native function.
//!
//! In: a verified program. Out: [`Compiled`]: its entry point and, on request, its text before and after the back end.
//! Invariant: the code calls nothing but the barrier and the f64 scalars of the step; it allocates nothing.
//!
//! The step function calls one function per kernel. Every thread runs it; a kernel with enough work is shared among all,
//! the others run on the first thread, with a barrier on both sides of what is shared.

use super::analysis::Facts;
use super::context::Entry;
use super::emit::memory;
use super::kernel::{self, BARRIER, MEETING, SYMBOLS, THREAD, THREADS, constant_memory};
use super::wide::{self, Level};
use crate::base::{Diagnostic, Extent};
use crate::loops::ir::Program;
use crate::loops::tree::Part;
use crate::ops::{ScalarOp, number};
use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    AbiParam, BlockArg, Function, InstBuilder, Signature, StackSlotData, StackSlotKind, UserFuncName, Value, types,
};
use cranelift_codegen::isa::{CallConv, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext, Variable};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{FuncId, Linkage, Module};

/// How much trouble the back end takes, and which texts are kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Keep the instructions of Cranelift and of the machine (`--stage clif` and `asm`).
    pub text: bool,
    /// Share a kernel among threads from this much work on; `None`: where it pays.
    pub shared_work: Option<i64>,
    pub vectors: Vectors,
}

/// The vector registers that kernels are written for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vectors {
    /// The widest of this machine.
    #[default]
    Native,
    /// 128 bits by Cranelift: what every machine has, and the yardstick for the others.
    Portable,
    /// 256 bits (AVX2).
    Avx2,
    /// 512 bits (AVX-512).
    Avx512,
}

impl Vectors {
    /// By the name that the command line uses.
    pub fn parse(name: &str) -> Result<Vectors, String> {
        let found = match name {
            "native" => Vectors::Native,
            "portable" => Vectors::Portable,
            "avx2" => Vectors::Avx2,
            "avx512" => Vectors::Avx512,
            _ => return Err("one of native, portable, avx2, avx512".to_string()),
        };
        if found == Vectors::Native || Vectors::available().contains(&found) {
            return Ok(found);
        }
        Err(format!("this machine has no `{name}` vectors"))
    }

    /// Those that this machine can run, the narrowest first.
    pub fn available() -> Vec<Vectors> {
        let mut out = vec![Vectors::Portable];
        if cfg!(target_os = "linux") && Level::Avx2.is_available() {
            out.push(Vectors::Avx2);
        }
        if cfg!(target_os = "linux") && Level::Avx512.is_available() {
            out.push(Vectors::Avx512);
        }
        out
    }

    /// The wide back end's level; `None` for Cranelift.
    fn level(self) -> Option<Level> {
        match self {
            Vectors::Native => Vectors::available().pop().and_then(Vectors::level),
            Vectors::Portable => None,
            Vectors::Avx2 => Some(Level::Avx2),
            Vectors::Avx512 => Some(Level::Avx512),
        }
    }
}

/// Native code. It stays mapped until the process ends, so that an entry point never dangles.
#[derive(Clone, Debug)]
pub struct Compiled {
    entry: Entry,
    clif: String,
    asm: String,
}

impl Compiled {
    /// The step function. Whoever calls it answers for the context: buffers of the program's sizes at the bound symbols
    /// (none above [`super::analysis::MAX_SYMBOL`]), and rows in range.
    pub fn entry(&self) -> Entry {
        self.entry
    }

    /// The instructions before the back end; empty unless asked for.
    pub fn clif(&self) -> &str {
        &self.clif
    }

    /// The machine instructions; empty unless asked for.
    pub fn asm(&self) -> &str {
        &self.asm
    }
}

/// Kernels with less work (simple operations on an element) than this run on one thread: about 10 µs.
const SHARED_WORK: i64 = 1 << 17;
/// Instructions of one function before the back end; its own limit is 2^21 registers.
const MAX_INSTRUCTIONS: usize = 1 << 18;

fn lacking(what: &str) -> Diagnostic {
    Diagnostic::plain("E0901", format!("this machine cannot run native steps: {what}"))
}

fn refused(kernel: &str, why: &str) -> Diagnostic {
    Diagnostic::plain("E0804", format!("the kernel `{kernel}` cannot be compiled: {why}"))
}

/// Compiles a program that [`crate::loops::verify`] has accepted.
///
/// Errors: E0901 where the machine lacks what is needed, E0804 where a kernel is too large for the back end.
pub fn compile(program: &Program, options: &Options) -> Result<Compiled, Diagnostic> {
    let mut builder = JITBuilder::with_isa(target()?, cranelift_module::default_libcall_names());
    builder.symbol("wide", scalar as *const u8);
    let mut unit = Unit::new(JITModule::new(builder), *options)?;
    let (mut kernels, level) = (Vec::new(), options.vectors.level());
    for (number, kernel) in program.kernels.iter().enumerate() {
        let facts = Facts::new(program, kernel);
        let signature = unit.signature(4);
        let wide = unit.wide;
        let name = format!("{number}.{}", kernel.name);
        if !facts.divisible(kernel) {
            return Err(refused(&name, "an index that it divides leaves 64 bits"));
        }
        // The few scalars of a step in f64 call a function, which the wide back end does not.
        let mut level = level.filter(|_| !facts.types.contains(&crate::base::DType::F64));
        let id = loop {
            let written = unit.define(&name, signature.clone(), (Linkage::Local, level), &mut |module, b| {
                let wide = module.declare_func_in_func(wide, b.func);
                kernel::write(b, program, kernel, &facts, (level.map_or(4, Level::lanes), wide));
            });
            // More lanes make more copies of a statement; what is too large then may fit with fewer.
            match (written, level) {
                (Err(_), Some(wider)) => level = wider.narrower(),
                (written, _) => break written?,
            }
        };
        kernels.push(id);
    }
    let (signature, from) = (unit.signature(1), options.shared_work.unwrap_or(SHARED_WORK));
    let step = unit.define("step", signature, (Linkage::Export, None), &mut |module, b| {
        step(module, b, program, &kernels, from)
    })?;
    unit.finish(step)
}

/// The machine this process runs on, which must multiply and add in one rounding.
fn target() -> Result<OwnedTargetIsa, Diagnostic> {
    let mut flags = settings::builder();
    // The emitter schedules by itself: the optimiser sinks vector operations past loads and spills (measured).
    for (name, value) in [("opt_level", "none"), ("is_pic", "false"), ("enable_probestack", "false")] {
        flags.set(name, value).map_err(|e| lacking(&e.to_string()))?;
    }
    let verify = if cfg!(debug_assertions) { "true" } else { "false" };
    flags.set("enable_verifier", verify).map_err(|e| lacking(&e.to_string()))?;
    let isa = cranelift_native::builder().map_err(lacking)?;
    let isa = isa.finish(settings::Flags::new(flags)).map_err(|e| lacking(&e.to_string()))?;
    let fused = isa.triple().architecture
        != cranelift_codegen::isa::lookup_by_name("x86_64")
            .map_or(isa.triple().architecture, |x| x.triple().architecture)
        || isa.isa_flags().iter().any(|f| f.name == "has_fma" && f.as_bool() == Some(true));
    if fused { Ok(isa) } else { Err(lacking("it has no fused multiply-add (FMA3)")) }
}

/// A scalar function of the step in f64, called by number.
extern "C" fn scalar(op: u64, x: f64, y: f64, z: f64) -> f64 {
    match ScalarOp::ALL.get(op as usize) {
        Some(&op) => number::apply(op, &[x, y, z][..op.arity()]),
        None => f64::NAN,
    }
}

struct Unit {
    module: JITModule,
    context: Context,
    builder: FunctionBuilderContext,
    options: Options,
    wide: FuncId,
    call_conv: CallConv,
    clif: String,
    asm: String,
}

impl Unit {
    fn new(mut module: JITModule, options: Options) -> Result<Unit, Diagnostic> {
        let call_conv = module.isa().default_call_conv();
        let mut signature = Signature::new(call_conv);
        signature.params.push(AbiParam::new(types::I64));
        signature.params.extend([AbiParam::new(types::F64); 3]);
        signature.returns.push(AbiParam::new(types::F64));
        let wide = module
            .declare_function("wide", Linkage::Import, &signature)
            .map_err(|e| refused("wide", &e.to_string()))?;
        let (context, builder) = (Context::new(), FunctionBuilderContext::new());
        Ok(Unit { module, context, builder, options, wide, call_conv, clif: String::new(), asm: String::new() })
    }

    fn signature(&self, params: usize) -> Signature {
        let mut signature = Signature::new(self.call_conv);
        signature.params.resize(params, AbiParam::new(types::I64));
        signature
    }

    fn define(
        &mut self,
        name: &str,
        signature: Signature,
        (linkage, level): (Linkage, Option<Level>),
        write: &mut dyn FnMut(&mut JITModule, &mut FunctionBuilder<'_>),
    ) -> Result<FuncId, Diagnostic> {
        let id = self.module.declare_function(name, linkage, &signature).map_err(|e| refused(name, &e.to_string()))?;
        self.module.clear_context(&mut self.context);
        self.context.func = Function::with_name_signature(UserFuncName::user(0, id.as_u32()), signature);
        let mut b = FunctionBuilder::new(&mut self.context.func, &mut self.builder);
        let entry = b.create_block();
        b.append_block_params_for_function_params(entry);
        b.switch_to_block(entry);
        b.seal_block(entry);
        write(&mut self.module, &mut b);
        let config = self.module.target_config();
        b.finalize(config);
        if self.context.func.dfg.num_insts() > MAX_INSTRUCTIONS {
            return Err(refused(name, "it is too large for one native function"));
        }
        if self.options.text {
            self.clif += &format!("; {name}\n{}\n", self.context.func.display());
        }
        if let Some(level) = level {
            if cfg!(debug_assertions)
                && let Err(why) = cranelift_codegen::verify_function(&self.context.func, self.module.isa())
            {
                panic!("invariant broken: the emitter writes valid functions: {why}");
            }
            let written = wide::compile(&self.context.func, level, self.options.text);
            self.module
                .define_function_bytes(id, 64, &written.bytes, &[])
                .map_err(|e| refused(name, &format!("{e:?}")))?;
            if self.options.text {
                self.asm += &format!("; {name}\n{}\n", written.text);
            }
            return Ok(id);
        }
        self.context.set_disasm(self.options.text);
        self.module
            .define_function_with_control_plane(id, &mut self.context, &mut ControlPlane::default())
            .map_err(|e| refused(name, &format!("{e:?}")))?;
        if let Some(text) = self.context.compiled_code().and_then(|c| c.vcode.as_ref()) {
            self.asm += &format!("; {name}\n{text}\n");
        }
        Ok(id)
    }

    fn finish(mut self, step: FuncId) -> Result<Compiled, Diagnostic> {
        self.module.finalize_definitions().map_err(|e| refused("step", &e.to_string()))?;
        let code = self.module.get_finalized_function(step);
        // SAFETY: `step` was declared with the signature of `Entry` in the machine's own calling convention, and its code
        // is never unmapped: the module is forgotten, not freed.
        let entry = unsafe { std::mem::transmute::<*const u8, Entry>(code) };
        std::mem::forget(self.module);
        Ok(Compiled { entry, clif: self.clif, asm: self.asm })
    }
}

/// All kernels in order, those of repeats once for each step.
fn step(module: &mut JITModule, b: &mut FunctionBuilder<'_>, program: &Program, kernels: &[FuncId], from: i64) {
    let context = b.block_params(b.current_block().expect("a function has an entry block"))[0];
    let thread = b.ins().load(types::I64, constant_memory(), context, THREAD);
    let threads = b.ins().load(types::I64, constant_memory(), context, THREADS);
    let table = b.ins().load(types::I64, constant_memory(), context, SYMBOLS);
    let symbols: Vec<Option<Value>> = (0..program.symbols.len())
        .map(|s| Some(b.ins().load(types::I64, constant_memory(), table, 8 * s as i32)))
        .collect();
    let several = b.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, threads, 1);
    let first = b.ins().icmp_imm_u(IntCC::Equal, thread, 0);
    let size = 8 * program.repeats.len().max(1) as u32;
    let slot = b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, size, 3));
    let steps = b.ins().stack_addr(types::I64, slot, 0);
    let pending = b.declare_var(types::I8);
    let none = b.ins().iconst(types::I8, 0);
    b.def_var(pending, none);
    let mut calls =
        Calls { module, program, kernels, from, context, thread, threads, symbols, several, first, steps, pending };
    calls.parts(b, &program.tree());
    b.ins().return_(&[]);
}

/// The step function while it is written.
struct Calls<'a> {
    module: &'a mut JITModule,
    program: &'a Program,
    kernels: &'a [FuncId],
    from: i64,
    context: Value,
    thread: Value,
    threads: Value,
    symbols: Vec<Option<Value>>,
    several: Value,
    first: Value,
    /// Where the numbers of the steps of all repeats stand.
    steps: Value,
    /// Whether the last kernel was shared.
    pending: Variable,
}

impl Calls<'_> {
    fn parts(&mut self, b: &mut FunctionBuilder<'_>, parts: &[Part]) {
        for part in parts {
            match part {
                Part::Kernel(number) => self.kernel(b, *number),
                Part::Repeat(number, inner) => self.repeat(b, *number, inner),
            }
        }
    }

    fn repeat(&mut self, b: &mut FunctionBuilder<'_>, number: usize, inner: &[Part]) {
        let repeat = &self.program.repeats[number];
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
        self.parts(b, inner);
        let next = b.ins().iadd_imm_s(turn, 1);
        b.ins().jump(head, &[BlockArg::Value(next)]);
        b.seal_block(head);
        b.switch_to_block(after);
        b.seal_block(after);
    }

    fn kernel(&mut self, b: &mut FunctionBuilder<'_>, number: usize) {
        let kernel = &self.program.kernels[number];
        let shared = match kernel::shared_loop(kernel) {
            Some(_) => {
                let work = kernel::evaluate(b, &kernel::work(kernel), &self.symbols);
                let enough = b.ins().icmp_imm_s(IntCC::SignedGreaterThan, work, self.from);
                b.ins().band(enough, self.several)
            }
            None => b.ins().iconst(types::I8, 0),
        };
        let pending = b.use_var(self.pending);
        let wait = b.ins().bor(shared, pending);
        when(b, wait, |b| meet(b, self.module, self.context));
        b.def_var(self.pending, shared);
        let here = b.ins().bor(shared, self.first);
        let (zero, one) = (b.ins().iconst(types::I64, 0), b.ins().iconst(types::I64, 1));
        let part = b.ins().select(shared, self.thread, zero);
        let parts = b.ins().select(shared, self.threads, one);
        let callee = self.module.declare_func_in_func(self.kernels[number], b.func);
        when(b, here, |b| {
            b.ins().call(callee, &[self.context, part, parts, self.steps]);
        });
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
    let mut signature = Signature::new(module.isa().default_call_conv());
    signature.params.push(AbiParam::new(types::I64));
    let signature = b.import_signature(signature);
    let callee = b.ins().load(types::I64, constant_memory(), context, BARRIER);
    let meeting = b.ins().load(types::I64, constant_memory(), context, MEETING);
    b.ins().call_indirect(signature, callee, &[meeting]);
}
