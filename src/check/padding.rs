//! Padding: axes along which the rows of a batch have lengths of their own.
//!
//! In: tensors with axes that own lengths. Out: masks of what is no padding, and values that padding cannot disturb.
//! Invariant: an operation keeps the lengths of an axis, uses them up by a reduction, or is an error (E0313).

use super::builtin::Args;
use super::elaborate::{Elaborator, Res};
use super::errors;
use super::value::{Axis, Kind, Label, Tensor, Val, ValKind};
use crate::base::{Extent, Span};
use crate::ops::{Attr, Attrs, Value};

impl Elaborator<'_> {
    /// True where the axis at `place` has a step in this row, false in its padding; `None` for an axis without lengths.
    pub(super) fn steps_of(&mut self, t: &Tensor, place: usize, span: Span) -> Res<Option<Tensor>> {
        let axis = t.axes[place].clone();
        let Some(shortest) = self.shortest(&axis, span)? else { return Ok(None) };
        let shape = vec![Self::BATCH, axis.extent];
        let number = attrs(&[("shape", Attr::Shape(shape.clone())), ("axis", Attr::Int(1))]);
        let number = self.emit("iota", number, &[], span)?;
        let spread = attrs(&[("axes", Attr::Ints(vec![0])), ("shape", Attr::Shape(shape))]);
        let shortest = self.emit("broadcast", spread, &[shortest], span)?;
        let mut value = self.emit("lt", Attrs::default(), &[number, shortest], span)?;
        let mut axes = vec![Axis { label: Some(Label::Batch), ..Axis::new(Self::BATCH) }, axis];
        if axes[1].label.is_none() {
            // Axes without labels are matched from the right: ones stand for those behind.
            let behind = t.axes[place + 1..].iter().filter(|a| a.label.is_none()).count();
            axes.extend(std::iter::repeat_n(Axis::new(Extent::Fixed(1)), behind));
            let shape = super::tensor::extents(&axes);
            value = self.emit("reshape", attrs(&[("shape", Attr::Shape(shape))]), &[value], span)?;
        }
        Ok(Some(Tensor { value, axes, kind: Kind::Mask }))
    }

    /// The number of steps of each row, i32[B].
    fn shortest(&mut self, axis: &Axis, span: Span) -> Res<Option<Value>> {
        let mut out: Option<Value> = None;
        for &lengths in &axis.lengths {
            out = Some(match out {
                None => lengths,
                Some(least) => {
                    let fewer = self.emit("lt", Attrs::default(), &[lengths, least], span)?;
                    self.emit("select", Attrs::default(), &[fewer, lengths, least], span)?
                }
            });
        }
        Ok(out)
    }

    /// `t` with `value` in the padding of the axes at `places`.
    pub fn fill_padding(&mut self, t: &Tensor, places: &[usize], value: f64, span: Span) -> Res<Tensor> {
        let mut out = t.clone();
        for &place in places {
            let Some(steps) = self.steps_of(t, place, span)? else { continue };
            let fill = self.constant(value, self.dtype(t), span)?;
            let fill = Tensor { value: fill, axes: vec![], kind: t.kind.clone() };
            let steps = self.broadcast_to(&steps, &t.axes, span)?;
            let fill = self.broadcast_to(&fill, &t.axes, span)?;
            out.value = self.emit("select", Attrs::default(), &[steps, out.value, fill], span)?;
        }
        Ok(out)
    }

    /// The axes whose padding a reduction over `places` would meet: a reduction over the batch meets that of all axes.
    pub fn padded(&self, t: &Tensor, places: &[usize]) -> Vec<usize> {
        let all = places.iter().any(|&p| t.axes[p].label == Some(Label::Batch));
        (0..t.axes.len()).filter(|p| !t.axes[*p].lengths.is_empty() && (all || places.contains(p))).collect()
    }

    /// The number of elements of these axes that are no padding: of each example, or of the batch where it is among them.
    pub fn elements(&mut self, axes: &[Axis], span: Span) -> Res<Tensor> {
        let (ragged, plain): (Vec<&Axis>, Vec<&Axis>) = axes.iter().partition(|a| !a.lengths.is_empty());
        if ragged.is_empty() {
            return self.count(&super::tensor::extents(axes), span);
        }
        let batch = Axis { label: Some(Label::Batch), ..Axis::new(Self::BATCH) };
        let whole = plain.contains(&&batch);
        let plain: Vec<Extent> = plain.into_iter().filter(|a| **a != batch).map(|a| a.extent).collect();
        let mut count = self.count(&plain, span)?;
        for axis in ragged {
            let Some(shortest) = self.shortest(axis, span)? else { continue };
            let value = self.emit("to_f32", Attrs::default(), &[shortest], span)?;
            let lengths = Tensor { value, axes: vec![batch.clone()], kind: Kind::Real };
            count = self.apply("mul", &[lengths, count], span)?;
        }
        if whole { self.reduce("sum", &count, &[0], false, span) } else { Ok(count) }
    }

    /// `present(x, axis)`: a mask of the steps along an axis that are no padding; `none` where every one is a step.
    pub(super) fn present(&mut self, args: Args, span: Span) -> Res<Val> {
        let [x, axis] = self.positional("present", &args, span)?;
        let t = self.expect_tensor(&x)?;
        let place = self.axis(&t, &axis)?;
        Ok(match self.steps_of(&t, place, span)? {
            Some(steps) => Val::tensor(steps, span),
            None => Val::new(ValKind::Word("none".into()), span),
        })
    }

    /// An operation that would lose where the padding is.
    pub fn refuse_padding(&self, owner: &str, axis: &Axis, span: Span) -> Res<()> {
        if axis.lengths.is_empty() { Ok(()) } else { Err(errors::padding(self.blame(span), owner, axis)) }
    }
}

fn attrs(pairs: &[(&'static str, Attr)]) -> Attrs {
    Attrs(pairs.to_vec())
}
