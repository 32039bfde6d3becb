//! The training loop, over steps that only count.

use super::common::{render, span};
use nnc::base::Diagnostic;
use nnc::check::spec::{Comparison, Expect, Stop, TrainSpec};
use nnc::runtime::data::Parts;
use nnc::runtime::train::{Ended, Observer, Outcome, Progress, Steps, Sum, last_step, train};
use std::sync::atomic::AtomicBool;

/// Loss of step n is `losses[n - 1]` (the last one for ever); accuracy is the share of even rows.
struct Fake {
    figures: Vec<String>,
    losses: Vec<f64>,
    batches: Vec<Vec<i32>>,
}

impl Fake {
    fn new(losses: &[f64]) -> Fake {
        Fake { figures: vec!["loss".into(), "accuracy".into()], losses: losses.to_vec(), batches: vec![] }
    }

    fn loss(&self, step: usize) -> f64 {
        self.losses[step.min(self.losses.len()) - 1]
    }
}

fn fill(out: &mut [Sum], loss: f64, rows: &[i32]) {
    let weight = rows.len() as f64;
    out[0] = Sum { sum: loss * weight, weight };
    out[1] = Sum { sum: rows.iter().filter(|r| *r % 2 == 0).count() as f64, weight };
}

impl Steps for Fake {
    fn figures(&self) -> &[String] {
        &self.figures
    }

    fn terms(&self, _: usize) -> usize {
        1
    }

    fn train_step(&mut self, rows: &[i32], step: u64, out: &mut [Sum]) -> Result<(), Box<Diagnostic>> {
        self.batches.push(rows.to_vec());
        assert_eq!(step as usize, self.batches.len());
        fill(out, self.loss(step as usize), rows);
        Ok(())
    }

    fn evaluate(&mut self, rows: &[i32], out: &mut [Sum]) -> Result<(), Box<Diagnostic>> {
        fill(out, self.loss(self.batches.len().max(1)), rows);
        Ok(())
    }

    fn not_finite(&self) -> Option<(String, f32)> {
        None
    }
}

#[derive(Default)]
struct Seen {
    steps: u64,
    epochs: Vec<(u64, f64, Option<f64>)>,
}

impl Observer for Seen {
    fn step(&mut self, at: &Progress) {
        self.steps += 1;
        assert_eq!(self.steps, at.step);
    }

    fn epoch(&mut self, at: &Progress, train: &[f64], valid: Option<&[f64]>) {
        self.epochs.push((at.epoch, train[0], valid.map(|v| v[0])));
    }
}

fn spec(batch: u64, stop: Vec<Stop>) -> TrainSpec {
    let (name, model, data) = ("m".to_string(), "m".to_string(), "d".to_string());
    TrainSpec {
        name,
        model,
        data,
        span: span(),
        batch,
        seed: 3,
        stop,
        metrics: vec!["accuracy".into()],
        expects: vec![],
    }
}

fn parts() -> Parts {
    Parts { train: (0..10).collect(), valid: vec![], test: vec![10, 11, 12, 13] }
}

fn run(fake: &mut Fake, spec: &TrainSpec, parts: &Parts) -> Result<(Outcome, Seen), String> {
    let mut seen = Seen::default();
    let outcome = train(fake, spec, parts, &mut seen, &AtomicBool::new(false)).map_err(|e| render(&[*e]))?;
    Ok((outcome, seen))
}

#[test]
fn an_epoch_takes_every_row_once_in_an_order_of_its_own_and_ends_with_a_smaller_batch() {
    let mut fake = Fake::new(&[1.0]);
    let (outcome, seen) = run(&mut fake, &spec(4, vec![Stop::Epochs(2.0)]), &parts()).unwrap();
    assert_eq!((outcome.epochs, outcome.steps, outcome.ended, seen.epochs.len()), (2, 6, Ended::Epochs, 2));
    assert_eq!(fake.batches.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2, 4, 4, 2]);
    let (first, second) = (fake.batches[..3].concat(), fake.batches[3..].concat());
    assert_ne!(first, second);
    for mut epoch in [first, second] {
        epoch.sort_unstable();
        assert_eq!(epoch, parts().train);
    }
}

#[test]
fn the_same_seed_gives_the_same_batches_and_another_seed_others() {
    let batches = |seed| {
        let mut fake = Fake::new(&[1.0]);
        run(&mut fake, &TrainSpec { seed, ..spec(3, vec![Stop::Epochs(3.0)]) }, &parts()).unwrap();
        fake.batches
    };
    assert_eq!(batches(0), batches(0));
    assert_ne!(batches(0), batches(1));
}

#[test]
fn a_batch_larger_than_the_data_is_one_step_an_epoch() {
    let mut fake = Fake::new(&[1.0]);
    let (outcome, _) = run(&mut fake, &spec(u64::MAX, vec![Stop::Epochs(2.0)]), &parts()).unwrap();
    assert_eq!((outcome.steps, fake.batches[0].len()), (2, 10));
}

#[test]
fn the_first_rule_that_holds_ends_the_run() {
    let of = |stop: Vec<Stop>| {
        let (outcome, _) = run(&mut Fake::new(&[1.0]), &spec(5, stop), &parts()).unwrap();
        (outcome.ended, outcome.epochs, outcome.steps)
    };
    assert_eq!(of(vec![Stop::Steps(5), Stop::Epochs(10.0)]), (Ended::Steps, 3, 5));
    assert_eq!(of(vec![Stop::Epochs(1.5)]), (Ended::Epochs, 2, 3));
    assert_eq!(of(vec![Stop::Seconds(0.0), Stop::Steps(9)]), (Ended::Time, 0, 0));
    assert_eq!(of(vec![Stop::Epochs(0.0)]), (Ended::Epochs, 0, 0));
    let plateau = Stop::Plateau { span: span(), part: "test".into(), metric: "loss".into(), falls: true, epochs: 3 };
    assert_eq!(of(vec![plateau, Stop::Epochs(50.0)]), (Ended::Plateau("test.loss".into()), 4, 8));
}

#[test]
fn a_plateau_counts_only_epochs_without_improvement() {
    let parts = Parts { valid: vec![1, 2], ..parts() };
    let plateau = Stop::Plateau { span: span(), part: "valid".into(), metric: "loss".into(), falls: true, epochs: 2 };
    let mut fake = Fake::new(&[5.0, 4.0, 4.5, 3.0, 3.5, 3.5]);
    let (outcome, seen) = run(&mut fake, &spec(10, vec![plateau]), &parts).unwrap();
    assert_eq!(outcome.epochs, 6);
    assert_eq!(seen.epochs[3], (4, 3.0, Some(3.0)));
}

#[test]
fn the_count_based_stop_is_known_before_the_run() {
    assert_eq!(last_step(&spec(4, vec![Stop::Epochs(2.0), Stop::Steps(100)]), 10), Some(6));
    assert_eq!(last_step(&spec(4, vec![Stop::Seconds(9.0)]), 10), None);
}

#[test]
fn n1_a_loss_that_is_not_finite_ends_the_run_with_epoch_and_step() {
    let first = run(&mut Fake::new(&[f64::NAN]), &spec(4, vec![Stop::Epochs(2.0)]), &parts()).err().unwrap();
    let later = run(&mut Fake::new(&[1.0, 1.0, 1.0, f64::INFINITY]), &spec(4, vec![Stop::Epochs(2.0)]), &parts());
    insta::assert_snapshot!([first, later.err().unwrap()].join("\n"));
}

fn expect(part: &str, metric: &str, op: Comparison, value: f64) -> Expect {
    Expect { part: part.into(), metric: metric.into(), op, value, span: span() }
}

#[test]
fn a_promise_that_is_not_kept_names_both_numbers() {
    let mut spec = spec(3, vec![Stop::Epochs(1.0)]);
    spec.expects = vec![expect("test", "accuracy", Comparison::Ge, 0.5), expect("test", "loss", Comparison::Lt, 0.25)];
    let (outcome, _) = run(&mut Fake::new(&[0.5]), &spec, &parts()).unwrap();
    let missed: Vec<String> = outcome.missed.iter().map(|m| m.text()).collect();
    assert_eq!(missed, ["test.loss is 0.5, expected < 0.25"]);
    assert_eq!(outcome.parts[1], ("test", 4, vec![0.5, 0.5]));
}

#[test]
fn a_promise_about_a_part_without_rows_is_refused_before_training() {
    let mut spec = spec(3, vec![Stop::Epochs(1.0)]);
    spec.expects = vec![expect("valid", "accuracy", Comparison::Ge, 0.5)];
    let part = run(&mut Fake::new(&[0.5]), &spec, &parts()).err().unwrap();
    spec.expects = vec![expect("test", "recall", Comparison::Ge, 0.5)];
    let figure = run(&mut Fake::new(&[0.5]), &spec, &parts()).err().unwrap();
    insta::assert_snapshot!([part, figure].join("\n"));
}

#[test]
fn an_interrupt_ends_the_run_after_the_step() {
    let mut seen = Seen::default();
    let flag = AtomicBool::new(true);
    let spec = spec(3, vec![Stop::Epochs(1.0)]);
    let outcome = train(&mut Fake::new(&[0.5]), &spec, &parts(), &mut seen, &flag).unwrap();
    assert_eq!((outcome.ended, outcome.steps), (Ended::Interrupted, 0));
}
