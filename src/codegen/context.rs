//! What a native step function is called with.
//!
//! In: memory and numbers of one run. Out: the C layout that machine code reads. Invariant: the layout of [`Context`] is the
//! one whose offsets the code generator bakes in.

use super::watch::Watch;
use std::sync::atomic::{AtomicU64, Ordering};

/// The native function of a whole program. Every thread of a run calls it with its own context.
pub type Entry = unsafe extern "C" fn(*const Context);

/// Read-only to the machine code, but for the memory behind `buffers`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// The tables of the kernels, one behind the other: the pointer to the numbers of the symbols, then one to each buffer of
    /// [`super::table`], in its whole extent at the bound symbols.
    pub buffers: *const *mut u8,
    /// One number per symbol of the program.
    pub symbols: *const u64,
    /// This thread, from 0.
    pub thread: u64,
    /// The threads that run this call together; with 1, `barrier` is not called.
    pub threads: u64,
    /// Called by every thread between kernels that depend on each other.
    pub barrier: unsafe extern "C" fn(*const Barrier),
    pub meeting: *const Barrier,
    /// Called before and behind each kernel by the thread that runs it, where the step was compiled to be watched.
    pub mark: unsafe extern "C" fn(*const Watch, u64),
    /// Null where nobody watches.
    pub watch: *const Watch,
}

/// Where the threads of a run wait for each other.
#[derive(Debug, Default)]
pub struct Barrier {
    pub threads: u64,
    arrived: AtomicU64,
    phase: AtomicU64,
}

/// Turns of the waiting loop before the thread offers its core to others.
const SPINS: u32 = 4_000;

impl Barrier {
    pub fn new(threads: u64) -> Barrier {
        Barrier { threads, ..Barrier::default() }
    }

    /// Returns when all threads have called it; what they wrote before is then seen by all.
    pub fn wait(&self) {
        let phase = self.phase.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.threads {
            self.arrived.store(0, Ordering::Relaxed);
            self.phase.store(phase + 1, Ordering::Release);
            return;
        }
        let mut spins = 0;
        while self.phase.load(Ordering::Acquire) == phase {
            spins += 1;
            if spins < SPINS { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
    }
}

/// [`Barrier::wait`] for machine code.
///
/// # Safety
/// `barrier` points to a living barrier.
pub unsafe extern "C" fn meet(barrier: *const Barrier) {
    // SAFETY: a context's `meeting` points to a barrier that outlives the run (the machine owns it).
    unsafe { (*barrier).wait() }
}

/// [`Watch::mark`] for machine code.
///
/// # Safety
/// `watch` is null or points to a living watch that no other thread writes.
pub unsafe extern "C" fn mark(watch: *const Watch, code: u64) {
    // SAFETY: a context's `watch` is null or points to a watch that outlives the run (the machine owns one for each thread).
    if let Some(watch) = unsafe { watch.as_ref() } {
        watch.mark(code);
    }
}
