//! The forward graph of a `train` item: the batch, the model, the loss, the metrics.
//!
//! In: a checked `train` item. Out: an elaborator whose graph computes loss and metrics, ready for gradients. Invariant: the
//! training graph and the evaluation graph differ only in what the definitions say under `train { }` and `infer { }`.

use super::elaborate::{Elaborator, Res, Weight};
use super::errors;
use super::items::names_in_expr;
use super::loss::LossContext;
use super::program::Run;
use super::spec::{DataSpec, FIRST_SYMBOL, Kind as FieldKind};
use super::terms::Term;
use super::value::{Axis, Func, Kept, Kind, Label, Tensor, Val, ValKind};
use crate::base::{DType, Extent, Span, Type};
use crate::graph::Role;
use crate::ops::{Attrs, Value};
use crate::syntax::ast::{DefKind, Expr};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A loss or metric over a batch.
pub struct Figure {
    pub name: String,
    pub terms: Vec<Term>,
}

/// Each output of a model by its name, with the place where it was made.
type Outputs = Vec<(String, Tensor, Span)>;

pub struct Forward {
    pub loss: Value,
    /// The loss, then the metrics.
    pub figures: Vec<Figure>,
    /// The model's outputs: name, value.
    pub outputs: Vec<(String, Tensor)>,
}

impl Elaborator<'_> {
    /// The rows of this batch of a field: `i32[B]` picks them out of `[N, …]`.
    fn batch_of(&mut self, data: &DataSpec, field: &super::spec::FieldSpec) -> Res<Tensor> {
        let (dtype, kind) = match field.kind {
            FieldKind::Real => (DType::F32, Kind::Real),
            FieldKind::Class(k) => (DType::I32, Kind::Class(k)),
            FieldKind::Token(k) => (DType::I32, Kind::Token(k)),
        };
        let mut shape = vec![Self::ROWS];
        shape.extend(&field.shape);
        let column =
            self.input(&format!("{}.{}", data.name, field.name), Role::Data, Type::new(dtype, shape), field.span);
        let rows = self.input("rows", Role::Rows, Type::new(DType::I32, vec![Self::BATCH]), field.span);
        let value = self.emit("gather", Attrs::default(), &[column, rows], field.span)?;
        let mut axes = vec![Axis { label: Some(Label::Batch), ..Axis::new(Self::BATCH) }];
        axes.extend(field.shape.iter().map(|e| Axis::new(*e)));
        if field.ragged() && axes.len() > 1 {
            let (name, ty) = (format!("{}.{}.length", data.name, field.name), Type::new(DType::I32, vec![Self::ROWS]));
            let column = self.input(&name, Role::Data, ty, field.span);
            axes[1].lengths.push(self.emit("gather", Attrs::default(), &[column, rows], field.span)?);
        }
        Ok(Tensor { value, axes, kind })
    }

    /// Elaborates model, loss and metrics of a run.
    pub fn forward(&mut self, run: &Run, data: &DataSpec) -> Res<Forward> {
        let mut fields: BTreeMap<String, Val> = BTreeMap::new();
        for f in &data.fields {
            let t = self.batch_of(data, f)?;
            fields.insert(f.name.clone(), Val::tensor(t, f.span));
        }
        if let Some(e) = run.augment.as_ref().filter(|_| self.train) {
            self.augment(e, run, &mut fields)?;
        }
        let (outputs, read) = self.model(run, data, &fields)?;
        let unread: Vec<&String> = data.fields.iter().map(|f| &f.name).filter(|n| !read.contains(n)).collect();
        self.frames.push(Default::default());
        self.frame().vars = fields.clone();
        for (i, (name, t, made)) in outputs.iter().enumerate() {
            let v = Val::tensor(t.clone(), *made);
            if i == 0 {
                self.frame().vars.insert("output".into(), v.clone());
                self.frame().vars.insert(kind_word(&t.kind).into(), v.clone());
            }
            self.frame().vars.insert(name.clone(), v);
        }
        let weights = self.order.iter().map(|p| &self.weights[p]).filter(|w| w.shape.len() > 1);
        let set = weights.map(|w| w.tensor.clone()).collect();
        self.frame().vars.insert("weights".into(), Val::new(ValKind::Set(set), run.loss.span));
        let context = LossContext { outputs: &outputs, unread, fields: &fields };
        let done = self.losses(run, &context);
        self.frames.pop();
        let (loss, figures) = done?;
        let outputs = outputs.into_iter().map(|(name, t, _)| (name, t)).collect();
        Ok(Forward { loss, figures, outputs })
    }

    /// Applies `augment = …` to the field that is the model's first input; its shape must stay.
    fn augment(&mut self, e: &Expr, run: &Run, fields: &mut BTreeMap<String, Val>) -> Res<()> {
        let port = run.model.inputs.first().and_then(|p| p.name.as_ref());
        let Some(field) = port.and_then(|n| fields.get_mut(&n.text)) else { return Ok(()) };
        let Val { kind: ValKind::Func(f), .. } = self.eval(e)? else {
            return Err(errors::wrong_type_words(e.span, "functions, one after the other with `->`", "a value"));
        };
        self.enter(e.span);
        self.sealed = Some("`augment`");
        let out = self.apply_func(&f, vec![field.clone()], e.span);
        self.sealed = None;
        self.leave();
        let out = out?;
        match (&out.kind, &field.kind) {
            (ValKind::Tensor(new), ValKind::Tensor(old))
                if super::tensor::extents(&new.axes) == super::tensor::extents(&old.axes) =>
            {
                *field = out;
                Ok(())
            }
            _ => Err(errors::wrong_type(e.span, "a tensor of the same shape as before", &out)),
        }
    }

    /// Applies the model to the fields that its inputs name.
    fn model(&mut self, run: &Run, data: &DataSpec, fields: &BTreeMap<String, Val>) -> Res<(Outputs, Vec<String>)> {
        let def = &run.model;
        let (mut inputs, mut read) = (Vec::new(), Vec::new());
        for port in &def.inputs {
            let span = port.span;
            let name = match &port.name {
                Some(n) if fields.contains_key(&n.text) => n.text.clone(),
                Some(n) => {
                    let known: Vec<&str> = fields.keys().map(String::as_str).collect();
                    let d = errors::undefined(n.span, &n.text, &known);
                    let list = known.join("`, `");
                    return Err(Box::new((*d).label(data.span, format!("the data has the fields `{list}`"))));
                }
                None => {
                    let form = format!("model {}  x: … -> …", def.name.text);
                    return Err(errors::lacks(span, &def.name.text, "a name for its input", &form));
                }
            };
            let mut v = fields[&name].clone();
            v.span = span;
            inputs.push(v);
            read.push(name);
        }
        let settings = Arc::new(self.model_settings(run, data));
        let func =
            Func::Def { def: def.clone(), settings, body: None, path: Some(Kept::default()), span: def.name.span };
        let out = self.apply_func(&func, inputs, def.name.span)?;
        let values = match out.kind {
            ValKind::List(items) => items,
            _ => vec![out],
        };
        let mut outputs = Vec::new();
        for (i, v) in values.into_iter().enumerate() {
            let ValKind::Tensor(t) = &v.kind else {
                return Err(errors::wrong_type(self.blame(v.span), "a tensor as the model's output", &v));
            };
            let port = def.outputs.get(i);
            let name = port.and_then(|p| p.name.as_ref()).map_or("output".to_string(), |n| n.text.clone());
            outputs.push((name, t.clone(), v.span));
        }
        Ok((outputs, read))
    }

    /// The settings of the model, and the numbers that the data counts: those that no input tells.
    fn model_settings(&self, run: &Run, data: &DataSpec) -> BTreeMap<String, Val> {
        let mut told = Vec::new();
        let types = run.model.inputs.iter().filter_map(|p| p.ty.as_ref());
        let sizes = types.flat_map(|t| t.args.iter().chain(t.dims.iter().flatten()));
        sizes.for_each(|e| names_in_expr(e, &mut |n, _| told.push(n)));
        told.extend(run.model.params.iter().map(|p| p.name.text.as_str()));
        let mut settings = run.settings.clone();
        for (i, name) in data.symbols.iter().enumerate().filter(|(_, n)| !told.contains(&n.as_str())) {
            let symbol = FIRST_SYMBOL + i as u32;
            let counted = run.dims.iter().find(|(s, _)| *s == symbol).map(|(_, n)| Extent::Fixed(*n));
            let extent = counted.unwrap_or(Extent::Sym(symbol));
            let dim = ValKind::Dim { name: name.clone(), extent };
            settings.insert(name.clone(), Val::new(dim, data.span));
        }
        settings
    }

    /// The first values of all weights: a graph of its own, whose outputs target them.
    pub fn first_value(&mut self, weight: &Weight) -> Res<Tensor> {
        let Weight { shape, init, span, .. } = weight;
        let span = *span;
        self.sealed = Some("an `init`");
        self.init_shape = Some(shape.clone());
        let mut fixed: Vec<f64> = shape.iter().filter_map(|e| e.fixed()).map(|n| n as f64).collect();
        if weight.filter && fixed.len() > 2 {
            // Outputs, inputs, then the axes of the window.
            fixed[1..].rotate_right(1);
        }
        let fan_in = if fixed.len() > 1 { fixed[1..].iter().product() } else { fixed.first().copied().unwrap_or(1.0) };
        let fan_out = fixed.first().copied().unwrap_or(1.0) * fixed.get(2..).map_or(1.0, |f| f.iter().product());
        let mut v = self.eval(init)?;
        if let ValKind::Func(f @ Func::Def { def, .. }) = &v.kind {
            if def.kind != DefKind::Init {
                return Err(errors::wrong_type_words(
                    self.blame(init.span),
                    "an `init`",
                    &format!("`{}`", def.name.text),
                ));
            }
            let mut inputs = Vec::new();
            for port in &def.inputs {
                let name = port.name.as_ref().map_or("", |n| n.text.as_str());
                inputs.push(match name {
                    "fan_in" => Val::number(fan_in, span),
                    "fan_out" => Val::number(fan_out, span),
                    other => return Err(errors::undefined(self.blame(port.span), other, &["fan_in", "fan_out"])),
                });
            }
            v = self.apply_func(f, inputs, init.span)?;
        }
        let t = match (&v.kind, v.as_number()) {
            (ValKind::Tensor(t), _) => t.clone(),
            (_, Some(n)) => Tensor { value: self.constant(n, DType::F32, span)?, axes: vec![], kind: Kind::Real },
            _ => return Err(errors::wrong_type(self.blame(init.span), "a number or an `init` as first value", &v)),
        };
        let axes: Vec<Axis> = shape.iter().map(|e| Axis::new(*e)).collect();
        self.arrange(&t, &axes, span)
    }
}

fn kind_word(kind: &Kind) -> &'static str {
    match kind {
        Kind::Logits => "logits",
        Kind::Prob => "prob",
        Kind::LogProb => "logprob",
        _ => "output",
    }
}
