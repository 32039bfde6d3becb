//! `nnc fmt`: the canonical layout.
//!
//! In: files. Out: the same programs laid out, or the differences. Invariant: a file with syntax errors is left alone, and
//! a file is replaced as a whole or not at all.

use super::args::FmtArgs;
use super::output::Output;
use super::{Failure, fail};
use crate::base::SourceMap;
use crate::driver::session::Parsed;
use crate::driver::write;
use crate::syntax;
use similar::TextDiff;
use std::path::Path;

pub fn run(args: &FmtArgs, output: &Output) -> Result<i32, Failure> {
    let mut code = 0;
    for path in &args.files {
        match one(path, args.check, output) {
            Ok(changed) if changed && args.check => code = code.max(1),
            Ok(_) => {}
            Err(Failure::Said(failed)) => code = code.max(failed),
            Err(failure) => return Err(failure),
        }
    }
    Ok(code)
}

/// True where the layout differs.
fn one(path: &Path, check: bool, output: &Output) -> Result<bool, Failure> {
    let none = SourceMap::default();
    let session = Parsed::load(path).map_err(|e| fail(output, &none, &[*e]))?;
    if session.has_errors() {
        return Err(fail(output, &session.sources, &session.diagnostics));
    }
    let (before, after) = (session.text(), syntax::print(&session.tree, session.text()));
    let changed = *before != after;
    if check && changed {
        let name = &session.sources.file(session.file).name;
        let diff = TextDiff::from_lines(before, after.as_str());
        output.data(&diff.unified_diff().header(name, &format!("{name} (formatted)")).to_string())?;
    } else if !check && path.as_os_str() == "-" {
        output.data(&after)?;
    } else if !check && changed {
        write::replace(path, &after).map_err(|e| fail(output, &none, &[*e]))?;
    }
    Ok(changed)
}
