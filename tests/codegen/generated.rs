//! Generated graphs with gradients and updates, through every pass to machine code.

use super::run::{Dice, fill, reschedule, same_on};
use crate::loops::generated::training_step;
use nnc::driver::compile::lowered;

/// Graphs by seed; NNC_LONG=1 takes as many as the project promises.
fn seeds() -> std::ops::Range<u64> {
    0..if std::env::var_os("NNC_LONG").is_some() { 10_000 } else { 300 }
}

/// Ordinary numbers in half of the graphs; in the other half NaN, infinities, denormals and both zeros among them. The
/// schedule is the compiler's own, and in every fourth graph one by chance.
#[test]
fn the_machine_code_of_generated_training_steps_has_the_bits_of_the_interpreter() {
    for seed in seeds() {
        let mut dice = Dice(seed);
        let step = training_step(seed, 8 + seed as usize % 30);
        let batch = [5, 1, 16, 9][seed as usize / 4 % 4];
        let lowered = lowered(step, Some(batch)).unwrap_or_else(|e| panic!("seed {seed}: {}", e.message));
        let own = seed % 4 > 0;
        let program = if own { lowered.program } else { reschedule(&lowered.program, &mut dice) };
        let inputs = fill(&program, &[batch], &mut dice, 3, seed % 2 > 0);
        same_on(&program, &inputs, &[batch], &[1, 2]);
    }
}
