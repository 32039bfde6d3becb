//! A statement without the bodies in it.
//!
//! In: a range of the scanned text. Out: a text in which each body is `{}`, with the way back to the source.
//! Invariant: a place in the text maps to the place in the source where its character stands.

use super::scan::Scan;
use crate::base::{FileId, Span};
use std::borrow::Cow;
use std::ops::Range;

pub(super) struct Skeleton<'a> {
    text: Cow<'a, str>,
    source: &'a str,
    range: Range<usize>,
    /// From this place of the text on, source = place + (second − first).
    cuts: Vec<(usize, usize)>,
}

impl<'a> Skeleton<'a> {
    pub fn new(scan: &'a Scan, source: &'a str, range: Range<usize>) -> Skeleton<'a> {
        let bytes = scan.text.as_bytes();
        let next = |from: usize| bytes[from..range.end].iter().position(|&b| b == b'{').map(|i| from + i);
        let Some(mut open) = next(range.start) else {
            return Skeleton { text: Cow::Borrowed(&scan.text[range.clone()]), source, range, cuts: Vec::new() };
        };
        let (mut text, mut cuts, mut from) = (String::new(), Vec::new(), range.start);
        loop {
            text.push_str(&scan.text[from..=open]);
            let brace = scan.brace(open);
            cuts.push((text.len(), brace.outer_end - 1));
            text.push('}');
            from = brace.outer_end.max(open + 1);
            cuts.push((text.len(), from));
            match next(from.min(range.end)) {
                Some(at) => open = at,
                None => break,
            }
        }
        text.push_str(&scan.text[from.min(range.end)..range.end]);
        Skeleton { text: Cow::Owned(text), source, range, cuts }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The place in the source of the character at `at`.
    pub fn source(&self, at: usize) -> usize {
        match self.cuts.partition_point(|c| c.0 <= at).checked_sub(1) {
            Some(i) => self.cuts[i].1 + (at - self.cuts[i].0),
            None => self.range.start + at,
        }
    }

    pub fn span(&self, file: FileId, start: usize, end: usize) -> Span {
        let from = self.source(start);
        let to = if end > start { self.source(end - 1) + 1 } else { from };
        self.rounded(file, from.min(self.range.end), to.min(self.range.end))
    }

    pub fn whole(&self, file: FileId) -> Span {
        self.rounded(file, self.range.start, self.range.end)
    }

    /// A sign that stands for a longer one outside ASCII ends inside it: the span takes all of it.
    fn rounded(&self, file: FileId, start: usize, mut end: usize) -> Span {
        while !self.source.is_char_boundary(end) {
            end += 1;
        }
        Span::new(file, start, end)
    }

    /// Where the bodies' `{` stand in the source.
    pub fn bodies(&self) -> Vec<usize> {
        self.cuts.chunks(2).map(|pair| self.source(pair[0].0 - 1)).collect()
    }

    /// The parts of the source outside the bodies.
    pub fn segments(&self) -> Vec<Range<usize>> {
        let (mut segments, mut from) = (Vec::new(), self.range.start);
        for pair in self.cuts.chunks(2) {
            segments.push(from..self.source(pair[0].0 - 1) + 1);
            from = pair[1].1.saturating_sub(1);
        }
        segments.push(from..self.range.end);
        segments
    }
}
