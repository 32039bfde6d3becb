//! The compiled steps of a run.
//!
//! In: a run, its data, its lowered programs. Out: training steps, evaluations and answers. Invariant: all programs of a run
//! see the same weights; what a step computes depends on rows, step number, seed and weights alone.

use super::compile::{self, Lowered};
use super::engine::{Device, Engine};
use super::times::Times;
use crate::base::Diagnostic;
use crate::base::both::both;
use crate::check::spec::Stop;
use crate::check::{self, Checked, Run, Training};
use crate::graph::{Input, Role};
use crate::loops::ir::Program;
use crate::runtime::data::given::channels_last;
use crate::runtime::data::weights::Weight;
use crate::runtime::data::{Dataset, StartFile, Storage};
use crate::runtime::machine::Store;
use crate::runtime::memory::{Budget, Part};
use crate::runtime::train::{Steps, Sum};

/// A program that reads rows of the data.
struct Side {
    engine: Engine,
    rows: Option<usize>,
    /// Per term of each figure the buffers of its sum and its weight; none for a term that only the other side has.
    terms: Vec<Option<(usize, usize)>>,
    /// All rows of the data.
    all: u64,
    /// The rows of the step as words; kept, so that no step allocates.
    words: Vec<u32>,
}

/// A run, ready to step.
pub struct Trainer {
    train: Side,
    infer: Side,
    figures: Vec<String>,
    /// The tensors of the start file that the run takes.
    pub taken: Vec<String>,
    /// Per figure the number of its terms.
    terms: Vec<usize>,
    seed: u64,
    steps_per_epoch: u64,
    total_steps: u64,
    /// The weights and states of the model, and whether files have their last axis in the second place.
    weights: Vec<(Input, bool)>,
    /// What the rows of the data make of the steps.
    pub warnings: Vec<Diagnostic>,
    /// How long it took to compile all programs and to draw the weights.
    pub times: Times,
}

impl Trainer {
    /// With `check`, nothing is random.
    pub fn new(
        checked: &Checked,
        run: &Run,
        data: &Dataset,
        start: Option<&StartFile>,
        check: bool,
        means: &mut Means,
    ) -> Result<Trainer, Diagnostic> {
        // The evaluation and the first values are made while the training step is.
        let (trained, other) = both(|| training_step(checked, run, check), || others(checked, run, start));
        let ((training, train, mut times), (infer, first, also)) = (trained?, other?);
        times.add(&also);
        let mut store = Store::default();
        let mut figures = vec!["loss".to_string()];
        figures.extend(run.metrics.iter().map(|(n, _)| n.clone()));
        let warnings = training.last_batch(run.spec.batch, data.parts.train.len() as u64);
        means.take(run, data, &[&train.program, &infer.program], &first)?;
        let mut train = Side::new(train, run, data, means.device, &mut store)?;
        let mut infer = Side::new(infer, run, data, means.device, &mut store)?;
        let terms: Vec<usize> = figures.iter().map(|f| train.count_terms(f).max(infer.count_terms(f))).collect();
        for side in [&mut train, &mut infer] {
            for (figure, terms) in figures.iter().zip(&terms) {
                side.terms.extend((0..*terms).map(|i| side.engine.term(figure, i)));
            }
        }
        let taken = first.taken(data);
        let filter = |w: &Input| (w.clone(), first.filters.contains(&w.name));
        let weights = first.weights.iter().map(filter).collect();
        first.fill(run, &mut train.engine, &mut store, &mut times)?;
        [&train, &infer].into_iter().for_each(|side| times.add(&side.engine.times));
        for s in &training.states {
            let Some(b) = train.engine.find(&s.name) else { continue };
            let words = vec![(s.value as f32).to_bits(); train.engine.elements(b)];
            train.engine.write(b, &words);
        }
        let steps_per_epoch = (data.parts.train.len() as u64).div_ceil(run.spec.batch).max(1);
        let counted = run.spec.stop.iter().filter_map(|s| match s {
            Stop::Steps(n) => Some(*n),
            Stop::Epochs(e) => Some((e * steps_per_epoch as f64).ceil() as u64),
            _ => None,
        });
        // A run that ends by time or plateau has no schedule without a length (`check` sees to it), so this is not read.
        let total_steps = counted.min().unwrap_or(u64::from(u32::MAX));
        let seed = run.spec.seed;
        Ok(Trainer {
            train,
            infer,
            figures,
            taken,
            terms,
            seed,
            steps_per_epoch,
            total_steps,
            weights,
            warnings,
            times,
        })
    }

    /// The engine of the training step.
    pub fn engine(&self) -> &Engine {
        &self.train.engine
    }

    /// The engine of the evaluation.
    pub fn evaluation(&self) -> &Engine {
        &self.infer.engine
    }

    /// The weights and states of the model as they are now. What no step needs has no memory, and is left out.
    pub fn weights(&self) -> Vec<Weight> {
        let weight = |(Input { name, ty, .. }, filter, words): (&Input, bool, &[u32])| {
            let shape = ty.shape.iter().map(|e| e.bound(&[])).collect();
            Weight { name: name.clone(), shape, words: words.to_vec(), filter }
        };
        self.stored().map(weight).collect()
    }

    /// The weights and states that have memory, with their words.
    fn stored(&self) -> impl Iterator<Item = (&Input, bool, &[u32])> {
        self.weights.iter().filter_map(|(input, filter)| {
            let found = |side: &&'_ Side| side.engine.find(&input.name).is_some();
            let engine = &[&self.train, &self.infer].into_iter().find(found)?.engine;
            let b = engine.find(&input.name)?;
            Some((input, *filter, &engine.words(b)[..engine.elements(b)]))
        })
    }
}

/// The training step as checked, the same in loops, and the time it took.
fn training_step(checked: &Checked, run: &Run, check: bool) -> Result<(Training, Lowered, Times), Diagnostic> {
    let mut times = Times::default();
    let mut training = compile::training_timed(checked, run, check, &mut times)?;
    let lowered = compile::lowered(std::mem::take(&mut training.graph), Some(run.spec.batch))?;
    Ok((training, lowered, times))
}

/// The evaluation in loops, what fills the weights, and the time it took.
fn others<'a>(
    checked: &Checked,
    run: &Run,
    start: Option<&'a StartFile>,
) -> Result<(Lowered, FirstValues<'a>, Times), Diagnostic> {
    let mut times = Times::default();
    let evaluation = times.lap("graph", || checked.evaluation(run)).map_err(|e| *e)?;
    let infer = compile::lowered(evaluation, Some(run.spec.batch))?;
    let first = FirstValues::new(checked, run, start, &mut times)?;
    Ok((infer, first, times))
}

/// What a run may use of the machine.
pub struct Means {
    pub device: Device,
    pub memory: Budget,
}

impl Means {
    /// Takes the memory of a run before any of it is allocated: its programs, and what fills its weights.
    fn take(
        &mut self,
        run: &Run,
        data: &Dataset,
        programs: &[&Program],
        first: &FirstValues<'_>,
    ) -> Result<(), Diagnostic> {
        let symbols = [run.spec.batch, data.rows as u64];
        let mut parts: Vec<Part<'_>> =
            programs.iter().map(|program| Part { program, symbols: symbols.to_vec() }).collect();
        parts.extend(first.drawn.iter().map(|l| Part { program: &l.program, symbols: vec![1, 1] }));
        self.memory.take(&parts, run.spec.span)
    }
}

/// Where the weights begin: drawn by the initialisers, and from the start file where it has them.
struct FirstValues<'a> {
    weights: Vec<Input>,
    /// The weights whose channels stand first in files.
    filters: Vec<String>,
    start: Option<&'a StartFile>,
    /// Draws all weights; none where the start file has them all.
    drawn: Option<Lowered>,
}

impl<'a> FirstValues<'a> {
    fn new(
        checked: &Checked,
        run: &Run,
        start: Option<&'a StartFile>,
        times: &mut Times,
    ) -> Result<FirstValues<'a>, Diagnostic> {
        let made = times.lap("graph", || checked.first_values(run));
        let check::FirstValues { graph, filters } = made.map_err(|e| *e)?;
        let weights: Vec<Input> =
            graph.inputs.iter().filter(|i| matches!(i.role, Role::Param | Role::State)).cloned().collect();
        let named = |name: &str| start.is_some_and(|s| s.tensors.contains_key(name));
        let all = weights.iter().all(|w| named(&w.name));
        let params = || weights.iter().filter(|w| w.role == Role::Param);
        // A file without any weight brings the batch alone.
        if let (true, Some(lacking)) = (params().any(|w| named(&w.name)), params().find(|w| !named(&w.name))) {
            let text = format!("the start file has weights, but no `{}`", lacking.name);
            return Err(Diagnostic::error("E0504", lacking.span, text, "this weight"));
        }
        let drawn = if all { None } else { Some(compile::lowered(graph, None)?) };
        Ok(FirstValues { weights, filters, start, drawn })
    }

    /// The names of a start file that mean something here: weights and states, and the fields of the data.
    fn taken(&self, data: &Dataset) -> Vec<String> {
        let fields = data.fields.iter().map(|f| format!("{}.{}", data.name, f.name));
        self.weights.iter().map(|w| w.name.clone()).chain(fields).collect()
    }

    fn fill(self, run: &Run, to: &mut Engine, store: &mut Store, times: &mut Times) -> Result<(), Diagnostic> {
        if let Some(lowered) = self.drawn {
            let mut engine = Engine::new(lowered, &[1, 1], Device::ONE, store)?;
            engine.write_integer("seed", run.spec.seed);
            engine.write_integer("counter", 0);
            times.add(&engine.times);
            times.lap("first", || engine.step(&[1, 1], &[]));
        }
        let filters = self.filters;
        let named = |name: &str| self.start.and_then(|s| s.tensors.get(name));
        for Input { name, span, ty, .. } in self.weights {
            let (Some(given), Some(b)) = (named(&name), to.find(&name)) else { continue };
            let Storage::F32(values) = &given.storage else {
                return Err(Diagnostic::error(
                    "E0504",
                    span,
                    format!("`{name}` in the start file is not f32"),
                    "this weight",
                ));
            };
            let (mut shape, filter) = (ty.shape, filters.contains(&name));
            if filter && shape.len() > 1 {
                shape[1..].rotate_right(1);
            }
            let wanted: Vec<u64> = shape.iter().map(|e| e.bound(&[])).collect();
            if wanted != given.shape {
                let text = format!("`{name}` is {wanted:?} in files, the start file has {:?}", given.shape);
                return Err(Diagnostic::error("E0504", span, text, "this weight"));
            }
            let turned = filter.then(|| channels_last(values, &given.shape, 1));
            let words: Vec<u32> = turned.as_deref().unwrap_or(values).iter().map(|v| v.to_bits()).collect();
            to.write(b, &words);
        }
        Ok(())
    }
}

impl Side {
    fn new(
        lowered: compile::Lowered,
        run: &Run,
        data: &Dataset,
        device: Device,
        store: &mut Store,
    ) -> Result<Side, Diagnostic> {
        let all = data.rows as u64;
        let mut engine = Engine::new(lowered, &[run.spec.batch, all], device, store)?;
        for field in &data.fields {
            let Some(b) = engine.find(&format!("{}.{}", data.name, field.name)) else { continue };
            let words: Vec<u32> = match &field.storage {
                Storage::F32(v) => v.iter().map(|x| x.to_bits()).collect(),
                Storage::I32(v) => v.iter().map(|x| *x as u32).collect(),
            };
            engine.write(b, &words);
        }
        let rows = engine.find("rows");
        Ok(Side { engine, rows, terms: vec![], all, words: vec![] })
    }

    fn count_terms(&self, figure: &str) -> usize {
        (0..).take_while(|i| self.engine.term(figure, *i).is_some()).count()
    }

    fn step(&mut self, rows: &[i32], given: &[(&str, f64)]) {
        if let Some(b) = self.rows {
            self.words.clear();
            self.words.extend(rows.iter().map(|r| *r as u32));
            self.engine.write(b, &self.words);
        }
        self.engine.step(&[rows.len() as u64, self.all], given);
    }

    fn sums(&self, out: &mut [Sum]) {
        for (o, term) in out.iter_mut().zip(&self.terms) {
            *o = match term {
                Some((sum, weight)) => {
                    Sum { sum: self.engine.number(*sum).into(), weight: self.engine.number(*weight).into() }
                }
                None => Sum { sum: 0.0, weight: 1.0 },
            };
        }
    }
}

impl Steps for Trainer {
    fn figures(&self) -> &[String] {
        &self.figures
    }

    fn terms(&self, figure: usize) -> usize {
        self.terms[figure]
    }

    fn train_step(&mut self, rows: &[i32], step: u64, out: &mut [Sum]) -> Result<(), Box<Diagnostic>> {
        self.train.engine.write_integer("seed", self.seed);
        self.train.engine.write_integer("counter", step);
        let given = [
            ("step", step as f64),
            ("steps_per_epoch", self.steps_per_epoch as f64),
            ("total_steps", self.total_steps as f64),
        ];
        self.train.step(rows, &given);
        self.train.sums(out);
        Ok(())
    }

    fn evaluate(&mut self, rows: &[i32], out: &mut [Sum]) -> Result<(), Box<Diagnostic>> {
        self.infer.step(rows, &[("step", 1.0), ("steps_per_epoch", 1.0), ("total_steps", 1.0)]);
        self.infer.sums(out);
        // Rows none of which counts: their mean is 0 / 0, and they add nothing to the part's.
        out.iter_mut().filter(|sum| sum.weight == 0.0).for_each(|sum| *sum = Sum::default());
        Ok(())
    }

    fn not_finite(&self) -> Option<(String, f32)> {
        let wild = |words: &[u32]| words.iter().map(|w| f32::from_bits(*w)).find(|v| !v.is_finite());
        self.stored().find_map(|(input, _, words)| wild(words).map(|v| (input.name.clone(), v)))
    }
}

/// The model's outputs alone.
pub struct Answerer {
    side: Side,
    /// The tensors of the start file that it takes.
    pub taken: Vec<String>,
    output: usize,
    per_row: usize,
    count: usize,
    /// How long it took to compile all programs, to draw the weights and to rearrange them.
    pub times: Times,
}

impl Answerer {
    pub fn new(
        checked: &Checked,
        run: &Run,
        data: &Dataset,
        start: Option<&StartFile>,
        means: &mut Means,
    ) -> Result<Answerer, Diagnostic> {
        let mut times = Times::default();
        let graph = times.lap("graph", || checked.inference(run)).map_err(|e| *e)?;
        let name = graph.outputs.first().map_or("output".to_string(), |o| o.name.clone());
        let mut store = Store::default();
        let (packs, rest) = compile::prepacked(compile::lowered(graph, Some(run.spec.batch))?);
        let first = FirstValues::new(checked, run, start, &mut times)?;
        means.take(run, data, &[&rest.program, &packs.program], &first)?;
        let mut side = Side::new(rest, run, data, means.device, &mut store)?;
        let taken = first.taken(data);
        first.fill(run, &mut side.engine, &mut store, &mut times)?;
        let symbols = [run.spec.batch, data.rows as u64];
        let mut packer = Engine::new(packs, &symbols, Device::ONE, &mut store)?;
        times.lap("first", || packer.step(&symbols, &[]));
        [&side.engine, &packer].into_iter().for_each(|engine| times.add(&engine.times));
        let output = side.engine.output(&name);
        let per_row = side.engine.elements(output);
        Ok(Answerer { side, taken, output, per_row, count: 0, times })
    }

    pub fn answer(&mut self, rows: &[i32]) -> Result<(), Box<Diagnostic>> {
        self.side.step(rows, &[]);
        self.count = rows.len() * self.per_row;
        Ok(())
    }

    /// The outputs of the last answer, row by row.
    pub fn outputs(&self) -> impl Iterator<Item = f32> + '_ {
        self.side.engine.words(self.output)[..self.count].iter().map(|w| f32::from_bits(*w))
    }

    /// The engine of an answer.
    pub fn engine(&self) -> &Engine {
        &self.side.engine
    }

    pub fn mean_absolute(&self) -> f64 {
        self.outputs().map(|v| f64::from(v.abs())).sum::<f64>() / self.count.max(1) as f64
    }
}
