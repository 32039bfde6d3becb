//! NPY, the array files of NumPy, and NPZ, a zip of them.
//!
//! In: files of numbers. Out: the arrays that the fields ask for, row-major. Invariant: nothing in a file is ever carried out:
//! arrays of objects, which are pickles, are refused; and a header is held against the bytes that are there before memory
//! is taken for it.
//! Source: NumPy Enhancement Proposal 1, "A simple file format for NumPy arrays".

use super::file::{self, Access};
use super::raw::{Cells, Coder, Errors, Missing, Raw, RawField, Wrong, room};
use super::table::{no_rows, no_source};
use super::vocabulary::vocabulary;
use super::zip;
use crate::base::{Diagnostic, Span};
use crate::check::signature::{Place, bind};
use crate::check::spec::{DataSpec, FieldSpec, Kind, Literal};
use crate::runtime::limits;
use std::collections::{BTreeMap, BTreeSet};

/// An array as it lies in a file, in the order of C.
#[derive(Debug, PartialEq)]
pub struct Array {
    pub dims: Vec<u64>,
    pub values: Vec<f64>,
}

const DAMAGED: &str = "copy the file again, or write it again: `np.save(\"x.npy\", x)`";
const ELEMENTS: &str = "read are arrays of booleans, integers and floats: `np.save(\"x.npy\", x.astype(np.float32))`";
const RECORDS: &str = "write an array for each field: `np.save(\"x.npy\", records[\"x\"])`";

fn damaged(text: impl Into<String>) -> Wrong {
    Wrong::new("E0410", text, DAMAGED)
}

fn unread(text: impl Into<String>, note: &'static str) -> Wrong {
    Wrong::new("E0410", text, note)
}

/// The fields of an `npy` data item, whose sources name files, or of an `npz` one, whose sources name arrays of its file.
pub fn read(access: &Access, spec: &DataSpec) -> Result<Raw, Errors> {
    let one = |e: Box<Diagnostic>| vec![*e];
    let reader = spec.reader.name.as_str();
    let args = bind(vocabulary(), Place::Reader, "", &spec.reader).map_err(one)?;
    let members = match reader {
        "npz" => {
            let path = args.text("path").expect("`path` is required");
            Some(members(access, path, &arrays(spec), spec.reader.span).map_err(one)?)
        }
        _ => None,
    };
    let (mut fields, mut errors, mut shown) = (Vec::new(), Errors::new(), String::new());
    for field in &spec.fields {
        match self::field(access, reader, members.as_ref(), field) {
            Ok((made, name)) => {
                fields.push(made);
                shown = name;
            }
            Err(error) => errors.push(*error),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let rows = fields[0].rows();
    if let Some(i) = fields.iter().position(|f| f.rows() != rows) {
        let (n, name) = (fields[i].rows(), &spec.fields[i].name);
        let text = format!("`{}` has {rows} rows, `{name}` has {n}", spec.fields[0].name);
        let error = Diagnostic::error("E0408", spec.fields[i].span, text, "all fields need the same number of rows");
        return Err(vec![error.note("the first axis of an array is that of the rows")]);
    }
    if rows == 0 || rows > limits::ROWS {
        return Err(vec![no_rows(&shown, "the first axis is empty, or too long", spec.reader.span)]);
    }
    Ok(Raw { rows, fields, given: None, shown, warnings: Errors::new() })
}

/// The arrays of an NPZ file by name, as bytes where a field reads them. Names are keys and nothing else.
struct Members {
    path: String,
    entries: BTreeMap<String, Option<Vec<u8>>>,
}

/// The names of the arrays that the fields read.
fn arrays(spec: &DataSpec) -> BTreeSet<&str> {
    let sources = spec.fields.iter().filter_map(|f| f.source.as_ref());
    let texts = sources.flat_map(|call| &call.args).filter_map(|(_, literal)| match literal {
        Literal::Text(name) => Some(name.as_str()),
        _ => None,
    });
    texts.collect()
}

fn key_of(name: &str) -> &str {
    name.strip_suffix(".npy").unwrap_or(name)
}

fn members(access: &Access, path: &str, read: &BTreeSet<&str>, span: Span) -> Result<Members, Box<Diagnostic>> {
    let bytes = file::open(access, path, span)?.all(limits::TEXT_BYTES)?;
    let wanted = |name: &str| read.contains(key_of(name));
    let entries = zip::entries(&bytes, access.max_decompressed, &wanted).map_err(|error| match error {
        zip::Error::Large(text) => {
            let error = Diagnostic::error("E0806", span, format!("{path}: {text}"), "read here");
            Box::new(error.note("`--max-decompressed BYTES` raises the cap"))
        }
        zip::Error::Memory(text) => {
            let error = Diagnostic::error("E0803", span, format!("{path}: {text}"), "read here");
            Box::new(error.note("write fewer rows"))
        }
        zip::Error::Wrong(text) => wrong(path, &text, span),
    })?;
    let mut named = BTreeMap::new();
    for (name, content) in entries {
        if named.insert(key_of(&name).to_string(), content).is_some() {
            return Err(wrong(path, &format!("two arrays are named `{}`", name.escape_default()), span));
        }
    }
    Ok(Members { path: path.to_string(), entries: named })
}

fn field(
    access: &Access,
    reader: &str,
    members: Option<&Members>,
    field: &FieldSpec,
) -> Result<(RawField, String), Box<Diagnostic>> {
    let call = field.source.as_ref().ok_or_else(|| no_source(field))?;
    let args = bind(vocabulary(), Place::Source, reader, call)?;
    let name = args.text("name").expect("`name` is required");
    let (array, shown) = match members {
        Some(members) => {
            let Some(Some(bytes)) = members.entries.get(name) else {
                let text = format!("{} has no array `{name}`", members.path);
                let known: Vec<String> =
                    members.entries.keys().take(12).map(|k| k.escape_default().to_string()).collect();
                let label = format!("it has {}", known.join(", "));
                return Err(Box::new(Diagnostic::error("E0405", call.span, text, label)));
            };
            (parse(bytes), format!("{}: {name}", members.path))
        }
        None => (parse(&file::open(access, name, call.span)?.all(limits::TEXT_BYTES)?), name.to_string()),
    };
    let array = array.map_err(|wrong| wrong.of(&shown, call.span))?;
    let missing = Missing::parse(args.text("missing")).unwrap_or(Missing::Error);
    let made = cells(field, array, missing, &shown, call.span)?;
    Ok((made, shown))
}

fn cells(
    field: &FieldSpec,
    array: Array,
    missing: Missing,
    shown: &str,
    span: Span,
) -> Result<RawField, Box<Diagnostic>> {
    let width: u64 = array.dims[1..].iter().product();
    let at = |i: usize| format!("{shown}: row {}", i as u64 / width.max(1) + 1);
    if let Some(i) = array.values.iter().position(|v| !v.is_nan() && !(*v as f32).is_finite()) {
        let text = format!("{} holds {:e}, which is not finite", at(i), array.values[i]);
        return Err(Box::new(Diagnostic::error("E0404", span, text, "a value must fit a 32-bit number")));
    }
    if let Some(i) = array.values.iter().position(|v| v.is_nan()).filter(|_| missing == Missing::Error) {
        let error = Diagnostic::error("E0404", span, format!("{} holds a missing value (nan)", at(i)), "read here");
        return Err(Box::new(
            error.note("`missing = drop` leaves such rows out; `missing = mean` takes the column's mean"),
        ));
    }
    let mut dims = array.dims[1..].to_vec();
    let cells = match field.kind {
        Kind::Real => {
            let mut cells = Cells::of_numbers(&field.transforms);
            match &mut cells {
                Cells::Wide(numbers) => *numbers = array.values,
                _ => {
                    let mut numbers = room(array.values.len()).map_err(|wrong| wrong.of(shown, span))?;
                    numbers.extend(array.values.iter().map(|&v| v as f32));
                    cells = Cells::Numbers(numbers);
                }
            }
            cells
        }
        _ if width == 1 => {
            let mut coder = Coder::default();
            array.values.iter().enumerate().for_each(|(row, v)| coder.push(&v.to_string(), row as u64 + 1));
            Cells::Texts(vec![coder.coded])
        }
        _ => {
            let text =
                format!("`{}` is a class or a token, and its array has {width} numbers for each row", field.name);
            return Err(Box::new(Diagnostic::error("E0415", span, text, "one number per row is wanted")));
        }
    };
    if dims.is_empty() {
        dims.push(1);
    }
    Ok(RawField { cells, dims, names: vec![shown.to_string()], range: None, missing, ends: None })
}

/// E0410 of an archive.
fn wrong(shown: &str, text: &str, span: Span) -> Box<Diagnostic> {
    let error = Diagnostic::error("E0410", span, format!("{shown}: {text}"), "read here");
    Box::new(error.note("write it again, with a name for each array: `np.savez(\"a.npz\", x=x, y=y)`"))
}

/// The array of an NPY file of version 1, 2 or 3.
pub fn parse(bytes: &[u8]) -> Result<Array, Wrong> {
    let Some(head) = bytes.strip_prefix(b"\x93NUMPY") else { return Err(damaged("this is no NPY file")) };
    let (&[major, _], rest) = head.split_first_chunk::<2>().ok_or_else(|| damaged("the header is cut off"))?;
    let (length, rest) = match major {
        1 => rest.split_first_chunk::<2>().map(|(n, r)| (u16::from_le_bytes(*n) as usize, r)),
        2 | 3 => rest.split_first_chunk::<4>().map(|(n, r)| (u32::from_le_bytes(*n) as usize, r)),
        other => return Err(damaged(format!("its version is {other}; 1, 2 and 3 are read"))),
    }
    .ok_or_else(|| damaged("the header is cut off"))?;
    if length > rest.len() {
        return Err(damaged(format!("its header claims {length} bytes, and {} are there", rest.len())));
    }
    if length > limits::NPY_HEADER_BYTES {
        return Err(damaged(format!("its header claims {length} bytes, the cap is {}", limits::NPY_HEADER_BYTES)));
    }
    let (header, data) = rest.split_at(length);
    let header = Header::parse(std::str::from_utf8(header).map_err(|_| damaged("its header is no text"))?)?;
    let (kind, size) = header.element()?;
    let count = header.dims.iter().try_fold(1u64, |n, &d| n.checked_mul(d));
    let needed = count.and_then(|n| n.checked_mul(size as u64));
    if needed != Some(data.len() as u64) {
        let needed = needed.map_or("more bytes than can be counted".to_string(), |n| format!("{n} bytes"));
        let type_of = header.descr.escape_default();
        return Err(damaged(format!("{:?} of `{type_of}` needs {needed}, has {}", header.dims, data.len())));
    }
    let mut values = room(data.len() / size)?;
    let big = header.descr.starts_with('>');
    values.extend(data.chunks_exact(size).map(|chunk| element(kind, chunk, big)));
    let dims = if header.dims.is_empty() { vec![1] } else { header.dims };
    let values = if header.fortran { transposed(&values, &dims)? } else { values };
    Ok(Array { dims, values })
}

struct Header {
    descr: String,
    fortran: bool,
    dims: Vec<u64>,
}

impl Header {
    /// `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`, in any order.
    fn parse(text: &str) -> Result<Header, Wrong> {
        let value = |key: &str| {
            let at = text.find(&format!("'{key}'")).ok_or_else(|| damaged(format!("its header has no `{key}`")))?;
            let rest = text[at + key.len() + 2..].trim_start().strip_prefix(':');
            rest.map(str::trim_start).ok_or_else(|| damaged(format!("its header has no value for `{key}`")))
        };
        let descr = value("descr")?;
        let Some(descr) = descr.strip_prefix('\'').and_then(|d| d.split_once('\'')).map(|(d, _)| d.to_string()) else {
            return Err(unread("it holds records with several fields", RECORDS));
        };
        let fortran = match value("fortran_order")? {
            v if v.starts_with("True") => true,
            v if v.starts_with("False") => false,
            _ => return Err(damaged("its header says neither True nor False for `fortran_order`")),
        };
        let shape = value("shape")?.strip_prefix('(').and_then(|s| s.split_once(')')).map(|(s, _)| s);
        let shape = shape.ok_or_else(|| damaged("its header has no shape"))?;
        let parts = shape.split(',').map(str::trim).filter(|p| !p.is_empty());
        let dims: Result<Vec<u64>, _> = parts.map(|p| p.trim_end_matches('L').parse::<u64>()).collect();
        let dims = dims.map_err(|_| damaged(format!("its shape is ({})", shape.escape_default())))?;
        if dims.contains(&0) {
            return Err(unread(format!("its shape is {dims:?}: an axis has no element"), "write at least one row"));
        }
        if dims.len() > limits::ARRAY_AXES {
            let text = format!("it has {} axes, the cap is {}", dims.len(), limits::ARRAY_AXES);
            return Err(unread(text, "join axes: `x.reshape(len(x), -1)`"));
        }
        Ok(Header { descr, fortran, dims })
    }

    /// The kind of the elements and the bytes of one.
    fn element(&self) -> Result<(char, usize), Wrong> {
        let text = self.descr.trim_start_matches(['<', '>', '|', '=']);
        let kind = text.chars().next().unwrap_or(' ');
        let size: usize = text.get(1..).and_then(|s| s.parse().ok()).unwrap_or(0);
        match (kind, size) {
            ('O', _) => {
                let text = "it holds Python objects (a pickle), which could run any code: it is never read";
                Err(unread(text, ELEMENTS))
            }
            ('f', 2 | 4 | 8) | ('i' | 'u', 1 | 2 | 4 | 8) | ('b', 1) => Ok((kind, size)),
            _ => Err(unread(format!("its elements have the type `{}`", self.descr.escape_default()), ELEMENTS)),
        }
    }
}

fn element(kind: char, chunk: &[u8], big: bool) -> f64 {
    let mut bytes = [0u8; 8];
    let n = chunk.len();
    bytes[..n].copy_from_slice(chunk);
    if big {
        bytes[..n].reverse();
    }
    let bits = u64::from_le_bytes(bytes);
    match (kind, n) {
        ('f', 2) => half(bits as u16),
        ('f', 4) => f64::from(f32::from_bits(bits as u32)),
        ('f', _) => f64::from_bits(bits),
        ('i', _) => {
            let shift = 64 - 8 * n as u32;
            ((bits << shift) as i64 >> shift) as f64
        }
        _ => bits as f64,
    }
}

/// IEEE 754 binary16.
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    let size = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -size } else { size }
}

/// From the order of Fortran, where the first axis runs fastest, to that of C.
fn transposed(values: &[f64], dims: &[u64]) -> Result<Vec<f64>, Wrong> {
    let mut out = room(values.len())?;
    let mut at = vec![0u64; dims.len()];
    for _ in 0..values.len() {
        let place = at.iter().zip(dims).rev().fold(0, |place, (&i, &d)| place * d + i);
        out.push(values[place as usize]);
        for axis in (0..dims.len()).rev() {
            at[axis] += 1;
            if at[axis] < dims[axis] {
                break;
            }
            at[axis] = 0;
        }
    }
    Ok(out)
}
