//! What the commands ask of the compiler.
//!
//! In: a [`Session`]. Out: compiled runs and benchmark steps. Invariant: an error here is a diagnostic of the user's file,
//! of a data file or of a limit.

use super::engine::Engine;
use super::measure::{Mode, Stepper};
use super::report::Summary;
use super::session::Session;
use super::times::Times;
use super::trainer::{Answerer, Means, Trainer};
use crate::base::Diagnostic;
use crate::base::names::nearest;
use crate::check::Run;
use crate::check::spec::TrainSpec;
use crate::runtime::data::{Dataset, Errors, Parts, StartFile, given, invented, open};
use crate::runtime::memory::Budget;
use crate::runtime::train::{Steps, Sum, count_sums, sum_of_means};

/// A `train` item, its data and its compiled steps, ready to run.
pub struct Prepared {
    pub spec: TrainSpec,
    pub parts: Parts,
    pub steps: Box<Trainer>,
    pub warnings: Errors,
    /// What was read, in one line.
    pub read: String,
}

/// The runs of the file in its order, or the one named: each `train` item compiled and its data opened.
pub fn prepare(session: &Session, name: Option<&str>) -> Result<Vec<Prepared>, Errors> {
    let start = start_file(session)?;
    let (mut prepared, mut taken, mut means) = (Vec::<Prepared>::new(), Vec::new(), means(session));
    for run in runs(session, name)? {
        let mut run = run.clone();
        run.spec.seed = session.options.seed.unwrap_or(run.spec.seed);
        let mut data = data_of(session, &mut run, start.as_ref())?;
        let mut warnings = std::mem::take(&mut data.warnings);
        let trainer = Trainer::new(&session.checked, &run, &data, start.as_ref(), false, &mut means);
        let mut trainer = trainer.map_err(|e| vec![e])?;
        warnings.append(&mut trainer.warnings);
        taken.append(&mut trainer.taken);
        let read = data.report();
        prepared.push(Prepared { spec: run.spec, parts: data.parts, steps: Box::new(trainer), warnings, read });
    }
    if let (Some(start), Some(first)) = (&start, prepared.first_mut()) {
        first.warnings.extend(start.not_taken(&taken, first.spec.span));
    }
    Ok(prepared)
}

/// The `train` items of this name, or all. E0202 where there is none.
pub fn runs<'a>(session: &'a Session, name: Option<&str>) -> Result<Vec<&'a Run>, Errors> {
    let all = &session.checked.runs;
    let found: Vec<&Run> = all.iter().filter(|r| name.is_none_or(|n| r.spec.name == n)).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let names: Vec<&str> = all.iter().map(|r| r.spec.name.as_str()).collect();
    let text = match name {
        Some(name) => format!("no `train` item is named `{name}`"),
        None => format!("{} has no `train` item, so there is nothing to run", session.path.display()),
    };
    let mut error = Diagnostic::plain("E0202", text);
    if let Some(near) = name.and_then(|n| nearest(n, names.iter().copied())) {
        error = error.note(format!("did you mean `{near}`?"));
    } else if !names.is_empty() {
        error = error.note(format!("there is {}", names.join(", ")));
    }
    Err(vec![error])
}

fn means(session: &Session) -> Means {
    Means { device: session.options.device(), memory: Budget::new(session.options.memory_limit) }
}

fn start_file(session: &Session) -> Result<Option<StartFile>, Errors> {
    session.options.start.as_ref().map(|path| given::read_start(path)).transpose().map_err(|e| vec![*e])
}

/// The data of a run, which learns the numbers that the data binds.
fn data_of(session: &Session, run: &mut Run, start: Option<&StartFile>) -> Result<Dataset, Errors> {
    let access = session.options.access(&session.path);
    let data = open(&session.checked.data_of(run), &access, start, run.spec.seed)?;
    run.dims.clone_from(&data.symbols);
    Ok(data)
}

/// The run with a number for every dimension: from `--dim`, else from its data.
pub fn bound(session: &Session, run: &Run) -> Result<Run, Errors> {
    let (data, mut run) = (session.checked.data_of(run), run.clone());
    let names = data.unbound();
    if names.is_empty() {
        return Ok(run);
    }
    if data.reader.name == "given" && session.options.start.is_none() {
        let text = format!("`{}` of `{}` is given from outside", names.join("` and `"), data.name);
        let label = format!("add `--dim {}=96`, with the number meant", names[0]);
        return Err(vec![Diagnostic::error("E0202", data.span, text, label)]);
    }
    let start = start_file(session)?;
    data_of(session, &mut run, start.as_ref())?;
    Ok(run)
}

/// One summary for each model that the file trains, or for the one named.
pub fn summary(session: &Session, model: Option<&str>) -> Result<Vec<Summary>, Errors> {
    let mut summaries: Vec<Summary> = Vec::new();
    for run in runs(session, None)? {
        let wanted = model.is_none_or(|m| m == run.spec.model);
        if wanted && summaries.iter().all(|s| s.model != run.spec.model) {
            summaries.push(super::summary::summary(session, run)?);
        }
    }
    match model.filter(|_| summaries.is_empty()) {
        Some(name) => Err(vec![Diagnostic::plain("E0202", format!("no `train` item trains a model `{name}`"))]),
        None => Ok(summaries),
    }
}

/// The first run of a file on one batch: all rows of `given` data (those of `--start`, or invented ones), the first rows of
/// any other. With `check`, nothing is random.
pub fn stepper(session: &Session, mode: Mode, check: bool) -> Result<Box<dyn Stepper>, Errors> {
    let start = start_file(session)?;
    let mut run = runs(session, None)?[0].clone();
    let mut times = Times::default();
    let data = times.lap("data", || measured(session, &mut run, start.as_ref()))?;
    let mut rows = data.parts.train.clone();
    rows.truncate(usize::try_from(run.spec.batch).unwrap_or(usize::MAX));
    let mut means = means(session);
    let unused =
        |taken: &[String]| start.as_ref().and_then(|s| s.not_taken(taken, run.spec.span)).into_iter().collect();
    match mode {
        Mode::Train => {
            let trainer = Trainer::new(&session.checked, &run, &data, start.as_ref(), check, &mut means);
            let trainer = trainer.map_err(|e| vec![e])?;
            let sums = vec![Sum::default(); count_sums(&trainer)];
            times.add(&trainer.times);
            let warnings = unused(&trainer.taken);
            Ok(Box::new(Training { trainer, rows, sums, step: 0, times, warnings }))
        }
        Mode::Infer => {
            let answerer =
                Answerer::new(&session.checked, &run, &data, start.as_ref(), &mut means).map_err(|e| vec![e])?;
            times.add(&answerer.times);
            let warnings = unused(&answerer.taken);
            Ok(Box::new(Inference { answerer, rows, times, warnings }))
        }
    }
}

/// The data to measure a run with; of `given` data, all rows are one batch.
fn measured(session: &Session, run: &mut Run, start: Option<&StartFile>) -> Result<Dataset, Errors> {
    let spec = session.checked.data_of(run);
    let data = match (spec.reader.name.as_str(), start) {
        ("given", None) => invented::invent(&spec, run.spec.batch, run.spec.seed)?,
        _ => data_of(session, run, start)?,
    };
    run.dims.clone_from(&data.symbols);
    if spec.reader.name == "given" {
        run.spec.batch = data.rows as u64;
    }
    Ok(data)
}

/// Training on the same batch again and again.
struct Training {
    trainer: Trainer,
    rows: Vec<i32>,
    sums: Vec<Sum>,
    step: u64,
    times: Times,
    warnings: Errors,
}

impl Stepper for Training {
    fn step(&mut self) -> Result<f64, Box<Diagnostic>> {
        self.step += 1;
        self.trainer.train_step(&self.rows, self.step, &mut self.sums)?;
        Ok(sum_of_means(&self.sums[..self.trainer.terms(0)]))
    }

    fn engine(&self) -> &Engine {
        self.trainer.engine()
    }

    fn times(&self) -> &Times {
        &self.times
    }

    fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    fn batch(&self) -> u64 {
        self.rows.len() as u64
    }
}

/// The forward pass alone; its value is the mean absolute element of the first output.
struct Inference {
    answerer: Answerer,
    rows: Vec<i32>,
    times: Times,
    warnings: Errors,
}

impl Stepper for Inference {
    fn step(&mut self) -> Result<f64, Box<Diagnostic>> {
        self.answerer.answer(&self.rows)?;
        Ok(self.answerer.mean_absolute())
    }

    fn engine(&self) -> &Engine {
        self.answerer.engine()
    }

    fn times(&self) -> &Times {
        &self.times
    }

    fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    fn batch(&self) -> u64 {
        self.rows.len() as u64
    }
}
