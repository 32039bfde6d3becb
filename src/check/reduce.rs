//! Reductions of tensors along some of their axes, and what counts and picks elements.
//!
//! In: a tensor and places of its axes. Out: nodes of the graph. Invariant: padding is not reduced over.

use super::elaborate::{Elaborator, Res};
use super::tensor::extents;
use super::value::{Axis, Kind, Label, Tensor};
use crate::base::{DType, Extent, Span};
use crate::ops::{Attr, Attrs};

impl Elaborator<'_> {
    /// Reduces the axes at `places` by `sum`, `max_of`, `min_of` or `mean`; `keep` leaves them with extent 1.
    pub fn reduce(&mut self, kind: &str, t: &Tensor, places: &[usize], keep: bool, span: Span) -> Res<Tensor> {
        if places.is_empty() {
            return Ok(t.clone());
        }
        let t = if self.dtype(t) == DType::Bool { self.cast(t, DType::F32, span)? } else { t.clone() };
        let op = if kind == "mean" { "sum" } else { kind };
        let neutral = match op {
            "max_of" => f64::NEG_INFINITY,
            "min_of" => f64::INFINITY,
            _ => 0.0,
        };
        let padded = self.padded(&t, places);
        let t = self.fill_padding(&t, &padded, neutral, span)?;
        let attrs = Attrs(vec![("axes", Attr::Ints(places.iter().map(|p| *p as i64).collect()))]);
        let mut value = self.emit(op, attrs, &[t.value], span)?;
        let mut axes: Vec<Axis> =
            t.axes.iter().enumerate().filter(|(i, _)| !places.contains(i)).map(|(_, a)| a.clone()).collect();
        if kind == "mean" {
            self.note_mean_of_one(&t, places, span);
            let reduced: Vec<Axis> = places
                .iter()
                .chain(padded.iter().filter(|p| !places.contains(p)))
                .map(|p| t.axes[*p].clone())
                .collect();
            let mut count = self.elements(&reduced, span)?;
            if !padded.is_empty() {
                // The mean of nothing is 0.
                let one = Tensor { value: self.constant(1.0, DType::F32, span)?, axes: vec![], kind: Kind::Real };
                count = self.apply("max", &[count, one], span)?;
            }
            let sum = Tensor { value, axes: axes.clone(), kind: Kind::Real };
            value = self.apply("div", &[sum, count], span)?.value;
        }
        if keep {
            axes = t.axes.clone();
            for p in places {
                (axes[*p].extent, axes[*p].lengths) = (Extent::Fixed(1), vec![]);
            }
            value = self.emit("reshape", Attrs(vec![("shape", Attr::Shape(extents(&axes)))]), &[value], span)?;
        }
        // A sum over the batch holds no row's padding any more.
        if places.iter().any(|p| t.axes[*p].label == Some(Label::Batch)) {
            axes.iter_mut().for_each(|a| a.lengths.clear());
        }
        Ok(Tensor { value, axes, kind: Kind::Real })
    }

    /// The number of elements of the extents as a tensor of rank 0; a batch is counted at run time.
    pub fn count(&mut self, of: &[Extent], span: Span) -> Res<Tensor> {
        let fixed: f64 = of.iter().filter_map(|e| e.fixed()).map(|n| n as f64).product();
        let mut value = self.constant(fixed, DType::F32, span)?;
        let symbolic: Vec<Extent> = of.iter().copied().filter(|e| e.fixed().is_none()).collect();
        if !symbolic.is_empty() {
            let axes: Vec<i64> = (0..symbolic.len() as i64).collect();
            let one = self.constant(1.0, DType::F32, span)?;
            let attrs = Attrs(vec![("axes", Attr::Ints(vec![])), ("shape", Attr::Shape(symbolic))]);
            let ones = self.emit("broadcast", attrs, &[one], span)?;
            let rows = self.emit("sum", Attrs(vec![("axes", Attr::Ints(axes))]), &[ones], span)?;
            value = self.emit("mul", Attrs::default(), &[rows, value], span)?;
        }
        Ok(Tensor { value, axes: vec![], kind: Kind::Real })
    }

    /// The numbers 0, 1, … along an axis that carries `label`.
    pub fn iota(&mut self, extent: Extent, label: Option<Label>, span: Span) -> Res<Tensor> {
        let attrs = Attrs(vec![("shape", Attr::Shape(vec![extent])), ("axis", Attr::Int(0))]);
        let value = self.emit("iota", attrs, &[], span)?;
        Ok(Tensor { value, axes: vec![Axis { label, ..Axis::new(extent) }], kind: Kind::Int })
    }

    /// The element of `t` along the axis with `label` that the integer tensor `at` names; differentiable in `t`.
    pub fn pick(&mut self, t: &Tensor, label: &Label, at: &Tensor, span: Span) -> Res<Tensor> {
        let place =
            t.axes.iter().position(|a| a.label.as_ref() == Some(label)).unwrap_or_else(|| panic!("labelled axis"));
        let iota = self.iota(t.axes[place].extent, Some(label.clone()), span)?;
        let hit = self.apply("eq", &[iota, at.clone()], span)?;
        let zero = Tensor { value: self.constant(0.0, DType::F32, span)?, axes: vec![], kind: Kind::Real };
        let masked = self.apply("select", &[hit, t.clone(), zero], span)?;
        let place =
            masked.axes.iter().position(|a| a.label.as_ref() == Some(label)).unwrap_or_else(|| panic!("kept axis"));
        self.reduce("sum", &masked, &[place], false, span)
    }
}
