//! Tensors from a safetensors file: the start of a run given from outside, and `given` data.
//!
//! In: the bytes of the file. Out: tensors by name. Invariant: the header is held against the file's size before it is
//! used, and only numbers that an f32 or i32 holds exactly are taken over.

use super::fields::{bind_count, fit_shape};
use super::raw::Errors;
use super::{Dataset, Field, Parts, Storage};
use crate::base::names::nearest;
use crate::base::{Diagnostic, Extent, Span};
use crate::check::spec::{DataSpec, Kind};
use crate::runtime::limits;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// One tensor, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub shape: Vec<u64>,
    pub storage: Storage,
}

/// The tensors of a file by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StartFile {
    pub shown: String,
    pub tensors: BTreeMap<String, Tensor>,
}

/// Reads the file that `--start` names.
///
/// Errors: E0601 not readable, E0501 and E0502 header, E0503 offsets and sizes, E0505 not finite, E0506 element type.
pub fn read_start(path: &Path) -> Result<StartFile, Box<Diagnostic>> {
    let shown = path.display().to_string();
    let unreadable = |why: String| Box::new(Diagnostic::plain("E0601", format!("\"{shown}\" cannot be read: {why}")));
    let kind = path.metadata().map_err(|e| unreadable(e.to_string()))?;
    if !kind.is_file() {
        return Err(unreadable("it is not a regular file".to_string()));
    }
    let size = kind.len();
    let mut bytes = Vec::new();
    if usize::try_from(size).map_or(true, |size| bytes.try_reserve_exact(size).is_err()) {
        let text = format!("{shown} needs {size} bytes of memory, more than there is");
        return Err(Box::new(Diagnostic::plain("E0803", text)));
    }
    let file = std::fs::File::open(path).map_err(|e| unreadable(e.to_string()))?;
    file.take(size).read_to_end(&mut bytes).map_err(|e| unreadable(e.to_string()))?;
    parse(&shown, &bytes)
}

/// Parses the bytes of a safetensors file; `shown` names it in messages.
pub fn parse(shown: &str, bytes: &[u8]) -> Result<StartFile, Box<Diagnostic>> {
    let fail = |code, text: String| Err(Box::new(Diagnostic::plain(code, format!("{shown}: {text}"))));
    let Some(head) = bytes.first_chunk::<8>() else {
        return fail("E0501", format!("needs 8 bytes of header length, has {}", bytes.len()));
    };
    let header = u64::from_le_bytes(*head);
    if header > limits::WEIGHTS_HEADER_BYTES || header > bytes.len() as u64 - 8 {
        let text = format!("its header claims {header} bytes, the file has {}", bytes.len() - 8);
        return fail("E0501", text + "; is it a safetensors file?");
    }
    let parsed = match SafeTensors::deserialize(bytes) {
        Ok(parsed) => parsed,
        Err(error) => {
            use safetensors::SafeTensorError as E;
            let header = matches!(error, E::InvalidHeader(_) | E::InvalidHeaderDeserialization(_));
            return fail(if header { "E0502" } else { "E0503" }, error.to_string());
        }
    };
    let mut tensors = BTreeMap::new();
    for (name, view) in parsed.iter() {
        let storage = convert(&view)
            .map_err(|(code, text)| Box::new(Diagnostic::plain(code, format!("{shown}: tensor `{name}` {text}"))))?;
        let shape = view.shape().iter().map(|&d| d as u64).collect();
        tensors.insert(name.to_string(), Tensor { shape, storage });
    }
    Ok(StartFile { shown: shown.to_string(), tensors })
}

fn convert(view: &TensorView<'_>) -> Result<Storage, (&'static str, String)> {
    let data = view.data();
    match view.dtype() {
        Dtype::F32 => {
            let values = data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            let values: Vec<f32> = values.collect();
            match values.iter().position(|v| !v.is_finite()) {
                Some(at) => Err(("E0505", format!("holds {} at element {at}", values[at]))),
                None => Ok(Storage::F32(values)),
            }
        }
        Dtype::I32 => {
            let values = data.chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            Ok(Storage::I32(values.collect()))
        }
        Dtype::I64 => {
            let values = data.chunks_exact(8).map(|b| {
                let value = i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]);
                i32::try_from(value).map_err(|_| ("E0506", format!("holds {value}, which no 32-bit integer holds")))
            });
            Ok(Storage::I32(values.collect::<Result<_, _>>()?))
        }
        other => Err(("E0506", format!("has elements of type {other:?}; F32, I32 and I64 are read"))),
    }
}

/// The data set of `data NAME = given { … }`: the tensors `NAME.FIELD`, all rows for training.
pub fn bind(spec: &DataSpec, start: &StartFile) -> Result<Dataset, Errors> {
    let mut errors = Errors::new();
    let mut fields = Vec::new();
    let mut symbols = BTreeMap::new();
    for field in &spec.fields {
        let name = format!("{}.{}", spec.name, field.name);
        let Some(tensor) = start.tensors.get(&name) else {
            errors.push(absent(&name, start, field.span));
            continue;
        };
        let storage = match (&tensor.storage, &field.kind) {
            (Storage::F32(_), Kind::Real) | (Storage::I32(_), Kind::Class(_) | Kind::Token(_)) => {
                tensor.storage.clone()
            }
            (stored, _) => {
                let (has, wants) = match stored {
                    Storage::F32(_) => ("numbers (f32)", "classes (i32)"),
                    Storage::I32(_) => ("classes (i32)", "numbers (f32)"),
                };
                let text = format!("{}: `{name}` holds {has}", start.shown);
                errors.push(Diagnostic::error("E0504", field.span, text, format!("this field holds {wants}")));
                continue;
            }
        };
        let rows = tensor.shape.first().copied().unwrap_or(1);
        let mut dims = tensor.shape.get(1..).unwrap_or(&[]).to_vec();
        let storage = match storage {
            Storage::F32(values) if field.image && !dims.is_empty() => {
                dims.rotate_left(1);
                Storage::F32(channels_last(&values, &tensor.shape, 1))
            }
            other => other,
        };
        match fit_shape(field, &dims, &mut symbols) {
            Err(error) => errors.push(*error),
            Ok(shape) => fields.push((rows, Field { name: field.name.clone(), shape, storage, ..Field::default() })),
        }
    }
    let rows = fields.first().map_or(0, |f| f.0);
    if let Some((other, field)) = fields.iter().find(|(n, _)| *n != rows) {
        let text = format!("`{}` has {other} rows, `{}` has {rows}", field.name, fields[0].1.name);
        errors.push(Diagnostic::error("E0408", spec.span, text, "all fields need the same number of rows"));
    }
    for (index, (_, field)) in fields.iter_mut().enumerate() {
        if let Err(error) = check_classes(spec, index, field, &mut symbols) {
            errors.push(*error);
        }
    }
    if errors.is_empty() && (rows == 0 || rows > limits::ROWS as u64) {
        errors.push(Diagnostic::error("E0403", spec.span, format!("`{}` has {rows} rows", spec.name), "bound here"));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let fields = fields.into_iter().map(|(_, f)| f).collect();
    let parts = Parts { train: (0..rows as i32).collect(), ..Parts::default() };
    let (name, symbols) = (spec.name.clone(), symbols.into_iter().collect());
    Ok(Dataset { name, rows: rows as usize, fields, parts, symbols, warnings: Errors::new() })
}

/// Row-major numbers with axis `axis` moved behind all others: files of tensors have the channels of pictures and filters
/// before their height and width.
pub fn channels_last<T: Copy>(values: &[T], shape: &[u64], axis: usize) -> Vec<T> {
    let size = |axes: &[u64]| axes.iter().product::<u64>() as usize;
    let Some(&channels) = shape.get(axis) else { return values.to_vec() };
    let (channels, inner) = (channels as usize, size(&shape[axis + 1..]));
    let block = channels * inner;
    let place = |at: usize| at / block * block + at % channels * inner + at % block / channels;
    (0..values.len()).map(|at| values[place(at)]).collect()
}

/// The inverse of [`channels_last`] along the second axis: row-major numbers of `shape` with the last axis moved before all but
/// the first.
pub fn channels_second<T: Copy>(values: &[T], shape: &[u64]) -> Vec<T> {
    let (Some(&first), Some(&channels), 2..) = (shape.first(), shape.last(), shape.len()) else {
        return values.to_vec();
    };
    let (channels, block) = (channels as usize, values.len() / (first as usize).max(1));
    let inner = block / channels.max(1);
    let place = |at: usize| at / block * block + at % inner * channels + at % block / inner;
    (0..values.len()).map(|at| values[place(at)]).collect()
}

fn check_classes(
    spec: &DataSpec,
    index: usize,
    field: &mut Field,
    symbols: &mut BTreeMap<u32, u64>,
) -> Result<(), Box<Diagnostic>> {
    let Storage::I32(values) = &field.storage else { return Ok(()) };
    let declared = spec.fields.iter().find(|f| f.name == field.name);
    let highest = values.iter().copied().max().unwrap_or(0).max(0) as usize + 1;
    if let Some(declared) = declared {
        bind_count(declared, highest, symbols)?;
    }
    let count = match declared.and_then(|f| f.kind.count()) {
        Some(Extent::Fixed(count)) => count as i64,
        _ => highest as i64,
    };
    field.token = declared.is_some_and(|f| matches!(f.kind, Kind::Token(_)));
    if let Some(place) = values.iter().position(|&v| i64::from(v) >= count || v < 0) {
        let span = spec.fields.get(index).map_or(spec.span, |f| f.span);
        return Err(outside(field, place, count, span));
    }
    field.classes = (0..count.min(limits::LABELS as i64)).map(|i| i.to_string()).collect();
    Ok(())
}

/// E0402 for a token, E0406 for a class: element `place` of a field of indices is not one of `count`.
fn outside(field: &Field, place: usize, count: i64, span: Span) -> Box<Diagnostic> {
    let Storage::I32(values) = &field.storage else { panic!("indices are whole numbers") };
    let (value, width) = (values[place], field.shape.iter().product::<u64>().max(1));
    let (code, noun, nouns) = if field.token { ("E0402", "token", "tokens") } else { ("E0406", "class", "classes") };
    let text = format!("row {} of `{}`: {value} is no {noun}", place as u64 / width + 1, field.name);
    let error = Diagnostic::error(code, span, text, format!("{nouns} are 0 to {}", count - 1));
    Box::new(match value {
        0.. => error.note(format!("write `{noun}({})`, if there are that many", i64::from(value) + 1)),
        _ => error.note(format!("{nouns} are counted from 0")),
    })
}

impl StartFile {
    /// W0501 for the tensors that are not among `taken`.
    pub fn not_taken(&self, taken: &[String], span: Span) -> Option<Diagnostic> {
        let mut rest = self.tensors.keys().filter(|name| !taken.contains(name)).map(String::as_str);
        let shown: Vec<&str> = rest.by_ref().take(10).collect();
        let first = shown.first()?;
        let more = match rest.count() {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        let text = format!("nothing takes `{}`{more} of {}", shown.join("`, `"), self.shown);
        let warning = Diagnostic::warning("W0501", span, text, "has no weight and no field of this name");
        Some(match nearest(first, taken.iter().map(String::as_str)) {
            Some(near) => warning.note(format!("`{near}` is the name of a weight or field")),
            None => warning.note("`nnc summary` lists the weights by their names"),
        })
    }
}

fn absent(name: &str, start: &StartFile, span: Span) -> Diagnostic {
    let text = format!("{} has no tensor `{name}`", start.shown);
    let known: Vec<&str> = start.tensors.keys().take(10).map(String::as_str).collect();
    Diagnostic::error("E0504", span, text, "bound from there").note(format!("it has {}", known.join(", ")))
}
