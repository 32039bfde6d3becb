//! What a step costs the memory manager: nothing, once all pages that it touches are there.
//!
//! In: a model of the repository. Out: page faults without input or output, as Linux counts them. Invariant: the counts are of a
//! process in which nothing else runs; they are those of all its threads.

use super::allocations::{alone, session};
use nnc::driver::commands;
use nnc::driver::measure::Mode;
use std::fs::File;
use std::io::Read;

/// The minor faults of the process so far: field 10 of its `stat`. Allocates nothing, so that it does not count itself.
fn faults() -> u64 {
    let mut bytes = [0; 1024];
    let length = File::open("/proc/self/stat").unwrap().read(&mut bytes).unwrap();
    let stat = std::str::from_utf8(&bytes[..length]).unwrap();
    // The second field is the program's name in brackets and may hold blanks; field 10 is the eighth after it.
    stat.rsplit_once(')').unwrap().1.split_whitespace().nth(7).unwrap().parse().unwrap()
}

#[test]
fn a_step_after_the_tenth_faults_on_no_page() {
    if !alone("faults::a_step_after_the_tenth_faults_on_no_page") {
        return;
    }
    let before = faults();
    let fresh = std::hint::black_box(vec![1u8; 8 << 20]);
    assert!(faults() > before, "the system counts the pages of {} new bytes", fresh.len());
    for threads in [1, 2] {
        let session = session("bench/lenet.nn", threads, None);
        for mode in [Mode::Train, Mode::Infer] {
            let mut stepper = commands::stepper(&session, mode, false).unwrap_or_else(|e| panic!("{}", e[0].message));
            (0..10).for_each(|_| assert!(stepper.step().is_ok()));
            let (before, calls) = (faults(), stepper.calls());
            (0..50).for_each(|_| assert!(stepper.step().is_ok()));
            let after = faults();
            assert_eq!(stepper.calls() - calls, 50 * threads as u64, "it runs on as many threads as wished for");
            assert_eq!(after - before, 0, "{mode:?} on {threads} threads");
        }
    }
}
