//! The compiled steps of a run.
//!
//! In: a run, its data, its lowered programs. Out: training steps and evaluations for the training loop. Invariant: both
//! programs see the same weights; what a step computes depends on rows, step number, seed and weights alone.

use super::compile::{self, Lowered};
use super::engine::Engine;
use crate::base::Diagnostic;
use crate::check::spec::Stop;
use crate::check::{Checked, Run};
use crate::graph::{Graph, Role};
use crate::runtime::data::{Dataset, StartFile, Storage};
use crate::runtime::train::{Steps, Sum};

/// Names of outputs that carry a figure: Σ and weight.
const SUM: &str = "sum";
const WEIGHT: &str = "weight";

struct Side {
    engine: Engine,
    graph: Graph,
    rows: Option<usize>,
    /// Per figure the buffers of its sum and its weight.
    figures: Vec<(usize, usize)>,
}

/// A run, ready to step.
pub struct Trainer {
    train: Side,
    infer: Side,
    figures: Vec<String>,
    seed: u64,
    rows: u64,
    batch: u64,
    steps_per_epoch: u64,
    total_steps: u64,
}

impl Trainer {
    pub fn new(
        checked: &Checked,
        run: &Run,
        data: &Dataset,
        start: Option<&StartFile>,
        check: bool,
    ) -> Result<Trainer, Diagnostic> {
        let training = compile::training(checked, run, check)?;
        let evaluation = checked.evaluation(run).map_err(|e| *e)?;
        let train_rows = data.parts.train.len() as u64;
        let batch = run.spec.batch;
        let symbols = [batch, data.rows as u64];
        let mut figures = vec!["loss".to_string()];
        figures.extend(run.metrics.iter().map(|(n, _)| n.clone()));
        let mut train = Side::new(compile::lowered(training.graph), &symbols, &figures)?;
        let mut infer = Side::new(compile::lowered(evaluation), &symbols, &figures)?;
        for side in [&mut train, &mut infer] {
            side.bind_data(data);
        }
        let steps_per_epoch = train_rows.div_ceil(batch).max(1);
        let counted = run.spec.stop.iter().filter_map(|s| match s {
            Stop::Steps(n) => Some(*n),
            Stop::Epochs(e) => Some((e * steps_per_epoch as f64).ceil() as u64),
            _ => None,
        });
        let total_steps = counted.min().unwrap_or(u64::MAX >> 12);
        let seed = run.spec.seed;
        let rows = data.rows as u64;
        let mut out = Trainer { train, infer, figures, seed, rows, batch, steps_per_epoch, total_steps };
        out.first_values(checked, run, start)?;
        for s in &training.states {
            let Some(b) = out.train.engine.find(&s.name) else { continue };
            let n = out.train.engine.words(b).len();
            out.train.engine.write(b, &vec![(s.value as f32).to_bits(); n]);
        }
        out.share_weights();
        Ok(out)
    }

    /// Fills the weights from the start file, or from the initialisers.
    fn first_values(&mut self, checked: &Checked, run: &Run, start: Option<&StartFile>) -> Result<(), Diagnostic> {
        let init = compile::lowered(checked.first_values(run).map_err(|e| *e)?);
        let mut engine = Engine::new(init.program, &[1, 1])?;
        for (name, value) in [("seed", self.seed as f64), ("counter", 0.0)] {
            if let Some(b) = engine.find(name) {
                engine.write_number(b, value);
            }
        }
        engine.run()?;
        for (i, input) in init.graph.inputs.iter().enumerate() {
            let Some(to) = self.train.engine.find(&input.name) else { continue };
            let given = start.and_then(|s| s.tensors.get(&input.name));
            match (given.map(|t| &t.storage), input.role) {
                (Some(Storage::F32(values)), Role::Param) if values.len() == engine.words(i).len() => {
                    let words: Vec<u32> = values.iter().map(|v| v.to_bits()).collect();
                    self.train.engine.write(to, &words);
                }
                (_, Role::Param) => self.train.engine.write(to, engine.words(i)),
                _ => {}
            }
        }
        Ok(())
    }

    fn share_weights(&mut self) {
        for input in self.infer.graph.inputs.iter().filter(|i| i.role == Role::Param) {
            if let (Some(from), Some(to)) = (self.train.engine.find(&input.name), self.infer.engine.find(&input.name)) {
                self.infer.engine.write(to, self.train.engine.words(from));
            }
        }
    }
}

impl Side {
    fn new(lowered: Lowered, symbols: &[u64], figures: &[String]) -> Result<Side, Diagnostic> {
        let engine = Engine::new(lowered.program, symbols)?;
        let find = |name: String| {
            engine.find(&name).unwrap_or_else(|| panic!("invariant broken: the program has the output `{name}`"))
        };
        let figures = figures.iter().map(|f| (find(format!("{f}.{SUM}")), find(format!("{f}.{WEIGHT}")))).collect();
        let rows = engine.find("rows");
        Ok(Side { engine, graph: lowered.simple, rows, figures })
    }

    fn bind_data(&mut self, data: &Dataset) {
        for field in &data.fields {
            let Some(b) = self.engine.find(&format!("{}.{}", data.name, field.name)) else { continue };
            let words: Vec<u32> = match &field.storage {
                Storage::F32(v) => v.iter().map(|x| x.to_bits()).collect(),
                Storage::I32(v) => v.iter().map(|x| *x as u32).collect(),
            };
            self.engine.write(b, &words);
        }
    }

    fn step(
        &mut self,
        rows: &[i32],
        all: u64,
        scalars: &[(&str, f64)],
        out: &mut [Sum],
    ) -> Result<(), Box<Diagnostic>> {
        self.engine.set_symbols(&[rows.len() as u64, all]);
        if let Some(b) = self.rows {
            let words: Vec<u32> = rows.iter().map(|r| *r as u32).collect();
            self.engine.write(b, &words);
        }
        for (name, value) in scalars {
            if let Some(b) = self.engine.find(name) {
                self.engine.write_number(b, *value);
            }
        }
        self.engine.run()?;
        for (o, (sum, weight)) in out.iter_mut().zip(&self.figures) {
            let number = |b: usize| f64::from(f32::from_bits(self.engine.words(b)[0]));
            *o = Sum { sum: number(*sum), weight: number(*weight) };
        }
        Ok(())
    }
}

impl Steps for Trainer {
    fn figures(&self) -> &[String] {
        &self.figures
    }

    fn train_step(&mut self, rows: &[i32], step: u64, out: &mut [Sum]) -> Result<(), Box<Diagnostic>> {
        let scalars = [
            ("step", step as f64),
            ("steps_per_epoch", self.steps_per_epoch as f64),
            ("total_steps", self.total_steps as f64),
            ("seed", self.seed as f64),
            ("counter", step as f64),
        ];
        debug_assert!(rows.len() as u64 <= self.batch);
        self.train.step(rows, self.rows, &scalars, out)
    }

    fn evaluate(&mut self, rows: &[i32], out: &mut [Sum]) -> Result<(), Box<Diagnostic>> {
        self.share_weights();
        self.infer.step(rows, self.rows, &[("seed", self.seed as f64), ("counter", 0.0)], out)
    }
}
