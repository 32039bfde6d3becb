//! What the machine can do at most: arithmetic and memory, measured by kernels of our own.
//!
//! In: a device. Out: a [`Roof`]. Invariant: the kernels are loops like any model's, through the same code generator; only
//! monotonic time is used.

use super::engine::Device;
use crate::base::Diagnostic;
use crate::codegen::{self, compile};
use crate::loops::ir::Program;
use crate::loops::parse::parse;
use crate::runtime::machine::{Machine, Store};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Products of blocks that lie in the first-level cache, and multiplications that read nothing: whichever is faster.
const ARITHMETIC: [&str; 2] = [
    "program product(R)
buffer @a f32[24, 128] outside
buffer @b f32[128, 32] outside
buffer @c f32[R, 24, 32] outside

kernel product {
  %0 = const f32 0.0
  parallel i0 < R {
    parallel(8) i1 < 24 {
      vector(32) i2 < 32 {
        serial i3 < 128 carry %5 = dot %0 as %1 to %4 {
          %2 = load @a[i1, i3]
          %3 = load @b[i3, i2]
          %4 = fma %2, %3, %1
        }
        store @c[i0, i1, i2] = %5
      }
    }
  }
}
",
    "program registers(R)
buffer @a f32[24, 32] outside
buffer @c f32[R, 24, 32] outside

kernel registers {
  %2 = const f32 0.5
  %3 = const f32 0.25
  parallel i0 < R {
    parallel(8) i1 < 24 {
      vector(32) i2 < 32 {
        %0 = load @a[i1, i2]
        serial i3 < 128 carry %5 = sum %0 as %1 to %4 {
          %4 = fma %1, %2, %3
        }
        store @c[i0, i1, i2] = %5
      }
    }
  }
}
",
];
/// Operations of one row of [`ARITHMETIC`].
const OPERATIONS: u64 = 2 * 24 * 32 * 128;
const ROWS: u64 = 256;

/// Two numbers read and one written; the whole is gone through R times in one native call.
const MEMORY: &str = "program memory(S, R)
buffer @x f32[S, 1024] outside
buffer @y f32[S, 1024] outside

steps 0 < R forward {

  kernel memory {
    %0 = const f32 0.5
    parallel i0 < S {
      vector(16) i1 < 1024 {
        %1 = load @x[i0, i1]
        %2 = load @y[i0, i1]
        %3 = fma %1, %0, %2
        store @y[i0, i1] = %3
      }
    }
  }
}
";
/// Bytes of a row of both arrays, and bytes that a pass over it moves.
const ROW: u64 = 2 * 4 * 1024;
const MOVED: u64 = 3 * 4 * 1024;
/// Rows of the arrays, and passes over them in one call: 16 KiB, 512 KiB, 8 MiB, 64 MiB, 256 MiB.
const SIZES: [(u64, u64); 5] = [(2, 4096), (64, 128), (1024, 8), (8192, 1), (32768, 1)];

/// How long each kernel is repeated.
const LONG: Duration = Duration::from_millis(150);

/// What was measured, all threads together.
#[derive(Clone, Debug, PartialEq)]
pub struct Roof {
    pub threads: usize,
    /// Operations in a second, a multiplication with its addition as two.
    pub flops: f64,
    /// Per size of what is gone through, in bytes, the bytes that are moved in a second; sizes grow.
    pub memory: Vec<(u64, f64)>,
}

impl Roof {
    /// Errors: E0901 where the machine cannot run native steps, E0803 without 256 MiB of memory.
    pub fn measure(device: Device) -> Result<Roof, Diagnostic> {
        let mut flops = 0f64;
        for text in ARITHMETIC {
            let seconds = least(program(text), &[ROWS], device)?;
            flops = flops.max((OPERATIONS * ROWS) as f64 / seconds);
        }
        let mut memory = Vec::new();
        for (rows, passes) in SIZES {
            let seconds = least(program(MEMORY), &[rows, passes], device)?;
            memory.push((rows * ROW, (rows * passes * MOVED) as f64 / seconds));
        }
        Ok(Roof { threads: device.threads, flops, memory })
    }

    /// Bytes in a second for something that goes through `size` bytes again and again: what fits into a cache is no slower
    /// than what does not.
    pub fn bandwidth(&self, size: u64) -> f64 {
        let largest = self.memory.last().map_or(0, |(bytes, _)| *bytes);
        let fits = self.memory.iter().filter(|(bytes, _)| *bytes >= size.min(largest));
        fits.map(|(_, rate)| *rate).fold(f64::MIN_POSITIVE, f64::max)
    }

    /// The least time for so many operations on so many bytes, wherever these lie: the roofline.
    pub fn seconds(&self, flops: u64, moved: u64) -> f64 {
        (flops as f64 / self.flops).max(moved as f64 / self.bandwidth(moved))
    }
}

fn program(text: &str) -> Program {
    parse(text).unwrap_or_else(|why| panic!("invariant broken: the kernels that measure are loops: {why}"))
}

/// The least seconds of one native call.
fn least(program: Program, symbols: &[u64], device: Device) -> Result<f64, Diagnostic> {
    let options = codegen::Options { vectors: device.vectors, ..codegen::Options::default() };
    let (code, program) = (compile(&program, &options)?, Rc::new(program));
    let mut machine =
        Machine::new(code.entry(), program.clone(), symbols, (device.threads, true), &mut Store::default())?;
    // Pages that were never written are all the same one.
    for buffer in 0..program.buffers.len() {
        let ones = vec![1f32.to_bits(); machine.words(buffer).len()];
        machine.write(buffer, &ones);
    }
    machine.run();
    let (begun, mut least) = (Instant::now(), f64::INFINITY);
    while begun.elapsed() < LONG {
        let start = Instant::now();
        machine.run();
        least = least.min(start.elapsed().as_secs_f64());
    }
    Ok(least)
}
