//! Speed as text: the machine's roof, models beside it, kernels beside it.
//!
//! In: what the driver measured. Out: tables, or JSON objects. Invariant: a share is of what this process measured itself, on the
//! same number of threads.

use super::bench::time;
use super::output::{Format, Output};
use super::summary::align;
use crate::base::shape::display_bytes;
use crate::driver::profile::Row;
use crate::driver::roof::Roof;
use crate::driver::suite::Speed;
use crate::driver::times::{STAGES, Times};
use serde_json::{Value, json};
use std::io;

/// The stages of a compilation that are shown, in order.
fn stages() -> impl Iterator<Item = &'static str> {
    STAGES.into_iter().filter(|s| !["data", "first"].contains(s))
}

/// `190.3 GFLOP/s; …`: what the machine can do.
pub fn machine(roof: &Roof, output: &Output) -> io::Result<()> {
    let giga = |rate: f64| rate / 1e9;
    if output.format == Format::Json {
        let memory: Vec<Value> =
            roof.memory.iter().map(|(bytes, rate)| json!({ "bytes": bytes, "gb_per_s": giga(*rate) })).collect();
        return output.record(&json!({
            "reason": "machine", "schema": 1, "threads": roof.threads, "gflops": giga(roof.flops), "memory": memory,
        }));
    }
    let levels =
        roof.memory.iter().map(|(bytes, rate)| format!("{} at {:.0} GB/s", display_bytes(*bytes), giga(*rate)));
    let levels = levels.collect::<Vec<_>>().join(", ");
    let threads = if roof.threads == 1 { "1 thread".to_string() } else { format!("{} threads", roof.threads) };
    output.data(&format!("this machine, {threads}: {:.1} GFLOP/s; memory {levels}\n\n", giga(roof.flops)))
}

fn per_second(amount: u64, seconds: f64) -> f64 {
    amount as f64 / seconds.max(1e-9) / 1e9
}

/// Seconds by stage.
pub fn stages_of(times: &Times) -> Value {
    let stage = |s: &'static str| (format!("{s}_s"), json!(times.of(s).as_secs_f64()));
    Value::Object(stages().map(stage).collect())
}

pub fn record(speed: &Speed, roof: &Roof) -> Value {
    let least = speed.bench.min_s;
    json!({
        "reason": "speed", "schema": 1, "model": speed.model, "batch": speed.batch,
        "compile_s": speed.times.compiling().as_secs_f64(), "stages": stages_of(&speed.times),
        "min_s": least, "median_s": speed.bench.median_s, "samples": speed.bench.samples,
        "flops": speed.flops, "gflops": per_second(speed.flops, least),
        "share_of_arithmetic": speed.flops as f64 / least.max(1e-9) / roof.flops,
        "moved_bytes": speed.moved, "gb_per_s": per_second(speed.moved, least),
        "share_of_memory": speed.moved as f64 / least.max(1e-9) / roof.bandwidth(speed.size),
        "kernels": speed.kernels, "arena_bytes": speed.bench.arena_bytes, "values": speed.bench.values,
    })
}

/// Models: the stages of compiling, then the step.
pub fn tables(speeds: &[Speed], roof: &Roof) -> String {
    let milli = |seconds: f64| format!("{:.2}", seconds * 1e3);
    let mut compile = vec![vec!["compiling, ms".to_string()]];
    compile[0].extend(stages().map(str::to_string).chain(["in all".to_string()]));
    let heads =
        ["a step", "batch", "least", "median", "GFLOP/s", "of peak", "GB/s", "of memory", "moved", "kernels", "arena"];
    let mut steps = vec![heads.map(str::to_string).to_vec()];
    for s in speeds {
        let mut row = vec![s.model.clone()];
        row.extend(stages().map(|stage| milli(s.times.of(stage).as_secs_f64())));
        row.push(milli(s.times.compiling().as_secs_f64()));
        compile.push(row);
        let (flops, bytes) = (per_second(s.flops, s.bench.min_s), per_second(s.moved, s.bench.min_s));
        steps.push(vec![
            s.model.clone(),
            s.batch.to_string(),
            time(s.bench.min_s),
            time(s.bench.median_s),
            format!("{flops:.1}"),
            percent(flops * 1e9 / roof.flops),
            format!("{bytes:.1}"),
            percent(bytes * 1e9 / roof.bandwidth(s.size)),
            display_bytes(s.moved),
            s.kernels.to_string(),
            display_bytes(s.bench.arena_bytes),
        ]);
    }
    format!("{}\n{}", align(&compile, 1), align(&steps, 1))
}

pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// The part of a step that a kernel takes, in the steps in which each took the least.
fn share(row: &Row, rows: &[Row]) -> f64 {
    row.least_s / rows.iter().map(|r| r.least_s).sum::<f64>().max(1e-12)
}

pub fn kernel(row: &Row, rows: &[Row], speed: &Speed, roof: &Roof) -> Value {
    json!({
        "reason": "kernel", "schema": 1, "model": speed.model, "number": row.number, "name": row.name,
        "computes": row.what, "phase": row.phase.name(), "call": row.call, "place": row.place, "calls": row.calls,
        "share": share(row, rows), "min_s": row.least_s, "mean_s": row.mean_s,
        "flops": row.flops, "gflops": per_second(row.flops, row.least_s),
        "moved_bytes": row.moved, "gb_per_s": per_second(row.moved, row.least_s),
        "share_of_roof": row.roof(roof),
    })
}

/// The kernels of a step, the slowest first.
pub fn kernels(rows: &[Row], speed: &Speed, roof: &Roof) -> String {
    let heads = ["computes", "call", "place", "phase", "share", "time", "calls", "GFLOP/s", "GB/s", "of roof"];
    let mut table = vec![heads.map(str::to_string).to_vec()];
    for row in rows {
        table.push(vec![
            row.what.clone(),
            row.call.clone(),
            row.place.clone(),
            row.phase.name().to_string(),
            percent(share(row, rows)),
            time(row.least_s),
            format!("{:.0}", row.calls),
            format!("{:.1}", per_second(row.flops, row.least_s)),
            format!("{:.1}", per_second(row.moved, row.least_s)),
            percent(row.roof(roof)),
        ]);
    }
    let sum: f64 = rows.iter().map(|r| r.least_s).sum();
    format!("\n{}{} in all kernels, {} a step\n", align(&table, 4), time(sum), time(speed.bench.min_s))
}
