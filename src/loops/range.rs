//! Arithmetic of affine index forms.
//!
//! In: affine forms and the ranges of their terms. Out: normal forms and ranges. Invariant: a range holds every value that
//! the form can take; `None` on a side means that nothing is known there.

use super::ir::{Affine, Term};

/// Bounds of an index, both included.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Range {
    pub low: Option<i64>,
    pub high: Option<i64>,
}

impl Range {
    pub fn of(low: i64, high: i64) -> Range {
        Range { low: Some(low), high: Some(high) }
    }

    /// `self * factor`; an overflow widens to unknown.
    pub fn scale(self, factor: i64) -> Range {
        let by = |side: Option<i64>| side.and_then(|x| x.checked_mul(factor));
        match factor >= 0 {
            true => Range { low: by(self.low), high: by(self.high) },
            false => Range { low: by(self.high), high: by(self.low) },
        }
    }

    pub fn plus(self, other: Range) -> Range {
        let sum = |a: Option<i64>, b: Option<i64>| a.zip(b).and_then(|(a, b)| a.checked_add(b));
        Range { low: sum(self.low, other.low), high: sum(self.high, other.high) }
    }

    pub fn quotient(self, by: u64) -> Range {
        let by = by as i64;
        Range { low: self.low.map(|x| x.div_euclid(by)), high: self.high.map(|x| x.div_euclid(by)) }
    }

    pub fn remainder(self, by: u64) -> Range {
        if self.within(by) { self } else { Range::of(0, by as i64 - 1) }
    }

    /// Whether all values lie in `0..extent`.
    pub fn within(self, extent: u64) -> bool {
        self.low.is_some_and(|low| low >= 0) && self.high.is_some_and(|high| (high as u64) < extent)
    }
}

impl Affine {
    pub fn constant(constant: i64) -> Affine {
        Affine { terms: vec![], constant }
    }

    pub fn term(term: Term) -> Affine {
        Affine { terms: vec![(1, term)], constant: 0 }
    }

    /// The sum of multiples, in normal form: terms in order, each once, none with factor 0.
    pub fn sum<'a>(parts: impl IntoIterator<Item = (i64, &'a Affine)>, constant: i64) -> Affine {
        let mut out = Affine::constant(constant);
        for (factor, part) in parts {
            out.constant += factor * part.constant;
            out.terms.extend(part.terms.iter().map(|&(f, t)| (factor * f, t)));
        }
        out.terms.sort_by_key(|&(_, t)| t);
        out.terms.dedup_by(|next, kept| {
            let same = next.1 == kept.1;
            if same {
                kept.0 += next.0;
            }
            same
        });
        out.terms.retain(|&(f, _)| f != 0);
        out
    }

    /// The term that this form is, if it is one alone.
    pub fn as_term(&self) -> Option<Term> {
        match (self.terms.as_slice(), self.constant) {
            (&[(1, term)], 0) => Some(term),
            _ => None,
        }
    }

    /// The factor of `term`, 0 if it does not occur.
    pub fn factor(&self, term: Term) -> i64 {
        self.terms.iter().find(|&&(_, t)| t == term).map_or(0, |&(f, _)| f)
    }

    pub fn range(&self, of: impl Fn(Term) -> Range) -> Range {
        let start = Range::of(self.constant, self.constant);
        self.terms.iter().fold(start, |sum, &(f, t)| sum.plus(of(t).scale(f)))
    }
}
