//! Element types, extents and shapes.
//!
//! In: nothing. Out: the types of all tensor values. Invariant: an extent is a number known at compile time or a
//! symbol that is bound before the step runs; it is never guessed.

use std::fmt;

/// The type of an element. `F32` and `I32` live in tensors; `Bool` only inside kernels and comparisons; `F64` only in
/// scalars that depend on nothing but the step (learning rate, bias corrections): those are evaluated once per step.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DType {
    F32,
    I32,
    Bool,
    F64,
}

impl DType {
    pub const ALL: [DType; 4] = [DType::F32, DType::I32, DType::Bool, DType::F64];

    pub fn name(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::I32 => "i32",
            DType::Bool => "bool",
            DType::F64 => "f64",
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The length of one axis: a number, or the index of a symbol (`Graph::symbols`, `Program::symbols`) such as the batch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Extent {
    Fixed(u64),
    Sym(u32),
}

impl Default for Extent {
    fn default() -> Extent {
        Extent::Fixed(1)
    }
}

impl Extent {
    pub fn fixed(self) -> Option<u64> {
        match self {
            Extent::Fixed(n) => Some(n),
            Extent::Sym(_) => None,
        }
    }

    pub fn is_one(self) -> bool {
        self == Extent::Fixed(1)
    }

    /// The number of elements along the axis once the symbols are bound.
    pub fn bound(self, symbols: &[u64]) -> u64 {
        match self {
            Extent::Fixed(n) => n,
            Extent::Sym(s) => symbols[s as usize],
        }
    }
}

/// Extents from the outermost axis to the innermost; storage is row-major.
pub type Shape = Vec<Extent>;

/// The type of a tensor value.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Type {
    pub dtype: DType,
    pub shape: Shape,
}

impl Type {
    pub fn new(dtype: DType, shape: Shape) -> Type {
        Type { dtype, shape }
    }

    pub fn f32(shape: Shape) -> Type {
        Type { dtype: DType::F32, shape }
    }

    pub fn scalar(dtype: DType) -> Type {
        Type { dtype, shape: Vec::new() }
    }

    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// `f32[B, 784]`, with the symbols' names.
    pub fn display(&self, symbols: &[String]) -> String {
        format!("{}[{}]", self.dtype, display_shape(&self.shape, symbols))
    }
}

/// `B, 28, 28`
pub fn display_shape(shape: &[Extent], symbols: &[String]) -> String {
    let axes = shape.iter().map(|e| match *e {
        Extent::Fixed(n) => n.to_string(),
        Extent::Sym(s) => symbols.get(s as usize).cloned().unwrap_or_else(|| format!("?{s}")),
    });
    axes.collect::<Vec<_>>().join(", ")
}

/// The number of elements, with overflow checked.
pub fn elements(shape: &[Extent], symbols: &[u64]) -> Option<u64> {
    shape.iter().try_fold(1u64, |n, e| n.checked_mul(e.bound(symbols)))
}

/// `1.5 MiB`
pub fn display_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let power = (bytes.ilog2() as usize / 10).min(UNITS.len());
    format!("{:.1} {}", bytes as f64 / 1024f64.powi(power as i32), UNITS[power - 1])
}
