//! What is reported of a loss or metric: the same whatever the batch size.

use std::process::{Command, Stdio};

/// 17 rows of two classes.
fn rows() -> String {
    let row = |i: u32| format!("{},{},{}\n", i * 7 % 17, i * 5 % 13, i * i % 3 % 2);
    ["a,b,y\n".to_string()].into_iter().chain((0..17).map(row)).collect()
}

/// What the run says of its training part at the end; the weights stay as they begin.
fn reported(loss: &str, metrics: &str, batch: u32) -> serde_json::Value {
    let folder = tempfile::tempdir().unwrap();
    let model = format!(
        "data d = csv(\"t.csv\") {{ x: [2] = columns(\"a\", \"b\"); y: class(2) = column(\"y\") }}\n\
         fn twice  z, y {{ 2 * cross_entropy(z, y, weights = [1, 5]) }}\n\
         loss sum_of_two  z, y {{ cross_entropy(z, y) + 3 * cross_entropy(z, y, ignore = 0) }}\n\
         model m  x: [2] -> logits[2] {{ x -> dense(2) }}\n\
         train m on d {{ loss = {loss}; optimizer = sgd(lr = 0); metrics = {metrics}; batch = {batch}; stop = 1 epochs }}\n"
    );
    std::fs::write(folder.path().join("t.csv"), rows()).unwrap();
    std::fs::write(folder.path().join("m.nn"), model).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_nnc"));
    command.args(["run", "m.nn", "--message-format", "json"]).current_dir(folder.path()).stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let last = text.lines().last().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_str::<serde_json::Value>(last).unwrap()["parts"]["train"].clone()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-5 * b.abs()
}

#[test]
fn losses_that_weigh_rows_differently_are_averaged_each_by_itself() {
    for loss in [
        "cross_entropy(weights = [1, 5]) + bits + 1e-2 * l2(weights)",
        "bits - cross_entropy(ignore = 1) / 2",
        "2 * (cross_entropy(weights = [1, 5]) + 0.5 * cross_entropy(weights = [4, 1]))",
        "sum_of_two",
        "twice",
    ] {
        let whole = reported(loss, "accuracy", 17)["loss"].as_f64().unwrap();
        for batch in [3, 5] {
            let parted = reported(loss, "accuracy", batch)["loss"].as_f64().unwrap();
            assert!(close(parted, whole), "{loss}: {parted} in batches of {batch}, {whole} in one");
        }
    }
}

/// A metric that computes with a loss is what it computes, not the loss.
#[test]
fn a_metric_made_of_losses_is_their_sum() {
    let both = reported("cross_entropy(weights = [1, 5])", "twice, sum_of_two, cross_entropy", 17);
    let [loss, twice, sum, plain] =
        ["loss", "twice", "sum_of_two", "cross_entropy"].map(|name| both[name].as_f64().unwrap());
    assert!(close(twice, 2.0 * loss), "{both}");
    let kept = reported("cross_entropy(ignore = 0)", "accuracy", 17)["loss"].as_f64().unwrap();
    assert!(close(sum, plain + 3.0 * kept), "{both}");
    let parted = reported("mean(output)", "twice, sum_of_two", 5);
    assert!(close(parted["twice"].as_f64().unwrap(), twice), "{parted}");
    assert!(close(parted["sum_of_two"].as_f64().unwrap(), sum), "{parted}");
}
