//! The program `nnc`.
//!
//! In: the arguments. Out: an exit code. Invariant: a broken invariant of ours ends with exit code 70 and says that it is
//! our mistake; no other code is a panic's.

use std::io::Write;
use std::time::Instant;

fn main() {
    let began = Instant::now();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or(String::new(), |l| format!(" at {}:{}", l.file(), l.line()));
        let text = panic.payload_as_str().unwrap_or("no message");
        let report = "this is a mistake in nnc, not in your file; please report it with the file and this text";
        let _ = writeln!(std::io::stderr(), "internal error{place}: {text}\n{report}");
    }));
    let work = move || nnc::cli::main(std::env::args_os().collect(), began);
    let code = match std::thread::Builder::new().stack_size(nnc::base::both::STACK).spawn(work) {
        Ok(thread) => thread.join().unwrap_or(70),
        Err(_) => std::panic::catch_unwind(work).unwrap_or(70),
    };
    std::process::exit(code);
}
