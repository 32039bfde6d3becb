//! Expressions: from operands and operators in a row to a tree.
//!
//! In: the flat pairs of `expr`. Out: [`Expr`]. Invariant: recursion goes one step deeper only with a bracket, a prefix
//! operator, a `^` or a field, and these are counted.
//!
//! From the loosest binding to the tightest: `->`; `|`; `or`; `then`; `and`; `not`; comparisons; `..`; `+ -`; `* / %`;
//! unary `-`; `^` (to the right); fields, indices and calls.

use super::shared::error;
use super::{Built, Reader, Rule};
use crate::base::Span;
use crate::syntax::ast::{BinaryOp, Call, Expr, ExprKind, Ident, MAX_DEPTH, UnaryOp, Unit};
use crate::syntax::scan::too_deep;
use crate::syntax::skeleton::Skeleton;
use pest::iterators::{Pair, Pairs};
use std::iter::Peekable;

type Row<'p> = Peekable<Pairs<'p, Rule>>;

const LOOSEST: u8 = 1;
const COMPARISON: u8 = 5;
const RANGE: u8 = 6;
const POWER: u8 = 9;

/// An operator between two operands; `None` is the range `..`.
fn operator(text: &str) -> (u8, Option<BinaryOp>) {
    use BinaryOp::*;
    let (level, op) = match text {
        "|" => (LOOSEST, Alternative),
        "or" => (2, Or),
        "then" => (3, Then),
        "and" => (4, And),
        "<" => (COMPARISON, Lt),
        "<=" => (COMPARISON, Le),
        ">" => (COMPARISON, Gt),
        ">=" => (COMPARISON, Ge),
        "==" => (COMPARISON, Eq),
        "!=" => (COMPARISON, Ne),
        "+" => (7, Add),
        "-" => (7, Sub),
        "*" => (8, Mul),
        "/" => (8, Div),
        "%" => (8, Mod),
        "^" => (POWER, Pow),
        _ => return (RANGE, None),
    };
    (level, Some(op))
}

impl Reader<'_> {
    pub(super) fn expr(&mut self, skeleton: &Skeleton, pair: Pair<'_, Rule>) -> Built<Expr> {
        let mut row = pair.into_inner().peekable();
        let first = self.binary(skeleton, &mut row, LOOSEST)?;
        let mut parts = Vec::new();
        while let Some(arrow) = row.next() {
            let span = self.span(skeleton, &arrow);
            parts.push((span, self.binary(skeleton, &mut row, LOOSEST)?));
        }
        match parts.last() {
            None => Ok(first),
            Some((_, last)) => {
                let span = first.span.to(last.span);
                Ok(Expr { kind: ExprKind::Pipe(Box::new(first), parts), span })
            }
        }
    }

    /// Operators of `level` and tighter.
    fn binary(&mut self, skeleton: &Skeleton, row: &mut Row<'_>, level: u8) -> Built<Expr> {
        let mut left = self.operand(skeleton, row)?;
        while let Some((found, op)) = next_operator(row, level) {
            left = match op {
                None => self.range(skeleton, row, left)?,
                Some(BinaryOp::Pow) => self.power(skeleton, row, left)?,
                Some(_) => self.chain(skeleton, row, left, found)?,
            };
        }
        Ok(left)
    }

    /// All operators of one level: a list, however long.
    fn chain(&mut self, skeleton: &Skeleton, row: &mut Row<'_>, first: Expr, level: u8) -> Built<Expr> {
        let mut rest = Vec::new();
        while let Some((found, Some(op))) = next_operator(row, level) {
            if found != level {
                break;
            }
            let sign = row.next().map(|p| self.span(skeleton, &p)).expect("invariant: an operator was seen");
            rest.push((op, sign, self.binary(skeleton, row, level + 1)?));
        }
        let span = rest.last().map_or(first.span, |(_, _, last)| first.span.to(last.span));
        Ok(Expr { kind: ExprKind::Binary(Box::new(first), rest), span })
    }

    fn power(&mut self, skeleton: &Skeleton, row: &mut Row<'_>, base: Expr) -> Built<Expr> {
        let sign = row.next().map(|p| self.span(skeleton, &p)).expect("invariant: an operator was seen");
        let exponent = self.nested(sign, |r| r.binary(skeleton, row, POWER))?;
        let span = base.span.to(exponent.span);
        Ok(Expr { kind: ExprKind::Binary(Box::new(base), vec![(BinaryOp::Pow, sign, exponent)]), span })
    }

    fn range(&mut self, skeleton: &Skeleton, row: &mut Row<'_>, from: Expr) -> Built<Expr> {
        row.next();
        let to = self.binary(skeleton, row, RANGE + 1)?;
        if let Some((RANGE, None)) = next_operator(row, RANGE) {
            let second = row.next().map(|p| self.span(skeleton, &p)).expect("invariant: an operator was seen");
            return Err(error(second, "a range has two ends, this one has three", "remove this part"));
        }
        let span = from.span.to(to.span);
        Ok(Expr { kind: ExprKind::Range(Box::new(from), Box::new(to)), span })
    }

    fn operand(&mut self, skeleton: &Skeleton, row: &mut Row<'_>) -> Built<Expr> {
        let pair = row.next().expect("invariant: the grammar puts an operand here");
        let span = self.span(skeleton, &pair);
        if pair.as_rule() == Rule::prefix {
            let (op, level) = if pair.as_str() == "-" { (UnaryOp::Neg, POWER) } else { (UnaryOp::Not, COMPARISON) };
            let inner = self.nested(span, |r| r.binary(skeleton, row, level))?;
            let span = span.to(inner.span);
            return Ok(Expr { kind: ExprKind::Unary(op, Box::new(inner)), span });
        }
        let kind = match pair.as_rule() {
            Rule::name => ExprKind::Name(pair.as_str().to_string()),
            Rule::number => number(pair.as_str()),
            Rule::string => ExprKind::Str(self.string(skeleton, &pair).text),
            Rule::rest => ExprKind::Rest,
            Rule::wildcard => ExprKind::Wildcard,
            Rule::list => ExprKind::List(self.nested(span, |r| r.expressions(skeleton, pair.into_inner()))?),
            _ => {
                let mut inner = self.nested(span, |r| r.expressions(skeleton, pair.into_inner()))?;
                ExprKind::Paren(Box::new(inner.pop().expect("invariant: `( … )` holds an expression")))
            }
        };
        self.suffixes(skeleton, row, Expr { kind, span })
    }

    /// Fields, indices, arguments and bodies behind an operand.
    fn suffixes(&mut self, skeleton: &Skeleton, row: &mut Row<'_>, mut expr: Expr) -> Built<Expr> {
        let (mut levels, mut indexed_name) = (0, false);
        loop {
            let rule = row.peek().map(|p| p.as_rule());
            let Some(Rule::field | Rule::index | Rule::args | Rule::body | Rule::otherwise) = rule else {
                return Ok(expr);
            };
            let pair = row.next().expect("invariant: a suffix was seen");
            let suffix = self.span(skeleton, &pair);
            levels += 1;
            if self.depth + levels > MAX_DEPTH {
                return Err(Box::new(too_deep(suffix)));
            }
            let span = expr.span.to(suffix);
            let is_name = matches!(expr.kind, ExprKind::Name(_));
            expr = match pair.as_rule() {
                Rule::field => {
                    let name = pair.into_inner().next().map(|p| self.ident(skeleton, &p));
                    let name = name.expect("invariant: a field has a name");
                    Expr { kind: ExprKind::Field(Box::new(expr), name), span }
                }
                Rule::index => {
                    let list = self.nested(suffix, |r| r.expressions(skeleton, pair.into_inner()))?;
                    Expr { kind: ExprKind::Index(Box::new(expr), list), span }
                }
                _ => {
                    let call = self.call(skeleton, expr, indexed_name, pair)?;
                    Expr { kind: ExprKind::Call(Box::new(call)), span }
                }
            };
            indexed_name = is_name && matches!(expr.kind, ExprKind::Index(..));
        }
    }

    /// `callee` with the arguments, the body or the `else` in `pair`.
    fn call(&mut self, skeleton: &Skeleton, callee: Expr, indexed_name: bool, pair: Pair<'_, Rule>) -> Built<Call> {
        let (rule, suffix) = (pair.as_rule(), self.span(skeleton, &pair));
        let mut call = match (callee.kind, rule) {
            (ExprKind::Name(text), Rule::args | Rule::body) => named(text, callee.span),
            (ExprKind::Index(name, axes), Rule::args) if indexed_name => {
                let ExprKind::Name(text) = name.kind else { return Err(not_callable(name.span)) };
                Call { axes: Some(axes), ..named(text, name.span) }
            }
            (ExprKind::Call(call), Rule::body) if call.body.is_none() => *call,
            (ExprKind::Call(call), Rule::otherwise)
                if call.callee.text == "if" && call.body.is_some() && call.otherwise.is_none() =>
            {
                *call
            }
            (_, Rule::otherwise) => {
                return Err(error(suffix, "`else` without an `if`", "`else` follows the body of `if(…) { … }`"));
            }
            _ => return Err(not_callable(suffix)),
        };
        match rule {
            Rule::args => call.args = Some(self.nested(suffix, |r| r.args(skeleton, pair))?),
            Rule::body => call.body = Some(self.body_of(skeleton, &pair)),
            _ => {
                let body = pair.into_inner().find(|p| p.as_rule() == Rule::body);
                call.otherwise = body.map(|p| self.body_of(skeleton, &p));
            }
        }
        Ok(call)
    }
}

fn next_operator(row: &mut Row<'_>, level: u8) -> Option<(u8, Option<BinaryOp>)> {
    let pair = row.peek().filter(|p| p.as_rule() == Rule::operator)?;
    let (found, op) = operator(pair.as_str());
    (found >= level).then_some((found, op))
}

fn named(text: String, span: Span) -> Call {
    Call { callee: Ident { text, span }, axes: None, args: None, body: None, otherwise: None }
}

fn not_callable(span: Span) -> Box<crate::base::Diagnostic> {
    error(span, "only a name can be called or given a body", "what stands before this is not a name")
}

/// The scanner has checked form and range.
fn number(text: &str) -> ExprKind {
    let digits = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '_' | '.' | 'e' | 'E' | '+' | '-')));
    let mut split = digits.unwrap_or(text.len());
    // `3epochs`: the `e` of the unit is no exponent
    if text[..split].ends_with(['e', 'E']) {
        split -= 1;
    }
    let (number, unit) = text.split_at(split);
    let unit = match unit.trim_start() {
        "" => None,
        "%" => Some(Unit::Percent),
        "epoch" | "epochs" => Some(Unit::Epochs),
        "step" | "steps" => Some(Unit::Steps),
        "s" | "sec" | "seconds" => Some(Unit::Seconds),
        "min" | "minutes" => Some(Unit::Minutes),
        "h" | "hours" => Some(Unit::Hours),
        "samples" => Some(Unit::Samples),
        "bytes" => Some(Unit::Bytes),
        "KB" => Some(Unit::Kilobytes),
        "MB" => Some(Unit::Megabytes),
        _ => Some(Unit::Gigabytes),
    };
    let clean = if number.contains('_') { number.replace('_', "") } else { number.to_string() };
    let value = clean.parse().expect("invariant: the scanner lets only numbers pass");
    ExprKind::Number { value, integer: !number.contains(['.', 'e', 'E']), unit }
}
