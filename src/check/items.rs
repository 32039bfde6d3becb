//! All definitions by name: the user's and the library's.
//!
//! In: trees of files. Out: a table, or diagnostics for names given twice and definitions that contain themselves.
//! Invariant: a user's definition hides the library's of the same name.

use super::errors::{self, Boxed};
use crate::base::{FileId, SourceMap, Span};
use crate::syntax::ast::{Def, Expr, ExprKind, File, Ident, ItemKind, Stmt, StmtKind};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

#[derive(Default, Debug)]
pub struct Items {
    pub defs: BTreeMap<String, Rc<Def>>,
    pub consts: BTreeMap<String, (Ident, Expr)>,
    library: BTreeSet<FileId>,
}

impl Items {
    /// Gathers the items of all files, the library's first.
    pub fn gather(sources: &SourceMap, files: &[(FileId, &File)]) -> (Items, Vec<Boxed>) {
        let library = sources.files().filter(|(_, f)| f.library).map(|(id, _)| id).collect();
        let mut items = Items { library, ..Items::default() };
        let mut errors = Vec::new();
        let mut seen: BTreeMap<String, Span> = BTreeMap::new();
        for (id, file) in files {
            for item in &file.items {
                let name = match &item.kind {
                    ItemKind::Def(d) => &d.name,
                    ItemKind::Const { name, .. } | ItemKind::Data { name, .. } => name,
                    ItemKind::Train { alias: Some(name), .. } => name,
                    _ => continue,
                };
                if !items.library.contains(id)
                    && let Some(first) = seen.insert(name.text.clone(), name.span)
                {
                    errors.push(errors::duplicate(first, name.span, "the name", &name.text));
                    continue;
                }
                match &item.kind {
                    ItemKind::Def(d) => {
                        duplicates_within(d, &mut errors);
                        items.defs.insert(name.text.clone(), Rc::new(d.clone()));
                    }
                    ItemKind::Const { value, .. } => {
                        items.consts.insert(name.text.clone(), (name.clone(), value.clone()));
                    }
                    _ => {}
                }
            }
        }
        items.find_cycles(&mut errors);
        (items, errors)
    }

    pub fn is_library(&self, span: Span) -> bool {
        self.library.contains(&span.file)
    }

    /// Definitions that reach themselves: elaboration would never end.
    fn find_cycles(&self, errors: &mut Vec<Boxed>) {
        let mut done: BTreeSet<&str> = BTreeSet::new();
        for name in self.defs.keys() {
            let mut path: Vec<&str> = Vec::new();
            self.walk(name, &mut path, &mut done, errors);
        }
        let mut reaching: BTreeSet<&str> = BTreeSet::new();
        for (name, (ident, value)) in &self.consts {
            let mut names = Vec::new();
            names_in_expr(value, &mut names);
            if names.iter().any(|n| n.text == *name) && reaching.insert(name) {
                errors.push(errors::cycle(ident.span, &[name.clone(), name.clone()]));
            }
        }
    }

    fn walk<'s>(
        &'s self,
        name: &'s str,
        path: &mut Vec<&'s str>,
        done: &mut BTreeSet<&'s str>,
        errors: &mut Vec<Boxed>,
    ) {
        let Some((name, def)) = self.defs.get_key_value(name) else { return };
        if done.contains(name.as_str()) {
            return;
        }
        path.push(name);
        let mut names = Vec::new();
        names_in_body(&def.body, &mut names);
        let own = own_names(def);
        for used in names.into_iter().filter(|n| !own.contains(n.text.as_str())) {
            if let Some(at) = path.iter().position(|p| *p == used.text) {
                let mut round: Vec<String> = path[at..].iter().map(|s| s.to_string()).collect();
                round.push(used.text.clone());
                errors.push(errors::cycle(used.span, &round));
            } else if let Some((key, _)) = self.defs.get_key_value(&used.text) {
                self.walk(key, path, done, errors);
            }
        }
        path.pop();
        done.insert(name);
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

fn duplicates_within(def: &Def, errors: &mut Vec<Boxed>) {
    let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
    for p in &def.params {
        if let Some(first) = seen.insert(&p.name.text, p.name.span) {
            errors.push(errors::duplicate(first, p.name.span, "the setting", &p.name.text));
        }
    }
    let mut slots: BTreeMap<&str, Span> = BTreeMap::new();
    for stmt in &def.body {
        if let StmtKind::Param(slot) = &stmt.kind
            && let Some(first) = slots.insert(&slot.name.text, slot.name.span)
        {
            errors.push(errors::duplicate(first, slot.name.span, "the parameter", &slot.name.text));
        }
    }
}

/// The callees and names that a body mentions, in order of the text.
pub fn names_in_body(body: &[Stmt], out: &mut Vec<Ident>) {
    for stmt in body {
        match &stmt.kind {
            StmtKind::Bind { value, .. } => names_in_expr(value, out),
            StmtKind::Assert { condition, .. } => names_in_expr(condition, out),
            StmtKind::Expect(e) | StmtKind::Expr(e) => names_in_expr(e, out),
            StmtKind::Phase { body, .. } => names_in_body(body, out),
            StmtKind::Scan { body, .. } => names_in_body(body, out),
            _ => {}
        }
    }
}

pub fn names_in_expr(e: &Expr, out: &mut Vec<Ident>) {
    match &e.kind {
        ExprKind::Name(n) => out.push(Ident { text: n.clone(), span: e.span }),
        ExprKind::Field(base, _) | ExprKind::Unary(_, base) | ExprKind::Paren(base) => names_in_expr(base, out),
        ExprKind::Call(c) => {
            out.push(c.callee.clone());
            for a in c.args.iter().flatten() {
                names_in_expr(&a.value, out);
            }
            for body in [&c.body, &c.otherwise].into_iter().flatten() {
                names_in_body(body, out);
            }
        }
        ExprKind::Index(base, items) => {
            names_in_expr(base, out);
            items.iter().for_each(|i| names_in_expr(i, out));
        }
        ExprKind::List(items) => items.iter().for_each(|i| names_in_expr(i, out)),
        ExprKind::Range(a, b) => [a, b].into_iter().for_each(|i| names_in_expr(i, out)),
        ExprKind::Binary(first, rest) => {
            names_in_expr(first, out);
            rest.iter().for_each(|(_, _, x)| names_in_expr(x, out));
        }
        ExprKind::Pipe(first, rest) => {
            names_in_expr(first, out);
            rest.iter().for_each(|(_, x)| names_in_expr(x, out));
        }
        _ => {}
    }
}
