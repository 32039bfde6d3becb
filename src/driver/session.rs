//! One source file on its way through the compiler.
//!
//! In: a path and the options of the command line. Out: its sources, tree and diagnostics. Invariant: diagnostics stand in
//! the order of the source, and every one of them can be shown with `sources`.

use super::engine::{Device, Watching};
use super::pipeline::{Analysis, Library, keep_what_holds};
use super::read;
use super::times::Times;
use crate::base::{Diagnostic, FileId, Severity, SourceMap, Span};
use crate::check::Checked;
use crate::check::signature::{Place, bind};
use crate::check::spec::{Call, DataSpec, FIRST_SYMBOL};
use crate::codegen::Vectors;
use crate::runtime::data::{Access, ahead, open, vocabulary};
use crate::syntax::{ast, parse};
use std::path::{Path, PathBuf};

/// What the command line says about files and the machine.
#[derive(Clone, Debug)]
pub struct Options {
    pub data_root: Option<PathBuf>,
    pub allow_outside: bool,
    pub max_decompressed: u64,
    /// Wins over the file's `seed`.
    pub seed: Option<u64>,
    pub threads: usize,
    pub vectors: Vectors,
    pub watch: Option<Watching>,
    /// What a run may take, in bytes; `None` for the part of the machine's memory that is the default.
    pub memory_limit: Option<u64>,
    /// Weights and `given` data.
    pub start: Option<PathBuf>,
    /// What the command will write.
    pub written: Vec<PathBuf>,
    /// `--dim V=96`
    pub dims: Vec<(String, u64)>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            data_root: None,
            allow_outside: false,
            max_decompressed: crate::runtime::limits::DECOMPRESSED_BYTES,
            seed: None,
            threads: 1,
            vectors: Vectors::Native,
            watch: None,
            memory_limit: None,
            start: None,
            written: Vec::new(),
            dims: Vec::new(),
        }
    }
}

impl Options {
    pub fn device(&self) -> Device {
        Device { threads: self.threads, vectors: self.vectors, watch: self.watch }
    }

    /// Where the data of the file at `path` may lie.
    pub fn access(&self, path: &Path) -> Access {
        let beside = Access::beside(path);
        let root = self.data_root.clone().unwrap_or(beside.root);
        let (allow_outside, max_decompressed) = (self.allow_outside, self.max_decompressed);
        Access { root, allow_outside, max_decompressed, written: self.written.clone() }
    }
}

/// A source file, read and checked.
pub struct Session {
    pub path: PathBuf,
    pub sources: SourceMap,
    pub file: FileId,
    pub tree: ast::File,
    pub checked: Checked,
    pub diagnostics: Vec<Diagnostic>,
    pub options: Options,
    /// How long it took to read and to check.
    pub times: Times,
}

impl Session {
    /// Reads and checks the file at `path` (`-` for standard input), with the files that it uses.
    pub fn load(path: &Path, options: Options) -> Result<Session, Box<Diagnostic>> {
        let mut times = Times::default();
        let text = times.lap("read", || read::source(path))?;
        let access = options.access(path);
        let loader = |written: &str| read::used(&access, written);
        let (library, name) = (Library::load(), shown(path));
        let analysis = library.analyse(&name, &text, &loader);
        let Analysis { sources, tree, file, mut checked, mut diagnostics, times: looked } = analysis;
        times.add(&looked);
        let words: Vec<Diagnostic> = checked.data.iter().flat_map(wrong_words).collect();
        if !words.is_empty() {
            diagnostics.extend(words);
            keep_what_holds(&text, file, &mut diagnostics, &|fixed| {
                let again = library.look(&name, fixed, &loader);
                let words = again.checked.data.iter().flat_map(wrong_words);
                again.diagnostics.iter().cloned().chain(words).collect()
            });
        }
        for (name, number) in &options.dims {
            bind_dim(&mut checked.data, name, *number)?;
        }
        Ok(Session { path: path.to_path_buf(), sources, file, tree, checked, diagnostics, options, times })
    }

    pub fn text(&self) -> &str {
        &self.sources.file(self.file).text
    }

    pub fn has_errors(&self) -> bool {
        has_errors(&self.diagnostics)
    }

    /// Opens the data of every `data` item that is not given from outside, and adds what is wrong with it.
    /// What was read, a line for each.
    pub fn check_data(&mut self) -> Vec<String> {
        let mut read = Vec::new();
        let access = self.options.access(&self.path);
        let seed = self.options.seed.unwrap_or(0);
        for spec in self.checked.data.iter().filter(|d| d.reader.name != "given") {
            match open(spec, &access, None, seed) {
                Ok(data) => {
                    read.push(data.report());
                    self.diagnostics.extend(data.warnings);
                }
                Err(errors) => self.diagnostics.extend(errors),
            }
        }
        read
    }
}

/// A source file that is only parsed.
pub struct Parsed {
    pub sources: SourceMap,
    pub file: FileId,
    pub tree: ast::File,
    pub diagnostics: Vec<Diagnostic>,
}

impl Parsed {
    pub fn load(path: &Path) -> Result<Parsed, Box<Diagnostic>> {
        let text = read::source(path)?;
        let mut sources = SourceMap::default();
        let file = sources.add(shown(path), text, false);
        let text = sources.file(file).text.clone();
        let (tree, mut diagnostics) = parse(file, &text);
        keep_what_holds(&text, file, &mut diagnostics, &|fixed| parse(file, fixed).1);
        Ok(Parsed { sources, file, tree, diagnostics })
    }

    pub fn text(&self) -> &str {
        &self.sources.file(self.file).text
    }

    pub fn has_errors(&self) -> bool {
        has_errors(&self.diagnostics)
    }
}

/// `--dim V=96`: the number takes the place of the symbol in all data. E0202 where no data has it.
fn bind_dim(data: &mut [DataSpec], name: &str, number: u64) -> Result<(), Box<Diagnostic>> {
    let mut found = false;
    for spec in data.iter_mut() {
        let place = spec.symbols.iter().position(|s| s == name);
        spec.bind(&place.map(|i| (FIRST_SYMBOL + i as u32, number)).into_iter().collect::<Vec<_>>());
        found |= place.is_some();
    }
    if found || data.is_empty() {
        return Ok(());
    }
    let known: Vec<&str> = data.iter().flat_map(|d| d.symbols.iter().map(String::as_str)).collect();
    let error = Diagnostic::plain("E0202", format!("no data has a dimension `{name}` that is counted"));
    let note =
        if known.is_empty() { "every dimension is a number".into() } else { format!("counted: {}", known.join(", ")) };
    Err(Box::new(error.note(note)))
}

/// What is wrong with the words of a `data` item: `check` stands below the runtime, which owns these words.
fn wrong_words(spec: &DataSpec) -> Vec<Diagnostic> {
    let reader = spec.reader.name.as_str();
    let mut wrong: Vec<Diagnostic> = Vec::new();
    let mut look = |place, call: &Call| wrong.extend(bind(vocabulary(), place, reader, call).err().map(|e| *e));
    look(Place::Reader, &spec.reader);
    for field in &spec.fields {
        field.source.iter().for_each(|call| look(Place::Source, call));
        field.transforms.iter().for_each(|call| look(Place::Transform, call));
    }
    if wrong.is_empty() { ahead::mistakes(spec) } else { wrong }
}

fn shown(path: &Path) -> String {
    if path.as_os_str() == "-" { "<stdin>".to_string() } else { path.display().to_string() }
}

fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|d| d.severity == Severity::Error)
}

/// `text` with the first fix of every diagnostic applied, and how many there were. Fixes that overlap an earlier one wait
/// for the next round.
pub fn apply_fixes(text: &str, file: FileId, diagnostics: &[Diagnostic]) -> (String, usize) {
    let mut edits: Vec<(Span, &str)> = Vec::new();
    let mut applied = 0;
    for fix in diagnostics.iter().filter_map(|d| d.fixes.first()) {
        let valid = |s: Span| s.file == file && text.get(s.start as usize..s.end as usize).is_some();
        let clash = |s: Span| edits.iter().any(|(e, _)| s.start <= e.end && e.start <= s.end);
        if fix.edits.iter().all(|e| valid(e.span) && !clash(e.span)) {
            edits.extend(fix.edits.iter().map(|e| (e.span, e.text.as_str())));
            applied += 1;
        }
    }
    edits.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
    let mut out = text.to_string();
    for (span, new) in edits {
        out.replace_range(span.start as usize..span.end as usize, new);
    }
    (out, applied)
}
