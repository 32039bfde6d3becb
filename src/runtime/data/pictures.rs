//! The fields of an `idx` data item.
//!
//! In: the folder's files. Out: pictures as numbers 0 to 255 and labels as texts. Invariant: training rows stand before
//! test rows.

use super::file::Access;
use super::idx::{self, Pair};
use super::raw::{Cells, Coded, Errors, Missing, Raw, RawField};
use super::table::{no_rows, no_source};
use super::vocabulary::vocabulary;
use crate::base::Diagnostic;
use crate::check::signature::{Place, bind};
use crate::check::spec::{DataSpec, Kind, Part};

/// Reads `train-*`, and `t10k-*` where the split asks for it.
pub fn read(access: &Access, spec: &DataSpec) -> Result<Raw, Errors> {
    let one = |e: Box<Diagnostic>| vec![*e];
    let args = bind(vocabulary(), Place::Reader, "idx", &spec.reader).map_err(one)?;
    let folder = args.text("folder").expect("`folder` is required");
    let (mut wanted, mut errors) = ((false, false), Errors::new());
    for field in &spec.fields {
        let source = field.source.as_ref().ok_or_else(|| no_source(field));
        match source.and_then(|call| bind(vocabulary(), Place::Source, "idx", call)) {
            Ok(bound) if bound.signature.name == "images" => wanted.0 = true,
            Ok(_) => wanted.1 = true,
            Err(error) => errors.push(*error),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let span = spec.reader.span;
    let mut parts = vec![idx::read_pair(access, folder, "train", wanted, span).map_err(one)?];
    if spec.split.test == Part::Given || spec.split.valid == Part::Given {
        parts.push(idx::read_pair(access, folder, "t10k", wanted, span).map_err(one)?);
    }
    let counts: Vec<usize> = parts.iter().map(rows).collect();
    if counts[0] == 0 {
        return Err(vec![no_rows(folder, "the training files are empty", span)]);
    }
    let fields = spec.fields.iter().map(|f| match f.source.as_ref().is_some_and(|s| s.name == "images") {
        true => images(&parts, spec),
        false => Ok(labels(&parts, f.kind == Kind::Real)),
    });
    let fields = fields.collect::<Result<_, _>>().map_err(one)?;
    let shown = parts[0].labels.as_ref().or(parts[0].images.as_ref()).map_or(folder, |i| i.shown.as_str()).to_string();
    let given = Some(counts[0]);
    Ok(Raw { rows: counts.iter().sum(), fields, given, shown, warnings: Errors::new() })
}

fn rows(pair: &Pair) -> usize {
    pair.images.as_ref().or(pair.labels.as_ref()).map_or(0, |i| i.dims[0] as usize)
}

fn images(parts: &[Pair], spec: &DataSpec) -> Result<RawField, Box<Diagnostic>> {
    let files: Vec<_> = parts.iter().filter_map(|p| p.images.as_ref()).collect();
    if let Some(other) = files.iter().find(|f| f.dims[1..] != files[0].dims[1..]) {
        let text = format!(
            "the pictures of {} are {:?}, those of {} are {:?}",
            files[0].shown,
            &files[0].dims[1..],
            other.shown,
            &other.dims[1..]
        );
        return Err(Box::new(Diagnostic::error("E0408", spec.reader.span, text, "read here")));
    }
    let total: usize = files.iter().map(|f| f.bytes.len()).sum();
    let mut values = Vec::new();
    if values.try_reserve_exact(total).is_err() {
        let text = format!("the pictures need {} bytes of memory, more than there is", total.saturating_mul(4));
        return Err(Box::new(Diagnostic::error("E0803", spec.reader.span, text, "read here")));
    }
    files.iter().for_each(|f| values.extend(f.bytes.iter().map(|&b| f32::from(b))));
    let mut dims = files[0].dims[1..].to_vec();
    if dims.len() == 2 {
        dims.push(1);
    }
    let (cells, names) = (Cells::Numbers(values), Vec::new());
    Ok(RawField { cells, dims, names, range: Some((0.0, 255.0)), missing: Missing::Error, ends: None })
}

fn labels(parts: &[Pair], as_numbers: bool) -> RawField {
    let bytes = parts.iter().filter_map(|p| p.labels.as_ref()).flat_map(|l| l.bytes.iter().copied());
    let cells = match as_numbers {
        true => Cells::Numbers(bytes.map(f32::from).collect()),
        false => Cells::Texts(vec![Coded { files: files(parts), ..code(bytes) }]),
    };
    let names = vec!["labels".to_string()];
    RawField { cells, dims: vec![1], names, range: None, missing: Missing::Error, ends: None }
}

/// The files of the labels, each with the rows before it.
fn files(parts: &[Pair]) -> Vec<(u64, String)> {
    let mut before = 0;
    let file = |labels: &idx::Idx| {
        let file = (before, labels.shown.clone());
        before += labels.bytes.len() as u64;
        file
    };
    parts.iter().filter_map(|p| p.labels.as_ref()).map(file).collect()
}

fn code(bytes: impl Iterator<Item = u8>) -> Coded {
    let (mut known, mut coded) = ([u32::MAX; 256], Coded::default());
    for (row, byte) in bytes.enumerate() {
        let code = &mut known[usize::from(byte)];
        if *code == u32::MAX {
            *code = coded.labels.len() as u32;
            coded.labels.push(byte.to_string());
            coded.lines.push(row as u64 + 1);
        }
        coded.codes.push(*code);
    }
    coded
}
