//! The forward graph of a `train` item: the batch, the model, the loss, the metrics.
//!
//! In: a checked `train` item. Out: an elaborator whose graph computes loss and metrics, ready for gradients. Invariant: the
//! training graph and the evaluation graph differ only in what the definitions say under `train { }` and `infer { }`.

use super::elaborate::{Elaborator, Res, Weight};
use super::errors;
use super::program::Run;
use super::spec::{DataSpec, Expect, Kind as FieldKind};
use super::terms::{Fraction, Term};
use super::value::{Axis, Func, Kind, Label, Tensor, Val, ValKind};
use crate::base::{DType, Span, Type};
use crate::graph::Role;
use crate::ops::{Attrs, Value};
use crate::syntax::ast::{BinaryOp, Def, DefKind, Expr, ExprKind};
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
        if field.ragged() {
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
        let out = self.apply_func(&f, vec![field.clone()], e.span);
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
        let settings = Arc::new(run.settings.clone());
        let func = Func::Def { def: def.clone(), settings, body: None, path: Some(String::new()), span: def.name.span };
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

    fn losses(&mut self, run: &Run, context: &LossContext<'_>) -> Res<(Value, Vec<Figure>)> {
        self.reduce_losses = true;
        self.fractions.clear();
        let span = run.loss.span;
        let v = self.loss_expression(&run.loss, context).map_err(|d| match d.code {
            "E0106" => {
                let known: Vec<String> = context.fields.keys().map(|f| format!("`{f}`")).collect();
                Box::new((*d).note(format!("a loss knows `output`, `weights`, and the fields {}", known.join(", "))))
            }
            _ => d,
        })?;
        let ValKind::Tensor(loss) = &v.kind else {
            return Err(self.unquoted(errors::wrong_type(self.blame(span), "a loss", &v), &v));
        };
        let mut loss = loss.clone();
        if !loss.axes.is_empty() {
            // One value per element, written out in place: its mean, as of any loss.
            loss = self.mean_of_loss(&loss, None, span)?;
        }
        let mut figures = vec![Figure { name: "loss".into(), terms: self.terms(&loss, span)? }];
        for (name, e) in &run.metrics {
            let beyond = run.spec.expects.iter().find(|x| x.metric == *name && !(0.0..=1.0).contains(&x.value));
            figures.push(Figure { name: name.clone(), terms: self.metric(e, context, beyond)? });
        }
        self.reduce_losses = false;
        Ok((loss.value, figures))
    }

    /// A sum of losses and penalties; a bare loss takes the model's output and the field that the model does not read.
    fn loss_expression(&mut self, e: &Expr, context: &LossContext<'_>) -> Res<Val> {
        match &e.kind {
            ExprKind::Paren(inner) => self.loss_expression(inner, context),
            ExprKind::Binary(first, rest) if rest.iter().all(|(op, _, _)| is_arithmetic(*op)) => {
                let mut v = self.loss_expression(first, context)?;
                for (op, _, x) in rest {
                    let w = self.loss_expression(x, context)?;
                    v = match op {
                        BinaryOp::Add => self.elementwise("add", &[v, w], e.span)?,
                        BinaryOp::Sub => self.elementwise("sub", &[v, w], e.span)?,
                        BinaryOp::Mul => self.elementwise("mul", &[v, w], e.span)?,
                        _ => self.elementwise("div", &[v, w], e.span)?,
                    };
                }
                Ok(v)
            }
            _ => {
                let v = self.eval(e)?;
                match &v.kind {
                    ValKind::Func(f @ Func::Def { def, .. }) => {
                        let inputs = self.loss_inputs(def, e.span, context)?;
                        self.apply_loss(f, def, inputs, e, "loss")
                    }
                    _ => Ok(v),
                }
            }
        }
    }

    /// Applies a loss or metric. One that counts with its target has no use for indices, whatever line of it says so.
    fn apply_loss(&mut self, f: &Func, def: &Arc<Def>, inputs: Vec<Val>, e: &Expr, what: &str) -> Res<Val> {
        let indices = inputs.iter().find_map(|v| match &v.kind {
            ValKind::Tensor(t) if t.kind.is_integer() => Some((t.kind.clone(), v.span)),
            _ => None,
        });
        let span = e.span;
        self.apply_func(f, inputs, span).map_err(|d| match indices {
            Some((kind, from)) if d.code == "E0311" && self.items.is_library(def.name.span) => {
                errors::counts_with_indices(span, &def.name.text, &kind, from, what)
            }
            _ => d,
        })
    }

    /// Output and target for a loss or metric that names neither.
    fn loss_inputs(&mut self, def: &Arc<Def>, span: Span, context: &LossContext<'_>) -> Res<Vec<Val>> {
        if def.inputs.len() != 2 {
            let names: Vec<&str> = def.inputs.iter().filter_map(|p| p.name.as_ref()).map(|n| n.text.as_str()).collect();
            return Err(errors::not_two_inputs(self.blame(span), &def.name.text, &names));
        }
        let output = match context.outputs {
            [(_, t, made)] => Val::tensor(t.clone(), *made),
            many => {
                let names: Vec<&str> = many.iter().map(|(n, ..)| n.as_str()).collect();
                return Err(errors::ambiguous(self.blame(span), &def.name.text, "output", &names));
            }
        };
        let target = match context.unread.as_slice() {
            [name] => context.fields[*name].clone(),
            many => {
                let names: Vec<&str> = many.iter().map(|n| n.as_str()).collect();
                return Err(errors::ambiguous(self.blame(span), &def.name.text, "target", &names));
            }
        };
        Ok(vec![output, target])
    }

    /// `beyond` is a promise about it that no share can keep.
    fn metric(&mut self, e: &Expr, context: &LossContext<'_>, beyond: Option<&Expect>) -> Res<Vec<Term>> {
        let v = match self.eval(e)? {
            Val { kind: ValKind::Func(f), .. } => {
                let Func::Def { def, .. } = &f else {
                    return Err(errors::wrong_type_words(self.blame(e.span), "a metric", "a built-in function"));
                };
                let inputs = self.loss_inputs(def, e.span, context)?;
                self.apply_loss(&f, def, inputs, e, "metric")?
            }
            v => v,
        };
        let ValKind::Tensor(t) = &v.kind else { return Err(errors::wrong_type(self.blame(e.span), "a metric", &v)) };
        if let Some(promise) = beyond.filter(|_| self.dtype(t) == DType::Bool) {
            return Err(errors::beyond_a_share(promise.span, &promise.metric, promise.value));
        }
        self.terms(t, e.span)
    }

    /// Σ w·ℓ and Σ w over all elements.
    pub fn fraction_of(&mut self, t: &Tensor, weight: Option<&Tensor>, span: Span) -> Res<Fraction> {
        let all = |t: &Tensor| (0..t.axes.len()).collect::<Vec<_>>();
        let value = t.value;
        match weight {
            None => {
                let sum = self.reduce("sum", t, &all(t), false, span)?;
                let weight = self.elements(&t.axes, span)?;
                let even = t.axes.iter().all(|a| a.lengths.is_empty());
                Ok(Fraction { value, sum, weight, even })
            }
            Some(w) => {
                let product = self.apply("mul", &[w.clone(), t.clone()], span)?;
                let sum = self.reduce("sum", &product, &all(&product), false, span)?;
                let w = self.arrange(w, &product.axes, span)?;
                let weight = self.reduce("sum", &w, &all(&w), false, span)?;
                Ok(Fraction { value, sum, weight, even: false })
            }
        }
    }

    fn mean_of_loss(&mut self, t: &Tensor, weight: Option<&Tensor>, span: Span) -> Res<Tensor> {
        let fraction = self.fraction_of(t, weight, span)?;
        let mean = self.apply("div", &[fraction.sum.clone(), fraction.weight.clone()], span)?;
        self.fractions.push(Fraction { value: mean.value, ..fraction });
        Ok(mean)
    }

    /// Called at the end of every loss: where losses are reduced, its mean. A number is a mean already, or made of means.
    pub fn finish_loss(&mut self, v: Val, span: Span) -> Res<Val> {
        let ValKind::Tensor(t) = &v.kind else { return Ok(v) };
        if t.axes.is_empty() {
            return Ok(v);
        }
        let weight = match self.lookup("weight").map(|w| w.kind.clone()) {
            Some(ValKind::Tensor(w)) => Some(self.cast(&w, DType::F32, span)?),
            _ => None,
        };
        if self.reduce_losses {
            return Ok(Val::tensor(self.mean_of_loss(t, weight.as_ref(), span)?, span));
        }
        let fraction = self.fraction_of(t, weight.as_ref(), span)?;
        self.fractions.push(fraction);
        Ok(v)
    }

    /// The first values of all weights: a graph of its own, whose outputs target them.
    pub fn first_value(&mut self, weight: &Weight) -> Res<Tensor> {
        let Weight { shape, init, span, .. } = weight;
        let span = *span;
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

struct LossContext<'a> {
    outputs: &'a [(String, Tensor, Span)],
    unread: Vec<&'a String>,
    fields: &'a BTreeMap<String, Val>,
}

fn is_arithmetic(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div)
}

fn kind_word(kind: &Kind) -> &'static str {
    match kind {
        Kind::Logits => "logits",
        Kind::Prob => "prob",
        Kind::LogProb => "logprob",
        _ => "output",
    }
}
