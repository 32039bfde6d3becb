//! The kernels of a program in the order of their running, with what is repeated.
//!
//! In: a program. Out: a tree of kernels and repeats. Invariant: every kernel occurs once, and every repeat that has kernels.

use super::ir::*;
use std::iter::Peekable;

/// A kernel or a repeat, by number.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    Kernel(usize),
    Repeat(usize, Vec<Part>),
}

impl Program {
    pub fn tree(&self) -> Vec<Part> {
        let mut order: Vec<usize> = (0..self.repeats.len()).collect();
        // Of two repeats that begin together, the longer one is around the other; of equal ones, the earlier.
        order.sort_by_key(|&r| {
            let range = &self.repeats[r].kernels;
            (range.start, std::cmp::Reverse(range.end), r)
        });
        order.retain(|&r| !self.repeats[r].kernels.is_empty());
        let mut next = order.into_iter().peekable();
        self.parts(0, self.kernels.len() as u32, &mut next)
    }

    fn parts(&self, from: u32, to: u32, next: &mut Peekable<std::vec::IntoIter<usize>>) -> Vec<Part> {
        let (mut parts, mut at) = (vec![], from);
        while at < to {
            match next.next_if(|&r| self.repeats[r].kernels.start == at) {
                Some(r) => {
                    let end = self.repeats[r].kernels.end;
                    parts.push(Part::Repeat(r, self.parts(at, end, next)));
                    at = end;
                }
                None => {
                    parts.push(Part::Kernel(at as usize));
                    at += 1;
                }
            }
        }
        parts
    }

    /// The repeats around a kernel, outermost first.
    pub fn around(&self, kernel: usize) -> Vec<usize> {
        let inside = |&r: &usize| self.repeats[r].kernels.contains(&(kernel as u32));
        let mut around: Vec<usize> = (0..self.repeats.len()).filter(inside).collect();
        around.sort_by_key(|&r| (std::cmp::Reverse(self.repeats[r].kernels.len()), r));
        around
    }
}
