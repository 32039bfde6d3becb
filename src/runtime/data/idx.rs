//! IDX, the format of MNIST: a magic number, the sizes of the axes, then unsigned bytes.
//!
//! In: a file, plain or gzipped. Out: its axes and bytes. Invariant: the header's sizes are held against the file's size
//! before anything is allocated for them.
//! Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", section "File formats".

use super::super::limits;
use super::file::{Access, Source, missing, open};
use crate::base::{Diagnostic, Span};
use std::path::Path;

/// The contents of an IDX file of unsigned bytes.
#[derive(Debug)]
pub struct Idx {
    pub dims: Vec<u64>,
    pub bytes: Vec<u8>,
    pub shown: String,
}

/// The two files of one part.
#[derive(Debug)]
pub struct Pair {
    pub images: Option<Idx>,
    pub labels: Option<Idx>,
}

/// Reads what is wanted of `FOLDER/PREFIX-images-idx3-ubyte[.gz]` and `FOLDER/PREFIX-labels-idx1-ubyte[.gz]`.
pub fn read_pair(
    access: &Access,
    folder: &str,
    prefix: &str,
    wanted: (bool, bool),
    span: Span,
) -> Result<Pair, Box<Diagnostic>> {
    let images = wanted.0.then(|| read(access, &find(access, folder, prefix, "images", 3, span)?, span)).transpose()?;
    let labels = wanted.1.then(|| read(access, &find(access, folder, prefix, "labels", 1, span)?, span)).transpose()?;
    if let (Some(images), Some(labels)) = (&images, &labels)
        && images.dims[0] != labels.dims[0]
    {
        let text = format!(
            "{} has {} images, but {} has {} labels",
            images.shown, images.dims[0], labels.shown, labels.dims[0]
        );
        let error = Diagnostic::error("E0408", span, text, "read here");
        return Err(Box::new(error.note("the two files belong to different sets, or one is cut off: copy both again")));
    }
    if let Some(labels) = labels.as_ref().filter(|l| l.dims.len() != 1) {
        let text = format!("{} has {} axes; labels have one", labels.shown, labels.dims.len());
        return Err(Box::new(Diagnostic::error("E0407", span, text, "read here")));
    }
    Ok(Pair { images, labels })
}

/// The name as written in the source, folder included.
fn find(
    access: &Access,
    folder: &str,
    prefix: &str,
    what: &str,
    axes: u8,
    span: Span,
) -> Result<String, Box<Diagnostic>> {
    let real = access.resolve(folder, span)?;
    if !real.is_dir() {
        return Err(missing(folder, "`idx` takes a folder, and this is a file", span));
    }
    let names = [format!("{prefix}-{what}-idx{axes}-ubyte"), format!("{prefix}-{what}.idx{axes}-ubyte")];
    for name in names.iter().flat_map(|n| [n.clone(), format!("{n}.gz")]) {
        if real.join(&name).exists() {
            return Ok(Path::new(folder).join(name).to_string_lossy().into_owned());
        }
    }
    let why = format!("it holds no `{}` and no `{}.gz`", names[0], names[0]);
    Err(missing(folder, &why, span))
}

/// Reads one file.
///
/// Errors: E0407 for a header that the file does not keep, E0409 and E0806 for bad gzip, E0803 out of memory.
pub fn read(access: &Access, written: &str, span: Span) -> Result<Idx, Box<Diagnostic>> {
    let mut source = open(access, written, span)?;
    let dims = header(&mut source)?;
    let needed = dims.iter().try_fold(1u64, |n, &d| n.checked_mul(d));
    let header_bytes = 4 + 4 * dims.len() as u64;
    let Some(needed) = needed.filter(|n| n.checked_add(header_bytes).is_some()) else {
        return Err(wrong(&source, format!("the sizes {dims:?} overflow")));
    };
    let available = if source.gzip { source.cap } else { source.size - header_bytes.min(source.size) };
    if source.gzip && needed > available {
        let error = std::io::Error::other("the header asks for more than the cap");
        let text = format!("{written}: its header asks for {needed} bytes, more than the cap of {}", source.cap);
        let note = format!("{error}; `--max-decompressed BYTES` raises the cap");
        return Err(Box::new(Diagnostic::error("E0806", span, text, "read here").note(note)));
    }
    if !source.gzip && needed != available {
        return Err(wrong(&source, format!("needs {needed} bytes for {dims:?}, has {available}")));
    }
    let bytes = read_body(&mut source, needed as usize)?;
    if dims[0] > limits::ROWS as u64 {
        let text = format!("{written}: {} rows, the cap is {}", dims[0], limits::ROWS);
        return Err(Box::new(Diagnostic::error("E0805", span, text, "read here")));
    }
    Ok(Idx { dims, bytes, shown: source.shown })
}

fn header(source: &mut Source) -> Result<Vec<u64>, Box<Diagnostic>> {
    let mut magic = [0; 4];
    if source.fill(&mut magic)? < 4 {
        return Err(wrong(source, "needs 4 bytes of magic number, ends before".to_string()));
    }
    if magic[..2] != [0, 0] || magic[3] == 0 || usize::from(magic[3]) > limits::IDX_AXES {
        return Err(wrong(source, format!("its first bytes {magic:02x?} are no IDX magic number")));
    }
    if magic[2] != 8 {
        let text = format!("its elements have type 0x{:02x}; only unsigned bytes (0x08) are read", magic[2]);
        return Err(wrong(source, text));
    }
    let mut sizes = vec![0; 4 * usize::from(magic[3])];
    let read = source.fill(&mut sizes)?;
    if read < sizes.len() {
        return Err(wrong(source, format!("needs {} bytes of header, has {}", 4 + sizes.len(), 4 + read)));
    }
    Ok(sizes.chunks_exact(4).map(|b| u64::from(u32::from_be_bytes([b[0], b[1], b[2], b[3]]))).collect())
}

/// Exactly `needed` bytes; memory grows with what really comes out of a gzip stream, not with what the header says.
fn read_body(source: &mut Source, needed: usize) -> Result<Vec<u8>, Box<Diagnostic>> {
    let mut bytes: Vec<u8> = Vec::new();
    while bytes.len() < needed {
        let (start, step) = (bytes.len(), (needed - bytes.len()).min(16 << 20));
        if bytes.try_reserve(step).is_err() {
            let text = format!("{} needs {needed} bytes of memory, more than there is", source.shown);
            return Err(Box::new(Diagnostic::error("E0803", source.span, text, "read here")));
        }
        bytes.resize(start + step, 0);
        let read = source.fill(&mut bytes[start..])?;
        if read < step {
            return Err(wrong(source, format!("needs {needed} bytes, has {}", start + read)));
        }
    }
    if source.fill(&mut [0])? != 0 {
        return Err(wrong(source, format!("needs {needed} bytes, has more")));
    }
    Ok(bytes)
}

fn wrong(source: &Source, what: String) -> Box<Diagnostic> {
    let error = Diagnostic::error("E0407", source.span, format!("{}: {what}", source.shown), "read here");
    Box::new(error.note("the file is cut off, or it is no IDX file of unsigned bytes: copy or download it again"))
}
