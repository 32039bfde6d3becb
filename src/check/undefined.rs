//! Names that nothing defines, found in every definition at once.
//!
//! In: a user's definition. Out: E0101 and E0106, as many as there are. Invariant: a name is complained about only where
//! no reading of the definition could give it a meaning.

use super::builtin;
use super::errors;
use super::expr::WORDS;
use super::foreign::{dotted, renamed};
use super::items::Items;
use super::library::also;
use crate::base::{Diagnostic, Span};
use crate::syntax::ast::{Call, Def, Expr, ExprKind, Port, Stmt, StmtKind};
use std::collections::BTreeSet;

const ALWAYS: [&str; 8] = ["true", "false", "pi", "inf", "step", "if", "body", "batch"];

struct Scope<'a> {
    items: &'a Items,
    known: BTreeSet<String>,
    found: &'a mut Vec<Diagnostic>,
}

pub fn find(items: &Items, def: &Def, found: &mut Vec<Diagnostic>) {
    let mut scope = Scope { items, known: BTreeSet::new(), found };
    scope.known.extend(def.params.iter().map(|p| p.name.text.clone()));
    for port in def.inputs.iter().chain(&def.outputs) {
        scope.port(port);
    }
    scope.declare(&def.body);
    for p in &def.params {
        if let Some(e) = &p.default {
            scope.expr(e, false);
        }
    }
    scope.body(&def.body);
}

impl Scope<'_> {
    fn port(&mut self, port: &Port) {
        self.known.extend(port.name.iter().map(|n| n.text.clone()));
        let Some(ty) = &port.ty else { return };
        for e in ty.args.iter().chain(ty.dims.iter().flatten()) {
            self.dimension(e);
        }
    }

    /// A port's dimensions introduce their names.
    fn dimension(&mut self, e: &Expr) {
        match &e.kind {
            ExprKind::Name(n) => drop(self.known.insert(n.clone())),
            ExprKind::Binary(a, rest) => {
                self.dimension(a);
                rest.iter().for_each(|(_, _, x)| self.dimension(x));
            }
            _ => {}
        }
    }

    /// What the statements name, wherever they stand: the order is the elaborator's concern.
    fn declare(&mut self, body: &[Stmt]) {
        for stmt in body {
            match &stmt.kind {
                StmtKind::Bind { targets, .. } => {
                    self.known.extend(targets.iter().filter_map(|t| t.path.first()).map(|n| n.text.clone()));
                }
                StmtKind::Param(slot) => drop(self.known.insert(slot.name.text.clone())),
                StmtKind::State(slots) => self.known.extend(slots.iter().map(|s| s.name.text.clone())),
                StmtKind::Phase { body, .. } => self.declare(body),
                StmtKind::Scan { args, states, body } => {
                    self.known.extend(states.iter().map(|s| s.name.text.clone()));
                    let axes = args.iter().filter_map(|a| match &a.value.kind {
                        ExprKind::Name(n) if a.name.is_none() => Some(n.to_lowercase()),
                        _ => None,
                    });
                    self.known.extend(axes);
                    self.declare(body);
                }
                _ => {}
            }
        }
    }

    fn body(&mut self, body: &[Stmt]) {
        for stmt in body {
            match &stmt.kind {
                StmtKind::Bind { value, .. } => self.expr(value, false),
                StmtKind::Expr(e) | StmtKind::Expect(e) => self.expr(e, false),
                StmtKind::Assert { condition, .. } => self.expr(condition, false),
                StmtKind::Param(slot) => slot.init.iter().for_each(|e| self.expr(e, false)),
                StmtKind::Phase { body, .. } | StmtKind::Scan { body, .. } => self.body(body),
                _ => {}
            }
        }
    }

    fn expr(&mut self, e: &Expr, layer: bool) {
        match &e.kind {
            ExprKind::Name(n) => self.name(n, e.span, layer, None),
            ExprKind::Field(base, _) => match dotted(e) {
                // `torch.relu`: what the last word means is of more help than that the first means nothing.
                Some((root, path)) if !self.defined(root) && also(&path).is_some() => {
                    self.name(&path, e.span, true, None);
                }
                _ => self.expr(base, layer),
            },
            ExprKind::Unary(_, base) | ExprKind::Paren(base) => self.expr(base, layer),
            ExprKind::Call(c) => {
                self.name(&c.callee.text, c.callee.span, true, Some(c));
                c.args.iter().flatten().for_each(|a| self.expr(&a.value, false));
                for body in [&c.body, &c.otherwise].into_iter().flatten() {
                    self.declare(body);
                    for stmt in body {
                        match &stmt.kind {
                            StmtKind::Expr(e) => self.expr(e, true),
                            _ => self.body(std::slice::from_ref(stmt)),
                        }
                    }
                }
            }
            ExprKind::Index(base, _) => self.expr(base, false),
            ExprKind::List(items) => items.iter().for_each(|i| self.expr(i, false)),
            ExprKind::Range(a, b) => [a, b].into_iter().for_each(|i| self.expr(i, false)),
            ExprKind::Binary(first, rest) => {
                self.expr(first, false);
                rest.iter().for_each(|(_, _, x)| self.expr(x, false));
            }
            ExprKind::Pipe(first, rest) => {
                self.expr(first, layer);
                rest.iter().for_each(|(_, x)| self.expr(x, true));
            }
            _ => {}
        }
    }

    fn defined(&self, text: &str) -> bool {
        self.known.contains(text)
            || self.items.defs.contains_key(text)
            || self.items.consts.contains_key(text)
            || builtin::find(text).is_some()
            || WORDS.contains(&text)
            || ALWAYS.contains(&text)
    }

    fn name(&mut self, text: &str, span: Span, layer: bool, call: Option<&Call>) {
        if self.defined(text) {
            return;
        }
        let mut near: Vec<&str> = self.known.iter().map(String::as_str).collect();
        near.extend(self.items.defs.keys().map(String::as_str));
        if layer {
            let builtins: Vec<&str> = builtin::names().collect();
            near.extend(builtins);
            let error = errors::unknown_layer(span, text, &near);
            self.found.push(*renamed(error, text, span, call, self.items));
        } else {
            near.extend(self.items.consts.keys().map(String::as_str));
            let error = errors::undefined(span, text, &near);
            self.found.push(*renamed(error, text, span, call, self.items));
        }
    }
}
