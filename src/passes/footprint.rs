//! What the formula of a node reads and how much it computes, found by running the formula once on symbols.
//!
//! In: a node of a graph. Out: its [`Footprint`]. Invariant: costs only choose what is stored; no bit of a result depends on them.

use crate::base::{DType, Extent, Shape};
use crate::graph::Graph;
use crate::ops::{Index, Io, Kernel, Order, ReduceBody, ReduceKind, Scalar, ScalarOp, ScatterBody, Value};

/// The number that stands for every symbolic extent when costs are compared.
pub const NOMINAL: f64 = 64.0;

pub fn nominal(extent: Extent) -> f64 {
    extent.fixed().map_or(NOMINAL, |n| n as f64)
}

pub fn nominal_elements(shape: &[Extent]) -> f64 {
    shape.iter().map(|&e| nominal(e)).product()
}

/// Where an operand is read, relative to the element that is computed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Place {
    /// The index along this axis of the result, and both axes have the same extent.
    Axis(usize),
    /// Any other index; equal numbers mean the same index.
    Other(u32),
}

/// One load of an operand.
#[derive(Clone, Debug)]
pub struct Access {
    pub arg: usize,
    pub at: Vec<Place>,
    /// How often it is evaluated for one element.
    pub times: f64,
    pub guarded: bool,
}

/// One formula.
#[derive(Clone, Debug, Default)]
pub struct Footprint {
    pub accesses: Vec<Access>,
    /// The cost of one element without that of its operands; an addition is 1.
    pub work: f64,
    pub reduces: Vec<ReduceKind>,
    /// The index space whose numbers the formula adds to rows: it is stored by kernels of its own.
    pub scatters: Option<Shape>,
    scalars: u32,
    indirect: bool,
}

impl Footprint {
    /// Nothing but another arrangement of the operand's elements.
    pub fn is_view(&self) -> bool {
        self.accesses.len() == 1 && !self.accesses[0].guarded && self.scalars == 0 && !self.indirect
    }
}

/// The footprint of `value`, which is no input.
pub fn footprint(graph: &Graph, value: Value) -> Footprint {
    let node = graph.node(value);
    let arg_types = graph.arg_types(value);
    let io = Io { attrs: &node.attrs, args: &node.args, arg_types: &arg_types, out: value, ty: &node.ty };
    let rank = node.ty.rank();
    let indices = (0..rank).map(|axis| Form { axis: Some(axis), terms: vec![(1, axis as u32)], constant: 0 }).collect();
    let mut probe = Probe { io: &io, indices, times: 1.0, guards: 0, found: Footprint::default() };
    let at: Vec<Index> = (0..rank as u32).map(Index).collect();
    node.op.element(&mut probe, &io, &at);
    probe.found
}

/// A known index: an axis of the result, or a sum of others.
#[derive(Clone, PartialEq)]
struct Form {
    axis: Option<usize>,
    terms: Vec<(i64, u32)>,
    constant: i64,
}

struct Probe<'a> {
    io: &'a Io<'a>,
    indices: Vec<Form>,
    times: f64,
    guards: u32,
    found: Footprint,
}

impl Probe<'_> {
    fn fresh(&mut self) -> Index {
        let number = self.indices.len() as u32;
        self.indices.push(Form { axis: None, terms: vec![(1, number)], constant: 0 });
        Index(number)
    }

    fn form(&mut self, form: Form) -> Index {
        let found = self.indices.iter().position(|f| f.terms == form.terms && f.constant == form.constant);
        Index(found.unwrap_or_else(|| {
            self.indices.push(form);
            self.indices.len() - 1
        }) as u32)
    }
}

impl Kernel for Probe<'_> {
    fn constant(&mut self, _: f64, _: DType) -> Scalar {
        Scalar(0)
    }

    fn load(&mut self, arg: usize, at: &[Index]) -> Scalar {
        let from = &self.io.arg_types[arg].shape;
        let place = |(axis, index): (usize, &Index)| match self.indices[index.0 as usize].axis {
            Some(own) if self.io.ty.shape[own] == from[axis] => Place::Axis(own),
            _ => Place::Other(index.0),
        };
        let at = at.iter().enumerate().map(place).collect();
        let guarded = self.guards > 0;
        self.found.accesses.push(Access { arg, at, times: self.times, guarded });
        Scalar(0)
    }

    fn scalar(&mut self, op: ScalarOp, _: &[Scalar]) -> Scalar {
        self.found.work += self.times * cost(op);
        self.found.scalars += 1;
        Scalar(0)
    }

    fn reduce(&mut self, kind: ReduceKind, _: Order, extents: &[Extent], body: ReduceBody<'_>) -> Scalar {
        let before = self.times;
        self.times *= nominal_elements(extents);
        self.found.reduces.push(kind);
        self.found.scalars += 1;
        self.found.work += self.times;
        let vars: Vec<Index> = extents.iter().map(|_| self.fresh()).collect();
        body(self, &vars);
        self.times = before;
        Scalar(0)
    }

    fn scatter(&mut self, at: Index, extents: &[Extent], body: ScatterBody<'_>) -> Scalar {
        let rows = self.indices[at.0 as usize].axis.map_or(1.0, |axis| nominal(self.io.ty.shape[axis]));
        let before = self.times;
        self.times *= nominal_elements(extents) / rows;
        self.found.scatters = Some(extents.to_vec());
        self.found.reduces.push(ReduceKind::Sum);
        self.found.scalars += 1;
        self.found.work += self.times;
        let vars: Vec<Index> = extents.iter().map(|_| self.fresh()).collect();
        body(self, &vars);
        self.times = before;
        Scalar(0)
    }

    fn affine(&mut self, terms: &[(i64, Index)], constant: i64) -> Index {
        let mut sum = Form { axis: None, terms: vec![], constant };
        for &(factor, index) in terms {
            let part = &self.indices[index.0 as usize];
            sum.constant += factor * part.constant;
            sum.terms.extend(part.terms.iter().map(|&(f, t)| (factor * f, t)));
        }
        sum.terms.sort_by_key(|&(_, t)| t);
        self.form(sum)
    }

    fn div_rem(&mut self, _: Index, _: u64) -> (Index, Index) {
        self.found.work += 4.0 * self.times;
        (self.fresh(), self.fresh())
    }

    fn index_value(&mut self, _: Index) -> Scalar {
        self.found.scalars += 1;
        self.found.work += self.times;
        Scalar(0)
    }

    fn value_index(&mut self, _: Scalar) -> Index {
        self.found.indirect = true;
        self.found.work += 4.0 * self.times;
        self.fresh()
    }

    fn guarded(
        &mut self,
        inside: &[(Index, Extent)],
        body: &mut dyn FnMut(&mut dyn Kernel) -> Scalar,
        _: f64,
    ) -> Scalar {
        self.found.work += self.times * (1 + inside.len()) as f64;
        self.guards += 1;
        let out = body(self);
        self.guards -= 1;
        out
    }
}

/// Rough costs in additions, from the measured throughput of the vector forms.
fn cost(op: ScalarOp) -> f64 {
    use ScalarOp::*;
    match op {
        Exp | Log => 8.0,
        Tanh | Erf | Sin | Cos => 12.0,
        Pow => 30.0,
        Div | Sqrt => 4.0,
        Random => 8.0,
        _ => 1.0,
    }
}
