//! Messages to the user: what is wrong, where, why, and what to type.
//!
//! In: a code, spans and texts from any stage. Out: text for people (codespan-reporting), one-line text, or JSON.
//! Invariant: every message has a code, and this is the only place that renders one.

use super::span::{SourceMap, Span};
use codespan_reporting::diagnostic::{self as report, LabelStyle};
use codespan_reporting::files::SimpleFiles;
use codespan_reporting::term;
use std::ops::Range;

#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Severity {
    Warning,
    Error,
}

/// A place with what there is to say about it. The first label of a diagnostic is where the mistake is.
#[derive(Clone, PartialEq, Debug)]
pub struct Label {
    pub span: Span,
    pub text: String,
}

/// Replace the text of `span` by `text`.
#[derive(Clone, PartialEq, Debug)]
pub struct Edit {
    pub span: Span,
    pub text: String,
}

/// What to type. It is shown only when, with it applied, this error is gone and no new one appears.
#[derive(Clone, PartialEq, Debug)]
pub struct Fix {
    pub message: String,
    pub edits: Vec<Edit>,
}

/// One message. `code` is `E0307` or `W0201`; `nnc explain CODE` says more.
#[derive(Clone, PartialEq, Debug)]
pub struct Diagnostic {
    pub severity: Severity,
    pub code: &'static str,
    pub message: String,
    pub labels: Vec<Label>,
    pub notes: Vec<String>,
    /// Candidates, most likely first; the driver keeps the first one that holds.
    pub fixes: Vec<Fix>,
}

impl Diagnostic {
    pub fn error(code: &'static str, span: Span, message: impl Into<String>, label: impl Into<String>) -> Diagnostic {
        let labels = vec![Label { span, text: label.into() }];
        Diagnostic { severity: Severity::Error, code, message: message.into(), labels, notes: vec![], fixes: vec![] }
    }

    /// An error that has no place in a source file: a missing data file, a full disk.
    pub fn plain(code: &'static str, message: impl Into<String>) -> Diagnostic {
        let message = message.into();
        Diagnostic { severity: Severity::Error, code, message, labels: vec![], notes: vec![], fixes: vec![] }
    }

    pub fn warning(code: &'static str, span: Span, message: impl Into<String>, label: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, span, message, label) }
    }

    pub fn label(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    pub fn note(mut self, text: impl Into<String>) -> Diagnostic {
        self.notes.push(text.into());
        self
    }

    pub fn fix(mut self, message: impl Into<String>, span: Span, text: impl Into<String>) -> Diagnostic {
        self.fixes.push(Fix { message: message.into(), edits: vec![Edit { span, text: text.into() }] });
        self
    }

    pub fn span(&self) -> Option<Span> {
        self.labels.first().map(|l| l.span)
    }

    /// The process exit code that this message asks for: the family of its code decides.
    pub fn exit_code(&self) -> i32 {
        match self.code.as_bytes().get(1..3) {
            Some(b"00" | b"01" | b"03") => 3,
            Some(b"02") => 2,
            Some(b"04") => 4,
            Some(b"05") => 5,
            Some(b"06") => 6,
            Some(b"07") => 7,
            Some(b"08" | b"09") => 8,
            _ => 3,
        }
    }

    /// `lenet.nn:14:23: error[E0307]: message`
    pub fn short(&self, sources: &SourceMap) -> String {
        let word = if self.severity == Severity::Error { "error" } else { "warning" };
        let head = format!("{word}[{}]: {}", self.code, self.message);
        match self.span() {
            None => head,
            Some(span) => {
                let (line, column) = sources.line_column(span);
                format!("{}:{line}:{column}: {head}", sources.file(span.file).name)
            }
        }
    }

    /// The long form, with source lines; at most 120 characters of a line are shown, those around the place. Ends with a
    /// newline.
    pub fn render(&self, sources: &SourceMap) -> String {
        let (mut files, mut excerpts) = (SimpleFiles::new(), Vec::new());
        for (_, file) in sources.files() {
            excerpts.push(files.add(file.name.clone(), file.text.as_str()));
        }
        let long = self.labels.iter().any(|l| longest_line(sources, l.span) > MAX_EXCERPT);
        if long {
            let parts =
                self.labels.iter().enumerate().map(|(i, l)| excerpt(sources, l, if i == 0 { '^' } else { '-' }));
            return self.short(sources) + "\n" + &parts.collect::<String>() + &self.render_notes(sources);
        }
        let severity =
            if self.severity == Severity::Error { report::Severity::Error } else { report::Severity::Warning };
        let labels = self.labels.iter().enumerate().map(|(i, l)| {
            let style = if i == 0 { LabelStyle::Primary } else { LabelStyle::Secondary };
            let range: Range<usize> = l.span.start as usize..l.span.end as usize;
            report::Label::new(style, excerpts[l.span.file.0 as usize], range).with_message(&l.text)
        });
        let shown = report::Diagnostic::new(severity)
            .with_code(self.code)
            .with_message(&self.message)
            .with_labels(labels.collect())
            .with_notes(self.notes.clone());
        let config = term::Config { tab_width: 4, ..term::Config::default() };
        let mut out = match term::emit_into_string(&config, &files, &shown) {
            Ok(text) => text.trim_end().to_string() + "\n",
            Err(_) => self.short(sources) + "\n",
        };
        if let Some(fix) = self.fixes.first() {
            out.push_str(&render_fix(sources, fix));
        }
        out
    }

    fn render_notes(&self, sources: &SourceMap) -> String {
        let notes: String = self.notes.iter().map(|n| format!("  = {n}\n")).collect();
        notes + &self.fixes.first().map(|f| render_fix(sources, f)).unwrap_or_default()
    }
}

const MAX_EXCERPT: usize = 120;

fn longest_line(sources: &SourceMap, span: Span) -> usize {
    let text = &sources.file(span.file).text;
    let start = text[..span.start as usize].rfind('\n').map_or(0, |i| i + 1);
    let end = text[span.end as usize..].find('\n').map_or(text.len(), |i| span.end as usize + i);
    text[start..end].split('\n').map(str::len).max().unwrap_or(0)
}

/// The part of a long line around a label, with the label below it.
fn excerpt(sources: &SourceMap, label: &Label, mark: char) -> String {
    let text = &sources.file(label.span.file).text;
    let (at, end) = (label.span.start as usize, label.span.end as usize);
    let line = text[..at].rfind('\n').map_or(0, |i| i + 1);
    let line_end = text[at..].find('\n').map_or(text.len(), |i| at + i);
    let marked = end.min(line_end).max(at);
    let around = (MAX_EXCERPT.saturating_sub(marked - at) / 2).max(MAX_EXCERPT / 4);
    let (from, to) = (whole_word(text, line, at, around), around_end(text, marked, line_end, around));
    let clean = |part: &str| part.replace(['\t', '\r'], " ");
    let shown: String = clean(&text[at..marked]).chars().take(MAX_EXCERPT).collect();
    let cut = shown.len() < marked - at;
    let behind = if cut { String::new() } else { clean(&text[marked..to]) };
    let before = format!("{}{}", if from > line { "… " } else { "" }, clean(&text[from..at]));
    let dots = if cut || to < line_end { " …" } else { "" };
    let number = sources.line_column(label.span).0.to_string();
    let (gutter, pad) = (" ".repeat(number.len()), " ".repeat(before.chars().count()));
    let marks = mark.to_string().repeat(shown.chars().count().max(1));
    format!("{gutter} │\n{number} │ {before}{shown}{behind}{dots}\n{gutter} │ {pad}{marks} {}\n", label.text)
}

/// Where to begin, at most `most` bytes before `at`: at the beginning of the line or behind a space.
fn whole_word(text: &str, line: usize, at: usize, most: usize) -> usize {
    let mut from = at.saturating_sub(most).max(line);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    if from == line { from } else { text[from..at].find(' ').map_or(from, |i| from + i + 1) }
}

/// Where to end, at most `most` bytes behind `at`: at the end of the line or before a space.
fn around_end(text: &str, at: usize, line_end: usize, most: usize) -> usize {
    let mut to = (at + most).min(line_end);
    while !text.is_char_boundary(to) {
        to -= 1;
    }
    if to == line_end { to } else { text[at..to].rfind(' ').map_or(to, |i| at + i) }
}

/// `help: MESSAGE` and, for a fix inside one short line, the line as it becomes.
fn render_fix(sources: &SourceMap, fix: &Fix) -> String {
    let mut out = format!("help: {}\n", fix.message);
    let mut edits: Vec<&Edit> = fix.edits.iter().collect();
    edits.sort_by_key(|e| e.span.start);
    let (Some(first), Some(last)) = (edits.first(), edits.last()) else { return out };
    let text = &sources.file(first.span.file).text;
    let start = text[..first.span.start as usize].rfind('\n').map_or(0, |i| i + 1);
    let end = text[last.span.end as usize..].find('\n').map_or(text.len(), |i| last.span.end as usize + i);
    if end - start > MAX_EXCERPT || edits.iter().any(|e| e.span.file != first.span.file) {
        return out;
    }
    let (mut fixed, mut at) = (String::new(), start);
    for edit in &edits {
        let Some(kept) = text.get(at..edit.span.start as usize) else { return out };
        fixed.push_str(kept);
        fixed.push_str(&edit.text);
        at = edit.span.end as usize;
    }
    fixed.push_str(&text[at.min(end)..end]);
    let gutter = sources.line_column(first.span).0.to_string();
    for (i, shown) in fixed.trim_end().split('\n').enumerate() {
        let number = if i == 0 { gutter.clone() } else { " ".repeat(gutter.len()) };
        out.push_str(&format!("{number} │ {shown}\n"));
    }
    if edits.len() == 1 && !first.text.is_empty() && !first.text.contains('\n') {
        let before = &text[start..first.span.start as usize];
        let pad = before.chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect::<String>();
        out.push_str(&format!("{} │ {pad}{}\n", " ".repeat(gutter.len()), "+".repeat(first.text.chars().count())));
    }
    out
}
