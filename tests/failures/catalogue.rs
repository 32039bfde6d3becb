//! The catalogue of bad input: every case through the command, with its number.
//!
//! In: the tables `source`, `shapes`, `data` and `files`. Out: the cases whose exit code, code, place, cause or way out is another.
//! Invariant: no input ends the program with a panic, an abort or a segmentation fault; every number of [`numbers`] has a
//! case.

use super::{data, files, shapes, source};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One input and what it must get.
pub struct Case {
    /// `S1`, `T5`, `D14`.
    pub number: &'static str,
    /// Beside `m.nn`, or in its place.
    pub files: Vec<(String, Vec<u8>)>,
    /// Behind `nnc`; the folder of the files is the current one.
    pub args: Vec<&'static str>,
    pub exit: i32,
    /// Fragments of what is shown: code, place, cause, way out.
    pub says: Vec<&'static str>,
    /// Links, pipes and folders that are made before.
    pub prepare: Option<fn(&Path)>,
}

/// `nnc check m.nn`, where `m.nn` is this text.
pub fn check(number: &'static str, exit: i32, says: &[&'static str], text: impl AsRef<[u8]>) -> Case {
    run(number, exit, says, &["check", "m.nn"], &[("m.nn", text.as_ref())])
}

pub fn run(
    number: &'static str,
    exit: i32,
    says: &[&'static str],
    args: &[&'static str],
    files: &[(&str, &[u8])],
) -> Case {
    let files = files.iter().map(|(name, bytes)| (name.to_string(), bytes.to_vec())).collect();
    Case { number, files, args: args.to_vec(), exit, says: says.to_vec(), prepare: None }
}

/// A whole file around the body of a model of 6 numbers and 3 classes.
pub fn model(body: &str) -> String {
    format!(
        "data d = given {{ x: [6]; y: class(3) }}\nmodel m  x: [6] -> logits[3] {{\n  {body}\n}}\ntrain m on d {{\n  \
         loss = cross_entropy\n  optimizer = adam(lr = 0.01)\n  stop = 3 epochs\n}}\n"
    )
}

fn numbers() -> Vec<String> {
    let all = (1..=28).map(|n| format!("S{n}")).chain((1..=17).map(|n| format!("T{n}")));
    all.chain((1..=19).map(|n| format!("D{n}"))).collect()
}

/// Why the case fails, if it does.
fn wrong(case: &Case) -> Option<String> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in &case.files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder can be made");
        fs::write(path, bytes).expect("a file can be written");
    }
    if let Some(prepare) = case.prepare {
        prepare(folder.path());
    }
    // The address space of the program is bounded: what is refused must not be allocated first.
    let script = "ulimit -v 1400000; exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_nnc")]).args(&case.args).current_dir(folder.path());
    let output = command.env("NNC_THREADS", "1").stdin(Stdio::null()).output().expect("nnc starts");
    let shown = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let lacking: Vec<&&str> = case.says.iter().filter(|s| !shown.contains(**s)).collect();
    let code = output.status.code();
    let longest = shown.lines().map(|l| l.chars().count()).max().unwrap_or(0);
    if code == Some(case.exit) && lacking.is_empty() && longest < 400 {
        return None;
    }
    let cut: String = shown.chars().take(2000).collect();
    Some(format!("--- {} {:?}: exit {code:?}, not {}; lacking {lacking:?}\n{cut}", case.number, case.args, case.exit))
}

#[test]
fn every_case_of_the_catalogue_ends_as_it_must() {
    let cases = source::cases().into_iter().chain(shapes::cases()).chain(data::cases()).chain(files::cases());
    let cases: Vec<Case> = cases.collect();
    let have: BTreeSet<&str> = cases.iter().map(|c| c.number).collect();
    let missing: Vec<String> = numbers().into_iter().filter(|n| !have.contains(n.as_str())).collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let why = wrong(case);
                    found.lock().expect("no thread panics").extend(why);
                }
            });
        }
    });
    let found = found.into_inner().expect("no thread panics");
    assert!(found.is_empty(), "{}", found.join("\n"));
}
