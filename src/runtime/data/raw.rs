//! What a reader delivers before labels become classes and before transforms run.
//!
//! In: nothing. Out: plain data. Invariant: all fields have the same number of rows; NaN in a number and [`ABSENT`] in a
//! code mark a missing value, and nothing else is not finite.

use crate::base::{Diagnostic, Span};
use crate::check::spec::Call;
use std::collections::HashMap;

pub type Errors = Vec<Diagnostic>;

/// What is wrong with a file, and what to do about it.
#[derive(Debug, PartialEq)]
pub struct Wrong {
    pub code: &'static str,
    pub text: String,
    pub note: &'static str,
}

impl Wrong {
    pub fn new(code: &'static str, text: impl Into<String>, note: &'static str) -> Wrong {
        Wrong { code, text: text.into(), note }
    }

    /// The message, where `file` is how the user knows the file and `span` where it is named.
    pub fn of(self, file: &str, span: Span) -> Box<Diagnostic> {
        Box::new(Diagnostic::error(self.code, span, format!("{file}: {}", self.text), "read here").note(self.note))
    }
}

/// Memory for `count` values, or E0803.
pub fn room<T>(count: usize) -> Result<Vec<T>, Wrong> {
    let mut values = Vec::new();
    let wrong = || Wrong::new("E0803", "it needs more memory than there is", "make the file smaller");
    values.try_reserve_exact(count).map_err(|_| wrong())?;
    Ok(values)
}

/// The code of a missing text.
pub const ABSENT: u32 = u32::MAX;

/// What happens to a missing value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Missing {
    Error,
    /// The mean of the column in the training part.
    Mean,
    /// The row is left out.
    Drop,
}

impl Missing {
    pub fn parse(word: Option<&str>) -> Option<Missing> {
        match word? {
            "mean" => Some(Missing::Mean),
            "drop" => Some(Missing::Drop),
            _ => Some(Missing::Error),
        }
    }
}

/// A text column: each row's label as an index into `labels`, which stand in order of appearance.
#[derive(Clone, Debug, Default)]
pub struct Coded {
    pub codes: Vec<u32>,
    pub labels: Vec<String>,
    /// The line (or, in a binary file, the row) where each label first appears.
    pub lines: Vec<u64>,
    /// Where several files follow each other: the rows before each, and its name.
    pub files: Vec<(u64, String)>,
}

impl Coded {
    /// Where a label first appears, `iris.csv:17`; `shown` is the file where there is but one.
    pub fn place(&self, label: usize, shown: &str) -> String {
        let line = self.lines[label];
        match self.files.iter().rev().find(|(before, _)| *before < line) {
            Some((before, name)) => format!("{name}:{}", line - before),
            None => format!("{shown}:{line}"),
        }
    }
}

/// Gives texts their codes, in order of appearance. The map is only ever asked, never walked, so its order shows nowhere.
#[derive(Debug, Default)]
pub struct Coder {
    pub coded: Coded,
    known: HashMap<String, u32>,
}

impl Coder {
    /// Appends a row with the label `text`, which `line` holds.
    pub fn push(&mut self, text: &str, line: u64) {
        let code = match self.known.get(text) {
            Some(&code) => code,
            None => {
                let code = self.coded.labels.len() as u32;
                self.known.insert(text.to_string(), code);
                self.coded.labels.push(text.to_string());
                self.coded.lines.push(line);
                code
            }
        };
        self.coded.codes.push(code);
    }
}

#[derive(Clone, Debug)]
pub enum Cells {
    /// Row-major, `[rows, width]`.
    Numbers(Vec<f32>),
    /// The same as the file has them, for a transform that subtracts before anything is rounded.
    Wide(Vec<f64>),
    Texts(Vec<Coded>),
    /// Class numbers or places in a vocabulary, `[rows, width]`.
    Ids(Vec<i32>),
}

impl Cells {
    /// Where numbers that go through `transforms` are collected: all digits only for those that need them.
    pub fn of_numbers(transforms: &[Call]) -> Cells {
        match transforms.iter().any(|t| matches!(t.name.as_str(), "standardize" | "scale")) {
            true => Cells::Wide(Vec::new()),
            false => Cells::Numbers(Vec::new()),
        }
    }
}

#[derive(Clone, Debug)]
pub struct RawField {
    pub cells: Cells,
    /// Per row: `[width]`, `[28, 28, 1]`.
    pub dims: Vec<u64>,
    /// The columns' names, for messages; empty for pictures.
    pub names: Vec<String>,
    /// The range that the format itself gives: 0..255 for bytes.
    pub range: Option<(f32, f32)>,
    pub missing: Missing,
    /// Where rows have several steps, and each its own number of them: per row the step behind its last one. The cells
    /// then hold steps, and `dims` is per step.
    pub ends: Option<Vec<usize>>,
}

impl RawField {
    pub fn rows(&self) -> usize {
        self.ends.as_ref().map_or_else(|| self.steps(), Vec::len)
    }

    /// The steps of a row: itself alone, where rows are single.
    pub fn steps_of(&self, row: usize) -> std::ops::Range<usize> {
        match &self.ends {
            Some(ends) => row.checked_sub(1).map_or(0, |before| ends[before])..ends[row],
            None => row..row + 1,
        }
    }

    /// Rows of many steps that all have the same number become rows of one length; false where they differ.
    pub fn level(&mut self) -> bool {
        let Some(ends) = &self.ends else { return true };
        let size = ends.first().copied().unwrap_or(0);
        if ends.iter().enumerate().any(|(row, &end)| end != (row + 1) * size) {
            return false;
        }
        self.ends = None;
        self.dims.insert(0, size as u64);
        true
    }

    fn steps(&self) -> usize {
        match &self.cells {
            Cells::Numbers(values) => values.len() / self.width().max(1),
            Cells::Wide(values) => values.len() / self.width().max(1),
            Cells::Ids(ids) => ids.len() / self.width().max(1),
            Cells::Texts(columns) => columns.first().map_or(0, |c| c.codes.len()),
        }
    }

    pub fn width(&self) -> usize {
        self.dims.iter().product::<u64>() as usize
    }

    pub fn column_name(&self, column: usize) -> String {
        self.names.get(column).cloned().unwrap_or_else(|| format!("column {}", column + 1))
    }
}

#[derive(Clone, Debug)]
pub struct Raw {
    pub rows: usize,
    /// In the order of the specification's fields.
    pub fields: Vec<RawField>,
    /// Where the files themselves mark parts: rows before it are for training, the others for test.
    pub given: Option<usize>,
    /// The file that labels came from, for messages.
    pub shown: String,
    pub warnings: Errors,
}

impl Raw {
    /// Leaves out the rows in which a field that says `drop` misses a value.
    pub fn drop_missing(&mut self) {
        let mut keep = vec![true; self.rows];
        for field in self.fields.iter().filter(|f| f.missing == Missing::Drop) {
            match &field.cells {
                Cells::Numbers(values) => mark(values, field.width(), |v| !v.is_nan(), &mut keep),
                Cells::Wide(values) => mark(values, field.width(), |v| !v.is_nan(), &mut keep),
                Cells::Ids(_) => {}
                Cells::Texts(columns) => {
                    for column in columns {
                        column.codes.iter().zip(&mut keep).for_each(|(&c, kept)| *kept &= c != ABSENT);
                    }
                }
            }
        }
        if keep.iter().all(|&kept| kept) {
            return;
        }
        for field in &mut self.fields {
            assert!(field.ends.is_none(), "a row of many steps misses no value: readers refuse it");
            let width = field.width().max(1);
            match &mut field.cells {
                Cells::Ids(_) => panic!("readers deliver numbers and texts"),
                Cells::Numbers(values) => *values = kept(values, width, &keep),
                Cells::Wide(values) => *values = kept(values, width, &keep),
                Cells::Texts(columns) => {
                    for column in columns {
                        let mut kept = keep.iter();
                        column.codes.retain(|_| *kept.next().expect("a mark for every row"));
                    }
                }
            }
        }
        self.rows = keep.iter().filter(|&&kept| kept).count();
    }
}

/// Takes the mark from each row that has a value which is not `present`.
fn mark<T>(values: &[T], width: usize, present: fn(&T) -> bool, keep: &mut [bool]) {
    values.chunks_exact(width.max(1)).zip(keep).for_each(|(row, kept)| *kept &= row.iter().all(present));
}

/// The rows that are marked.
fn kept<T: Copy>(values: &[T], width: usize, keep: &[bool]) -> Vec<T> {
    let rows = values.chunks_exact(width).zip(keep).filter(|(_, kept)| **kept);
    rows.flat_map(|(row, _)| row.iter().copied()).collect()
}
