//! How long the stages of a compilation take.
//!
//! In: the work of a stage. Out: its result, and when it began and ended. Invariant: stages of several programs may run at the
//! same time; nothing that is computed depends on a time.

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

    /// From text to machine code: the time in which at least one stage ran, all but `data` and `first`.
    pub fn compiling(&self) -> Duration {
        let compiles = |l: &&Lap| !["data", "first"].contains(&l.stage);
        let mut laps: Vec<&Lap> = self.laps.iter().filter(compiles).collect();
        laps.sort_by_key(|l| l.begin);
        let (mut all, mut until) = (Duration::ZERO, None);
        for lap in laps {
            let from = until.map_or(lap.begin, |until: Instant| until.max(lap.begin));
            all += lap.end.saturating_duration_since(from);
            until = Some(from.max(lap.end));
        }
        all
    }
}
