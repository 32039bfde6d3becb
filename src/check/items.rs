//! All definitions by name: the user's and the library's.
//!
//! In: trees of files. Out: a table, or diagnostics for names given twice and definitions that contain themselves.
//! Invariant: a user's definition hides the library's of the same name.

use super::errors::{self, Boxed};
use super::library::split_arguments;
use super::sums::bounded;
use super::twice;
use crate::base::{FileId, SourceMap, Span};
use crate::syntax::ast::{Def, Expr, ExprKind, File, Ident, ItemKind, Stmt, StmtKind};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Default, Debug)]
pub struct Items {
    pub defs: BTreeMap<String, Arc<Def>>,
    pub consts: BTreeMap<String, (Ident, Arc<Expr>)>,
    /// Per definition the text behind `// Example:` above it.
    examples: BTreeMap<String, String>,
    library: BTreeSet<FileId>,
}

impl Items {
    /// Gathers the items of all files, the library's first.
    pub fn gather(sources: &SourceMap, files: &[(FileId, &File)]) -> (Items, Vec<Boxed>) {
        let library = sources.files().filter(|(_, f)| f.library).map(|(id, _)| id).collect();
        let mut items = Items { library, ..Items::default() };
        let mut errors = Vec::new();
        let mut seen: BTreeMap<String, Span> = BTreeMap::new();
        let mut trained: BTreeMap<&str, Span> = BTreeMap::new();
        for (id, file) in files {
            items.gather_examples(file);
            for item in &file.items {
                let name = match &item.kind {
                    ItemKind::Def(d) => &d.name,
                    ItemKind::Const { name, .. } | ItemKind::Data { name, .. } => name,
                    ItemKind::Train { alias: Some(name), .. } => name,
                    ItemKind::Train { model, data, .. } if !items.library.contains(id) => {
                        if let Some(first) = trained.insert(&model.text, model.span) {
                            errors.push(errors::trained_twice(first, model, data.span));
                        }
                        continue;
                    }
                    _ => continue,
                };
                if !items.library.contains(id)
                    && let Some(first) = seen.insert(name.text.clone(), name.span)
                {
                    errors.push(errors::duplicate_name(first, name.span, "the name", &name.text));
                    continue;
                }
                match &item.kind {
                    ItemKind::Def(d) => {
                        twice::within(d, &mut errors);
                        items.defs.insert(name.text.clone(), Arc::clone(d));
                    }
                    ItemKind::Const { value, .. } => {
                        items.consts.insert(name.text.clone(), (name.clone(), Arc::clone(value)));
                    }
                    _ => {}
                }
            }
        }
        items.find_cycles(&mut errors);
        (items, errors)
    }

    fn gather_examples(&mut self, file: &File) {
        for comment in &file.comments {
            let Some(text) = comment.text.strip_prefix("// Example:") else { continue };
            let next = file.items.partition_point(|i| i.span.start < comment.span.end);
            if let Some(ItemKind::Def(d)) = file.items.get(next).map(|i| &i.kind) {
                self.examples.insert(d.name.text.clone(), text.trim().to_string());
            }
        }
    }

    /// What the example of a definition gives for one of its settings, as written in parentheses: `lr = 0.01`, `16`.
    pub fn example(&self, def: &Def, setting: &str) -> Option<String> {
        let text = self.examples.get(&def.name.text)?;
        let call = text.find(&format!("{}(", def.name.text))?;
        let inside = &text[call + def.name.text.len() + 1..];
        let place = def.params.iter().position(|p| p.name.text == setting)?;
        let given = split_arguments(inside);
        let named = |a: &&str| a.split_once('=').is_some_and(|(name, _)| name.trim() == setting);
        let found = given.iter().copied().find(named);
        let by_place = || given.get(place).copied().filter(|a| !a.contains('=') && !a.is_empty());
        found.or_else(by_place).map(str::to_string)
    }

    pub fn is_library(&self, span: Span) -> bool {
        self.library.contains(&span.file)
    }

    /// Definitions and constants that reach themselves: elaboration would never end. The way down is a list, not calls: a
    /// chain of definitions may be as long as the file.
    fn find_cycles(&self, errors: &mut Vec<Boxed>) {
        let mut done: BTreeSet<String> = BTreeSet::new();
        for name in self.defs.keys().chain(self.consts.keys()) {
            let mut path: Vec<(String, std::vec::IntoIter<Ident>)> = vec![(name.clone(), self.uses(name))];
            let mut open: BTreeMap<String, usize> = BTreeMap::from([(name.clone(), 0)]);
            while let Some((_, uses)) = path.last_mut() {
                let Some(used) = uses.next() else {
                    let closed = path.pop().map(|(name, _)| name).unwrap_or_default();
                    open.remove(&closed);
                    done.insert(closed);
                    continue;
                };
                if let Some(at) = open.get(&used.text) {
                    let mut round: Vec<String> = path[*at..].iter().map(|(s, _)| s.clone()).collect();
                    round.push(used.text.clone());
                    errors.push(errors::cycle(used.span, &round));
                } else if !done.contains(&used.text) {
                    open.insert(used.text.clone(), path.len());
                    let uses = self.uses(&used.text);
                    path.push((used.text, uses));
                }
            }
        }
    }

    /// Whether what stands under `train { }` draws random numbers, itself or through a definition that it uses.
    pub fn draws(&self, body: &[Stmt]) -> bool {
        let mut names: Vec<&str> = Vec::new();
        for stmt in body {
            if let StmtKind::Phase { train: true, body } = &stmt.kind {
                names_in_body(body, &mut |text, _| names.push(text));
            }
        }
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        while let Some(name) = names.pop() {
            if name == "random" {
                return true;
            }
            if let Some(def) = self.defs.get(name).filter(|_| seen.insert(name)) {
                names_in_body(&def.body, &mut |text, _| names.push(text));
            }
        }
        false
    }

    /// The names that a constant or a definition mentions and that are not its own, each once; none for what is neither.
    fn uses(&self, name: &str) -> std::vec::IntoIter<Ident> {
        let def = self.defs.get(name).filter(|_| !self.consts.contains_key(name));
        let own = def.map(|d| own_names(d)).unwrap_or_default();
        let (mut seen, mut uses): (BTreeSet<&str>, _) = (BTreeSet::new(), Vec::new());
        let mut take = |text, span| {
            let known = |text: &str| self.consts.contains_key(text) || self.defs.contains_key(text);
            if !own.contains(text) && known(text) && seen.insert(text) {
                uses.push(Ident { text: text.to_string(), span });
            }
        };
        match (def, self.consts.get(name)) {
            (Some(def), _) => names_in_body(&def.body, &mut take),
            (None, Some((_, value))) => names_in_expr(value, &mut take),
            (None, None) => {}
        }
        uses.into_iter()
    }
}

/// Names that mean something of the definition's own, and so no other definition.
fn own_names(def: &Def) -> BTreeSet<&str> {
    let mut own: BTreeSet<&str> = def.params.iter().map(|p| p.name.text.as_str()).collect();
    own.extend(def.inputs.iter().filter_map(|p| p.name.as_ref()).map(|n| n.text.as_str()));
    let mut bodies: Vec<&[Stmt]> = vec![&def.body];
    while let Some(body) = bodies.pop() {
        for stmt in body {
            match &stmt.kind {
                StmtKind::Bind { targets, .. } => {
                    own.extend(targets.iter().filter_map(|t| t.path.first()).map(|n| n.text.as_str()));
                }
                StmtKind::Expr(Expr { kind: ExprKind::Call(c), .. }) => {
                    bodies.extend([&c.body, &c.otherwise].into_iter().flatten().map(Vec::as_slice));
                }
                StmtKind::Param(slot) => drop(own.insert(&slot.name.text)),
                StmtKind::State(slots) => own.extend(slots.iter().map(|s| s.name.text.as_str())),
                StmtKind::Phase { body, .. } => bodies.push(body),
                StmtKind::Scan { states, body, .. } => {
                    own.extend(states.iter().map(|s| s.name.text.as_str()));
                    bodies.push(body);
                }
                _ => {}
            }
        }
    }
    own
}

/// Calls `found` with the callees and names that a body mentions, in order of the text.
pub fn names_in_body<'a>(body: &'a [Stmt], found: &mut dyn FnMut(&'a str, Span)) {
    for stmt in body {
        match &stmt.kind {
            StmtKind::Bind { targets, value } => {
                let left: Vec<&Expr> = targets.iter().filter_map(|t| t.index.as_ref()).flatten().collect();
                names_beside_indices(&left, &[value], found);
            }
            StmtKind::Assert { condition, .. } => names_in_expr(condition, found),
            StmtKind::Expect(e) | StmtKind::Expr(e) => names_in_expr(e, found),
            StmtKind::Phase { body, .. } => names_in_body(body, found),
            StmtKind::Scan { args, body, .. } => {
                args.iter().for_each(|a| names_in_expr(&a.value, found));
                names_in_body(body, found);
            }
            _ => {}
        }
    }
}

/// The names in `values` apart from the indices that `bracket` brings, `t` and `u < n`, and the names in their bounds.
fn names_beside_indices<'a>(bracket: &[&'a Expr], values: &[&'a Expr], found: &mut dyn FnMut(&'a str, Span)) {
    let mut indices: Vec<&str> = Vec::new();
    for e in bracket {
        match (&e.kind, bounded(e)) {
            (ExprKind::Name(n), _) => indices.push(n),
            (_, Some((n, bound))) => {
                indices.push(n);
                names_in_expr(bound, found);
            }
            _ => {}
        }
    }
    let mut others = |text, span| {
        if !indices.contains(&text) {
            found(text, span);
        }
    };
    values.iter().for_each(|e| names_in_expr(e, &mut others));
}

pub fn names_in_expr<'a>(e: &'a Expr, found: &mut dyn FnMut(&'a str, Span)) {
    match &e.kind {
        ExprKind::Name(n) => found(n, e.span),
        ExprKind::Field(base, _) | ExprKind::Unary(_, base) | ExprKind::Paren(base) => names_in_expr(base, found),
        ExprKind::Call(c) => {
            found(&c.callee.text, c.callee.span);
            let bracket: Vec<&Expr> = c.axes.iter().flatten().collect();
            let values: Vec<&Expr> = c.args.iter().flatten().map(|a| &a.value).collect();
            names_beside_indices(&bracket, &values, found);
            for body in [&c.body, &c.otherwise].into_iter().flatten() {
                names_in_body(body, found);
            }
        }
        ExprKind::Index(base, items) => {
            names_in_expr(base, found);
            items.iter().for_each(|i| names_in_expr(i, found));
        }
        ExprKind::List(items) => items.iter().for_each(|i| names_in_expr(i, found)),
        ExprKind::Range(a, b) => [a, b].into_iter().for_each(|i| names_in_expr(i, found)),
        ExprKind::Binary(first, rest) => {
            names_in_expr(first, found);
            rest.iter().for_each(|(_, _, x)| names_in_expr(x, found));
        }
        ExprKind::Pipe(first, rest) => {
            names_in_expr(first, found);
            rest.iter().for_each(|(_, x)| names_in_expr(x, found));
        }
        _ => {}
    }
}
