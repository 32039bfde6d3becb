//! From a fused graph to loops: the formulas of the operators written down as instructions.
//!
//! In: a verified graph and its [`Fusion`]. Out: a [`Program`] whose loops over elements are all `Parallel` and whose
//! reductions stand in their order. Invariant: the graph's arithmetic, term by term; nothing is reordered.

use super::formula::{Nest, Site};
use super::ir::*;
use super::plan;
use super::rewrite::tidy;
use crate::base::{DType, Extent, Type};
use crate::graph::Graph;
use crate::ops::Value;
use crate::passes::footprint::footprint;
use crate::passes::fuse::{Fusion, Group, Home as Place};
use std::collections::BTreeMap;

/// The loops of `graph` under the choices of `fusion`. Outputs without a target become buffers from outside of that name.
pub fn lower(graph: &Graph, fusion: &Fusion) -> Program {
    let mut program = Program { name: graph.name.clone(), symbols: graph.symbols.clone(), ..Program::default() };
    let mut lowering = Lowering::new(graph, fusion, &mut program);
    lowering.outside();
    lowering.groups();
    plan::set_lifetimes(&mut program);
    program
}

struct Lowering<'a> {
    graph: &'a Graph,
    fusion: &'a Fusion,
    program: &'a mut Program,
    /// Where each value can be loaded from.
    memory: BTreeMap<Value, Site>,
    inputs: Vec<Site>,
    outputs: BTreeMap<usize, Site>,
    /// What the loops carry: body and number.
    carried: BTreeMap<(usize, usize), Site>,
    /// What stands before the names of buffers and kernels.
    prefix: String,
    /// The repeats around, outermost first.
    around: Vec<u32>,
}

impl<'a> Lowering<'a> {
    fn new(graph: &'a Graph, fusion: &'a Fusion, program: &'a mut Program) -> Lowering<'a> {
        let (memory, outputs, carried) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (inputs, prefix, around) = (vec![], String::new(), vec![]);
        Lowering { graph, fusion, program, memory, inputs, outputs, carried, prefix, around }
    }

    /// Inputs and outputs of the whole graph are bound from outside.
    fn outside(&mut self) {
        for input in &self.graph.inputs {
            let site = self.buffer(input.name.clone(), &input.ty, Home::Outside);
            self.inputs.push(site.clone());
            self.memory.insert(input.value, site);
        }
        for (number, output) in self.graph.outputs.iter().enumerate().filter(|(_, o)| o.target.is_none()) {
            let taken = self.program.buffers.iter().any(|b| b.name == output.name);
            let name = if taken { format!("{}'", output.name) } else { output.name.clone() };
            let site = self.buffer(name, &self.graph.node(output.value).ty, Home::Outside);
            self.outputs.insert(number, site);
        }
    }

    fn groups(&mut self) {
        let fusion = self.fusion;
        fusion.kernels.iter().for_each(|group| self.group(group));
    }

    fn buffer(&mut self, name: String, ty: &Type, home: Home) -> Site {
        let dtype = if ty.dtype == DType::Bool { DType::I32 } else { ty.dtype };
        self.program.buffers.push(Buffer { name, dtype, shape: ty.shape.clone(), home });
        Site { buffer: BufferId(self.program.buffers.len() as u32 - 1), steps: vec![] }
    }

    fn temporary(&mut self, name: &str, ty: &Type) -> Site {
        self.buffer(format!("{}{name}", self.prefix), ty, Home::Arena { first: 0, last: 0 })
    }

    /// The memory that `value` is stored in; a new buffer for the arena.
    fn destination(&mut self, value: Value, to: Place) -> Site {
        let node = self.graph.node(value);
        match to {
            Place::Input(input) => self.inputs[input].clone(),
            Place::Output(output) => self.outputs[&output].clone(),
            Place::Arena => self.temporary(&format!("{}.{}", node.op.name(), value.0), &node.ty),
            Place::Carried(body, carry) => {
                let place = self.result(body, carry).and_then(|v| self.fusion.stored[v.0 as usize].map(|p| (v, p)));
                let site = match place {
                    Some((result, place)) => self.destination(result, place),
                    None => self.temporary(&format!("carried.{body}.{carry}"), &node.ty),
                };
                self.carried.insert((body, carry), site.clone());
                site
            }
        }
    }

    /// The node of a result of a loop, if there is one.
    fn result(&self, body: usize, result: usize) -> Option<Value> {
        self.graph.values().find(|&v| self.graph.scan_of(v) == Some((body, result)))
    }

    fn group(&mut self, group: &Group) {
        match group {
            Group::Copy { value, to } => {
                let target = self.destination(*value, *to);
                let name = format!("copy.{}.{}", value.0, target.buffer.0);
                self.emit(name, &self.graph.node(*value).ty.shape.clone(), &[(*value, target.clone())]);
                if *to == Place::Arena {
                    self.memory.insert(*value, target);
                }
            }
            Group::Compute { space, roots, also } => {
                let mut stores: Vec<(Value, Site)> = vec![];
                for &root in roots {
                    match self.fusion.stored[root.0 as usize] {
                        Some(place) => stores.push((root, self.destination(root, place))),
                        None => panic!("invariant broken: the roots of a kernel are stored"),
                    }
                }
                let copies: Vec<(Value, Site)> = also.iter().map(|&(v, to)| (v, self.destination(v, to))).collect();
                let last = roots.last().map_or(Value(0), |&r| r);
                let name = format!("{}.{}", self.graph.node(last).op.name(), last.0);
                match footprint(self.graph, last).scatters {
                    Some(extents) => {
                        self.scatter(name, last, &stores[0].1.clone(), &extents);
                        self.memory.extend(stores);
                        copies.into_iter().for_each(|c| self.emit(format!("copy.{}", c.0.0), space, &[c]));
                    }
                    None => {
                        self.emit(name, space, &[stores.clone(), copies].concat());
                        self.memory.extend(stores);
                    }
                }
            }
            Group::Repeat { body } => self.repeat(*body),
        }
    }

    /// The kernels of one step, and the repeat around them.
    fn repeat(&mut self, number: usize) {
        let graph = self.graph;
        let body = &graph.bodies[number];
        let first = graph.first_scans()[number];
        let Some(first) = first else { panic!("invariant broken: a loop that runs has nodes") };
        let repeat = self.program.repeats.len() as u32;
        let begin = self.program.kernels.len() as u32;
        self.program.repeats.push(Repeat { extent: body.extent, reverse: body.reverse, kernels: begin..begin });
        let row = |mut site: Site| {
            site.steps.push(repeat);
            site
        };
        let mut inputs = vec![];
        for (i, arg) in graph.node(first).args.iter().enumerate() {
            let sliced = (body.carries..body.carries + body.slices).contains(&i);
            inputs.push(match (i < body.carries, sliced) {
                (true, _) => self.carried[&(number, i)].clone(),
                (_, true) => row(self.memory[arg].clone()),
                _ => self.memory[arg].clone(),
            });
        }
        let mut outputs = BTreeMap::new();
        for (result, output) in body.graph.outputs.iter().enumerate() {
            let value = self.result(number, result);
            let place = value.and_then(|v| self.fusion.stored[v.0 as usize]);
            let site = match (result < body.carries, value.zip(place)) {
                (true, _) => self.carried[&(number, result)].clone(),
                (_, Some((value, place))) => self.destination(value, place),
                _ => {
                    let ty = body.stack_of(&body.graph.node(output.value).ty);
                    self.temporary(&format!("row.{number}.{result}"), &ty)
                }
            };
            if let Some(value) = value {
                self.memory.insert(value, site.clone());
            }
            if result >= body.carries {
                outputs.insert(result, row(site));
            }
        }
        let memory = body.graph.inputs.iter().map(|i| i.value).zip(inputs.iter().cloned()).collect();
        let prefix = format!("{}{}/", self.prefix, first.0);
        let around = self.around.iter().copied().chain([repeat]).collect();
        let mut step = Lowering::new(&body.graph, &self.fusion.bodies[number], self.program);
        (step.memory, step.inputs, step.outputs) = (memory, inputs, outputs);
        (step.prefix, step.around) = (prefix, around);
        step.groups();
        self.program.repeats[repeat as usize].kernels.end = self.program.kernels.len() as u32;
    }

    fn nest(&self) -> Nest<'_> {
        let extent = |&repeat: &u32| (repeat, self.program.repeats[repeat as usize].extent);
        let around: Vec<(u32, Extent)> = self.around.iter().map(extent).collect();
        Nest::new(self.graph, &self.program.buffers, &self.memory, &around)
    }

    fn emit(&mut self, name: String, space: &[Extent], stores: &[(Value, Site)]) {
        let kernel = self.nest().run(format!("{}{name}", self.prefix), space, stores);
        self.push(kernel);
    }

    fn push(&mut self, mut kernel: Kernel) {
        tidy(&mut kernel);
        self.program.kernels.push(kernel);
    }

    /// Zeros in one kernel, and in the next every number added to its row. A loaded sum is one of this kernel's own, so
    /// the loop over the numbers is serial; only the elements of a row are independent.
    fn scatter(&mut self, name: String, value: Value, site: &Site, extents: &[Extent]) {
        assert!(self.graph.node(value).ty.rank() > 0, "invariant broken: what has rows has an axis");
        let zeros = self.nest().zeros(format!("{}zeros.{}", self.prefix, value.0), value, site);
        self.push(zeros);
        let adds = self.nest().scatter(format!("{}{name}", self.prefix), value, site, extents);
        self.push(adds);
    }
}
