//! What the commands ask of the compiler.
//!
//! In: a [`Session`]. Out: stage texts, summaries, compiled steps. Invariant: an error here is a diagnostic of the user's
//! file, of a data file or of a limit.

use super::measure::{Mode, Stepper};
use super::report::Summary;
use super::session::Session;
use super::stage::Stage;
use crate::base::Diagnostic;
use crate::check::spec::TrainSpec;
use crate::runtime::data::{Errors, Parts};
use crate::runtime::train::Steps;

/// A `train` item, its data and its compiled steps, ready to run.
pub struct Prepared {
    pub spec: TrainSpec,
    /// One line on the data: rows of each part.
    pub parts: Parts,
    pub steps: Box<dyn Steps>,
    pub warnings: Errors,
}

/// The text of one stage.
pub fn ir(session: &Session, stage: Stage) -> Result<String, Errors> {
    match stage {
        Stage::Ast => Ok(format!("{:#?}\n", session.tree)),
        _ => Err(vec![unconnected(stage.name())]),
    }
}

/// One summary for each model, or for the one named.
pub fn summary(_: &Session, _: Option<&str>) -> Result<Vec<Summary>, Errors> {
    Err(vec![unconnected("summary")])
}

/// The runs of the file in its order, or the one named: each `train` item compiled and its data opened.
pub fn prepare(_: &Session, _: Option<&str>) -> Result<Vec<Prepared>, Errors> {
    Err(vec![unconnected("run")])
}

/// The one run of a benchmark model, with its `given` data bound from `--start`. With `check`, nothing is random.
pub fn stepper(_: &Session, _: Mode, _check: bool) -> Result<Box<dyn Stepper>, Errors> {
    Err(vec![unconnected("bench")])
}

fn unconnected(what: &str) -> Diagnostic {
    Diagnostic::plain("E0902", format!("`{what}` needs the compiler's later stages, which this build does not have"))
}
