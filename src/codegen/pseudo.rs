//! Functions that are no functions: the wide back end writes instructions in the place of calls to them.
//!
//! In: types. Out: functions to call. Invariant: only functions for the wide back end call them; Cranelift's has no such
//! instructions.

use cranelift_codegen::ir::{
    AbiParam, ExtFuncData, ExternalName, FuncRef, Function, Signature, Type, UserExternalName,
};

const SPACE: u32 = 7;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pseudo {
    /// Takes n vectors of n lanes as rows and gives its columns.
    Transpose,
    /// Of an address and a vector of truth values: the lanes where they are true, 0 elsewhere. Other lanes are not read.
    MaskedLoad,
    /// An address, truth values and a vector: stores the lanes where they are true.
    MaskedStore,
}

const ALL: [Pseudo; 3] = [Pseudo::Transpose, Pseudo::MaskedLoad, Pseudo::MaskedStore];

pub fn declare(func: &mut Function, pseudo: Pseudo, takes: &[Type], gives: &[Type]) -> FuncRef {
    let mut signature = Signature::new(func.signature.call_conv);
    signature.params.extend(takes.iter().map(|&t| AbiParam::new(t)));
    signature.returns.extend(gives.iter().map(|&t| AbiParam::new(t)));
    let signature = func.import_signature(signature);
    let name = func.declare_imported_user_function(UserExternalName::new(SPACE, pseudo as u32));
    let name = ExternalName::user(name);
    func.import_function(ExtFuncData { name, signature, colocated: false, patchable: false })
}

/// Which of them a function calls.
pub fn find(func: &Function, callee: FuncRef) -> Option<Pseudo> {
    let ExternalName::User(name) = func.dfg.ext_funcs[callee].name else { return None };
    let name = &func.params.user_named_funcs()[name];
    (name.namespace == SPACE).then(|| ALL[name.index as usize])
}
