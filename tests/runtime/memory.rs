//! The limit on memory: what a system's files say, and what a run that needs more is told.

use nnc::base::Span;
use nnc::loops::parse::parse;
use nnc::runtime::memory::{Budget, Part, limit_of};
use std::path::Path;

/// The limit where the system has these files.
fn limit(files: &[(&str, &str)]) -> u64 {
    limit_of(&|path: &Path| files.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| text.to_string()))
}

const MEMINFO: (&str, &str) = ("/proc/meminfo", "MemTotal:       1000 kB\nMemFree:        10 kB\n");

#[test]
fn the_limit_is_four_fifths_of_the_least_that_the_system_names() {
    assert_eq!(limit(&[]), u64::MAX);
    assert_eq!(limit(&[MEMINFO]), 819_200);
    let groups = ("/proc/self/cgroup", "9:name=systemd:/x\n4:cpu,memory:/a/b\n0::/c\n");
    let first = ("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "500\n");
    let second = ("/sys/fs/cgroup/c/memory.max", "400\n");
    assert_eq!(limit(&[MEMINFO, groups]), 819_200);
    assert_eq!(limit(&[MEMINFO, groups, first]), 400);
    assert_eq!(limit(&[MEMINFO, groups, first, second]), 320);
    assert_eq!(limit(&[MEMINFO, groups, ("/sys/fs/cgroup/memory.max", "max\n")]), 819_200);
}

/// Two tensors from outside and one in the arena.
const PROGRAM: &str = "program p(B)\nbuffer @x f32[B] outside\nbuffer @y f32[B] outside\nbuffer @z f32[B] arena 0 0\n";

#[test]
fn runs_that_live_at_once_share_the_limit_and_the_message_names_a_batch_that_fits() {
    let program = parse(PROGRAM).expect("the program parses");
    let part = |batch| [Part { program: &program, symbols: vec![batch] }];
    let mut budget = Budget::new(Some(30_000));
    budget.take(&part(1024), Span::default()).expect("12 KiB fit");
    budget.take(&part(1024), Span::default()).expect("24 KiB fit");
    let error = budget.take(&part(1024), Span::default()).unwrap_err();
    assert_eq!((error.code, error.exit_code()), ("E0803", 8));
    assert_eq!(error.message, "this run needs 12.0 KiB of memory, the limit is 29.3 KiB, 24.0 KiB are taken");
    assert_eq!(error.notes[1], "a batch of 256 fits, with 3.0 KiB: type `batch = 256`");
}
