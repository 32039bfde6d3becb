//! Windows of an axis, for convolution and pooling, and their transpose.
//!
//! In: an axis, and size, stride and dilation of the window. Out: positions and taps as two axes, or their sum back on one.
//! Invariant: position p and tap t belong to element `stride · p + dilation · t`, which exists. A negative dilation counts the
//! taps from the other end: tap t is then where tap `size - 1 - t` would be.

use super::attrs::{example, extents, fixed, operands, valid};
use super::{Attr, Attrs, Emit, Example, Index, Io, Kernel, OpDef, Order, ReduceKind, Scalar, Value};
use super::{adjoint, build};
use crate::base::{DType, Extent, Type};

#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub size: u64,
    pub stride: u64,
    pub dilation: i64,
}

impl Sizes {
    pub fn read(attrs: &Attrs) -> Result<Sizes, String> {
        let count = |name| attrs.count(name, 1);
        let dilation = attrs.int("dilation")?;
        if dilation == 0 || dilation == i64::MIN {
            return Err(format!("the taps of a window lie apart, but the dilation is {dilation}"));
        }
        Ok(Sizes { size: count("size")?, stride: count("stride")?, dilation })
    }

    /// The number of positions on an axis of `extent` elements.
    fn positions(&self, extent: u64) -> Result<u64, String> {
        let reach = (self.size - 1).checked_mul(self.dilation.unsigned_abs()).filter(|&reach| reach < extent);
        let Some(reach) = reach else {
            let (size, dilation) = (self.size, self.dilation);
            return Err(format!(
                "a window of {size} taps with dilation {dilation} does not fit an axis of {extent} elements"
            ));
        };
        Ok((extent - reach - 1) / self.stride + 1)
    }

    /// The element of tap 0, seen from its position's first one.
    fn start(&self) -> i64 {
        (self.size as i64 - 1) * (-self.dilation).max(0)
    }
}

/// The axis becomes its window positions, and the taps of each window stand as a new axis right behind it.
pub struct Window;

impl OpDef for Window {
    fn name(&self) -> &'static str {
        "window"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["axis", "size", "stride", "dilation"]
    }

    fn infer(&self, attrs: &Attrs, args: &[&Type]) -> Result<Type, String> {
        let [ty] = operands("window", args)?;
        let axis = attrs.axis("axis", ty.rank())?;
        let sizes = Sizes::read(attrs)?;
        let mut shape = ty.shape.clone();
        shape[axis] = Extent::Fixed(sizes.positions(fixed("window", ty, axis)?)?);
        shape.insert(axis + 1, Extent::Fixed(sizes.size));
        Ok(Type::new(ty.dtype, shape))
    }

    fn element(&self, k: &mut dyn Kernel, io: &Io<'_>, at: &[Index]) -> Scalar {
        let axis = valid(io.attrs.axis("axis", at.len()));
        let sizes = valid(Sizes::read(io.attrs));
        let mut from = at.to_vec();
        let tap = from.remove(axis + 1);
        from[axis] = k.affine(&[(sizes.stride as i64, at[axis]), (sizes.dilation, tap)], sizes.start());
        k.load(0, &from)
    }

    fn grad(&self, e: &mut dyn Emit, io: &Io<'_>, g: Value) -> Vec<Option<Value>> {
        let axis = valid(io.attrs.axis("axis", io.ty.rank()));
        let extent = valid(fixed("window", io.arg_types[0], axis));
        vec![Some(adjoint::unwindow(e, g, axis, valid(Sizes::read(io.attrs)), extent))]
    }

    fn differentiable(&self) -> bool {
        true
    }

    fn examples(&self) -> Vec<Example> {
        cases().into_iter().map(|(shape, attrs)| example(attrs, &[&extents(shape)])).collect()
    }
}

/// Shapes and attributes of windows, for both operators.
fn cases() -> Vec<(&'static [u64], Attrs)> {
    let all: [(&[u64], [i64; 4]); 9] = [
        (&[5], [0, 1, 1, 1]),
        (&[5], [0, 5, 1, 1]),
        (&[9], [0, 3, 2, 1]),
        (&[0, 8], [1, 2, 2, 1]),
        (&[3, 17], [1, 3, 1, 2]),
        (&[2, 9, 3], [1, 2, 3, 4]),
        (&[7, 2], [0, 2, 4, 1]),
        (&[7], [0, 3, 1, -1]),
        (&[2, 11], [1, 3, 2, -2]),
    ];
    let of = |[axis, size, stride, dilation]: [i64; 4]| {
        let int = Attr::Int;
        [("axis", int(axis)), ("size", int(size)), ("stride", int(stride)), ("dilation", int(dilation))].into()
    };
    all.into_iter().map(|(shape, numbers)| (shape, of(numbers))).collect()
}

/// Taps added up where they came from, on an axis of `extent` elements: the transpose of [`Window`].
pub struct Unwindow;

impl OpDef for Unwindow {
    fn name(&self) -> &'static str {
        "unwindow"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["axis", "size", "stride", "dilation", "extent"]
    }

    fn infer(&self, attrs: &Attrs, args: &[&Type]) -> Result<Type, String> {
        let [ty] = operands("unwindow", args)?;
        let axis = attrs.axis("axis", ty.rank())?;
        let (sizes, extent) = (Sizes::read(attrs)?, attrs.count("extent", 1)?);
        if ty.dtype != DType::F32 {
            return Err(format!("`unwindow` adds f32 numbers, but its operand is {}", ty.display(&[])));
        }
        let positions = Extent::Fixed(sizes.positions(extent)?);
        let mut shape = ty.shape.clone();
        if shape[axis] != positions || shape.get(axis + 1) != Some(&Extent::Fixed(sizes.size)) {
            let wanted = Type::f32(vec![positions, Extent::Fixed(sizes.size)]).display(&[]);
            let found = ty.display(&[]);
            return Err(format!("`unwindow` needs the axes {wanted} from axis {axis} on, but its operand is {found}"));
        }
        shape.remove(axis + 1);
        shape[axis] = Extent::Fixed(extent);
        Ok(Type::new(ty.dtype, shape))
    }

    fn element(&self, k: &mut dyn Kernel, io: &Io<'_>, at: &[Index]) -> Scalar {
        let axis = valid(io.attrs.axis("axis", at.len()));
        let sizes = valid(Sizes::read(io.attrs));
        let positions = io.arg_types[0].shape[axis];
        let taps = [Extent::Fixed(sizes.size)];
        k.reduce(ReduceKind::Sum, Order::Serial, &taps, &mut |k, tap| {
            let offset = k.affine(&[(1, at[axis]), (-sizes.dilation, tap[0])], -sizes.start());
            let mut inside = Vec::new();
            let mut from = at.to_vec();
            if sizes.stride == 1 {
                from[axis] = offset;
            } else {
                let (quotient, remainder) = k.div_rem(offset, sizes.stride);
                inside.push((remainder, Extent::Fixed(1)));
                from[axis] = quotient;
            }
            inside.push((from[axis], positions));
            from.insert(axis + 1, tap[0]);
            (k.guarded(&inside, &mut |k| k.load(0, &from), 0.0), None)
        })
    }

    fn grad(&self, e: &mut dyn Emit, io: &Io<'_>, g: Value) -> Vec<Option<Value>> {
        let axis = valid(io.attrs.axis("axis", io.ty.rank()));
        let Sizes { size, stride, dilation } = valid(Sizes::read(io.attrs));
        vec![Some(build::window(e, g, axis, size, stride, dilation))]
    }

    fn differentiable(&self) -> bool {
        true
    }

    fn examples(&self) -> Vec<Example> {
        let of = |(shape, mut attrs): (&[u64], Attrs)| {
            let from = Type::f32(extents(shape));
            let ty = valid(Window.infer(&attrs, &[&from]));
            let axis = valid(attrs.axis("axis", shape.len()));
            attrs.0.push(("extent", Attr::Int(shape[axis] as i64)));
            Example { attrs, args: vec![ty] }
        };
        cases().into_iter().map(of).collect()
    }
}
