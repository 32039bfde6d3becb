//! Straight code between loops, one copy after the other.
//!
//! In: statements without a loop among them. Out: their instructions. Invariant: each copy is written with the same
//! instructions in the same order as where all copies of a statement stand side by side.
//!
//! Behind a contraction stand as many sums as there are registers. Were each statement written for all of them at once, all
//! of its results would be alive together, and the allocator would keep the sums in memory, inside their loop, too.

use super::emit::{Emitter, Mask, Slot};
use crate::loops::ir::*;
use std::collections::BTreeSet;

/// Fewer copies than this fit into the registers side by side, and their chains of instructions overlap.
const COPIES: usize = 8;

impl<'a> Emitter<'a, '_> {
    /// Writes the statements of a block; what it defines stays known until [`Emitter::forget`].
    pub fn block(&mut self, body: &'a [Stmt]) {
        let mut rest = body;
        while let Some(first) = rest.first() {
            let straight = rest.iter().take_while(|s| !matches!(s, Stmt::Loop(_))).count();
            if straight > 1 && self.apart(&rest[..straight]) {
                self.one_by_one(&rest[..straight]);
            } else {
                rest[..straight].iter().for_each(|stmt| self.statement(stmt));
            }
            rest = &rest[straight..];
            if let (0, Stmt::Loop(inner)) = (straight, first) {
                self.repeat(inner);
                rest = &rest[1..];
            }
        }
    }

    fn statement(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::Let(val) => self.inst(*val),
            Stmt::Store { value, .. } => self.store(self.store_site(stmt), *value),
            Stmt::Loop(inner) => self.repeat(inner),
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
        let (mut stored, mut loaded, mut whole) = (BTreeSet::new(), BTreeSet::new(), true);
        for stmt in run {
            match stmt {
                Stmt::Let(val) => {
                    if let Inst::Load { buffer, .. } = &self.kernel.insts[val.0 as usize] {
                        loaded.insert(*buffer);
                    }
                }
                Stmt::Store { buffer, value, .. } => {
                    whole &= self.store_mask(self.store_site(stmt), *value) == self.all();
                    stored.insert(*buffer);
                }
                Stmt::Loop(_) => {}
            }
        }
        copies >= COPIES && self.vector_bit() != 0 && whole && stored.is_disjoint(&loaded)
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
