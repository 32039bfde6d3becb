//! Replacing source files.
//!
//! In: a path and its new text. Out: the file with that text. Invariant: the file has the old text or the new one, never
//! a part.

use crate::base::Diagnostic;
use std::fs;
use std::path::Path;

/// Writes a temporary file beside `path` and renames it. E0602 where that fails.
pub fn replace(path: &Path, text: &str) -> Result<(), Box<Diagnostic>> {
    let failed = |e: std::io::Error| {
        Box::new(Diagnostic::plain("E0602", format!("\"{}\" could not be written: {e}", path.display())))
    };
    // A link stays a link: its target is replaced.
    let real = path.canonicalize().map_err(failed)?;
    let mut name = real.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = real.with_file_name(name);
    let permissions = fs::metadata(&real).map_err(failed)?.permissions();
    let written = fs::write(&temporary, text)
        .and_then(|()| fs::set_permissions(&temporary, permissions))
        .and_then(|()| fs::rename(&temporary, &real));
    written.map_err(|e| {
        let _ = fs::remove_file(&temporary);
        failed(e)
    })
}
