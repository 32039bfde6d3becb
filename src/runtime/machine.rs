//! A compiled program with its memory and its threads.
//!
//! In: an entry point, the program's buffers, a memory plan, numbers for the symbols. Out: one native call per step and thread,
//! and the contents of buffers. Invariant: nothing is allocated while a step runs; every pointer given to the machine code
//! covers its buffer's whole extent at the bound symbols.

use crate::base::Diagnostic;
use crate::base::shape::display_bytes;
use crate::codegen;
use crate::codegen::context::{Barrier, Context, Entry, mark, meet};
use crate::codegen::watch::Watch;
use crate::loops::ir::{Home, Program};
use crate::loops::plan;
use std::alloc::Layout;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, Thread};
use std::time::Instant;

/// Memory in whole cache lines, zero at first. The machine code writes through its pointer.
pub struct Memory {
    lines: *mut Line,
    count: usize,
    /// What was allocated: the system's own zeros, which it makes when they are first touched, by whichever thread does.
    block: *mut u8,
    layout: Layout,
}

#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Line([u32; 16]);

const LINE: usize = size_of::<Line>();

impl Memory {
    /// At least `bytes` bytes, or E0803. In `large` pages a step is faster, and the first one begins later.
    pub fn new(bytes: u64, large: bool) -> Result<Memory, Diagnostic> {
        let lacking =
            || Diagnostic::plain("E0803", format!("{} of memory are needed, more than there is", display_bytes(bytes)));
        let count = usize::try_from(bytes.div_ceil(LINE as u64)).map_err(|_| lacking())?.max(1);
        // One line more, to begin at a line: a larger alignment would have the allocator write the zeros itself.
        let size = count.checked_add(1).and_then(|n| n.checked_mul(LINE)).ok_or_else(lacking)?;
        let layout = Layout::from_size_align(size, align_of::<u32>()).map_err(|_| lacking())?;
        // SAFETY: the size is not zero.
        let block = unsafe { std::alloc::alloc_zeroed(layout) };
        if block.is_null() {
            return Err(lacking());
        }
        if large {
            large_pages(block, size);
        }
        let lines = block.wrapping_add(block.align_offset(LINE)).cast();
        Ok(Memory { lines, count, block, layout })
    }

    fn pointer(&self) -> *mut u8 {
        self.lines.cast()
    }

    /// The contents as 32-bit words. No step runs while a borrow lives: running takes the machine mutably.
    pub fn words(&self) -> &[u32] {
        // SAFETY: `lines` points to `count` lines of 16 words each inside the block, which is zero at first and owned by `self`.
        unsafe { std::slice::from_raw_parts(self.lines.cast(), self.count * 16) }
    }

    pub fn write(&self, at: usize, words: &[u32]) {
        assert!(at + words.len() <= self.count * 16, "invariant broken: a write stays in its buffer");
        // SAFETY: the range was checked; callers hold no borrow of `words()` across a write (all are on one thread,
        // and borrows end with the expression that makes them).
        unsafe { std::ptr::copy_nonoverlapping(words.as_ptr(), self.lines.cast::<u32>().add(at), words.len()) }
    }
}

/// Asks the system to map a large block in pages of 2 MiB: a step that walks over hundreds of megabytes then finds their places
/// in the processor's own table. It is advice; a system without such pages maps small ones.
fn large_pages(block: *mut u8, size: usize) {
    const PAGE: usize = 2 << 20;
    #[cfg(target_os = "linux")]
    if size >= 4 * PAGE {
        unsafe extern "C" {
            fn madvise(address: *mut u8, length: usize, advice: i32) -> i32;
        }
        const HUGE: i32 = 14;
        let before = block.align_offset(PAGE);
        // SAFETY: the range lies in the block, and this advice changes no content.
        unsafe { madvise(block.wrapping_add(before), (size - before) / PAGE * PAGE, HUGE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (block, size, PAGE);
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: `new` allocated the block with this layout, and nothing else frees it.
        unsafe { std::alloc::dealloc(self.block, self.layout) }
    }
}

/// What the machines of a run share: tensors from outside by name, and the code of kernels that are alike.
#[derive(Default)]
pub struct Store {
    pub code: codegen::Cache,
    tensors: BTreeMap<(String, u64), Rc<Memory>>,
}

impl Store {
    fn tensor(&mut self, name: &str, bytes: u64, large: bool) -> Result<Rc<Memory>, Diagnostic> {
        if let Some(found) = self.tensors.get(&(name.to_string(), bytes)) {
            return Ok(found.clone());
        }
        let made = Rc::new(Memory::new(bytes, large)?);
        self.tensors.insert((name.to_string(), bytes), made.clone());
        Ok(made)
    }
}

/// A program that can step.
pub struct Machine {
    entry: Entry,
    program: Rc<Program>,
    outside: Vec<Option<Rc<Memory>>>,
    _arena: Memory,
    /// The tables of the kernels.
    pointers: Vec<*mut u8>,
    /// Atomics, because the tables point to them; no step runs while they change.
    symbols: Vec<AtomicU64>,
    most: Vec<u64>,
    pool: Pool,
    /// The bytes of the arena, as planned.
    pub arena_bytes: u64,
}

impl Machine {
    /// Memory for at most `symbols`, in `large` pages or not; outside tensors come from `store`.
    ///
    /// `entry` must be the machine code of `program`, alive as long as the machine.
    pub fn new(
        entry: Entry,
        program: Rc<Program>,
        symbols: &[u64],
        (threads, large): (usize, bool),
        store: &mut Store,
    ) -> Result<Machine, Diagnostic> {
        let plan = plan::plan(&program, symbols)?;
        let arena = Memory::new(plan.arena_bytes, large)?;
        let (mut outside, mut places) = (Vec::new(), Vec::new());
        for (i, buffer) in program.buffers.iter().enumerate() {
            match (&buffer.home, plan.offsets[i]) {
                (Home::Arena { .. }, Some(offset)) => {
                    outside.push(None);
                    places.push(arena.pointer().wrapping_add(offset as usize));
                }
                _ => {
                    let memory = store.tensor(&buffer.name, plan.sizes[i], large)?;
                    places.push(memory.pointer());
                    outside.push(Some(memory));
                }
            }
        }
        let pool = Pool::new(threads.max(1), vec![]);
        let most = symbols.to_vec();
        let symbols: Vec<AtomicU64> = symbols.iter().map(|&s| AtomicU64::new(s)).collect();
        let mut pointers = Vec::new();
        for kernel in &program.kernels {
            pointers.push(symbols.as_ptr().cast_mut().cast());
            pointers.extend(codegen::table(kernel).into_iter().map(|b| places[b.0 as usize]));
        }
        let arena_bytes = plan.arena_bytes;
        Ok(Machine { entry, program, outside, _arena: arena, pointers, symbols, most, pool, arena_bytes })
    }

    /// The buffer from outside of this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        let mut all = self.program.buffers.iter().enumerate();
        all.find(|(i, b)| b.name == name && self.outside[*i].is_some()).map(|(i, _)| i)
    }

    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Native calls so far, those of all threads together.
    pub fn calls(&self) -> u64 {
        self.pool.calls + self.pool.shared.done.load(Ordering::Acquire)
    }

    fn memory(&self, buffer: usize) -> &Memory {
        self.outside[buffer].as_ref().unwrap_or_else(|| panic!("invariant broken: buffer {buffer} is from outside"))
    }

    pub fn words(&self, buffer: usize) -> &[u32] {
        self.memory(buffer).words()
    }

    pub fn write(&mut self, buffer: usize, words: &[u32]) {
        self.memory(buffer).write(0, words);
    }

    /// Other numbers for the symbols, none larger than at first.
    pub fn bind(&mut self, symbols: &[u64]) {
        let fits = symbols.len() == self.most.len() && symbols.iter().zip(&self.most).all(|(s, m)| s <= m);
        assert!(fits, "invariant broken: symbols {symbols:?} fit into {:?}", self.most);
        self.symbols.iter().zip(symbols).for_each(|(own, &s)| own.store(s, Ordering::Relaxed));
    }

    /// Looks at the clock at every mark of a step that was compiled to be watched; each thread keeps its first `room` runs
    /// of kernels.
    pub fn watch(&mut self, origin: Instant, room: usize) {
        let (threads, kernels) = (self.pool.workers.len() + 1, self.program.kernels.len());
        let watches = (0..threads).map(|_| Watch::new(origin, kernels, room)).collect();
        self.pool = Pool::new(threads, watches);
    }

    /// One watch for each thread, the first that of the thread that runs the steps; none where nobody watches.
    pub fn watches(&self) -> &[Watch] {
        &self.pool.shared.watches
    }

    /// The numbers that there is memory for: those of a whole batch.
    pub fn most(&self) -> &[u64] {
        &self.most
    }

    /// The bytes of all that a step can touch: the arena and what is bound from outside.
    pub fn bytes(&self) -> u64 {
        self.arena_bytes + self.outside.iter().flatten().map(|m| 64 * m.count as u64).sum::<u64>()
    }

    /// One step: one native call on every thread.
    pub fn run(&mut self) {
        let job = Job { entry: self.entry, buffers: self.pointers.as_ptr(), symbols: self.symbols.as_ptr().cast() };
        self.pool.run(job);
    }
}

/// What the threads of a step share.
#[derive(Clone, Copy)]
struct Job {
    entry: Entry,
    buffers: *const *mut u8,
    symbols: *const u64,
}

struct Shared {
    job: Mutex<Option<Job>>,
    /// The number of the step; a worker runs when it grows.
    turn: AtomicU64,
    /// The native calls from which workers have returned, of all steps.
    done: AtomicU64,
    closing: AtomicBool,
    barrier: Barrier,
    parked: Vec<AtomicBool>,
    watches: Vec<Watch>,
}

// SAFETY: a job's pointers are dereferenced only between `turn` growing and `done` growing by the number of workers; in that
// time the machine that owns the memory is borrowed by `run`.
unsafe impl Send for Shared {}
// SAFETY: as above; all other fields are Sync by themselves.
unsafe impl Sync for Shared {}

/// Worker threads that spin through a step and park between steps.
struct Pool {
    shared: Arc<Shared>,
    workers: Vec<(Thread, JoinHandle<()>)>,
    /// The native calls of the thread that runs the steps.
    calls: u64,
}

/// Turns of the waiting loop before a worker parks: some tens of microseconds, longer than the gap between two steps.
const SPINS: u32 = 50_000;

impl Pool {
    fn new(threads: usize, watches: Vec<Watch>) -> Pool {
        let parked = (0..threads).map(|_| AtomicBool::new(false)).collect();
        let shared = Arc::new(Shared {
            job: Mutex::new(None),
            turn: AtomicU64::new(0),
            done: AtomicU64::new(0),
            closing: AtomicBool::new(false),
            barrier: Barrier::new(threads as u64),
            parked,
            watches,
        });
        let mut workers = Vec::new();
        for thread in 1..threads {
            let own = shared.clone();
            let spawned = std::thread::Builder::new().stack_size(1 << 20).spawn(move || work(&own, thread));
            match spawned {
                Ok(handle) => workers.push((handle.thread().clone(), handle)),
                Err(_) => break,
            }
        }
        if workers.len() + 1 < threads {
            // Fewer threads than wished for: the step runs on one, with the same bits.
            shared.closing.store(true, Ordering::Release);
            workers.drain(..).for_each(|(t, h)| {
                t.unpark();
                let _ = h.join();
            });
        }
        Pool { shared, workers, calls: 0 }
    }

    fn run(&mut self, job: Job) {
        let workers = self.workers.len() as u64;
        let all_done = self.shared.done.load(Ordering::Relaxed) + workers;
        if workers > 0 {
            *self.shared.job.lock().unwrap_or_else(|e| e.into_inner()) = Some(job);
            self.shared.turn.fetch_add(1, Ordering::SeqCst);
            for (i, (thread, _)) in self.workers.iter().enumerate() {
                if self.shared.parked[i + 1].load(Ordering::SeqCst) {
                    thread.unpark();
                }
            }
        }
        call(&job, 0, workers + 1, &self.shared);
        self.calls += 1;
        let mut spins = 0u32;
        while self.shared.done.load(Ordering::Acquire) < all_done {
            spins += 1;
            if spins < SPINS { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
        self.shared.watches.iter().for_each(Watch::step);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        for (thread, handle) in self.workers.drain(..) {
            thread.unpark();
            let _ = handle.join();
        }
    }
}

fn call(job: &Job, thread: u64, threads: u64, shared: &Shared) {
    let (buffers, symbols) = (job.buffers, job.symbols);
    let watch = shared.watches.get(thread as usize).map_or(std::ptr::null(), std::ptr::from_ref);
    let context = Context { buffers, symbols, thread, threads, barrier: meet, meeting: &shared.barrier, mark, watch };
    // SAFETY: the program was verified (every access lies in its buffer at the bound symbols), the pointers cover their
    // buffers by the plan, and indices from data are checked where data is bound.
    unsafe { (job.entry)(&context) }
}

fn work(shared: &Shared, thread: usize) {
    let (mut seen, mut spins) = (0, 0u32);
    while !shared.closing.load(Ordering::Acquire) {
        let turn = shared.turn.load(Ordering::Acquire);
        if turn == seen {
            spins += 1;
            if spins < SPINS {
                std::hint::spin_loop();
                continue;
            }
            shared.parked[thread].store(true, Ordering::SeqCst);
            // The step may have begun between the last look and this store: look again before sleeping.
            if shared.turn.load(Ordering::SeqCst) == seen && !shared.closing.load(Ordering::SeqCst) {
                std::thread::park();
            }
            shared.parked[thread].store(false, Ordering::SeqCst);
            spins = 0;
            continue;
        }
        (seen, spins) = (turn, 0);
        let job = *shared.job.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(job) = job {
            call(&job, thread as u64, shared.barrier.threads, shared);
        }
        shared.done.fetch_add(1, Ordering::Release);
    }
}
