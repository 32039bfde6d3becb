//! `nnc run`: check, compile, train, evaluate.
//!
//! In: a file. Out: the figures of the end on standard output, progress beside it; the exit code says whether every `expect`
//! was kept. Invariant: an interrupt ends the run after its step, a second one at once.

use super::args::RunArgs;
use super::output::{Format, Output};
use super::progress::{self, Log};
use super::summary::align;
use super::{Failure, args, fail, load, profile};
use crate::base::Diagnostic;
use crate::check::spec::Stop;
use crate::driver::commands::{self, Prepared};
use crate::driver::engine::Watching;
use crate::driver::{Session, write};
use crate::runtime::data::file::same_file;
use crate::runtime::data::weights;
use crate::runtime::train::{Ended, Outcome, Steps, train};
use serde_json::json;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Set by SIGINT, SIGTERM and SIGHUP.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// The exit code of a run that a signal ended.
const STOPPED: i32 = 130;

/// Runs of kernels that a trace shows, for each thread of a program.
const TRACED: usize = 40_000;

pub fn run(args: &RunArgs, output: &Output, began: Instant) -> Result<i32, Failure> {
    let mut session = load(&args.file, output)?;
    session.options.threads = args::threads(args.threads).map_err(|e| fail(output, &session.sources, &[*e]))?;
    session.options.seed = args.seed;
    session.options.memory_limit = args.memory_limit;
    session.options.start.clone_from(&args.start);
    let traced = args.profile.as_ref().map(|file| if file.is_some() { TRACED } else { 0 });
    session.options.watch = traced.map(|room| Watching { origin: began, room });
    for file in [&args.save, &args.profile.clone().flatten()].into_iter().flatten() {
        check_written(file, &session).map_err(|e| fail(output, &session.sources, &[*e]))?;
        session.options.written.push(file.clone());
    }
    let prepared = commands::prepare(&session, args.train.as_deref());
    let mut runs = prepared.map_err(|e| fail(output, &session.sources, &e))?;
    if let (Some(file), [first, _, ..]) = (&args.save, runs.as_slice()) {
        let text = format!("{} runs would all be saved to \"{}\"", runs.len(), file.display());
        let note = format!("choose one, as in `--train {}`", first.spec.name);
        return Err(fail(output, &session.sources, &[Diagnostic::plain("E0201", text).note(note)]));
    }
    listen();
    let mut code = 0;
    for one in &mut runs {
        if args.evaluate {
            one.spec.stop = vec![Stop::Steps(0)];
        }
        match run_one(args, output, &session, one)? {
            Some(worse) => code = code.max(worse),
            None => {
                profile::show(args.profile.as_ref(), output, &session, &runs, began)?;
                return Ok(STOPPED);
            }
        }
    }
    profile::show(args.profile.as_ref(), output, &session, &runs, began)?;
    Ok(code)
}

/// E0201 for a source file and for the data of `--start`, E0602 where nothing can be written. The other data is refused
/// when it is read.
fn check_written(file: &Path, session: &Session) -> Result<(), Box<Diagnostic>> {
    let refused = |what: &str| {
        let text = format!("\"{}\" {what}: nothing else is written to it", file.display());
        Err(Box::new(Diagnostic::plain("E0201", text)))
    };
    let mut sources = session.sources.files().map(|(_, f)| f).filter(|f| !f.library);
    if file.extension().is_some_and(|e| e == "nn") || sources.any(|f| same_file(Path::new(&f.name), file)) {
        return refused("is a source file");
    }
    let started = session.options.start.as_ref().is_some_and(|start| same_file(start, file));
    if started && session.checked.data.iter().any(|d| d.reader.name == "given") {
        return refused("holds the data of this run");
    }
    write::can_save(file)
}

/// The exit code of one run; none where it was interrupted.
fn run_one(args: &RunArgs, output: &Output, session: &Session, one: &mut Prepared) -> Result<Option<i32>, Failure> {
    output.diagnostics(&session.sources, &one.warnings);
    output.status(&format!("{}\n{}: {}\n", one.read, one.spec.name, describe(one)));
    let mut log = Log::new(output, &one.spec.name, one.steps.figures().to_vec());
    let done = train(one.steps.as_mut(), &one.spec, &one.parts, &mut log, &INTERRUPTED);
    log.close();
    log.result()?;
    let outcome = done.map_err(|e| fail(output, &session.sources, &[*e]))?;
    report(output, one, &outcome)?;
    if let Some(file) = &args.save {
        let about = format!("{}: {}, {} steps", one.spec.name, describe(one), outcome.steps);
        let saved = weights::bytes(&one.steps.weights(), &about).and_then(|bytes| write::save(file, &bytes));
        saved.map_err(|e| fail(output, &session.sources, &[*e]))?;
        output.status(&format!("the weights are in {}\n", file.display()));
    }
    if outcome.ended == Ended::Interrupted {
        return Ok(None);
    }
    let missed: Vec<Diagnostic> = outcome.missed.iter().map(|m| m.diagnostic()).collect();
    output.diagnostics(&session.sources, &missed);
    output.diagnostics(&session.sources, &outcome.warnings);
    Ok(Some(i32::from(!missed.is_empty())))
}

/// The first signal asks the run to end, the second ends the process.
fn listen() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        // Without a handler the default holds: a signal ends the process. That is no reason not to train.
        let _ = ctrlc::set_handler(|| {
            if INTERRUPTED.swap(true, Ordering::Relaxed) {
                std::process::exit(STOPPED);
            }
        });
    });
}

fn describe(run: &Prepared) -> String {
    let spec = &run.spec;
    format!("{} on {}; batch {}, seed {}", spec.model, spec.data, spec.batch, spec.seed)
}

fn report(output: &Output, run: &Prepared, outcome: &Outcome) -> Result<(), Failure> {
    if output.format == Format::Json {
        let part = |(name, rows, values): &(&str, usize, Vec<f64>)| {
            let mut record = progress::figures(&outcome.figures, values);
            record.insert("rows".to_string(), json!(rows));
            (name.to_string(), serde_json::Value::Object(record))
        };
        let parts: serde_json::Map<_, _> = outcome.parts.iter().map(part).collect();
        let missed: Vec<String> = outcome.missed.iter().map(|m| m.text()).collect();
        return Ok(output.record(&json!({
            "reason": "summary", "schema": 1, "run": run.spec.name, "epochs": outcome.epochs, "steps": outcome.steps,
            "ended": ended(&outcome.ended), "seconds": outcome.elapsed.as_secs_f64(), "parts": parts,
            "missed": missed, "seed": run.spec.seed,
        }))?);
    }
    let mut head = vec!["part".to_string(), "rows".to_string()];
    head.extend(outcome.figures.iter().cloned());
    let mut rows = vec![head];
    for (name, count, values) in &outcome.parts {
        let mut row = vec![name.to_string(), count.to_string()];
        row.extend(values.iter().map(|v| progress::figure(*v)));
        rows.push(row);
    }
    output.data(&align(&rows, 1))?;
    let kept = run.spec.expects.len() - outcome.missed.len();
    let promises = match run.spec.expects.len() {
        0 => String::new(),
        n => format!("; {kept} of {n} promise{} kept", if n == 1 { "" } else { "s" }),
    };
    let (epochs, steps, seconds) = (outcome.epochs, outcome.steps, outcome.elapsed.as_secs_f64());
    output.status(&format!("{epochs} epochs, {steps} steps in {seconds:.2} s ({}){promises}\n", ended(&outcome.ended)));
    Ok(())
}

fn ended(ended: &Ended) -> String {
    match ended {
        Ended::Epochs => "the epochs are done".to_string(),
        Ended::Steps => "the steps are done".to_string(),
        Ended::Time => "the time is up".to_string(),
        Ended::Plateau(figure) => format!("{figure} no longer improves"),
        Ended::Interrupted => "interrupted".to_string(),
    }
}
