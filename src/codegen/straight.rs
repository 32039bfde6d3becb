//! Straight code between loops, one copy after the other.
//!
//! In: statements without a loop among them. Out: their instructions. Invariant: each copy is written with the same
//! instructions in the same order as where all copies of a statement stand side by side.
//!
//! Behind a contraction stand as many sums as there are registers. Were each statement written for all of them at once, all
//! of its results would be alive together, and the allocator would keep the sums in memory, inside their loop, too.

use super::emit::{Emitter, Mask, Slot};
use crate::loops::ir::*;
use std::collections::{BTreeMap, BTreeSet};

/// Fewer copies than this fit into the registers side by side, and their chains of instructions overlap.
const COPIES: usize = 8;

impl<'a> Emitter<'a, '_> {
    /// Writes the statements of a block; what it defines stays known until [`Emitter::forget`].
    pub fn block(&mut self, body: &'a [Stmt]) {
        for part in body.chunk_by(|a, b| !matches!(a, Stmt::Loop(_)) && !matches!(b, Stmt::Loop(_))) {
            if part.len() > 1 && self.apart(part) {
                self.one_by_one(part);
                continue;
            }
            for stmt in part {
                match stmt {
                    Stmt::Let(val) => self.inst(*val),
                    Stmt::Store { value, .. } => self.store(self.store_site(stmt), *value),
                    Stmt::Loop(inner) => self.repeat(inner),
                }
            }
        }
    }

    fn store_site(&self, stmt: &Stmt) -> usize {
        self.store_sites[&std::ptr::from_ref(stmt)]
    }

    /// All open dimensions.
    fn all(&self) -> Mask {
        (1 << self.dims.len()) - 1
    }

    /// Whether the copies of these statements may be written one after the other, and there are many.
    fn apart(&self, run: &[Stmt]) -> bool {
        let copies: usize = self.dims.iter().map(|d| d.count).product();
        let (mut stored, mut loaded, mut whole) = (BTreeMap::new(), Vec::new(), true);
        for stmt in run {
            match stmt {
                Stmt::Let(val) => {
                    if let Inst::Load { buffer, at, .. } = &self.kernel.insts[val.0 as usize] {
                        whole &= !stored.contains_key(buffer);
                        loaded.push((buffer, at));
                    }
                }
                Stmt::Store { buffer, at, value } => {
                    whole &= self.store_mask(self.store_site(stmt), *value) == self.all();
                    whole &= stored.insert(buffer, at).is_none_or(|before| before == at);
                }
                Stmt::Loop(_) => {}
            }
        }
        // In place, a copy reads what it writes itself, before it does so, and nothing that another one writes.
        let own = loaded.iter().all(|(buffer, at)| stored.get(buffer).is_none_or(|written| written == at));
        copies >= COPIES && self.vector_bit() != 0 && whole && own
    }

    fn one_by_one(&mut self, run: &'a [Stmt]) {
        let (all, mut late) = (self.all(), BTreeSet::new());
        for stmt in run {
            let Stmt::Let(val) = stmt else { continue };
            let square = match &self.kernel.insts[val.0 as usize] {
                Inst::Load { mask, .. } => self.square(*val, *mask).is_some(),
                _ => false,
            };
            if self.masks[val.0 as usize] == all && !square {
                late.insert(*val);
                self.slots[val.0 as usize] = Some(Slot::default());
            } else {
                self.inst(*val);
            }
        }
        for coord in self.coords(all) {
            for stmt in run {
                match stmt {
                    Stmt::Let(val) if late.contains(val) => {
                        let copy = self.copy(*val, &coord);
                        let slot = self.slots[val.0 as usize].as_mut();
                        slot.expect("invariant: it was made above").copies.push(copy);
                    }
                    Stmt::Store { value, .. } => self.store_copy(self.store_site(stmt), *value, all, &coord),
                    _ => {}
                }
            }
        }
    }
}
