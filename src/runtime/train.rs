//! The training loop.
//!
//! In: compiled steps, the parts of a data set, and what the `train` item says. Out: the figures of every epoch and of the
//! end. Invariant: the rows of step n follow from seed, batch size and data alone; the clock only decides when to end, and
//! the step at which it did is part of the outcome.

use super::data::Parts;
use super::data::split::least_share;
use super::finite;
use super::random::{Purpose, Stream};
use crate::base::Diagnostic;
use crate::check::spec::{Comparison, Expect, Stop, TrainSpec};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A figure over rows: Σ w·x and Σ w; its mean is their quotient. Sums are f64 so that 10^9 rows lose nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sum {
    pub sum: f64,
    pub weight: f64,
}

impl Sum {
    pub fn add(&mut self, other: Sum) {
        self.sum += other.sum;
        self.weight += other.weight;
    }

    pub fn mean(self) -> f64 {
        self.sum / self.weight
    }
}

/// A compiled model with its weights.
pub trait Steps {
    /// The names of the figures; the first is `loss`.
    fn figures(&self) -> &[String];

    /// How many sums a figure has. It is the sum of their means: a loss may be a weighted mean and a plain one.
    fn terms(&self, figure: usize) -> usize;

    /// One step of training on these rows (at most the batch size, at least one). `step` counts from 1. Writes the sums of
    /// the figures' terms to `out`, one behind the other.
    fn train_step(&mut self, rows: &[i32], step: u64, out: &mut [Sum]) -> Result<(), Box<Diagnostic>>;

    /// The figures of these rows (at most the batch size) with the present weights, without training.
    fn evaluate(&mut self, rows: &[i32], out: &mut [Sum]) -> Result<(), Box<Diagnostic>>;

    /// The first weight or state of the model that holds a number which is not finite, with that number.
    fn not_finite(&self) -> Option<(String, f32)>;
}

/// What the loop tells while it runs.
pub trait Observer {
    /// After every step; must be cheap.
    fn step(&mut self, at: &Progress);
    /// After every epoch, and after an epoch that ended early.
    fn epoch(&mut self, at: &Progress, train: &[f64], valid: Option<&[f64]>);
}

/// Where the run is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// From 1.
    pub epoch: u64,
    /// Steps done, all epochs together.
    pub step: u64,
    /// Steps done in this epoch, and what a whole epoch has.
    pub step_in_epoch: u64,
    pub steps_per_epoch: u64,
    /// The last step, where a count of epochs or steps gives it.
    pub last_step: Option<u64>,
    /// The mean loss of the last step.
    pub loss: f64,
    pub elapsed: Duration,
}

/// Why the run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    Epochs,
    Steps,
    Time,
    /// `valid.loss` did not improve.
    Plateau(String),
    /// SIGINT or SIGTERM.
    Interrupted,
}

/// An `expect` that was not kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Missed {
    pub expect: Expect,
    pub value: f64,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub epochs: u64,
    pub steps: u64,
    pub ended: Ended,
    pub elapsed: Duration,
    pub figures: Vec<String>,
    /// For each part that has rows: its name, its rows, its figures with the final weights.
    pub parts: Vec<(&'static str, usize, Vec<f64>)>,
    pub missed: Vec<Missed>,
    pub warnings: Vec<Diagnostic>,
}

/// The number of steps after which a count-based stop ends the run; none where only time or a plateau does.
pub fn last_step(spec: &TrainSpec, rows: usize) -> Option<u64> {
    let per_epoch = steps_per_epoch(spec, rows);
    let count = |stop: &Stop| match stop {
        Stop::Epochs(epochs) => Some((epochs * per_epoch as f64 - 1e-9).ceil().max(0.0) as u64),
        Stop::Steps(steps) => Some(*steps),
        Stop::Seconds(_) | Stop::Plateau { .. } => None,
    };
    spec.stop.iter().filter_map(count).min()
}

/// The last batch of an epoch may be smaller.
pub fn steps_per_epoch(spec: &TrainSpec, rows: usize) -> u64 {
    (rows as u64).div_ceil(spec.batch.max(1))
}

/// Trains and evaluates.
///
/// Errors: E0701 where the loss, a figure of the end or a weight is not finite, E0416 where an `expect` or a plateau names a part without rows, and what the
/// steps themselves report.
pub fn train(
    steps: &mut dyn Steps,
    spec: &TrainSpec,
    parts: &Parts,
    observer: &mut dyn Observer,
    interrupted: &AtomicBool,
) -> Result<Outcome, Box<Diagnostic>> {
    check_parts(spec, parts, steps.figures())?;
    let mut run = Run::new(steps, spec, parts, interrupted);
    let ended = loop {
        if let Some(ended) = run.stop_now() {
            break ended;
        }
        if let Some(ended) = run.epoch(observer)? {
            break ended;
        }
    };
    run.finish(ended)
}

/// One run under way.
struct Run<'a> {
    steps: &'a mut dyn Steps,
    spec: &'a TrainSpec,
    parts: &'a Parts,
    interrupted: &'a AtomicBool,
    begun: Instant,
    at: Progress,
    /// The rows of the epoch in its order.
    order: Vec<i32>,
    totals: Vec<Sum>,
    out: Vec<Sum>,
    /// The terms of the loss over the first steps.
    first: Vec<Sum>,
    /// Per plateau rule the best value yet and the epochs since.
    best: Vec<(f64, u64)>,
}

impl<'a> Run<'a> {
    fn new(steps: &'a mut dyn Steps, spec: &'a TrainSpec, parts: &'a Parts, interrupted: &'a AtomicBool) -> Run<'a> {
        let at = Progress {
            epoch: 0,
            step: 0,
            step_in_epoch: 0,
            steps_per_epoch: steps_per_epoch(spec, parts.train.len()),
            last_step: last_step(spec, parts.train.len()),
            loss: f64::NAN,
            elapsed: Duration::ZERO,
        };
        let sums = count_sums(steps);
        let (totals, out) = (vec![Sum::default(); sums], vec![Sum::default(); sums]);
        let best = vec![(f64::NAN, 0); spec.stop.len()];
        let (order, first) = (parts.train.clone(), vec![Sum::default(); steps.terms(0)]);
        Run { steps, spec, parts, interrupted, begun: Instant::now(), at, order, totals, out, first, best }
    }

    /// What ends the run before its next step.
    fn stop_now(&mut self) -> Option<Ended> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Some(Ended::Interrupted);
        }
        self.at.elapsed = self.begun.elapsed();
        let seconds = self.at.elapsed.as_secs_f64();
        if self.spec.stop.iter().any(|s| matches!(s, Stop::Seconds(limit) if seconds >= *limit)) {
            return Some(Ended::Time);
        }
        let last = self.at.last_step?;
        let by_steps = self.spec.stop.iter().any(|s| matches!(s, Stop::Steps(n) if *n <= last));
        (self.at.step >= last).then_some(if by_steps { Ended::Steps } else { Ended::Epochs })
    }

    /// One epoch, or what remains of the run; what ended the run, if it ended.
    fn epoch(&mut self, observer: &mut dyn Observer) -> Result<Option<Ended>, Box<Diagnostic>> {
        self.at.epoch += 1;
        self.at.step_in_epoch = 0;
        self.totals.fill(Sum::default());
        self.order.copy_from_slice(&self.parts.train);
        Stream::new(self.spec.seed, Purpose::Epoch, self.at.epoch).shuffle(&mut self.order);
        let mut ended = None;
        for start in (0..self.order.len()).step_by(self.spec.batch.max(1) as usize) {
            if self.at.step_in_epoch > 0 {
                ended = self.stop_now();
                if ended.is_some() {
                    break;
                }
            }
            self.step(start)?;
            observer.step(&self.at);
        }
        let train = self.values(&self.totals);
        let valid = match self.parts.valid.is_empty() {
            true => None,
            false => Some(self.evaluate(&self.parts.valid)?),
        };
        self.at.elapsed = self.begun.elapsed();
        observer.epoch(&self.at, &train, valid.as_deref());
        match ended {
            Some(ended) => Ok(Some(ended)),
            None => self.plateau(&train, valid.as_deref()),
        }
    }

    fn step(&mut self, start: usize) -> Result<(), Box<Diagnostic>> {
        let end = start.saturating_add(self.spec.batch.max(1) as usize).min(self.order.len());
        self.at.step += 1;
        self.at.step_in_epoch += 1;
        self.steps.train_step(&self.order[start..end], self.at.step, &mut self.out)?;
        self.at.loss = sum_of_means(&self.out[..self.first.len()]);
        if !self.at.loss.is_finite() {
            return Err(finite::loss(self.spec.span, self.at.loss, self.at.epoch, self.at.step));
        }
        if self.at.step <= FIRST_STEPS {
            self.first.iter_mut().zip(&self.out).for_each(|(total, new)| total.add(*new));
        }
        self.totals.iter_mut().zip(&self.out).for_each(|(total, new)| total.add(*new));
        Ok(())
    }

    fn evaluate(&mut self, rows: &[i32]) -> Result<Vec<f64>, Box<Diagnostic>> {
        let sums = self.sums(rows)?;
        Ok(self.values(&sums))
    }

    fn sums(&mut self, rows: &[i32]) -> Result<Vec<Sum>, Box<Diagnostic>> {
        let mut totals = vec![Sum::default(); self.out.len()];
        for batch in rows.chunks(self.spec.batch.clamp(1, usize::MAX as u64) as usize) {
            self.steps.evaluate(batch, &mut self.out)?;
            totals.iter_mut().zip(&self.out).for_each(|(total, new)| total.add(*new));
        }
        Ok(totals)
    }

    /// The figures that these sums of their terms come to.
    fn values(&self, sums: &[Sum]) -> Vec<f64> {
        let mut rest = sums;
        let value = |figure| {
            let (own, others) = rest.split_at(self.steps.terms(figure));
            rest = others;
            sum_of_means(own)
        };
        (0..self.steps.figures().len()).map(value).collect()
    }

    /// Counts epochs without improvement. A loss gets better downwards, everything else upwards.
    fn plateau(&mut self, train: &[f64], valid: Option<&[f64]>) -> Result<Option<Ended>, Box<Diagnostic>> {
        for i in 0..self.spec.stop.len() {
            let Stop::Plateau { part, metric, falls, epochs, .. } = &self.spec.stop[i] else { continue };
            let index = self.steps.figures().iter().position(|f| f == metric).expect("checked before the first epoch");
            let value = match (part.as_str(), valid) {
                ("train", _) => train[index],
                ("valid", Some(valid)) => valid[index],
                _ => self.evaluate(&self.parts.test)?[index],
            };
            let (best, since) = &mut self.best[i];
            let better = if *falls { value < *best } else { value > *best };
            if better || best.is_nan() {
                (*best, *since) = (value, 0);
            } else {
                *since += 1;
            }
            if *since >= *epochs {
                return Ok(Some(Ended::Plateau(format!("{part}.{metric}"))));
            }
        }
        Ok(None)
    }

    fn finish(mut self, ended: Ended) -> Result<Outcome, Box<Diagnostic>> {
        let mut parts = Vec::new();
        for name in ["train", "valid", "test"] {
            let rows = self.parts.named(name).expect("one of the three parts");
            if !rows.is_empty() {
                let sums = self.sums(rows)?;
                self.check_finite(name, &sums)?;
                parts.push((name, rows.len(), self.values(&sums)));
            }
        }
        if let Some((name, value)) = self.steps.not_finite() {
            return Err(finite::weight(self.spec.span, &name, value, self.at.step));
        }
        let figures = self.steps.figures().to_vec();
        let mut missed = Vec::new();
        for expect in &self.spec.expects {
            let index = figures.iter().position(|f| *f == expect.metric).expect("checked before the first epoch");
            let part = parts.iter().find(|(name, ..)| *name == expect.part).expect("checked before the first epoch");
            let value = part.2[index];
            if !kept(value, expect) {
                missed.push(Missed { expect: expect.clone(), value });
            }
        }
        let (epochs, steps, elapsed) = (self.at.epoch, self.at.step, self.begun.elapsed());
        let warnings = self.grown().into_iter().collect();
        Ok(Outcome { epochs, steps, ended, elapsed, figures, parts, missed, warnings })
    }

    /// E0701 for the first figure of a part that is not finite.
    fn check_finite(&self, part: &str, sums: &[Sum]) -> Result<(), Box<Diagnostic>> {
        let mut rest = sums;
        for (index, figure) in self.steps.figures().iter().enumerate() {
            let (own, others) = rest.split_at(self.steps.terms(index));
            if !finite::holds(own) {
                let name = format!("{part}.{figure}");
                return Err(finite::figure(self.spec.span, &name, sum_of_means(own), self.at.step));
            }
            rest = others;
        }
        Ok(())
    }

    /// W0701 where the loss of the last epoch is far above that of the first steps.
    fn grown(&self) -> Option<Diagnostic> {
        let (first, last) = (sum_of_means(&self.first), sum_of_means(&self.totals[..self.first.len()]));
        if self.at.step <= FIRST_STEPS || first <= 0.0 || last.is_nan() || last <= GROWN * first {
            return None;
        }
        let text = format!("the loss grew: {} in the first steps, {} in the last epoch", rounded(first), rounded(last));
        let warning = Diagnostic::warning("W0701", self.spec.span, text, "it does not learn");
        Some(warning.note("a smaller learning rate (`lr`), a `clip`, or `standardize` on the inputs usually helps"))
    }
}

/// How many sums a step writes.
pub fn count_sums(steps: &dyn Steps) -> usize {
    (0..steps.figures().len()).map(|figure| steps.terms(figure)).sum()
}

/// The figure whose terms these are.
pub fn sum_of_means(terms: &[Sum]) -> f64 {
    terms.iter().map(|term| term.mean()).sum()
}

/// So many steps say what the loss is without training, whatever one batch holds.
const FIRST_STEPS: u64 = 10;
/// Noise between batches stays below this factor.
const GROWN: f64 = 10.0;

/// Four digits.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

fn kept(value: f64, expect: &Expect) -> bool {
    match expect.op {
        Comparison::Lt => value < expect.value,
        Comparison::Le => value <= expect.value,
        Comparison::Gt => value > expect.value,
        Comparison::Ge => value >= expect.value,
    }
}

impl Missed {
    /// `test.accuracy is 0.9012, expected >= 0.93`
    pub fn text(&self) -> String {
        let Expect { part, metric, op, value, .. } = &self.expect;
        let sign = match op {
            Comparison::Lt => "<",
            Comparison::Le => "<=",
            Comparison::Gt => ">",
            Comparison::Ge => ">=",
        };
        format!("{part}.{metric} is {}, expected {sign} {value}", (self.value * 1e6).round() / 1e6)
    }

    pub fn diagnostic(&self) -> Diagnostic {
        Diagnostic::error("E0704", self.expect.span, self.text(), "this promise is not kept")
    }
}

/// E0416 for a part without rows and a figure that is not computed: found before the first epoch.
fn check_parts(spec: &TrainSpec, parts: &Parts, figures: &[String]) -> Result<(), Box<Diagnostic>> {
    let plateaus = spec.stop.iter().filter_map(|s| match s {
        Stop::Plateau { span, part, metric, .. } => Some((part, metric, *span)),
        _ => None,
    });
    let expects = spec.expects.iter().map(|e| (&e.part, &e.metric, e.span));
    for (part, metric, span) in expects.chain(plateaus) {
        if parts.named(part).is_none_or(<[i32]>::is_empty) {
            let text = format!("`{part}.{metric}` is asked for, but the `{part}` part has no row");
            let label = match least_share(parts.train.len() + parts.valid.len() + parts.test.len()) {
                Some(share) => format!("give it rows, as by `{part} = {share}%` in the `split` of the data"),
                None => "add rows to the data".to_string(),
            };
            return Err(Box::new(Diagnostic::error("E0416", span, text, label)));
        }
        if !figures.contains(metric) {
            let text = format!("`{part}.{metric}` is asked for, but `{metric}` is not computed");
            let label = format!("computed: {}", figures.join(", "));
            return Err(Box::new(Diagnostic::error("E0416", span, text, label)));
        }
    }
    Ok(())
}
