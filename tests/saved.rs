//! Tests of what a run leaves behind: weights that are read again, and traces.

use super::cli::{folder, nnc, text};
use nnc::runtime::data::given::{channels_last, channels_second, read_start};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::process::Output;

const PICTURES: &str = r#"data digits = csv("digits.csv.gz", header = false) {
  x: [64]      = columns(1..64) -> scale(0..1, from = 0..16)
  y: class(10) = column(65)
  split(train = 50%, valid = 25%, test = 25%)
}

model net  x: [64] -> logits[10] {
  picture = reshape(x, [8, 8, 1])
  picture -> conv(4, 3) -> batchnorm -> relu -> conv(6, 3) -> dropout(0.1) -> flatten -> dense(10)
}

train net on digits { loss = cross_entropy; optimizer = adam(lr = 0.002); stop = 2 epochs; metrics = accuracy }
"#;

fn run_in(folder: &tempfile::TempDir, args: &[&str]) -> Output {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/models/data");
    nnc(&["run", "m.nn", "--data-root", data, "-q"]).args(args).current_dir(folder.path()).output().unwrap()
}

fn figures(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    let records: Vec<Value> = text(&output.stdout).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    records.iter().find(|r| r["reason"] == "summary").unwrap()["parts"].clone()
}

#[test]
fn saved_weights_are_read_to_the_same_bits_and_give_the_same_figures() {
    let folder = folder(&[("m.nn", PICTURES)]);
    let json = ["--message-format", "json"];
    let trained = figures(&run_in(&folder, &[&json[..], &["--save", "a.safetensors", "--threads", "1"]].concat()));
    let again = run_in(&folder, &[&json[..], &["--start", "a.safetensors", "--evaluate"]].concat());
    assert_eq!(figures(&again), trained);
    assert!(trained["test"]["accuracy"].as_f64().unwrap() > 0.5, "{trained}");
    // The same run on other threads leaves the same file; a further one from there does not.
    run_in(&folder, &["--save", "b.safetensors", "--threads", "2"]);
    let bytes = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert!(bytes("a.safetensors") == bytes("b.safetensors"));
    let on = figures(&run_in(&folder, &[&json[..], &["--start", "a.safetensors", "--save", "b.safetensors"]].concat()));
    assert!(bytes("a.safetensors") != bytes("b.safetensors") && on != trained);
    let file = read_start(&folder.path().join("a.safetensors")).unwrap();
    let shapes: BTreeMap<&str, &[u64]> = file.tensors.iter().map(|(n, t)| (n.as_str(), t.shape.as_slice())).collect();
    // As other programs have them: filters with their channels before height and width, statistics beside the weights.
    assert_eq!((shapes["conv.weight"], shapes["conv2.weight"]), (&[4, 1, 3, 3][..], &[6, 4, 3, 3][..]));
    assert!(shapes.contains_key("batchnorm.running_mean") && shapes["dense.weight"] == [10, 96], "{shapes:?}");
    let left: Vec<String> =
        fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert!(left.iter().all(|name| !name.ends_with(".tmp")), "{left:?}");
}

#[test]
fn a_place_that_cannot_be_written_is_told_before_the_run() {
    let folder = folder(&[
        ("m.nn", PICTURES),
        (
            "two.nn",
            &format!("{PICTURES}{}", &PICTURES[PICTURES.rfind("train net").unwrap()..].replace(" {", " as other {")),
        ),
    ]);
    for (file, why) in
        [("nowhere/a.safetensors", "there is no folder"), (".", "it is a folder"), ("m.nn", "is a source file")]
    {
        for option in ["--save", "--profile"] {
            let out = run_in(&folder, &[option, file]);
            assert!([2, 6].contains(&out.status.code().unwrap()) && out.stdout.is_empty(), "{}", text(&out.stderr));
            assert!(text(&out.stderr).contains(why), "{}", text(&out.stderr));
        }
    }
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/models/data");
    let two = ["run", "two.nn", "--data-root", data, "--save", "a.safetensors"];
    let out = nnc(&two).current_dir(folder.path()).output().unwrap();
    assert!(out.status.code() == Some(2) && text(&out.stderr).contains("as in `--train net`"), "{}", text(&out.stderr));
    let out = nnc(&two).args(["--train", "other"]).current_dir(folder.path()).output().unwrap();
    assert!(out.status.success() && folder.path().join("a.safetensors").exists(), "{}", text(&out.stderr));
}

/// A line through two points, behind a function whose value is 0 and whose gradient is not.
fn line(optimizer: &str, steps: u32) -> tempfile::TempDir {
    let model = format!(
        "data d = csv(\"t.csv\") {{ x: [1] = column(1); y: [1] = column(2) }}\n\
         fn guard x {{ select(x > 100, sqrt(x - 100), 0) }}\n\
         model m  x: [1] -> out: [1] {{ x -> dense(1) -> guard }}\n\
         model plain  x: [1] -> out: [1] {{ x -> dense(1) }}\n\
         train m on d {{ loss = mse; optimizer = {optimizer}; stop = {steps} steps }}\n\
         train plain on d {{ loss = mse; optimizer = {optimizer}; stop = {steps} steps }}\n"
    );
    folder(&[("m.nn", &model), ("t.csv", "x,t\n1,1\n2,2\n")])
}

#[test]
fn what_is_not_finite_at_the_end_is_an_error_and_nothing_is_saved() {
    for (model, optimizer, steps, says) in [
        ("m", "sgd(lr = 0.01)", 3, "holds NaN after step 3, though the figures are finite"),
        ("plain", "sgd(lr = 1e25)", 1, "`train.loss` is inf with the weights after step 1"),
    ] {
        let folder = line(optimizer, steps);
        let mut run = nnc(&["run", "m.nn", "--train", model, "--save", "w.safetensors"]);
        let out = run.current_dir(folder.path()).output().unwrap();
        let said = text(&out.stderr);
        assert!(out.status.code() == Some(7) && said.contains("E0701") && said.contains(says), "{said}");
        assert!(out.stdout.is_empty() && !folder.path().join("w.safetensors").exists(), "{said}");
    }
    let folder = line("sgd(lr = 0.01)", 3);
    let mut fine = nnc(&["run", "m.nn", "--train", "plain", "--save", "w.safetensors"]);
    let out = fine.current_dir(folder.path()).output().unwrap();
    assert!(out.status.success() && folder.path().join("w.safetensors").exists(), "{}", text(&out.stderr));
}

#[cfg(unix)]
#[test]
fn what_a_run_reads_and_what_is_no_file_stay_as_they_are() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    let folder = line("sgd(lr = 0.01)", 3);
    let path = |name: &str| folder.path().join(name);
    symlink("t.csv", path("link")).unwrap();
    symlink("m.nn", path("source")).unwrap();
    fs::hard_link(path("t.csv"), path("hard")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
    symlink("pipe", path("to-pipe")).unwrap();
    let before = ["t.csv", "m.nn"].map(|name| fs::read(path(name)).unwrap());
    let data = (2, "error[E0201]: \"t.csv\" is read by this run");
    let pipe = (6, "it is a device, a pipe or a socket, not a file");
    for (file, (exit, says)) in [
        ("t.csv", data),
        ("link", data),
        ("hard", data),
        ("source", (2, "\"source\" is a source file")),
        ("pipe", pipe),
        ("to-pipe", pipe),
    ] {
        for option in ["--save", "--profile"] {
            let mut run = nnc(&["run", "m.nn", "--train", "plain", option, file]);
            let out = run.current_dir(folder.path()).output().unwrap();
            let said = text(&out.stderr);
            assert!(out.status.code() == Some(exit) && said.contains(says), "{option} {file}: {said}");
        }
    }
    assert_eq!(["t.csv", "m.nn"].map(|name| fs::read(path(name)).unwrap()), before);
    assert!(fs::symlink_metadata(path("pipe")).unwrap().file_type().is_fifo());
}

#[test]
fn the_batch_that_a_start_file_brings_is_not_overwritten() {
    let text_of = "data d = given { x: [1]; y: [1] }\nmodel m  x: [1] -> out: [1] { x -> dense(1) }\n\
                   train m on d { loss = mse; optimizer = sgd(lr = 0.01); stop = 1 steps }\n";
    let folder = folder(&[("m.nn", text_of), ("b.safetensors", "a batch")]);
    let mut run = nnc(&["run", "m.nn", "--start", "b.safetensors", "--save", "b.safetensors"]);
    let out = run.current_dir(folder.path()).output().unwrap();
    let said = text(&out.stderr);
    assert!(out.status.code() == Some(2) && said.contains("holds the data of this run"), "{said}");
    assert_eq!(fs::read(folder.path().join("b.safetensors")).unwrap(), b"a batch");
}

#[test]
fn channels_move_behind_the_other_axes_and_back() {
    for shape in [vec![2, 3, 4, 5], vec![1, 1, 7], vec![4, 6], vec![5]] {
        let values: Vec<u64> = (0..shape.iter().product()).collect();
        let mut last = shape.clone();
        last[1..].rotate_left(usize::from(shape.len() > 1));
        assert_eq!(channels_second(&channels_last(&values, &shape, 1), &last), values, "{shape:?}");
    }
}

/// What lies on one row is nested or apart.
fn nested(mut spans: Vec<(f64, f64)>) {
    spans.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    let mut open: Vec<f64> = vec![];
    for (begin, end) in spans {
        // Microseconds with a fraction: half a nanosecond is rounding.
        open.retain(|&e| e > begin + 5e-4);
        assert!(open.iter().all(|&e| e >= end - 5e-4), "{begin} {end} {open:?}");
        open.push(end);
    }
}

#[test]
fn a_profiled_run_has_the_same_figures_tables_and_a_trace_that_viewers_read() {
    let folder = folder(&[("m.nn", PICTURES)]);
    let plain = run_in(&folder, &["--threads", "2"]);
    let profiled = run_in(&folder, &["--threads", "2", "--profile", "trace.json"]);
    assert_eq!((text(&profiled.stdout), profiled.status.code()), (text(&plain.stdout), Some(0)));
    let tables = text(&profiled.stderr);
    for part in ["net, training: 58 steps", "net, evaluation: ", "conv(6, 3)", "m.nn:9", "gradient", "GFLOP/s"] {
        assert!(tables.contains(part), "{part}\n{tables}");
    }
    let trace: Value = serde_json::from_str(&fs::read_to_string(folder.path().join("trace.json")).unwrap()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let mut rows: BTreeMap<u64, Vec<(f64, f64)>> = BTreeMap::new();
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for event in events.iter().filter(|e| e["ph"] == "X") {
        let (begin, lasts) = (event["ts"].as_f64().unwrap(), event["dur"].as_f64().unwrap());
        assert!(begin >= 0.0 && lasts >= 0.0, "{event}");
        rows.entry(event["tid"].as_u64().unwrap()).or_default().push((begin, begin + lasts));
        *names.entry(event["name"].as_str().unwrap()).or_default() += 1;
    }
    assert!(["parse", "check", "fuse", "code"].iter().all(|stage| names.contains_key(stage)), "{names:?}");
    assert!(names["step"] >= 58 && names.keys().any(|n| n.starts_with("contract+")), "{names:?}");
    rows.into_values().for_each(nested);
    let threads = events.iter().filter(|e| e["name"] == "thread_name").map(|e| e["args"]["name"].as_str().unwrap());
    assert_eq!(threads.filter(|n| n.starts_with("training")).count(), 1);
}
