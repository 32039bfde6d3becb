//! One function to machine code, apart from all others: many may be compiled at the same time.
//!
//! In: what writes the body. Out: [`Code`], and what is to be linked in it. Invariant: the bytes depend on the body alone.

use super::unit::refused;
use super::wide::{self, Level};
use crate::base::Diagnostic;
use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::{Function, Signature, UserFuncName};
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_module::{FuncId, ModuleReloc};

/// Instructions of one function before the back end; its own limit is 2^21 registers.
const MAX_INSTRUCTIONS: usize = 1 << 18;
/// Code of the wide back end begins at a cache line.
const LINE: u64 = 64;

/// A compiled function.
#[derive(Clone, Default)]
pub(super) struct Code {
    pub bytes: Vec<u8>,
    pub relocations: Vec<ModuleReloc>,
    pub alignment: u64,
    /// The instructions before and behind the back end; empty unless asked for.
    pub clif: String,
    pub asm: String,
}

/// Compiles functions, one after the other.
pub(super) struct Compiler {
    pub isa: OwnedTargetIsa,
    context: Context,
    builder: FunctionBuilderContext,
    /// Keep the instructions of Cranelift and of the machine.
    pub text: bool,
}

impl Compiler {
    pub fn new(isa: OwnedTargetIsa, text: bool) -> Compiler {
        Compiler { isa, context: Context::new(), builder: FunctionBuilderContext::new(), text }
    }

    /// Writes and compiles the function `id`: by the wide back end at `level`, by Cranelift without one.
    ///
    /// Errors: E0804 where it is too large.
    pub fn compile(
        &mut self,
        (name, id): (&str, FuncId),
        signature: Signature,
        level: Option<Level>,
        write: &mut dyn FnMut(&mut FunctionBuilder<'_>),
    ) -> Result<Code, Diagnostic> {
        self.context.clear();
        self.context.func = Function::with_name_signature(UserFuncName::user(0, id.as_u32()), signature);
        let mut b = FunctionBuilder::new(&mut self.context.func, &mut self.builder);
        let entry = b.create_block();
        b.append_block_params_for_function_params(entry);
        b.switch_to_block(entry);
        b.seal_block(entry);
        write(&mut b);
        b.finalize(self.isa.frontend_config());
        if self.context.func.dfg.num_insts() > MAX_INSTRUCTIONS {
            return Err(refused(name, "it is too large for one native function"));
        }
        let clif = if self.text { self.context.func.display().to_string() } else { String::new() };
        match level {
            Some(level) => Ok(Code { clif, ..self.wide(level) }),
            None => Ok(Code { clif, ..self.narrow(name, id)? }),
        }
    }

    fn wide(&self, level: Level) -> Code {
        if cfg!(debug_assertions)
            && let Err(why) = cranelift_codegen::verify_function(&self.context.func, &*self.isa)
        {
            panic!("invariant broken: the emitter writes valid functions: {why}");
        }
        let written = wide::compile(&self.context.func, level, self.text);
        Code { bytes: written.bytes, alignment: LINE, asm: written.text, ..Code::default() }
    }

    fn narrow(&mut self, name: &str, id: FuncId) -> Result<Code, Diagnostic> {
        self.context.set_disasm(self.text);
        let compiled = self.context.compile(&*self.isa, &mut ControlPlane::default());
        let alignment = compiled.map_err(|e| refused(name, &format!("{:?}", e.inner)))?.buffer.alignment.into();
        let Some(code) = self.context.compiled_code() else {
            panic!("invariant broken: what compiled is there");
        };
        let link = |reloc| ModuleReloc::from_mach_reloc(reloc, &self.context.func, id);
        let relocations = code.buffer.relocs().iter().map(link).collect();
        let (bytes, asm) = (code.code_buffer().to_vec(), code.vcode.clone().unwrap_or_default());
        Ok(Code { bytes, relocations, alignment, asm, ..Code::default() })
    }
}
