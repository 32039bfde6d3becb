//! Our results beside PyTorch's: operators, losses, optimizers and whole training runs.
//!
//! In: a folder of reference cases (`index.json` and one safetensors file a case; `tests/golden`, or the folder in
//! `NNC_GOLDEN`). Out: one line with the counts, and the names of what was skipped. Invariant: a case is described by its
//! operator and attributes alone; nothing here knows the name of a case.

mod build;
mod compare;
mod file;
mod machine;
mod model;
mod recurrent;
mod table;

use compare::Differences;
use file::Case;
use std::io::Write;
use std::path::PathBuf;

/// What came of a case.
pub enum Outcome {
    Compared(Differences),
    /// The language has no name for this operator or attribute yet.
    Skipped(String),
}

fn folder() -> PathBuf {
    match std::env::var_os("NNC_GOLDEN") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden"),
    }
}

fn run(case: &Case) -> Result<Outcome, String> {
    match case.group.as_str() {
        "op" if recurrent::is_one(case) => recurrent::operator(case),
        "op" => build::operator(case),
        "optimizer" => build::optimizer(case),
        "model" => model::training(case),
        other => Ok(Outcome::Skipped(format!("no group `{other}`"))),
    }
}

#[test]
fn golden() {
    let cases = file::read(&folder()).expect("the reference cases can be read");
    assert!(!cases.is_empty(), "the folder has cases");
    let (mut passed, mut failed, mut skipped) = (0, Vec::new(), Vec::new());
    for case in &cases {
        match run(case) {
            Ok(Outcome::Compared(differences)) if differences.failed.is_empty() => passed += 1,
            Ok(Outcome::Compared(differences)) => {
                failed.extend(differences.failed.iter().map(|d| format!("{}: {d}", case.name)).take(1))
            }
            Ok(Outcome::Skipped(why)) => skipped.push(format!("{} ({why})", case.name)),
            Err(why) => failed.push(format!("{}: {why}", case.name)),
        }
    }
    let mut out = std::io::stdout();
    let mut text = format!("golden: {passed} passed, {} failed, {} skipped\n", failed.len(), skipped.len());
    skipped.iter().for_each(|name| text.push_str(&format!("{name}\n")));
    out.write_all(text.as_bytes()).expect("stdout is there");
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
