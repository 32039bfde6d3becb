//! Squares of elements that are read along one loop and used along another.
//!
//! In: a load that is contiguous along a jam and scattered along the vector, with as many iterations as lanes in both. Out: whole
//! registers read and exchanged. Invariant: the same elements as if each were loaded by itself.

use super::analysis::element_bytes;
use super::emit::{Coord, Emitter, memory, vector_type, with};
use super::pseudo::{self, Pseudo};
use crate::loops::ir::*;
use cranelift_codegen::ir::{InstBuilder, Value};

impl Emitter<'_, '_> {
    /// The jam and the vector dimension of a load that is worth exchanging.
    pub fn square(&self, val: Val, mask: Option<Val>) -> Option<(usize, usize)> {
        let vector = self.dims.iter().position(|d| d.active == self.native)?;
        let own = self.masks[val.0 as usize];
        let jam = (0..self.dims.len()).find(|&d| d != vector && own == 1 << d | 1 << vector)?;
        let site = &self.sites[self.load_sites[&val]];
        let stride = |dim: usize| {
            let var = Term::Var(self.dims[dim].var);
            site.linear.terms.iter().find(|(t, _)| *t == var).and_then(|(_, c)| c.fixed())
        };
        // A row number that differs among the copies would be taken from the first of them.
        let differs = |v: Val| self.masks[v.0 as usize] & own != 0;
        let plain = site.linear.terms.iter().all(|(t, _)| !matches!(t, Term::Val(v) if differs(*v)));
        let one = element_bytes(self.dtype(val));
        let fits = self.native > 4 && self.dims[jam].count == self.native && mask.is_none() && plain;
        (fits && stride(jam) == Some(one) && stride(vector).is_some_and(|s| s != one && s != 0))
            .then_some((jam, vector))
    }

    /// The copies of such a load, in the order of its coordinates.
    pub fn load_square(&mut self, val: Val, mask: Option<Val>) -> Option<Vec<Value>> {
        let (jam, vector) = self.square(val, mask)?;
        let (site, ty) = (self.load_sites[&val], vector_type(self.dtype(val), self.native));
        let square = vec![ty; self.native];
        let transpose = pseudo::declare(self.b.func, Pseudo::Transpose, &square, &square);
        let mut groups: Vec<Vec<Value>> = Vec::new();
        for group in 0..self.dims[vector].count {
            let coord: Coord = with([0; super::emit::MAX_DIMS], vector, group);
            let mut rows = Vec::new();
            for lane in 0..self.native {
                let (base, offset) = self.address(site, &coord, lane);
                rows.push(self.b.ins().load(ty, memory(), base, offset));
            }
            let call = self.b.ins().call(transpose, &rows);
            groups.push(self.b.inst_results(call).to_vec());
        }
        let coords = self.coords(self.masks[val.0 as usize]);
        Some(coords.iter().map(|c| groups[c[vector]][c[jam]]).collect())
    }
}
