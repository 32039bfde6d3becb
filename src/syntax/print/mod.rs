//! Canonical text: `nnc fmt`.
//!
//! In: a tree and its source. Out: the same program with one layout. Taken from the source are: comments, the spelling of
//! numbers and strings, single blank lines, line breaks before operators and arrows, and whether brackets and bodies stand
//! on one line. Invariant: printing what was printed changes nothing, and parsing it gives the same tree but for spans.

mod comments;
mod exprs;
mod items;

use super::ast::{Comment, File};

/// The canonical text of `file`, which was parsed from `source` without errors.
pub fn print(file: &File, source: &str) -> String {
    let mut printer = Printer {
        source,
        comments: &file.comments,
        next_comment: 0,
        out: String::with_capacity(source.len() + source.len() / 8),
        indent: 0,
    };
    printer.items(&file.items);
    printer.flush(source.len(), false);
    if !printer.out.is_empty() {
        printer.end_line();
    }
    printer.out
}

struct Printer<'a> {
    source: &'a str,
    comments: &'a [Comment],
    next_comment: usize,
    out: String,
    indent: usize,
}

impl Printer<'_> {
    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// Ends the current line, if something stands on it.
    fn end_line(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with('\n') {
            self.out.push('\n');
        }
    }

    fn start_line(&mut self) {
        self.end_line();
        for _ in 0..self.indent {
            self.out.push_str("  ");
        }
    }

    fn blank_line(&mut self) {
        self.end_line();
        if !self.out.is_empty() && !self.out.ends_with("\n\n") && !self.out.ends_with("{\n") {
            self.out.push('\n');
        }
    }
}
