//! `nnc summary`: layers, shapes, parameters, memory.
//!
//! In: a file. Out: a table for each model, or JSON. Invariant: every number comes from the compiled program, none is
//! estimated here.

use super::args::SummaryArgs;
use super::output::{Format, Output};
use super::{Failure, fail, load};
use crate::base::shape::display_bytes;
use crate::driver::commands;
use crate::driver::report::{Layer, Summary};
use serde_json::{Value, json};

pub fn run(args: &SummaryArgs, output: &Output) -> Result<i32, Failure> {
    let session = load(&args.file, output)?;
    let summaries = commands::summary(&session, args.model.as_deref());
    for summary in summaries.map_err(|e| fail(output, &session.sources, &e))? {
        match output.format {
            Format::Json => output.record(&record(&summary))?,
            _ => output.data(&table(&summary))?,
        }
    }
    Ok(0)
}

fn record(summary: &Summary) -> Value {
    let layer = |l: &Layer| {
        json!({
            "name": l.name, "depth": l.depth, "shape": l.shape,
            "parameters": l.parameters, "flops": l.flops, "bytes": l.bytes,
        })
    };
    json!({
        "reason": "summary", "schema": 1, "model": summary.model,
        "layers": summary.layers.iter().map(layer).collect::<Vec<_>>(),
        "parameters": summary.parameters, "trained": summary.trained, "batch": summary.batch,
        "arena_bytes": summary.arena_bytes, "train_kernels": summary.train_kernels,
        "infer_kernels": summary.infer_kernels,
        "groups": summary.groups,
    })
}

fn table(summary: &Summary) -> String {
    let mut rows = vec![["layer", "shape", "parameters", "FLOPs", "bytes"].map(str::to_string).to_vec()];
    for layer in &summary.layers {
        let name = format!("{}{}", "  ".repeat(layer.depth), layer.name);
        rows.push(vec![name, layer.shape.clone(), digits(layer.parameters), digits(layer.flops), digits(layer.bytes)]);
    }
    let mut text = format!("{}\n{}", summary.model, align(&rows, 2));
    text.push_str(&format!(
        "{} parameters, {} trained\nbatch {}: arena {} at its peak; {} kernels in a training step, {} in inference\n",
        digits(summary.parameters),
        digits(summary.trained),
        summary.batch,
        display_bytes(summary.arena_bytes),
        summary.train_kernels,
        summary.infer_kernels,
    ));
    for kernel in &summary.groups {
        text.push_str(&format!("  {kernel}\n"));
    }
    text
}

/// Columns side by side: the first `left` of them left-aligned, the others right-aligned.
pub fn align(rows: &[Vec<String>], left: usize) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |i: usize| rows.iter().filter_map(|r| r.get(i)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().enumerate().map(|(i, cell)| match i < left {
            true => format!("{cell:<0$}", widths[i]),
            false => format!("{cell:>0$}", widths[i]),
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// `1 234 567`
pub fn digits(number: u64) -> String {
    let plain = number.to_string();
    let groups: Vec<&str> = plain.as_bytes().rchunks(3).rev().map(|g| std::str::from_utf8(g).unwrap_or("")).collect();
    groups.join(" ")
}
