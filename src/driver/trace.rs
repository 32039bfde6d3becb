//! A run as a trace: when each stage, step and kernel began and ended.
//!
//! In: engines that were watched, and the times of their compilation. Out: the text of a file that the trace viewers of browsers
//! open (the trace-event format, in its JSON object form). Invariant: what lies on one row is nested or apart.

use super::engine::Engine;
use super::origin::origins;
use super::times::{Lap, Times};
use crate::base::SourceMap;
use serde_json::{Value, json};
use std::time::Instant;

/// The rows of stages, of training and of evaluation; those of a program's threads follow its first one.
const STAGES: u64 = 0;
const TRAINING: u64 = 1_000;
const EVALUATION: u64 = 2_000;

/// What a trace is made of: a process for each run of the file.
pub struct Trace<'a> {
    origin: Instant,
    sources: &'a SourceMap,
    events: Vec<Value>,
}

impl<'a> Trace<'a> {
    pub fn new(origin: Instant, sources: &'a SourceMap) -> Trace<'a> {
        Trace { origin, sources, events: vec![] }
    }

    /// A run: its compilation, and the first steps of its two programs.
    pub fn run(&mut self, number: u64, name: &str, times: &[&Times], training: &Engine, evaluation: &Engine) {
        self.name("process_name", number, STAGES, name);
        self.laps(number, times.iter().flat_map(|t| &t.laps).collect());
        self.engine(number, TRAINING, "training", training);
        self.engine(number, EVALUATION, "evaluation", evaluation);
    }

    fn name(&mut self, what: &str, process: u64, row: u64, name: &str) {
        self.events.push(json!({ "ph": "M", "name": what, "pid": process, "tid": row, "args": { "name": name } }));
    }

    /// Stages that run at the same time stand on rows of their own.
    fn laps(&mut self, process: u64, mut laps: Vec<&Lap>) {
        let since = |at: Instant| at.saturating_duration_since(self.origin).as_nanos() as u64;
        laps.sort_by_key(|l| l.begin);
        let mut rows: Vec<Instant> = Vec::new();
        let mut events = Vec::new();
        for lap in laps {
            let free = rows.iter().position(|end| *end <= lap.begin).unwrap_or(rows.len());
            rows.resize(rows.len().max(free + 1), lap.end);
            rows[free] = lap.end;
            let span = (since(lap.begin), since(lap.end));
            events.push(event(process, STAGES + free as u64, lap.stage, "stage", span, Value::Null));
        }
        for row in 0..rows.len() {
            self.name("thread_name", process, STAGES + row as u64, &format!("compiler {row}"));
        }
        self.events.append(&mut events);
    }

    fn engine(&mut self, process: u64, row: u64, name: &str, engine: &Engine) {
        let origins = origins(engine.program(), &engine.graph, &engine.fusion, self.sources);
        for (thread, watch) in engine.watches().iter().enumerate() {
            let row = row + thread as u64;
            self.name("thread_name", process, row, &format!("{name}, thread {thread}"));
            for ran in watch.ran() {
                let span = (ran.begin, ran.end);
                let Some(origin) = origins.get(ran.kernel) else {
                    self.events.push(event(process, row, "step", name, span, Value::Null));
                    continue;
                };
                let kernel = &engine.program().kernels[ran.kernel].name;
                let call = origin.span.map_or("", |s| self.sources.text(s));
                let args = json!({ "kernel": kernel, "call": call, "phase": origin.phase.name() });
                self.events.push(event(process, row, &origin.what, origin.phase.name(), span, args));
            }
        }
    }

    pub fn text(&self) -> String {
        format!("{}\n", json!({ "displayTimeUnit": "ns", "traceEvents": self.events }))
    }
}

/// A complete event; the format counts microseconds.
fn event(process: u64, row: u64, name: &str, category: &str, (begin, end): (u64, u64), args: Value) -> Value {
    let micro = |nanos: u64| nanos as f64 / 1e3;
    let mut event = json!({
        "ph": "X", "pid": process, "tid": row, "name": name, "cat": category,
        "ts": micro(begin), "dur": micro(end.saturating_sub(begin)),
    });
    if !args.is_null() {
        event["args"] = args;
    }
    event
}
