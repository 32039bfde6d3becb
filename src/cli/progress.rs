//! Progress of a training run.
//!
//! In: what the loop tells. Out: a bar on a terminal, plain lines elsewhere, records in JSON. Invariant: standard error is
//! written at most ten times a second, and a failure to write it is ignored.

use super::output::{Format, Output};
use crate::runtime::train::{Observer, Progress};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value, json};
use std::io::{self, IsTerminal};
use std::time::Duration;

/// The least time between two writes.
const INTERVAL: Duration = Duration::from_millis(100);

pub struct Log<'a> {
    output: &'a Output,
    run: &'a str,
    names: Vec<String>,
    bar: Option<ProgressBar>,
    drawn: Duration,
    /// The line of the last epoch, where it came too soon after the one before.
    held: Option<String>,
    /// The first failure to write a record: the run goes on, its command reports it.
    failed: Option<io::Error>,
}

impl<'a> Log<'a> {
    pub fn new(output: &'a Output, run: &'a str, names: Vec<String>) -> Log<'a> {
        let bar = wants_bar(output).then(new_bar);
        Log { output, run, names, bar, drawn: Duration::ZERO, held: None, failed: None }
    }

    /// Clears the bar and writes a line that was held back.
    pub fn close(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if let Some(line) = self.held.take() {
            self.output.status(&line);
        }
    }

    /// What became of the records.
    pub fn result(&mut self) -> io::Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }

    fn line(&self, at: &Progress, train: &[f64], valid: Option<&[f64]>) -> String {
        let of = at.last_step.map_or(String::new(), |last| format!("/{}", last.div_ceil(at.steps_per_epoch.max(1))));
        let mut line = format!("epoch {}{of}", at.epoch);
        for (name, value) in self.names.iter().zip(train) {
            line.push_str(&format!("  {name} {}", figure(*value)));
        }
        for (name, value) in self.names.iter().zip(valid.unwrap_or(&[])) {
            line.push_str(&format!("  valid.{name} {}", figure(*value)));
        }
        line + &format!("  {:.1} s\n", at.elapsed.as_secs_f64())
    }

    fn record(&self, at: &Progress, train: &[f64], valid: Option<&[f64]>) -> Value {
        let mut record = json!({
            "reason": "epoch", "schema": 1, "run": self.run, "epoch": at.epoch, "step": at.step,
            "seconds": at.elapsed.as_secs_f64(), "train": Value::Object(figures(&self.names, train)),
        });
        if let Some(valid) = valid {
            record["valid"] = Value::Object(figures(&self.names, valid));
        }
        record
    }
}

impl Observer for Log<'_> {
    fn step(&mut self, at: &Progress) {
        let Some(bar) = &self.bar else { return };
        if at.elapsed < self.drawn + INTERVAL {
            return;
        }
        self.drawn = at.elapsed;
        bar.set_length(at.steps_per_epoch);
        bar.set_position(at.step_in_epoch);
        let rate = at.step as f64 / at.elapsed.as_secs_f64().max(1e-9);
        bar.set_message(format!("epoch {}  loss {}  {rate:.0} steps/s", at.epoch, figure(at.loss)));
    }

    fn epoch(&mut self, at: &Progress, train: &[f64], valid: Option<&[f64]>) {
        if self.output.format == Format::Json {
            if let Err(error) = self.output.record(&self.record(at, train, valid)) {
                self.failed.get_or_insert(error);
            }
            return;
        }
        let line = self.line(at, train, valid);
        let last = at.last_step.is_some_and(|last| at.step >= last);
        if at.epoch > 1 && !last && at.elapsed < self.drawn + INTERVAL {
            self.held = Some(line);
            return;
        }
        (self.held, self.drawn) = (None, at.elapsed);
        match &self.bar {
            Some(bar) => bar.suspend(|| self.output.status(&line)),
            None => self.output.status(&line),
        }
    }
}

/// A bar needs a terminal that can move its cursor and a person before it.
fn wants_bar(output: &Output) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty() && v != "0" && v != "false");
    let plain = set("CI") || std::env::var_os("TERM").is_none_or(|t| t.is_empty() || t == "dumb");
    !output.quiet && output.format == Format::Human && !plain && io::stderr().is_terminal()
}

fn new_bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
    match ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Figures by name; what is not finite becomes null, as JSON has no word for it.
pub fn figures(names: &[String], values: &[f64]) -> Map<String, Value> {
    names.iter().zip(values).map(|(name, value)| (name.clone(), json!(value))).collect()
}

/// `0.9333`, `12.35`, `1.2e-6`
pub fn figure(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_string(),
        a if !(1e-3..1e6).contains(&a) => format!("{value:.2e}"),
        a if a >= 100.0 => format!("{value:.1}"),
        _ => format!("{value:.4}"),
    }
}
