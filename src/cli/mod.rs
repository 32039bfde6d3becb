//! The command line: one command, one file.
//!
//! In: arguments. Out: an exit code. Invariant: the exit code is that of `docs/errors`: 0 ok, 1 a promise not kept, 2 the
//! command line, 3 the source, 4 data, 5 weights, 6 files, 7 numbers, 8 limits, 70 a mistake of `nnc`.

mod args;
mod output;
mod progress;
mod run;
mod profile;
mod check;
mod fmt;
mod ir;
mod summary;
mod explain;
mod library;
mod bench;
mod speed;

use crate::base::{Diagnostic, Severity, SourceMap};
use crate::driver::Session;
use args::{Args, Command};
use clap::Parser;
use output::Output;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::time::Instant;

/// Runs one command. `began` is when the process's `main` did.
pub fn main(arguments: Vec<OsString>, began: Instant) -> i32 {
    if let Some(text) = suggestion(&arguments) {
        Output { format: output::Format::Human, quiet: false }.note(&text);
        return 2;
    }
    let args = match Args::try_parse_from(&arguments) {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    let output = Output { format: args.message_format, quiet: args.quiet };
    let done = match &args.command {
        Command::Run(args) => run::run(args, &output, began),
        Command::Check(args) => check::run(args, &output),
        Command::Fmt(args) => fmt::run(args, &output),
        Command::Ir(args) => ir::run(args, &output),
        Command::Summary(args) => summary::run(args, &output),
        Command::Explain(args) => explain::run(args, &output),
        Command::Lib(args) => library::run(args, &output),
        Command::Bench(args) => bench::run(args, &output, began),
    };
    finish(done, &output)
}

/// The exit code of a command. A closed pipe is a quiet end; any other failed write is told.
fn finish(done: Result<i32, Failure>, output: &Output) -> i32 {
    match done {
        Ok(code) => code,
        Err(Failure::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(Failure::Write(error)) => {
            let text = format!("the output could not be written: {error}");
            output.diagnostics(&SourceMap::default(), &[Diagnostic::plain("E0602", text)]);
            6
        }
        Err(Failure::Said(code)) => code,
    }
}

/// Why a command ended early.
pub enum Failure {
    Write(io::Error),
    /// Everything was already shown; only the exit code is left.
    Said(i32),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Write(error)
    }
}

/// Shows `diagnostics`; the exit code is that of the first error.
fn fail(output: &Output, sources: &SourceMap, diagnostics: &[Diagnostic]) -> Failure {
    output.diagnostics(sources, diagnostics);
    let first = diagnostics.iter().find(|d| d.severity == Severity::Error);
    Failure::Said(first.map_or(70, Diagnostic::exit_code))
}

/// Loads a file for a command that needs it without errors; shows its warnings.
fn load(file: &args::FileArgs, output: &Output) -> Result<Session, Failure> {
    open(&file.file, &file.sources, output)
}

fn open(path: &Path, sources: &args::SourceArgs, output: &Output) -> Result<Session, Failure> {
    let options = sources.options().map_err(|e| fail(output, &SourceMap::default(), &[*e]))?;
    let session = Session::load(path, options).map_err(|e| fail(output, &SourceMap::default(), &[*e]))?;
    if session.has_errors() {
        return Err(fail(output, &session.sources, &session.diagnostics));
    }
    output.diagnostics(&session.sources, &session.diagnostics);
    Ok(session)
}

/// What other programs call a command.
const COMMANDS: [(&str, &str); 8] = [
    ("train", "run"),
    ("fit", "run"),
    ("eval", "run"),
    ("test", "run"),
    ("compile", "check"),
    ("lint", "check"),
    ("format", "fmt"),
    ("list", "lib"),
];

/// `nnc m.nn`: the file stands where the command should; `nnc train m.nn`: the command has another name.
fn suggestion(arguments: &[OsString]) -> Option<String> {
    let first = arguments.get(1)?.to_str()?;
    if first.ends_with(".nn") {
        return Some(format!("error[E0201]: `{first}` is a file, not a command\nhelp: type `nnc run {first}`\n"));
    }
    let (_, meant) = COMMANDS.iter().find(|(word, _)| *word == first)?;
    let rest: Vec<String> = arguments[2..].iter().map(|a| format!(" {}", a.to_string_lossy())).collect();
    Some(format!("error[E0201]: there is no command `{first}`\nhelp: type `nnc {meant}{}`\n", rest.concat()))
}

/// Help and version go to standard output; mistakes in the arguments to standard error with exit code 2.
fn usage(error: &clap::Error) -> i32 {
    let output = Output { format: output::Format::Human, quiet: false };
    let text = error.render().to_string();
    if error.use_stderr() {
        output.note(&text);
        return 2;
    }
    finish(output.data(&text).map(|()| 0).map_err(Failure::Write), &output)
}
