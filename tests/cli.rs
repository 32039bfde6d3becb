//! Tests of cli: arguments in; output, exit code and files out.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The program, with the repository's folder as its own.
pub fn nnc(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nnc"));
    command.args(args).current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("NNC_THREADS").env_remove("CI");
    command
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Exit code, standard output and standard error as one text; the folder of the test reads `FOLDER`.
fn shown(output: &Output, folder: &Path) -> String {
    let both =
        format!("exit {}\n{}----\n{}", output.status.code().unwrap(), text(&output.stdout), text(&output.stderr));
    both.replace(&folder.display().to_string(), "FOLDER")
}

pub fn run(args: &[&str]) -> Output {
    nnc(args).stdin(Stdio::null()).output().unwrap()
}

pub fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, text)| fs::write(folder.path().join(name), text).unwrap());
    folder
}

fn in_folder(folder: &tempfile::TempDir, args: &[&str]) -> String {
    let output = nnc(args).current_dir(folder.path()).stdin(Stdio::null()).output().unwrap();
    shown(&output, folder.path())
}

const MISSPELT: &str = "model m  x: [4] -> y: [3] {\n  x -> dnse(8) -> dense(3)\n}\n";

#[test]
fn a_file_in_the_place_of_a_command_gets_the_command_to_type() {
    let output = run(&["models/iris.nn"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("type `nnc run models/iris.nn`"));
}

#[test]
fn mistakes_on_the_command_line_have_exit_code_2_and_a_suggestion() {
    let output = run(&["chek"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), String::new()));
    assert!(text(&output.stderr).contains("'check'"));
    let output = run(&["train", "m.nn", "--seed", "3"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("help: type `nnc run m.nn --seed 3`"));
    for args in [&["ir", "m.nn", "--stage", "graf"][..], &["run"], &["run", "m.nn", "--seed", "x"], &[]] {
        assert_eq!(run(args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn help_is_data_and_every_command_shows_examples() {
    for command in ["run", "check", "fmt", "ir", "summary", "explain", "lib", "bench"] {
        let output = run(&[command, "--help"]);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains(&format!("Examples:\n  nnc {command}")), "{command}");
    }
}

#[test]
fn every_model_checks_with_its_data_and_is_formatted() {
    let mut models: Vec<PathBuf> = Vec::new();
    for place in ["models", "models/bench"] {
        let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(place)).unwrap();
        models.extend(files.map(|f| f.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "nn")));
    }
    assert!(models.len() >= 10);
    for model in models {
        let model = model.to_str().unwrap();
        let checked = run(&["check", "--data", model]);
        assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
        assert!(checked.stderr.is_empty(), "{model}: {}", text(&checked.stderr));
        let formatted = run(&["fmt", "--check", model]);
        assert_eq!(formatted.status.code(), Some(0), "{}", text(&formatted.stdout));
    }
}

#[test]
fn messages_come_in_four_formats() {
    let folder = folder(&[("m.nn", MISSPELT)]);
    let all =
        ["human", "short", "json", "github"].map(|f| in_folder(&folder, &["check", "m.nn", "--message-format", f]));
    insta::assert_snapshot!(all.join("\n====\n"));
}

#[test]
fn at_most_twenty_messages_are_shown() {
    let lines: String = (0..30).map(|i| format!("model m{i}  x: [4] -> y: [4] {{ x -> dnse{i}(4) }}\n")).collect();
    let folder = folder(&[("m.nn", &lines)]);
    let out = in_folder(&folder, &["check", "m.nn", "--message-format", "short"]);
    assert_eq!(out.matches("error[").count(), 20, "{out}");
    assert!(out.contains("\n10 more\n") && out.starts_with("exit 3"), "{out}");
}

#[test]
fn check_applies_the_fixes_that_hold() {
    let folder = folder(&[("m.nn", MISSPELT)]);
    let out = in_folder(&folder, &["check", "--fix", "m.nn"]);
    assert!(out.starts_with("exit 0"), "{out}");
    assert_eq!(fs::read_to_string(folder.path().join("m.nn")).unwrap(), MISSPELT.replace("dnse", "dense"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn warnings_fail_only_where_they_are_denied() {
    let model = "block unused  [N] -> [N] { relu }\nmodel m  x: [4] -> y: [3] { x -> dense(3) }\n";
    let folder = folder(&[("m.nn", model)]);
    assert!(in_folder(&folder, &["check", "m.nn"]).starts_with("exit 0"));
    assert!(in_folder(&folder, &["check", "m.nn", "--deny", "warnings"]).starts_with("exit 3"));
}

#[test]
fn fmt_writes_shows_and_reads_standard_input() {
    use std::io::Write;
    let ugly = "model m  x:[4]->y:[3] {\n x->dense( 3 )\n}\n";
    let folder = folder(&[("m.nn", ugly), ("bad.nn", "model {")]);
    let check = in_folder(&folder, &["fmt", "--check", "m.nn"]);
    assert!(check.starts_with("exit 1\n--- m.nn\n+++ m.nn (formatted)"), "{check}");
    assert_eq!(fs::read_to_string(folder.path().join("m.nn")).unwrap(), ugly);
    assert!(in_folder(&folder, &["fmt", "m.nn"]).starts_with("exit 0"));
    let pretty = fs::read_to_string(folder.path().join("m.nn")).unwrap();
    assert!(in_folder(&folder, &["fmt", "--check", "m.nn"]).starts_with("exit 0"));
    assert!(in_folder(&folder, &["fmt", "bad.nn"]).starts_with("exit 3"));
    assert_eq!(fs::read_to_string(folder.path().join("bad.nn")).unwrap(), "model {");
    let mut child = nnc(&["fmt", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(ugly.as_bytes()).unwrap();
    assert_eq!(text(&child.wait_with_output().unwrap().stdout), pretty);
}

/// One comma would leave the other one missing.
#[test]
fn fmt_shows_a_fix_only_where_it_holds() {
    let folder = folder(&[("two.nn", "const a = f(1 2 3)\n"), ("one.nn", "const a = f(1 2)\n")]);
    let out = |name: &str| in_folder(&folder, &["fmt", name]);
    assert!(out("one.nn").contains("help: separate them by a comma"), "{}", out("one.nn"));
    assert!(out("two.nn").contains("E0010") && !out("two.nn").contains("help: "), "{}", out("two.nn"));
}

#[test]
fn s27_what_is_no_source_file_is_refused() {
    let folder = folder(&[]);
    fs::create_dir(folder.path().join("d.nn")).unwrap();
    insta::assert_snapshot!(
        [
            in_folder(&folder, &["check", "d.nn"]),
            in_folder(&folder, &["check", "absent.nn"]),
            in_folder(&folder, &["check", "/dev/zero"]),
        ]
        .join("\n====\n")
    );
    let made = Command::new("mkfifo").arg(folder.path().join("p.nn")).status();
    if made.is_ok_and(|s| s.success()) {
        assert!(in_folder(&folder, &["check", "p.nn"]).starts_with("exit 6"));
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("loop.nn", folder.path().join("loop.nn")).unwrap();
        assert!(in_folder(&folder, &["check", "loop.nn"]).contains("E0601"));
    }
}

#[test]
fn s28_a_used_file_outside_the_folder_is_refused_and_not_shown() {
    let outer = folder(&[("secret.nn", "the secret text")]);
    fs::create_dir(outer.path().join("inner")).unwrap();
    let model = "use \"../secret.nn\"\nmodel m  x: [4] -> y: [3] { x -> dense(3) }\n";
    fs::write(outer.path().join("inner/m.nn"), model).unwrap();
    let out = in_folder(&outer, &["check", "inner/m.nn"]);
    assert!(out.contains("E0603") && !out.contains("secret text"), "{out}");
    let model = model.replace("../secret.nn", "absent.nn");
    fs::write(outer.path().join("inner/m.nn"), model).unwrap();
    assert!(in_folder(&outer, &["check", "inner/m.nn"]).contains("E0601"));
}

#[test]
fn explain_has_a_page_for_every_code_in_the_program() {
    let mut used = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else {
                used.extend(codes(&fs::read_to_string(entry).unwrap()));
            }
        }
    }
    assert!(used.len() > 50);
    let listed = text(&run(&["explain"]).stdout);
    let missing: Vec<&String> = used.iter().filter(|c| !listed.contains(&format!("{c}  "))).collect();
    assert!(missing.is_empty(), "no page in docs/errors for {missing:?}");
}

/// The texts such as "E0404" in quotes.
fn codes(source: &str) -> Vec<String> {
    let quoted = source.split('"').skip(1).step_by(1);
    let is_code = |t: &&str| {
        t.len() == 5 && matches!(t.as_bytes()[0], b'E' | b'W') && t.bytes().skip(1).all(|b| b.is_ascii_digit())
    };
    quoted.filter(is_code).map(str::to_string).collect()
}

#[test]
fn explain_prints_a_page_with_wrong_and_right() {
    let page = text(&run(&["explain", "e0404"]).stdout);
    assert!(page.starts_with("E0404  ") && page.contains("Wrong:") && page.contains("Right:"), "{page}");
    assert_eq!(run(&["explain", "E9999"]).status.code(), Some(2));
}

#[test]
fn lib_prints_a_definition_with_the_comment_above_it() {
    let dense = text(&run(&["lib", "dense"]).stdout);
    assert!(dense.starts_with("// lib/layers.nn\n//") && dense.contains("\nop dense("), "{dense}");
    let wrong = run(&["lib", "dnse"]);
    assert!(wrong.status.code() == Some(3) && text(&wrong.stderr).contains("did you mean `dense`?"));
    let foreign = run(&["lib", "nn.Linear"]);
    assert!(foreign.status.code() == Some(3) && text(&foreign.stderr).contains("here it is `dense`: `nnc lib dense`"));
    assert!(text(&run(&["lib"]).stdout).contains(", dense,"));
    assert!(text(&run(&["lib", "csv"]).stdout).contains("csv(path"));
    let argmax = text(&run(&["lib", "argmax"]).stdout);
    assert_eq!(
        argmax,
        "// built in: a function\n// The place of the greatest element along an axis, as a class.\nargmax(x, axis = -1)\n"
    );
    assert!(text(&run(&["lib"]).stdout).contains("\nbuilt in: neg, abs, "));
    assert!(text(&run(&["lib", "one_hot"]).stdout).ends_with("\none_hot, without arguments\n"));
}

#[test]
fn threads_are_a_number_from_1() {
    for wrong in ["0", "-1", "abc"] {
        let output = nnc(&["check", "models/xor.nn"]).env("NNC_THREADS", wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        assert!(text(&output.stderr).contains("E0201"));
    }
    assert!(nnc(&["check", "models/xor.nn"]).env("NNC_THREADS", "1000000").status().unwrap().success());
}

#[cfg(target_os = "linux")]
#[test]
fn f11_f12_a_closed_pipe_is_a_quiet_end_and_a_full_device_an_error() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = nnc(&["lib"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(6));
    assert!(text(&output.stderr).contains("E0602"));
    let mut child = nnc(&["explain"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

fn truth_table(expect: &str, lr: &str) -> tempfile::TempDir {
    let model = format!(
        "data t = csv(\"t.csv\") {{\n  x: [2] = columns(1..2)\n  y: class(2) = column(\"y\")\n}}\n\
         model m  x: [2] -> logits[2] {{ x -> dense(8) -> tanh -> dense(2) }}\n\
         train m on t {{\n  loss = cross_entropy\n  optimizer = {lr}\n  batch = 3\n  stop = 40 epochs\n  \
         metrics = accuracy\n  {expect}\n}}\n"
    );
    folder(&[("m.nn", &model), ("t.csv", "a,b,y\n0,0,0\n0,1,1\n1,0,1\n1,1,0\n")])
}

/// The output with every number of seconds replaced.
fn timeless(text: &str) -> String {
    let seconds = |word: &str| word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || c == '.');
    let mut words: Vec<String> = text.split(' ').map(str::to_string).collect();
    for i in 1..words.len() {
        if (words[i].starts_with("s\n") || words[i] == "s") && seconds(&words[i - 1]) {
            words[i - 1] = "TIME".to_string();
        }
    }
    words.join(" ")
}

#[test]
fn run_trains_reports_and_keeps_its_promise() {
    let folder = truth_table("expect train.accuracy >= 100%", "adam(lr = 0.1)");
    let out = in_folder(&folder, &["run", "m.nn"]);
    assert!(out.starts_with("exit 0\npart   rows    loss  accuracy\ntrain     4  "), "{out}");
    let (data, progress) = out.split_once("----\n").unwrap();
    let begin = "t: 4 rows (4 train); x: [2], y: class(2)\nm: m on t; batch 3, seed 0\nepoch 1/40  loss ";
    assert!(progress.starts_with(begin), "{progress}");
    assert!(timeless(progress).contains("40 epochs, 80 steps in TIME s"), "{progress}");
    assert!(progress.contains("1 of 1 promise kept"), "{progress}");
    assert_eq!(in_folder(&folder, &["run", "-q", "m.nn"]), format!("{data}----\n"));
}

#[test]
fn run_with_json_writes_a_record_for_each_epoch_and_one_at_the_end() {
    let folder = truth_table("", "adam(lr = 0.1)");
    let records = |seed: &str| {
        let args = ["run", "m.nn", "--message-format", "json", "--seed", seed];
        let output = nnc(&args).current_dir(folder.path()).output().unwrap();
        assert!(output.stderr.is_empty());
        let lines = text(&output.stdout);
        lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect::<Vec<serde_json::Value>>()
    };
    let first = records("0");
    assert_eq!(first.len(), 41);
    assert_eq!((&first[0]["reason"], &first[0]["epoch"]), (&"epoch".into(), &1.into()));
    assert_eq!((&first[40]["reason"], &first[40]["steps"]), (&"summary".into(), &80.into()));
    assert_eq!(first[40]["parts"], records("0")[40]["parts"]);
    assert_ne!(first[40]["parts"], records("1")[40]["parts"]);
}

#[test]
fn a_promise_that_is_not_kept_is_exit_code_1() {
    let folder = truth_table("expect train.loss < 0", "sgd(lr = 0.1)");
    let out = in_folder(&folder, &["run", "m.nn", "--message-format", "short"]);
    assert!(out.starts_with("exit 1"), "{out}");
    assert!(out.contains("error[E0704]: train.loss is 0.") && out.contains(", expected < 0"), "{out}");
}

#[test]
fn n1_a_run_that_diverges_is_exit_code_7() {
    let folder = truth_table("", "sgd(lr = 3e38)");
    let out = in_folder(&folder, &["run", "m.nn", "--message-format", "short"]);
    assert!(out.starts_with("exit 7") && out.contains("error[E0701]: the loss is "), "{out}");
}

#[test]
fn a_loss_that_grows_is_a_warning_at_the_end() {
    let file = "data t = csv(\"t.csv\") {\n  x: [1] = column(1)\n  y: [1] = column(2)\n}\n\
                model m  x: [1] -> [1] { x -> dense(1) }\n\
                train m on t { loss = mse; optimizer = sgd(lr = 1.05); stop = 40 steps; batch = 2 }\n";
    let folder = folder(&[("m.nn", file), ("t.csv", "a,b\n1,1\n-1,-1\n")]);
    let out = in_folder(&folder, &["run", "m.nn", "--message-format", "short"]);
    assert!(out.starts_with("exit 0") && out.contains("warning[W0701]: the loss grew: "), "{out}");
    let calm = truth_table("", "sgd(lr = 0.1)");
    assert!(!in_folder(&calm, &["run", "m.nn"]).contains("W0701"));
}

#[test]
fn bad_data_and_missing_data_have_exit_codes_of_their_own() {
    let folder = truth_table("", "sgd(lr = 0.1)");
    fs::write(folder.path().join("t.csv"), "a,b,y\n0,0\n").unwrap();
    let out = in_folder(&folder, &["run", "m.nn"]);
    assert!(out.starts_with("exit 4") && out.contains("E0401") && out.contains("t.csv:2:"), "{out}");
    fs::remove_file(folder.path().join("t.csv")).unwrap();
    assert!(in_folder(&folder, &["run", "m.nn"]).starts_with("exit 6"));
    assert!(in_folder(&folder, &["check", "--data", "m.nn"]).starts_with("exit 6"));
    assert!(in_folder(&folder, &["check", "m.nn"]).starts_with("exit 0"));
    assert!(in_folder(&folder, &["run", "m.nn", "--train", "n"]).starts_with("exit 2"));
}

/// Weights and batch of `mlp_tiny`, made of a fixed pattern, and `more`.
fn tiny_start(path: &Path, more: &[&'static str]) {
    use safetensors::tensor::{Dtype, TensorView, serialize};
    let pattern =
        |n: usize| (0..n).flat_map(|i| ((i * 37 % 101) as f32 / 101.0 - 0.5).to_le_bytes()).collect::<Vec<u8>>();
    let y: Vec<u8> = (0..16).flat_map(|i| (i % 3i32).to_le_bytes()).collect();
    let mut shapes = vec![
        ("l0.weight", vec![16, 4]),
        ("l0.bias", vec![16]),
        ("l1.weight", vec![3, 16]),
        ("l1.bias", vec![3]),
        ("batch.x", vec![16, 4]),
    ];
    shapes.extend(more.iter().map(|name| (*name, vec![1])));
    let bytes: Vec<Vec<u8>> = shapes.iter().map(|(_, s)| pattern(s.iter().product())).collect();
    let mut views: Vec<(&str, TensorView<'_>)> = Vec::new();
    for ((name, shape), data) in shapes.iter().zip(&bytes) {
        views.push((name, TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
    }
    views.push(("batch.y", TensorView::new(Dtype::I32, vec![16], &y).unwrap()));
    fs::write(path, serialize(views, None).unwrap()).unwrap();
}

#[test]
fn bench_prints_one_object_with_the_values_of_the_first_steps() {
    let folder = folder(&[]);
    let start = folder.path().join("start.safetensors");
    tiny_start(&start, &[]);
    for (mode, count) in [("train", 5), ("infer", 2)] {
        let args = ["bench", "models/bench/mlp_tiny.nn", "--mode", mode, "--threads", "1", "--check"];
        let output = nnc(&args).args(["--message-format", "json", "--start"]).arg(&start).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let object: serde_json::Value = serde_json::from_str(text(&output.stdout).lines().last().unwrap()).unwrap();
        let values: Vec<f64> = object["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        assert_eq!(values.len(), count);
        let falls = |w: &[f64]| if mode == "train" { w[1] < w[0] } else { w[1] == w[0] };
        assert!(values.iter().all(|v| *v > 0.0 && *v < 5.0) && values.windows(2).all(falls), "{values:?}");
        for key in ["median_s", "min_s", "cold_1_s", "peak_rss_mib"] {
            assert!(object[key].as_f64().unwrap() > 0.0, "{key}");
        }
    }
}

#[test]
fn tensors_that_nothing_takes_are_warned_of() {
    let folder = folder(&[]);
    let start = folder.path().join("start.safetensors");
    for (more, says) in [(vec![], ""), (vec!["l1.wieght", "head.scale"], "nothing takes `head.scale`, `l1.wieght`")] {
        tiny_start(&start, &more);
        for mode in ["train", "infer"] {
            let args = ["bench", "models/bench/mlp_tiny.nn", "--mode", mode, "--check", "--start"];
            let output = nnc(&args).arg(&start).output().unwrap();
            let shown = text(&output.stderr);
            assert!(output.status.success() && shown.contains("W0501") != more.is_empty(), "{shown}");
            assert!(shown.contains(says), "{shown}");
        }
    }
}

#[test]
fn ir_prints_a_stage_and_the_difference_of_two_files() {
    let folder = truth_table("", "sgd(lr = 0.1)");
    let other = fs::read_to_string(folder.path().join("m.nn")).unwrap().replace("tanh", "relu");
    fs::write(folder.path().join("n.nn"), other).unwrap();
    assert!(in_folder(&folder, &["ir", "m.nn"]).starts_with("exit 0\ngraph \"m\""));
    assert_eq!(in_folder(&folder, &["ir", "m.nn", "--diff", "m.nn"]), "exit 0\n----\n");
    assert!(in_folder(&folder, &["ir", "m.nn", "--stage", "grad", "--diff", "n.nn"]).starts_with("exit 1\n"));
    assert!(in_folder(&folder, &["ir", "m.nn", "--stage", "ast", "--diff", "n.nn"]).contains("\n+"));
}

#[test]
fn summary_shows_layers_shapes_parameters_and_arithmetic() {
    let out = text(&run(&["summary", "models/iris.nn"]).stdout);
    let line = |start: &str| {
        out.lines().find(|l| l.starts_with(start)).unwrap_or_else(|| panic!("{start}: {out}")).to_string()
    };
    let cells: Vec<String> =
        line("dense(16)").split("  ").map(|c| c.trim().to_string()).filter(|c| !c.is_empty()).collect();
    // 4 · 16 + 16 weights; 16 sums of 4 products and a bias
    assert_eq!(cells, ["dense(16)", "[16]", "80", "144", "64"], "{out}");
    assert!(out.starts_with("mlp\nlayer") && out.contains("\n403 parameters, 403 trained\nbatch 16: arena "), "{out}");
    let json = text(&run(&["summary", "models/iris.nn", "--message-format", "json"]).stdout);
    let record: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&record["parameters"], record["layers"].as_array().unwrap().len()), (&403.into(), 3));
    assert_eq!(run(&["summary", "models/iris.nn", "--model", "nothing"]).status.code(), Some(2));
}

const CHARACTERS: &str = "data t = text(\"t.txt\") {
  T = 4
  tokens: token(V)[T] = chars -> window(T)
  next: token(V) = chars -> window(1, offset = T)
  split(train = 50%, valid = 50%)
}

model m  tokens: token(V)[T] -> logits[V] {
  tokens -> real -> dense(8) -> relu -> dense(V)
}

train m on t {
  loss = cross_entropy
  optimizer = adam(lr = 0.01)
  metrics = accuracy
  stop = 2 epochs
}
";

#[test]
fn a_dimension_that_the_data_tells_is_a_symbol_until_the_data_is_read() {
    let alone = folder(&[("m.nn", CHARACTERS)]);
    assert_eq!(in_folder(&alone, &["check", "m.nn"]), "exit 0\n----\n");
    for stage in ["graph", "grad", "simple", "fused"] {
        let out = in_folder(&alone, &["ir", "m.nn", "--stage", stage]);
        assert!(out.starts_with("exit 0") && out.contains("[B, V]"), "{stage}: {out}");
    }
    let plan = in_folder(&alone, &["ir", "m.nn", "--stage", "plan"]);
    assert!(plan.starts_with("exit 6") && plan.contains("E0601"), "{plan}");
    let plan = in_folder(&alone, &["ir", "m.nn", "--stage", "plan", "--dim", "V=96"]);
    assert!(plan.starts_with("exit 0") && plan.contains("f32[96, 8]"), "{plan}");
    let wrong = in_folder(&alone, &["ir", "m.nn", "--dim", "W=96"]);
    assert!(wrong.starts_with("exit 2") && wrong.contains("counted: V"), "{wrong}");
}

/// `class` without a number, or with a name, is what the labels say; the model is held to it.
#[test]
fn counted_classes_are_held_to_the_outputs() {
    for (kind, outputs, exit) in
        [("class", 2, 0), ("class", 3, 3), ("class", 1, 3), ("class(K)", 3, 3), ("class(K)", 2, 0)]
    {
        let text = fs::read_to_string(truth_table("", "adam(lr = 0.1)").path().join("m.nn")).unwrap();
        let text = text.replace("class(2)", kind).replace("logits[2]", &format!("logits[{outputs}]"));
        let text = text.replace("dense(2)", &format!("dense({outputs})"));
        let folder = folder(&[("m.nn", &text), ("t.csv", "a,b,y\n0,0,0\n0,1,1\n1,0,1\n1,1,0\n")]);
        let out = in_folder(&folder, &["run", "m.nn"]);
        assert!(out.starts_with(&format!("exit {exit}\n")), "{kind} {outputs}\n{out}");
        assert!(exit == 0 || out.contains("gets class(2)") && out.contains(&format!("is {outputs} here")), "{out}");
        assert!(in_folder(&folder, &["check", "m.nn"]).starts_with("exit 0\n"));
    }
}

#[test]
fn what_was_read_is_reported() {
    let folder = folder(&[("m.nn", CHARACTERS), ("t.txt", &"abcabd".repeat(20))]);
    let read = "t: 28 rows (14 train, 14 valid); tokens: token(4)[4], next: token(4)\n";
    assert_eq!(in_folder(&folder, &["check", "--data", "m.nn"]), format!("exit 0\n{read}----\n"));
    let run = in_folder(&folder, &["run", "m.nn"]);
    assert!(run.contains(&format!("----\n{read}m: m on t; batch 32")), "{run}");
    assert!(in_folder(&folder, &["summary", "m.nn"]).contains("dense(V)  [4]"));
    let room = in_folder(&folder, &["run", "m.nn", "--dim", "V=3"]);
    assert!(room.starts_with("exit 4") && room.contains("token(3) has room for 3"), "{room}");
}
