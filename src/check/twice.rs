//! Names given twice within one definition or one list.
//!
//! In: the lists of names of a definition, a `scan`, the left side of a binding. Out: E0103 with both places. Invariant: of
//! two things with one name, none is silently the other.

use super::elaborate::{Elaborator, Res};
use super::errors::{self, Boxed};
use crate::base::Span;
use crate::syntax::ast::{Def, Ident, Slot, StmtKind, Target};
use std::collections::BTreeMap;

/// The names that a list has so far.
#[derive(Default)]
struct Seen<'a>(BTreeMap<&'a str, Span>);

impl<'a> Seen<'a> {
    fn add(&mut self, name: &'a Ident, what: &str) -> Option<Boxed> {
        let first = self.0.insert(&name.text, name.span)?;
        Some(errors::duplicate_name(first, name.span, what, &name.text))
    }
}

/// Settings, inputs, outputs, weights and states of a definition. An output may be the input of its name, changed, and a
/// setting may say whether there is a weight of its name.
pub fn within(def: &Def, errors: &mut Vec<Boxed>) {
    let (mut names, mut outputs, mut slots) = (Seen::default(), Seen::default(), Seen::default());
    for param in &def.params {
        errors.extend(names.add(&param.name, "the setting"));
    }
    for name in def.inputs.iter().filter_map(|p| p.name.as_ref()) {
        errors.extend(names.add(name, "the input"));
        slots.0.insert(&name.text, name.span);
    }
    for port in def.outputs.iter().filter(|p| p.ty.is_some()) {
        errors.extend(port.name.as_ref().and_then(|name| outputs.add(name, "the output")));
    }
    for stmt in &def.body {
        match &stmt.kind {
            StmtKind::Param(slot) => errors.extend(slots.add(&slot.name, "the parameter")),
            StmtKind::State(states) => errors.extend(states.iter().filter_map(|s| slots.add(&s.name, "the state"))),
            _ => {}
        }
    }
}

impl Elaborator<'_> {
    pub(super) fn each_named_once<'n>(&self, names: impl Iterator<Item = &'n Ident>, what: &str) -> Res<()> {
        let mut seen = Seen::default();
        for name in names {
            if let Some(d) = seen.add(name, what) {
                return Err(d);
            }
        }
        Ok(())
    }

    /// `a, b = …`
    pub(super) fn each_target_once(&self, targets: &[Target]) -> Res<()> {
        if targets.len() < 2 {
            return Ok(());
        }
        self.each_named_once(targets.iter().map(|t| &t.path[0]), "the name")
    }

    /// What a scan carries.
    pub(super) fn each_carried_once(&self, slots: &[Slot]) -> Res<()> {
        self.each_named_once(slots.iter().map(|s| &s.name), "the carried value")
    }
}
