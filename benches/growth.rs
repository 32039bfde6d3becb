//! `cargo bench --bench growth`: how the time of a training step grows with batch, width, depth and length.
//!
//! In: models as text, each twice as large as the one before in one respect; the number of threads as an argument, else one.
//! Out: a table for `docs/performance.md`. Invariant: the data is invented, and a step is timed as `nnc bench` times it.

use nnc::driver::measure::Mode;
use nnc::driver::{Options, Session, suite};
use std::io::Write;

const SIZES: [u64; 5] = [1, 2, 4, 8, 16];

/// What grows, its first size, and the model of a size.
struct Growth {
    what: &'static str,
    first: u64,
    text: fn(u64) -> String,
}

const ALL: [Growth; 5] = [
    Growth { what: "batch of 4 x dense(256)", first: 16, text: |n| dense(n, 256, 4) },
    Growth { what: "width of 4 x dense, batch 64", first: 64, text: |n| dense(64, n, 4) },
    Growth { what: "depth of dense(256), batch 64", first: 2, text: |n| dense(64, 256, n) },
    Growth { what: "steps of lstm(64), batch 16", first: 16, text: lstm },
    Growth { what: "steps of 2 layers of attention(4), width 64, batch 4", first: 32, text: attention },
];

fn model(input: &str, body: &str, batch: u64) -> String {
    format!(
        "data batch = given {{ x: {input}; y: class(10) }}\n\
         model m  x: {input} -> logits[10] {{\n{body}\n}}\n\
         train m on batch {{ loss = cross_entropy; optimizer = sgd(lr = 0.001); batch = {batch}; stop = 100 steps }}\n"
    )
}

fn dense(batch: u64, width: u64, depth: u64) -> String {
    let body = format!("x -> repeat({depth}) {{ dense({width}) -> relu }} -> dense(10)");
    model(&format!("[{width}]"), &body, batch)
}

/// The mean of all steps: from the last one alone the gradient would fade below the normal numbers, and be timed as such.
fn lstm(steps: u64) -> String {
    model(&format!("[{steps}, 64]"), "h = x -> lstm(64)\nmean(h, axis = 0) -> dense(10)", 16)
}

fn attention(steps: u64) -> String {
    let body = "h = x -> repeat(2) { residual { layernorm -> attention(4) } -> \
                residual { layernorm -> dense(256) -> gelu -> dense(64) } }\nmean(h, axis = 0) -> dense(10)";
    model(&format!("[{steps}, 64]"), body, 4)
}

/// Operations and least seconds of a training step.
fn measured(text: &str, threads: usize) -> (f64, f64) {
    let folder = tempfile::tempdir().unwrap_or_else(|e| panic!("a folder for the model: {e}"));
    let path = folder.path().join("m.nn");
    std::fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let options = Options { threads, ..Options::default() };
    let session = Session::load(&path, options).unwrap_or_else(|e| panic!("{}", e.message));
    assert!(!session.has_errors(), "{}", session.diagnostics[0].render(&session.sources));
    let speed = suite::speed(&session, Mode::Train).unwrap_or_else(|e| panic!("{}", e[0].render(&session.sources)));
    (speed.flops as f64, speed.bench.min_s)
}

fn main() -> std::io::Result<()> {
    let threads = std::env::args().find_map(|a| a.parse().ok()).unwrap_or(1);
    let mut out = std::io::stdout();
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let head = SIZES.iter().map(|s| format!("x {s}")).collect::<Vec<_>>().join(" | ");
    write!(out, "| what grows | | {head} |\n| --- | --- |{}\n", " --: |".repeat(SIZES.len()))?;
    for Growth { what, first, text } in ALL {
        let all: Vec<(f64, f64)> = SIZES.iter().map(|s| measured(&text(first * s), threads)).collect();
        let cells = |one: &str, two: &str, cell: &dyn Fn(&(f64, f64)) -> String| {
            row([one.to_string(), two.to_string()].into_iter().chain(all.iter().map(cell)).collect())
        };
        let whole = all[0].1 / all[0].0;
        let what = format!("{what}, from {first}");
        out.write_all(cells(&what, "million operations", &|(ops, _)| format!("{:.1}", ops / 1e6)).as_bytes())?;
        out.write_all(cells("", "milliseconds", &|(_, s)| format!("{:.3}", s * 1e3)).as_bytes())?;
        out.write_all(cells("", "time of one", &|(ops, s)| format!("{:.2}", s / ops / whole)).as_bytes())?;
    }
    Ok(())
}
