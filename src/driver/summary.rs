//! `nnc summary`: what a model consists of.
//!
//! In: a checked run. Out: its layers with shapes, parameters, arithmetic and memory. Invariant: every number is counted
//! from the graphs and the memory plan of the very programs that `nnc run` would use.

use super::compile;
use super::report::{Layer, Summary};
use super::session::Session;
use crate::base::shape::{display_shape, elements};
use crate::base::{DType, Extent};
use crate::check::Run;
use crate::check::elaborate::Layer as Made;
use crate::graph::{Graph, Role};
use crate::loops::plan::plan;
use crate::ops::{Index, Io, Kernel, Order, ReduceBody, ReduceKind, Scalar, ScalarOp, ScatterBody, Value};
use crate::runtime::data::Errors;

/// The summary of one run's model at the run's batch size.
pub fn summary(session: &Session, run: &Run) -> Result<Summary, Errors> {
    let run = &super::commands::bound(session, run)?;
    let training = compile::training(&session.checked, run, false).map_err(|e| vec![e])?;
    let inference = session.checked.inference(run).map_err(|e| vec![*e])?;
    let forward = &training.forward;
    let mut made: Vec<&Made> = training.layers.iter().filter(|l| written_in(run, l)).collect();
    made.sort_by_key(|l| (l.nodes.start, l.depth));
    let least = made.iter().map(|l| l.depth).min().unwrap_or(0);
    let layers = made.iter().map(|l| row(session, forward, l, l.depth - least)).collect();
    let trained: u64 = forward.inputs.iter().filter(|i| i.role == Role::Param).map(|i| count(&i.ty.shape, 1)).sum();
    let batch = run.spec.batch;
    let train = compile::lowered(training.graph, Some(batch)).map_err(|e| vec![e])?;
    let infer = compile::lowered(inference, Some(batch)).map_err(|e| vec![e])?;
    let symbols = vec![batch; train.program.symbols.len().max(infer.program.symbols.len())];
    let arena = plan(&train.program, &symbols).map_err(|e| vec![e])?.arena_bytes;
    let kernels = train.program.kernels.iter();
    Ok(Summary {
        model: run.spec.model.clone(),
        layers,
        parameters: trained,
        trained,
        batch,
        arena_bytes: arena,
        train_kernels: train.program.kernels.len() as u64,
        infer_kernels: infer.program.kernels.len() as u64,
        groups: kernels.map(|k| k.name.clone()).collect(),
    })
}

/// True for a layer that the model's own text calls, not its loss or a metric.
fn written_in(run: &Run, layer: &Made) -> bool {
    let spans = || run.model.body.iter().map(|s| s.span);
    let inside = |start: u32, end: u32| start <= layer.span.start && layer.span.end <= end;
    let end = spans().map(|s| s.end).max().unwrap_or(0);
    spans().next().is_some_and(|first| first.file == layer.span.file && inside(first.start, end))
}

fn row(session: &Session, graph: &Graph, layer: &Made, depth: usize) -> Layer {
    let call = session.sources.text(layer.span).split_whitespace().collect::<Vec<_>>().join(" ");
    let name = if call.chars().count() <= 40 && call.starts_with(&layer.name) { call } else { layer.name.clone() };
    let computed = |v: &u32| graph.inputs.iter().all(|i| i.value.0 != *v);
    let there = |v: &u32| (*v as usize) < graph.nodes.len();
    let nodes = layer.nodes.clone().filter(computed).filter(there).map(Value);
    Layer {
        name,
        depth,
        shape: format!("[{}]", display_shape(&layer.shape, &graph.symbols)),
        parameters: layer.parameters,
        flops: nodes.map(|n| flops(graph, n)).sum(),
        bytes: count(&layer.shape, 1).saturating_mul(4),
    }
}

fn count(shape: &[Extent], symbol: u64) -> u64 {
    let number = |e: &Extent| e.fixed().unwrap_or(symbol);
    shape.iter().map(number).fold(1, u64::saturating_mul)
}

/// The arithmetic of one example's result: scalar operations of the operator's formula, a multiplication with its addition
/// as two. Inputs, constants and moves count nothing.
fn flops(graph: &Graph, value: Value) -> u64 {
    let (node, symbols) = (graph.node(value), vec![1; graph.symbols.len()]);
    if let Some((number, _)) = graph.scan_of(value) {
        let body = &graph.bodies[number];
        if graph.first_scans()[number] != Some(value) {
            return 0;
        }
        let computed = body.graph.values().filter(|&v| body.graph.input_of(v).is_none());
        let step: u64 = computed.map(|v| flops(&body.graph, v)).fold(0, u64::saturating_add);
        return step.saturating_mul(body.extent.bound(&symbols));
    }
    let types: Vec<_> = node.args.iter().map(|v| &graph.nodes[v.0 as usize].ty).collect();
    let io = Io { attrs: &node.attrs, args: &node.args, arg_types: &types, out: Value(0), ty: &node.ty };
    let at: Vec<Index> = (0..node.ty.rank() as u32).map(Index).collect();
    let mut counter = Counter { symbols: &symbols, shape: &node.ty.shape, times: 1, work: 0, rows: 1 };
    node.op.element(&mut counter, &io, &at);
    counter.work.saturating_mul(elements(&node.ty.shape, &symbols).unwrap_or(u64::MAX)) / counter.rows
}

/// A kernel that computes nothing and counts.
struct Counter<'a> {
    symbols: &'a [u64],
    shape: &'a [Extent],
    times: u64,
    work: u64,
    /// The work is that of so many elements: numbers that are added to rows fall into each of them alike.
    rows: u64,
}

impl Kernel for Counter<'_> {
    fn constant(&mut self, _: f64, _: DType) -> Scalar {
        Scalar(0)
    }

    fn load(&mut self, _: usize, _: &[Index]) -> Scalar {
        Scalar(0)
    }

    fn scalar(&mut self, op: ScalarOp, _: &[Scalar]) -> Scalar {
        self.work = self.work.saturating_add(self.times.saturating_mul(op.flops()));
        Scalar(0)
    }

    fn reduce(&mut self, kind: ReduceKind, _: Order, extents: &[Extent], body: ReduceBody<'_>) -> Scalar {
        let before = self.times;
        let terms = elements(extents, self.symbols).unwrap_or(u64::MAX);
        self.times = self.times.saturating_mul(terms);
        let joins = if kind == ReduceKind::Dot { 2 } else { 1 };
        self.work = self.work.saturating_add(self.times.saturating_mul(joins));
        body(self, &vec![Index(0); extents.len()]);
        self.times = before;
        Scalar(0)
    }

    /// One addition for each number, whatever row it falls into.
    fn scatter(&mut self, at: Index, extents: &[Extent], body: ScatterBody<'_>) -> Scalar {
        self.rows = self.shape.get(at.0 as usize).map_or(1, |e| e.bound(self.symbols)).max(1);
        let before = self.times;
        self.times = self.times.saturating_mul(elements(extents, self.symbols).unwrap_or(u64::MAX));
        self.work = self.work.saturating_add(self.times);
        body(self, &vec![Index(0); extents.len()]);
        self.times = before;
        Scalar(0)
    }

    fn affine(&mut self, _: &[(i64, Index)], _: i64) -> Index {
        Index(0)
    }

    fn div_rem(&mut self, _: Index, _: u64) -> (Index, Index) {
        (Index(0), Index(0))
    }

    fn index_value(&mut self, _: Index) -> Scalar {
        Scalar(0)
    }

    fn value_index(&mut self, _: Scalar) -> Index {
        Index(0)
    }

    fn guarded(&mut self, _: &[(Index, Extent)], body: &mut dyn FnMut(&mut dyn Kernel) -> Scalar, _: f64) -> Scalar {
        body(self)
    }
}
