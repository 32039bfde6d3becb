//! `nnc bench`: seconds per step, of one model or of a folder of them, and where they go.
//!
//! In: a model with the data that it says, `given` data from a file of weights and batch or invented. Out: figures for people, or
//! JSON objects. Invariant: values come from steps whose results are not thrown away by the compiler: they are printed.

use super::args::{BenchArgs, Mode};
use super::output::{Format, Output};
use super::{Failure, args, fail, open, speed};
use crate::base::SourceMap;
use crate::base::shape::display_bytes;
use crate::driver::report::Bench;
use crate::driver::roof::Roof;
use crate::driver::{Session, commands, measure, suite};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;

pub fn run(args: &BenchArgs, output: &Output, began: Instant) -> Result<i32, Failure> {
    match (args.suite, args.kernels, &args.file) {
        (true, ..) => run_suite(args, output),
        (_, true, Some(file)) => run_kernels(args, file, output),
        (_, _, Some(file)) => run_one(args, file, output, began),
        (_, _, None) => panic!("invariant broken: the arguments of `bench` name a file"),
    }
}

fn session(args: &BenchArgs, file: &Path, output: &Output) -> Result<Session, Failure> {
    let mut session = open(file, &args.sources, output)?;
    let threads = args::threads(args.threads).map_err(|e| fail(output, &session.sources, &[*e]))?;
    session.options.threads = threads;
    session.options.memory_limit = args.memory_limit;
    session.options.start.clone_from(&args.start);
    Ok(session)
}

fn mode(args: &BenchArgs) -> measure::Mode {
    if args.mode == Mode::Train { measure::Mode::Train } else { measure::Mode::Infer }
}

fn run_one(args: &BenchArgs, file: &Path, output: &Output, began: Instant) -> Result<i32, Failure> {
    let (session, mode) = (session(args, file, output)?, mode(args));
    let prepared = commands::stepper(&session, mode, args.check);
    let mut stepper = prepared.map_err(|e| fail(output, &session.sources, &e))?;
    output.diagnostics(&session.sources, stepper.warnings());
    let bench = measure::measure(stepper.as_mut(), mode, args.check, &|| measure::since_exec(began));
    let bench = bench.map_err(|e| fail(output, &session.sources, &[*e]))?;
    let mut times = session.times.clone();
    times.add(stepper.times());
    match output.format {
        Format::Json => output.record(&json!({
            "reason": "bench", "schema": 1, "median_s": bench.median_s, "min_s": bench.min_s,
            "samples": bench.samples, "cold_1_s": bench.cold_1_s, "peak_rss_mib": bench.peak_rss_mib,
            "arena_bytes": bench.arena_bytes, "compile_s": times.compiling().as_secs_f64(), "stages": speed::stages_of(&times),
            "calls_per_step": bench.calls_per_step, "values": bench.values, "threads": session.options.threads,
        }))?,
        _ => output.data(&table(&bench, args.check))?,
    }
    Ok(0)
}

/// What the machine can do at most, with the options of `session`.
fn roof(session: &Session, output: &Output) -> Result<Roof, Failure> {
    Roof::measure(session.options.device()).map_err(|e| fail(output, &session.sources, &[e]))
}

fn run_suite(args: &BenchArgs, output: &Output) -> Result<i32, Failure> {
    let none = SourceMap::default();
    let folder = args.file.clone().unwrap_or_else(|| PathBuf::from("models"));
    let models = suite::models(&folder).map_err(|e| fail(output, &none, &[*e]))?;
    let (mut known, mut speeds): (Option<Roof>, Vec<suite::Speed>) = (None, Vec::new());
    for model in models {
        let session = session(args, &model, output)?;
        let roof = match known.take() {
            Some(roof) => roof,
            None => {
                let roof = roof(&session, output)?;
                speed::machine(&roof, output)?;
                roof
            }
        };
        let speed = suite::speed(&session, mode(args)).map_err(|e| fail(output, &session.sources, &e))?;
        output.status(&format!("{}: {} a step\n", speed.model, time(speed.bench.min_s)));
        if output.format == Format::Json {
            output.record(&speed::record(&speed, &roof))?;
        }
        speeds.push(speed);
        known = Some(roof);
    }
    if let (Some(roof), false) = (known, output.format == Format::Json) {
        output.data(&speed::tables(&speeds, &roof))?;
    }
    Ok(0)
}

fn run_kernels(args: &BenchArgs, file: &Path, output: &Output) -> Result<i32, Failure> {
    let (mut session, mode) = (session(args, file, output)?, mode(args));
    let roof = roof(&session, output)?;
    let measured = suite::speed(&session, mode).and_then(|speed| Ok((speed, suite::watched(&mut session, mode)?)));
    let (speed, rows) = measured.map_err(|e| fail(output, &session.sources, &e))?;
    speed::machine(&roof, output)?;
    match output.format {
        Format::Json => {
            output.record(&speed::record(&speed, &roof))?;
            rows.iter().try_for_each(|row| output.record(&speed::kernel(row, &rows, &speed, &roof)))?;
        }
        _ => {
            output.data(&speed::tables(std::slice::from_ref(&speed), &roof))?;
            output.data(&speed::kernels(&rows, &speed, &roof))?;
        }
    }
    Ok(0)
}

fn table(bench: &Bench, check: bool) -> String {
    let values: Vec<String> = bench.values.iter().map(|v| format!("{v:.6}")).collect();
    let mut text = format!("values      {}\n", values.join(" "));
    if !check {
        text.push_str(&format!("step        {} median, {} least\n", time(bench.median_s), time(bench.min_s)));
    }
    text.push_str(&format!("first step  {} after the start of the process\n", time(bench.cold_1_s)));
    text.push_str(&format!("calls       {} native per step, on all threads together\n", bench.calls_per_step));
    let arena = display_bytes(bench.arena_bytes);
    text.push_str(&format!("memory      {:.1} MiB at its peak, {arena} of it the arena\n", bench.peak_rss_mib));
    text
}

/// `12.3 µs`, `4.5 ms`, `1.20 s`
pub fn time(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.3} µs", s * 1e6),
        s if s < 1.0 => format!("{:.3} ms", s * 1e3),
        s => format!("{s:.2} s"),
    }
}
