//! Two pieces of work at the same time.
//!
//! In: two closures. Out: what they give. Invariant: neither sees whether the other has ended, so results are the same as
//! one after the other.

use std::panic::resume_unwind;
use std::thread;

/// Bytes of stack: enough for the deepest nesting that the parser accepts, whatever the shell's limit on the stack is.
pub const STACK: usize = 16 << 20;

/// Runs `first` on a thread of its own beside `second`; where the system has no more threads, the `whole` of it here.
pub fn both<A: Send, B>(first: impl Fn() -> A + Sync, second: impl FnOnce() -> B) -> (A, B) {
    thread::scope(|scope| match thread::Builder::new().stack_size(STACK).spawn_scoped(scope, &first) {
        Ok(running) => {
            let second = second();
            (running.join().unwrap_or_else(|panic| resume_unwind(panic)), second)
        }
        Err(_) => (first(), second()),
    })
}
