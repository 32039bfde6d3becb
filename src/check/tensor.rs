//! Arithmetic on tensors with named axes: alignment, broadcasting, reductions, selections.
//!
//! In: tensors as `value` describes them. Out: nodes of the graph. Invariant: operands are matched by label where they have
//! labels and by position from the right where they have none; nothing is matched by equal length alone.

use super::elaborate::{Elaborator, Res};
use super::errors;
use super::value::{Axis, Kind, Label, Tensor, Val, ValKind};
use crate::base::{DType, Extent, Span, Type};
use crate::ops::{Attr, Attrs, Emit, ScalarOp, Value, number};

/// Two extents that are neither equal nor 1.
struct Clash;

impl Axis {
    /// The same axis of another operand: what one lacks, the other tells.
    pub fn join(&mut self, other: Axis) {
        self.name = self.name.take().or(other.name);
        let new: Vec<Value> = other.lengths.into_iter().filter(|l| !self.lengths.contains(l)).collect();
        self.lengths.extend(new);
    }
}

/// How a list of operands is laid side by side: the joint axes.
fn joint_axes(tensors: &[&Tensor]) -> Result<Vec<Axis>, Clash> {
    let mut labelled: Vec<Axis> = Vec::new();
    let mut positional: Vec<Axis> = Vec::new();
    for t in tensors {
        let (with, without): (Vec<_>, Vec<_>) = t.axes.iter().cloned().partition(|a| a.label.is_some());
        for axis in with {
            match labelled.iter_mut().find(|a| a.label == axis.label) {
                None => labelled.push(axis),
                Some(seen) if seen.extent == axis.extent => seen.join(axis),
                Some(seen) if seen.extent.is_one() => *seen = axis,
                Some(_) if axis.extent.is_one() => {}
                Some(_) => return Err(Clash),
            }
        }
        merge_positional(&mut positional, without)?;
    }
    // The canonical order is batch, `..`, indices; indices keep the order in which they appear.
    let rank = |a: &Axis| match &a.label {
        Some(Label::Batch) => (0, std::cmp::Reverse(0)),
        Some(Label::Rest(r)) => (1, *r),
        _ => (2, std::cmp::Reverse(0)),
    };
    labelled.sort_by_key(rank);
    labelled.extend(positional);
    Ok(labelled)
}

fn merge_positional(joint: &mut Vec<Axis>, other: Vec<Axis>) -> Result<(), Clash> {
    let (short, mut long) =
        if other.len() > joint.len() { (std::mem::take(joint), other) } else { (other, joint.clone()) };
    let offset = long.len() - short.len();
    for (i, axis) in short.into_iter().enumerate() {
        let seen = &mut long[offset + i];
        if seen.extent == axis.extent {
            seen.join(axis);
        } else if seen.extent.is_one() {
            *seen = axis;
        } else if !axis.extent.is_one() {
            return Err(Clash);
        }
    }
    *joint = long;
    Ok(())
}

pub fn extents(axes: &[Axis]) -> Vec<Extent> {
    axes.iter().map(|a| a.extent).collect()
}

impl Elaborator<'_> {
    /// A node; what does not fit is the user's mistake at `span`.
    pub fn emit(&mut self, op: &str, attrs: Attrs, args: &[Value], span: Span) -> Res<Value> {
        let at = self.blame(span);
        self.graph.try_emit(op, attrs, args, at).map_err(|why| errors::ill_shaped(at, &why))
    }

    pub fn dtype(&self, tensor: &Tensor) -> DType {
        self.graph.ty(tensor.value).dtype
    }

    pub fn constant(&mut self, value: f64, dtype: DType, span: Span) -> Res<Value> {
        let attrs = Attrs(vec![("value", Attr::Float(value)), ("dtype", Attr::DType(dtype))]);
        self.emit("const", attrs, &[], span)
    }

    /// `tensor` with exactly the axes `axes`, repeated along those it lacks.
    pub fn broadcast_to(&mut self, tensor: &Tensor, axes: &[Axis], span: Span) -> Res<Value> {
        let (mut kept, mut map) = (Vec::new(), Vec::new());
        let positional = tensor.axes.iter().filter(|a| a.label.is_none()).count();
        let mut seen = 0;
        for axis in &tensor.axes {
            let place = match &axis.label {
                Some(_) => axes.iter().position(|a| a.label == axis.label),
                None => {
                    seen += 1;
                    Some(axes.len() - positional + seen - 1)
                }
            };
            let place = place.unwrap_or_else(|| panic!("the joint axes lack an operand's axis {axis:?}"));
            if axis.extent == axes[place].extent {
                kept.push(axis.extent);
                map.push(place as i64);
            }
        }
        let mut value = tensor.value;
        if kept.len() < tensor.axes.len() {
            value = self.emit("reshape", Attrs(vec![("shape", Attr::Shape(kept))]), &[value], span)?;
        }
        let identity = map.len() == axes.len() && map.iter().enumerate().all(|(i, m)| i as i64 == *m);
        if identity {
            return Ok(value);
        }
        let attrs = Attrs(vec![("axes", Attr::Ints(map)), ("shape", Attr::Shape(extents(axes)))]);
        self.emit("broadcast", attrs, &[value], span)
    }

    fn joint(&self, tensors: &[&Tensor], span: Span) -> Res<Vec<Axis>> {
        joint_axes(tensors).map_err(|Clash| self.unmatched(tensors, span))
    }

    /// Lays operands side by side: their values over the joint axes.
    pub fn align(&mut self, tensors: &[&Tensor], span: Span) -> Res<(Vec<Value>, Vec<Axis>)> {
        let axes = self.joint(tensors, span)?;
        let values = tensors.iter().map(|t| self.broadcast_to(t, &axes, span)).collect::<Res<Vec<_>>>()?;
        Ok((values, axes))
    }

    /// An operator of numbers, step scalars, tensors, or all weights.
    pub fn elementwise(&mut self, op: &'static str, args: &[Val], span: Span) -> Res<Val> {
        if let Some(n) = args.iter().find_map(|a| if let ValKind::Set(s) = &a.kind { Some(s.len()) } else { None }) {
            return self.over_set(op, args, n, span);
        }
        if let Some(numbers) = args.iter().map(Val::as_number).collect::<Option<Vec<f64>>>() {
            let row = ScalarOp::ALL
                .into_iter()
                .find(|r| r.name() == op)
                .unwrap_or_else(|| panic!("`{op}` is a row of the scalar table"));
            let result = number::apply(row, &numbers);
            if result.is_nan() && !numbers.iter().any(|n| n.is_nan()) {
                return Err(errors::not_a_number(self.blame(span), op, &numbers));
            }
            return Ok(Val::number(result, span));
        }
        if args.iter().any(|a| matches!(a.kind, ValKind::Tensor(_))) {
            let tensors = self.operands(args, span)?;
            let out = self.apply(op, &tensors, span).map_err(|d| self.sides(d, args, &tensors))?;
            return Ok(Val::tensor(out, span));
        }
        let mut values = Vec::new();
        for a in args {
            values.push(match (&a.kind, a.as_number()) {
                (ValKind::Scalar(v), _) => *v,
                (_, Some(n)) => self.constant(n, DType::F64, span)?,
                _ => {
                    let d = errors::wrong_type(self.blame(span), "a number or a tensor", a);
                    return Err(errors::not_applied(d, a));
                }
            });
        }
        let value = self.emit(op, Attrs::default(), &values, span)?;
        Ok(Val::new(ValKind::Scalar(value), span))
    }

    /// A clash of shapes, with the places from which the two sides come.
    fn sides(&self, d: errors::Boxed, args: &[Val], tensors: &[Tensor]) -> errors::Boxed {
        if !matches!(d.code, "E0301" | "E0309") {
            return d;
        }
        let mut out = *d;
        for (arg, t) in args.iter().zip(tensors) {
            let text = format!("{} here", super::value::describe_axes(t));
            let told = out.labels.iter().any(|l| l.span == arg.span || l.text == text);
            if !told && !self.items.is_library(arg.span) && !t.axes.is_empty() {
                out = out.label(arg.span, text);
            }
        }
        Box::new(out)
    }

    fn over_set(&mut self, op: &'static str, args: &[Val], n: usize, span: Span) -> Res<Val> {
        let mut out = Vec::with_capacity(n);
        for i in 0..n {
            let one: Vec<Val> = args
                .iter()
                .map(|a| match &a.kind {
                    ValKind::Set(s) => Val::tensor(s[i].clone(), a.span),
                    _ => a.clone(),
                })
                .collect();
            let ValKind::Tensor(t) = self.elementwise(op, &one, span)?.kind else {
                panic!("an operator over a tensor gives a tensor")
            };
            out.push(t);
        }
        Ok(Val::new(ValKind::Set(out), span))
    }

    /// Every argument as a tensor; numbers and step scalars take the element type of the tensors beside them.
    fn operands(&mut self, args: &[Val], span: Span) -> Res<Vec<Tensor>> {
        let integer = args.iter().any(|a| matches!(&a.kind, ValKind::Tensor(t) if self.dtype(t) == DType::I32));
        let mut out = Vec::new();
        for a in args {
            out.push(self.operand(a, integer, span)?);
        }
        Ok(out)
    }

    fn operand(&mut self, arg: &Val, integer: bool, span: Span) -> Res<Tensor> {
        let bare = |value, kind| Tensor { value, axes: vec![], kind };
        match &arg.kind {
            ValKind::Tensor(t) => Ok(t.clone()),
            ValKind::Bool(b) => {
                let v = self.constant(f64::from(u8::from(*b)), DType::F32, span)?;
                Ok(bare(v, Kind::Real))
            }
            ValKind::Scalar(v) => {
                let v = self.emit("to_f32", Attrs::default(), &[*v], span)?;
                Ok(bare(v, Kind::Real))
            }
            _ => match arg.as_number() {
                Some(n) if integer && n.fract() == 0.0 => Ok(bare(self.constant(n, DType::I32, span)?, Kind::Int)),
                Some(n) => Ok(bare(self.constant(n, DType::F32, span)?, Kind::Real)),
                None => {
                    let d = errors::wrong_type(self.blame(span), "a number or a tensor", arg);
                    Err(errors::not_applied(d, arg))
                }
            },
        }
    }

    /// An operator of the table over tensors; a mask counts as 0 and 1 where numbers are wanted.
    pub fn apply(&mut self, op: &'static str, tensors: &[Tensor], span: Span) -> Res<Tensor> {
        let logical = matches!(op, "and" | "or" | "not");
        let (first, rest) = if op == "select" { (1, &tensors[1..]) } else { (0, tensors) };
        let mut wanted: Vec<DType> = tensors.iter().map(|t| self.dtype(t)).collect();
        if !logical {
            let real =
                rest.iter().any(|t| self.dtype(t) == DType::F32) || rest.iter().all(|t| self.dtype(t) == DType::Bool);
            let int = rest.iter().any(|t| self.dtype(t) == DType::I32);
            if real && int {
                return Err(errors::mixed_types(self.blame(span), rest));
            }
            let target = if int { DType::I32 } else { DType::F32 };
            wanted[first..].fill(target);
        }
        let mut cast = Vec::new();
        if op == "select" && wanted[0] == DType::F32 {
            // A condition that was a number of the step: anything but 0 is true.
            let zero = Tensor { value: self.constant(0.0, DType::F32, span)?, axes: vec![], kind: Kind::Real };
            let is_zero = self.apply("eq", &[tensors[0].clone(), zero], span)?;
            let condition = self.apply("not", &[is_zero], span)?;
            return self.apply(op, &[condition, tensors[1].clone(), tensors[2].clone()], span);
        }
        for (t, want) in tensors.iter().zip(&wanted) {
            cast.push(self.cast(t, *want, span)?);
        }
        let (values, axes) = self.align(&cast.iter().collect::<Vec<_>>(), span)?;
        let value = self.emit(op, Attrs::default(), &values, span)?;
        let kind = match self.graph.ty(value).dtype {
            DType::Bool => Kind::Mask,
            DType::I32 => Kind::Int,
            _ => Kind::Real,
        };
        Ok(Tensor { value, axes, kind })
    }

    /// A mask as numbers; other changes of type are written by the user.
    pub fn cast(&mut self, t: &Tensor, want: DType, span: Span) -> Res<Tensor> {
        let have = self.dtype(t);
        if have == want {
            return Ok(t.clone());
        }
        let op = match (have, want) {
            (DType::Bool, DType::F32) => "to_f32",
            (DType::Bool, DType::I32) => "to_i32",
            _ => return Err(errors::mixed_types(self.blame(span), std::slice::from_ref(t))),
        };
        let value = self.emit(op, Attrs::default(), &[t.value], span)?;
        let kind = if want == DType::I32 { Kind::Int } else { Kind::Real };
        Ok(Tensor { value, axes: t.axes.clone(), kind })
    }

    /// Σ a · b over `labels`, one fused multiplication and addition per term, where every label is in both; else `None`.
    pub fn contract(&mut self, a: &Tensor, b: &Tensor, labels: &[Label], span: Span) -> Res<Option<Tensor>> {
        let has = |t: &Tensor, l: &Label| t.axes.iter().any(|x| x.label.as_ref() == Some(l));
        let all_labelled = a.axes.iter().chain(&b.axes).all(|x| x.label.is_some());
        let real = self.dtype(a) == DType::F32 && self.dtype(b) == DType::F32;
        if !all_labelled || !real || labels.is_empty() || !labels.iter().all(|l| has(a, l) && has(b, l)) {
            return Ok(None);
        }
        if let Some(unit) = self.shared_unit(a, b, labels) {
            return self.contract_without(a, b, &unit, labels, span);
        }
        let joint = self.joint(&[a, b], span)?;
        let agrees =
            |t: &Tensor| t.axes.iter().all(|x| joint.iter().any(|j| j.label == x.label && j.extent == x.extent));
        if joint.len() > 26 || !agrees(a) || !agrees(b) {
            return Ok(None);
        }
        // Where both factors are padding, one of them counts 0.
        let labelled = |t: &Tensor| -> Vec<usize> {
            (0..t.axes.len()).filter(|p| labels.iter().any(|l| t.axes[*p].label.as_ref() == Some(l))).collect()
        };
        let first = self.padded(a, &labelled(a));
        let filled = self.fill_padding(a, &first, 0.0, span)?;
        let done = |axis: &Axis| first.iter().any(|&p| a.axes[p].label == axis.label);
        let second: Vec<usize> = self.padded(b, &labelled(b)).into_iter().filter(|&p| !done(&b.axes[p])).collect();
        let (a, b) = (&filled, &self.fill_padding(b, &second, 0.0, span)?);
        let letter = |x: &Axis| {
            let place =
                joint.iter().position(|j| j.label == x.label).unwrap_or_else(|| panic!("the joint axes have all"));
            (b'a' + place as u8) as char
        };
        let out: Vec<Axis> =
            joint.iter().filter(|j| !labels.iter().any(|l| j.label.as_ref() == Some(l))).cloned().collect();
        let word = |axes: &[Axis]| axes.iter().map(letter).collect::<String>();
        let spec = format!("{},{}->{}", word(&a.axes), word(&b.axes), word(&out));
        let value = self.emit("contract", Attrs(vec![("axes", Attr::Text(spec))]), &[a.value, b.value], span)?;
        Ok(Some(Tensor { value, axes: out, kind: Kind::Real }))
    }

    /// Labels for positional axes, counted from the right; what already has a label keeps it.
    pub fn label_rest(&self, t: &Tensor) -> Tensor {
        let mut out = t.clone();
        let n = out.axes.len();
        for (i, axis) in out.axes.iter_mut().enumerate() {
            if axis.label.is_none() {
                axis.label = Some(Label::Rest(std::cmp::Reverse(n - 1 - i)));
            }
        }
        out
    }

    /// The axes under `..` become positional again.
    pub fn unlabel_rest(&self, mut t: Tensor) -> Tensor {
        for axis in &mut t.axes {
            if matches!(axis.label, Some(Label::Rest(_))) {
                axis.label = None;
            }
        }
        t
    }

    /// `t` with its axes in the order of `labels` (all of them), repeated along those that it lacks.
    pub fn arrange(&mut self, t: &Tensor, axes: &[Axis], span: Span) -> Res<Tensor> {
        let value = self.broadcast_to(t, axes, span)?;
        Ok(Tensor { value, axes: axes.to_vec(), kind: t.kind.clone() })
    }

    pub fn type_of(&self, t: &Tensor) -> Type {
        self.graph.ty(t.value).clone()
    }
}
