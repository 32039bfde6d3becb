//! Statements.
//!
//! In: the range of one statement. Out: [`Stmt`], or the error that prevents it. Invariant: the words that begin a
//! statement are words only where a name could not go on in this way (`state m = 0`, but `state = 0`).

use super::shared::error;
use super::{Built, Reader, Rule};
use crate::syntax::ast::{Expr, ExprKind, Ident, Stmt, StmtKind, Target, TypeExpr};
use crate::syntax::expected::Mistake;
use crate::syntax::skeleton::{Form, Skeleton};
use pest::iterators::Pairs;
use std::ops::Range;
use std::sync::Arc;

fn rule_of(text: &str) -> (Rule, Mistake) {
    let length = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    let (word, rest) = text.split_at(length);
    let next = rest.trim_start_matches([' ', '\t']).bytes().next().unwrap_or(0);
    let name_follows = next.is_ascii_alphabetic() || next == b'_';
    match word {
        "param" if name_follows => (Rule::param_statement, Mistake::Param),
        "state" if name_follows => (Rule::state_statement, Mistake::State),
        "assert" if !matches!(next, 0 | b'=' | b':' | b',' | b'.') => (Rule::assert_statement, Mistake::Assert),
        "expect" if !matches!(next, 0 | b'=' | b':' | b',' | b'.') => (Rule::expect_statement, Mistake::Expect),
        "train" | "infer" if next == b'{' => (Rule::phase_statement, Mistake::Phase),
        "scan" if next == b'(' => (Rule::scan_statement, Mistake::Scan),
        _ => (Rule::plain_statement, Mistake::Statement),
    }
}

/// What stands before a `=`, and what its `:` says.
type Side = (Expr, Option<Box<TypeExpr>>);

impl Reader<'_> {
    pub(super) fn statement(&mut self, range: Range<usize>) -> Built<Stmt> {
        let scan = Arc::clone(&self.scan);
        let (rule, mistake) = rule_of(&scan.text[range.clone()]);
        if rule == Rule::scan_statement {
            let span = Skeleton::new(&scan, self.source, range.clone(), Form::Statement).whole(self.file);
            return self.scan(range).map(|kind| Stmt { kind, span });
        }
        let skeleton = Skeleton::new(&scan, self.source, range, Form::Statement);
        let pairs = self.grammar(rule, &skeleton, mistake)?;
        let kind = match rule {
            Rule::param_statement | Rule::state_statement => self.slots(&skeleton, rule, pairs)?,
            Rule::assert_statement | Rule::expect_statement => self.condition(&skeleton, rule, pairs)?,
            Rule::phase_statement => self.phase(&skeleton, pairs),
            _ => self.plain(&skeleton, pairs)?,
        };
        Ok(Stmt { kind, span: skeleton.whole(self.file) })
    }

    fn slots(&mut self, skeleton: &Skeleton, rule: Rule, pairs: Pairs<'_, Rule>) -> Built<StmtKind> {
        let mut slots = Vec::new();
        for pair in pairs.filter(|p| p.as_rule() == Rule::slot) {
            slots.push(self.slot(skeleton, pair)?);
        }
        match (rule, slots.len()) {
            (Rule::param_statement, 1) => Ok(StmtKind::Param(Box::new(slots.remove(0)))),
            _ => Ok(StmtKind::State(slots)),
        }
    }

    fn condition(&mut self, skeleton: &Skeleton, rule: Rule, pairs: Pairs<'_, Rule>) -> Built<StmtKind> {
        let (mut condition, mut message) = (None, None);
        for pair in pairs {
            match pair.as_rule() {
                Rule::expr => condition = Some(self.expr(skeleton, pair)?),
                Rule::string => message = Some(self.string(skeleton, &pair)),
                _ => {}
            }
        }
        let condition = condition.expect("invariant: the grammar asks for a condition");
        match rule {
            Rule::assert_statement => Ok(StmtKind::Assert { condition, message }),
            _ => Ok(StmtKind::Expect(condition)),
        }
    }

    fn phase(&mut self, skeleton: &Skeleton, pairs: Pairs<'_, Rule>) -> StmtKind {
        let (mut train, mut body) = (false, Vec::new());
        for pair in pairs {
            match pair.as_rule() {
                Rule::word => train = pair.as_str() == "train",
                Rule::body => body = self.body_of(skeleton, &pair),
                _ => {}
            }
        }
        StmtKind::Phase { train, body }
    }

    /// `range` is a whole `scan(…) … { … }`; its body is taken off first.
    fn scan(&mut self, range: Range<usize>) -> Built<StmtKind> {
        let scan = Arc::clone(&self.scan);
        let whole = Skeleton::new(&scan, self.source, range.clone(), Form::Statement);
        let open = whole.bodies().pop().filter(|&open| scan.brace(open).outer_end == range.end);
        let Some(open) = open else {
            let label = "`{ … }` with the equations of one step follows the states";
            return Err(error(whole.whole(self.file), "this `scan` has no body", label));
        };
        let skeleton = Skeleton::new(&scan, self.source, range.start..open, Form::Statement);
        let pairs = self.grammar(Rule::scan_statement, &skeleton, Mistake::Scan);
        let body = self.body(open);
        let (mut args, mut states) = (Vec::new(), Vec::new());
        for pair in pairs? {
            match pair.as_rule() {
                Rule::args => args = self.args(&skeleton, pair)?,
                Rule::slot => states.push(self.slot(&skeleton, pair)?),
                _ => {}
            }
        }
        Ok(StmtKind::Scan { args, states, body })
    }

    fn plain(&mut self, skeleton: &Skeleton, pairs: Pairs<'_, Rule>) -> Built<StmtKind> {
        let (mut sides, mut value): (Vec<Side>, _) = (Vec::new(), None);
        for pair in pairs {
            match pair.as_rule() {
                Rule::expr => sides.push((self.expr(skeleton, pair)?, None)),
                Rule::kind => {
                    let ty = self.kind(skeleton, pair)?;
                    let side = sides.last_mut().expect("invariant: a kind follows what it describes");
                    side.1 = Some(Box::new(ty));
                }
                Rule::value => value = self.expressions(skeleton, pair.into_inner()).map(one_or_list)?,
                _ => {}
            }
        }
        match value {
            Some(value) => {
                let mut targets = Vec::with_capacity(sides.len());
                for (left, ty) in sides {
                    targets.push(target(left, ty)?);
                }
                Ok(StmtKind::Bind { targets, value })
            }
            None if sides.len() == 1 => match sides.remove(0) {
                (left, None) => Ok(StmtKind::Expr(left)),
                (left, Some(ty)) => field(left, ty),
            },
            None => {
                let (first, last) = (sides[0].0.span, sides[sides.len() - 1].0.span);
                Err(error(first.to(last), "these values have no use", "expected `=` and a value after several names"))
            }
        }
    }
}

/// `metrics = accuracy, confusion` is a list without brackets: it begins where its first element does.
fn one_or_list(mut values: Vec<Expr>) -> Option<Expr> {
    let last = values.pop()?;
    let Some(first) = values.first() else { return Some(last) };
    let span = first.span.to(last.span);
    values.push(last);
    Some(Expr { kind: ExprKind::List(values), span })
}

/// `x: [784]`
fn field(left: Expr, ty: Box<TypeExpr>) -> Built<StmtKind> {
    match left.kind {
        ExprKind::Name(text) => Ok(StmtKind::Field { name: Ident { text, span: left.span }, ty }),
        _ => Err(error(left.span, "only a name can have a kind and axes", "write a name before the `:`")),
    }
}

fn target(left: Expr, ty: Option<Box<TypeExpr>>) -> Built<Target> {
    let span = ty.as_ref().map_or(left.span, |t| left.span.to(t.span));
    let (path, index) = match left.kind {
        ExprKind::Index(base, index) => (path(&base), Some(index)),
        _ => (path(&left), None),
    };
    let label = "`name`, `name[i, j]`, `part.name` or several names with commas";
    let path = path.ok_or_else(|| error(left.span, "this cannot stand on the left of `=`", label))?;
    Ok(Target { path, index, ty, span })
}

fn path(expr: &Expr) -> Option<Vec<Ident>> {
    let (mut path, mut at) = (Vec::new(), expr);
    loop {
        match &at.kind {
            ExprKind::Name(text) => {
                path.reserve_exact(1);
                path.push(Ident { text: text.clone(), span: at.span });
                path.reverse();
                return Some(path);
            }
            ExprKind::Field(base, name) => {
                path.push(name.clone());
                at = base;
            }
            _ => return None,
        }
    }
}
