//! Where the time of a step goes: by kernel and by the calls of the source.
//!
//! In: an engine that was watched. Out: rows, the slowest first. Invariant: operations and bytes are counted from the loops that
//! ran, times are those of the thread that runs the steps, waiting for the others included.

use super::engine::Engine;
use super::origin::{Origin, Phase, origins};
use super::roof::Roof;
use crate::base::{SourceMap, Span};

/// One kernel, in one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub number: usize,
    pub name: String,
    pub what: String,
    pub phase: Phase,
    /// The call in the source and where it stands; empty for what no text says.
    pub call: String,
    pub place: String,
    pub calls: f64,
    /// In the step in which it took the least, and on average.
    pub least_s: f64,
    pub mean_s: f64,
    pub flops: u64,
    pub moved: u64,
}

/// The kernels of one call of the source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layer {
    pub call: String,
    pub place: String,
    pub kernels: u64,
    pub flops: u64,
    /// Average seconds of a step: all, and those of forward, gradient, update and copies.
    pub mean_s: f64,
    pub phases: [f64; 4],
}

/// The kernels of an engine, the slowest first.
pub fn kernels(engine: &Engine, sources: &SourceMap) -> Vec<Row> {
    let Some(watch) = engine.watches().first() else { return vec![] };
    let steps = watch.steps();
    let origins = origins(engine.program(), &engine.graph, &engine.fusion, sources);
    let (costs, symbols) = engine.costs();
    let of_steps = |n: u64| n as f64 / steps.max(1) as f64;
    let all = watch.taken().into_iter().zip(origins).zip(costs).enumerate();
    let mut rows: Vec<Row> = all
        .map(|(number, ((taken, origin), cost))| {
            let Origin { what, phase, span } = origin;
            let (call, place) = span.map_or(Default::default(), |span| said(sources, span));
            Row {
                number,
                name: engine.program().kernels[number].name.clone(),
                what,
                phase,
                call,
                place,
                calls: of_steps(taken.calls),
                least_s: taken.least as f64 / 1e9,
                mean_s: of_steps(taken.nanos) / 1e9,
                flops: cost.flops.bound(symbols),
                moved: cost.moved(symbols),
            }
        })
        .collect();
    rows.sort_by(|a, b| b.least_s.total_cmp(&a.least_s).then(a.number.cmp(&b.number)));
    rows
}

/// The rows of each call together, the slowest first.
pub fn layers(rows: &[Row]) -> Vec<Layer> {
    let mut layers: Vec<Layer> = Vec::new();
    for row in rows {
        let found = layers.iter().position(|l| (&l.call, &l.place) == (&row.call, &row.place));
        let place = found.unwrap_or_else(|| {
            layers.push(Layer { call: row.call.clone(), place: row.place.clone(), ..Layer::default() });
            layers.len() - 1
        });
        let layer = &mut layers[place];
        layer.kernels += 1;
        layer.flops = layer.flops.saturating_add(row.flops);
        layer.mean_s += row.mean_s;
        layer.phases[row.phase as usize] += row.mean_s;
    }
    layers.sort_by(|a, b| b.mean_s.total_cmp(&a.mean_s).then_with(|| (&a.place, &a.call).cmp(&(&b.place, &b.call))));
    layers
}

impl Row {
    /// The least time that the machine allows, as a share of the time taken.
    pub fn roof(&self, roof: &Roof) -> f64 {
        let calls = self.calls.max(1.0);
        let each = |n: u64| (n as f64 / calls) as u64;
        calls * roof.seconds(each(self.flops), each(self.moved)) / self.least_s.max(1e-9)
    }
}

/// Characters of a call that are shown.
const SHOWN: usize = 36;

/// A call on one line, and its file and line.
fn said(sources: &SourceMap, span: Span) -> (String, String) {
    let text = sources.text(span).split_whitespace().collect::<Vec<_>>().join(" ");
    let call = match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    };
    let name = &sources.file(span.file).name;
    let name = std::path::Path::new(name).file_name().map_or(name.clone(), |n| n.to_string_lossy().into_owned());
    (call, format!("{name}:{}", sources.line_column(span).0))
}
