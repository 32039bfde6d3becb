//! A lowered graph as machine code with its memory: what a run or a benchmark steps.
//!
//! In: a lowered graph, the numbers behind its symbols, a store of shared tensors. Out: outputs after each step. Invariant:
//! after the first step nothing is allocated, and a step is one native call per thread.

use super::compile::Lowered;
use super::times::Times;
use crate::base::{DType, Diagnostic};
use crate::check::program::term_outputs;
use crate::codegen::watch::Watch;
use crate::codegen::{self, Compiled};
use crate::graph::Graph;
use crate::loops::cost::{self, Cost};
use crate::loops::ir::Program;
use crate::passes::fuse::Fusion;
use crate::runtime::machine::{Machine, Store};
use std::rc::Rc;
use std::time::Instant;

/// Below this many operations a step, waking a second thread costs more than it saves (measured: a barrier of two spinning
/// threads takes about 0.2 µs, and a core does some ten thousand operations in a microsecond).
const OPERATIONS_FOR_THREADS: u64 = 10_000_000;
/// From this many bytes on, the second-level cache of a second core is worth it, too.
const BYTES_FOR_THREADS: u64 = 1 << 20;

/// What a program runs on; no bit depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    pub threads: usize,
    pub vectors: codegen::Vectors,
    pub watch: Option<Watching>,
}

/// Look at the clock before and behind each kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watching {
    /// What the times are counted from.
    pub origin: Instant,
    /// So many runs of kernels are kept one by one, for each thread.
    pub room: usize,
}

impl Device {
    /// One thread, whatever the machine has.
    pub const ONE: Device = Device { threads: 1, vectors: codegen::Vectors::Native, watch: None };
}

/// A program that steps.
pub struct Engine {
    machine: Machine,
    /// Owns the machine code that `machine` calls.
    _code: Compiled,
    pub graph: Graph,
    pub fusion: Fusion,
    /// How long each stage of its compilation took.
    pub times: Times,
    scalars: crate::passes::hoist::StepScalars,
    /// The buffers of the step scalars, in the order of their values.
    places: Vec<(usize, DType)>,
    registers: Vec<f64>,
    values: Vec<f64>,
}

impl Engine {
    pub fn new(lowered: Lowered, symbols: &[u64], device: Device, store: &mut Store) -> Result<Engine, Diagnostic> {
        let watched = device.watch.is_some();
        let options = codegen::Options { vectors: device.vectors, watched, ..codegen::Options::default() };
        let mut times = lowered.times;
        let code = times.lap("code", || codegen::compile_with(&lowered.program, &options, &store.code))?;
        let costs = cost::costs(&lowered.program);
        let operations: u64 = costs.iter().map(|c| c.flops.bound(symbols)).sum();
        let bytes: u64 = costs.iter().map(|c| c.moved(symbols)).sum();
        let little = operations < OPERATIONS_FOR_THREADS && bytes < BYTES_FOR_THREADS;
        let threads = if little { 1 } else { device.threads };
        // A step that updates runs thousands of times: it may begin later to be faster.
        let updates = lowered.simple.outputs.iter().any(|o| o.target.is_some());
        let program = Rc::new(lowered.program);
        let mut machine =
            times.lap("plan", || Machine::new(code.entry(), program, symbols, (threads, updates), store))?;
        if let Some(Watching { origin, room }) = device.watch {
            machine.watch(origin, room);
        }
        let place = |(name, dtype, _): &(String, DType, u32)| machine.find(name).map(|b| (b, *dtype));
        let places: Option<Vec<_>> = lowered.scalars.results.iter().map(place).collect();
        let places = places.unwrap_or_else(|| panic!("invariant broken: step scalars are inputs of the program"));
        Ok(Engine {
            machine,
            _code: code,
            graph: lowered.simple,
            fusion: lowered.fusion,
            times,
            scalars: lowered.scalars,
            places,
            registers: vec![],
            values: vec![],
        })
    }

    pub fn find(&self, name: &str) -> Option<usize> {
        self.machine.find(name)
    }

    /// The buffers of the sum and the weight of a figure's term.
    pub fn term(&self, figure: &str, term: usize) -> Option<(usize, usize)> {
        let [sum, weight] = term_outputs(figure, term).map(|name| self.find(&name));
        sum.zip(weight)
    }

    /// The buffer of an output that the graph has.
    pub fn output(&self, name: &str) -> usize {
        self.find(name).unwrap_or_else(|| panic!("invariant broken: the program has the output `{name}`"))
    }

    pub fn write(&mut self, buffer: usize, words: &[u32]) {
        self.machine.write(buffer, words);
    }

    /// Sets a scalar input, where the program has it.
    pub fn write_integer(&mut self, name: &str, value: u64) {
        if let Some(b) = self.find(name) {
            self.machine.write(b, &[value as u32]);
        }
    }

    pub fn words(&self, buffer: usize) -> &[u32] {
        self.machine.words(buffer)
    }

    pub fn number(&self, buffer: usize) -> f32 {
        f32::from_bits(self.machine.words(buffer)[0])
    }

    /// Native calls so far, those of all threads together.
    pub fn calls(&self) -> u64 {
        self.machine.calls()
    }

    pub fn arena_bytes(&self) -> u64 {
        self.machine.arena_bytes
    }

    /// The bytes of all that a step can touch.
    pub fn bytes(&self) -> u64 {
        self.machine.bytes()
    }

    pub fn program(&self) -> &Program {
        self.machine.program()
    }

    /// The costs of the kernels, and the numbers of the symbols in a whole batch.
    pub fn costs(&self) -> (Vec<Cost>, &[u64]) {
        (cost::costs(self.program()), self.machine.most())
    }

    /// One for each thread; none where the engine was not made to be watched.
    pub fn watches(&self) -> &[Watch] {
        self.machine.watches()
    }

    /// The number of elements that a buffer has at the bound symbols it was made for.
    pub fn elements(&self, buffer: usize) -> usize {
        let shape = &self.machine.program().buffers[buffer].shape;
        shape.iter().filter_map(|e| e.fixed()).product::<u64>() as usize
    }

    /// One step on `symbols`, with the numbers that the step's scalars are made of.
    pub fn step(&mut self, symbols: &[u64], given: &[(&str, f64)]) {
        self.machine.bind(symbols);
        self.scalars.eval_into(given, &mut self.registers, &mut self.values);
        for ((buffer, dtype), value) in self.places.iter().zip(&self.values) {
            let word = match dtype {
                DType::F32 => (*value as f32).to_bits(),
                _ => *value as i64 as u32,
            };
            self.machine.write(*buffer, &[word]);
        }
        self.machine.run();
    }
}
