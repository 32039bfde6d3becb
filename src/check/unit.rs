//! Axes of one element in both factors of a product.
//!
//! In: the factors of a contraction. Out: the same contraction without the axis, and the axis again behind it. Invariant: no
//! element changes; the result has its axes where they would have stood.

use super::elaborate::{Elaborator, Res};
use super::tensor::extents;
use super::value::{Axis, Kind, Label, Tensor};
use crate::base::Span;
use crate::ops::{Attr, Attrs, Emit};

impl Elaborator<'_> {
    /// An axis of one element in both factors, such as the group of a convolution that has only one: it needs no loop.
    pub fn shared_unit(&self, a: &Tensor, b: &Tensor, labels: &[Label]) -> Option<Axis> {
        let long = |l: &Label| a.axes.iter().any(|x| x.label.as_ref() == Some(l) && !x.extent.is_one());
        let other = |x: &Axis| !labels.iter().any(|l| x.label.as_ref() == Some(l)) || labels.iter().any(long);
        let mut units = a.axes.iter().filter(|x| x.extent.is_one() && x.label != Some(Label::Batch) && other(x));
        units.find(|x| b.axes.iter().any(|y| y.label == x.label && y.extent.is_one())).cloned()
    }

    pub fn contract_without(
        &mut self,
        a: &Tensor,
        b: &Tensor,
        unit: &Axis,
        labels: &[Label],
        span: Span,
    ) -> Res<Option<Tensor>> {
        let mut less = |t: &Tensor| -> Res<Tensor> {
            let axes: Vec<Axis> = t.axes.iter().filter(|x| x.label != unit.label).cloned().collect();
            let shape = extents(&axes);
            let (op, _, args) = self.graph.parts(t.value);
            let value = match args.first().filter(|x| op.name() == "reshape" && self.graph.ty(**x).shape == shape) {
                Some(before) => *before,
                None => self.emit("reshape", Attrs(vec![("shape", Attr::Shape(shape))]), &[t.value], span)?,
            };
            Ok(Tensor { value, axes, kind: Kind::Real })
        };
        let a_before: Vec<Option<Label>> =
            a.axes.iter().map(|x| x.label.clone()).take_while(|l| *l != unit.label).collect();
        let (a, b) = (less(a)?, less(b)?);
        let rest: Vec<Label> = labels.iter().filter(|l| Some(*l) != unit.label.as_ref()).cloned().collect();
        let Some(mut out) = self.contract(&a, &b, &rest, span)? else { return Ok(None) };
        if rest.len() == labels.len() {
            // Where it stood among the left factor's axes.
            let before = |x: &Axis| x.label.is_some() && x.label != unit.label && a_before.contains(&x.label);
            let place = out.axes.iter().filter(|x| before(x)).count();
            out.axes.insert(place, unit.clone());
            let attrs = Attrs(vec![("shape", Attr::Shape(extents(&out.axes)))]);
            out.value = self.emit("reshape", attrs, &[out.value], span)?;
        }
        Ok(Some(out))
    }
}
