//! What a step costs beside its arithmetic: no allocation, and one native call on each thread.
//!
//! In: models of the repository. Out: counts. Invariant: the counts are of a process in which nothing else runs, so they
//! hold for every thread of the step.

use nnc::driver::measure::{Mode, Stepper};
use nnc::driver::{Options, Session, commands};
use nnc::runtime::train::{Steps, Sum};
use safetensors::tensor::{Dtype, TensorView, serialize};
use std::alloc::{GlobalAlloc, Layout, System};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;
static COUNTS: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);

fn count() {
    if COUNTS.load(Ordering::Relaxed) {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps to the contract of `GlobalAlloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// The allocations of all threads while `work` runs.
fn allocations(work: impl FnOnce()) -> u64 {
    COUNT.store(0, Ordering::Relaxed);
    COUNTS.store(true, Ordering::SeqCst);
    work();
    COUNTS.store(false, Ordering::SeqCst);
    COUNT.load(Ordering::Relaxed)
}

pub fn session(model: &str, threads: usize, start: Option<PathBuf>) -> Session {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(model);
    let options = Options { threads, start, ..Options::default() };
    Session::load(&path, options).unwrap_or_else(|e| panic!("{}", e.message))
}

/// A batch without weights: those come from the initialisers.
fn batch(folder: &Path, rows: usize, width: usize, classes: usize) -> PathBuf {
    let x: Vec<u8> = (0..rows * width).flat_map(|i| ((i * 37 % 101) as f32 / 101.0).to_le_bytes()).collect();
    let y: Vec<u8> = (0..rows).flat_map(|i| ((i % classes) as i32).to_le_bytes()).collect();
    let x = TensorView::new(Dtype::F32, vec![rows, width], &x).unwrap();
    let y = TensorView::new(Dtype::I32, vec![rows], &y).unwrap();
    let path = folder.join(format!("{rows}x{width}.safetensors"));
    std::fs::write(&path, serialize([("batch.x", x), ("batch.y", y)], None).unwrap()).unwrap();
    path
}

/// Allocations and native calls of ten steps after the first.
fn ten_steps(stepper: &mut dyn Stepper) -> (u64, u64) {
    assert!(stepper.step().is_ok());
    let before = stepper.calls();
    let allocations = allocations(|| (0..10).for_each(|_| assert!(stepper.step().is_ok())));
    (allocations, stepper.calls() - before)
}

/// Set in the process that counts.
const ALONE: &str = "NNC_TEST_ALONE";

/// Whether nothing but this test of the runtime runs in the process. If not, it has passed in a process of its own.
pub fn alone(test: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let mut alone = Command::new(std::env::current_exe().unwrap());
    let out =
        alone.args(["--exact", &format!("runtime::{test}"), "--test-threads=1"]).env(ALONE, "1").output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&out.stderr));
    false
}

#[test]
fn a_step_after_the_first_allocates_nothing_and_is_one_native_call_per_thread() {
    if !alone("allocations::a_step_after_the_first_allocates_nothing_and_is_one_native_call_per_thread") {
        return;
    }
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
    let folder = tempfile::tempdir().unwrap();
    // The first is large enough to be shared among threads, the second is not.
    for (model, start, threads) in [
        ("bench/mlp.nn", batch(folder.path(), 64, 784, 10), 2),
        ("bench/mlp_tiny.nn", batch(folder.path(), 16, 4, 3), 1),
    ] {
        let session = session(model, 2, Some(start));
        for mode in [Mode::Train, Mode::Infer] {
            let mut stepper = commands::stepper(&session, mode, false).unwrap_or_else(|e| panic!("{}", e[0].message));
            assert_eq!(ten_steps(stepper.as_mut()), (0, 10 * threads), "{model} {mode:?}");
        }
    }
    let session = session("digits.nn", 2, None);
    let mut run = commands::prepare(&session, None).unwrap_or_else(|e| panic!("{}", e[0].message)).remove(0);
    let mut sums = vec![Sum::default(); run.steps.figures().len()];
    let mut both = |step: u64, rows: usize| {
        run.steps.train_step(&run.parts.train[..rows], step, &mut sums).unwrap();
        run.steps.evaluate(&run.parts.test[..rows], &mut sums).unwrap();
    };
    both(1, 32);
    // The last batch of an epoch is smaller.
    assert_eq!(allocations(|| [(2, 32), (3, 5), (4, 32)].into_iter().for_each(|(step, rows)| both(step, rows))), 0);
}

#[test]
fn a_step_has_the_arena_that_the_summary_names() {
    let folder = tempfile::tempdir().unwrap();
    // The second draws random numbers.
    for (model, rows) in [("bench/mlp.nn", 64), ("bench/autoencoder_kl.nn", 128)] {
        let session = session(model, 2, Some(batch(folder.path(), rows, 784, 10)));
        let stepper = commands::stepper(&session, Mode::Train, false).unwrap_or_else(|e| panic!("{}", e[0].message));
        let planned = commands::summary(&session, None).unwrap_or_else(|e| panic!("{}", e[0].message));
        assert_eq!(stepper.engine().arena_bytes(), planned[0].arena_bytes, "{model}");
    }
}
