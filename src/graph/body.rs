//! What a loop does in each of its steps.
//!
//! In: a graph of one step. Out: its types as results of a loop, and what of it is alive. Invariant: the inputs of the step are
//! carried values, then slices, then whole values; its outputs are the next carried values, then one row of each stack.

use super::builder::{check_type, same_symbols};
use super::{Graph, verify};
use crate::base::{DType, Extent, Type};
use crate::ops::{Attr, Attrs, Value};
use std::collections::BTreeSet;

/// `extent` steps. Operands of its scan nodes: first values of what is carried; stacks, of which step i sees row i along
/// the first axis; values that all steps see whole. Results: the carried values after the last step, then stacks.
#[derive(Clone, Debug, Default)]
pub struct Body {
    pub extent: Extent,
    /// From the last row to the first.
    pub reverse: bool,
    pub carries: usize,
    pub slices: usize,
    /// One step. Output i of the carried ones has input i as its target.
    pub graph: Graph,
}

/// What remains of a body: per input and per output.
pub struct Live {
    pub inputs: Vec<bool>,
    pub outputs: Vec<bool>,
}

impl Body {
    /// The type of a result.
    pub fn result(&self, result: usize) -> Result<Type, String> {
        let outputs = &self.graph.outputs;
        let Some(output) = outputs.get(result) else {
            return Err(format!("the body has {} results, counted from 0, but not {result}", outputs.len()));
        };
        let ty = self.graph.node(output.value).ty.clone();
        Ok(if result < self.carries { ty } else { self.stack_of(&ty) })
    }

    pub fn stack_of(&self, ty: &Type) -> Type {
        Type::new(ty.dtype, std::iter::once(self.extent).chain(ty.shape.iter().copied()).collect())
    }

    /// Whether operands of these types fit.
    pub fn takes(&self, args: &[&Type], symbols: &[String]) -> Result<(), String> {
        let inputs = &self.graph.inputs;
        if inputs.len() != args.len() {
            return Err(format!("the body takes {} operands, but {} are given", inputs.len(), args.len()));
        }
        for (i, (input, arg)) in inputs.iter().zip(args).enumerate() {
            let sliced = (self.carries..self.carries + self.slices).contains(&i);
            let wanted = if sliced { self.stack_of(&input.ty) } else { input.ty.clone() };
            if wanted != **arg {
                let (wanted, found) = (wanted.display(symbols), arg.display(symbols));
                return Err(format!("`{}` of the body needs {wanted}, but {found} is given", input.name));
            }
        }
        Ok(())
    }

    /// The rules of a body in a graph with these symbols.
    pub fn verify(&self, symbols: &[String]) -> Result<(), String> {
        verify(&self.graph)?;
        same_symbols(&self.graph.symbols, symbols)?;
        check_type(&Type::f32(vec![self.extent]), symbols)?;
        let (inputs, outputs) = (&self.graph.inputs, &self.graph.outputs);
        if self.carries + self.slices > inputs.len() || self.carries > outputs.len() {
            return Err("the body has fewer inputs or outputs than it carries and slices".to_string());
        }
        let target = |i: usize| (i < self.carries).then_some(i);
        if let Some(i) = (0..outputs.len()).find(|&i| outputs[i].target != target(i)) {
            return Err(format!("output {i} of the body should go to {:?}", target(i)));
        }
        if self.graph.nodes.iter().any(|n| n.ty.dtype == DType::F64) {
            return Err("a body has no f64: scalars of the step are rounded outside".to_string());
        }
        Ok(())
    }

    /// What the wanted results need: a carried value is needed where its last value is, or where a needed step reads it.
    pub fn live(&self, results: &BTreeSet<usize>) -> Live {
        let graph = &self.graph;
        let mut live = Live {
            inputs: (0..graph.inputs.len()).map(|i| i < self.carries && results.contains(&i)).collect(),
            outputs: (0..graph.outputs.len()).map(|i| results.contains(&i)).collect(),
        };
        loop {
            let roots = graph.outputs.iter().zip(&live.outputs).filter(|(_, live)| **live).map(|(o, _)| o.value);
            let (needed, _) = graph.needed(roots);
            let before = live.outputs.clone();
            for (i, input) in graph.inputs.iter().enumerate() {
                live.inputs[i] |= needed[input.value.0 as usize];
                if i < self.carries {
                    live.outputs[i] |= live.inputs[i];
                }
            }
            if live.outputs == before {
                return live;
            }
        }
    }

    /// The body without what is not alive.
    pub fn keep(&self, live: &Live) -> Body {
        let kept = |flags: &[bool], range: std::ops::Range<usize>| flags[range].iter().filter(|l| **l).count();
        let mut graph = self.graph.clone();
        let only = |flags: &[bool]| -> Vec<usize> { (0..flags.len()).filter(|&i| flags[i]).collect() };
        graph.inputs = only(&live.inputs).into_iter().map(|i| self.graph.inputs[i].clone()).collect();
        graph.outputs = only(&live.outputs).into_iter().map(|i| self.graph.outputs[i].clone()).collect();
        let carries = kept(&live.outputs, 0..self.carries);
        for (i, output) in graph.outputs.iter_mut().enumerate() {
            output.target = (i < carries).then_some(i);
        }
        let slices = kept(&live.inputs, self.carries..self.carries + self.slices);
        Body { extent: self.extent, reverse: self.reverse, carries, slices, graph: graph.swept() }
    }
}

/// The attributes of a scan node.
pub fn attrs(body: usize, result: usize) -> Attrs {
    [("body", Attr::Int(body as i64)), ("result", Attr::Int(result as i64))].into()
}

impl Graph {
    /// The body and the number of the result, if the value is the result of a loop.
    pub fn scan_of(&self, value: Value) -> Option<(usize, usize)> {
        let node = self.node(value);
        if node.op.name() != super::builder::scan_op().name() {
            return None;
        }
        let number = |name| node.attrs.int(name).ok().and_then(|n| usize::try_from(n).ok());
        number("body").zip(number("result"))
    }

    /// Per body the first of its nodes.
    pub fn first_scans(&self) -> Vec<Option<Value>> {
        let mut first = vec![None; self.bodies.len()];
        for value in self.values() {
            if let Some((body, _)) = self.scan_of(value) {
                first[body].get_or_insert(value);
            }
        }
        first
    }

    /// Without the nodes, and the parts of loops, that no output needs; inputs stay.
    pub fn swept(&self) -> Graph {
        let roots = self.outputs.iter().map(|o| o.value).chain(self.inputs.iter().map(|i| i.value));
        let (needed, lives) = self.needed(roots);
        let mut result = Graph { name: self.name.clone(), symbols: self.symbols.clone(), ..Graph::default() };
        let mut numbers = vec![0; self.bodies.len()];
        for (i, live) in lives.iter().enumerate() {
            if let Some(live) = live {
                numbers[i] = result.bodies.len();
                result.bodies.push(self.bodies[i].keep(live));
            }
        }
        let mut places = vec![Value(0); self.nodes.len()];
        for place in (0..self.nodes.len()).filter(|&place| needed[place]) {
            let mut node = self.nodes[place].clone();
            if let Some((body, number)) = self.scan_of(Value(place as u32)) {
                let Some(live) = &lives[body] else { panic!("invariant broken: a needed loop is alive") };
                let kept = live.outputs[..number].iter().filter(|l| **l).count();
                node.attrs = attrs(numbers[body], kept);
                let mut inputs = live.inputs.iter();
                node.args.retain(|_| inputs.next() == Some(&true));
            }
            node.args.iter_mut().for_each(|arg| *arg = places[arg.0 as usize]);
            places[place] = Value(result.nodes.len() as u32);
            result.nodes.push(node);
        }
        result.inputs = self.inputs.clone();
        result.inputs.iter_mut().for_each(|input| input.value = places[input.value.0 as usize]);
        result.outputs = self.outputs.clone();
        result.outputs.iter_mut().for_each(|output| output.value = places[output.value.0 as usize]);
        result
    }

    /// The nodes that these values need, and what of the loops they need.
    fn needed(&self, roots: impl Iterator<Item = Value>) -> (Vec<bool>, Vec<Option<Live>>) {
        let mut needed = vec![false; self.nodes.len()];
        for value in roots {
            needed[value.0 as usize] = true;
        }
        let first = self.first_scans();
        let mut wanted: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); self.bodies.len()];
        let mut lives: Vec<Option<Live>> = self.bodies.iter().map(|_| None).collect();
        for place in (0..self.nodes.len()).rev() {
            let value = Value(place as u32);
            let Some((body, result)) = self.scan_of(value) else {
                if needed[place] {
                    self.nodes[place].args.iter().for_each(|arg| needed[arg.0 as usize] = true);
                }
                continue;
            };
            if needed[place] {
                wanted[body].insert(result);
            }
            // All other nodes of the loop stand behind its first one, so by now it is known what is wanted.
            if first[body] == Some(value) && !wanted[body].is_empty() {
                let live = self.bodies[body].live(&wanted[body]);
                for (arg, _) in self.nodes[place].args.iter().zip(&live.inputs).filter(|(_, live)| **live) {
                    needed[arg.0 as usize] = true;
                }
                lives[body] = Some(live);
            }
        }
        (needed, lives)
    }
}
