//! Texts: one file as a sequence of characters or words, or as lines.
//!
//! In: a file of UTF-8. Out: its tokens in their order, or its lines as rows. Invariant: `\r\n` and `\r` count as `\n`, so
//! that a text means the same whatever machine wrote it.

use super::file::{self, Access};
use super::raw::{Cells, Coded, Coder, Errors, Missing, Raw, RawField};
use super::table::{no_rows, no_source};
use super::tokens::{self, Splitter};
use super::vocabulary::vocabulary;
use crate::base::{Diagnostic, Span};
use crate::check::signature::{Place, bind};
use crate::check::spec::{DataSpec, FieldSpec, Kind};
use crate::runtime::limits;

/// The fields of a `text` data item: a row for each token.
pub fn read(access: &Access, spec: &DataSpec) -> Result<Raw, Errors> {
    let (text, path) = load(access, spec)?;
    let mut errors = Errors::new();
    let mut fields: Vec<RawField> = Vec::new();
    for (i, field) in spec.fields.iter().enumerate() {
        let same = spec.fields[..i].iter().position(|f| tokens::same_source(f, field));
        let made = match same.and_then(|at| fields.get(at)) {
            Some(known) => Ok(known.clone()),
            None => sequence(access, field, &text, &path),
        };
        match made {
            Ok(made) => fields.push(made),
            Err(error) => errors.push(*error),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let rows = fields[0].rows();
    if let Some(i) = fields.iter().position(|f| f.rows() != rows) {
        let (a, b) = (&spec.fields[0], &spec.fields[i]);
        let (n, m) = (rows, fields[i].rows());
        let text = format!("`{}` has {n} tokens and `{}` has {m}: they are no fields of one row", a.name, b.name);
        return Err(vec![Diagnostic::error("E0408", b.span, text, "split the text the same way in every field")]);
    }
    if rows == 0 {
        return Err(vec![no_rows(&path, "there is no token in it", spec.reader.span)]);
    }
    Ok(Raw { rows, fields, given: None, shown: path, warnings: Errors::new() })
}

fn sequence(access: &Access, field: &FieldSpec, text: &str, path: &str) -> Result<RawField, Box<Diagnostic>> {
    let call = field.source.as_ref().ok_or_else(|| no_source(field))?;
    let splitter = Splitter::of(access, "text", Place::Source, call)?;
    if !matches!(field.kind, Kind::Token(_)) {
        let text = format!("`{}` takes tokens, so it is a `token(V)`", field.name);
        let error = Diagnostic::error("E0105", field.span, text, "write `token(V)[T]` as its type");
        return Err(Box::new(error.note("V is then counted: it is the number of different tokens")));
    }
    let mut coder = Coder::default();
    for (i, line) in text.split_inclusive('\n').enumerate() {
        splitter.split(line, &mut |token| coder.push(token, i as u64 + 1));
    }
    let coded = coder.coded;
    tokens::check_lengths(&coded, path, call.span)?;
    let (cells, names) = (Cells::Texts(vec![coded]), vec![call.name.clone()]);
    Ok(RawField { cells, dims: vec![], names, range: None, missing: Missing::Error, ends: None })
}

/// The fields of a `lines` data item: a row for each line that is not blank.
pub fn read_lines(access: &Access, spec: &DataSpec) -> Result<Raw, Errors> {
    let (text, path) = load(access, spec)?;
    let mut coder = Coder::default();
    let lines = text.lines().enumerate().map(|(i, line)| (i as u64 + 1, line.trim()));
    lines.filter(|(_, line)| !line.is_empty()).for_each(|(i, line)| coder.push(line, i));
    let coded: Coded = coder.coded;
    let rows = coded.codes.len();
    if rows == 0 {
        return Err(vec![no_rows(&path, "every line is blank", spec.reader.span)]);
    }
    let field = |field: &FieldSpec| {
        let call = field.source.as_ref().ok_or_else(|| no_source(field))?;
        bind(vocabulary(), Place::Source, "lines", call)?;
        let (cells, names) = (Cells::Texts(vec![coded.clone()]), vec!["line".to_string()]);
        Ok(RawField { cells, dims: vec![1], names, range: None, missing: Missing::Error, ends: None })
    };
    let fields: Result<_, Box<Diagnostic>> = spec.fields.iter().map(field).collect();
    Ok(Raw { rows, fields: fields.map_err(|e| vec![*e])?, given: None, shown: path, warnings: Errors::new() })
}

/// The text that the reader names, and its path as written.
fn load(access: &Access, spec: &DataSpec) -> Result<(String, String), Errors> {
    let one = |e: Box<Diagnostic>| vec![*e];
    let args = bind(vocabulary(), Place::Reader, "", &spec.reader).map_err(one)?;
    let path = args.text("path").expect("`path` is required");
    let lossy = args.text("lossy") == Some("true");
    let text = content(access, path, Some(lossy), spec.reader.span).map_err(one)?;
    if text.is_empty() {
        return Err(vec![no_rows(path, "the file is empty", spec.reader.span)]);
    }
    Ok((text, path.to_string()))
}

/// A whole file as text. With `lossy`, what is not UTF-8 becomes U+FFFD, else it is E0412; `None` where it cannot be asked for.
pub fn content(access: &Access, path: &str, lossy: Option<bool>, span: Span) -> Result<String, Box<Diagnostic>> {
    let mut source = file::open(access, path, span)?;
    let bytes = source.all(limits::TEXT_BYTES)?;
    let bytes = bytes.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(&bytes);
    let wrong = |text: String, note: &str| {
        Box::new(Diagnostic::error("E0412", span, format!("{path}: {text}"), "read here").note(note))
    };
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let note = "save the file as UTF-8, for example with `iconv -f UTF-16 -t UTF-8`";
        return Err(wrong("this looks like UTF-16; a text must be UTF-8".into(), note));
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => std::borrow::Cow::Borrowed(text),
        Err(_) if lossy == Some(true) => String::from_utf8_lossy(bytes),
        Err(error) => {
            let at = error.valid_up_to();
            let line = 1 + bytes[..at].iter().filter(|&&b| b == b'\n').count();
            let text = format!("byte {at} (line {line}) is 0x{:02x}, which is not valid UTF-8", bytes[at]);
            let note = match lossy {
                Some(_) => "save the file as UTF-8 (`iconv -f LATIN1 -t UTF-8`), or read it with `lossy = true`",
                None => "save the file as UTF-8 (`iconv -f LATIN1 -t UTF-8`)",
            };
            return Err(wrong(text, note));
        }
    };
    Ok(if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text.into_owned() })
}
