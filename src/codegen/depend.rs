//! Which replicated loops each value differs among.
//!
//! In: the open dimensions. Out: the masks of the values of a body, and which of them a vector needs in all lanes.
//! Invariant: a value's mask contains the masks of all that it is computed from.

use super::emit::{Emitter, Mask};
use crate::loops::ir::*;

impl<'a> Emitter<'a, '_> {
    /// Sets the masks of what `body` defines.
    pub fn depend(&mut self, body: &'a [Stmt]) {
        let kernel = self.kernel;
        for stmt in body {
            match stmt {
                Stmt::Let(val) => {
                    let mask = self.mask_of(&kernel.insts[val.0 as usize]);
                    self.masks[val.0 as usize] = mask;
                    if mask & self.vector_bit() != 0
                        && let Inst::Scalar { args, .. } = &kernel.insts[val.0 as usize]
                    {
                        args.iter().for_each(|&arg| self.want(arg));
                    }
                }
                Stmt::Store { at, value, .. } => {
                    let mask = at.iter().flat_map(|i| &i.terms).fold(0, |m, (_, t)| m | self.term_mask(t));
                    if mask & self.vector_bit() != 0 {
                        self.want(*value);
                    }
                }
                Stmt::Loop(inner) => {
                    self.depend_on_carries(inner, 0);
                }
            }
        }
    }

    /// Sets the masks of a loop's body and of what it carries: the least that is the same before and after an iteration and
    /// contains `least`.
    pub fn depend_on_carries(&mut self, inner: &'a Loop, least: Mask) -> Vec<Mask> {
        let mut masks: Vec<Mask> = inner.carries.iter().map(|c| self.masks[c.init.0 as usize] | least).collect();
        loop {
            for (carry, &mask) in inner.carries.iter().zip(&masks) {
                self.masks[carry.current.0 as usize] = mask;
            }
            self.depend(&inner.body);
            let after: Vec<Mask> =
                inner.carries.iter().zip(&masks).map(|(c, m)| m | self.masks[c.next.0 as usize]).collect();
            if after == masks {
                break;
            }
            masks = after;
        }
        for (carry, &mask) in inner.carries.iter().zip(&masks) {
            self.masks[carry.result.0 as usize] = mask;
            if mask & self.vector_bit() != 0 {
                self.want(carry.init);
                self.want(carry.next);
            }
        }
        masks
    }

    fn want(&mut self, val: Val) {
        if !self.is_vector(val) {
            self.wanted[val.0 as usize] = true;
        }
    }

    fn mask_of(&self, inst: &Inst) -> Mask {
        let of = |val: Val| self.masks[val.0 as usize];
        let affine = |index: &Affine| index.terms.iter().fold(0, |m, (_, t)| m | self.term_mask(t));
        match inst {
            Inst::Const { .. } | Inst::Current | Inst::Result => 0,
            Inst::Load { at, mask, .. } => at.iter().fold(mask.map_or(0, of), |m, index| m | affine(index)),
            Inst::Scalar { args, .. } => args.iter().fold(0, |m, &arg| m | of(arg)),
            Inst::Index(index) | Inst::Div { index, .. } | Inst::Rem { index, .. } | Inst::InRange { index, .. } => {
                affine(index)
            }
        }
    }

    /// Makes the lanes of values from outside that a loop is about to use in vectors.
    pub fn splat_wanted(&mut self) {
        for v in 0..self.slots.len() {
            let val = Val(v as u32);
            if !self.wanted[v] || self.is_vector(val) {
                continue;
            }
            if let Some(slot) = self.slots[v].clone()
                && slot.splats.is_empty()
            {
                self.define(val, slot.copies);
            }
        }
    }
}
