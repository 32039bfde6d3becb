//! The functions of scalars: what elementwise operators apply and what kernels compute with.
//!
//! In: numbers. Out: a number. Invariant: this list is the whole arithmetic of the compiler; the interpreter, the loop
//! interpreter and the machine code each give every row one meaning, and the latter two the same bits.

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
    /// To I32 from F32 (toward zero, saturating; NaN is 0) or Bool.
    ToI32,
    /// Two words (counter, key) to a random word: one round-complete counter-based generator, all I32.
    Random,
    /// The upper 24 bits of a random word as a number in [0, 1).
    Unit,
}
