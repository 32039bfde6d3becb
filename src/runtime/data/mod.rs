//! Data sets: one file here for each format and each step on the way.
//!
//! In: a `DataSpec`, what the command line permits, and a seed. Out: a [`Dataset`] of typed columns with its parts, or all
//! mistakes found. Invariant: every value in a data set is finite, every class number is in range, every row of a part
//! exists; so the compiled step needs no check.

pub mod vocabulary;
pub mod ahead;
pub mod file;
pub mod raw;
pub mod csv;
pub mod idx;
pub mod labels;
pub mod table;
pub mod pictures;
pub mod split;
pub mod text;
pub mod tokens;
pub mod zip;
pub mod npy;
pub mod series;
pub mod picture;
pub mod folder;
pub mod windows;
pub mod transform;
pub mod fields;
pub mod report;
pub mod given;
pub mod invented;
pub mod weights;

pub use file::Access;
pub use given::StartFile;
pub use raw::Errors;
pub use split::Parts;
pub use transform::Fitted;
pub use vocabulary::vocabulary;

use crate::base::Diagnostic;
use crate::check::signature::{Place, bind};
use crate::check::spec::DataSpec;
use raw::Raw;

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
    /// What each class number or token number stands for; empty for numbers.
    pub classes: Vec<String>,
    /// True where `classes` is a vocabulary.
    pub token: bool,
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
    if spec.reader.name == "given" {
        let start = start.ok_or_else(|| vec![needs_start(spec)])?;
        return given::bind(spec, start);
    }
    let mut raw = read(spec, access)?;
    let asked = windows::asked(spec).map_err(|e| vec![*e])?;
    if asked.is_none() {
        raw.drop_missing();
        if raw.rows == 0 {
            return Err(vec![table::no_rows(&raw.shown, "`missing = drop` left none", spec.reader.span)]);
        }
    }
    let mut classes = fields::read_classes(spec, &raw)?;
    let steps = match &asked {
        Some(_) => split::by_position(spec, raw.rows)?,
        None => split::split(spec, raw.rows, raw.given, fields::strata(spec, &classes)?, seed)?,
    };
    if asked.is_none() {
        let pool = raw.given.unwrap_or(raw.rows);
        raw.warnings.extend(split::warn_empty(spec, pool, &steps));
    }
    let vocabularies = tokens::number(access, spec, &mut raw, &steps.train)?;
    let cut = asked.map(|(fields, stride)| windows::place(spec, &raw, fields, stride, &steps)).transpose()?;
    let mut build = fields::Build::new(spec, &raw.shown, &steps, cut.as_ref());
    build.warnings.append(&mut raw.warnings);
    for (index, cells) in raw.fields.into_iter().enumerate() {
        let built = match classes[index].take() {
            Some(classes) => build.class(index, classes, cells),
            None => build.numbers(index, cells, vocabularies[index].as_deref()),
        };
        if let Err(error) = built {
            build.errors.push(*error);
        }
    }
    if !build.errors.is_empty() {
        return Err(build.errors);
    }
    let (fields, warnings, symbols) = (build.fields, build.warnings, build.symbols.into_iter().collect());
    let (rows, parts) = match cut {
        Some((windows, parts)) => (windows.starts.len(), parts),
        None => (raw.rows, steps),
    };
    Ok(Dataset { name: spec.name.clone(), rows, fields, parts, symbols, warnings })
}

/// What the files hold, before labels become classes and before transforms run.
fn read(spec: &DataSpec, access: &Access) -> Result<Raw, Errors> {
    match spec.reader.name.as_str() {
        "csv" => table::read(access, spec),
        "idx" => pictures::read(access, spec),
        "text" => text::read(access, spec),
        "lines" => text::read_lines(access, spec),
        "npy" | "npz" => npy::read(access, spec),
        "ts" => series::read(access, spec),
        "folder" => folder::read(access, spec),
        _ => {
            let bound = bind(vocabulary(), Place::Reader, "", &spec.reader);
            Err(vec![*bound.expect_err("every reader of the vocabulary has its arm above")])
        }
    }
}

fn needs_start(spec: &DataSpec) -> Diagnostic {
    let text = format!("`{}` is given from outside", spec.name);
    Diagnostic::error("E0202", spec.span, text, "add `--start FILE.safetensors` to the command")
}
