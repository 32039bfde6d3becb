//! `nnc run --profile`: where the time of a run goes.
//!
//! In: runs whose programs were watched. Out: tables by call and by kernel beside the progress, records in JSON, and a trace.
//! Invariant: the figures of the run on standard output are those of a run without it.

use super::bench::time;
use super::output::{Format, Output};
use super::speed::percent;
use super::summary::align;
use super::{Failure, fail};
use crate::driver::commands::Prepared;
use crate::driver::engine::Engine;
use crate::driver::origin::Phase;
use crate::driver::profile::{Layer, Row, kernels, layers};
use crate::driver::trace::Trace;
use crate::driver::{Session, write};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Instant;

/// Rows of a table: what takes less than the last of them hardly matters.
const SHOWN: usize = 20;

/// `asked` is what stands behind `--profile`, if it does.
pub fn show(
    asked: Option<&Option<PathBuf>>,
    output: &Output,
    session: &Session,
    runs: &[Prepared],
    began: Instant,
) -> Result<(), Failure> {
    let Some(file) = asked else { return Ok(()) };
    for run in runs {
        for (program, engine) in [("training", run.steps.engine()), ("evaluation", run.steps.evaluation())] {
            let rows = kernels(engine, &session.sources);
            match output.format {
                Format::Json => records(output, &run.spec.name, program, engine, &rows)?,
                _ => output.note(&tables(&run.spec.name, program, engine, &rows)),
            }
        }
    }
    let Some(file) = file else { return Ok(()) };
    let mut trace = Trace::new(began, &session.sources);
    for (number, run) in (1..).zip(runs) {
        let times = [&session.times, &run.steps.times];
        trace.run(number, &run.spec.name, &times, run.steps.engine(), run.steps.evaluation());
    }
    write::save(file, trace.text().as_bytes()).map_err(|e| fail(output, &session.sources, &[*e]))?;
    output.status(&format!("the trace is in {}: open it in chrome://tracing or ui.perfetto.dev\n", file.display()));
    Ok(())
}

/// The steps of an engine that was watched.
fn steps(engine: &Engine) -> u64 {
    engine.watches().first().map_or(0, |w| w.steps())
}

fn records(output: &Output, run: &str, program: &str, engine: &Engine, rows: &[Row]) -> Result<(), Failure> {
    let steps = steps(engine);
    let kernel = |r: &Row| -> Value {
        json!({
            "reason": "profile", "schema": 1, "run": run, "program": program, "steps": steps, "name": r.name,
            "computes": r.what, "phase": r.phase.name(), "call": r.call, "place": r.place, "calls": r.calls,
            "mean_s": r.mean_s, "min_s": r.least_s, "flops": r.flops, "moved_bytes": r.moved,
        })
    };
    rows.iter().try_for_each(|r| output.record(&kernel(r)))?;
    Ok(())
}

fn tables(run: &str, program: &str, engine: &Engine, rows: &[Row]) -> String {
    let all: f64 = rows.iter().map(|r| r.mean_s).sum();
    let head = format!("\n{run}, {program}: {} steps of {} in kernels\n", steps(engine), time(all));
    format!("{head}{}\n{}", by_call(&layers(rows), all), by_kernel(rows, all))
}

fn share(seconds: f64, all: f64) -> String {
    percent(seconds / all.max(1e-12))
}

fn by_call(layers: &[Layer], all: f64) -> String {
    let phases = [Phase::Forward, Phase::Gradient, Phase::Update, Phase::Copy].map(|p| p.name().to_string());
    let mut table = vec![["call", "place", "share", "a step"].map(str::to_string).to_vec()];
    table[0].extend(phases);
    table[0].push("kernels".to_string());
    for layer in layers.iter().take(SHOWN) {
        let mut row = vec![layer.call.clone(), layer.place.clone(), share(layer.mean_s, all), time(layer.mean_s)];
        row.extend(layer.phases.map(|s| share(s, all)));
        row.push(layer.kernels.to_string());
        table.push(row);
    }
    align(&table, 2) + &more(layers.len())
}

fn by_kernel(rows: &[Row], all: f64) -> String {
    let heads = ["kernel", "call", "place", "phase", "share", "a step", "calls", "GFLOP/s", "GB/s"];
    let mut table = vec![heads.map(str::to_string).to_vec()];
    let mut sorted: Vec<&Row> = rows.iter().collect();
    sorted.sort_by(|a, b| b.mean_s.total_cmp(&a.mean_s));
    for row in sorted.into_iter().take(SHOWN) {
        let rate = |amount: u64| format!("{:.1}", amount as f64 / row.mean_s.max(1e-9) / 1e9);
        table.push(vec![
            row.what.clone(),
            row.call.clone(),
            row.place.clone(),
            row.phase.name().to_string(),
            share(row.mean_s, all),
            time(row.mean_s),
            format!("{:.0}", row.calls),
            rate(row.flops),
            rate(row.moved),
        ]);
    }
    align(&table, 4) + &more(rows.len())
}

fn more(all: usize) -> String {
    if all > SHOWN { format!("{} more\n", all - SHOWN) } else { String::new() }
}
