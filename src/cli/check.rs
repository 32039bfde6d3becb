//! `nnc check`: what is wrong with a file.
//!
//! In: a file. Out: its diagnostics. Invariant: nothing is run; with `--fix`, the file changes only where a fix was offered.

use super::args::{CheckArgs, Deny};
use super::output::{Format, Output};
use super::{Failure, fail};
use crate::base::{Diagnostic, Severity, SourceMap};
use crate::driver::Session;
use crate::driver::session::apply_fixes;
use crate::driver::write;

/// Fixes may uncover further ones: so often is the file checked again.
const ROUNDS: usize = 10;

pub fn run(args: &CheckArgs, output: &Output) -> Result<i32, Failure> {
    let none = SourceMap::default();
    let options = args.file.sources.options().map_err(|e| fail(output, &none, &[*e]))?;
    let open = || Session::load(&args.file.file, options.clone()).map_err(|e| fail(output, &none, &[*e]));
    let mut session = open()?;
    if args.fix {
        let mut total = 0;
        for _ in 0..ROUNDS {
            let (text, applied) = apply_fixes(session.text(), session.file, &session.diagnostics);
            if applied == 0 {
                break;
            }
            store(args, &text, output)?;
            total += applied;
            session = open()?;
        }
        output.status(&format!("{total} fix{} applied\n", if total == 1 { "" } else { "es" }));
    }
    if args.data && !session.has_errors() {
        let read = session.check_data();
        if matches!(output.format, Format::Human | Format::Short) && !output.quiet {
            read.iter().try_for_each(|line| output.data(&format!("{line}\n")))?;
        }
    }
    output.diagnostics(&session.sources, &session.diagnostics);
    let count = |severity| session.diagnostics.iter().filter(|d| d.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let plural = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    if errors + warnings > 0 {
        output.status(&format!("{}, {}\n", plural(errors, "error"), plural(warnings, "warning")));
    }
    let first = session.diagnostics.iter().find(|d| d.severity == Severity::Error);
    let denied = warnings > 0 && args.deny == Some(Deny::Warnings);
    Ok(first.map_or(if denied { 3 } else { 0 }, Diagnostic::exit_code))
}

fn store(args: &CheckArgs, text: &str, output: &Output) -> Result<(), Failure> {
    if args.file.file.as_os_str() == "-" {
        return Ok(output.data(text)?);
    }
    write::replace(&args.file.file, text).map_err(|e| fail(output, &SourceMap::default(), &[*e]))
}
