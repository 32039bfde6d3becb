//! The functions of scalars: what elementwise operators apply and what kernels compute with.
//!
//! In: numbers. Out: a number. Invariant: this list is the whole arithmetic of the compiler; the interpreter, the loop
//! interpreter and the machine code each give every row one meaning, and the latter two the same bits.

use crate::base::DType;

/// Comparisons give `Bool`. `Max` and `Min` return NaN if either side is NaN. `Select(c, a, b)` is a where c, else b.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ScalarOp {
    Neg,
    Abs,
    Sign,
    Floor,
    Sqrt,
    Exp,
    Log,
    Sin,
    Cos,
    Tanh,
    Erf,
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Min,
    /// x^y for real y; integer constants become multiplications before this level.
    Pow,
    /// fma(x, y, z) = x · y + z, rounded once
    Fma,
    Lt,
    Le,
    Eq,
    And,
    Or,
    Not,
    Select,
    /// To f32 from I32, Bool or F64.
    ToF32,
    /// To I32 from F32 or F64 (toward zero, saturating; NaN is 0) or Bool.
    ToI32,
    /// Two words (counter, key) to a random word, all I32: exactly [`random_word`].
    Random,
    /// The upper 24 bits of a random word as a number in [0, 1).
    Unit,
}

impl ScalarOp {
    pub const ALL: [ScalarOp; 30] = {
        use ScalarOp::*;
        [
            Neg, Abs, Sign, Floor, Sqrt, Exp, Log, Sin, Cos, Tanh, Erf, Add, Sub, Mul, Div, Max, Min, Pow, Fma, Lt, Le,
            Eq, And, Or, Not, Select, ToF32, ToI32, Random, Unit,
        ]
    };

    /// What it counts as arithmetic: a multiplication with its addition two, every other function of numbers one; comparing,
    /// choosing, converting and drawing count nothing.
    pub fn flops(self) -> u64 {
        use ScalarOp::*;
        match self {
            Fma => 2,
            Lt | Le | Eq | And | Or | Not | Select | ToF32 | ToI32 | Random | Unit => 0,
            _ => 1,
        }
    }

    pub fn name(self) -> &'static str {
        use ScalarOp::*;
        match self {
            Neg => "neg",
            Abs => "abs",
            Sign => "sign",
            Floor => "floor",
            Sqrt => "sqrt",
            Exp => "exp",
            Log => "log",
            Sin => "sin",
            Cos => "cos",
            Tanh => "tanh",
            Erf => "erf",
            Add => "add",
            Sub => "sub",
            Mul => "mul",
            Div => "div",
            Max => "max",
            Min => "min",
            Pow => "pow",
            Fma => "fma",
            Lt => "lt",
            Le => "le",
            Eq => "eq",
            And => "and",
            Or => "or",
            Not => "not",
            Select => "select",
            ToF32 => "to_f32",
            ToI32 => "to_i32",
            Random => "random",
            Unit => "unit",
        }
    }

    pub fn arity(self) -> usize {
        use ScalarOp::*;
        match self {
            Neg | Abs | Sign | Floor | Sqrt | Exp | Log | Sin | Cos | Tanh | Erf | Not | ToF32 | ToI32 | Unit => 1,
            Add | Sub | Mul | Div | Max | Min | Pow | Lt | Le | Eq | And | Or | Random => 2,
            Fma | Select => 3,
        }
    }

    /// The type of the result for operands of these types; `None` if the function does not take them.
    /// `Add Sub Mul Neg Max Min` and comparisons take I32 (arithmetic wraps around); the rest of the arithmetic is real.
    pub fn result(self, args: &[DType]) -> Option<DType> {
        use DType::*;
        use ScalarOp::*;
        let first = *args.first()?;
        if args.len() != self.arity() {
            return None;
        }
        let (real, same) = (matches!(first, F32 | F64), args.iter().all(|&t| t == first));
        match self {
            Abs | Sign | Floor | Sqrt | Exp | Log | Sin | Cos | Tanh | Erf => real.then_some(first),
            Div | Pow | Fma => (real && same).then_some(first),
            Neg | Add | Sub | Mul | Max | Min => (same && first != Bool).then_some(first),
            Lt | Le | Eq => (same && first != Bool).then_some(Bool),
            And | Or | Not => (same && first == Bool).then_some(Bool),
            Select => (first == Bool && args[1] == args[2]).then_some(args[1]),
            ToF32 => (first != F32).then_some(F32),
            ToI32 => (first != I32).then_some(I32),
            Random => (same && first == I32).then_some(I32),
            Unit => (first == I32).then_some(F32),
        }
    }
}

/// The random word number `counter` of the sequence `key`. For a fixed key it is a permutation of the words.
/// Two rounds of the 32-bit finaliser `lowbias32` (C. Wellons, "Hash function prospector", 2018: bias 0.17), with the
/// key in front of the first round and, spread by the golden ratio, in front of the second; all arithmetic wraps.
pub fn random_word(counter: u32, key: u32) -> u32 {
    mix(mix(counter ^ key).wrapping_add(key.wrapping_mul(0x9E37_79B9)))
}

fn mix(mut x: u32) -> u32 {
    x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}
