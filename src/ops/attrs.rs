//! Attributes by name and type.
//!
//! In: the attribute list of a node. Out: typed values, or a sentence that says which attribute is missing or of which
//! kind it is. Invariant: a verified node has every attribute that its operator declares.

use super::{Attr, Attrs, Example};
use crate::base::{DType, Extent, Shape, Type};

impl<const N: usize> From<[(&'static str, Attr); N]> for Attrs {
    fn from(list: [(&'static str, Attr); N]) -> Attrs {
        Attrs(list.into())
    }
}

impl Attrs {
    pub fn none() -> Attrs {
        Attrs::default()
    }

    pub fn get(&self, name: &str) -> Option<&Attr> {
        self.0.iter().find(|(n, _)| *n == name).map(|(_, a)| a)
    }

    pub fn int(&self, name: &str) -> Result<i64, String> {
        match self.get(name) {
            Some(Attr::Int(n)) => Ok(*n),
            other => Err(wrong(name, "an integer", other)),
        }
    }

    /// An integer that is at least `least`.
    pub fn count(&self, name: &str, least: u64) -> Result<u64, String> {
        let n = self.int(name)?;
        u64::try_from(n)
            .ok()
            .filter(|&n| n >= least)
            .ok_or_else(|| format!("`{name}` is {n}, but at least {least} is needed"))
    }

    pub fn ints(&self, name: &str) -> Result<&[i64], String> {
        match self.get(name) {
            Some(Attr::Ints(list)) => Ok(list),
            other => Err(wrong(name, "a list of integers", other)),
        }
    }

    pub fn float(&self, name: &str) -> Result<f64, String> {
        match self.get(name) {
            Some(Attr::Float(x)) => Ok(*x),
            other => Err(wrong(name, "a number", other)),
        }
    }

    pub fn text(&self, name: &str) -> Result<&str, String> {
        match self.get(name) {
            Some(Attr::Text(text)) => Ok(text),
            other => Err(wrong(name, "a text", other)),
        }
    }

    /// A shape whose extents are all at least 1.
    pub fn shape(&self, name: &str) -> Result<&[Extent], String> {
        match self.get(name) {
            Some(Attr::Shape(shape)) if shape.contains(&Extent::Fixed(0)) => {
                Err(format!("`{name}` has an axis of length 0, but every axis needs at least 1 element"))
            }
            Some(Attr::Shape(shape)) => Ok(shape),
            other => Err(wrong(name, "a shape", other)),
        }
    }

    pub fn dtype(&self, name: &str) -> Result<DType, String> {
        match self.get(name) {
            Some(Attr::DType(dtype)) => Ok(*dtype),
            other => Err(wrong(name, "an element type", other)),
        }
    }

    /// The number of an axis of a tensor with `rank` axes.
    pub fn axis(&self, name: &str, rank: usize) -> Result<usize, String> {
        axis_in(self.int(name)?, rank)
    }

    /// Different axes of a tensor with `rank` axes, in the order given.
    pub fn axes(&self, name: &str, rank: usize) -> Result<Vec<usize>, String> {
        let axes = self.ints(name)?.iter().map(|&a| axis_in(a, rank)).collect::<Result<Vec<_>, _>>()?;
        match axes.iter().enumerate().find(|(i, a)| axes[..*i].contains(a)) {
            Some((_, twice)) => {
                Err(format!("axis {twice} stands twice in `{name}`, but each axis may stand there once"))
            }
            None => Ok(axes),
        }
    }
}

fn axis_in(axis: i64, rank: usize) -> Result<usize, String> {
    let found = usize::try_from(axis).ok().filter(|&a| a < rank);
    found.ok_or_else(|| format!("axis {axis} does not exist: the tensor has {rank} axes, counted from 0"))
}

fn wrong(name: &str, wanted: &str, found: Option<&Attr>) -> String {
    let found = match found {
        None => "is missing".to_string(),
        Some(Attr::Int(_)) => "is an integer".to_string(),
        Some(Attr::Ints(_)) => "is a list of integers".to_string(),
        Some(Attr::Float(_)) => "is a number".to_string(),
        Some(Attr::Text(_)) => "is a text".to_string(),
        Some(Attr::Shape(_)) => "is a shape".to_string(),
        Some(Attr::DType(_)) => "is an element type".to_string(),
    };
    format!("the attribute `{name}` {found}, but {wanted} is needed")
}

/// What a formula or a gradient rule reads: the node has passed its shape rule, so it is there.
pub fn valid<T>(read: Result<T, String>) -> T {
    match read {
        Ok(value) => value,
        Err(text) => {
            panic!("invariant broken: formulas and gradients see only nodes that their shape rule accepts: {text}")
        }
    }
}

/// Exactly `N` operands.
pub fn operands<'a, const N: usize>(name: &str, args: &[&'a Type]) -> Result<[&'a Type; N], String> {
    let found = args.len();
    args.try_into().map_err(|_| format!("`{name}` takes {N} operands, but has {found}"))
}

/// The length of an axis that must be a number because positions on it are computed.
pub fn fixed(name: &str, ty: &Type, axis: usize) -> Result<u64, String> {
    let text = || format!("`{name}` needs an axis of known length, but axis {axis} of {} is symbolic", ty.display(&[]));
    ty.shape[axis].fixed().ok_or_else(text)
}

/// An example from shapes of f32 operands.
pub fn example(attrs: Attrs, shapes: &[&[Extent]]) -> Example {
    Example { attrs, args: shapes.iter().map(|s| Type::f32(s.to_vec())).collect() }
}

/// Extents for examples: a number, or 0 for the symbol.
pub fn extents(shape: &[u64]) -> Shape {
    shape.iter().map(|&n| if n == 0 { Extent::Sym(0) } else { Extent::Fixed(n) }).collect()
}
