//! The same weights after fifty steps of training, whatever computes them.
//!
//! In: models, invented data, their own first values. Out: a hash of each weight and state. Invariant: no tolerance; the
//! loop interpreter is the yardstick, and of machine code every kind of vectors runs on one to four threads.

use nnc::base::DType;
use nnc::codegen::{Compiled, Options, Vectors, compile};
use nnc::driver::compile::{Lowered, lowered, training};
use nnc::driver::measure::Mode;
use nnc::driver::{Options as Chosen, Session, commands};
use nnc::graph::Role;
use nnc::loops::eval;
use nnc::loops::ir::Program;
use nnc::runtime::data::{Dataset, Storage, invented};
use nnc::runtime::machine::{Machine, Store};
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

const STEPS: u64 = 50;
/// What the numbers of the step are made of, as a run of one batch an epoch and `stop = 100 steps` gives them.
const GIVEN: [(&str, f64); 2] = [("steps_per_epoch", 1.0), ("total_steps", 100.0)];

/// Something that carries out a program; a buffer keeps what was written until the program writes it.
trait Carrier {
    fn write(&mut self, name: &str, words: &[u32]);
    fn run(&mut self);
    fn words(&self, name: &str) -> &[u32];
}

/// Makes a carrier of a program and the numbers behind its symbols.
type Make<'a> = &'a dyn Fn(&Program, [u64; 2]) -> Box<dyn Carrier>;

struct Interpreter {
    program: Program,
    symbols: [u64; 2],
    buffers: Vec<Vec<u32>>,
}

fn interpreter(program: &Program, symbols: [u64; 2]) -> Box<dyn Carrier> {
    let buffers = eval::empty_buffers(program, &symbols).unwrap();
    Box::new(Interpreter { program: program.clone(), symbols, buffers })
}

impl Interpreter {
    fn number(&self, name: &str) -> Option<usize> {
        self.program.buffers.iter().position(|b| b.name == name)
    }
}

impl Carrier for Interpreter {
    fn write(&mut self, name: &str, words: &[u32]) {
        if let Some(number) = self.number(name) {
            self.buffers[number].copy_from_slice(words);
        }
    }

    fn run(&mut self) {
        eval::eval(&self.program, &mut self.buffers, &self.symbols).unwrap();
    }

    fn words(&self, name: &str) -> &[u32] {
        &self.buffers[self.number(name).unwrap()]
    }
}

struct Native {
    machine: Machine,
    _code: Compiled,
    threads: u64,
    sizes: Vec<usize>,
}

/// Machine code whose kernels are all shared among the threads, however small they are.
fn native(program: &Program, symbols: [u64; 2], threads: usize, vectors: Vectors) -> Box<dyn Carrier> {
    let options = Options { shared_work: Some(0), vectors, ..Options::default() };
    let code = compile(program, &options).unwrap();
    let sizes = eval::empty_buffers(program, &symbols).unwrap().iter().map(Vec::len).collect();
    let machine =
        Machine::new(code.entry(), Rc::new(program.clone()), &symbols, (threads, false), &mut Store::default());
    Box::new(Native { machine: machine.unwrap(), _code: code, threads: threads as u64, sizes })
}

impl Carrier for Native {
    fn write(&mut self, name: &str, words: &[u32]) {
        if let Some(number) = self.machine.find(name) {
            self.machine.write(number, words);
        }
    }

    fn run(&mut self) {
        let before = self.machine.calls();
        self.machine.run();
        assert_eq!(self.machine.calls() - before, self.threads);
    }

    fn words(&self, name: &str) -> &[u32] {
        let number = self.machine.find(name).unwrap();
        &self.machine.words(number)[..self.sizes[number]]
    }
}

/// A hash of each weight and state.
type Hashes = BTreeMap<String, u64>;

/// FNV-1a.
fn hash(words: &[u32]) -> u64 {
    let bytes = words.iter().flat_map(|w| w.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
}

struct Model {
    session: Session,
    first: Lowered,
    step: Lowered,
    states: Vec<(String, u32)>,
    data: Dataset,
    /// The weights and states that a step reads and updates.
    kept: Vec<String>,
}

impl Model {
    /// The first run of this text, on one batch of invented data.
    fn new(text: &str) -> Model {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.nn");
        std::fs::write(&path, text).unwrap();
        let session = Session::load(&path, Chosen::default()).unwrap_or_else(|e| panic!("{}", e.message));
        assert!(!session.has_errors(), "{}", session.diagnostics[0].render(&session.sources));
        let (checked, run) = (&session.checked, &session.checked.runs[0]);
        let first = lowered(checked.first_values(run).unwrap().graph, None).unwrap();
        let training = training(checked, run, false).unwrap();
        let states = training.states.iter().map(|s| (s.name.clone(), (s.value as f32).to_bits())).collect();
        let step = lowered(training.graph, None).unwrap();
        let data = invented::invent(&checked.data_of(run), run.spec.batch, run.spec.seed).unwrap();
        let inputs = step.simple.inputs.iter().filter(|i| matches!(i.role, Role::Param | Role::State));
        let kept = inputs.map(|i| i.name.clone()).collect();
        Model { first, step, states, data, kept, session }
    }

    /// The hashes after as many steps as each of `marks` says.
    fn trained(&self, marks: &[u64], make: Make<'_>) -> Vec<Hashes> {
        let spec = &self.session.checked.runs[0].spec;
        let mut first = make(&self.first.program, [1, 1]);
        count(first.as_mut(), &self.first, spec.seed, 0);
        first.run();
        let mut step = make(&self.step.program, [spec.batch, spec.batch]);
        for (name, word) in &self.states {
            let size = step.words(name).len();
            step.write(name, &vec![*word; size]);
        }
        for name in self.kept.iter().filter(|name| self.first.program.buffers.iter().any(|b| b.name == **name)) {
            step.write(name, first.words(name));
        }
        for field in &self.data.fields {
            let words: Vec<u32> = match &field.storage {
                Storage::F32(values) => values.iter().map(|v| v.to_bits()).collect(),
                Storage::I32(values) => values.iter().map(|v| *v as u32).collect(),
            };
            step.write(&format!("{}.{}", self.data.name, field.name), &words);
        }
        step.write("rows", &(0..spec.batch as u32).collect::<Vec<_>>());
        let mut found = vec![];
        for number in 0..=*marks.last().unwrap() {
            if number > 0 {
                count(step.as_mut(), &self.step, spec.seed, number);
                step.run();
            }
            if marks.contains(&number) {
                found.push(self.kept.iter().map(|name| (name.clone(), hash(step.words(name)))).collect());
            }
        }
        found
    }

    /// The hashes after [`STEPS`] steps as the commands run them.
    fn as_run(&mut self, threads: usize, vectors: Vectors) -> Hashes {
        self.session.options = Chosen { threads, vectors, ..Chosen::default() };
        let stepper = commands::stepper(&self.session, Mode::Train, false);
        let mut stepper = stepper.unwrap_or_else(|e| panic!("{}", e[0].message));
        let losses: Vec<f64> = (0..STEPS).map(|_| stepper.step().unwrap()).collect();
        assert!(losses[STEPS as usize - 1] < losses[0], "it learns: {losses:?}");
        let engine = stepper.engine();
        let hash = |name: &String| {
            let number = engine.find(name).unwrap();
            (name.clone(), hash(&engine.words(number)[..engine.elements(number)]))
        };
        self.kept.iter().map(hash).collect()
    }
}

/// Writes the scalars of a step.
fn count(carrier: &mut dyn Carrier, lowered: &Lowered, seed: u64, step: u64) {
    carrier.write("seed", &[seed as u32]);
    carrier.write("counter", &[step as u32]);
    let given = [GIVEN[0], GIVEN[1], ("step", step as f64)];
    for (value, (name, dtype, _)) in lowered.scalars.eval(&given).iter().zip(&lowered.scalars.results) {
        let word = if *dtype == DType::F32 { (*value as f32).to_bits() } else { *value as i64 as u32 };
        carrier.write(name, &[word]);
    }
}

/// Holds everything that trains this model to the interpreter, which goes as far as `interpreted` says.
fn same_weights(text: &str, interpreted: u64) {
    let mut model = Model::new(text);
    let interpreted = if std::env::var_os("NNC_LONG").is_some() { STEPS } else { interpreted };
    let wanted = model.trained(&[0, interpreted], &interpreter);
    for (name, hash) in &wanted[1] {
        assert_ne!(*hash, wanted[0][name], "`{name}` is trained");
    }
    let mut last: Option<Hashes> = (interpreted == STEPS).then(|| wanted[1].clone());
    for vectors in Vectors::available() {
        for threads in 1..=4 {
            let make = |program: &Program, symbols| native(program, symbols, threads, vectors);
            let found = model.trained(&[0, interpreted, STEPS], &make);
            let how = format!("with {vectors:?} on {threads} threads");
            assert_eq!(found[..2], wanted, "{how}");
            let end = found.last().unwrap();
            assert_eq!(end, last.get_or_insert_with(|| end.clone()), "{how}");
        }
        assert_eq!(Some(model.as_run(2, vectors)), last, "as it is run, with {vectors:?}");
    }
}

fn model(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("models/bench/{name}.nn"))).unwrap()
}

/// A batch of one is run by a program of its own.
#[test]
fn fifty_steps_of_mlp_tiny_give_one_hash_of_the_weights() {
    let text = model("mlp_tiny");
    let one = text.replace("batch     = 16", "batch     = 1");
    assert_ne!(one, text);
    [text, one].iter().for_each(|text| same_weights(text, STEPS));
}

/// The interpreter takes a fifth of a second for a step, so it makes ten; with `NNC_LONG` all fifty. A batch of five is
/// work enough for the command to take its second thread.
#[test]
fn fifty_steps_of_lenet_give_one_hash_of_the_weights() {
    let text = model("lenet");
    let small = text.replace("batch     = 64", "batch     = 5");
    assert_ne!(small, text);
    same_weights(&small, 10);
}

/// States of the optimizer, loops along an axis, sums over steps, and random numbers.
#[test]
fn fifty_steps_of_an_lstm_give_one_hash_of_the_weights() {
    let text = "data batch = given { x: [4, 5]; y: class(3) }\n\
                model m  x: [4, 5] -> logits[3] { x -> lstm(7) -> dropout(0.2) -> lstm(9, give = last) -> dense(3) }\n\
                train m on batch { loss = cross_entropy; optimizer = adam(lr = 0.01); batch = 5; stop = 100 steps }\n";
    same_weights(text, STEPS);
}
