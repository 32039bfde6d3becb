//! From the bytes of a file to text.
//!
//! In: bytes. Out: text without a byte order mark, or E0005 (not UTF-8) or E0802 (too large). Invariant: what passes here
//! has offsets that fit a span.

use super::MAX_SOURCE;
use crate::base::Diagnostic;

/// E0802; the reader stops one byte behind the limit, so the size itself is not known.
pub(super) fn too_large() -> Diagnostic {
    let message = format!("the file is larger than {} MiB, the limit for source text", MAX_SOURCE >> 20);
    Diagnostic::plain("E0802", message).note("is this a data file? data is named in `data x = csv(\"…\") { … }`")
}

/// The text of a source file. Errors have no span, as there is no text to point into: the place is in the message.
pub fn decode(bytes: &[u8]) -> Result<String, Box<Diagnostic>> {
    if bytes.len() > MAX_SOURCE {
        return Err(Box::new(too_large()));
    }
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        let message = "this looks like UTF-16 (it begins with the bytes of a UTF-16 byte order mark), line 1, column 1";
        return Err(Box::new(Diagnostic::plain("E0005", message).note("save the file as UTF-8")));
    }
    let bytes = bytes.strip_prefix(&[0xEF, 0xBB, 0xBF]).unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_string()),
        Err(error) => Err(Box::new(not_utf8(bytes, error.valid_up_to()))),
    }
}

fn not_utf8(bytes: &[u8], at: usize) -> Diagnostic {
    let valid = String::from_utf8_lossy(&bytes[..at]);
    let (mut line, mut column, mut previous) = (1, 1, '\0');
    for c in valid.chars() {
        if c == '\n' && previous == '\r' {
            column = 1;
        } else if matches!(c, '\n' | '\r') {
            (line, column) = (line + 1, 1);
        } else {
            column += 1;
        }
        previous = c;
    }
    let message = format!("byte 0x{:02X} at offset {at} (line {line}, column {column}) is not UTF-8", bytes[at]);
    let zeros = bytes.iter().take(512).filter(|&&b| b == 0).count();
    let note = if zeros > 64 { "this looks like UTF-16; save the file as UTF-8" } else { "save the file as UTF-8" };
    Diagnostic::plain("E0005", message).note(note)
}
