//! From a fused graph to loops: the formulas of the operators written down as instructions.
//!
//! In: a verified graph and its [`Fusion`]. Out: a [`Program`] whose loops over elements are all `Parallel` and whose
//! reductions stand in their order. Invariant: the graph's arithmetic, term by term; nothing is reordered.

use super::build::Builder;
use super::ir::*;
use super::plan;
use super::rewrite::tidy;
use crate::base::{DType, Extent, Type};
use crate::graph::Graph;
use crate::ops::{Index, Io, Kernel as Formula, Order, ReduceBody, ReduceKind, Scalar, ScalarOp, ScatterBody, Value};
use crate::passes::footprint::footprint;
use crate::passes::fuse::{Fusion, Group, Home as Place};
use std::collections::{BTreeMap, HashMap};

/// The loops of `graph` under the choices of `fusion`. Outputs without a target become buffers from outside of that name.
pub fn lower(graph: &Graph, fusion: &Fusion) -> Program {
    let mut lowering = Lowering::new(graph, fusion);
    for group in &fusion.kernels {
        lowering.kernel(group);
    }
    let mut program = lowering.program;
    plan::set_lifetimes(&mut program);
    program
}

struct Lowering<'a> {
    graph: &'a Graph,
    fusion: &'a Fusion,
    program: Program,
    /// Where each value can be loaded from.
    memory: BTreeMap<Value, BufferId>,
    inputs: Vec<BufferId>,
    outputs: BTreeMap<usize, BufferId>,
}

impl<'a> Lowering<'a> {
    fn new(graph: &'a Graph, fusion: &'a Fusion) -> Lowering<'a> {
        let program = Program { name: graph.name.clone(), symbols: graph.symbols.clone(), ..Program::default() };
        let (memory, outputs) = (BTreeMap::new(), BTreeMap::new());
        let mut lowering = Lowering { graph, fusion, program, memory, inputs: vec![], outputs };
        for input in &graph.inputs {
            let id = lowering.buffer(input.name.clone(), &input.ty, Home::Outside);
            lowering.inputs.push(id);
            lowering.memory.insert(input.value, id);
        }
        for (number, output) in graph.outputs.iter().enumerate().filter(|(_, o)| o.target.is_none()) {
            let taken = lowering.program.buffers.iter().any(|b| b.name == output.name);
            let name = if taken { format!("{}'", output.name) } else { output.name.clone() };
            let id = lowering.buffer(name, &graph.node(output.value).ty, Home::Outside);
            lowering.outputs.insert(number, id);
        }
        lowering
    }

    fn buffer(&mut self, name: String, ty: &Type, home: Home) -> BufferId {
        let dtype = if ty.dtype == DType::Bool { DType::I32 } else { ty.dtype };
        self.program.buffers.push(Buffer { name, dtype, shape: ty.shape.clone(), home });
        BufferId(self.program.buffers.len() as u32 - 1)
    }

    /// The memory that `value` is stored in; a new buffer for the arena.
    fn destination(&mut self, value: Value, to: Place) -> BufferId {
        match to {
            Place::Input(input) => self.inputs[input],
            Place::Output(output) => self.outputs[&output],
            Place::Arena => {
                let name = format!("{}.{}", self.graph.node(value).op.name(), value.0);
                self.buffer(name, &self.graph.node(value).ty, Home::Arena { first: 0, last: 0 })
            }
        }
    }

    fn kernel(&mut self, group: &Group) {
        match group {
            Group::Copy { value, to } => {
                let target = self.destination(*value, *to);
                let name = format!("copy.{}.{}", value.0, target.0);
                self.emit(name, &self.graph.node(*value).ty.shape.clone(), &[(*value, target)]);
                if *to == Place::Arena {
                    self.memory.insert(*value, target);
                }
            }
            Group::Compute { space, roots } => {
                let stores: Vec<(Value, BufferId)> = roots
                    .iter()
                    .map(|&root| match self.fusion.stored[root.0 as usize] {
                        Some(place) => (root, self.destination(root, place)),
                        None => panic!("invariant broken: the roots of a kernel are stored"),
                    })
                    .collect();
                let last = roots.last().map_or(Value(0), |&r| r);
                let name = format!("{}.{}", self.graph.node(last).op.name(), last.0);
                match footprint(self.graph, last).scatters {
                    Some(extents) => self.scatter(name, stores[0], &extents),
                    None => self.emit(name, space, &stores),
                }
                self.memory.extend(stores);
            }
        }
    }

    /// Zeros in one kernel, and in the next every number added to its row. A loaded sum is one of this kernel's own, so
    /// the loop over the numbers is serial; only the elements of a row are independent.
    fn scatter(&mut self, name: String, (value, buffer): (Value, BufferId), extents: &[Extent]) {
        assert!(self.graph.node(value).ty.rank() > 0, "invariant broken: what has rows has an axis");
        let zeros = self.nest().zeros(format!("zeros.{}", value.0), value, buffer);
        let mut adds = self.nest().scatter(name, value, buffer, extents);
        tidy(&mut adds);
        self.program.kernels.extend([zeros, adds]);
    }

    fn emit(&mut self, name: String, space: &[Extent], stores: &[(Value, BufferId)]) {
        let mut kernel = self.nest().run(name, space, stores);
        tidy(&mut kernel);
        self.program.kernels.push(kernel);
    }

    fn nest(&self) -> Nest<'_> {
        Nest {
            graph: self.graph,
            buffers: &self.program.buffers,
            memory: &self.memory,
            build: Builder::new(),
            indices: vec![],
            numbers: HashMap::new(),
            known: HashMap::new(),
            mask: None,
            node: Value(0),
            scattered: vec![],
            row: None,
        }
    }
}

/// One kernel while it is written.
struct Nest<'a> {
    graph: &'a Graph,
    buffers: &'a [Buffer],
    memory: &'a BTreeMap<Value, BufferId>,
    build: Builder,
    indices: Vec<Affine>,
    numbers: HashMap<Affine, Index>,
    /// Elements that are already computed here, by value, place and mask.
    known: HashMap<(Value, Vec<Index>, Option<Val>), Val>,
    /// Where the element that is being computed exists at all.
    mask: Option<Val>,
    /// Whose formula is running.
    node: Value,
    /// The place in the index space of a scatter, and the row that its formula gave for it.
    scattered: Vec<Index>,
    row: Option<Val>,
}

impl Nest<'_> {
    fn run(mut self, name: String, space: &[Extent], stores: &[(Value, BufferId)]) -> Kernel {
        let at = self.open(space);
        let values: Vec<Val> = stores
            .iter()
            .map(|&(root, _)| {
                let value = self.element(root, &at[..self.graph.node(root).ty.rank()]);
                self.storable(root, value)
            })
            .collect();
        for depth in (0..=space.len()).rev() {
            for (&(root, buffer), &value) in stores.iter().zip(&values) {
                if self.graph.node(root).ty.rank() == depth {
                    let place = at[..depth].iter().map(|i| self.indices[i.0 as usize].clone()).collect();
                    self.build.store(buffer, place, value);
                }
            }
            if depth > 0 {
                self.build.close(LoopKind::Parallel { jam: 1 }, None);
            }
        }
        self.build.finish(name)
    }

    /// A loop over each extent; its variables as indices.
    fn open(&mut self, extents: &[Extent]) -> Vec<Index> {
        let mut at = vec![];
        for &extent in extents {
            let var = self.build.open(extent);
            at.push(self.index(Affine::term(Term::Var(var))));
        }
        at
    }

    fn close(&mut self, loops: usize, kind: LoopKind) {
        (0..loops).for_each(|_| assert!(self.build.close(kind, None).is_none(), "nothing is carried"));
    }

    fn zeros(mut self, name: String, value: Value, buffer: BufferId) -> Kernel {
        let at = self.open(&self.graph.node(value).ty.shape);
        let zero = self.build.constant(0.0, DType::F32);
        let place = at.iter().map(|&i| self.affine_of(i).clone()).collect();
        self.build.store(buffer, place, zero);
        self.close(at.len(), LoopKind::Parallel { jam: 1 });
        self.build.finish(name)
    }

    /// Runs through the numbers in order and adds each to its row.
    fn scatter(mut self, name: String, value: Value, buffer: BufferId, extents: &[Extent]) -> Kernel {
        self.scattered = self.open(extents);
        let rest = self.open(&self.graph.node(value).ty.shape[1..]);
        // The formula asks for one row and gives the row of each number instead: the row it asks for is never used.
        let any = self.index(Affine::constant(0));
        let number = self.formula(value, &[&[any], rest.as_slice()].concat());
        let Some(row) = self.row else { panic!("invariant broken: a formula that scatters gives rows") };
        let mut place = vec![self.build.value_index(row)];
        place.extend(rest.iter().map(|&i| self.affine_of(i).clone()));
        let before = self.build.load(buffer, DType::F32, place.clone(), None);
        let sum = self.build.scalar(ScalarOp::Add, &[before, number]);
        self.build.store(buffer, place, sum);
        self.close(rest.len(), LoopKind::Parallel { jam: 1 });
        self.close(extents.len(), LoopKind::Serial);
        self.build.finish(name)
    }

    fn index(&mut self, index: Affine) -> Index {
        if let Some(&known) = self.numbers.get(&index) {
            return known;
        }
        let number = Index(self.indices.len() as u32);
        self.indices.push(index.clone());
        self.numbers.insert(index, number);
        number
    }

    fn affine_of(&self, index: Index) -> &Affine {
        &self.indices[index.0 as usize]
    }

    /// Truth values are stored as 0 and 1.
    fn storable(&mut self, value: Value, element: Val) -> Val {
        match self.graph.node(value).ty.dtype {
            DType::Bool => self.build.scalar(ScalarOp::ToI32, &[element]),
            _ => element,
        }
    }

    /// The element of `value` at `at`, from memory if it is there, else by its formula, once per place.
    fn element(&mut self, value: Value, at: &[Index]) -> Val {
        let key = (value, at.to_vec(), self.mask);
        if let Some(&known) = self.known.get(&key) {
            return known;
        }
        let element = match self.memory.get(&value) {
            Some(&buffer) => self.stored_element(value, buffer, at),
            None => self.computed_element(value, at),
        };
        self.known.insert(key, element);
        element
    }

    fn stored_element(&mut self, value: Value, buffer: BufferId, at: &[Index]) -> Val {
        let places = at.iter().map(|&i| self.affine_of(i).clone()).collect();
        let places = self.build.join_axes(&self.buffers[buffer.0 as usize].shape, places);
        let loaded = self.build.load(buffer, self.buffers[buffer.0 as usize].dtype, places, self.mask);
        match self.graph.node(value).ty.dtype {
            DType::Bool => {
                let one = self.build.constant(1.0, DType::I32);
                self.build.scalar(ScalarOp::Eq, &[loaded, one])
            }
            _ => loaded,
        }
    }

    /// Runs the formula in the outermost block that knows the indices, so that a row's value is computed once per row.
    fn computed_element(&mut self, value: Value, at: &[Index]) -> Val {
        let depths = at.iter().map(|&i| self.build.affine_depth(self.affine_of(i)));
        let depth = depths.chain(self.mask.map(|m| self.build.depth(m))).max().unwrap_or(0);
        let waiting = self.build.suspend(depth);
        let element = self.formula(value, at);
        self.build.resume(waiting);
        element
    }

    fn formula(&mut self, value: Value, at: &[Index]) -> Val {
        let outer = std::mem::replace(&mut self.node, value);
        let graph = self.graph;
        let node = graph.node(value);
        let arg_types = graph.arg_types(value);
        let io = Io { attrs: &node.attrs, args: &node.args, arg_types: &arg_types, out: value, ty: &node.ty };
        let element = node.op.element(self, &io, at);
        self.node = outer;
        Val(element.0)
    }

    fn join(&mut self, kind: ReduceKind, current: Val, terms: &[Val]) -> Val {
        match (kind, terms) {
            (ReduceKind::Dot, &[x, y]) => self.build.scalar(ScalarOp::Fma, &[x, y, current]),
            (ReduceKind::Sum | ReduceKind::Dot, &[x]) => self.build.scalar(ScalarOp::Add, &[current, x]),
            (ReduceKind::Max, &[x]) => self.build.scalar(ScalarOp::Max, &[current, x]),
            (ReduceKind::Min, &[x]) => self.build.scalar(ScalarOp::Min, &[current, x]),
            _ => panic!("invariant broken: a reduction's body gives one term, and two for a dot product"),
        }
    }

    /// The loops over `extents` from `init` on; see [`Order`] for what goes where.
    fn reduce_from(&mut self, job: &mut Reduction<'_, '_>, vars: &mut Vec<Index>, init: Val) -> Val {
        let level = vars.len();
        let Some(&extent) = job.extents.get(level) else {
            let (x, y) = (job.body)(self, vars);
            let terms: Vec<Val> = [Some(x), y].into_iter().flatten().map(|s| Val(s.0)).collect();
            return self.join(job.kind, init, &terms);
        };
        let innermost = level + 1 == job.extents.len();
        let lanes = job.order == Order::Lanes && innermost;
        let start = if lanes { job.neutral } else { init };
        let var = self.build.open(extent);
        let current = self.build.current(DType::F32);
        let index = self.index(Affine::term(Term::Var(var)));
        vars.push(index);
        let next = self.reduce_from(job, vars, current);
        vars.pop();
        let kind = if lanes { LoopKind::Lanes } else { LoopKind::Serial };
        let Some(result) = self.build.close(kind, Some((start, current, next, job.kind))) else {
            panic!("invariant broken: a reduction's loop carries one value")
        };
        if lanes && level > 0 { self.join(job.kind, init, &[result]) } else { result }
    }
}

/// A reduction while its loops are written.
struct Reduction<'a, 'b> {
    kind: ReduceKind,
    order: Order,
    extents: &'a [Extent],
    neutral: Val,
    body: ReduceBody<'b>,
}

impl Formula for Nest<'_> {
    fn constant(&mut self, value: f64, dtype: DType) -> Scalar {
        Scalar(self.build.constant(value, dtype).0)
    }

    fn load(&mut self, arg: usize, at: &[Index]) -> Scalar {
        let value = self.graph.node(self.node).args[arg];
        Scalar(self.element(value, at).0)
    }

    fn scalar(&mut self, op: ScalarOp, args: &[Scalar]) -> Scalar {
        let args: Vec<Val> = args.iter().map(|s| Val(s.0)).collect();
        Scalar(self.build.scalar(op, &args).0)
    }

    fn reduce(&mut self, kind: ReduceKind, order: Order, extents: &[Extent], body: ReduceBody<'_>) -> Scalar {
        let start = match kind {
            ReduceKind::Sum | ReduceKind::Dot => 0.0,
            ReduceKind::Max => f64::NEG_INFINITY,
            ReduceKind::Min => f64::INFINITY,
        };
        let neutral = self.build.constant(start, DType::F32);
        let mut job = Reduction { kind, order, extents, neutral, body };
        Scalar(self.reduce_from(&mut job, &mut vec![], neutral).0)
    }

    fn scatter(&mut self, _: Index, _: &[Extent], body: ScatterBody<'_>) -> Scalar {
        let places = self.scattered.clone();
        let (row, number) = body(self, &places);
        self.row = Some(Val(row.0));
        number
    }

    fn affine(&mut self, terms: &[(i64, Index)], constant: i64) -> Index {
        let sum = Affine::sum(terms.iter().map(|&(f, i)| (f, self.affine_of(i))), constant);
        self.index(sum)
    }

    fn div_rem(&mut self, index: Index, by: u64) -> (Index, Index) {
        let index = self.affine_of(index).clone();
        let (quotient, remainder) = self.build.div_rem(&index, by);
        (self.index(quotient), self.index(remainder))
    }

    fn index_value(&mut self, index: Index) -> Scalar {
        let index = self.affine_of(index).clone();
        Scalar(self.build.index_value(&index).0)
    }

    fn value_index(&mut self, value: Scalar) -> Index {
        let index = self.build.value_index(Val(value.0));
        self.index(index)
    }

    fn guarded(
        &mut self,
        inside: &[(Index, Extent)],
        body: &mut dyn FnMut(&mut dyn Formula) -> Scalar,
        otherwise: f64,
    ) -> Scalar {
        let outer = self.mask;
        let mut own = None;
        for &(index, extent) in inside {
            let index = self.affine_of(index).clone();
            if let Some(holds) = self.build.in_range(&index, extent) {
                own = Some(self.both(own, holds));
            }
        }
        let Some(own) = own else { return body(self) };
        self.mask = Some(self.both(outer, own));
        let value = Val(body(self).0);
        self.mask = outer;
        let dtype = self.build.dtype(value);
        let otherwise = self.build.constant(otherwise, dtype);
        Scalar(self.build.scalar(ScalarOp::Select, &[own, value, otherwise]).0)
    }
}

impl Nest<'_> {
    fn both(&mut self, a: Option<Val>, b: Val) -> Val {
        a.map_or(b, |a| self.build.scalar(ScalarOp::And, &[a, b]))
    }
}
