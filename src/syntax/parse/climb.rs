//! Expressions: from operands and operators in a row to a tree.
//!
//! In: the flat pairs of `expr`, a long one piece by piece. Out: [`Expr`]. Invariant: recursion goes one step deeper only with a bracket, a prefix
//! operator, a `^` or a field, and these are counted.
//!
//! From the loosest binding to the tightest: `->`; `|`; `or`; `then`; `and`; `not`; comparisons; `..`; `+ -`; `* / %`;
//! unary `-`; `^` (to the right); fields, indices and calls.

use super::shared::error;
use super::{Built, Reader, Rule};
use crate::base::{Edit, Fix, Span};
use crate::syntax::ast::{BinaryOp, Call, Expr, ExprKind, Ident, MAX_DEPTH, UnaryOp, Unit};
use crate::syntax::expected::Mistake;
use crate::syntax::scan::too_deep;
use crate::syntax::skeleton::{Form, Skeleton};
use pest::iterators::{Pair, Pairs};
use std::collections::VecDeque;
use std::iter::Peekable;
use std::ops::Range;
use std::sync::Arc;

type Pieces<'p> = Peekable<Pairs<'p, Rule>>;

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

/// What stands in a row, operands built.
enum Part {
    Operand(Expr),
    Prefix(UnaryOp, Span),
    Operator(u8, Option<BinaryOp>, Span),
    Arrow(Span),
}

/// The parts of an expression that are not yet in its tree; a long one is read in pieces, each when the last is used up.
#[derive(Default)]
struct Row {
    parts: VecDeque<Part>,
    tail: Option<Range<usize>>,
    /// The `not` and the other prefixes and `^` in force: each puts what follows one level deeper.
    nots: usize,
    signs: usize,
}

impl Reader<'_> {
    pub(super) fn expr(&mut self, skeleton: &Skeleton, pair: Pair<'_, Rule>) -> Built<Expr> {
        let mut row = Row { tail: skeleton.row_tail(pair.as_span().end()), ..Row::default() };
        self.fill(skeleton, pair.into_inner(), &mut row)?;
        let first = self.binary(&mut row, LOOSEST)?;
        let mut parts = Vec::new();
        while let Some(Part::Arrow(span)) = self.next(&mut row)? {
            parts.push((span, self.binary(&mut row, LOOSEST)?));
        }
        match parts.last() {
            None => Ok(first),
            Some((_, last)) => {
                let span = first.span.to(last.span);
                Ok(Expr { kind: ExprKind::Pipe(Box::new(first), parts), span })
            }
        }
    }

    /// Builds the operands of `pairs` and appends all to the row.
    fn fill(&mut self, skeleton: &Skeleton, pairs: Pairs<'_, Rule>, row: &mut Row) -> Built<()> {
        let mut pairs = pairs.peekable();
        while let Some(pair) = pairs.next() {
            let span = self.span(skeleton, &pair);
            let part = match pair.as_rule() {
                Rule::EOI => break,
                Rule::arrow => {
                    (row.nots, row.signs) = (0, 0);
                    Part::Arrow(span)
                }
                Rule::operator => {
                    let (level, op) = operator(pair.as_str());
                    row.signs = if op == Some(BinaryOp::Pow) { row.signs + 1 } else { 0 };
                    row.nots = if level < COMPARISON { 0 } else { row.nots };
                    Part::Operator(level, op, span)
                }
                Rule::prefix if pair.as_str() == "-" => {
                    row.signs += 1;
                    Part::Prefix(UnaryOp::Neg, span)
                }
                Rule::prefix => {
                    row.nots += 1;
                    Part::Prefix(UnaryOp::Not, span)
                }
                _ => {
                    let outer = self.depth;
                    self.depth += row.nots + row.signs;
                    let built = self.operand(skeleton, pair, span, &mut pairs);
                    self.depth = outer;
                    Part::Operand(built?)
                }
            };
            if self.depth + row.nots + row.signs > MAX_DEPTH {
                return Err(Box::new(too_deep(span)));
            }
            row.parts.push_back(part);
        }
        Ok(())
    }

    /// Reads the next piece of a long row where the last is used up.
    fn refill(&mut self, row: &mut Row) -> Built<()> {
        if row.parts.is_empty()
            && let Some(range) = row.tail.take()
        {
            let scan = Arc::clone(&self.scan);
            let skeleton = Skeleton::new(&scan, self.source, range, Form::Row);
            let pairs = self.grammar(Rule::more_row, &skeleton, Mistake::Statement)?;
            row.tail = skeleton.row_tail(skeleton.text().len());
            self.fill(&skeleton, pairs, row)?;
        }
        Ok(())
    }

    fn next(&mut self, row: &mut Row) -> Built<Option<Part>> {
        self.refill(row)?;
        Ok(row.parts.pop_front())
    }

    /// The operator that comes next, if it is of `level` or tighter.
    fn next_operator(&mut self, row: &mut Row, level: u8) -> Built<Option<(u8, Option<BinaryOp>, Span)>> {
        self.refill(row)?;
        Ok(match row.parts.front() {
            Some(Part::Operator(found, op, span)) if *found >= level => Some((*found, *op, *span)),
            _ => None,
        })
    }

    /// Operators of `level` and tighter.
    fn binary(&mut self, row: &mut Row, level: u8) -> Built<Expr> {
        let mut left = self.prefixed(row)?;
        while let Some((found, op, sign)) = self.next_operator(row, level)? {
            left = match op {
                None => self.range(row, left)?,
                Some(BinaryOp::Pow) => self.power(row, left, sign)?,
                Some(_) => self.chain(row, left, found)?,
            };
        }
        Ok(left)
    }

    /// All operators of one level: a list, however long.
    fn chain(&mut self, row: &mut Row, first: Expr, level: u8) -> Built<Expr> {
        let mut rest = Vec::new();
        while let Some((found, Some(op), sign)) = self.next_operator(row, level)? {
            if found != level {
                break;
            }
            row.parts.pop_front();
            rest.push((op, sign, self.binary(row, level + 1)?));
        }
        let span = rest.last().map_or(first.span, |(_, _, last)| first.span.to(last.span));
        Ok(Expr { kind: ExprKind::Binary(Box::new(first), rest), span })
    }

    fn power(&mut self, row: &mut Row, base: Expr, sign: Span) -> Built<Expr> {
        row.parts.pop_front();
        let exponent = self.nested(sign, |r| r.binary(row, POWER))?;
        let span = base.span.to(exponent.span);
        Ok(Expr { kind: ExprKind::Binary(Box::new(base), vec![(BinaryOp::Pow, sign, exponent)]), span })
    }

    fn range(&mut self, row: &mut Row, from: Expr) -> Built<Expr> {
        row.parts.pop_front();
        let to = self.binary(row, RANGE + 1)?;
        if let Some((RANGE, None, second)) = self.next_operator(row, RANGE)? {
            return Err(error(second, "a range has two ends, this one has three", "remove this part"));
        }
        let span = from.span.to(to.span);
        Ok(Expr { kind: ExprKind::Range(Box::new(from), Box::new(to)), span })
    }

    /// An operand with the prefixes before it.
    fn prefixed(&mut self, row: &mut Row) -> Built<Expr> {
        match self.next(row)? {
            Some(Part::Operand(expr)) => Ok(expr),
            Some(Part::Prefix(op, span)) => {
                let level = if op == UnaryOp::Neg { POWER } else { COMPARISON };
                let inner = self.nested(span, |r| r.binary(row, level))?;
                let span = span.to(inner.span);
                Ok(Expr { kind: ExprKind::Unary(op, Box::new(inner)), span })
            }
            _ => panic!("invariant: the grammar puts an operand here"),
        }
    }

    fn operand(&mut self, skeleton: &Skeleton, pair: Pair<'_, Rule>, span: Span, row: &mut Pieces<'_>) -> Built<Expr> {
        let kind = match pair.as_rule() {
            Rule::name => ExprKind::Name(pair.as_str().to_string()),
            Rule::number => number(pair.as_str()),
            Rule::string => ExprKind::Str(self.string(skeleton, &pair).text),
            Rule::rest => ExprKind::Rest,
            Rule::wildcard => ExprKind::Wildcard,
            Rule::list => ExprKind::List(self.nested(span, |r| r.bracketed(skeleton, pair))?),
            _ => {
                let mut inner = self.nested(span, |r| r.bracketed(skeleton, pair))?.into_iter();
                match (inner.next(), inner.next()) {
                    (Some(only), None) => ExprKind::Paren(Box::new(only)),
                    // A long list in plain brackets: the comma was not yet there when the grammar saw its beginning.
                    _ => return Err(error(span, "`( … )` holds one value", "a list stands in `[ … ]`")),
                }
            }
        };
        self.suffixes(skeleton, row, Expr { kind, span })
    }

    /// Fields, indices, arguments and bodies behind an operand.
    fn suffixes(&mut self, skeleton: &Skeleton, row: &mut Pieces<'_>, mut expr: Expr) -> Built<Expr> {
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
                    let list = self.nested(suffix, |r| r.bracketed(skeleton, pair))?;
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
            (ExprKind::Field(base, name), Rule::args | Rule::body) => {
                // No definition has such a name; what it may mean is for the checker to say.
                let Some(path) = dotted(&base) else { return Err(method(callee.span, &base, &name, suffix)) };
                named(format!("{path}.{}", name.text), callee.span)
            }
            (ExprKind::Index(name, axes), Rule::args) if indexed_name => {
                let ExprKind::Name(text) = name.kind else { return Err(not_callable(name.span)) };
                Call { axes: Some(axes), ..named(text, name.span) }
            }
            (ExprKind::Call(call), Rule::body) if call.body.is_none() => *call,
            (ExprKind::Call(call), Rule::args) if call.body.is_none() => {
                let message = format!("`{}(…)` is not called again", call.callee.text);
                let d = error(suffix, message, "an input comes along an arrow");
                return Err(Box::new((*d).note(format!("write `x -> {}(…)`", call.callee.text))));
            }
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

fn named(text: String, span: Span) -> Call {
    Call { callee: Ident { text, span }, axes: None, args: None, body: None, otherwise: None }
}

/// `nn.functional`, where all before it are names.
fn dotted(e: &Expr) -> Option<String> {
    match &e.kind {
        ExprKind::Name(n) => Some(n.clone()),
        ExprKind::Field(base, name) => Some(format!("{}.{}", dotted(base)?, name.text)),
        _ => None,
    }
}

/// `dense(3).relu()`
fn method(span: Span, base: &Expr, name: &Ident, suffix: Span) -> Box<crate::base::Diagnostic> {
    let message = format!("`.{}` stands behind a call: there are no methods", name.text);
    let d = error(name.span, &message, "what comes next stands behind an arrow");
    let dot = Span { start: base.span.end, end: name.span.start, ..span };
    let empty = suffix.end == suffix.start + 2;
    let edits = vec![Edit { span: dot, text: " -> ".to_string() }];
    let gone = empty.then(|| Edit { span: suffix, text: String::new() });
    let fix = Fix { message: format!("write `-> {}`", name.text), edits: edits.into_iter().chain(gone).collect() };
    Box::new(crate::base::Diagnostic { fixes: vec![fix], ..*d })
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
