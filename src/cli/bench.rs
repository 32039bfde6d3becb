//! `nnc bench`: seconds per step.
//!
//! In: a model with `given` data and a file of weights and batch. Out: one line of figures, or one JSON object as the last
//! line. Invariant: values come from steps whose results are not thrown away by the compiler: they are printed.

use super::args::{BenchArgs, Mode};
use super::output::{Format, Output};
use super::{Failure, args, fail, load};
use crate::base::shape::display_bytes;
use crate::driver::report::Bench;
use crate::driver::{commands, measure};
use serde_json::json;
use std::time::Instant;

pub fn run(args: &BenchArgs, output: &Output, began: Instant) -> Result<i32, Failure> {
    let mut session = load(&args.file, output)?;
    let threads = args::threads(args.threads).map_err(|e| fail(output, &session.sources, &[*e]))?;
    session.options.threads = threads;
    session.options.memory_limit = args.memory_limit;
    session.options.start.clone_from(&args.start);
    let mode = if args.mode == Mode::Train { measure::Mode::Train } else { measure::Mode::Infer };
    let measured = commands::stepper(&session, mode, args.check).and_then(|mut stepper| {
        measure::measure(stepper.as_mut(), mode, args.check, &|| measure::since_exec(began)).map_err(|e| vec![*e])
    });
    let bench = measured.map_err(|e| fail(output, &session.sources, &e))?;
    match output.format {
        Format::Json => output.record(&json!({
            "reason": "bench", "schema": 1, "median_s": bench.median_s, "min_s": bench.min_s,
            "samples": bench.samples, "cold_1_s": bench.cold_1_s, "peak_rss_mib": bench.peak_rss_mib,
            "arena_bytes": bench.arena_bytes,
            "calls_per_step": bench.calls_per_step, "values": bench.values, "threads": threads,
        }))?,
        _ => output.data(&table(&bench, args.check))?,
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
