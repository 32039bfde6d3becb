//! Functions of one native unit: written, compiled, linked.
//!
//! In: what writes the body of a function. Out: its number, and at the end the entry point of one of them. Invariant: the code
//! calls nothing but functions of the unit, the barrier and the f64 scalars of the step.

use super::context::Entry;
use super::function::{Code, Compiler};
use crate::base::Diagnostic;
use crate::ops::{ScalarOp, number};
use cranelift_codegen::ir::{
    AbiParam, ExtFuncData, ExternalName, FuncRef, Function, Signature, UserExternalName, types,
};
use cranelift_codegen::isa::{CallConv, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::FunctionBuilder;
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{FuncId, Linkage, Module};

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
    compiler: Compiler,
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
        let isa = target()?;
        let mut builder = JITBuilder::with_isa(isa.clone(), cranelift_module::default_libcall_names());
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
        let compiler = Compiler::new(isa, text);
        Ok(Unit { module, compiler, wide, call_conv, clif: String::new(), asm: String::new() })
    }

    /// That of a function of whole numbers.
    pub fn signature(&self, params: usize, returns: usize) -> Signature {
        let mut signature = Signature::new(self.call_conv);
        signature.params.resize(params, AbiParam::new(types::I64));
        signature.returns.resize(returns, AbiParam::new(types::I64));
        signature
    }

    /// What compiles functions on another thread, and what their bodies call.
    pub fn workshop(&self) -> Workshop {
        let signature = self.module.declarations().get_function_decl(self.wide).signature.clone();
        Workshop { isa: self.compiler.isa.clone(), text: self.compiler.text, wide: (self.wide, signature) }
    }

    pub fn declare(&mut self, name: &str, signature: &Signature, linkage: Linkage) -> Result<FuncId, Diagnostic> {
        self.module.declare_function(name, linkage, signature).map_err(|e| refused(name, &e.to_string()))
    }

    /// Takes a compiled function into the unit.
    pub fn put(&mut self, name: &str, id: FuncId, code: &Code) -> Result<(), Diagnostic> {
        let put = self.module.define_function_bytes(id, code.alignment, &code.bytes, &code.relocations);
        self.show(name, code);
        put.map_err(|e| refused(name, &format!("{e:?}")))
    }

    /// Keeps the texts of a function, if they were asked for.
    pub fn show(&mut self, name: &str, code: &Code) {
        if self.compiler.text {
            self.clif += &format!("; {name}\n{}\n", code.clif);
            self.asm += &format!("; {name}\n{}\n", code.asm);
        }
    }

    /// Writes a function that calls others of the unit, and compiles it by Cranelift.
    ///
    /// Errors: E0804 where it is too large.
    pub fn define(
        &mut self,
        name: &str,
        signature: Signature,
        linkage: Linkage,
        write: &mut dyn FnMut(&mut JITModule, &mut FunctionBuilder<'_>),
    ) -> Result<FuncId, Diagnostic> {
        let id = self.declare(name, &signature, linkage)?;
        let (module, compiler) = (&mut self.module, &mut self.compiler);
        let code = compiler.compile((name, id), signature, None, &mut |b| write(module, b))?;
        self.put(name, id, &code)?;
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

/// Compiles functions that call nothing of their unit but the f64 scalars, on any thread.
pub(super) struct Workshop {
    isa: OwnedTargetIsa,
    text: bool,
    wide: (FuncId, Signature),
}

impl Workshop {
    pub fn compiler(&self) -> Compiler {
        Compiler::new(self.isa.clone(), self.text)
    }

    /// The scalar function of the step in f64, as `func` calls it.
    pub fn wide(&self, func: &mut Function) -> FuncRef {
        let (id, signature) = &self.wide;
        let signature = func.import_signature(signature.clone());
        let name = UserExternalName { namespace: 0, index: id.as_u32() };
        let name = ExternalName::user(func.declare_imported_user_function(name));
        func.import_function(ExtFuncData { name, signature, colocated: false, patchable: false })
    }
}
