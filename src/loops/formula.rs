//! The formulas of the values of one kernel, written down as instructions.
//!
//! In: where each value lies, and what is to be stored. Out: one kernel. Invariant: the graph's arithmetic, term by term; an
//! element that is needed twice at one place is computed once.

use super::build::Builder;
use super::ir::*;
use crate::base::{DType, Extent};
use crate::graph::Graph;
use crate::ops::{Index, Io, Kernel as Formula, Order, ReduceBody, ReduceKind, Scalar, ScalarOp, ScatterBody, Value};
use std::collections::{BTreeMap, HashMap};

/// Where a value lies: in a buffer, or in the part of it that belongs to the steps of these repeats.
#[derive(Clone, Debug)]
pub(super) struct Site {
    pub buffer: BufferId,
    pub steps: Vec<u32>,
}

/// One kernel while it is written.
pub(super) struct Nest<'a> {
    graph: &'a Graph,
    buffers: &'a [Buffer],
    memory: &'a BTreeMap<Value, Site>,
    build: Builder,
    /// The numbers of the steps around.
    steps: BTreeMap<u32, Var>,
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

impl<'a> Nest<'a> {
    /// A kernel inside these repeats, each with its number of steps.
    pub fn new(
        graph: &'a Graph,
        buffers: &'a [Buffer],
        memory: &'a BTreeMap<Value, Site>,
        around: &[(u32, Extent)],
    ) -> Nest<'a> {
        let mut build = Builder::new();
        let steps = around.iter().map(|&(repeat, extent)| (repeat, build.step(repeat, extent))).collect();
        Nest {
            graph,
            buffers,
            memory,
            build,
            steps,
            indices: vec![],
            numbers: HashMap::new(),
            known: HashMap::new(),
            mask: None,
            node: Value(0),
            scattered: vec![],
            row: None,
        }
    }

    pub fn run(mut self, name: String, space: &[Extent], stores: &[(Value, Site)]) -> Kernel {
        let at = self.open(space);
        let values: Vec<Val> = stores
            .iter()
            .map(|(root, _)| {
                let value = self.element(*root, &at[..self.graph.node(*root).ty.rank()]);
                self.storable(*root, value)
            })
            .collect();
        for depth in (0..=space.len()).rev() {
            for ((root, site), &value) in stores.iter().zip(&values) {
                if self.graph.node(*root).ty.rank() == depth {
                    let place = self.place(site, &at[..depth]);
                    self.build.store(site.buffer, place, value);
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

    pub fn zeros(mut self, name: String, value: Value, site: &Site) -> Kernel {
        let at = self.open(&self.graph.node(value).ty.shape);
        let zero = self.build.constant(0.0, DType::F32);
        let place = self.place(site, &at);
        self.build.store(site.buffer, place, zero);
        self.close(at.len(), LoopKind::Parallel { jam: 1 });
        self.build.finish(name)
    }

    /// Runs through the numbers in order and adds each to its row.
    pub fn scatter(mut self, name: String, value: Value, site: &Site, extents: &[Extent]) -> Kernel {
        self.scattered = self.open(extents);
        let rest = self.open(&self.graph.node(value).ty.shape[1..]);
        // The formula asks for one row and gives the row of each number instead: the row it asks for is never used.
        let any = self.index(Affine::constant(0));
        let number = self.formula(value, &[&[any], rest.as_slice()].concat());
        let Some(row) = self.row else { panic!("invariant broken: a formula that scatters gives rows") };
        let row = self.build.value_index(row);
        let row = self.index(row);
        let place = self.place(site, &[&[row], rest.as_slice()].concat());
        let before = self.build.load(site.buffer, DType::F32, place.clone(), None);
        let sum = self.build.scalar(ScalarOp::Add, &[before, number]);
        self.build.store(site.buffer, place, sum);
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
            Some(site) => self.stored_element(value, site, at),
            None => self.computed_element(value, at),
        };
        self.known.insert(key, element);
        element
    }

    /// The place of an element in its buffer.
    fn place(&self, site: &Site, at: &[Index]) -> Vec<Affine> {
        let steps = site.steps.iter().map(|repeat| Affine::term(Term::Var(self.steps[repeat])));
        steps.chain(at.iter().map(|&i| self.affine_of(i).clone())).collect()
    }

    fn stored_element(&mut self, value: Value, site: &Site, at: &[Index]) -> Val {
        let (buffer, places) = (site.buffer, self.place(site, at));
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
