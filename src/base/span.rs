//! Places in source text, as byte offsets.
//!
//! In: the texts of the files of one compilation. Out: `Span`s into them, lines and columns on demand.
//! Invariant: a span lies inside its file and on character boundaries.

use std::fmt;

/// A file of a [`SourceMap`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct FileId(pub u16);

/// Bytes `start..end` of a file. Lines are computed only when a message is shown: doing it per node is quadratic.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Span {
    pub file: FileId,
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub fn new(file: FileId, start: usize, end: usize) -> Span {
        Span { file, start: start as u32, end: end as u32 }
    }

    /// From the start of `self` to the end of `other`; both lie in the same file.
    pub fn to(self, other: Span) -> Span {
        Span { file: self.file, start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// The empty span just behind this one: where something is missing.
    pub fn after(self) -> Span {
        Span { start: self.end, ..self }
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}..{}", self.file.0, self.start, self.end)
    }
}

/// One source file: its name as the user wrote it, its text, and whether it belongs to the library in `lib/`.
#[derive(Clone, Debug)]
pub struct SourceFile {
    pub name: String,
    pub text: String,
    pub library: bool,
}

/// All files of one compilation.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
}

impl SourceMap {
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>, library: bool) -> FileId {
        self.files.push(SourceFile { name: name.into(), text: text.into(), library });
        FileId((self.files.len() - 1) as u16)
    }

    pub fn file(&self, id: FileId) -> &SourceFile {
        &self.files[id.0 as usize]
    }

    pub fn files(&self) -> impl Iterator<Item = (FileId, &SourceFile)> {
        self.files.iter().enumerate().map(|(i, f)| (FileId(i as u16), f))
    }

    pub fn text(&self, span: Span) -> &str {
        &self.file(span.file).text[span.start as usize..span.end as usize]
    }

    /// Line and column, both counted from 1; the column counts characters. `\n`, `\r\n` and a lone `\r` end a line.
    pub fn line_column(&self, span: Span) -> (usize, usize) {
        let text = &self.file(span.file).text;
        let before = &text.as_bytes()[..span.start as usize];
        let (mut line, mut start) = (1, 0);
        for (i, &byte) in before.iter().enumerate() {
            let lone_cr = byte == b'\r' && text.as_bytes().get(i + 1) != Some(&b'\n');
            if byte == b'\n' || lone_cr {
                (line, start) = (line + 1, i + 1);
            }
        }
        (line, text[start..span.start as usize].chars().count() + 1)
    }
}
