//! The models of the repository: each checks, trains, and keeps its promises.

mod length;
mod stages;

use nnc::codegen::Vectors;
use std::path::Path;
use std::process::{Command, Output};

/// Runs the binary in the repository's folder.
pub fn nnc(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nnc"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).env("CI", "true");
    command.output().unwrap_or_else(|e| panic!("the binary starts: {e}"))
}

fn models() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let files = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path());
    let mut names: Vec<String> = files
        .filter(|p| p.extension().is_some_and(|e| e == "nn"))
        .map(|p| p.file_stem().unwrap().to_str().unwrap().to_string())
        .collect();
    names.sort();
    names
}

#[test]
fn every_model_trains_and_keeps_its_promises() {
    let names = models();
    assert!(names.len() >= 7, "{names:?}");
    for name in names {
        let out = nnc(&["run", &format!("models/{name}.nn")]);
        assert_eq!(out.status.code(), Some(0), "{name}:\n{}", String::from_utf8_lossy(&out.stderr));
    }
}

#[test]
fn the_same_file_gives_the_same_figures_for_any_threads_and_vectors() {
    let figures = |choice: [&str; 2]| {
        let out = nnc(&["run", "models/digits.nn", choice[0], choice[1], "--message-format", "json"]);
        let text = String::from_utf8_lossy(&out.stdout).to_string();
        let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap_or("")).unwrap();
        last["parts"].to_string()
    };
    let one = figures(["--threads", "1"]);
    assert!(one.contains("accuracy"), "{one}");
    let mut choices = vec![["--threads", "2"], ["--threads", "3"], ["--vectors", "portable"]];
    choices.extend(["avx2", "avx512"].iter().filter(|v| Vectors::parse(v).is_ok()).map(|v| ["--vectors", v]));
    for choice in choices {
        assert_eq!(one, figures(choice), "with {choice:?}");
    }
}
