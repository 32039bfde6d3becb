//! Brackets: their partners, and what to say where one is missing.
//!
//! In: the brackets in order. Out: the table of braces, errors E0001 and E0003. Invariant: after an error the scan goes on
//! where the reader would: an unclosed `(` ends with its line, an unclosed `{` before the next item.

use super::{Brace, Scanner};
use crate::base::{Diagnostic, Edit, Fix};
use crate::syntax::ast::MAX_DEPTH;

#[derive(Clone, Copy)]
pub(super) struct Open {
    pub sign: u8,
    pub at: usize,
}

fn partner(sign: u8) -> u8 {
    match sign {
        b'(' => b')',
        b'[' => b']',
        b'{' => b'}',
        b')' => b'(',
        b']' => b'[',
        _ => b'{',
    }
}

impl Scanner<'_> {
    pub(super) fn open(&mut self, sign: u8) {
        let at = self.pos;
        self.token(1, &[sign], sign == b'{');
        if self.stack.len() == MAX_DEPTH {
            self.too_deep = true;
            let outermost = self.span(self.stack[0].at, self.stack[0].at + 1);
            self.report(too_deep(self.span(at, at + 1)).label(outermost, "the outermost of the open brackets"));
            return;
        }
        self.stack.push(Open { sign, at });
        self.fresh = sign == b'{';
    }

    pub(super) fn close(&mut self, sign: u8) {
        let at = self.pos;
        let Some(&top) = self.stack.last() else { return self.closes_nothing(sign) };
        if partner(top.sign) == sign {
            self.token(1, &[sign], false);
            self.pop_matched(top, at);
            return;
        }
        let floor = self.stack.iter().rposition(|o| o.sign == b'{').map_or(0, |i| i + 1);
        if sign == b'}' {
            let unclosed = self.stack[floor];
            if !self.reread_from(floor, unclosed, at) {
                self.stack.truncate(floor);
            }
            return; // the `}` is read again, now without the bracket in between
        }
        if top.sign == b'{' {
            return self.closes_nothing(sign);
        }
        match self.stack[floor..].iter().rposition(|o| partner(o.sign) == sign) {
            Some(i) => {
                self.report_unclosed(top, at, at, 1);
                self.stack.truncate(floor + i);
                self.token(1, &[sign], false);
            }
            None => self.wrong_partner(top, sign),
        }
    }

    fn pop_matched(&mut self, top: Open, at: usize) {
        self.stack.pop();
        if top.sign == b'{' {
            self.braces.push(Brace { open: top.at, inner_end: at, outer_end: at + 1 });
        }
    }

    fn closes_nothing(&mut self, sign: u8) {
        let at = self.pos;
        let (span, shown) = (self.span(at, at + 1), sign as char);
        if !self.quote_open_on_line(at) {
            let message = format!("this `{shown}` closes nothing: no `{}` is open here", partner(sign) as char);
            let diagnostic = Diagnostic::error("E0001", span, message, "remove it, or open a bracket before it");
            self.report(diagnostic.fix(format!("remove the `{shown}`"), span, ""));
        }
        self.begin_token(false);
        self.pos += 1;
        self.last_end = self.pos;
    }

    fn wrong_partner(&mut self, top: Open, sign: u8) {
        let (at, right) = (self.pos, partner(top.sign));
        let (span, opening) = (self.span(at, at + 1), self.span(top.at, top.at + 1));
        let message = format!("`{}` is closed by `{}`", top.sign as char, sign as char);
        let diagnostic = Diagnostic::error("E0001", span, message, format!("expected `{}` here", right as char))
            .label(opening, "the bracket that it should close")
            .fix(format!("close it with `{}`", right as char), span, (right as char).to_string());
        self.report(diagnostic);
        self.token(1, &[right], false);
        self.stack.pop();
    }

    /// Reports the unclosed bracket at `stack[floor]` and goes back to the end of its line; false where going back would
    /// not help (nothing to re-read, a body begins on the line, or too much was read twice already).
    fn reread_from(&mut self, floor: usize, unclosed: Open, at: usize) -> bool {
        let line = self.bytes[unclosed.at..at].iter().position(|b| matches!(b, b'\n' | b'\r'));
        let end = line.map_or(at, |i| unclosed.at + i);
        let content = self.content_end(unclosed.at + 1, end);
        let on_line = self.stack[floor..].iter().take_while(|o| o.at < end && o.sign != b'{').count();
        let body_on_line = self.stack[floor..].iter().any(|o| o.at < end && o.sign == b'{')
            || self
                .braces
                .iter()
                .rev()
                .take_while(|b| b.outer_end > unclosed.at)
                .any(|b| b.open < end && b.outer_end > end);
        let multi_line = content <= unclosed.at + 1 || body_on_line;
        let useless = multi_line || end == at || self.reread + (at - end) > 4 * self.bytes.len();
        if !useless {
            self.forget_after(end, at);
        }
        self.report_unclosed(unclosed, if multi_line { at } else { content }, at, on_line);
        if useless {
            return false;
        }
        self.stack.truncate(floor);
        (self.pos, self.last_end, self.breaks) = (end, content, None);
        (self.fresh, self.line_blank) = (false, false);
        true
    }

    /// Undoes what was read in `end..at`. All tables grow in order, but for errors that were noticed late.
    fn forget_after(&mut self, end: usize, at: usize) {
        self.reread += at - end;
        self.out[end..at].fill(b' ');
        while self.comments.last().is_some_and(|c| c.span.start as usize >= end) {
            self.comments.pop();
        }
        while self.braces.last().is_some_and(|b| b.open >= end) {
            self.braces.pop();
        }
        while self.broken.last().is_some_and(|&b| b >= end) {
            self.broken.pop();
        }
        self.diagnostics.retain(|d| d.span().is_none_or(|s| (s.start as usize) < end));
    }

    /// The end of the last token in `start..end`.
    fn content_end(&self, start: usize, end: usize) -> usize {
        let last = self.out[start..end].iter().rposition(|b| !matches!(b, b' ' | b'\t' | b'\n'));
        let end = last.map_or(start, |i| start + i + 1);
        (end..).find(|&at| self.source.is_char_boundary(at)).unwrap_or(end)
    }

    /// `place` is where the closing bracket should stand, `seen` where its absence was noticed.
    fn report_unclosed(&mut self, open: Open, place: usize, seen: usize, count: usize) {
        let opening = self.span(open.at, open.at + 1);
        if self.quote_open_on_line(open.at) {
            self.broken.push(open.at);
            return;
        }
        let closing = (partner(open.sign) as char).to_string();
        let found = if seen >= self.bytes.len() {
            "the file ends here".to_string()
        } else if self.bytes[seen].is_ascii_alphabetic() {
            "the next item begins here".to_string()
        } else {
            format!("`{}` comes before it", self.bytes[seen] as char)
        };
        let seen_span = self.span(seen, (seen + 1).min(self.bytes.len()));
        let message = format!("this `{}` is never closed", open.sign as char);
        let diagnostic = Diagnostic::error("E0001", opening, message, format!("needs a `{closing}`"));
        let diagnostic = diagnostic.label(seen_span, found);
        let text: String = match open.sign {
            b'{' => "\n}".to_string(),
            _ if count > 1 => {
                let openings = self.stack.iter().filter(|o| o.at >= open.at).take(count);
                openings.map(|o| partner(o.sign) as char).collect::<Vec<_>>().iter().rev().collect()
            }
            _ => closing.clone(),
        };
        let edits = vec![Edit { span: self.span(place, place), text: text.clone() }];
        let fix = Fix { message: format!("close it with `{}`", text.trim()), edits };
        self.report(Diagnostic { fixes: vec![fix], ..diagnostic });
    }

    /// An unterminated string on the same line has swallowed the partner: one message is enough.
    fn quote_open_on_line(&self, at: usize) -> bool {
        self.quote_line.contains(&at)
    }

    /// All open brackets end before `self.pos`, where another item begins.
    pub(super) fn close_before_item(&mut self) {
        let at = self.pos;
        while let Some(open) = self.stack.pop() {
            self.report_unclosed(open, self.last_end, at, 1);
            self.push_virtual(open);
        }
        self.fresh = true;
        self.item_start = at;
    }

    fn push_virtual(&mut self, open: Open) {
        if open.sign == b'{' {
            let end = self.last_end.max(open.at + 1);
            self.braces.push(Brace { open: open.at, inner_end: end, outer_end: end });
        }
    }

    /// Closes what is open at the end of the file; true where a part must be read again.
    pub(super) fn close_at_end(&mut self) -> bool {
        let end = self.bytes.len();
        if let Some(floor) = self.stack.iter().position(|o| o.sign != b'{') {
            let unclosed = self.stack[floor];
            if self.reread_from(floor, unclosed, end) {
                return true;
            }
            for open in self.stack.split_off(floor) {
                self.push_virtual(open);
            }
            return self.close_at_end();
        }
        while let Some(open) = self.stack.pop() {
            self.report_unclosed(open, self.last_end, end, 1);
            self.push_virtual(open);
        }
        false
    }
}

/// E0003 at the bracket or operator that goes one level too far.
pub(in crate::syntax) fn too_deep(span: crate::base::Span) -> Diagnostic {
    let message = format!("nesting deeper than {MAX_DEPTH}");
    Diagnostic::error("E0003", span, message, "this is one level too many")
        .note("give a name to an inner part (`a = …`) and use the name")
}
