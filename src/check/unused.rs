//! What a file says and never uses.
//!
//! In: the user's definitions and what the runs reach. Out: W0201, and E0104 for an optimizer that moves nothing. Invariant:
//! a warning names something that could be left out without a change of any graph.

use super::errors;
use super::items::{names_in_body, names_in_expr};
use super::program::Checked;
use crate::base::{Diagnostic, FileId, Span};
use crate::syntax::ast::{Def, DefKind, ExprKind, File, Ident, ItemKind, Port, Slot, Stmt, StmtKind, TypeExpr};
use std::collections::BTreeSet;

/// Definitions and constants that nothing names.
pub fn definitions(checked: &Checked, users: &[&(FileId, &File)], found: &mut Vec<Diagnostic>) {
    let mut used: BTreeSet<&str> = checked.runs.iter().map(|r| r.spec.model.as_str()).collect();
    let mut take = |name, _| {
        used.insert(name);
    };
    for (_, file) in users {
        for item in &file.items {
            match &item.kind {
                ItemKind::Def(d) => names_in_def(d, &mut take),
                ItemKind::Train { body, args, .. } => {
                    names_in_body(body, &mut take);
                    args.iter().for_each(|a| names_in_expr(&a.value, &mut take));
                }
                ItemKind::Const { value, .. } => names_in_expr(value, &mut take),
                ItemKind::Data { reader, body, .. } => {
                    names_in_expr(reader, &mut take);
                    names_in_body(body, &mut take);
                    types_of(body).for_each(|t| names_in_type(t, &mut take));
                }
                _ => {}
            }
        }
    }
    for (_, file) in users {
        for item in &file.items {
            let (what, name) = match &item.kind {
                ItemKind::Def(d) if d.kind != DefKind::Model => ("the definition", &d.name),
                ItemKind::Const { name, .. } => ("the constant", name),
                _ => continue,
            };
            if !used.contains(name.text.as_str()) {
                found.push(errors::unused(name.span, what, &name.text));
            }
        }
    }
}

/// Settings, inputs and states of one definition that its body never names, and a weight that an optimizer never assigns.
pub fn within(def: &Def, found: &mut Vec<Diagnostic>) {
    let mut names = BTreeSet::new();
    names_in_def(def, &mut |name, _| {
        names.insert(name);
    });
    let used = |name: &Ident| names.contains(name.text.as_str());
    let settings = def.params.iter().map(|p| &p.name).filter(|n| n.text != "body");
    let unused = settings.filter(|n| !used(n)).map(|n| errors::unused(n.span, "the setting", &n.text));
    found.extend(unused);
    if def.kind == DefKind::Optimizer {
        let mut targets = Vec::new();
        assigned(&def.body, &mut targets);
        if let Some(w) = def.inputs.first().and_then(|p| p.name.as_ref())
            && !targets.contains(&w.text.as_str())
        {
            found.push(*errors::weight_never_assigned(def.name.span, &def.name.text, &w.text));
        }
        let mut slots = Vec::new();
        states(&def.body, &mut slots);
        let still = slots.into_iter().filter(|s| !targets.contains(&s.name.text.as_str()));
        found.extend(still.map(|s| errors::never_changed(s.name.span, &s.name.text)));
    } else {
        let inputs = def.inputs.iter().filter_map(|p| p.name.as_ref());
        found.extend(inputs.filter(|n| !used(n)).map(|n| errors::unused(n.span, "the input", &n.text)));
    }
}

fn names_in_def<'a>(def: &'a Def, out: &mut dyn FnMut(&'a str, Span)) {
    names_in_body(&def.body, out);
    def.params.iter().filter_map(|p| p.default.as_ref()).for_each(|e| names_in_expr(e, out));
    let ports = def.inputs.iter().chain(&def.outputs);
    ports.filter_map(|p: &Port| p.ty.as_ref()).for_each(|t| names_in_type(t, out));
    let mut found = Vec::new();
    states(&def.body, &mut found);
    slots(&def.body, &mut found);
    for slot in found {
        slot.init.iter().for_each(|e| names_in_expr(e, out));
        slot.ty.iter().for_each(|t| names_in_type(t, out));
    }
    // A block whose last statement names its result by the output's name reads it.
    def.outputs.iter().filter_map(|p| p.name.as_ref()).for_each(|n| out(&n.text, n.span));
}

fn names_in_type<'a>(t: &'a TypeExpr, out: &mut dyn FnMut(&'a str, Span)) {
    t.args.iter().chain(t.dims.iter().flatten()).for_each(|e| names_in_expr(e, out));
}

fn types_of(body: &[Stmt]) -> impl Iterator<Item = &TypeExpr> {
    body.iter().flat_map(|s| match &s.kind {
        StmtKind::Bind { targets, .. } => targets.iter().filter_map(|t| t.ty.as_deref()).collect::<Vec<_>>(),
        StmtKind::Field { ty, .. } => vec![ty.as_ref()],
        _ => vec![],
    })
}

/// The bodies that stand inside a statement: of `train { }`, `scan { }` and `if { } else { }`.
fn bodies(stmt: &Stmt) -> Vec<&[Stmt]> {
    match &stmt.kind {
        StmtKind::Phase { body, .. } | StmtKind::Scan { body, .. } => vec![body],
        StmtKind::Expr(e) => match &e.kind {
            ExprKind::Call(c) => [&c.body, &c.otherwise].into_iter().flatten().map(Vec::as_slice).collect(),
            _ => vec![],
        },
        _ => vec![],
    }
}

fn assigned<'a>(body: &'a [Stmt], out: &mut Vec<&'a str>) {
    for stmt in body {
        if let StmtKind::Bind { targets, .. } = &stmt.kind {
            out.extend(targets.iter().filter_map(|t| t.path.first()).map(|n| n.text.as_str()));
        }
        bodies(stmt).into_iter().for_each(|b| assigned(b, out));
    }
}

fn states<'a>(body: &'a [Stmt], out: &mut Vec<&'a Slot>) {
    for stmt in body {
        match &stmt.kind {
            StmtKind::State(slots) | StmtKind::Scan { states: slots, .. } => out.extend(slots),
            _ => {}
        }
        bodies(stmt).into_iter().for_each(|b| states(b, out));
    }
}

fn slots<'a>(body: &'a [Stmt], out: &mut Vec<&'a Slot>) {
    for stmt in body {
        if let StmtKind::Param(slot) = &stmt.kind {
            out.push(slot);
        }
        bodies(stmt).into_iter().for_each(|b| slots(b, out));
    }
}
