//! `nnc ir`: a stage of the compiler as text.
//!
//! In: a file and a stage. Out: the stage's text, or how that of another file differs (exit code 1 where it does).
//! Invariant: the text depends on the source alone.

use super::args::IrArgs;
use super::output::Output;
use super::{Failure, fail, load};
use crate::driver::{Session, stages};

pub fn run(args: &IrArgs, output: &Output) -> Result<i32, Failure> {
    let session = load(&args.file, output)?;
    let Some(other) = &args.diff else {
        let text = stages::text(&session, args.stage).map_err(|e| fail(output, &session.sources, &e))?;
        output.data(&text)?;
        return Ok(0);
    };
    let options = session.options.clone();
    let second = Session::load(other, options).map_err(|e| fail(output, &session.sources, &[*e]))?;
    if second.has_errors() {
        return Err(fail(output, &second.sources, &second.diagnostics));
    }
    let diff = stages::diff(&session, &second, args.stage).map_err(|e| fail(output, &session.sources, &e))?;
    output.data(&diff)?;
    Ok(i32::from(!diff.is_empty()))
}
