//! Writing files: source text that is replaced, weights and traces that are saved.
//!
//! In: a path and its new contents. Out: the file with them. Invariant: the file has the old contents or the new ones, never
//! a part.

use crate::base::Diagnostic;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

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
    let kind = fs::metadata(&real).map_err(failed)?;
    if let Some(why) = no_file(&kind) {
        return Err(refused(path, why));
    }
    let permissions = kind.permissions();
    let written = fs::write(&temporary, text)
        .and_then(|()| fs::set_permissions(&temporary, permissions))
        .and_then(|()| fs::rename(&temporary, &real));
    written.map_err(|e| {
        let _ = fs::remove_file(&temporary);
        failed(e)
    })
}

/// Writes a new file, or another one in the place of what is there: all of it is on the disk before it has its name.
///
/// Errors: E0602 where that fails.
pub fn save(path: &Path, bytes: &[u8]) -> Result<(), Box<Diagnostic>> {
    let (real, temporary) = beside(path)?;
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, &real)?;
        // The name is on the disk when its folder is.
        File::open(folder(&real))?.sync_all()
    });
    written.map_err(|e| {
        let _ = fs::remove_file(&temporary);
        refused(path, &e.to_string())
    })
}

/// Whether [`save`] could write there: asked before a run of hours. E0602 where not.
pub fn can_save(path: &Path) -> Result<(), Box<Diagnostic>> {
    let (_, temporary) = beside(path)?;
    File::create(&temporary).and_then(|_| fs::remove_file(&temporary)).map_err(|e| refused(path, &e.to_string()))
}

/// The file that `path` names, through links, and a temporary one in its folder.
fn beside(path: &Path) -> Result<(PathBuf, PathBuf), Box<Diagnostic>> {
    let real =
        if path.exists() { path.canonicalize().map_err(|e| refused(path, &e.to_string()))? } else { path.into() };
    if let Some(why) = fs::metadata(&real).ok().and_then(|kind| no_file(&kind)) {
        return Err(refused(path, why));
    }
    let Some(name) = real.file_name() else { return Err(refused(path, "it is not the name of a file")) };
    if !folder(&real).is_dir() {
        return Err(refused(path, &format!("there is no folder \"{}\"", folder(&real).display())));
    }
    let mut name = name.to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = real.with_file_name(name);
    Ok((real, temporary))
}

/// Why what is there must stay: a new file would take its name, and a device of the machine would be gone.
fn no_file(kind: &fs::Metadata) -> Option<&'static str> {
    match (kind.is_dir(), kind.is_file()) {
        (true, _) => Some("it is a folder"),
        (_, false) => Some("it is a device, a pipe or a socket, not a file"),
        (_, true) => None,
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn refused(path: &Path, why: &str) -> Box<Diagnostic> {
    Box::new(Diagnostic::plain("E0602", format!("\"{}\" could not be written: {why}", path.display())))
}
