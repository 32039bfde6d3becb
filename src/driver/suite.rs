//! The speed of models: compiling, steps, kernels.
//!
//! In: checked files. Out: a [`Speed`] for each, and the kernels of one. Invariant: a step is timed without any look at the clock
//! inside it; what is watched runs afterwards, from a compilation of its own.

use super::commands;
use super::engine::Watching;
use super::measure::{Mode, Stepper, measure, watch};
use super::profile::{Row, kernels};
use super::report::Bench;
use super::session::Session;
use super::times::Times;
use crate::base::Diagnostic;
use crate::runtime::data::Errors;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// One model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Speed {
    pub model: String,
    pub batch: u64,
    pub times: Times,
    pub bench: Bench,
    /// Of a step: operations, bytes that its kernels read and write, kernels.
    pub flops: u64,
    pub moved: u64,
    pub kernels: u64,
    /// The bytes that a step goes through: arena, weights, states, rows of the data.
    pub size: u64,
}

/// The models of a folder by name: its `.nn` files. E0601 where there is none.
pub fn models(folder: &Path) -> Result<Vec<PathBuf>, Box<Diagnostic>> {
    let shown = folder.display();
    let unreadable = |why: String| Box::new(Diagnostic::plain("E0601", format!("\"{shown}\" cannot be read: {why}")));
    let entries = std::fs::read_dir(folder).map_err(|e| unreadable(e.to_string()))?;
    let mut found: Vec<PathBuf> = entries.filter_map(|e| e.ok().map(|e| e.path())).collect();
    found.retain(|p| p.extension().is_some_and(|e| e == "nn"));
    found.sort();
    match found.is_empty() {
        true => Err(unreadable("no `.nn` file lies in it".to_string())),
        false => Ok(found),
    }
}

/// Measures the first run of a checked file.
pub fn speed(session: &Session, mode: Mode) -> Result<Speed, Errors> {
    let begun = Instant::now();
    let mut stepper = commands::stepper(session, mode, false)?;
    let cold = || begun.elapsed().as_secs_f64();
    let bench = measure(stepper.as_mut(), mode, false, &cold).map_err(|e| vec![*e])?;
    Ok(of(session, stepper.as_ref(), bench))
}

fn of(session: &Session, stepper: &dyn Stepper, bench: Bench) -> Speed {
    let (engine, mut times) = (stepper.engine(), session.times.clone());
    times.add(stepper.times());
    let (costs, symbols) = engine.costs();
    let moved = costs.iter().map(|c| c.moved(symbols)).fold(0, u64::saturating_add);
    let name = session.path.file_stem().map_or(String::new(), |n| n.to_string_lossy().into_owned());
    Speed {
        model: name,
        batch: stepper.batch(),
        times,
        bench,
        flops: costs.iter().map(|c| c.flops.bound(symbols)).fold(0, u64::saturating_add),
        moved,
        kernels: costs.len() as u64,
        size: engine.bytes().min(moved),
    }
}

/// The kernels of the first run of a checked file, the slowest first.
pub fn watched(session: &mut Session, mode: Mode) -> Result<Vec<Row>, Errors> {
    session.options.watch = Some(Watching { origin: Instant::now(), room: 0 });
    let made = commands::stepper(session, mode, false);
    session.options.watch = None;
    let mut stepper = made?;
    watch(stepper.as_mut()).map_err(|e| vec![*e])?;
    Ok(kernels(stepper.engine(), &session.sources))
}
