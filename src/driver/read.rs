//! Reading source files.
//!
//! In: a path. Out: text, or what is wrong with the file. Invariant: nothing but a regular file (or standard input) is
//! read, and no more of it than the cap on source text.

use crate::base::Diagnostic;
use crate::syntax::{MAX_SOURCE, decode};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The text of the file at `path`, `-` for standard input.
///
/// Errors: E0601 not readable, E0802 too large, E0005 not UTF-8.
pub fn source(path: &Path) -> Result<String, Box<Diagnostic>> {
    let shown = path.display().to_string();
    let name = |mut error: Box<Diagnostic>| {
        error.message = format!("{shown}: {}", error.message);
        error
    };
    if path.as_os_str() == "-" {
        return decode(&bytes(&mut io::stdin().lock()).map_err(|e| unreadable(&shown, &e.to_string()))?).map_err(name);
    }
    let kind = path.metadata().map_err(|e| unreadable(&shown, &reason(&e)))?;
    if kind.is_dir() {
        return Err(unreadable(&shown, "it is a directory"));
    }
    // A device is read up to the cap, so that `/dev/zero` ends and `/dev/stdin` works; a pipe might never answer.
    if is_pipe(&kind) {
        return Err(unreadable(&shown, "it is a pipe; `-` reads standard input"));
    }
    let mut file = File::open(path).map_err(|e| unreadable(&shown, &reason(&e)))?;
    decode(&bytes(&mut file).map_err(|e| unreadable(&shown, &reason(&e)))?).map_err(name)
}

/// At most one byte more than the cap: enough to know that it is passed.
fn bytes(reader: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(MAX_SOURCE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(unix)]
fn is_pipe(kind: &std::fs::Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(&kind.file_type())
}

#[cfg(not(unix))]
fn is_pipe(_: &std::fs::Metadata) -> bool {
    false
}

/// The file that `use "…"` names in `from`: its name for messages and its text.
///
/// Errors: E0603 where it lies outside the folder of the first file, and those of [`source`].
pub fn used(access: &crate::runtime::data::Access, written: &str) -> Result<(String, String), Diagnostic> {
    let span = crate::base::Span::default();
    let bare = |mut error: Box<Diagnostic>| {
        error.labels.clear();
        *error
    };
    let path: PathBuf = access.resolve(written, span).map_err(bare)?;
    let text = source(&path).map_err(bare)?;
    let root = access.root.canonicalize().unwrap_or_default();
    let shown = path.strip_prefix(&root).map(|p| access.root.join(p)).unwrap_or(path);
    Ok((shown.display().to_string(), text))
}

/// E0601
pub fn unreadable(shown: &str, why: &str) -> Box<Diagnostic> {
    let error = Diagnostic::plain("E0601", format!("\"{shown}\" cannot be read: {why}"));
    Box::new(match why {
        "there is no such file" => error.note(format!("looked for in {}", folder())),
        _ => error,
    })
}

fn folder() -> String {
    std::env::current_dir().map_or_else(|_| "the present folder".to_string(), |p| p.display().to_string())
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_string(),
        io::ErrorKind::PermissionDenied => "no permission".to_string(),
        _ => error.to_string(),
    }
}
