//! The tokens of a statement around a mistake.
//!
//! In: the prepared text of one statement or item. Out: its tokens, and which bracket is open. Invariant: a string is one token.

#[derive(Clone, Copy)]
pub(super) struct Token<'t> {
    pub(super) start: usize,
    pub(super) text: &'t str,
}

impl Token<'_> {
    pub(super) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    pub(super) fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
    }

    pub(super) fn is_number(&self) -> bool {
        self.text.starts_with(|c: char| c.is_ascii_digit())
    }

    /// Whether a value must follow.
    pub(super) fn asks_for_value(&self) -> bool {
        matches!(self.text, "and" | "or" | "not" | "then")
            || matches!(
                self.text,
                "->" | "+" | "-" | "*" | "/" | "^" | "%" | "==" | "!=" | "<=" | ">=" | "<" | ">" | ".." | "|" | "="
            )
    }
}

/// The tokens of a short text around the mistake; strings are one token.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let bytes = text.as_bytes();
    let (mut tokens, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let start = at;
        let class = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        at += match bytes[at] {
            b' ' | b'\t' => 1,
            b'"' => bytes[at + 1..].iter().position(|&b| b == b'"').map_or(bytes.len() - at, |i| i + 2),
            b if class(b) => bytes[at..].iter().take_while(|&&b| class(b)).count(),
            _ if ["->", "==", "!=", "<=", ">=", ".."].iter().any(|s| text[at..].starts_with(s)) => 2,
            _ => 1,
        };
        if !matches!(bytes[start], b' ' | b'\t') {
            tokens.push(Token { start, text: &text[start..at] });
        }
    }
    tokens
}

/// The innermost bracket that is open after `tokens`.
pub(super) fn innermost<'t>(tokens: &[Token<'t>]) -> Option<Token<'t>> {
    let mut open = Vec::new();
    for token in tokens {
        match token.text {
            "(" | "[" | "{" => open.push(*token),
            ")" | "]" | "}" => drop(open.pop()),
            _ => {}
        }
    }
    open.pop()
}
