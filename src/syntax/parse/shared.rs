//! What items and statements share: names, kinds, slots, arguments, strings.
//!
//! In: pairs of the grammar. Out: parts of the tree. Invariant: the text of a string comes from the source, never from the
//! scanned text.

use super::{Built, Reader, Rule};
use crate::base::Diagnostic;
use crate::syntax::ast::{Arg, Expr, Ident, Slot, Stmt, Str, TypeExpr};
use crate::syntax::expected::Mistake;
use crate::syntax::scan::too_deep;
use crate::syntax::skeleton::{Form, Skeleton};
use pest::iterators::{Pair, Pairs};
use std::sync::Arc;

/// What is done with an element of a list.
type Take<'t, R> = &'t mut dyn FnMut(&mut R, &Skeleton, Pair<'_, Rule>) -> Built<()>;

impl Reader<'_> {
    pub(super) fn ident(&self, skeleton: &Skeleton, pair: &Pair<'_, Rule>) -> Ident {
        Ident { text: pair.as_str().to_string(), span: self.span(skeleton, pair) }
    }

    pub(super) fn string(&self, skeleton: &Skeleton, pair: &Pair<'_, Rule>) -> Str {
        let span = self.span(skeleton, pair);
        let raw = &self.source[span.start as usize..span.end as usize];
        let inside = raw.get(1..raw.len().max(2) - 1).unwrap_or("");
        let (mut text, mut escaped) = (String::new(), false);
        for c in inside.chars() {
            match (escaped, c) {
                (false, '\\') => {
                    escaped = true;
                    continue;
                }
                (true, 'n') => text.push('\n'),
                (true, 't') => text.push('\t'),
                _ => text.push(c),
            }
            escaped = false;
        }
        Str { text, span }
    }

    /// The statements of the body that `pair` stands for.
    pub(super) fn body_of(&mut self, skeleton: &Skeleton, pair: &Pair<'_, Rule>) -> Vec<Stmt> {
        self.body(skeleton.source(pair.as_span().start()))
    }

    pub(super) fn expressions(&mut self, skeleton: &Skeleton, pairs: Pairs<'_, Rule>) -> Built<Vec<Expr>> {
        let mut list = Vec::new();
        for pair in pairs.filter(|p| p.as_rule() == Rule::expr) {
            list.push(self.expr(skeleton, pair)?);
        }
        Ok(list)
    }

    /// The expressions between the brackets of `pair`.
    pub(super) fn bracketed(&mut self, skeleton: &Skeleton, pair: Pair<'_, Rule>) -> Built<Vec<Expr>> {
        let mut list = Vec::new();
        self.elements(skeleton, pair, Rule::more_exprs, &mut |r, skeleton, pair| {
            list.push(r.expr(skeleton, pair)?);
            Ok(())
        })?;
        list.shrink_to_fit();
        Ok(list)
    }

    pub(super) fn args(&mut self, skeleton: &Skeleton, pair: Pair<'_, Rule>) -> Built<Vec<Arg>> {
        let mut args: Vec<Arg> = Vec::new();
        self.elements(skeleton, pair, Rule::more_args, &mut |r, skeleton, pair| {
            if pair.as_rule() == Rule::named {
                let mut parts = pair.into_inner();
                let name = parts.next().map(|p| r.ident(skeleton, &p));
                let mut values = r.expressions(skeleton, parts)?;
                args.extend(values.pop().map(|value| Arg { name, value }));
            } else {
                args.push(Arg { name: None, value: r.expr(skeleton, pair)? });
            }
            Ok(())
        })?;
        // most calls have one argument, and a file may have millions of calls
        args.shrink_to_fit();
        Ok(args)
    }

    /// Calls `take` with each element of a list in brackets; a long list is read in pieces, by the rule `more`.
    pub(super) fn elements(
        &mut self,
        skeleton: &Skeleton,
        pair: Pair<'_, Rule>,
        more: Rule,
        take: Take<'_, Self>,
    ) -> Built<()> {
        let mut tail = skeleton.list_tail(pair.as_span().end() - 1);
        for element in pair.into_inner() {
            take(self, skeleton, element)?;
        }
        while let Some(range) = tail {
            let scan = Arc::clone(&self.scan);
            let piece = Skeleton::new(&scan, self.source, range, Form::List);
            for element in self.grammar(more, &piece, Mistake::Statement)? {
                if element.as_rule() != Rule::EOI {
                    take(self, &piece, element)?;
                }
            }
            tail = piece.list_tail(piece.text().len());
        }
        Ok(())
    }

    pub(super) fn kind(&mut self, skeleton: &Skeleton, pair: Pair<'_, Rule>) -> Built<TypeExpr> {
        let mut ty = TypeExpr { kind: None, args: Vec::new(), dims: None, span: self.span(skeleton, &pair) };
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::name => ty.kind = Some(self.ident(skeleton, &part)),
                Rule::kind_args => ty.args = self.bracketed(skeleton, part)?,
                _ => ty.dims = Some(self.bracketed(skeleton, part)?),
            }
        }
        Ok(ty)
    }

    pub(super) fn slot(&mut self, skeleton: &Skeleton, pair: Pair<'_, Rule>) -> Built<Slot> {
        let span = self.span(skeleton, &pair);
        let mut parts = pair.into_inner();
        let name = self.ident(skeleton, &parts.next().expect("invariant: a slot has a name"));
        let mut slot = Slot { name, ty: None, init: None, span };
        for part in parts {
            match part.as_rule() {
                Rule::kind => slot.ty = Some(self.kind(skeleton, part)?),
                _ => slot.init = Some(self.expr(skeleton, part)?),
            }
        }
        Ok(slot)
    }

    /// Counts one level of nesting around `build`.
    pub(super) fn nested<T>(
        &mut self,
        place: crate::base::Span,
        build: impl FnOnce(&mut Self) -> Built<T>,
    ) -> Built<T> {
        if self.depth >= crate::syntax::ast::MAX_DEPTH {
            return Err(Box::new(too_deep(place)));
        }
        self.depth += 1;
        let built = build(self);
        self.depth -= 1;
        built
    }
}

/// E0010 with a place and what to do about it.
pub(super) fn error(span: crate::base::Span, message: impl Into<String>, label: impl Into<String>) -> Box<Diagnostic> {
    Box::new(Diagnostic::error("E0010", span, message, label))
}
