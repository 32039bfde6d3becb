//! The stages of the compiler as text.
//!
//! In: a checked file and a stage. Out: text, or the difference of two files by meaning. Invariant: the text follows from
//! the source alone; the runs of a file stand in its order.

use super::commands::{bound, runs};
use super::compile;
use super::session::Session;
use super::stage::Stage;
use super::times::Times;
use crate::base::Diagnostic;
use crate::base::shape::display_shape;
use crate::check::Run;
use crate::codegen;
use crate::graph::{self, Graph};
use crate::loops::ir::{Home, Program};
use crate::loops::{self, plan};
use crate::passes::fuse::{Fusion, Group};
use crate::runtime::data::Errors;
use similar::TextDiff;

/// The text of one stage.
pub fn text(session: &Session, stage: Stage) -> Result<String, Errors> {
    if stage == Stage::Ast {
        return Ok(format!("{:#?}\n", session.tree));
    }
    let runs = runs(session, None)?;
    let mut out = String::new();
    for run in &runs {
        if runs.len() > 1 {
            out.push_str(&format!("// train {}\n", run.spec.name));
        }
        let bound = if stage >= Stage::Plan { bound(session, run)? } else { (*run).clone() };
        out.push_str(&one(session, &bound, stage).map_err(|e| vec![e])?);
    }
    Ok(out)
}

/// What differs between two files at a stage; empty where nothing does. Graphs are compared by meaning, other stages line
/// by line.
pub fn diff(old: &Session, new: &Session, stage: Stage) -> Result<String, Errors> {
    if matches!(stage, Stage::Graph | Stage::Grad | Stage::Simple)
        && let ([a], [b]) = (runs(old, None)?.as_slice(), runs(new, None)?.as_slice())
    {
        return Ok(graph::diff::diff(&graph(old, a, stage)?, &graph(new, b, stage)?));
    }
    let (a, b) = (text(old, stage)?, text(new, stage)?);
    let name = |session: &Session| format!("{} ({})", session.path.display(), stage.name());
    Ok(TextDiff::from_lines(&a, &b).unified_diff().header(&name(old), &name(new)).to_string())
}

fn graph(session: &Session, run: &Run, stage: Stage) -> Result<Graph, Errors> {
    let training = compile::training(&session.checked, run, false).map_err(|e| vec![e])?;
    match stage {
        Stage::Graph => Ok(training.forward),
        Stage::Grad => Ok(training.graph),
        _ => Ok(compile::fused(&training.graph, &mut Times::default()).map_err(|e| vec![e])?.0),
    }
}

fn one(session: &Session, run: &Run, stage: Stage) -> Result<String, Diagnostic> {
    let training = compile::training(&session.checked, run, false)?;
    match stage {
        Stage::Ast | Stage::Graph => return Ok(graph::print::print(&training.forward)),
        Stage::Grad => return Ok(graph::print::print(&training.graph)),
        Stage::Types => {
            let symbols = &training.graph.symbols;
            let line = |l: &crate::check::elaborate::Layer| {
                let (indent, shape) = ("  ".repeat(l.depth), display_shape(&l.shape, symbols));
                format!("{indent}{}: {} -> [{shape}], {} parameters\n", l.path, l.name, l.parameters)
            };
            return Ok(training.layers.iter().map(line).collect());
        }
        Stage::Simple | Stage::Fused => {
            let (simple, _, fusion) = compile::fused(&training.graph, &mut Times::default())?;
            return Ok(if stage == Stage::Fused { fused(&simple, &fusion) } else { graph::print::print(&simple) });
        }
        _ => {}
    }
    let lowered = compile::lowered(training.graph, None)?;
    match stage {
        Stage::Plan => Ok(planned(&lowered.program, run.spec.batch)),
        Stage::Loops => Ok(loops::print::print(&lowered.program)),
        _ => machine(&lowered.program, stage, session.options.vectors),
    }
}

/// Each kernel with the nodes that it stores; those of a loop's step are indented.
fn fused(graph: &Graph, fusion: &Fusion) -> String {
    let mut out = String::new();
    for (i, group) in fusion.kernels.iter().enumerate() {
        match group {
            Group::Compute { space, roots, .. } => {
                out.push_str(&format!("kernel {i} over [{}]\n", display_shape(space, &graph.symbols)));
                for root in roots {
                    out.push_str(&format!("  {}\n", graph::print::node(graph, *root)));
                }
            }
            Group::Repeat { body } => {
                out.push_str(&format!("loop {i} of body {body}\n"));
                let inner = fused(&graph.bodies[*body].graph, &fusion.bodies[*body]);
                inner.lines().for_each(|line| out.push_str(&format!("  {line}\n")));
            }
            Group::Copy { value, to } => out.push_str(&format!("kernel {i} copies %{} to {to:?}\n", value.0)),
        }
    }
    out
}

/// Each buffer's place in the arena for one batch size.
fn planned(program: &Program, batch: u64) -> String {
    let symbols = vec![batch; program.symbols.len()];
    let plan = match plan::plan(program, &symbols) {
        Ok(plan) => plan,
        Err(e) => return format!("{}\n", e.message),
    };
    let mut out = format!("batch {batch}: arena {} bytes\n", plan.arena_bytes);
    for (i, b) in program.buffers.iter().enumerate() {
        let ty = format!("{}[{}]", b.dtype, display_shape(&b.shape, &program.symbols));
        match (&b.home, plan.offsets[i]) {
            (Home::Arena { first, last }, Some(offset)) => {
                out.push_str(&format!("{offset:>10} {:>10} kernels {first}..{last}  {} {ty}\n", plan.sizes[i], b.name));
            }
            _ => out.push_str(&format!("   outside {:>10}  {} {ty}\n", plan.sizes[i], b.name)),
        }
    }
    out
}

fn machine(program: &Program, stage: Stage, vectors: codegen::Vectors) -> Result<String, Diagnostic> {
    let wanted = codegen::Options { text: true, vectors, ..codegen::Options::default() };
    let compiled = compile::native(program, &wanted)?;
    Ok(if stage == Stage::Clif { compiled.clif().to_string() } else { compiled.asm().to_string() })
}
