//! The stages of the compiler as text.
//!
//! In: a checked file and a stage. Out: text, or the difference of two files by meaning. Invariant: the text follows from
//! the source alone; the runs of a file stand in its order.

use super::commands::{runs, unconnected};
use super::compile;
use super::session::Session;
use super::stage::Stage;
use crate::check::Run;
use crate::graph::{self, Graph};
use crate::runtime::data::Errors;
use similar::TextDiff;

/// The text of one stage.
pub fn text(session: &Session, stage: Stage) -> Result<String, Errors> {
    if stage == Stage::Ast {
        return Ok(format!("{:#?}\n", session.tree));
    }
    let runs = runs(session, None)?;
    let mut out = String::new();
    for run in &runs {
        if runs.len() > 1 {
            out.push_str(&format!("// train {}\n", run.spec.name));
        }
        out.push_str(&graph::print::print(&graph(session, run, stage)?));
    }
    Ok(out)
}

/// What differs between two files at a stage; empty where nothing does. Graphs are compared by meaning, other stages line
/// by line.
pub fn diff(old: &Session, new: &Session, stage: Stage) -> Result<String, Errors> {
    if matches!(stage, Stage::Graph | Stage::Grad | Stage::Simple)
        && let ([a], [b]) = (runs(old, None)?.as_slice(), runs(new, None)?.as_slice())
    {
        return Ok(graph::diff::diff(&graph(old, a, stage)?, &graph(new, b, stage)?));
    }
    let (a, b) = (text(old, stage)?, text(new, stage)?);
    let name = |session: &Session| format!("{} ({})", session.path.display(), stage.name());
    Ok(TextDiff::from_lines(&a, &b).unified_diff().header(&name(old), &name(new)).to_string())
}

fn graph(session: &Session, run: &Run, stage: Stage) -> Result<Graph, Errors> {
    let training = compile::training(&session.checked, run, false).map_err(|e| vec![e])?;
    match stage {
        Stage::Graph => Ok(training.forward),
        Stage::Grad => Ok(training.graph),
        Stage::Simple => Ok(compile::lowered(training.graph).simple),
        _ => Err(vec![unconnected(stage.name())]),
    }
}
