//! The primitive operations of scalar formulas as Cranelift instructions, on one element or on the lanes of a vector.
//!
//! In: Cranelift values. Out: the same. Invariant: truth values are I8 (0 or 1) for one element and integers (0 or -1) in lanes;
//! every instruction is the IEEE operation of [`crate::loops::intrinsics::Numbers`].

use crate::loops::intrinsics::Arith;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{ConstantData, Endianness, InstBuilder, MemFlagsData, Type, Value, types};
use cranelift_frontend::FunctionBuilder;

pub struct Lanes<'x, 'f> {
    pub b: &'x mut FunctionBuilder<'f>,
    /// 1 for one element.
    pub lanes: u32,
}

/// Equal words in all lanes.
pub fn splat_constant(b: &mut FunctionBuilder<'_>, ty: Type, word: u32) -> Value {
    let bytes: Vec<u8> = word.to_le_bytes().repeat(ty.lane_count() as usize);
    constant(b, ty, bytes)
}

/// A vector of these words.
pub fn vector_constant(b: &mut FunctionBuilder<'_>, ty: Type, words: &[u32]) -> Value {
    let bytes = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    constant(b, ty, bytes)
}

fn constant(b: &mut FunctionBuilder<'_>, ty: Type, bytes: Vec<u8>) -> Value {
    let handle = b.func.dfg.constants.insert(ConstantData::from(bytes.as_slice()));
    b.ins().vconst(ty, handle)
}

pub fn bitcast(b: &mut FunctionBuilder<'_>, ty: Type, x: Value) -> Value {
    if b.func.dfg.value_type(x) == ty {
        return x;
    }
    let flags = MemFlagsData::new().with_endianness(Endianness::Little);
    b.ins().bitcast(ty, flags, x)
}

impl Lanes<'_, '_> {
    fn float_type(&self) -> Type {
        types::F32.by(self.lanes).expect("vectors have up to 16 lanes")
    }

    fn int_type(&self) -> Type {
        types::I32.by(self.lanes).expect("vectors have up to 16 lanes")
    }

    fn fcmp(&mut self, cc: FloatCC, x: Value, y: Value) -> Value {
        self.b.ins().fcmp(cc, x, y)
    }
}

impl Arith for Lanes<'_, '_> {
    type V = Value;
    type M = Value;

    fn float(&mut self, value: f32) -> Value {
        if self.lanes > 1 {
            let ty = self.float_type();
            splat_constant(self.b, ty, value.to_bits())
        } else {
            self.b.ins().f32const(value)
        }
    }
    fn int(&mut self, value: u32) -> Value {
        if self.lanes > 1 {
            let ty = self.int_type();
            splat_constant(self.b, ty, value)
        } else {
            self.b.ins().iconst(types::I32, i64::from(value))
        }
    }
    fn add(&mut self, x: Value, y: Value) -> Value {
        self.b.ins().fadd(x, y)
    }
    fn sub(&mut self, x: Value, y: Value) -> Value {
        self.b.ins().fsub(x, y)
    }
    fn mul(&mut self, x: Value, y: Value) -> Value {
        self.b.ins().fmul(x, y)
    }
    fn div(&mut self, x: Value, y: Value) -> Value {
        self.b.ins().fdiv(x, y)
    }
    fn fma(&mut self, x: Value, y: Value, z: Value) -> Value {
        self.b.ins().fma(x, y, z)
    }
    fn sqrt(&mut self, x: Value) -> Value {
        self.b.ins().sqrt(x)
    }
    fn floor(&mut self, x: Value) -> Value {
        self.b.ins().floor(x)
    }
    // `y < x ? x : y` in exactly this form is what the back end turns into one `max`; likewise `min`.
    fn above(&mut self, x: Value, y: Value) -> Value {
        let c = self.fcmp(FloatCC::LessThan, y, x);
        self.select(c, x, y)
    }
    fn below(&mut self, x: Value, y: Value) -> Value {
        let c = self.fcmp(FloatCC::LessThan, x, y);
        self.select(c, x, y)
    }
    fn lt(&mut self, x: Value, y: Value) -> Value {
        self.fcmp(FloatCC::LessThan, x, y)
    }
    fn le(&mut self, x: Value, y: Value) -> Value {
        self.fcmp(FloatCC::LessThanOrEqual, x, y)
    }
    fn eq(&mut self, x: Value, y: Value) -> Value {
        self.fcmp(FloatCC::Equal, x, y)
    }
    fn is_nan(&mut self, x: Value) -> Value {
        self.fcmp(FloatCC::Unordered, x, x)
    }
    fn bits(&mut self, x: Value) -> Value {
        let ty = self.int_type();
        bitcast(self.b, ty, x)
    }
    fn number(&mut self, x: Value) -> Value {
        let ty = self.float_type();
        bitcast(self.b, ty, x)
    }
    fn iadd(&mut self, x: Value, y: Value) -> Value {
        self.b.ins().iadd(x, y)
    }
    fn isub(&mut self, x: Value, y: Value) -> Value {
        self.b.ins().isub(x, y)
    }
    fn imul(&mut self, x: Value, y: Value) -> Value {
        self.b.ins().imul(x, y)
    }
    fn shl(&mut self, x: Value, by: u32) -> Value {
        let by = self.b.ins().iconst(types::I32, i64::from(by));
        self.b.ins().ishl(x, by)
    }
    fn shr(&mut self, x: Value, by: u32) -> Value {
        let by = self.b.ins().iconst(types::I32, i64::from(by));
        self.b.ins().ushr(x, by)
    }
    fn sar(&mut self, x: Value, by: u32) -> Value {
        let by = self.b.ins().iconst(types::I32, i64::from(by));
        self.b.ins().sshr(x, by)
    }
    fn and(&mut self, x: Value, y: Value) -> Value {
        self.b.ins().band(x, y)
    }
    fn or(&mut self, x: Value, y: Value) -> Value {
        self.b.ins().bor(x, y)
    }
    fn xor(&mut self, x: Value, y: Value) -> Value {
        self.b.ins().bxor(x, y)
    }
    fn ilt(&mut self, x: Value, y: Value) -> Value {
        self.b.ins().icmp(IntCC::SignedLessThan, x, y)
    }
    fn ieq(&mut self, x: Value, y: Value) -> Value {
        self.b.ins().icmp(IntCC::Equal, x, y)
    }
    fn to_float(&mut self, x: Value) -> Value {
        let ty = self.float_type();
        self.b.ins().fcvt_from_sint(ty, x)
    }
    fn to_int(&mut self, x: Value) -> Value {
        let ty = self.int_type();
        self.b.ins().fcvt_to_sint_sat(ty, x)
    }
    fn select(&mut self, c: Value, x: Value, y: Value) -> Value {
        if self.lanes > 1 {
            let ty = self.b.func.dfg.value_type(x);
            let mask = bitcast(self.b, ty, c);
            self.b.ins().bitselect(mask, x, y)
        } else {
            self.b.ins().select(c, x, y)
        }
    }
    fn both(&mut self, x: Value, y: Value) -> Value {
        self.b.ins().band(x, y)
    }
    fn either(&mut self, x: Value, y: Value) -> Value {
        self.b.ins().bor(x, y)
    }
    fn not(&mut self, x: Value) -> Value {
        if self.lanes > 1 {
            return self.b.ins().bnot(x);
        }
        let one = self.b.ins().iconst(types::I8, 1);
        self.b.ins().bxor(x, one)
    }
    fn truth(&mut self, x: Value) -> Value {
        if self.lanes > 1 { self.shr(x, 31) } else { self.b.ins().uextend(types::I32, x) }
    }
}
