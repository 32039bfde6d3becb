//! The names under which layers keep their weights, and which layer has which.
//!
//! In: the name or the place of a call. Out: a path, `repeat.dense2`, and a number for the origin of what is called.
//! Invariant: a layer that is applied again has its path again, and no other layer has it.

use super::elaborate::Elaborator;
use super::value::{Kept, join};
use crate::base::Span;
use std::collections::BTreeMap;

/// Where layers come from.
#[derive(Default)]
pub struct Origins {
    /// The origin of a call by that of the place where it stands.
    calls: BTreeMap<(u32, Span), u32>,
    /// The origin of the layer that has a path.
    owners: BTreeMap<String, u32>,
}

impl Origins {
    /// Whether the path belongs to the layer of this origin; the first that asks gets it.
    pub fn own(&mut self, path: &str, origin: u32) -> bool {
        *self.owners.entry(path.to_string()).or_insert(origin) == origin
    }
}

impl Elaborator<'_> {
    /// A new path below the current one: `dense`, `dense2`, … One that a layer of another origin has, be it of a body that
    /// has its names from here, is passed over.
    pub(super) fn fresh_path(&mut self, name: &str, origin: u32) -> String {
        if std::mem::take(&mut self.frame().nameless) {
            return self.frame().path.clone();
        }
        loop {
            let frame = self.frame();
            let n = frame.counters.entry(name.to_string()).or_insert(0);
            *n += 1;
            let part = if *n == 1 { name.to_string() } else { format!("{name}{n}") };
            let path = join(&frame.path, &part);
            if self.origins.own(&path, origin) {
                return path;
            }
        }
    }

    /// The origin of what the call at `span` makes.
    pub(super) fn origin(&mut self, within: u32, span: Span) -> u32 {
        let next = self.origins.calls.len() as u32 + 1;
        *self.origins.calls.entry((within, span)).or_insert(next)
    }

    /// Another path for the names below, counted from these; gives back what was before.
    pub fn swap_path(&mut self, path: String, counters: BTreeMap<String, usize>) -> (String, BTreeMap<String, usize>) {
        let frame = self.frame();
        (std::mem::replace(&mut frame.path, path), std::mem::replace(&mut frame.counters, counters))
    }

    /// The name of something that the user named with `=`.
    pub fn kept(&mut self, name: &str) -> Kept {
        let frame = self.frame();
        Kept { path: join(&frame.path, name), within: frame.origin }
    }
}
