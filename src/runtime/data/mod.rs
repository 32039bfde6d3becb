//! Data sets: one file here for each format and each step on the way.
//!
//! In: a `DataSpec`, what the command line permits, and a seed. Out: a [`Dataset`] of typed columns with its parts, or all
//! mistakes found. Invariant: every value in a data set is finite, every class number is in range, every row of a part
//! exists; so the compiled step needs no check.

pub mod vocabulary;
pub mod file;
pub mod raw;
pub mod csv;
pub mod idx;
pub mod labels;
pub mod table;
pub mod pictures;
pub mod split;
pub mod transform;
pub mod given;

pub use file::Access;
pub use given::StartFile;
pub use raw::Errors;
pub use split::Parts;
pub use transform::Fitted;
pub use vocabulary::vocabulary;

use crate::base::{Diagnostic, Extent};
use crate::check::signature::{Place, bind};
use crate::check::spec::{DataSpec, FieldSpec, Kind};
use raw::{ABSENT, Cells, Missing, Raw, RawField};
use std::collections::BTreeMap;

/// Elements of one field, row-major: `[rows, shape…]`.
#[derive(Clone, Debug, PartialEq)]
pub enum Storage {
    F32(Vec<f32>),
    I32(Vec<i32>),
}

impl Storage {
    pub fn len(&self) -> usize {
        match self {
            Storage::F32(values) => values.len(),
            Storage::I32(values) => values.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for Storage {
    fn default() -> Storage {
        Storage::F32(Vec::new())
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Field {
    pub name: String,
    /// Per row; empty for a class or a single number.
    pub shape: Vec<u64>,
    pub storage: Storage,
    /// What each class number stands for; empty for numbers.
    pub classes: Vec<String>,
    /// What the transforms learnt, in their order.
    pub fitted: Vec<Fitted>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    pub name: String,
    pub rows: usize,
    pub fields: Vec<Field>,
    pub parts: Parts,
    /// The symbols of the specification that the data binds, with their values.
    pub symbols: Vec<(u32, u64)>,
    pub warnings: Errors,
}

impl Dataset {
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|f| f.name == name)
    }

    /// The bytes of all columns.
    pub fn bytes(&self) -> u64 {
        self.fields.iter().map(|f| 4 * f.storage.len() as u64).sum()
    }
}

/// Reads, checks, splits and transforms the data of `spec`. `start` binds `given` data.
pub fn open(spec: &DataSpec, access: &Access, start: Option<&StartFile>, seed: u64) -> Result<Dataset, Errors> {
    let mut raw = match spec.reader.name.as_str() {
        "csv" => table::read(access, spec)?,
        "idx" => pictures::read(access, spec)?,
        "given" => {
            let Some(start) = start else { return Err(vec![needs_start(spec)]) };
            return given::bind(spec, start);
        }
        _ => {
            let bound = bind(vocabulary(), Place::Reader, "", &spec.reader);
            let error = bound.expect_err("every reader of the vocabulary has its arm above");
            return Err(vec![*error]);
        }
    };
    raw.drop_missing();
    if raw.rows == 0 {
        return Err(vec![table::no_rows(&raw.shown, "`missing = drop` left none", spec.reader.span)]);
    }
    let classes = read_classes(spec, &raw)?;
    let strata = strata(spec, &classes)?;
    let parts = split::split(spec, raw.rows, raw.given, strata, seed)?;
    let mut warnings = std::mem::take(&mut raw.warnings);
    let mut fields = Vec::new();
    let mut symbols = BTreeMap::new();
    let mut errors = Errors::new();
    for ((field, cells), classes) in spec.fields.iter().zip(raw.fields).zip(classes) {
        let built = match classes {
            Some(classes) => class_field(field, classes, &parts, &mut warnings),
            None => real_field(spec, field, cells, &parts, &mut symbols, &mut warnings),
        };
        match built {
            Ok(field) => fields.push(field),
            Err(error) => errors.push(*error),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let symbols = symbols.into_iter().collect();
    Ok(Dataset { name: spec.name.clone(), rows: raw.rows, fields, parts, symbols, warnings })
}

fn needs_start(spec: &DataSpec) -> Diagnostic {
    let text = format!("`{}` is given from outside", spec.name);
    Diagnostic::error("E0202", spec.span, text, "add `--start FILE.safetensors` to the command")
}

/// Per field its classes, where its kind is `class`.
fn read_classes(spec: &DataSpec, raw: &Raw) -> Result<Vec<Option<labels::Classes>>, Errors> {
    let mut errors = Errors::new();
    let mut all = Vec::new();
    for (field, cells) in spec.fields.iter().zip(&raw.fields) {
        let Kind::Class(declared) = field.kind else {
            all.push(None);
            continue;
        };
        let read = match &cells.cells {
            Cells::Texts(columns) if columns.len() == 1 && field.transforms.is_empty() => {
                assert!(cells.missing == Missing::Drop || !columns[0].codes.contains(&ABSENT), "labels are present");
                labels::classes(field, declared, &columns[0], &raw.shown)
            }
            _ if !field.transforms.is_empty() => {
                let text = format!("`{}` is a class: it takes no transform", field.name);
                let label = "labels become class numbers by themselves";
                Err(Box::new(Diagnostic::error("E0105", field.span, text, label)))
            }
            _ => {
                let text = format!("`{}` is a class and needs exactly one column of labels", field.name);
                Err(Box::new(Diagnostic::error("E0415", field.span, text, "use `column(…)` or `labels`")))
            }
        };
        match read {
            Ok(classes) => all.push(Some(classes)),
            Err(error) => errors.push(*error),
        }
    }
    if errors.is_empty() { Ok(all) } else { Err(errors) }
}

fn strata<'a>(spec: &DataSpec, classes: &'a [Option<labels::Classes>]) -> Result<Option<&'a [i32]>, Errors> {
    let Some(name) = &spec.split.stratify else { return Ok(None) };
    let index = spec.fields.iter().position(|f| f.name == *name);
    match index.and_then(|i| classes[i].as_ref()) {
        Some(classes) => Ok(Some(&classes.codes)),
        None => {
            let text = format!("`stratify = {name}` needs a class field of this name");
            let known = spec.fields.iter().filter(|f| f.kind != Kind::Real).map(|f| f.name.as_str());
            let label = format!("class fields: {}", known.collect::<Vec<_>>().join(", "));
            Err(vec![Diagnostic::error("E0106", spec.split.span, text, label)])
        }
    }
}

fn class_field(
    field: &FieldSpec,
    classes: labels::Classes,
    parts: &Parts,
    warnings: &mut Errors,
) -> Result<Field, Box<Diagnostic>> {
    let mut seen = vec![(false, false); classes.names.len()];
    parts.train.iter().for_each(|&row| seen[classes.codes[row as usize] as usize].0 = true);
    parts.valid.iter().chain(&parts.test).for_each(|&row| seen[classes.codes[row as usize] as usize].1 = true);
    let absent: Vec<&str> =
        (0..seen.len()).filter(|&i| !seen[i].0).map(|i| classes.names[i].as_str()).take(12).collect();
    if !absent.is_empty() {
        let elsewhere = seen.iter().any(|&(train, other)| other && !train);
        let text = format!("no training row of `{}` has the label {}", field.name, absent.join(", "));
        let label = if elsewhere { "it occurs in other parts: the model cannot learn it" } else { "it occurs nowhere" };
        let note = format!("`split(…, stratify = {})` keeps each class in every part", field.name);
        warnings.push(Diagnostic::warning("W0401", field.span, text, label).note(note));
    }
    if !field.shape.is_empty() {
        fit_shape(field, &[1], &mut BTreeMap::new())?;
    }
    let (name, storage) = (field.name.clone(), Storage::I32(classes.codes));
    let shape = vec![1; field.shape.len()];
    Ok(Field { name, shape, storage, classes: classes.names, fitted: Vec::new() })
}

fn real_field(
    data: &DataSpec,
    field: &FieldSpec,
    raw: RawField,
    parts: &Parts,
    symbols: &mut BTreeMap<u32, u64>,
    warnings: &mut Errors,
) -> Result<Field, Box<Diagnostic>> {
    let mut work = transform::Work { data, field, raw, train: &parts.train, fitted: vec![], warnings: vec![] };
    work.run()?;
    warnings.append(&mut work.warnings);
    let shape = fit_shape(field, &work.raw.dims, symbols)?;
    let Cells::Numbers(values) = work.raw.cells else { panic!("transforms leave numbers") };
    let name = field.name.clone();
    Ok(Field { name, shape, storage: Storage::F32(values), classes: Vec::new(), fitted: work.fitted })
}

/// The field's shape per row, where the data has `dims`: equal axis by axis (axes of 1 may be left out), or one of the two
/// flat with the same number of elements. Symbols are bound. E0415 where it does not fit.
fn fit_shape(field: &FieldSpec, dims: &[u64], symbols: &mut BTreeMap<u32, u64>) -> Result<Vec<u64>, Box<Diagnostic>> {
    let axes = &field.shape;
    let unit = |e: &&Extent| **e != Extent::Fixed(1);
    let long: Vec<u64> = dims.iter().copied().filter(|&d| d != 1).collect();
    let short: Vec<Extent> = axes.iter().filter(unit).copied().collect();
    let mut bound = symbols.clone();
    let axis_by_axis = |axes: &[Extent], dims: &[u64], bound: &mut BTreeMap<u32, u64>| {
        let fits = |(axis, dim): (&Extent, &u64)| match axis {
            Extent::Fixed(n) => n == dim,
            Extent::Sym(s) => *bound.entry(*s).or_insert(*dim) == *dim,
        };
        axes.len() == dims.len() && axes.iter().zip(dims).all(fits)
    };
    let fits = axis_by_axis(axes, dims, &mut bound) || {
        bound.clone_from(symbols);
        axis_by_axis(&short, &long, &mut bound)
    };
    let flat = || {
        let fixed: Option<Vec<u64>> = axes.iter().map(|e| e.fixed()).collect();
        let product = |d: &[u64]| d.iter().try_fold(1u64, |n, &x| n.checked_mul(x));
        fixed.filter(|f| (short.len() <= 1 || long.len() <= 1) && product(f) == product(dims))
    };
    if fits {
        symbols.append(&mut bound);
        let value = |e: &Extent| e.fixed().unwrap_or_else(|| if let Extent::Sym(s) = e { symbols[s] } else { 0 });
        return Ok(axes.iter().map(value).collect());
    }
    flat().ok_or_else(|| {
        let show = |e: &Extent| e.fixed().map_or("_".to_string(), |n| n.to_string());
        let declared: Vec<String> = axes.iter().map(show).collect();
        let text = format!("`{}` is declared [{}], but its data is {dims:?}", field.name, declared.join(", "));
        Box::new(Diagnostic::error("E0415", field.span, text, format!("write {dims:?}, or another source")))
    })
}
