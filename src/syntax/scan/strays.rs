//! Signs: the operators, their common misspellings, and characters that the language does not have.
//!
//! In: the source at a sign. Out: a token; errors E0002 (a character to replace), E0006 (an invisible one), E0010 (an
//! operator of another language). Invariant: what is reported here is replaced by what was meant, if that fits.

use super::Scanner;
use crate::base::{Diagnostic, Edit, Fix};

/// Operators of other languages: as written, as meant, why.
const FOREIGN: [(&str, &str, &str); 9] = [
    (":=", "=", "a value is given with `=`"),
    ("=>", "->", "a tensor moves along `->`"),
    ("===", "==", "equality is `==`"),
    ("&&", "and", "both conditions: `and`"),
    ("||", "or", "one of two conditions: `or`"),
    ("**", "^", "a power is written `^`"),
    ("<>", "!=", "inequality is `!=`"),
    ("...", "..", "a range or any axes: `..`"),
    ("|>", "->", "a tensor moves along `->`"),
];

const SIGNS: [&str; 21] =
    ["->", "==", "!=", "<=", ">=", "..", "+", "-", "*", "/", "%", "^", "<", ">", "|", "=", ":", ",", ".", "&", "!"];

/// What to type instead of a character outside ASCII.
fn ascii_for(c: char) -> Option<&'static str> {
    Some(match c {
        '≠' => "!=",
        '≤' | '⩽' => "<=",
        '≥' | '⩾' => ">=",
        '→' | '⟶' | '➔' | '⇒' | '➜' => "->",
        '−' | '–' | '—' | '‐' | '‑' => "-",
        '×' | '·' | '∙' | '⋅' | '∗' => "*",
        '÷' | '∕' | '⁄' => "/",
        '²' => "^2",
        '³' => "^3",
        '…' => "..",
        '∧' => "and",
        '∨' => "or",
        '¬' => "not",
        '％' => "%",
        '（' => "(",
        '）' => ")",
        '，' | '、' => ",",
        '：' => ":",
        '；' => ";",
        '＝' => "=",
        '“' | '”' | '„' | '‟' | '«' | '»' | '‘' | '’' | '‚' | '`' | '\'' => "\"",
        _ => return None,
    })
}

/// Whether `c` belongs to a word, be it a wrong one; `²` does not.
pub(super) fn in_word(c: char) -> bool {
    c == '_' || (c.is_alphanumeric() && ascii_for(c).is_none())
}

/// A spelling for a letter outside ASCII.
pub(super) fn letter_name(c: char) -> Option<&'static str> {
    Some(match c {
        'α' => "alpha",
        'β' => "beta",
        'γ' => "gamma",
        'δ' => "delta",
        'ε' => "eps",
        'η' => "eta",
        'θ' => "theta",
        'λ' => "lambda",
        'μ' | 'µ' => "mu",
        'π' => "pi",
        'σ' => "sigma",
        'τ' => "tau",
        'φ' => "phi",
        'ω' => "omega",
        'ä' => "ae",
        'ö' => "oe",
        'ü' => "ue",
        'ß' => "ss",
        'é' | 'è' | 'ê' => "e",
        'à' | 'á' => "a",
        _ => return None,
    })
}

fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{200E}' | '\u{200F}' | '\u{061C}')
}

fn is_invisible(c: char) -> bool {
    is_bidi(c)
        || c.is_control()
        || matches!(c, '\u{200B}'..='\u{200D}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}' | '\u{00AD}' | '\u{180E}')
}

fn is_quote(c: char) -> bool {
    ascii_for(c) == Some("\"")
}

impl Scanner<'_> {
    pub(super) fn sign(&mut self, byte: u8) {
        let rest = &self.bytes[self.pos..];
        if let Some(&(written, meant, why)) = FOREIGN.iter().find(|(w, _, _)| rest.starts_with(w.as_bytes())) {
            return self.foreign_operator(written, meant, why);
        }
        if rest.len() > 1 && rest[1] == b'=' && matches!(byte, b'+' | b'-' | b'*' | b'/') && self.assigns() {
            return self.compound_assignment();
        }
        match SIGNS.iter().find(|s| rest.starts_with(s.as_bytes())) {
            Some(&"&") => self.foreign_operator("&", "and", "both conditions: `and`"),
            Some(&"!") => self.foreign_operator("!", "not", "the opposite: `not`"),
            Some(&".") if self.peek(1).is_ascii_digit() && self.last_end < self.pos => self.bare_point(),
            Some(sign) => {
                let continues = !matches!(*sign, "-" | "=" | ":" | "," | ".");
                self.token(sign.len(), sign.as_bytes(), continues);
            }
            None if byte == b'#' => {
                let span = self.span(self.pos, self.pos + 1);
                let diagnostic =
                    Diagnostic::error("E0002", span, "`#` (U+0023) begins nothing", "a comment begins with `//`");
                self.report(diagnostic.fix("write the comment with `//`", span, "//"));
                self.line_comment(1);
            }
            None => self.stray(),
        }
    }

    fn foreign_operator(&mut self, written: &str, meant: &str, why: &str) {
        let span = self.span(self.pos, self.pos + written.len());
        let spaced = if meant == "not" { "not " } else { meant };
        let diagnostic = Diagnostic::error("E0010", span, format!("`{written}` is not an operator here"), why);
        self.report(diagnostic.fix(format!("write `{meant}`"), span, spaced));
        let fits = if meant.len() <= written.len() {
            meant
        } else if meant == "not" {
            ""
        } else {
            "*"
        };
        self.token(written.len(), fits.as_bytes(), meant != "=" && meant != "not");
    }

    /// Whether a name stands right before this sign.
    fn assigns(&self) -> bool {
        self.source[..self.pos].trim_end_matches([' ', '\t']).ends_with(in_word)
    }

    /// `w -= lr * g`
    fn compound_assignment(&mut self) {
        let (sign, span) = (&self.source[self.pos..self.pos + 1], self.span(self.pos, self.pos + 2));
        let before = self.source[..self.pos].trim_end_matches([' ', '\t']);
        let name = &before[before.trim_end_matches(in_word).len()..];
        let rest = &self.source[self.pos + 2..];
        let end = rest.find(['\n', '\r', ';', '}']).unwrap_or(rest.len());
        let end = rest[..end].find("//").unwrap_or(end);
        let value = rest[..end].trim();
        let looser = if matches!(sign, "+" | "-") { "+-<>=|:" } else { "+-<>=|:*/%" };
        let value = if value.contains(|c| looser.contains(c)) { format!("({value})") } else { value.to_string() };
        let text = format!("= {name} {sign} {value}");
        let message = format!("`{sign}=` is not an operator here");
        let diagnostic = Diagnostic::error("E0010", span, message, format!("write `{name} {text}`"));
        let whole = self.span(self.pos, self.pos + 2 + rest[..end].trim_end().len());
        self.report(diagnostic.fix(format!("write `{name} {text}`"), whole, text));
        self.token(2, b"=", false);
    }

    fn bare_point(&mut self) {
        let digits = self.bytes[self.pos + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
        let span = self.span(self.pos, self.pos + 1 + digits);
        let text = format!("0{}", &self.source[self.pos..self.pos + 1 + digits]);
        let diagnostic = Diagnostic::error("E0007", span, "a digit is missing before the point", "write a `0` here");
        self.report(diagnostic.fix(format!("write `{text}`"), span, text));
        self.token(1 + digits, &vec![b'0'; 1 + digits], false);
    }

    /// A character that the language does not have, and those of the same kind right behind it.
    fn stray(&mut self) {
        let first = self.source[self.pos..].chars().next().expect("invariant: `pos` is inside the text");
        if is_quote(first) {
            return self.foreign_quote(first);
        }
        if first.is_alphanumeric() && ascii_for(first).is_none() {
            let (start, end) = (self.pos, self.foreign_word(self.pos));
            return self.token(end - start, &vec![b'_'; end - start].as_slice()[..end - start], false);
        }
        let run = self.source[self.pos..].chars().take_while(|&c| c == first).count() * first.len_utf8();
        let (start, end) = (self.pos, self.pos + run);
        self.report_stray(first, start, end);
        let meant = ascii_for(first).unwrap_or("");
        let blank = first.is_whitespace() || is_invisible(first);
        let arrow = meant == "-" && self.bytes.get(end) == Some(&b'>');
        let fits = if !arrow && meant.len() <= run && !matches!(meant, "(" | ")" | ";") { meant } else { "" };
        if blank {
            self.pos = end;
        } else if arrow {
            self.token(run + 1, b"->", true);
        } else {
            self.token(run, fits.as_bytes(), !fits.is_empty() && !matches!(meant, "-" | "," | ":" | "="));
        }
    }

    fn report_stray(&mut self, c: char, start: usize, end: usize) {
        let (span, code) = (self.span(start, end), c as u32);
        if is_invisible(c) {
            let what = if c == '\0' {
                "a NUL character"
            } else if is_bidi(c) {
                "a character that changes the direction of writing"
            } else if c.is_control() {
                "a control character"
            } else {
                "an invisible character"
            };
            let message = format!("{what} (U+{code:04X}) outside strings and comments");
            let diagnostic = Diagnostic::error("E0006", span, message, "it cannot be seen; remove it");
            return self.report(diagnostic.fix("remove it", span, ""));
        }
        if c.is_whitespace() {
            let message = format!("U+{code:04X} looks like a space, but is another character");
            let diagnostic = Diagnostic::error("E0002", span, message, "type a space");
            return self.report(diagnostic.fix("write a space", span, " "));
        }
        let message = format!("`{c}` (U+{code:04X}) is not a character of this language");
        let diagnostic = match ascii_for(c) {
            Some("-") if self.bytes.get(end) == Some(&b'>') => {
                let span = self.span(start, end + 1);
                Diagnostic::error("E0002", span, message, "type `->`").fix("write `->`", span, "->")
            }
            Some(ascii) => Diagnostic::error("E0002", span, message, format!("type `{ascii}`")).fix(
                format!("write `{ascii}`"),
                span,
                ascii,
            ),
            None => Diagnostic::error("E0002", span, message, "remove it").fix("remove it", span, ""),
        };
        self.report(diagnostic);
    }

    /// `“text”` and `'text'`: a string in the wrong quotes.
    fn foreign_quote(&mut self, first: char) {
        let (start, width) = (self.pos, first.len_utf8());
        let rest = self.source[start + width..].char_indices().take_while(|&(_, c)| c != '\n' && c != '\r');
        let closing = rest.into_iter().find(|&(_, c)| c == '"' || is_quote(c));
        let opening = self.span(start, start + width);
        let message = format!("`{first}` (U+{:04X}) is not a character of this language", first as u32);
        let mut diagnostic = Diagnostic::error("E0002", opening, message, "type `\"`");
        let mut edits = vec![Edit { span: opening, text: "\"".to_string() }];
        let end = match closing {
            Some((i, c)) => {
                let at = start + width + i;
                let span = self.span(at, at + c.len_utf8());
                if c != '"' {
                    diagnostic = diagnostic.label(span, format!("`{c}` (U+{:04X}), too", c as u32));
                }
                edits.push(Edit { span, text: "\"".to_string() });
                at + c.len_utf8()
            }
            None => start + width,
        };
        diagnostic.fixes.push(Fix { message: "write straight quotes `\"`".to_string(), edits });
        self.report(diagnostic);
        if closing.is_some() {
            self.quoted(start, end);
        } else {
            self.token(width, b"", false);
        }
    }

    /// W0006 for direction marks inside strings and comments: the text reads other than it is.
    pub(super) fn warn_of_bidi(&mut self, start: usize, end: usize) {
        let text = &self.source[start..end];
        if text.is_ascii() {
            return;
        }
        if let Some((i, c)) = text.char_indices().find(|&(_, c)| is_bidi(c)) {
            let span = self.span(start + i, start + i + c.len_utf8());
            let message = format!("a character that changes the direction of writing (U+{:04X})", c as u32);
            if self.diagnostics.len() < super::MAX_ERRORS {
                self.diagnostics.push(Diagnostic::warning(
                    "W0006",
                    span,
                    message,
                    "the line may read other than it is",
                ));
            }
        }
    }
}
