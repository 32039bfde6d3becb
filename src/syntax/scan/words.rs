//! Words and strings.
//!
//! In: the source at a letter or a quote. Out: tokens; errors E0002 (letters outside ASCII) and E0009 (a string without
//! its end). Invariant: the inside of a string never reaches the grammar.

use super::{Scanner, strays};
use crate::base::{Diagnostic, Edit, Fix};

const ITEM_WORDS: [&str; 12] =
    ["const", "data", "fn", "init", "block", "op", "loss", "optimizer", "model", "train", "search", "compress"];

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

impl Scanner<'_> {
    pub(super) fn word(&mut self) {
        let start = self.pos;
        let mut end = start;
        while end < self.bytes.len() && is_word(self.bytes[end]) {
            end += 1;
        }
        if end < self.bytes.len() && !self.bytes[end].is_ascii() {
            end = self.foreign_word(start);
        }
        let text = &self.source[start..end];
        let continues = matches!(text, "or" | "then" | "and" | "else");
        let begins = self.fresh || self.breaks.is_some();
        if begins && !self.stack.is_empty() && !self.in_parentheses() && self.begins_item(text, end) {
            self.close_before_item();
        }
        let clean: Vec<u8> = text.bytes().map(|b| if b.is_ascii() { b } else { b'_' }).collect();
        self.token(end - start, &clean, continues);
    }

    /// `model name`, `train name`: two words that no statement begins with.
    fn begins_item(&self, word: &str, end: usize) -> bool {
        if !ITEM_WORDS.contains(&word) {
            return false;
        }
        let rest = self.bytes[end..].iter().skip_while(|b| matches!(b, b' ' | b'\t'));
        let next: Vec<u8> = rest.copied().take_while(|&b| is_word(b)).take(5).collect();
        let operator = matches!(next.as_slice(), b"or" | b"and" | b"then");
        next.first().is_some_and(|b| !b.is_ascii_digit()) && !operator
    }

    /// The end of a word that has letters outside ASCII, after reporting it; the end of the ASCII part if none follow.
    pub(super) fn foreign_word(&mut self, start: usize) -> usize {
        let rest = &self.source[start..];
        let length = rest.find(|c: char| !strays::in_word(c)).unwrap_or(rest.len());
        let word = &rest[..length];
        if let Some((i, letter)) = word.char_indices().find(|(_, c)| !c.is_ascii()) {
            let span = self.span(start + i, start + i + letter.len_utf8());
            let mut diagnostic = Diagnostic::error(
                "E0002",
                span,
                format!("`{letter}` (U+{:04X}) cannot stand in a name", letter as u32),
                "names consist of `a` to `z`, `A` to `Z`, `0` to `9` and `_`",
            );
            if let Some(ascii) = strays::letter_name(letter) {
                diagnostic = diagnostic.fix(format!("spell it `{ascii}`"), span, ascii);
            }
            self.report(diagnostic);
        }
        start + length
    }

    pub(super) fn string(&mut self) {
        let start = self.pos;
        let byte = |at: usize| self.bytes.get(at).copied().unwrap_or(b'\n');
        let mut at = start + 1;
        while !matches!(byte(at), b'"' | b'\n' | b'\r') {
            at += if byte(at) == b'\\' && !matches!(byte(at + 1), b'\n' | b'\r') { 2 } else { 1 };
        }
        if byte(at) != b'"' {
            return self.unterminated(start, at.min(self.bytes.len()));
        }
        self.check_escapes(start + 1, at);
        self.warn_of_bidi(start, at);
        self.quoted(start, at + 1);
    }

    /// Takes `start..end` as a string.
    pub(super) fn quoted(&mut self, start: usize, end: usize) {
        self.begin_token(false);
        self.out[start..end].fill(b'_');
        self.out[start] = b'"';
        self.out[end - 1] = b'"';
        (self.pos, self.last_end) = (end, end);
    }

    fn check_escapes(&mut self, start: usize, end: usize) {
        let mut at = start;
        while at < end {
            if self.bytes[at] == b'\\' {
                let next = self.source[at + 1..].chars().next().unwrap_or('\\');
                if !matches!(next, '"' | '\\' | 'n' | 't') {
                    let span = self.span(at, at + 1 + next.len_utf8());
                    let message = format!("`\\{next}` is not an escape");
                    let diagnostic =
                        Diagnostic::error("E0010", span, message, "the escapes are `\\\"`, `\\\\`, `\\n`, `\\t`").fix(
                            "write the backslash twice",
                            span,
                            format!("\\\\{next}"),
                        );
                    self.report(diagnostic);
                }
                at += 1 + next.len_utf8();
            } else {
                at += 1;
            }
        }
    }

    /// A string that its line ends: it is taken to end where a bracket closes that it did not open.
    fn unterminated(&mut self, start: usize, line_end: usize) {
        let line = self.source[start..line_end].trim_end();
        let (mut depth, mut end) = (0i32, start + line.len());
        let second = self.quote_line.contains(&start);
        for (i, byte) in line.bytes().enumerate().skip(1).take_while(|_| !second) {
            match byte {
                b'(' | b'[' => depth += 1,
                b')' | b']' if depth == 0 => {
                    end = start + i;
                    break;
                }
                b')' | b']' => depth -= 1,
                _ => {}
            }
        }
        let edits = vec![Edit { span: self.span(end, end), text: "\"".to_string() }];
        let message = "this string is never closed";
        let mut diagnostic = Diagnostic::error("E0009", self.span(start, start + 1), message, "a string begins here")
            .note("a string ends on its line; `\\n` stands for a line break");
        diagnostic.fixes.push(Fix { message: "close it with `\"`".to_string(), edits });
        self.report(diagnostic);
        if !second {
            let before = self.bytes[..start].iter().rposition(|b| matches!(b, b'\n' | b'\r'));
            self.quote_line = before.map_or(0, |i| i + 1)..line_end;
        }
        self.begin_token(false);
        self.out[start..end].fill(b'_');
        if end - start >= 2 {
            self.out[start] = b'"';
            self.out[end - 1] = b'"';
        }
        (self.pos, self.last_end) = (end, end);
    }
}
