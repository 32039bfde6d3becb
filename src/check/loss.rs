//! The loss and the metrics of a `train` item.
//!
//! In: their expressions, the model's outputs, the fields. Out: one number to lower, and the figures to report. Invariant: a
//! loss by its name takes the model's output and the one field that the model does not read.

use super::elaborate::{Elaborator, Res};
use super::errors;
use super::forward::Figure;
use super::program::Run;
use super::spec::Expect;
use super::terms::{Fraction, Term};
use super::value::{Func, Tensor, Val, ValKind};
use crate::base::{DType, Span};
use crate::ops::Value;
use crate::syntax::ast::{BinaryOp, Def, Expr, ExprKind};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a loss may name.
pub struct LossContext<'a> {
    pub outputs: &'a [(String, Tensor, Span)],
    pub unread: Vec<&'a String>,
    pub fields: &'a BTreeMap<String, Val>,
}

impl Elaborator<'_> {
    /// The loss and the figures: the first mistake, with the others in `more`.
    pub fn losses(&mut self, run: &Run, context: &LossContext<'_>) -> Res<(Value, Vec<Figure>)> {
        self.reduce_losses = true;
        self.sealed = Some("a loss or metric");
        self.fractions.clear();
        let loss = self.loss(run, context);
        let mut figures = vec![];
        let mut wrong = vec![];
        match &loss {
            Ok((_, terms)) => figures.push(Figure { name: "loss".into(), terms: terms.clone() }),
            Err(d) => wrong.push(d.clone()),
        }
        for (name, e) in &run.metrics {
            let beyond = run.spec.expects.iter().find(|x| x.metric == *name && !(0.0..=1.0).contains(&x.value));
            match self.metric(e, context, beyond) {
                Ok(terms) => figures.push(Figure { name: name.clone(), terms }),
                Err(d) => wrong.push(d),
            }
        }
        (self.reduce_losses, self.sealed) = (false, None);
        let mut wrong = wrong.into_iter();
        let first = wrong.next();
        self.more.extend(wrong);
        match (first, loss) {
            (None, Ok((loss, _))) => Ok((loss, figures)),
            (Some(d), _) | (None, Err(d)) => Err(d),
        }
    }

    fn loss(&mut self, run: &Run, context: &LossContext<'_>) -> Res<(Value, Vec<Term>)> {
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
        Ok((loss.value, self.terms(&loss, span)?))
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
        self.metric = Some(self.frames.len() + 1);
        let v = self.metric_value(e, context);
        self.metric = None;
        let v = v?;
        let ValKind::Tensor(t) = &v.kind else { return Err(errors::wrong_type(self.blame(e.span), "a metric", &v)) };
        if let Some(promise) = beyond.filter(|_| self.dtype(t) == DType::Bool) {
            return Err(errors::beyond_a_share(promise.span, &promise.metric, promise.value));
        }
        self.terms(t, e.span)
    }

    fn metric_value(&mut self, e: &Expr, context: &LossContext<'_>) -> Res<Val> {
        match self.eval(e)? {
            Val { kind: ValKind::Func(f), .. } => {
                let Func::Def { def, .. } = &f else {
                    return Err(errors::wrong_type_words(self.blame(e.span), "a metric", "a built-in function"));
                };
                let inputs = self.loss_inputs(def, e.span, context)?;
                self.apply_loss(&f, def, inputs, e, "metric")
            }
            v => Ok(v),
        }
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
        if self.reduce_losses && self.metric != Some(self.frames.len()) {
            return Ok(Val::tensor(self.mean_of_loss(t, weight.as_ref(), span)?, span));
        }
        let fraction = self.fraction_of(t, weight.as_ref(), span)?;
        self.fractions.push(fraction);
        Ok(v)
    }
}

fn is_arithmetic(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div)
}
