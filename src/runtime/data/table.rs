//! The columns of a CSV file that a `data` item asks for.
//!
//! In: records and the item's sources. Out: numbers and coded texts by field. Invariant: only the columns asked for are
//! kept, and every mistake names its line.

use super::csv::{Reader, Record};
use super::file::{self, Access};
use super::raw::{ABSENT, Cells, Coded, Errors, Missing, Raw, RawField};
use super::vocabulary::vocabulary;
use crate::base::names::nearest;
use crate::base::{Diagnostic, Span};
use crate::check::signature::{Place, bind};
use crate::check::spec::{DataSpec, FieldSpec, Kind, Literal};
use crate::runtime::limits;
use std::collections::BTreeMap;

/// Reads the columns of all fields of `spec`.
pub fn read(access: &Access, spec: &DataSpec) -> Result<Raw, Errors> {
    let args = bind(vocabulary(), Place::Reader, "csv", &spec.reader).map_err(|e| vec![*e])?;
    let path = args.text("path").expect("`path` is required");
    let header = args.text("header") != Some("false");
    let delimiter = delimiter(args.text("delimiter"), spec.reader.span).map_err(|e| vec![*e])?;
    let missing = Missing::parse(args.text("missing")).unwrap_or(Missing::Error);
    let source = file::open(access, path, spec.reader.span).map_err(|e| vec![*e])?;
    let mut reader = Reader::new(source, delimiter).map_err(|e| vec![*e])?;
    let mut first = Record::default();
    if !reader.read(&mut first).map_err(|e| vec![*e])? {
        return Err(vec![no_rows(path, "the file is empty", spec.reader.span)]);
    }
    let shape = Shape { path, header, delimiter, first: first.fields().map(str::to_string).collect() };
    let mut builders = Vec::new();
    let mut errors = Errors::new();
    for field in &spec.fields {
        match Builder::new(field, &shape, missing) {
            Ok(builder) => builders.push(builder),
            Err(error) => errors.push(*error),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let rows = fill(&mut reader, &shape, &first, &mut builders, spec.reader.span)?;
    let warnings = shape.suspicions(spec.reader.span);
    let fields = builders.into_iter().map(|b| b.field).collect();
    Ok(Raw { rows, fields, given: None, shown: path.to_string(), warnings })
}

/// Reads every record into the builders; the number of rows.
fn fill(
    reader: &mut Reader,
    shape: &Shape<'_>,
    first: &Record,
    builders: &mut [Builder],
    span: Span,
) -> Result<usize, Errors> {
    let mut errors = Errors::new();
    let mut rows = 0;
    let mut add = |record: &Record, reader: &Reader, errors: &mut Errors| {
        if record.len() != shape.first.len() {
            errors.push(*ragged(record, shape, reader));
        } else {
            builders.iter_mut().for_each(|b| b.add(record, reader, shape, errors));
        }
        rows += 1;
        if rows > limits::ROWS {
            errors.push(*reader.error("E0805", record.line, "too many rows", "the cap is 2^31 - 1 rows"));
        }
        errors.len() < limits::DATA_ERRORS
    };
    let mut go_on = shape.header || add(first, reader, &mut errors);
    let mut record = Record::default();
    while go_on {
        match reader.read(&mut record) {
            Ok(true) => go_on = add(&record, reader, &mut errors),
            Ok(false) => break,
            Err(error) => {
                errors.push(*error);
                break;
            }
        }
    }
    if rows == 0 && errors.is_empty() {
        errors.push(no_rows(shape.path, "it has a line of names and nothing below it", span));
    }
    if errors.is_empty() { Ok(rows) } else { Err(errors) }
}

/// E0403 for a file without a row.
pub fn no_rows(path: &str, why: &str, span: Span) -> Diagnostic {
    Diagnostic::error("E0403", span, format!("{path} has 0 rows: {why}"), "read here")
}

fn ragged(record: &Record, shape: &Shape<'_>, reader: &Reader) -> Box<Diagnostic> {
    let (found, expected) = (record.len(), shape.first.len());
    let text = format!("{found} column{} where the first line has {expected}", if found == 1 { "" } else { "s" });
    let note = if found > expected {
        "a text that contains the delimiter must stand in quotes"
    } else {
        "is the line cut off? a missing value is written as an empty field"
    };
    reader.error("E0401", record.line, &text, note)
}

fn delimiter(written: Option<&str>, span: Span) -> Result<u8, Box<Diagnostic>> {
    match written.map(str::as_bytes) {
        None => Ok(b','),
        Some(b"\\t") => Ok(b'\t'),
        Some(&[byte]) if byte.is_ascii() && !b"\"\n\r".contains(&byte) => Ok(byte),
        Some(_) => {
            let text = "`delimiter` must be one ASCII character other than a quote or a line end";
            Err(Box::new(Diagnostic::error("E0105", span, text, "for example `delimiter = \";\"`")))
        }
    }
}

/// What the first line says.
struct Shape<'a> {
    path: &'a str,
    header: bool,
    delimiter: u8,
    first: Vec<String>,
}

impl Shape<'_> {
    /// The index of a column given by name or by number from 1.
    fn locate(&self, which: &Literal, span: Span) -> Result<usize, Box<Diagnostic>> {
        match which {
            Literal::Text(name) => self.named(name, span),
            Literal::Number(number) => self.numbered(*number, span),
            other => panic!("a bound column is a text or a number, not {other:?}"),
        }
    }

    fn numbered(&self, number: f64, span: Span) -> Result<usize, Box<Diagnostic>> {
        let count = self.first.len();
        if number.fract() == 0.0 && number >= 1.0 && number <= count as f64 {
            return Ok(number as usize - 1);
        }
        let text = format!("{} has no column {number}", self.path);
        let error = Diagnostic::error("E0405", span, text, format!("it has columns 1 to {count}"));
        Err(Box::new(self.hint(error)))
    }

    fn named(&self, name: &str, span: Span) -> Result<usize, Box<Diagnostic>> {
        if !self.header {
            let text = format!("column \"{name}\" is asked for by name, but {} is read without names", self.path);
            let error = Diagnostic::error("E0405", span, text, "give its number, as in `column(5)`");
            return Err(Box::new(error.note("or remove `header = false` if the first line holds the names")));
        }
        let found: Vec<usize> = (0..self.first.len()).filter(|&i| self.first[i].trim() == name).collect();
        match found.as_slice() {
            [index] => Ok(*index),
            [] => {
                let text = format!("{} has no column \"{name}\"", self.path);
                let near = nearest(name, self.first.iter().map(|n| n.trim()));
                let label = match near {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => format!("it has {}", list(&self.first)),
                };
                let error = Diagnostic::error("E0405", span, text, label);
                Err(Box::new(self.hint(error)))
            }
            [a, b, ..] => {
                let text = format!("{}:1: two columns are named \"{name}\": {} and {}", self.path, a + 1, b + 1);
                Err(Box::new(Diagnostic::error("E0405", span, text, "give the number, as in `column(2)`")))
            }
        }
    }

    /// Adds "did you mean `;`?" where the file has one column and another delimiter would give more.
    fn hint(&self, error: Diagnostic) -> Diagnostic {
        let [only] = self.first.as_slice() else { return error };
        let better = [(b';', ";"), (b'\t', "\\t"), (b'|', "|"), (b',', ",")].into_iter();
        match better.filter(|(b, _)| *b != self.delimiter).find(|(b, _)| only.as_bytes().contains(b)) {
            Some((_, shown)) => error.note(format!(
                "with this delimiter the file has 1 column; did you mean `{shown}`? write `delimiter = \"{shown}\"`"
            )),
            None => error,
        }
    }

    fn suspicions(&self, span: Span) -> Errors {
        if !self.header || !self.first.iter().all(|name| name.trim().parse::<f64>().is_ok()) {
            return Errors::new();
        }
        let text = format!("{}:1: the first line is taken as names, but it holds only numbers", self.path);
        let warning = Diagnostic::warning("W0404", span, text, "read here");
        vec![warning.note("write `header = false` if it is the first row")]
    }
}

fn list(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(12).map(|n| format!("\"{}\"", n.trim())).collect();
    let more = names.len().saturating_sub(12);
    shown.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
}

/// Collects the columns of one field.
struct Builder {
    columns: Vec<usize>,
    field: RawField,
    /// Per text column the code of each label.
    known: Vec<BTreeMap<String, u32>>,
    /// Texts of tokens: no two need be alike, and `NA` is a word.
    token: bool,
    /// Texts to be split: an empty one is a row without a token.
    split: bool,
    span: Span,
}

impl Builder {
    fn new(spec: &FieldSpec, shape: &Shape<'_>, missing: Missing) -> Result<Builder, Box<Diagnostic>> {
        let call = spec.source.as_ref().ok_or_else(|| no_source(spec))?;
        let args = bind(vocabulary(), Place::Source, "csv", call)?;
        let mut columns = Vec::new();
        for which in args.all("which") {
            match which {
                Literal::Range(from, to) => {
                    let (from, to) = (shape.numbered(*from, call.span)?, shape.numbered(*to, call.span)?);
                    if from > to {
                        let text = format!("the range {}..{} runs backwards", from + 1, to + 1);
                        return Err(Box::new(Diagnostic::error("E0405", call.span, text, "smaller number first")));
                    }
                    columns.extend(from..=to);
                }
                which => columns.push(shape.locate(which, call.span)?),
            }
        }
        let missing = Missing::parse(args.text("missing")).unwrap_or(missing);
        let textual = |name: &str| matches!(name, "category" | "one_hot" | "chars" | "words");
        let texts = spec.kind != Kind::Real || spec.transforms.first().is_some_and(|t| textual(&t.name));
        if texts && missing == Missing::Mean {
            let text = format!("`{}` holds labels, and labels have no mean", spec.name);
            let error = Diagnostic::error("E0404", call.span, text, "write `missing = drop` here");
            return Err(Box::new(error));
        }
        let cells = match texts {
            true => Cells::Texts(vec![Coded::default(); columns.len()]),
            false => Cells::of_numbers(&spec.transforms),
        };
        let name = |&i: &usize| match shape.header {
            true => shape.first[i].trim().to_string(),
            false => format!("column {}", i + 1),
        };
        let names = columns.iter().map(name).collect();
        let field = RawField { cells, dims: vec![columns.len() as u64], names, range: None, missing, ends: None };
        let known = vec![BTreeMap::new(); columns.len()];
        let token = matches!(spec.kind, Kind::Token(_));
        let split = token && super::tokens::is_splitter_first(spec);
        Ok(Builder { columns, field, known, token, split, span: call.span })
    }

    fn add(&mut self, record: &Record, reader: &Reader, shape: &Shape<'_>, errors: &mut Errors) {
        for (i, &column) in self.columns.iter().enumerate() {
            let written = record.field(column).trim();
            let absent = match (self.split, self.token) {
                (true, _) => written.is_empty() && self.field.missing == Missing::Drop,
                (_, true) => written.is_empty(),
                _ => is_absent(written),
            };
            if absent && self.field.missing == Missing::Error {
                errors.push(self.wrong(i, written, record, reader, shape, "is missing"));
            }
            match &mut self.field.cells {
                Cells::Numbers(values) => {
                    let value = if absent { Some(f64::NAN) } else { number(written) };
                    values.push(value.unwrap_or(0.0) as f32);
                    if value.is_none() {
                        errors.push(self.wrong(i, written, record, reader, shape, "is not a number"));
                    }
                }
                Cells::Wide(values) => {
                    let value = if absent { Some(f64::NAN) } else { number(written) };
                    values.push(value.unwrap_or(0.0));
                    if value.is_none() {
                        errors.push(self.wrong(i, written, record, reader, shape, "is not a number"));
                    }
                }
                Cells::Ids(_) => panic!("a file holds no numbered tokens"),
                Cells::Texts(columns) if absent => columns[i].codes.push(ABSENT),
                Cells::Texts(columns) => {
                    let code = code_of(&mut self.known[i], &mut columns[i], written, record.line);
                    columns[i].codes.push(code);
                    if columns[i].labels.len() > limits::LABELS && !self.token {
                        let text = format!("\"{}\" has more than {} labels", self.field.names[i], limits::LABELS);
                        errors.push(*reader.error("E0805", record.line, &text, "is it really a column of classes?"));
                    }
                }
            }
        }
    }

    fn wrong(
        &self,
        column: usize,
        written: &str,
        record: &Record,
        reader: &Reader,
        shape: &Shape<'_>,
        what: &str,
    ) -> Diagnostic {
        let shown: String = written.chars().take(40).collect();
        let name = &self.field.names[column];
        let place = format!("{}:{}", shape.path, record.line);
        let text = match shown.is_empty() {
            true => format!("{place}: \"{name}\" is missing: the field is empty"),
            false => format!("{place}: `{shown}` in \"{name}\" {what}"),
        };
        let note = if is_absent(written) && matches!(self.field.cells, Cells::Texts(_)) {
            "`missing = drop` leaves such rows out".to_string()
        } else if is_absent(written) {
            "`missing = drop` leaves such rows out; `missing = mean` takes the column's mean".to_string()
        } else if written.parse::<f64>().is_ok() {
            "a value must be finite and fit a 32-bit number".to_string()
        } else if written.replacen(',', ".", 1).parse::<f64>().is_ok() {
            "numbers are written with a point: 1.5".to_string()
        } else if record.line == 1 && !shape.header {
            "if the first line holds names, remove `header = false`".to_string()
        } else {
            format!("to read \"{name}\" as labels, make the field `class`, or add `-> category` or `-> one_hot`")
        };
        let label = format!("field {} of the line", self.columns[column] + 1);
        debug_assert!(reader.source.shown == shape.path, "the reader reads the file of its shape");
        Diagnostic::error("E0404", self.span, text, label).note(note)
    }
}

fn code_of(known: &mut BTreeMap<String, u32>, column: &mut Coded, written: &str, line: u64) -> u32 {
    if let Some(&code) = known.get(written) {
        return code;
    }
    let code = column.labels.len() as u32;
    known.insert(written.to_string(), code);
    column.labels.push(written.to_string());
    column.lines.push(line);
    code
}

/// A number that fits an f32, or none.
fn number(written: &str) -> Option<f64> {
    let value: f64 = written.parse().ok()?;
    Some(value).filter(|v| (*v as f32).is_finite())
}

/// The usual ways to write that a value is missing.
fn is_absent(written: &str) -> bool {
    matches!(written, "" | "NA" | "N/A" | "n/a" | "na" | "nan" | "NaN" | "NAN" | "null" | "NULL" | "None" | "?")
}

/// E0104 for a field that names no source where the reader needs one.
pub fn no_source(spec: &FieldSpec) -> Box<Diagnostic> {
    let text = format!("field `{}` does not say where its values come from", spec.name);
    Box::new(Diagnostic::error("E0104", spec.span, text, "add a source, such as `= columns(1..4)`"))
}
