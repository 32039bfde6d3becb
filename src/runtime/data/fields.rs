//! From what the files hold to the columns that a step reads.
//!
//! In: cells, their transforms, the parts. Out: typed fields of a data set. Invariant: a field has the shape that its
//! declaration says, and a symbol of the declaration means one number in all fields.

use super::labels;
use super::raw::{Cells, Errors, Raw, RawField};
use super::split::Parts;
use super::tokens::Vocabulary;
use super::transform::Work;
use super::windows::Windows;
use super::{Field, Storage};
use crate::base::{Diagnostic, Extent};
use crate::check::spec::{DataSpec, FieldSpec, Kind};
use std::collections::BTreeMap;

/// Fields on their way into a data set.
pub struct Build<'a> {
    spec: &'a DataSpec,
    /// The file, for messages.
    shown: &'a str,
    /// The parts before windows are cut: of rows, or of the steps of a long sequence.
    steps: &'a Parts,
    cut: Option<&'a (Windows, Parts)>,
    pub fields: Vec<Field>,
    pub symbols: BTreeMap<u32, u64>,
    pub warnings: Errors,
    pub errors: Errors,
}

impl<'a> Build<'a> {
    pub fn new(spec: &'a DataSpec, shown: &'a str, steps: &'a Parts, cut: Option<&'a (Windows, Parts)>) -> Build<'a> {
        let (fields, symbols) = (Vec::new(), BTreeMap::new());
        Build { spec, shown, steps, cut, fields, symbols, warnings: Errors::new(), errors: Errors::new() }
    }

    /// A field of class numbers.
    pub fn class(&mut self, index: usize, classes: labels::Classes, mut raw: RawField) -> Result<(), Box<Diagnostic>> {
        let field = &self.spec.fields[index];
        self.warn_unseen(field, &classes);
        raw.cells = Cells::Ids(classes.codes);
        if let Some((windows, _)) = self.cut {
            raw.dims.clear();
            windows.cut(index, &mut raw, field.span)?;
        }
        let shape = match field.shape.is_empty() && raw.dims.iter().all(|&d| d == 1) {
            true => vec![],
            false => fit_shape(field, &raw.dims, &mut self.symbols)?,
        };
        bind_count(field, classes.names.len(), &mut self.symbols)?;
        let Cells::Ids(codes) = raw.cells else { panic!("cutting leaves class numbers") };
        let (name, storage) = (field.name.clone(), Storage::I32(codes));
        self.fields.push(Field { name, shape, storage, classes: classes.names, ..Field::default() });
        Ok(())
    }

    /// A field of numbers or tokens; with `pad`, a second one holds the lengths.
    pub fn numbers(&mut self, index: usize, raw: RawField, known: Option<&Vocabulary>) -> Result<(), Box<Diagnostic>> {
        let field = &self.spec.fields[index];
        let train = &self.steps.train;
        let (data, shown, cut, lengths, fitted, warnings) = (self.spec, self.shown, self.cut, None, vec![], vec![]);
        let mut work = Work { data, shown, index, raw, train, known, cut, lengths, fitted, warnings };
        work.run()?;
        self.warnings.append(&mut work.warnings);
        let (mut raw, lengths, fitted) = (work.raw, work.lengths, work.fitted);
        if !raw.level() {
            let text = format!("the rows of `{}` have different lengths", field.name);
            let error = Diagnostic::error("E0415", field.span, text, "add `-> pad(100)`");
            return Err(Box::new(error.note("each row is then padded or cut to 100 steps, and keeps its length")));
        }
        let shape = fit_shape(field, &raw.dims, &mut self.symbols)?;
        let name = field.name.clone();
        let (storage, classes) = match raw.cells {
            Cells::Numbers(values) => (Storage::F32(values), vec![]),
            Cells::Ids(ids) => (Storage::I32(ids), known.map_or(vec![], |v| v.tokens.clone())),
            Cells::Texts(_) | Cells::Wide(_) => panic!("transforms leave numbers"),
        };
        if let Some(known) = known {
            bind_count(field, known.tokens.len(), &mut self.symbols)?;
        }
        if let Some(lengths) = lengths {
            let (name, storage) = (format!("{name}.length"), Storage::I32(lengths));
            self.fields.push(Field { name, storage, ..Field::default() });
        }
        self.fields.push(Field { name, shape, storage, classes, token: known.is_some(), fitted });
        Ok(())
    }

    /// W0401 for classes that only other parts have.
    fn warn_unseen(&mut self, field: &FieldSpec, classes: &labels::Classes) {
        let mut seen = vec![(false, false); classes.names.len()];
        let parts = self.steps;
        parts.train.iter().for_each(|&row| seen[classes.codes[row as usize] as usize].0 = true);
        let others = parts.valid.iter().chain(&parts.test);
        others.for_each(|&row| seen[classes.codes[row as usize] as usize].1 = true);
        let absent: Vec<&str> =
            (0..seen.len()).filter(|&i| !seen[i].0).map(|i| classes.names[i].as_str()).take(12).collect();
        if !absent.is_empty() {
            let elsewhere = seen.iter().any(|&(train, other)| other && !train);
            let text = format!("no training row of `{}` has the label {}", field.name, absent.join(", "));
            let label =
                if elsewhere { "it occurs in other parts: the model cannot learn it" } else { "it occurs nowhere" };
            let note = format!("`split(…, stratify = {})` keeps each class in every part", field.name);
            self.warnings.push(Diagnostic::warning("W0401", field.span, text, label).note(note));
        }
    }
}

/// The number behind a counted `class(K)` or `token(V)`.
pub fn bind_count(field: &FieldSpec, found: usize, symbols: &mut BTreeMap<u32, u64>) -> Result<(), Box<Diagnostic>> {
    let Some(Extent::Sym(symbol)) = field.kind.count() else { return Ok(()) };
    let bound = *symbols.entry(symbol).or_insert(found as u64);
    if bound == found as u64 {
        return Ok(());
    }
    let text = format!("`{}` has {found} different values, and its count is already {bound} elsewhere", field.name);
    Err(Box::new(Diagnostic::error("E0415", field.span, text, "give it a name of its own")))
}

/// E0105 for a transform of labels.
pub fn class_transforms(field: &FieldSpec) -> Result<(), Box<Diagnostic>> {
    let Some(wrong) = field.transforms.iter().find(|t| t.name != "window") else { return Ok(()) };
    let text = format!("`{}` is a class: it takes no transform but `window`", field.name);
    let error = Diagnostic::error("E0105", wrong.span, text, "labels become class numbers by themselves");
    Err(Box::new(
        error.note(format!("leave `-> {}` out, or write `{}: [3]` for a row of numbers", wrong.name, field.name)),
    ))
}

/// Per field its classes, where its kind is `class`.
pub fn read_classes(spec: &DataSpec, raw: &Raw) -> Result<Vec<Option<labels::Classes>>, Errors> {
    let mut errors = Errors::new();
    let mut all = Vec::new();
    for (field, cells) in spec.fields.iter().zip(&raw.fields) {
        let Kind::Class(declared) = field.kind else {
            all.push(None);
            continue;
        };
        let read = match &cells.cells {
            Cells::Texts(columns) if columns.len() == 1 => class_transforms(field)
                .and_then(|()| labels::classes(field, declared.and_then(Extent::fixed), &columns[0], &raw.shown)),
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

pub fn strata<'a>(spec: &DataSpec, classes: &'a [Option<labels::Classes>]) -> Result<Option<&'a [i32]>, Errors> {
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

/// The field's shape per row, where the data has `dims`: equal axis by axis (axes of 1 may be left out), or one of the two
/// flat with the same number of elements. Symbols are bound. E0415 where it does not fit.
pub fn fit_shape(
    field: &FieldSpec,
    dims: &[u64],
    symbols: &mut BTreeMap<u32, u64>,
) -> Result<Vec<u64>, Box<Diagnostic>> {
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
        let error = Diagnostic::error("E0415", field.span, text, format!("write {dims:?}, or another source"));
        Box::new(match (&field.kind, declared.as_slice()) {
            (Kind::Class(Some(Extent::Sym(_))), [count]) => {
                error.note(format!("the number of classes stands in parentheses: `class({count})`"))
            }
            _ => error,
        })
    })
}
