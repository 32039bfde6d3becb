//! A statement without the bodies in it.
//!
//! In: a range of the scanned text. Out: a text in which each body is `{}`, with the way back to the source; what is long
//! has its beginning only, and the range where it goes on. Invariant: a place in the text maps to the place in the source
//! where its character stands.

use super::scan::Scan;
use crate::base::{FileId, Span};
use std::borrow::Cow;
use std::ops::Range;

/// The grammar reads so many bytes of one bracket level at a time: its tokens take twenty times the memory of the text.
const PIECE: usize = 16 << 10;

/// What a range is, and so where it may be cut when it is long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// A head of an item: only what stands in brackets goes on elsewhere.
    Head,
    Statement,
    /// Operands and operators that follow others.
    Row,
    /// Elements that follow others: each has a comma before it.
    List,
}

pub(super) struct Skeleton<'a> {
    text: Cow<'a, str>,
    source: &'a str,
    range: Range<usize>,
    /// From this place of the text on, source = place + (second − first).
    cuts: Vec<(usize, usize)>,
    /// Of each body, where its `{` stands and where the source goes on behind it.
    bodies: Vec<(usize, usize)>,
    tails: Vec<Tail>,
}

/// Where a long row or list goes on: the text has its beginning only.
struct Tail {
    at: usize,
    list: bool,
    range: Range<usize>,
}

impl<'a> Skeleton<'a> {
    pub fn new(scan: &'a Scan, source: &'a str, range: Range<usize>, form: Form) -> Skeleton<'a> {
        let bytes = &scan.text.as_bytes()[..range.end];
        let (cuts, bodies, tails) = (Vec::new(), Vec::new(), Vec::new());
        if range.len() <= PIECE && !bytes[range.start..].contains(&b'{') {
            let text = Cow::Borrowed(&scan.text[range.clone()]);
            return Skeleton { text, source, range, cuts, bodies, tails };
        }
        let text = String::new();
        let (from, at, end) = (range.start, range.start, range.end);
        let mut cutter = Cutter { scan, bytes, form, text, from, at, end, levels: vec![0], cuts, bodies, tails };
        cutter.run();
        let Cutter { text, cuts, bodies, tails, .. } = cutter;
        Skeleton { text: Cow::Owned(text), source, range, cuts, bodies, tails }
    }

    /// What follows the row that ends at `at`.
    pub fn row_tail(&self, at: usize) -> Option<Range<usize>> {
        self.tail(at, false)
    }

    /// What follows the elements whose closing bracket stands at `at`.
    pub fn list_tail(&self, at: usize) -> Option<Range<usize>> {
        self.tail(at, true)
    }

    fn tail(&self, at: usize, list: bool) -> Option<Range<usize>> {
        let first = self.tails.partition_point(|t| t.at < at);
        let mut here = self.tails[first..].iter().take_while(|t| t.at == at);
        here.find(|t| t.list == list).map(|t| t.range.clone())
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
        self.bodies.iter().map(|b| b.0).collect()
    }

    /// The parts of the source outside the bodies.
    pub fn segments(&self) -> Vec<Range<usize>> {
        let (mut segments, mut from) = (Vec::new(), self.range.start);
        for (open, after) in &self.bodies {
            segments.push(from..open + 1);
            from = after.saturating_sub(1);
        }
        segments.push(from..self.range.end);
        segments
    }
}

/// Copies a range without its bodies and without the tails of what is long.
struct Cutter<'a> {
    scan: &'a Scan,
    bytes: &'a [u8],
    form: Form,
    text: String,
    /// Copied up to here.
    from: usize,
    at: usize,
    end: usize,
    /// Per open bracket where its inside begins in the text.
    levels: Vec<usize>,
    cuts: Vec<(usize, usize)>,
    bodies: Vec<(usize, usize)>,
    tails: Vec<Tail>,
}

impl Cutter<'_> {
    fn run(&mut self) {
        while self.at < self.end {
            match self.bytes[self.at] {
                b'{' => {
                    self.body();
                    continue;
                }
                b'(' | b'[' => self.levels.push(self.place() + 1),
                b')' | b']' if self.levels.len() > 1 => drop(self.levels.pop()),
                b',' if self.is_long() && (self.levels.len() > 1 || self.form == Form::List) => {
                    self.tail(true);
                    continue;
                }
                b'+' | b'-' | b'*' | b'/' | b'^' | b'|' | b'<' | b'>'
                    if self.is_long() && (self.levels.len() > 1 || self.form != Form::Head) && self.joins() =>
                {
                    self.tail(false);
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
        self.copy_to(self.end);
    }

    /// Where the next byte will stand in the text.
    fn place(&self) -> usize {
        self.text.len() + (self.at - self.from)
    }

    fn is_long(&self) -> bool {
        self.levels.last().is_some_and(|start| self.place() > start + PIECE)
    }

    fn copy_to(&mut self, end: usize) {
        self.text.push_str(&self.scan.text[self.from.min(end)..end]);
    }

    fn body(&mut self) {
        self.copy_to(self.at + 1);
        let brace = self.scan.brace(self.at);
        self.cuts.push((self.text.len(), brace.outer_end - 1));
        self.text.push('}');
        let after = brace.outer_end.max(self.at + 1);
        self.cuts.push((self.text.len(), after));
        self.bodies.push((self.at, after));
        (self.from, self.at) = (after, after);
    }

    /// Whether the sign here stands between two operands: not a prefix, not inside `1e-5`.
    fn joins(&self) -> bool {
        let before = self.bytes[..self.at].trim_ascii_end();
        let operand = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b')' | b']' | b'}' | b'"');
        if !before.last().is_some_and(operand) || before.len() < self.from {
            return false;
        }
        let word = before.iter().rposition(|b| !b.is_ascii_alphanumeric() && *b != b'_').map_or(0, |i| i + 1);
        let number = before.get(word).is_some_and(u8::is_ascii_digit);
        let last = &before[word..];
        let exponent = number && matches!(last.last(), Some(b'e' | b'E'));
        !exponent && !matches!(last, b"and" | b"or" | b"then" | b"not")
    }

    /// Leaves out the rest of a list (all of its bracket) or of a row (up to a comma).
    fn tail(&mut self, list: bool) {
        let before = self.bytes[..self.at].trim_ascii_end().len().max(self.from);
        self.copy_to(before);
        let end = self.tail_end(list);
        self.tails.push(Tail { at: self.text.len(), list, range: self.at..end });
        self.cuts.push((self.text.len(), end));
        (self.from, self.at) = (end, end);
    }

    fn tail_end(&self, list: bool) -> usize {
        if self.levels.len() == 1 && (list || self.form == Form::Row) {
            return self.end;
        }
        let (mut at, mut depth) = (self.at, 0usize);
        while at < self.end {
            match self.bytes[at] {
                b'{' => {
                    at = self.scan.brace(at).outer_end.max(at + 1);
                    continue;
                }
                b'(' | b'[' => depth += 1,
                b')' | b']' if depth == 0 => return at,
                b')' | b']' => depth -= 1,
                b',' | b':' if depth == 0 && !list => return at,
                b'=' if depth == 0 && !list && !self.compares(at) => return at,
                _ => {}
            }
            at += 1;
        }
        self.end
    }

    /// Whether the `=` here is part of `==`, `<=`, `>=` or `!=`.
    fn compares(&self, at: usize) -> bool {
        let before = at.checked_sub(1).map(|i| self.bytes[i]);
        matches!(before, Some(b'=' | b'<' | b'>' | b'!')) || self.bytes.get(at + 1) == Some(&b'=')
    }
}
