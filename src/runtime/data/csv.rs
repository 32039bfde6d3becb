//! CSV (RFC 4180): records of fields, with the line where each record begins.
//!
//! In: bytes and a delimiter. Out: one record at a time. Invariant: memory is bounded by the caps on a field and on the
//! number of columns, whatever the file holds. Written by hand because an unbalanced quote must be reported at its
//! opening, which the common crates accept in silence.

use super::super::limits;
use super::file::Source;
use crate::base::Diagnostic;

/// One record: its fields and the line of its first byte, counted from 1.
#[derive(Default, Debug)]
pub struct Record {
    text: String,
    ends: Vec<usize>,
    pub line: u64,
}

impl Record {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn field(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start..self.ends[index]]
    }

    pub fn fields(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|i| self.field(i))
    }
}

/// Reads records from a file. `\n`, `\r\n` and a lone `\r` end a line; blank lines and a byte order mark are skipped.
pub struct Reader {
    pub source: Source,
    delimiter: u8,
    buffer: Vec<u8>,
    filled: usize,
    at: usize,
    line: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    FieldStart,
    Plain,
    Quoted,
    AfterQuote,
}

impl Reader {
    pub fn new(source: Source, delimiter: u8) -> Result<Reader, Box<Diagnostic>> {
        let mut reader = Reader { source, delimiter, buffer: vec![0; 1 << 16], filled: 0, at: 0, line: 1 };
        reader.filled = reader.source.fill(&mut reader.buffer)?;
        let head = &reader.buffer[..reader.filled];
        if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
            let note = "save the file as UTF-8, for example with `iconv -f UTF-16 -t UTF-8`";
            return Err(reader.error("E0412", 1, "this looks like UTF-16; CSV must be UTF-8", note));
        }
        reader.at = if head.starts_with(&[0xef, 0xbb, 0xbf]) { 3 } else { 0 };
        Ok(reader)
    }

    fn peek(&mut self) -> Result<Option<u8>, Box<Diagnostic>> {
        if self.at == self.filled {
            self.filled = self.source.fill(&mut self.buffer)?;
            self.at = 0;
        }
        Ok(self.buffer[..self.filled].get(self.at).copied())
    }

    /// Fills `record` with the next one that is not a blank line; false at the end of the file.
    pub fn read(&mut self, record: &mut Record) -> Result<bool, Box<Diagnostic>> {
        loop {
            if self.peek()?.is_none() {
                return Ok(false);
            }
            let mut bytes = std::mem::take(&mut record.text).into_bytes();
            bytes.clear();
            record.ends.clear();
            record.line = self.line;
            let quoted = self.scan(&mut bytes, &mut record.ends)?;
            let line = record.line;
            record.text = String::from_utf8(bytes).map_err(|_| {
                let note = "save the file as UTF-8, for example with `iconv -f LATIN1 -t UTF-8`";
                self.error("E0412", line, "this line is not valid UTF-8", note)
            })?;
            if record.len() > 1 || quoted || !record.text.trim().is_empty() {
                return Ok(true);
            }
        }
    }

    /// One record up to and with its line end; true where a field was quoted.
    fn scan(&mut self, bytes: &mut Vec<u8>, ends: &mut Vec<usize>) -> Result<bool, Box<Diagnostic>> {
        let (mut state, mut quoted, mut opened) = (State::FieldStart, false, self.line);
        loop {
            let byte = self.peek()?;
            self.at += usize::from(byte.is_some());
            match (state, byte) {
                (State::Quoted, None) => {
                    let note = "a quote inside a quoted field is written twice: \"\"";
                    return Err(self.error("E0413", opened, "the quote opened on this line is never closed", note));
                }
                (State::Quoted, Some(b'"')) => state = State::AfterQuote,
                (State::AfterQuote, Some(b'"')) => {
                    bytes.push(b'"');
                    state = State::Quoted;
                }
                (State::FieldStart, Some(b'"')) => {
                    (state, quoted, opened) = (State::Quoted, true, self.line);
                }
                (State::Quoted, Some(byte)) => {
                    self.line += u64::from(byte == b'\n');
                    bytes.push(byte);
                }
                (_, None) => {
                    self.close(bytes, ends)?;
                    return Ok(quoted);
                }
                (_, Some(byte)) if byte == self.delimiter => {
                    self.close(bytes, ends)?;
                    state = State::FieldStart;
                }
                (_, Some(byte @ (b'\n' | b'\r'))) => {
                    self.close(bytes, ends)?;
                    if byte == b'\r' && self.peek()? == Some(b'\n') {
                        self.at += 1;
                    }
                    self.line += 1;
                    return Ok(quoted);
                }
                (State::AfterQuote, Some(byte)) => {
                    let text = format!("`{}` follows a closing quote", (byte as char).escape_default());
                    let note = "after a quoted field comes the delimiter; a quote inside is written twice: \"\"";
                    return Err(self.error("E0413", self.line, &text, note));
                }
                (State::FieldStart | State::Plain, Some(byte)) => {
                    bytes.push(byte);
                    state = State::Plain;
                }
            }
            if bytes.len() - ends.last().copied().unwrap_or(0) > limits::FIELD_BYTES {
                let text = format!("a field is longer than {} bytes", limits::FIELD_BYTES);
                return Err(self.error("E0805", self.line, &text, "is this a CSV file, and is its delimiter right?"));
            }
        }
    }

    fn close(&self, bytes: &[u8], ends: &mut Vec<usize>) -> Result<(), Box<Diagnostic>> {
        if ends.len() == limits::COLUMNS {
            let text = format!("more than {} columns", limits::COLUMNS);
            return Err(self.error("E0805", self.line, &text, "this is the cap on the columns of a CSV file"));
        }
        ends.push(bytes.len());
        Ok(())
    }

    /// An error at a line of the file: `iris.csv:17: …`.
    pub fn error(&self, code: &'static str, line: u64, text: &str, note: &str) -> Box<Diagnostic> {
        let message = format!("{}:{line}: {text}", self.source.shown);
        Box::new(Diagnostic::error(code, self.source.span, message, "read here").note(note))
    }
}
