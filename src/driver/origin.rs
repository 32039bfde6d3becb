//! What the kernels of a program compute, and for which call of the source.
//!
//! In: a graph, the choice of its kernels, the names of kernels. Out: an [`Origin`] for each. Invariant: names alone tell it
//! (`contract.12`, `20/add.35`, `pack.l0.weight.packed7`), so a report never changes what is compiled.

use crate::base::shape::display_shape;
use crate::base::{Extent, SourceMap, Span};
use crate::graph::{Graph, Role};
use crate::loops::ir::Program;
use crate::ops::Value;
use crate::passes::footprint::{footprint, nominal_elements};
use crate::passes::fuse::{Fusion, Group, Home};
use std::collections::BTreeSet;

/// The part of a step that a kernel belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// What the figures or the outputs need.
    Forward,
    Gradient,
    /// What writes weights and states.
    Update,
    /// Another arrangement of what is there.
    Copy,
}

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Phase::Forward => "forward",
            Phase::Gradient => "gradient",
            Phase::Update => "update",
            Phase::Copy => "copy",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// `contract+add+max [B, 512]`
    pub what: String,
    pub phase: Phase,
    /// The call in the source; none for what no text says.
    pub span: Option<Span>,
}

/// One for each kernel of `program`, which was made of `graph` as `fusion` says.
pub fn origins(program: &Program, graph: &Graph, fusion: &Fusion, sources: &SourceMap) -> Vec<Origin> {
    let whole = Whole { graph, fusion, forward: needed(graph), sources };
    program.kernels.iter().map(|k| whole.origin(&k.name)).collect()
}

/// What the outputs that replace no input are computed from.
fn needed(graph: &Graph) -> BTreeSet<Value> {
    let figures = graph.outputs.iter().filter(|o| o.target.is_none());
    let (mut open, mut seen): (Vec<Value>, BTreeSet<Value>) = (figures.map(|o| o.value).collect(), BTreeSet::new());
    while let Some(value) = open.pop() {
        if seen.insert(value) {
            open.extend(&graph.node(value).args);
        }
    }
    seen
}

/// A value of a graph or of a loop's step.
struct Place<'a> {
    graph: &'a Graph,
    fusion: &'a Fusion,
    value: Value,
    /// The node of the whole graph in which it lies.
    outer: Value,
}

/// `20/add.35`: node 35 of the step of the loop that node 20 is.
fn place<'a>(graph: &'a Graph, fusion: &'a Fusion, name: &str) -> Option<Place<'a>> {
    let mut parts: Vec<&str> = name.split('/').collect();
    let last = parts.pop()?;
    let (mut graph, mut fusion, mut outer) = (graph, fusion, None);
    for part in parts {
        let value = Value(part.parse().ok()?);
        let (body, _) = graph.scan_of(value)?;
        outer = outer.or(Some(value));
        (graph, fusion) = (&graph.bodies[body].graph, fusion.bodies.get(body)?);
    }
    let value = Value(last.split('.').nth(1)?.parse().ok()?);
    let known = (value.0 as usize) < graph.nodes.len();
    known.then_some(Place { graph, fusion, value, outer: outer.unwrap_or(value) })
}

struct Whole<'a> {
    graph: &'a Graph,
    fusion: &'a Fusion,
    /// The nodes that the figures or the outputs need.
    forward: BTreeSet<Value>,
    sources: &'a SourceMap,
}

impl Whole<'_> {
    /// The first of these places that lies in a file of the user's.
    fn written(&self, spans: &[Span]) -> Option<Span> {
        spans.iter().copied().find(|s| s.end > s.start && !self.sources.file(s.file).library)
    }

    fn origin(&self, name: &str) -> Origin {
        if let Some(packed) = name.strip_prefix("pack.") {
            return self.copied(packed.rsplit_once(".packed").map_or(packed, |(source, _)| source));
        }
        let Some(at) = place(self.graph, self.fusion, name) else {
            return Origin { what: name.to_string(), phase: Phase::Copy, span: None };
        };
        let last = name.rsplit('/').next().unwrap_or(name);
        let group = at.fusion.kernels.iter().find_map(|g| match g {
            Group::Compute { space, roots, .. } if roots.contains(&at.value) => Some((space, roots)),
            _ => None,
        });
        match group {
            Some(_) if last.starts_with("zeros.") || last.ends_with(".begin") => self.plain("zeros", &at),
            Some((space, roots)) if !last.starts_with("copy.") => self.computed(&at, space, roots),
            _ => self.plain("copy", &at),
        }
    }

    /// What copies an input or a stored value, to read it in another order.
    fn copied(&self, source: &str) -> Origin {
        let mut spans: Vec<Span> = self.graph.inputs.iter().filter(|i| i.name == source).map(|i| i.span).collect();
        if let Some(at) = place(self.graph, self.fusion, source) {
            spans.extend([at.graph.node(at.value).span, self.graph.node(at.outer).span]);
        }
        Origin { what: format!("copy of {source}"), phase: Phase::Copy, span: self.written(&spans) }
    }

    fn plain(&self, what: &str, at: &Place<'_>) -> Origin {
        let shape = display_shape(&at.graph.node(at.value).ty.shape, &at.graph.symbols);
        let span = self.written(&[at.graph.node(at.value).span, self.graph.node(at.outer).span]);
        Origin { what: format!("{what} [{shape}]"), phase: Phase::Copy, span }
    }

    /// Of the nodes of a kernel, the one that takes the most work says where it comes from; one that reduces before others.
    fn computed(&self, at: &Place<'_>, space: &[Extent], roots: &[Value]) -> Origin {
        let nodes = fused(at.graph, at.fusion, roots);
        let work = |v: &Value| {
            let cost = footprint(at.graph, *v);
            let elements = nominal_elements(&at.graph.node(*v).ty.shape);
            (!cost.reduces.is_empty(), cost.work * elements)
        };
        let more = |a: &Value, b: &Value| {
            let (a, b) = (work(a), work(b));
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
        };
        let heaviest = nodes.iter().copied().max_by(more).unwrap_or(at.value);
        let span = [heaviest, at.value].map(|v| at.graph.node(v).span);
        let span = self.written(&[span[0], span[1], self.graph.node(at.outer).span]);
        let written = |v: &Value| {
            let role = |i: usize| at.graph.inputs.get(i).map(|i| i.role);
            let over = |i: usize| matches!(role(i), Some(Role::Param | Role::State));
            at.outer == at.value && matches!(at.fusion.stored[v.0 as usize], Some(Home::Input(i)) if over(i))
        };
        let phase = match roots.iter().any(written) {
            true => Phase::Update,
            false if self.forward.contains(&at.outer) => Phase::Forward,
            false => Phase::Gradient,
        };
        let shape = display_shape(space, &at.graph.symbols);
        Origin { what: format!("{} [{shape}]", operators(at.graph, &nodes)), phase, span }
    }
}

/// The nodes that a kernel computes, in their order: its roots and what is stored nowhere before them.
fn fused(graph: &Graph, fusion: &Fusion, roots: &[Value]) -> BTreeSet<Value> {
    let (mut open, mut seen) = (roots.to_vec(), BTreeSet::new());
    while let Some(value) = open.pop() {
        if !seen.insert(value) {
            continue;
        }
        let elsewhere = |v: &&Value| graph.input_of(**v).is_none() && fusion.stored[v.0 as usize].is_none();
        open.extend(graph.node(value).args.iter().filter(elsewhere));
    }
    seen
}

/// So many operators are named.
const NAMED: usize = 5;

/// Their names, each once; those that only say where an element lies are left out where others stand.
fn operators(graph: &Graph, nodes: &BTreeSet<Value>) -> String {
    let mut names: Vec<&str> = Vec::new();
    let computes = |v: &Value| !footprint(graph, *v).is_view() && !graph.node(*v).args.is_empty();
    let all = nodes.iter().copied();
    let chosen: Vec<Value> = if nodes.iter().any(computes) { all.filter(computes).collect() } else { all.collect() };
    for value in chosen {
        let name = graph.node(value).op.name();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let more = if names.len() > NAMED { "+…" } else { "" };
    names.truncate(NAMED);
    format!("{}{more}", names.join("+"))
}
