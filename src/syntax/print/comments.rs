//! Comments and the layout that is kept from the source.
//!
//! In: places in the source. Out: comments in front of what they precede, or at the end of the line they stand on.
//! Invariant: every comment is printed once, in order.

use super::Printer;

impl Printer<'_> {
    /// Whether a line break stands before `at`, with only blanks between.
    pub(super) fn breaks_before(&self, at: usize) -> bool {
        self.source[..at].trim_end_matches([' ', '\t']).ends_with(['\n', '\r'])
    }

    /// Whether an empty line stands before `at`.
    fn blank_before(&self, at: usize) -> bool {
        let mut breaks = 0;
        let mut bytes = self.source[..at].bytes().rev().peekable();
        while let Some(byte) = bytes.next() {
            match byte {
                b' ' | b'\t' => {}
                b'\n' => {
                    breaks += 1;
                    bytes.next_if_eq(&b'\r');
                }
                b'\r' => breaks += 1,
                _ => return breaks >= 2,
            }
        }
        false
    }

    /// Keeps one empty line before `at`, or makes one.
    pub(super) fn space_before(&mut self, at: usize, forced: bool) {
        if forced || self.blank_before(at) {
            self.blank_line();
        }
    }

    /// Prints the comments that begin before `end`; true if one took the empty line that `forced` asks for.
    pub(super) fn flush(&mut self, end: usize, forced: bool) -> bool {
        let mut taken = false;
        let comments = self.comments;
        while let Some(comment) = comments.get(self.next_comment).filter(|c| (c.span.start as usize) < end) {
            self.next_comment += 1;
            if comment.own_line || self.out.is_empty() {
                self.space_before(comment.span.start as usize, forced && !taken);
                self.start_line();
                self.push(&comment.text);
                taken = true;
            } else {
                self.attach(&comment.text);
            }
            self.push("\n");
        }
        taken
    }

    /// Puts a comment at the end of the last line.
    fn attach(&mut self, text: &str) {
        while self.out.ends_with('\n') {
            self.out.pop();
        }
        self.push("  ");
        self.push(text);
    }

    /// Prints what is left of the comments inside a statement that ends at `end`.
    pub(super) fn attach_inner(&mut self, end: usize) {
        let comments = self.comments;
        while let Some(comment) = comments.get(self.next_comment).filter(|c| (c.span.start as usize) < end) {
            self.next_comment += 1;
            self.attach(&comment.text);
            self.push("\n");
        }
    }

    pub(super) fn comment_before(&self, end: usize) -> bool {
        self.comments.get(self.next_comment).is_some_and(|c| (c.span.start as usize) < end)
    }

    /// The place of the next byte from `from` that is no blank, no comment and none of `skipped`.
    pub(super) fn skip(&self, from: usize, skipped: &[u8]) -> usize {
        let bytes = self.source.as_bytes();
        let mut at = from;
        let mut comment = self.comments.partition_point(|c| (c.span.start as usize) < from);
        while at < bytes.len() {
            if let Some(c) = self.comments.get(comment).filter(|c| c.span.start as usize == at) {
                at = c.span.end as usize;
                comment += 1;
            } else if bytes[at].is_ascii_whitespace() || skipped.contains(&bytes[at]) {
                at += 1;
            } else {
                break;
            }
        }
        at
    }
}
