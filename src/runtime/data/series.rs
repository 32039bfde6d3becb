//! `.ts`, the format of time-series archives: a case on each line, its channels between `:`, its class last.
//!
//! In: a file, and perhaps a second one for the test part. Out: cases of steps × channels, with their own numbers of steps,
//! and their labels. Invariant: the steps of a case have one number of channels, the same in all cases.
//! Source: the format of the UEA & UCR time series classification archives.

use super::file::Access;
use super::raw::{Cells, Coder, Errors, Missing, Raw, RawField};
use super::table::{no_rows, no_source};
use super::text;
use super::vocabulary::vocabulary;
use crate::base::{Diagnostic, Span};
use crate::check::signature::{Place, bind};
use crate::check::spec::{DataSpec, Kind};
use crate::runtime::limits;

/// The cases of the files read so far.
#[derive(Default)]
struct Cases {
    values: Vec<f32>,
    ends: Vec<usize>,
    labels: Coder,
    channels: usize,
}

/// The fields of a `ts` data item.
pub fn read(access: &Access, spec: &DataSpec) -> Result<Raw, Errors> {
    let one = |e: Box<Diagnostic>| vec![*e];
    let args = bind(vocabulary(), Place::Reader, "", &spec.reader).map_err(one)?;
    let (path, span) = (args.text("path").expect("`path` is required"), spec.reader.span);
    let mut cases = Cases::default();
    cases.add(access, path, span)?;
    let first = cases.ends.len();
    if first == 0 {
        return Err(vec![no_rows(path, "no case follows `@data`", span)]);
    }
    let test = args.text("test");
    if let Some(path) = test {
        cases.add(access, path, span)?;
    }
    let (mut fields, mut errors) = (Vec::new(), Errors::new());
    for field in &spec.fields {
        let call = field.source.as_ref().ok_or_else(|| no_source(field));
        match call.and_then(|call| bind(vocabulary(), Place::Source, "ts", call)) {
            Ok(bound) if bound.signature.name == "labels" && field.kind == Kind::Real => {
                let text = format!("`{}` holds labels", field.name);
                errors.push(Diagnostic::error("E0105", field.span, text, "write `class(K)` as its type"));
            }
            Ok(bound) => fields.push(cases.field(bound.signature.name)),
            Err(error) => errors.push(*error),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let given = test.map(|_| first);
    Ok(Raw { rows: cases.ends.len(), fields, given, shown: path.to_string(), warnings: Errors::new() })
}

impl Cases {
    fn field(&self, source: &str) -> RawField {
        let (names, range, missing) = (vec![source.to_string()], None, Missing::Error);
        match source {
            "labels" => {
                let cells = Cells::Texts(vec![self.labels.coded.clone()]);
                RawField { cells, dims: vec![1], names, range, missing, ends: None }
            }
            _ => {
                let (cells, dims) = (Cells::Numbers(self.values.clone()), vec![self.channels as u64]);
                RawField { cells, dims, names: vec![], range, missing, ends: Some(self.ends.clone()) }
            }
        }
    }

    fn add(&mut self, access: &Access, path: &str, span: Span) -> Result<(), Errors> {
        let text = text::content(access, path, None, span).map_err(|e| vec![*e])?;
        let mut errors = Errors::new();
        let mut lines = text.lines().enumerate().map(|(i, line)| (i + 1, line.trim()));
        if !lines.by_ref().any(|(_, line)| line.eq_ignore_ascii_case("@data")) {
            let text = format!("{path}: no line says `@data`");
            return Err(vec![Diagnostic::error("E0407", span, text, "is this a `.ts` file?")]);
        }
        for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            if let Err((code, text, label)) = self.case(line, number as u64) {
                errors.push(Diagnostic::error(code, span, format!("{path}:{number}: {text}"), label));
            }
            if errors.len() == limits::DATA_ERRORS {
                break;
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// One case; what is wrong with it as a code, a sentence and a way out.
    fn case(&mut self, line: &str, number: u64) -> Result<(), (&'static str, String, &'static str)> {
        let Some((series, label)) = line.rsplit_once(':') else {
            return Err(("E0401", "the line has no class behind a `:`".into(), "a case is `1,2,3:4,5,6:class`"));
        };
        let channels: Vec<Vec<&str>> = series.split(':').map(|c| c.split(',').map(str::trim).collect()).collect();
        if self.ends.is_empty() {
            self.channels = channels.len();
        }
        if channels.len() != self.channels {
            let text = format!("{} channels where the first case has {}", channels.len(), self.channels);
            return Err(("E0401", text, "is the line cut off?"));
        }
        let steps = channels[0].len();
        if let Some(i) = channels.iter().position(|c| c.len() != steps) {
            let text = format!("channel {} has {} steps, channel 1 has {steps}", i + 1, channels[i].len());
            return Err(("E0401", text, "all channels of a case need the same number"));
        }
        let before = self.values.len();
        for step in 0..steps {
            for channel in &channels {
                let value = channel[step].parse::<f64>().ok().map(|v| v as f32).filter(|v| v.is_finite());
                let Some(value) = value else {
                    self.values.truncate(before);
                    let shown: String = channel[step].chars().take(40).collect();
                    return Err(("E0404", format!("`{shown}` is not a number"), "missing values are not read here"));
                };
                self.values.push(value);
            }
        }
        self.ends.push(self.values.len() / self.channels);
        self.labels.push(label.trim(), number);
        Ok(())
    }
}
