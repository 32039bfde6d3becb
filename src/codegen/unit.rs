//! Functions of one native unit: written, compiled, linked.
//!
//! In: what writes the body of a function. Out: its number, and at the end the entry point of one of them. Invariant: the code
//! calls nothing but functions of the unit, the barrier and the f64 scalars of the step.

use super::context::Entry;
use super::wide::{self, Level};
use crate::base::Diagnostic;
use crate::ops::{ScalarOp, number};
use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::{AbiParam, Function, Signature, UserFuncName, types};
use cranelift_codegen::isa::{CallConv, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{FuncId, Linkage, Module};

/// Instructions of one function before the back end; its own limit is 2^21 registers.
const MAX_INSTRUCTIONS: usize = 1 << 18;

fn lacking(what: &str) -> Diagnostic {
    Diagnostic::plain("E0901", format!("this machine cannot run native steps: {what}"))
}

pub(super) fn refused(kernel: &str, why: &str) -> Diagnostic {
    Diagnostic::plain("E0804", format!("the kernel `{kernel}` cannot be compiled: {why}"))
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

pub(super) struct Unit {
    module: JITModule,
    context: Context,
    builder: FunctionBuilderContext,
    /// Keep the instructions of Cranelift and of the machine.
    text: bool,
    /// The scalar function of the step in f64.
    pub wide: FuncId,
    call_conv: CallConv,
    clif: String,
    asm: String,
}

/// What a unit has become. Its code stays mapped until the process ends, so that an entry point never dangles.
pub(super) struct Linked {
    pub entry: Entry,
    pub clif: String,
    pub asm: String,
}

impl Unit {
    /// Errors: E0901 where the machine lacks what is needed.
    pub fn new(text: bool) -> Result<Unit, Diagnostic> {
        let mut builder = JITBuilder::with_isa(target()?, cranelift_module::default_libcall_names());
        builder.symbol("wide", scalar as *const u8);
        let mut module = JITModule::new(builder);
        let call_conv = module.isa().default_call_conv();
        let mut signature = Signature::new(call_conv);
        signature.params.push(AbiParam::new(types::I64));
        signature.params.extend([AbiParam::new(types::F64); 3]);
        signature.returns.push(AbiParam::new(types::F64));
        let wide = module
            .declare_function("wide", Linkage::Import, &signature)
            .map_err(|e| refused("wide", &e.to_string()))?;
        let (context, builder) = (Context::new(), FunctionBuilderContext::new());
        Ok(Unit { module, context, builder, text, wide, call_conv, clif: String::new(), asm: String::new() })
    }

    /// That of a function of whole numbers.
    pub fn signature(&self, params: usize, returns: usize) -> Signature {
        let mut signature = Signature::new(self.call_conv);
        signature.params.resize(params, AbiParam::new(types::I64));
        signature.returns.resize(returns, AbiParam::new(types::I64));
        signature
    }

    /// Writes and compiles a function: by the wide back end at `level`, by Cranelift without one.
    ///
    /// Errors: E0804 where it is too large.
    pub fn define(
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
        if self.text {
            self.clif += &format!("; {name}\n{}\n", self.context.func.display());
        }
        if let Some(level) = level {
            if cfg!(debug_assertions)
                && let Err(why) = cranelift_codegen::verify_function(&self.context.func, self.module.isa())
            {
                panic!("invariant broken: the emitter writes valid functions: {why}");
            }
            let written = wide::compile(&self.context.func, level, self.text);
            self.module
                .define_function_bytes(id, 64, &written.bytes, &[])
                .map_err(|e| refused(name, &format!("{e:?}")))?;
            if self.text {
                self.asm += &format!("; {name}\n{}\n", written.text);
            }
            return Ok(id);
        }
        self.context.set_disasm(self.text);
        self.module
            .define_function_with_control_plane(id, &mut self.context, &mut ControlPlane::default())
            .map_err(|e| refused(name, &format!("{e:?}")))?;
        if let Some(text) = self.context.compiled_code().and_then(|c| c.vcode.as_ref()) {
            self.asm += &format!("; {name}\n{text}\n");
        }
        Ok(id)
    }

    /// Links all functions; `entry` has the signature of [`Entry`].
    pub fn finish(mut self, entry: FuncId) -> Result<Linked, Diagnostic> {
        self.module.finalize_definitions().map_err(|e| refused("step", &e.to_string()))?;
        let code = self.module.get_finalized_function(entry);
        // SAFETY: `entry` was declared with the signature of `Entry` in the machine's own calling convention, and its code
        // is never unmapped: the module is forgotten, not freed.
        let entry = unsafe { std::mem::transmute::<*const u8, Entry>(code) };
        std::mem::forget(self.module);
        Ok(Linked { entry, clif: self.clif, asm: self.asm })
    }
}
