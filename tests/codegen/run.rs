//! Running a program natively beside the loop interpreter.

use nnc::base::{DType, Extent};
use nnc::codegen::{Compiled, Options, Vectors, compile};
use nnc::loops::ir::*;
use nnc::loops::print::print;
use nnc::loops::{eval, verify};
use nnc::runtime::machine::{Machine, Store};
use std::rc::Rc;

/// Numbers that differ from run to run of the test by nothing.
pub struct Dice(pub u64);

impl Dice {
    pub fn word(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.word() as usize % n
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Mostly ordinary numbers of either sign, now and then a special one.
    pub fn float(&mut self) -> f32 {
        let special = [0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-41, 3e38, -87.5, 1.0, -1.0];
        match self.below(12) {
            0 => self.pick(&special),
            1 => f32::from_bits(self.word() << 1 ^ self.word()),
            _ => (self.word() as f32 / (1u32 << 31) as f32 - 0.5) * 8.0,
        }
    }
}

/// Words for every buffer: I32 below `whole`, F32 with or without special numbers.
pub fn fill(program: &Program, symbols: &[u64], dice: &mut Dice, whole: usize, special: bool) -> Vec<Vec<u32>> {
    let mut buffers = eval::empty_buffers(program, symbols).unwrap();
    for (buffer, words) in program.buffers.iter().zip(&mut buffers) {
        for word in words.iter_mut() {
            *word = match buffer.dtype {
                DType::F32 if special => dice.float().to_bits(),
                DType::F32 => (dice.word() as f32 / (1u32 << 31) as f32 - 0.5).to_bits(),
                _ => dice.below(whole) as u32,
            };
        }
        if buffer.dtype == DType::F64 {
            let number = f64::from(dice.below(1000) as u32) / 7.0;
            words.chunks_mut(2).for_each(|pair| {
                (pair[0], pair[1]) = (number.to_bits() as u32, (number.to_bits() >> 32) as u32);
            });
        }
    }
    buffers
}

fn alike(dtype: DType, x: u32, y: u32) -> bool {
    x == y || dtype == DType::F32 && f32::from_bits(x).is_nan() && f32::from_bits(y).is_nan()
}

/// Each kernel was marked as often as its repeats say, and the runs that are kept follow one another.
fn marked(machine: &Machine, symbols: &[u64]) {
    let (program, watch) = (machine.program(), &machine.watches()[0]);
    for (number, taken) in watch.taken().iter().enumerate() {
        let steps = program.around(number).into_iter().map(|r| program.repeats[r].extent.bound(symbols));
        assert_eq!(taken.calls, steps.product::<u64>(), "{number}\n{}", print(program));
        assert!(taken.least <= taken.nanos);
    }
    let (mut ran, calls) = (watch.ran(), watch.taken().iter().map(|t| t.calls).sum::<u64>());
    assert_eq!((ran.len() as u64, watch.steps()), ((calls + u64::from(calls > 0)).min(3), 1));
    ran.retain(|r| r.kernel < program.kernels.len());
    assert!(ran.iter().all(|r| r.begin <= r.end) && ran.windows(2).all(|w| w[0].end <= w[1].begin));
}

/// The outside buffers after a native run.
fn native(
    program: &Program,
    compiled: &Compiled,
    inputs: &[Vec<u32>],
    symbols: &[u64],
    threads: usize,
    watched: bool,
) -> Vec<Vec<u32>> {
    let mut store = Store::default();
    let program = Rc::new(program.clone());
    let mut machine = Machine::new(compiled.entry(), program.clone(), symbols, (threads, false), &mut store).unwrap();
    let outside = |b: &Buffer| b.home == Home::Outside;
    for (number, words) in inputs.iter().enumerate().filter(|(n, _)| outside(&program.buffers[*n])) {
        machine.write(number, words);
    }
    if watched {
        machine.watch(std::time::Instant::now(), 3);
    }
    machine.run();
    if watched {
        marked(&machine, symbols);
    }
    let words = |(n, b): (usize, &Buffer)| match outside(b) {
        true => machine.words(n)[..inputs[n].len()].to_vec(),
        false => vec![],
    };
    program.buffers.iter().enumerate().map(words).collect()
}

/// Holds the native run to the interpreter's bits, for 1 to 4 threads.
pub fn same(program: &Program, inputs: &[Vec<u32>], symbols: &[u64]) {
    same_on(program, inputs, symbols, &[1, 2, 3, 4]);
}

pub fn same_on(program: &Program, inputs: &[Vec<u32>], symbols: &[u64], threads: &[usize]) {
    verify::verify(program).unwrap_or_else(|e| panic!("{e}\n{}", print(program)));
    let mut wanted = inputs.to_vec();
    eval::eval(program, &mut wanted, symbols).unwrap_or_else(|e| panic!("{e}\n{}", print(program)));
    for vectors in Vectors::available() {
        let options = Options { shared_work: Some(0), vectors, ..Options::default() };
        let watched = Options { watched: true, ..options };
        let compiled = compile(program, &options).unwrap_or_else(|e| panic!("{e:?}\n{}", print(program)));
        for &threads in threads {
            let got = native(program, &compiled, inputs, symbols, threads, false);
            let run = format!("with {vectors:?} on {threads} threads, {symbols:?}");
            hold(program, &got, &wanted, &run);
            if threads == 2 && Some(&vectors) == Vectors::available().last() {
                let compiled = compile(program, &watched).unwrap_or_else(|e| panic!("{e:?}\n{}", print(program)));
                hold(
                    program,
                    &native(program, &compiled, inputs, symbols, threads, true),
                    &wanted,
                    "while it is watched",
                );
            }
        }
    }
}

fn hold(program: &Program, got: &[Vec<u32>], wanted: &[Vec<u32>], run: &str) {
    for ((buffer, got), wanted) in program.buffers.iter().zip(got).zip(wanted) {
        for (i, (&g, &w)) in got.iter().zip(wanted).enumerate() {
            assert!(
                alike(buffer.dtype, g, w),
                "`{}`[{i}] is {g:#x} ({}), not {w:#x} ({}), {run}\n{}",
                buffer.name,
                f32::from_bits(g),
                f32::from_bits(w),
                print(program),
            );
        }
    }
}

/// Other kinds for the independent loops: the same meaning on another schedule.
pub fn reschedule(program: &Program, dice: &mut Dice) -> Program {
    fn walk(body: &mut [Stmt], dice: &mut Dice) {
        for stmt in body {
            if let Stmt::Loop(inner) = stmt {
                if matches!(inner.kind, LoopKind::Parallel { .. } | LoopKind::Vector { .. }) {
                    inner.kind = match dice.below(5) {
                        0 => LoopKind::Parallel { jam: 1 },
                        1 => LoopKind::Parallel { jam: 2 + dice.below(5) as u8 },
                        _ => LoopKind::Vector { width: dice.pick(&[4, 8, 12, 16]) },
                    };
                }
                walk(&mut inner.body, dice);
            }
        }
    }
    let mut out = program.clone();
    out.kernels.iter_mut().for_each(|k| walk(&mut k.body, dice));
    out
}

pub fn fixed(shape: &[u64]) -> Vec<Extent> {
    shape.iter().map(|&n| Extent::Fixed(n)).collect()
}

pub fn buffer(name: &str, dtype: DType, shape: Vec<Extent>) -> Buffer {
    Buffer { name: name.into(), dtype, shape, home: Home::Outside }
}
