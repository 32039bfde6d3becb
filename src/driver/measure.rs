//! Measuring a compiled step.
//!
//! In: something that runs one step. Out: seconds per step, memory, first values. Invariant: the values come from the first
//! steps, before anything is timed, and only monotonic time is used for durations.

use super::engine::Engine;
use super::report::Bench;
use super::times::Times;
use crate::base::Diagnostic;
use std::time::{Duration, Instant};

/// One step on the whole batch: its loss in training, the mean absolute output in inference.
pub trait Stepper {
    fn step(&mut self) -> Result<f64, Box<Diagnostic>>;

    /// What runs the step.
    fn engine(&self) -> &Engine;

    /// How long it took to read the data, to compile and to draw the weights.
    fn times(&self) -> &Times;

    /// What was strange about its data or weights.
    fn warnings(&self) -> &[Diagnostic];

    /// The rows of a step.
    fn batch(&self) -> u64;

    /// Native calls so far, those of all threads together.
    fn calls(&self) -> u64 {
        self.engine().calls()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    Train,
    Infer,
}

/// Times: at least 10 ms of steps make a sample, samples go on for a second.
const SAMPLE: Duration = Duration::from_millis(10);
const TOTAL: Duration = Duration::from_secs(1);

/// The first values and, unless only `check`ed, the times. `cold` tells the seconds since exec.
pub fn measure(
    stepper: &mut dyn Stepper,
    mode: Mode,
    check: bool,
    cold: &dyn Fn() -> f64,
) -> Result<Bench, Box<Diagnostic>> {
    let mut bench = Bench { values: vec![stepper.step()?], cold_1_s: cold(), ..Bench::default() };
    // Two answers show that an answer does not depend on the one before.
    let others = if mode == Mode::Train { 4 } else { 1 };
    for _ in 0..others {
        bench.values.push(stepper.step()?);
    }
    let (mut samples, mut timed, calls) = (Vec::new(), 0, stepper.calls());
    let begun = Instant::now();
    while samples.is_empty() || (!check && begun.elapsed() < TOTAL) {
        let (start, mut steps) = (Instant::now(), 0u32);
        while steps == 0 || (!check && start.elapsed() < SAMPLE) {
            stepper.step()?;
            steps += 1;
        }
        samples.push(start.elapsed().as_secs_f64() / f64::from(steps));
        timed += u64::from(steps);
    }
    bench.calls_per_step = (stepper.calls() - calls) as f64 / timed as f64;
    samples.sort_by(f64::total_cmp);
    bench.min_s = samples[0];
    bench.median_s = (samples[(samples.len() - 1) / 2] + samples[samples.len() / 2]) / 2.0;
    bench.samples = samples.len() as u64;
    bench.peak_rss_mib = peak_rss_mib();
    bench.arena_bytes = stepper.engine().arena_bytes();
    Ok(bench)
}

/// Runs a stepper that is watched for as long as [`measure`] does.
pub fn watch(stepper: &mut dyn Stepper) -> Result<(), Box<Diagnostic>> {
    let (begun, mut steps) = (Instant::now(), 0);
    while steps < 5 || begun.elapsed() < TOTAL {
        stepper.step()?;
        steps += 1;
    }
    Ok(())
}

/// The process's peak resident memory (`VmHWM` of Linux), 0 where the system does not tell.
pub fn peak_rss_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kib = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// Seconds from exec to now: what passed since `main` began, and before it the difference between the system's uptime and
/// the process's start (field 22 of `/proc/self/stat`, in ticks of 10 ms), where Linux tells them.
pub fn since_exec(main_began: Instant) -> f64 {
    let since_main = main_began.elapsed().as_secs_f64();
    since_start().filter(|s| *s >= since_main && *s < since_main + 1.0).unwrap_or(since_main)
}

fn since_start() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in brackets and may hold blanks; field 22 is the twentieth after it.
    let ticks: f64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let uptime: f64 = std::fs::read_to_string("/proc/uptime").ok()?.split_whitespace().next()?.parse().ok()?;
    Some(uptime - ticks / 100.0)
}
