//! The first reading of a file: brackets, comments, strings, line breaks, stray characters and numbers, in one pass.
//!
//! In: the source. Out: [`Scan`]: a text of the same length that the grammar reads, all comments, the braces, and the
//! errors that one character or one bracket shows. Invariant: the text is ASCII and a byte of it stands where it stood in
//! the source, so that every offset is an offset into the source.

mod brackets;
mod numbers;
mod strays;
mod words;

use super::ast::Comment;
use crate::base::{Diagnostic, FileId, Span};
use brackets::Open;
use std::ops::Range;

pub(super) use brackets::too_deep;
pub use numbers::MAX_INTEGER;
pub(super) use numbers::UNITS;

/// After so many errors the rest of a file is not worth reading out.
pub(super) const MAX_ERRORS: usize = 1000;

/// The text between `open` (a `{`) and its partner. Where the partner is missing, both ends are where it should stand.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Brace {
    pub open: usize,
    pub inner_end: usize,
    pub outer_end: usize,
}

pub struct Scan {
    /// Comments are blank, string insides are `_`, line breaks that end nothing are tabs, the others `\n`.
    pub text: String,
    pub comments: Vec<Comment>,
    /// In order of `open`.
    pub braces: Vec<Brace>,
    pub diagnostics: Vec<Diagnostic>,
    /// Where errors stand, in order: a statement that has one is not reported a second time.
    pub broken: Vec<usize>,
    /// Where reading stopped: the length of the text, unless brackets nest too deep.
    pub end: usize,
}

impl Scan {
    /// The statements of `range` without the blanks around them; nested bodies are parts of theirs.
    pub fn pieces(&self, range: Range<usize>) -> Vec<Range<usize>> {
        let bytes = self.text.as_bytes();
        let (mut pieces, mut depth) = (Vec::new(), 0usize);
        let (mut start, mut end, mut at) = (range.start, range.start, range.start);
        while at < range.end {
            match bytes[at] {
                b'{' => {
                    at = self.brace(at).outer_end.max(at + 1);
                    end = at;
                    continue;
                }
                b'(' | b'[' => depth += 1,
                b')' | b']' => depth = depth.saturating_sub(1),
                b'\n' => depth = 0,
                _ => {}
            }
            match bytes[at] {
                separator @ (b'\n' | b';') if separator == b'\n' || depth == 0 => {
                    if end > start {
                        pieces.push(start..end);
                    }
                    (start, end) = (at + 1, at + 1);
                }
                b' ' | b'\t' => {
                    if end == start {
                        (start, end) = (at + 1, at + 1);
                    }
                }
                _ => end = at + 1,
            }
            at += 1;
        }
        if end > start {
            pieces.push(start..end);
        }
        pieces
    }

    pub fn brace(&self, open: usize) -> Brace {
        let index = self.braces.binary_search_by_key(&open, |b| b.open);
        self.braces[index.expect("invariant: every `{` of a scanned text is recorded")]
    }

    /// Whether an error was reported inside `range`.
    pub fn is_broken(&self, range: Range<usize>) -> bool {
        let first = self.broken.partition_point(|&at| at < range.start);
        self.broken.get(first).is_some_and(|&at| at < range.end)
    }
}

/// Reads `source`; never fails.
pub fn scan(file: FileId, source: &str) -> Scan {
    let mut scanner = Scanner::new(file, source);
    loop {
        while scanner.pos < scanner.bytes.len() && !scanner.too_deep {
            scanner.step();
        }
        if scanner.too_deep || !scanner.close_at_end() {
            break;
        }
    }
    scanner.finish()
}

struct Scanner<'a> {
    file: FileId,
    source: &'a str,
    bytes: &'a [u8],
    out: Vec<u8>,
    pos: usize,
    stack: Vec<Open>,
    braces: Vec<Brace>,
    comments: Vec<Comment>,
    diagnostics: Vec<Diagnostic>,
    broken: Vec<usize>,
    /// The next token begins a statement.
    fresh: bool,
    /// Only blanks so far on this line.
    line_blank: bool,
    /// The first line break since the last token, where line breaks end statements.
    breaks: Option<usize>,
    /// The end of the last token.
    last_end: usize,
    /// Where the current item begins.
    item_start: usize,
    /// Bytes read a second time after an unclosed bracket; bounded, so that the scan stays linear.
    reread: usize,
    /// The last line with an unterminated string.
    quote_line: Range<usize>,
    too_deep: bool,
}

impl<'a> Scanner<'a> {
    fn new(file: FileId, source: &'a str) -> Scanner<'a> {
        Scanner {
            file,
            source,
            bytes: source.as_bytes(),
            out: vec![b' '; source.len()],
            pos: 0,
            stack: Vec::new(),
            braces: Vec::new(),
            comments: Vec::new(),
            diagnostics: Vec::new(),
            broken: Vec::new(),
            fresh: true,
            line_blank: true,
            breaks: None,
            last_end: 0,
            item_start: 0,
            reread: 0,
            quote_line: 0..0,
            too_deep: false,
        }
    }

    fn finish(mut self) -> Scan {
        self.braces.sort_by_key(|b| b.open);
        self.broken.sort_unstable();
        let end = if self.too_deep { self.item_start } else { self.bytes.len() };
        let text = String::from_utf8(self.out).expect("invariant: the scanner writes ASCII only");
        let Scanner { comments, braces, diagnostics, broken, .. } = self;
        Scan { text, comments, braces, diagnostics, broken, end }
    }

    fn peek(&self, offset: usize) -> u8 {
        self.bytes.get(self.pos + offset).copied().unwrap_or(0)
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.file, start, end)
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        if let Some(span) = diagnostic.span() {
            self.broken.push(span.start as usize);
        }
        if self.diagnostics.len() < MAX_ERRORS {
            self.diagnostics.push(diagnostic);
        }
    }

    fn in_parentheses(&self) -> bool {
        self.stack.last().is_some_and(|open| open.sign != b'{')
    }

    fn step(&mut self) {
        let byte = self.bytes[self.pos];
        match byte {
            b' ' | b'\t' => self.pos += 1,
            b'\n' | b'\r' => self.line_break(),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.word(),
            b'0'..=b'9' => self.number(),
            b'(' | b'[' | b'{' => self.open(byte),
            b')' | b']' | b'}' => self.close(byte),
            b'"' => self.string(),
            b'/' if self.peek(1) == b'/' => self.line_comment(2),
            b'/' if self.peek(1) == b'*' => self.block_comment(),
            b';' => {
                self.token(1, b";", false);
                self.fresh = true;
                self.mark_item();
            }
            _ => self.sign(byte),
        }
    }

    /// Takes a token of `length` bytes and writes `text`, which is no longer, into the output. A token that continues a
    /// statement undoes the line breaks before it.
    fn token(&mut self, length: usize, text: &[u8], continues: bool) {
        self.begin_token(continues);
        self.out[self.pos..self.pos + text.len()].copy_from_slice(text);
        self.pos += length;
        self.last_end = self.pos;
    }

    fn begin_token(&mut self, continues: bool) {
        if let Some(first) = self.breaks.take() {
            if continues {
                for byte in &mut self.out[first..self.pos] {
                    *byte = if *byte == b'\n' { b'\t' } else { *byte };
                }
            } else {
                self.fresh = true;
                self.mark_item();
            }
        }
        if self.fresh && self.stack.is_empty() && self.item_start == usize::MAX {
            self.item_start = self.pos;
        }
        self.fresh = false;
        self.line_blank = false;
    }

    /// The next token begins an item, if this is outside all brackets.
    fn mark_item(&mut self) {
        if self.stack.is_empty() {
            self.item_start = usize::MAX;
        }
    }

    fn line_break(&mut self) {
        if self.in_parentheses() {
            self.out[self.pos] = b'\t';
        } else {
            self.out[self.pos] = b'\n';
            self.breaks = self.breaks.or(Some(self.pos));
        }
        self.line_blank = true;
        self.pos += 1;
    }

    /// The offset of the line break at or after `at`.
    fn line_end(&self, at: usize) -> usize {
        let rest = &self.bytes[at..];
        rest.iter().position(|b| matches!(b, b'\n' | b'\r')).map_or(self.bytes.len(), |i| at + i)
    }

    fn line_comment(&mut self, marker: usize) {
        let (start, end) = (self.pos, self.line_end(self.pos));
        self.warn_of_bidi(start, end);
        if marker == 2 {
            self.comment(start, end);
        }
        self.pos = end;
    }

    fn block_comment(&mut self) {
        let start = self.pos;
        let end = match self.source[start + 2..].find("*/") {
            Some(i) => start + 2 + i + 2,
            None => {
                let opening = self.span(start, start + 2);
                let message = "this comment is never closed";
                let diagnostic = Diagnostic::error("E0009", opening, message, "a comment begins here")
                    .note("a comment that begins with `/*` ends with `*/`; comments do not nest");
                self.report(diagnostic);
                self.bytes.len()
            }
        };
        self.warn_of_bidi(start, end);
        self.comment(start, end);
        while self.pos < end {
            match self.bytes[self.pos] {
                b'\n' | b'\r' => self.line_break(),
                _ => self.pos += 1,
            }
        }
        self.line_blank = false;
    }

    fn comment(&mut self, start: usize, end: usize) {
        let text = self.source[start..end].trim_end().to_string();
        self.comments.push(Comment { span: self.span(start, start + text.len()), text, own_line: self.line_blank });
        self.line_blank = false;
    }
}
