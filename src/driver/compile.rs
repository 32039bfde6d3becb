//! From a run's graphs to native programs.
//!
//! In: a checked run. Out: loop programs of the training step, the evaluation, the inference and the first values, and the
//! text of every stage between. Invariant: every program goes through the same passes in the same order.

use crate::base::Diagnostic;
use crate::check::{Checked, Run, Training, errors};
use crate::codegen::{self, Compiled};
use crate::driver::pipeline::differentiate;
use crate::driver::times::{Lap, Times};
use crate::graph::{Builder, Graph, Role};
use crate::loops::ir::{Buffer, Program};
use crate::loops::{bind, lower, prepack, schedule, verify};
use crate::ops::Value;
use crate::passes::fuse::{Fusion, fuse};
use crate::passes::hoist::{NotAScalar, StepScalars, hoist};
use crate::passes::simplify::simplify;
use crate::passes::spread::spread;
use std::time::Instant;

/// The symbol of the number of rows in a batch.
const BATCH: &str = "B";

/// A graph after each stage, and the loops that it became.
pub struct Lowered {
    pub graph: Graph,
    pub simple: Graph,
    pub scalars: StepScalars,
    pub fusion: Fusion,
    pub program: Program,
    pub times: Times,
}

/// A graph simplified, with what is left of its step scalars, and the choice of its kernels. Symbols may still be open.
pub fn fused(graph: &Graph, times: &mut Times) -> Result<(Graph, StepScalars, Fusion), Diagnostic> {
    let simpler = || {
        let (hoisted, scalars) = hoist(graph)?;
        let simple = simplify(&hoisted);
        Ok((if simple.bodies.is_empty() { simple } else { simplify(&spread(&simple)) }, scalars))
    };
    let (simple, scalars) = times
        .lap("simplify", simpler)
        .map_err(|n: NotAScalar| *errors::unsupported(n.span, "a tensor that depends on the step"))?;
    let fusion = times.lap("fuse", || fuse(&simple));
    Ok((simple, scalars, fusion))
}

/// Graph to loops; for a batch of one row, where `batch` is 1.
pub fn lowered(graph: Graph, batch: Option<u64>) -> Result<Lowered, Diagnostic> {
    let mut times = Times::default();
    let (simple, scalars, fusion) = fused(&graph, &mut times)?;
    let program = times.lap("loops", || {
        let mut program = lower::lower(&simple, &fusion);
        if let (Some(1), Some(symbol)) = (batch, program.symbols.iter().position(|s| s == BATCH)) {
            bind::bind(&mut program, symbol as u32, 1);
        }
        schedule::schedule(&mut program);
        program
    });
    if cfg!(debug_assertions)
        && let Err(why) = verify::verify(&program)
    {
        panic!("invariant broken: lowering and scheduling give verified loops: {why}");
    }
    Ok(Lowered { graph, simple, scalars, fusion, program, times })
}

/// The training step of a run; with `check`, nothing in it is random.
pub fn training(checked: &Checked, run: &Run, check: bool) -> Result<Training, Diagnostic> {
    training_timed(checked, run, check, &mut Times::default())
}

/// [`training`], with the times of building the graph and of differentiating it.
pub fn training_timed(checked: &Checked, run: &Run, check: bool, times: &mut Times) -> Result<Training, Diagnostic> {
    let (mut inner, begin) = (Times::default(), Instant::now());
    let mut timed =
        |b: &mut Builder, loss: Value, wrt: &[Value]| inner.lap("differentiate", || differentiate(b, loss, wrt));
    let made = checked.training(run, !check, &mut timed).map_err(|e| *e);
    let mut from = begin;
    for lap in inner.laps {
        times.laps.extend([Lap { stage: "graph", begin: from, end: lap.begin }, lap]);
        from = lap.end;
    }
    times.laps.push(Lap { stage: "graph", begin: from, end: Instant::now() });
    made
}

/// A lowered graph as two: what only rearranges weights, to be run once, and the rest.
pub fn prepacked(lowered: Lowered) -> (Lowered, Lowered) {
    let weight = |b: &Buffer| lowered.simple.inputs.iter().any(|i| i.role == Role::Param && i.name == b.name);
    let (first, rest) = prepack::split(&lowered.program, &weight);
    let graphs = (lowered.graph.clone(), lowered.simple.clone(), lowered.fusion.clone());
    let packs = Lowered {
        graph: graphs.0,
        simple: graphs.1,
        scalars: StepScalars::default(),
        fusion: graphs.2,
        program: first,
        times: Times::default(),
    };
    (packs, Lowered { program: rest, ..lowered })
}

/// Loops to machine code.
pub fn native(program: &Program, options: &codegen::Options) -> Result<Compiled, Diagnostic> {
    codegen::compile(program, options)
}
