//! Pieces of work at the same time.
//!
//! In: closures. Out: what they give, in order. Invariant: none sees whether another has ended, so results are the same as
//! one after the other.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Bytes of stack: enough for the deepest nesting that the parser accepts, whatever the shell's limit on the stack is.
pub const STACK: usize = 16 << 20;

/// Runs `first` on a thread of its own beside `second`; where the system has no more threads, after it.
pub fn both<A: Send, B>(first: impl FnOnce() -> A + Send, second: impl FnOnce() -> B) -> (A, B) {
    let first = Mutex::new(Some(first));
    let run = || {
        let work = first.lock().unwrap_or_else(PoisonError::into_inner).take();
        work.expect("invariant: it is run once")()
    };
    thread::scope(|scope| {
        let running = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, run);
        let second = second();
        let first = match running {
            Ok(running) => running.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Err(_) => run(),
        };
        (first, second)
    })
}

/// More threads than this are of no use to a compiler.
const MOST: usize = 16;

/// `work` on each number below `count`, on all cores, each with a `state` of its own; the results stand in order.
pub fn each<S, T: Send>(
    count: usize,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> T + Sync,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let run = || {
        let (mut own, mut done) = (state(), Vec::new());
        loop {
            match next.fetch_add(1, Ordering::Relaxed) {
                number if number < count => done.push((number, work(&mut own, number))),
                _ => return done,
            }
        }
    };
    let others = thread::available_parallelism().map_or(1, usize::from).min(MOST).min(count).saturating_sub(1);
    let mut all = thread::scope(|scope| {
        let spawn = |_| thread::Builder::new().stack_size(STACK).spawn_scoped(scope, run).ok();
        let running: Vec<_> = (0..others).map_while(spawn).collect();
        let mut all = run();
        running.into_iter().for_each(|r| all.extend(r.join().unwrap_or_else(|panic| resume_unwind(panic))));
        all
    });
    all.sort_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, result)| result).collect()
}
