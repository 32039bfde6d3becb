//! `nnc ir`: a stage of the compiler as text.
//!
//! In: a file and a stage. Out: the stage's text, or how that of another file differs. Invariant: the text depends on the
//! source alone.

use super::args::IrArgs;
use super::output::Output;
use super::{Failure, fail, load};
use crate::driver::{Session, commands};
use similar::TextDiff;

pub fn run(args: &IrArgs, output: &Output) -> Result<i32, Failure> {
    let session = load(&args.file, output)?;
    let text = commands::ir(&session, args.stage).map_err(|e| fail(output, &session.sources, &e))?;
    let Some(other) = &args.diff else {
        output.data(&text)?;
        return Ok(0);
    };
    let options = session.options.clone();
    let second = Session::load(other, options).map_err(|e| fail(output, &session.sources, &[*e]))?;
    if second.has_errors() {
        return Err(fail(output, &second.sources, &second.diagnostics));
    }
    let changed = commands::ir(&second, args.stage).map_err(|e| fail(output, &second.sources, &e))?;
    let name = |session: &Session| format!("{} ({})", session.path.display(), args.stage.name());
    let diff = TextDiff::from_lines(&text, &changed);
    output.data(&diff.unified_diff().header(&name(&session), &name(&second)).to_string())?;
    Ok(i32::from(text != changed))
}
