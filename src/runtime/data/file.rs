//! Opening the files that a `data` item names, plain or gzipped, inside the permitted folder.
//!
//! In: a path as written in the source. Out: a reader of its bytes with its size. Invariant: no file outside the
//! permitted folder is touched, nothing but a regular file is opened, and a compressed file ends at the cap.

use super::super::limits;
use crate::base::{Diagnostic, Span};
use flate2::bufread::MultiGzDecoder;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};

/// What the command line permits.
#[derive(Clone, Debug)]
pub struct Access {
    /// Paths in the source resolve against it: the folder of the `.nn` file, or `--data-root`.
    pub root: PathBuf,
    pub allow_outside: bool,
    /// Bytes that a compressed file may expand to.
    pub max_decompressed: u64,
    /// What the command will write: data is not read from there.
    pub written: Vec<PathBuf>,
}

impl Access {
    /// The folder of `source` and the default cap.
    pub fn beside(source: &Path) -> Access {
        let folder = source.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let (root, max_decompressed) = (folder.to_path_buf(), limits::DECOMPRESSED_BYTES);
        Access { root, allow_outside: false, max_decompressed, written: Vec::new() }
    }

    /// The real path of `written`. E0603 where it leaves the root, E0601 where there is nothing.
    pub fn resolve(&self, written: &str, span: Span) -> Result<PathBuf, Box<Diagnostic>> {
        let joined = self.root.join(written);
        if written.is_empty() || written.contains('\0') {
            return Err(missing(written, "this is no file name", span));
        }
        if !self.allow_outside && !lexically_inside(&self.root, written) {
            return Err(outside(written, span));
        }
        let real = joined.canonicalize().map_err(|e| missing(written, &reason(&e, &joined), span))?;
        let root = self.root.canonicalize().map_err(|e| missing(written, &reason(&e, &self.root), span))?;
        if !self.allow_outside && !real.starts_with(&root) {
            return Err(outside(written, span));
        }
        Ok(real)
    }
}

/// An opened data file.
pub struct Source {
    /// As the user wrote it, for messages.
    pub shown: String,
    pub span: Span,
    /// Bytes on disk.
    pub size: u64,
    pub gzip: bool,
    pub cap: u64,
    reader: Box<dyn Read>,
}

/// Opens `written` for reading; gzip is recognised by its first two bytes.
pub fn open(access: &Access, written: &str, span: Span) -> Result<Source, Box<Diagnostic>> {
    let path = access.resolve(written, span)?;
    let fail = |e: &io::Error| missing(written, &reason(e, &path), span);
    let kind = path.metadata().map_err(|e| fail(&e))?;
    if kind.is_dir() {
        return Err(missing(written, "it is a directory, not a file", span));
    }
    if !kind.is_file() {
        return Err(missing(written, "it is not a regular file (a pipe or a device)", span));
    }
    if access.written.iter().any(|other| same_file(&path, other)) {
        let text = format!("\"{}\" is read by this run: nothing else is written to it", printable(written));
        let error = Diagnostic::error("E0201", span, text, "read here");
        return Err(Box::new(error.note("name another file behind `--save` or `--profile`")));
    }
    let file = File::open(&path).map_err(|e| fail(&e))?;
    let mut buffered = BufReader::with_capacity(1 << 16, file);
    let head = io::BufRead::fill_buf(&mut buffered).map_err(|e| fail(&e))?;
    let gzip = head.starts_with(&[0x1f, 0x8b]);
    let (cap, shown) = (access.max_decompressed, printable(written));
    if !gzip && written.ends_with(".gz") {
        let error = Diagnostic::error("E0409", span, format!("{shown}: this is not a gzip file"), "named `.gz` here");
        return Err(Box::new(
            error.note("it does not begin with the bytes 1f 8b; name it without `.gz` if it is plain"),
        ));
    }
    let reader: Box<dyn Read> = match gzip {
        true => Box::new(Capped { inner: MultiGzDecoder::new(buffered), left: cap }),
        false => Box::new(buffered),
    };
    Ok(Source { shown, span, size: kind.len(), gzip, cap, reader })
}

impl Source {
    /// The message for a failed read: E0806 past the cap, E0409 for damaged gzip, else E0602.
    pub fn failed(&self, error: &io::Error) -> Box<Diagnostic> {
        let shown = &self.shown;
        let (code, text, note) = if error.get_ref().is_some_and(|e| e.is::<TooLarge>()) {
            let text = format!("{shown} expands to more than {} bytes", self.cap);
            ("E0806", text, "a larger cap is given by `--max-decompressed BYTES`".to_string())
        } else if self.gzip && error.kind() == io::ErrorKind::UnexpectedEof {
            (
                "E0409",
                format!("{shown}: the gzip data ends early"),
                "the file is cut off, or something follows its end: copy or download it again".into(),
            )
        } else if self.gzip {
            let note = format!("{error}: `gzip -t` on the file says the same; copy or download it again");
            ("E0409", format!("{shown}: the gzip data is damaged"), note)
        } else {
            ("E0602", format!("{shown} could not be read: {error}"), "did it change while it was read?".to_string())
        };
        Box::new(Diagnostic::error(code, self.span, text, "read here").note(note))
    }

    /// Reads exactly `buffer`; `Ok(read)` is less where the file ends.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Box<Diagnostic>> {
        let mut read = 0;
        while read < buffer.len() {
            match self.reader.read(&mut buffer[read..]) {
                Ok(0) => break,
                Ok(n) => read += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.failed(&e)),
            }
        }
        Ok(read)
    }

    /// All bytes up to the end, of which there may be `most` (E0805). Memory grows with what comes.
    pub fn all(&mut self, most: usize) -> Result<Vec<u8>, Box<Diagnostic>> {
        let mut bytes: Vec<u8> = Vec::new();
        loop {
            let start = bytes.len();
            let step =
                if self.gzip || start > 0 { 1 << 20 } else { (self.size as usize).saturating_add(1).min(most + 1) };
            if bytes.try_reserve(step).is_err() {
                let text = format!("{} needs more than {start} bytes of memory, more than there is", self.shown);
                return Err(Box::new(Diagnostic::error("E0803", self.span, text, "read here")));
            }
            bytes.resize(start + step, 0);
            let read = self.fill(&mut bytes[start..])?;
            bytes.truncate(start + read);
            if bytes.len() > most {
                let text = format!("{} holds more than {most} bytes", self.shown);
                let error = Diagnostic::error("E0805", self.span, text, "read here");
                return Err(Box::new(error.note("this is the cap for a file that is read whole: split the file")));
            }
            if read < step {
                return Ok(bytes);
            }
        }
    }
}

/// A decoder that fails once `left` bytes have come out of it.
struct Capped<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| io::Error::other(TooLarge))?;
        Ok(read)
    }
}

#[derive(Debug)]
struct TooLarge;

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expands past the cap")
    }
}

impl std::error::Error for TooLarge {}

/// Whether both names are of one file that is there, through links of either kind.
#[cfg(unix)]
pub fn same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let node = |path: &Path| path.metadata().ok().map(|m| (m.dev(), m.ino()));
    node(a).is_some_and(|a| node(b) == Some(a))
}

#[cfg(not(unix))]
pub fn same_file(a: &Path, b: &Path) -> bool {
    a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b))
}

/// True where `written`, its `..` worked out as text, stays below `root`: decided before the file system is asked.
fn lexically_inside(root: &Path, written: &str) -> bool {
    let path = Path::new(written);
    if path.is_absolute() {
        let base = std::path::absolute(root).unwrap_or_default();
        return path.starts_with(&base) && !path.components().any(|c| c == Component::ParentDir);
    }
    let mut depth = 0i64;
    for part in path.components() {
        match part {
            Component::ParentDir => depth -= 1,
            Component::Normal(_) => depth += 1,
            _ => {}
        }
        if depth < 0 {
            return false;
        }
    }
    true
}

fn outside(written: &str, span: Span) -> Box<Diagnostic> {
    let text = format!("\"{}\" lies outside the folder of this file", printable(written));
    let error = Diagnostic::error("E0603", span, text, "only files beside or below this file are read");
    Box::new(error.note("`--data-root FOLDER` names another folder; `--allow-outside` permits any path"))
}

/// E0601: `written` cannot be opened because of `why`.
pub fn missing(written: &str, why: &str, span: Span) -> Box<Diagnostic> {
    let text = format!("\"{}\" cannot be read: {why}", printable(written));
    Box::new(Diagnostic::error("E0601", span, text, "named here"))
}

/// The name of a file, with what would move the cursor written as an escape.
pub fn printable(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c.is_control() {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out
}

fn reason(error: &io::Error, path: &Path) -> String {
    match error.kind() {
        io::ErrorKind::NotFound if path.is_symlink() => "it is a link to a file that is not there".into(),
        io::ErrorKind::NotFound => format!("there is no file {}", printable(&path.display().to_string())),
        io::ErrorKind::PermissionDenied => {
            format!("no permission to read {}", printable(&path.display().to_string()))
        }
        _ => error.to_string(),
    }
}
