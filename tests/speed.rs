//! Tests of speed as it is shown: every figure follows from others that were measured or counted.

use super::cli::{folder, nnc, run, text};
use nnc::driver::origin::{Phase, origins};
use nnc::driver::{Options, Session, compile};
use std::fs;
use std::path::Path;
use std::process::Output;

/// Every line of standard output as an object, by its `reason`.
fn records(output: &Output) -> Vec<(String, serde_json::Value)> {
    assert!(output.status.success(), "{}", text(&output.stderr));
    let line = |l: &str| {
        let object: serde_json::Value = serde_json::from_str(l).unwrap();
        (object["reason"].as_str().unwrap().to_string(), object)
    };
    text(&output.stdout).lines().map(line).collect()
}

fn number(object: &serde_json::Value, key: &str) -> f64 {
    object[key].as_f64().unwrap_or_else(|| panic!("{key} of {object}"))
}

#[test]
fn the_suite_measures_every_model_of_a_folder_beside_the_machine() {
    let tiny = fs::read_to_string("models/bench/mlp_tiny.nn").unwrap();
    let folder = folder(&[("b.nn", &tiny), ("a.nn", &tiny.replace("dense(16)", "dense(32)")), ("note.txt", "")]);
    let path = folder.path().to_str().unwrap();
    let json = records(&run(&["bench", "--suite", path, "--threads", "1", "--message-format", "json"]));
    let reasons: Vec<&str> = json.iter().map(|(reason, _)| reason.as_str()).collect();
    assert_eq!(reasons, ["machine", "speed", "speed"]);
    let machine = &json[0].1;
    let memory = machine["memory"].as_array().unwrap();
    assert!(number(machine, "gflops") > 0.1 && memory.len() == 5);
    assert!(memory.iter().all(|level| number(level, "gb_per_s") > 0.01));
    for ((_, speed), (model, hidden)) in json[1..].iter().zip([("a", 32.0), ("b", 16.0)]) {
        assert_eq!((&speed["model"], &speed["batch"]), (&model.into(), &16.into()));
        let stages = speed["stages"].as_object().unwrap();
        let names = ["read", "parse", "check", "graph", "differentiate", "simplify", "fuse", "loops", "plan", "code"];
        assert!(names.iter().all(|s| stages[&format!("{s}_s")].as_f64().unwrap() > 0.0), "{speed}");
        let sum: f64 = stages.values().map(|s| s.as_f64().unwrap()).sum();
        // Stages of the programs of a run may overlap.
        assert!((0.3 * sum..=sum + 1e-9).contains(&number(speed, "compile_s")), "{speed}");
        // Two products forward, two gradients of weights and one of the hidden layer: 2 operations a weight and row.
        let products = 16.0 * 2.0 * hidden * (4.0 + 3.0 + 4.0 + 3.0 + 3.0);
        assert!((1.0..1.6).contains(&(number(speed, "flops") / products)), "{speed}");
        let gflops = number(speed, "flops") / number(speed, "min_s") / 1e9;
        assert!((number(speed, "gflops") - gflops).abs() < 1e-9 * gflops);
        let share = gflops / number(machine, "gflops");
        assert!((number(speed, "share_of_arithmetic") - share).abs() < 1e-9 && share < 1.0);
        assert!(number(speed, "median_s") >= number(speed, "min_s") && number(speed, "kernels") > 5.0);
    }
    let out = text(&run(&["bench", "--suite", path, "--threads", "1"]).stdout);
    assert!(out.starts_with("this machine, 1 thread: ") && out.contains("\ncompiling, ms  read  parse"), "{out}");
    assert!(out.contains("\na step  batch") && out.lines().filter(|l| l.starts_with("b ")).count() == 2, "{out}");
    let none = tempfile::tempdir().unwrap();
    let missing = run(&["bench", "--suite", none.path().to_str().unwrap()]);
    assert!(missing.status.code() == Some(6) && text(&missing.stderr).contains("no `.nn` file lies in it"));
    assert_eq!(run(&["bench"]).status.code(), Some(2));
}

#[test]
fn the_kernels_of_a_step_are_named_by_what_they_compute_and_the_call_they_come_from() {
    let args = ["bench", "models/bench/mlp_tiny.nn", "--kernels", "--threads", "1"];
    let json = records(&nnc(&args).args(["--message-format", "json"]).output().unwrap());
    let speed = &json.iter().find(|(reason, _)| reason == "speed").unwrap().1;
    let kernels: Vec<&serde_json::Value> = json.iter().filter(|(r, _)| r == "kernel").map(|(_, k)| k).collect();
    assert_eq!(kernels.len() as f64, number(speed, "kernels"));
    let sum = |key: &str| kernels.iter().map(|k| number(k, key)).sum::<f64>();
    assert!((sum("share") - 1.0).abs() < 1e-9);
    assert_eq!((sum("flops"), sum("moved_bytes")), (number(speed, "flops"), number(speed, "moved_bytes")));
    assert!(kernels.windows(2).all(|w| number(w[0], "min_s") >= number(w[1], "min_s")));
    assert!(kernels.iter().all(|k| number(k, "calls") == 1.0 && number(k, "mean_s") > 0.0));
    let hidden = kernels.iter().find(|k| k["computes"] == "contract+add+tanh [B, 16]").unwrap();
    let said = (&hidden["phase"], &hidden["call"], &hidden["place"]);
    assert_eq!(said, (&"forward".into(), &"dense(16)".into(), &"mlp_tiny.nn:9".into()));
    assert_eq!(number(hidden, "flops"), 16.0 * 16.0 * (2.0 * 4.0 + 2.0));
    assert!(kernels.iter().any(|k| k["phase"] == "update") && kernels.iter().any(|k| k["phase"] == "gradient"));
    let out = text(&nnc(&args).output().unwrap().stdout);
    assert!(out.contains("contract+add+tanh [B, 16]") && out.contains(" in all kernels, "), "{out}");
}

/// No kernel goes by its number alone, and whatever computes comes from a call of the model's own file.
#[test]
fn every_kernel_of_every_benchmark_has_an_origin() {
    let mut seen = 0;
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/bench")).unwrap() {
        let session =
            Session::load(&entry.unwrap().path(), Options::default()).unwrap_or_else(|e| panic!("{}", e.message));
        let training = compile::training(&session.checked, &session.checked.runs[0], false).unwrap();
        let lowered = compile::lowered(training.graph, None).unwrap();
        let found = origins(&lowered.program, &lowered.simple, &lowered.fusion, &session.sources);
        for (kernel, origin) in lowered.program.kernels.iter().zip(&found) {
            let whole = format!("{}: {} is {origin:?}", session.path.display(), kernel.name);
            assert!(origin.what != kernel.name && origin.what.contains([' ', '[']), "{whole}");
            let span = origin.span.unwrap_or_else(|| panic!("{whole}"));
            assert_eq!(span.file, session.file, "{whole}");
        }
        for phase in [Phase::Forward, Phase::Gradient, Phase::Update, Phase::Copy] {
            assert!(found.iter().any(|o| o.phase == phase), "{}: {phase:?}", session.path.display());
        }
        seen += 1;
    }
    assert!(seen >= 14);
}
