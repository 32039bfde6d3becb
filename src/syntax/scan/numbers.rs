//! Numbers: their form and their range.
//!
//! In: the source at a digit. Out: a token, or E0007. Invariant: a number that the grammar reads is finite, and a whole
//! number is exact in an f64.

use super::Scanner;
use crate::base::Diagnostic;

/// 2^53: up to here every whole number is an f64.
pub const MAX_INTEGER: f64 = 9_007_199_254_740_992.0;

pub const UNITS: [&str; 16] = [
    "epochs", "epoch", "steps", "step", "s", "sec", "seconds", "min", "minutes", "h", "hours", "samples", "bytes",
    "KB", "MB", "GB",
];

/// A number as it is written: where its mantissa, exponent and the letters at its end stop.
struct Form {
    mantissa: usize,
    exponent: usize,
    end: usize,
}

impl Scanner<'_> {
    pub(super) fn number(&mut self) {
        let start = self.pos;
        let form = self.number_form(start);
        let diagnostic = self.number_error(start, &form);
        let mut text = self.bytes[start..form.end].to_vec();
        if let Some(diagnostic) = diagnostic {
            self.report(diagnostic);
            text.fill(b'0');
        } else if self.bytes.get(form.end) == Some(&b'%') && form.end == form.exponent {
            text.push(b'%');
        }
        let text = text.into_iter().map(|b| if b.is_ascii() { b } else { b'0' }).collect::<Vec<_>>();
        self.token(text.len(), &text, false);
    }

    fn number_form(&self, start: usize) -> Form {
        let byte = |at: usize| self.bytes.get(at).copied().unwrap_or(0);
        let run = |mut at: usize| {
            while byte(at).is_ascii_digit() || byte(at) == b'_' {
                at += 1;
            }
            at
        };
        let mut mantissa = run(start);
        if byte(mantissa) == b'.' && byte(mantissa + 1).is_ascii_digit() {
            mantissa = run(mantissa + 1);
        }
        let mut exponent = mantissa;
        if matches!(byte(mantissa), b'e' | b'E') {
            let sign = usize::from(matches!(byte(mantissa + 1), b'+' | b'-'));
            if byte(mantissa + 1 + sign).is_ascii_digit() {
                exponent = run(mantissa + 1 + sign);
            }
        }
        let tail = &self.source[exponent..];
        let letters = tail.find(|c: char| !super::strays::in_word(c)).unwrap_or(tail.len());
        Form { mantissa, exponent, end: exponent + letters }
    }

    fn number_error(&self, start: usize, form: &Form) -> Option<Diagnostic> {
        let text = &self.source[start..form.exponent];
        let suffix = &self.source[form.exponent..form.end];
        let span = self.span(start, form.end);
        if !suffix.is_empty() && !UNITS.contains(&suffix) {
            return Some(self.bad_suffix(start, form, suffix));
        }
        if text.contains("__")
            || text.ends_with('_')
            || text.contains("_.")
            || text.contains("_e")
            || text.contains("_E")
        {
            let fixed = tidy_underscores(text);
            let message = format!("`{text}` has a `_` too many");
            let label = "a single `_` may stand between two digits";
            return Some(Diagnostic::error("E0007", span, message, label).fix(
                format!("write `{fixed}`"),
                span,
                fixed + suffix,
            ));
        }
        let next = self.bytes.get(form.end).copied().unwrap_or(0);
        if next == b'.' && suffix.is_empty() && !self.field_or_range(form.end) {
            let span = self.span(start, form.end + 1);
            let diagnostic =
                Diagnostic::error("E0007", span, "a digit is missing after the point", "write a digit here");
            return Some(diagnostic.fix(format!("write `{text}.0`"), span, format!("{text}.0")));
        }
        let shown = if text.len() > 40 { format!("{}…", &text[..40]) } else { text.to_string() };
        let value: f64 = text.replace('_', "").parse().ok()?;
        let whole = form.exponent == form.mantissa && !text.contains('.');
        let nonzero = self.bytes[start..form.mantissa].iter().any(|b| (b'1'..=b'9').contains(b));
        let reason = if whole && value > MAX_INTEGER {
            "whole numbers reach to 9_007_199_254_740_992 (2^53)"
        } else if value.is_infinite() {
            "the largest number is about 1.8e308"
        } else if value == 0.0 && nonzero {
            "the smallest number above zero is about 5e-324; this would become 0"
        } else {
            return None;
        };
        Some(Diagnostic::error("E0007", span, format!("the number {shown} is out of range"), reason))
    }

    /// What follows the point at `at` is `..` or a word.
    fn field_or_range(&self, at: usize) -> bool {
        self.bytes.get(at + 1).is_some_and(|&b| b == b'.' || b.is_ascii_alphabetic() || b == b'_')
    }

    fn bad_suffix(&self, start: usize, form: &Form, suffix: &str) -> Diagnostic {
        let (text, span) = (&self.source[start..form.exponent], self.span(start, form.end));
        let whole = format!("{text}{suffix}");
        let lower = suffix.to_ascii_lowercase();
        if text == "0" && (lower.starts_with('x') || lower.starts_with('b') || lower.starts_with('o')) {
            let message = format!("`{whole}` is not a number of this language");
            return Diagnostic::error("E0007", span, message, "write the number in decimal digits");
        }
        if lower == "e" {
            let message = format!("`{whole}` has an exponent without digits");
            return Diagnostic::error("E0007", span, message, "write it like `1e-3`");
        }
        let message = format!("`{whole}` is neither a number nor a name");
        Diagnostic::error("E0007", span, message, "a name begins with a letter, a unit is one of a fixed list")
            .note(format!("the units are {} and %", UNITS.join(", ")))
            .fix("to multiply, write `*`", span, format!("{text} * {suffix}"))
    }
}

fn tidy_underscores(text: &str) -> String {
    let mut tidy = String::new();
    for c in text.chars() {
        if c != '_' && !c.is_ascii_digit() && tidy.ends_with('_') {
            tidy.pop();
        }
        if !(c == '_' && tidy.ends_with('_')) {
            tidy.push(c);
        }
    }
    tidy.trim_end_matches('_').to_string()
}
