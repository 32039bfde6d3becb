//! The one place that writes to the terminal.
//!
//! In: texts and diagnostics. Out: data on standard output, everything else on standard error. Invariant: a reader that
//! goes away ends a listing quietly; a lost progress line never ends a training run; nothing here panics.

use crate::base::{Diagnostic, Label, Severity, SourceMap, Span};
use serde_json::{Value, json};
use std::io::{self, Write};

/// How diagnostics and results are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Format {
    /// With source lines.
    Human,
    /// One line each.
    Short,
    /// One JSON object a line.
    Json,
    /// Annotations of GitHub's workflows.
    Github,
}

/// At most so many diagnostics are shown in one run.
pub const SHOWN: usize = 20;

pub struct Output {
    pub format: Format,
    pub quiet: bool,
}

impl Output {
    /// Writes data. The error is for the caller to pass up: [`super::finish`] turns a closed pipe into a quiet end.
    pub fn data(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Writes one JSON object as a line of data.
    pub fn record(&self, record: &Value) -> io::Result<()> {
        self.data(&format!("{record}\n"))
    }

    /// Writes a message for people. A closed or full standard error loses it, and nothing else.
    pub fn note(&self, text: &str) {
        let mut err = io::stderr().lock();
        let _ = err.write_all(text.as_bytes());
        let _ = err.flush();
    }

    /// A message that `--quiet` and machine-readable formats leave out.
    pub fn status(&self, text: &str) {
        if !self.quiet && matches!(self.format, Format::Human | Format::Short) {
            self.note(text);
        }
    }

    /// Shows diagnostics, errors and warnings in their order, at most [`SHOWN`].
    pub fn diagnostics(&self, sources: &SourceMap, diagnostics: &[Diagnostic]) {
        let mut text = String::new();
        for (i, d) in diagnostics.iter().take(SHOWN).enumerate() {
            match self.format {
                Format::Human if i > 0 => text.push_str(&format!("\n{}", d.render(sources))),
                Format::Human => text.push_str(&d.render(sources)),
                Format::Short => text.push_str(&format!("{}\n", d.short(sources))),
                Format::Json => text.push_str(&format!("{}\n", record(sources, d))),
                Format::Github => text.push_str(&format!("{}\n", annotation(sources, d))),
            }
        }
        let more = diagnostics.len().saturating_sub(SHOWN);
        if more > 0 {
            text.push_str(&match self.format {
                Format::Json => format!("{}\n", json!({ "reason": "more", "schema": 1, "count": more })),
                _ => format!("{more} more\n"),
            });
        }
        let first = diagnostics.iter().find(|d| d.severity == Severity::Error);
        if let (Format::Human, Some(first)) = (self.format, first) {
            text.push_str(&format!("\n`nnc explain {}` says more\n", first.code));
        }
        self.note(&text);
    }
}

/// One diagnostic as JSON: the same codes and texts as for people.
pub fn record(sources: &SourceMap, d: &Diagnostic) -> Value {
    let place = |label: &Label| {
        let mut value = place(sources, label.span);
        value["text"] = json!(label.text);
        value
    };
    let labels: Vec<Value> = d.labels.iter().map(place).collect();
    let fixes = d.fixes.iter().map(|fix| {
        let edits = fix.edits.iter().map(|e| {
            let mut value = self::place(sources, e.span);
            value["replacement"] = json!(e.text);
            value
        });
        json!({ "message": fix.message, "edits": edits.collect::<Vec<_>>() })
    });
    let severity = if d.severity == Severity::Error { "error" } else { "warning" };
    json!({
        "reason": "diagnostic",
        "schema": 1,
        "severity": severity,
        "code": d.code,
        "message": d.message,
        "labels": labels,
        "notes": d.notes,
        "fixes": fixes.collect::<Vec<_>>(),
    })
}

fn place(sources: &SourceMap, span: Span) -> Value {
    let ((line, column), (end_line, end_column)) = (sources.line_column(span), sources.line_column(span.after()));
    json!({
        "file": sources.file(span.file).name,
        "start": span.start,
        "end": span.end,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    })
}

/// `::error file=m.nn,line=3,col=5,title=E0307::message`
fn annotation(sources: &SourceMap, d: &Diagnostic) -> String {
    let word = if d.severity == Severity::Error { "error" } else { "warning" };
    let escape = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| escape(text).replace(':', "%3A").replace(',', "%2C");
    let place = d.span().map_or(String::new(), |span| {
        let (line, column) = sources.line_column(span);
        format!("file={},line={line},col={column},", property(&sources.file(span.file).name))
    });
    let label = d.labels.first().filter(|l| !l.text.is_empty()).map_or(String::new(), |l| format!(": {}", l.text));
    format!("::{word} {place}title={}::{}", d.code, escape(&format!("{}{label}", d.message)))
}
