//! Schedules: settings of the optimizer that change with the step.
//!
//! In: `ramp(0 .. 0.05, 200 steps) then cosine(0.05 .. 1e-4)`. Out: an f64 scalar of the graph. Invariant: a schedule depends on
//! the step's number, the steps of an epoch and of the whole run, and on nothing else.

use super::elaborate::{Elaborator, Res};
use super::errors;
use super::value::{Number, Val, ValKind};
use crate::base::{DType, Span, Type};
use crate::graph::Role;
use crate::syntax::ast::{Arg, BinaryOp, Call, Expr, ExprKind, Unit};

/// `a then b then c`: the pieces in order.
fn pieces(e: &Expr) -> Vec<&Expr> {
    match &e.kind {
        ExprKind::Binary(first, rest) if rest.iter().all(|(op, _, _)| *op == BinaryOp::Then) => {
            std::iter::once(first.as_ref()).chain(rest.iter().map(|(_, _, x)| x)).collect()
        }
        _ => vec![e],
    }
}

impl Elaborator<'_> {
    /// A number that the run gives before each step: `step` (from 1), `steps_per_epoch`, `total_steps`.
    pub fn step_scalar(&mut self, name: &str, span: Span) -> Val {
        let value = self.input(name, Role::Scalar, Type::scalar(DType::F64), span);
        Val::new(ValKind::Scalar(value), span)
    }

    /// The value at the current step; `counted` says whether the run has an end that is counted in steps or epochs.
    pub fn schedule(&mut self, e: &Expr, counted: bool) -> Res<Val> {
        let pieces = pieces(e);
        let step = self.step_scalar("step", e.span);
        let mut start = Val::number(0.0, e.span);
        let mut parts: Vec<(Val, Val)> = Vec::new();
        for (i, piece) in pieces.iter().enumerate() {
            let (value, end) = self.piece(piece, &step, &start, counted, i + 1 == pieces.len())?;
            parts.push((value, end.clone()));
            start = end;
        }
        let Some((mut out, _)) = parts.pop() else { panic!("a schedule has a piece") };
        for (value, end) in parts.into_iter().rev() {
            let before = self.elementwise("le", &[step.clone(), end], e.span)?;
            out = self.elementwise("select", &[before, value, out], e.span)?;
        }
        Ok(out)
    }

    /// The values at which the pieces begin and end, where they are numbers.
    pub fn schedule_ends(&mut self, e: &Expr) -> Res<Vec<Val>> {
        let mut out = Vec::new();
        for piece in pieces(e) {
            let v = match self.without_length(piece)?.0 {
                Some(c) => self.call(&c, piece.span, true).map_err(|d| errors::length_of_what(d, &c))?,
                None => self.eval(piece)?,
            };
            let ValKind::Func(f) = &v.kind else {
                out.push(v);
                continue;
            };
            for t in [0.0, 1.0] {
                let at = self.apply_func(f, vec![Val::number(t, piece.span)], piece.span)?;
                out.push(Val { span: piece.span, ..at });
            }
        }
        out.retain(|v| v.as_number().is_some());
        Ok(out)
    }

    /// One piece from `start` on: its value now, and the step at which it ends.
    fn piece(&mut self, e: &Expr, step: &Val, start: &Val, counted: bool, last: bool) -> Res<(Val, Val)> {
        let (call, length) = self.without_length(e)?;
        let length = match length {
            Some(n) => self.in_steps(n, e.span)?,
            None if last && counted => {
                let total = self.step_scalar("total_steps", e.span);
                self.elementwise("sub", &[total, start.clone()], e.span)?
            }
            None if matches!(e.kind, ExprKind::Number { .. }) && last => Val::number(1.0, e.span),
            None => {
                let name = call.map_or("NAME".to_string(), |c| c.callee.text);
                return Err(errors::piece_without_length(self.blame(e.span), &name, last));
            }
        };
        let end = self.elementwise("add", &[start.clone(), length.clone()], e.span)?;
        let v = match call {
            Some(c) => self.call(&c, e.span, true).map_err(|d| errors::length_of_what(d, &c))?,
            None => self.eval(e)?,
        };
        let ValKind::Func(f) = &v.kind else {
            return match (&v.kind, v.as_number()) {
                (ValKind::Scalar(_), _) | (_, Some(_)) => Ok((v, end)),
                _ => Err(errors::wrong_type(self.blame(e.span), "a number or a schedule", &v)),
            };
        };
        let gone = self.elementwise("sub", &[step.clone(), start.clone()], e.span)?;
        let share = self.elementwise("div", &[gone, length], e.span)?;
        let low = self.elementwise("max", &[share, Val::number(0.0, e.span)], e.span)?;
        let t = self.elementwise("min", &[low, Val::number(1.0, e.span)], e.span)?;
        Ok((self.apply_func(f, vec![t], e.span)?, end))
    }

    /// The call without the argument that has a unit of time, and that argument.
    fn without_length(&mut self, e: &Expr) -> Res<(Option<Call>, Option<Number>)> {
        let ExprKind::Call(c) = &e.kind else { return Ok((None, None)) };
        let (mut kept, mut length) = (Vec::<Arg>::new(), None);
        for a in c.args.iter().flatten() {
            match &a.value.kind {
                ExprKind::Number { value, integer, unit: unit @ Some(Unit::Steps | Unit::Epochs) }
                    if a.name.is_none() =>
                {
                    length = Some(Number { value: *value, integer: *integer, unit: *unit });
                }
                ExprKind::Number { unit: Some(Unit::Seconds | Unit::Minutes | Unit::Hours), .. } => {
                    return Err(errors::wrong_unit(
                        self.blame(a.value.span),
                        "the length of a piece",
                        "counted in steps or epochs",
                    ));
                }
                _ => kept.push(a.clone()),
            }
        }
        Ok((Some(Call { args: Some(kept), ..(**c).clone() }), length))
    }

    /// A duration in steps; an epoch has as many as the run says.
    fn in_steps(&mut self, n: Number, span: Span) -> Res<Val> {
        let count = Val::number(n.value, span);
        match n.unit {
            Some(Unit::Epochs) => {
                let epoch = self.step_scalar("steps_per_epoch", span);
                self.elementwise("mul", &[count, epoch], span)
            }
            _ => Ok(count),
        }
    }
}
