//! When the kernels of a step run.
//!
//! In: marks from a step function that was compiled to be watched. Out: per kernel its calls and its time, and the first runs
//! one by one. Invariant: a mark allocates nothing and touches no number of the step; one thread writes a watch.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

/// One run of a kernel on one thread, in nanoseconds since the watch's origin. The number behind the last kernel's stands for
/// a whole step, from its first kernel to the end of its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ran {
    pub kernel: usize,
    pub begin: u64,
    pub end: u64,
}

/// What a kernel took on one thread, waiting for the other threads behind it included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    pub calls: u64,
    pub nanos: u64,
    /// The nanoseconds in the step in which it took the least.
    pub least: u64,
}

#[derive(Default)]
struct Account {
    calls: AtomicU64,
    nanos: AtomicU64,
    least: AtomicU64,
    /// Of the present step.
    step: AtomicU64,
}

/// The marks of one thread. Atomics, so that it may stand between threads; each is written by its own thread alone.
pub struct Watch {
    origin: Instant,
    accounts: Vec<Account>,
    ran: Vec<[AtomicU64; 3]>,
    filled: AtomicUsize,
    /// The kernel of the last mark, from 1; 0 before the first of a step.
    last: AtomicUsize,
    begin: AtomicU64,
    end: AtomicU64,
    /// When the present step began, and the steps so far.
    first: AtomicU64,
    steps: AtomicU64,
    /// Nanoseconds that a look at the clock takes: what lies between two marks in a row.
    look: u64,
}

impl Watch {
    /// For a program of so many kernels; keeps the first `room` runs.
    pub fn new(origin: Instant, kernels: usize, room: usize) -> Watch {
        let pair = || {
            let first = Instant::now();
            first.elapsed().as_nanos() as u64
        };
        let account = || Account { least: AtomicU64::new(u64::MAX), ..Account::default() };
        Watch {
            origin,
            accounts: (0..kernels).map(|_| account()).collect(),
            ran: (0..room).map(|_| Default::default()).collect(),
            filled: AtomicUsize::new(0),
            last: AtomicUsize::new(0),
            begin: AtomicU64::new(0),
            end: AtomicU64::new(0),
            first: AtomicU64::new(0),
            steps: AtomicU64::new(0),
            look: (0..64).map(|_| pair()).min().unwrap_or(0),
        }
    }

    fn now(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }

    /// A kernel begins. The time since the last one ended is what that one made its thread wait.
    fn begin(&self, kernel: usize) {
        let now = self.now();
        if self.last.load(Relaxed) == 0 {
            self.first.store(now, Relaxed);
        }
        self.close(now);
        self.last.store(kernel + 1, Relaxed);
        self.begin.store(now, Relaxed);
    }

    fn end(&self, kernel: usize) {
        let now = self.now();
        self.end.store(now, Relaxed);
        let begin = self.begin.load(Relaxed);
        self.charge(kernel, (now - begin).saturating_sub(self.look));
        add(&self.accounts[kernel].calls, 1);
        self.keep(kernel, begin, now);
    }

    fn keep(&self, kernel: usize, begin: u64, end: u64) {
        let place = self.filled.load(Relaxed);
        if let Some(ran) = self.ran.get(place) {
            ran.iter().zip([kernel as u64, begin, end]).for_each(|(to, value)| to.store(value, Relaxed));
            self.filled.store(place + 1, Relaxed);
        }
    }

    fn close(&self, now: u64) {
        if let Some(kernel) = self.last.load(Relaxed).checked_sub(1) {
            self.charge(kernel, (now - self.end.load(Relaxed)).saturating_sub(self.look));
        }
    }

    fn charge(&self, kernel: usize, nanos: u64) {
        add(&self.accounts[kernel].nanos, nanos);
        add(&self.accounts[kernel].step, nanos);
    }

    /// The step is over on all threads.
    pub fn step(&self) {
        let now = self.now();
        if self.last.load(Relaxed) > 0 {
            self.close(now);
            self.keep(self.accounts.len(), self.first.load(Relaxed), self.end.load(Relaxed));
        }
        add(&self.steps, 1);
        self.last.store(0, Relaxed);
        for account in &self.accounts {
            let step = account.step.swap(0, Relaxed);
            account.least.fetch_min(step, Relaxed);
        }
    }

    pub fn steps(&self) -> u64 {
        self.steps.load(Relaxed)
    }

    /// Per kernel what it took in all steps so far.
    pub fn taken(&self) -> Vec<Taken> {
        let taken = |a: &Account| {
            let calls = a.calls.load(Relaxed);
            let least = if calls == 0 { 0 } else { a.least.load(Relaxed) };
            Taken { calls, nanos: a.nanos.load(Relaxed), least }
        };
        self.accounts.iter().map(taken).collect()
    }

    /// The first runs, in order.
    pub fn ran(&self) -> Vec<Ran> {
        let ran = |[kernel, begin, end]: &[AtomicU64; 3]| Ran {
            kernel: kernel.load(Relaxed) as usize,
            begin: begin.load(Relaxed),
            end: end.load(Relaxed),
        };
        self.ran[..self.filled.load(Relaxed)].iter().map(ran).collect()
    }

    /// From machine code: twice the number of the kernel, and 1 where it ends.
    pub(super) fn mark(&self, code: u64) {
        let kernel = (code / 2) as usize;
        if code.is_multiple_of(2) { self.begin(kernel) } else { self.end(kernel) }
    }
}

/// One thread writes, so reading and writing apart loses nothing.
fn add(to: &AtomicU64, what: u64) {
    to.store(to.load(Relaxed).wrapping_add(what), Relaxed);
}
