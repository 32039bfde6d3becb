//! How long the stages of a compilation take.
//!
//! In: the work of a stage. Out: its result, and when it began and ended. Invariant: the stages stand in the order in which
//! they ran; nothing that is computed depends on a time.

use std::time::{Duration, Instant};

/// The stages in the order of the compiler. `data` is the reading of data files, `first` the drawing of the first weights.
pub const STAGES: [&str; 12] =
    ["read", "parse", "check", "graph", "differentiate", "simplify", "fuse", "loops", "plan", "code", "data", "first"];

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lap {
    pub stage: &'static str,
    pub begin: Instant,
    pub end: Instant,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Times {
    pub laps: Vec<Lap>,
}

impl Times {
    pub fn lap<T>(&mut self, stage: &'static str, work: impl FnOnce() -> T) -> T {
        let begin = Instant::now();
        let done = work();
        self.laps.push(Lap { stage, begin, end: Instant::now() });
        done
    }

    pub fn add(&mut self, other: &Times) {
        self.laps.extend_from_slice(&other.laps);
    }

    /// The time of all laps of a stage.
    pub fn of(&self, stage: &str) -> Duration {
        self.laps.iter().filter(|l| l.stage == stage).map(|l| l.end - l.begin).sum()
    }

    /// From text to machine code: all stages but `data` and `first`.
    pub fn compiling(&self) -> Duration {
        STAGES.iter().filter(|s| !["data", "first"].contains(s)).map(|s| self.of(s)).sum()
    }
}
