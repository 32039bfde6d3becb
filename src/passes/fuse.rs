//! Chooses which values are stored and groups them into kernels.
//!
//! In: a verified graph. Out: a [`Fusion`]. Invariant: fusion is composition of formulas, so every choice gives the same
//! bits; a value that is not stored is computed by the formulas of the kernels that need it.

use super::footprint::{Access, Footprint, Place, footprint, nominal_elements};
use super::groups::{Draft, Drafts, Uses, Work};
use super::inplace;
use crate::base::{DType, Shape};
use crate::graph::Graph;
use crate::ops::{ReduceKind, Value};
use std::collections::BTreeMap;

/// What is stored where, and the kernels in the order in which they run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fusion {
    /// Per value of the graph: where it is stored; `None` for inputs and for what is computed where it is needed.
    pub stored: Vec<Option<Home>>,
    pub kernels: Vec<Group>,
    /// The choices within one step of each loop. A step's inputs and outputs lie where the loop puts them.
    pub bodies: Vec<Fusion>,
}

/// The memory that a stored value takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    Arena,
    /// In place, over the input with this index.
    Input(usize),
    /// The memory of the output with this index.
    Output(usize),
    /// The memory of what the loop of this body carries under this number.
    Carried(usize, usize),
}

/// One kernel, or a loop of kernels.
#[derive(Clone, Debug, PartialEq)]
pub enum Group {
    /// Stores `roots`, each over a prefix of the axes of `space`; some of them in the memory of outputs too.
    Compute { space: Shape, roots: Vec<Value>, also: Vec<(Value, Home)> },
    /// Copies `value` into the memory of an input or output.
    Copy { value: Value, to: Home },
    /// The kernels of this body, as often as it has steps.
    Repeat { body: usize },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// One kernel for every value: the judge that fusion changes no bit.
    pub store_everything: bool,
}

pub fn fuse(graph: &Graph) -> Fusion {
    fuse_with(graph, Options::default())
}

pub fn fuse_with(graph: &Graph, options: Options) -> Fusion {
    let mut chooser = Chooser::new(graph, options, &vec![None; graph.nodes.len()]);
    chooser.run();
    if !options.store_everything {
        // Users are decided before their operands. The second time it is known what operands will most likely be stored,
        // so that little work on them is done again rather than stored, too.
        chooser = Chooser::new(graph, options, &chooser.drafts.owner);
        chooser.run();
    }
    let mut fusion = inplace::arrange(graph, &chooser.drafts, &chooser.uses);
    fusion.bodies = graph.bodies.iter().map(|body| fuse_with(&body.graph, options)).collect();
    fusion
}

/// A partial prefix of a kernel's axes must leave this many rows, or the rest has too few to share out.
const ROWS: f64 = 8.0;
/// What storing an element costs, and what a kernel of its own adds per element and at once.
const STORE: f64 = 4.0;
const SEPARATE: f64 = 6.0;
const LAUNCH: f64 = 64.0;
/// Formulas inside each other: `lower` recurses this deep, and a kernel stays of a size that compiles quickly.
const MAX_NESTED: u32 = 64;

/// Where a value is evaluated, seen from the kernel's own space.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Class {
    at: Vec<Place>,
    guarded: bool,
}

struct Chooser<'a> {
    graph: &'a Graph,
    options: Options,
    footprints: Vec<Footprint>,
    /// The cost of an element when all is computed in place, up to inputs, reductions, outputs and what is likely stored.
    deep: Vec<f64>,
    output: Vec<bool>,
    uses: Vec<Uses>,
    /// How many formulas stand around the value's own where it is used.
    nested: Vec<u32>,
    drafts: Drafts,
    classes: Vec<Class>,
    numbers: BTreeMap<Class, u32>,
    /// What stands for `Other` places seen from a class.
    others: BTreeMap<(u32, u32, Value), u32>,
    /// Operands of loops: they lie in memory before the loop begins.
    awaited: Vec<bool>,
    first_scans: Vec<Option<Value>>,
    /// The group of each loop.
    loops: Vec<Option<usize>>,
}

impl<'a> Chooser<'a> {
    /// `likely` has a group for each value that is likely to be stored.
    fn new(graph: &'a Graph, options: Options, likely: &[Option<usize>]) -> Chooser<'a> {
        let count = graph.nodes.len();
        let mut output = vec![false; count];
        graph.outputs.iter().for_each(|o| output[o.value.0 as usize] = true);
        let (mut footprints, mut deep) = (vec![Footprint::default(); count], vec![1.0f64; count]);
        let computed = |&v: &Value| graph.input_of(v).is_none() && graph.scan_of(v).is_none();
        for value in graph.values().filter(computed) {
            let found = footprint(graph, value);
            let node = graph.node(value);
            let operands = found.accesses.iter().enumerate().map(|(i, a)| {
                let arg = node.args[a.arg].0 as usize;
                if found.accesses[..i].iter().any(|b| node.args[b.arg] == node.args[a.arg] && a.at == b.at) {
                    return 0.0;
                }
                let boundary = output[arg] || !footprints[arg].reduces.is_empty() || likely[arg].is_some();
                a.times * if boundary { 1.0 } else { deep[arg] }
            });
            deep[value.0 as usize] = found.work + operands.sum::<f64>();
            footprints[value.0 as usize] = found;
        }
        let uses = vec![Uses::default(); count];
        let (drafts, others) = (Drafts::new(count), BTreeMap::new());
        // Class 0 is the axes of the space themselves, as many as the value has.
        let classes = vec![Class { at: vec![], guarded: false }];
        let (numbers, nested) = (BTreeMap::new(), vec![0; count]);
        let (awaited, first_scans, loops) = (vec![false; count], graph.first_scans(), vec![None; graph.bodies.len()]);
        Chooser {
            graph,
            options,
            footprints,
            deep,
            output,
            uses,
            nested,
            drafts,
            classes,
            numbers,
            others,
            awaited,
            first_scans,
            loops,
        }
    }

    fn run(&mut self) {
        for value in (0..self.graph.nodes.len() as u32).rev().map(Value) {
            match self.graph.scan_of(value) {
                Some((body, _)) => self.repeat(value, body),
                None => self.choose(value),
            }
        }
    }

    fn choose(&mut self, value: Value) {
        let v = value.0 as usize;
        if self.graph.input_of(value).is_some() || (self.uses[v].is_empty() && !self.output[v]) {
            return;
        }
        let stays = !self.awaited[v]
            && if self.options.store_everything { self.never_stored(value) } else { self.stays_inside(value) };
        if self.output[v] || !stays {
            self.store(value);
        }
        self.spread(value);
    }

    /// A result of a loop. The loop is one group; behind its first node, all that uses its results is known.
    fn repeat(&mut self, value: Value, body: usize) {
        let v = value.0 as usize;
        if !self.uses[v].is_empty() || self.output[v] {
            let group = self.loops[body]
                .unwrap_or_else(|| self.drafts.add(Draft { work: Work::Repeat(body), ..Draft::default() }));
            self.loops[body] = Some(group);
            self.drafts.list[group].roots.push(value);
            self.own(value, group);
        }
        let Some(group) = self.loops[body].filter(|_| self.first_scans[body] == Some(value)) else { return };
        for (i, &arg) in self.graph.node(value).args.iter().enumerate() {
            let shape = &self.graph.node(arg).ty.shape;
            let (elements, arg) = (nominal_elements(shape), arg.0 as usize);
            if i < self.graph.bodies[body].carries {
                let begin = Draft { work: Work::Begin(body, i), ..Draft::new(shape.clone()) };
                let begin = self.drafts.add(begin);
                self.drafts.list[group].after.insert(begin);
                self.uses[arg].add(begin, 0, elements);
            } else {
                // No class but this one has these indices: the operand is not at hand in the loop, it is read there.
                self.classes.push(Class { at: vec![], guarded: true });
                self.uses[arg].add(group, self.classes.len() as u32 - 1, elements);
                self.awaited[arg] = true;
            }
        }
    }

    /// Scalars of the step in f64, and what reads nothing: constants, index numbers.
    fn never_stored(&self, value: Value) -> bool {
        let found = &self.footprints[value.0 as usize];
        self.graph.node(value).ty.dtype == DType::F64 || found.accesses.is_empty()
    }

    fn stays_inside(&self, value: Value) -> bool {
        let v = value.0 as usize;
        let (found, uses) = (&self.footprints[v], &self.uses[v]);
        if self.never_stored(value) {
            return true;
        }
        if self.nested[v] >= MAX_NESTED || found.scatters.is_some() {
            return false;
        }
        if found.is_view() {
            return true;
        }
        if !found.reduces.is_empty() {
            return uses.only_group().is_some_and(|g| uses.direct(g) && self.fits(value, g));
        }
        let elements = nominal_elements(&self.graph.node(value).ty.shape);
        let inside = uses.evaluations() * self.deep[v];
        let store = elements * (self.deep[v] + STORE);
        let stored = match self.host(value) {
            Some(host) => store + uses.evaluations() - uses.evaluations_in(host),
            None => store + uses.evaluations() + elements * SEPARATE + LAUNCH,
        };
        inside <= stored
    }

    /// Whether `value` may be computed at its own index inside group `g`.
    fn fits(&self, value: Value, g: usize) -> bool {
        let shape = &self.graph.node(value).ty.shape;
        let space = &self.drafts.list[g].space;
        let dot = self.footprints[value.0 as usize].reduces.contains(&ReduceKind::Dot);
        if shape.len() == space.len() {
            return !dot || !(self.drafts.list[g].dot || self.drafts.list[g].rows);
        }
        !dot && !self.drafts.list[g].dot && !shape.is_empty() && nominal_elements(shape) >= ROWS
    }

    /// A group that has `value` at hand anyway and can store it.
    fn host(&self, value: Value) -> Option<usize> {
        let uses = &self.uses[value.0 as usize];
        if self.nested[value.0 as usize] >= MAX_NESTED || self.footprints[value.0 as usize].scatters.is_some() {
            return None;
        }
        uses.groups().rev().find(|&g| {
            let others = uses.groups().filter(|&u| u != g);
            self.drafts.list[g].work == Work::Compute
                && uses.direct(g)
                && self.fits(value, g)
                && !self.drafts.reaches_any(g, others)
        })
    }

    fn store(&mut self, value: Value) {
        let v = value.0 as usize;
        let host = if self.options.store_everything { None } else { self.host(value) };
        let shape = &self.graph.node(value).ty.shape;
        let owner = host.unwrap_or_else(|| self.drafts.add(Draft::new(shape.clone())));
        self.drafts.list[owner].roots.push(value);
        self.own(value, owner);
        self.uses[v] = Uses::one(owner, nominal_elements(shape));
        if host.is_none() {
            self.nested[v] = 0;
        }
    }

    /// The group `owner` stores `value`: before all that use it.
    fn own(&mut self, value: Value, owner: usize) {
        self.drafts.owner[value.0 as usize] = Some(owner);
        for user in self.uses[value.0 as usize].groups().filter(|&u| u != owner) {
            self.drafts.list[user].after.insert(owner);
        }
    }

    /// Hands the uses of `value` on to its operands.
    fn spread(&mut self, value: Value) {
        let v = value.0 as usize;
        let uses = self.uses[v].clone();
        let Footprint { accesses, reduces, .. } = self.footprints[v].clone();
        let (dot, reduces) = (reduces.contains(&ReduceKind::Dot), !reduces.is_empty());
        let rank = self.graph.node(value).ty.rank();
        for access in &accesses {
            let arg = self.graph.node(value).args[access.arg].0 as usize;
            self.nested[arg] = self.nested[arg].max(self.nested[v] + 1);
        }
        for ((group, class), evaluations) in uses.iter() {
            let draft = &mut self.drafts.list[group];
            draft.dot |= dot;
            draft.rows |= reduces && rank < draft.space.len() && class == 0;
            for access in &accesses {
                let arg = self.graph.node(value).args[access.arg];
                let class = self.class(value, class, access);
                let elements = nominal_elements(&self.graph.node(arg).ty.shape);
                let times = if class == 0 { elements } else { evaluations * access.times };
                self.uses[arg.0 as usize].add(group, class, times);
            }
        }
    }

    /// The class of an operand's indices inside a group: equal classes mean equal indices; class 0 is the first axes of the
    /// group's space themselves.
    fn class(&mut self, value: Value, class: u32, access: &Access) -> u32 {
        let mut at = Vec::with_capacity(access.at.len());
        for place in &access.at {
            at.push(match *place {
                Place::Axis(k) if class == 0 => Place::Axis(k),
                Place::Axis(k) => self.classes[class as usize].at[k].clone(),
                Place::Other(id) => {
                    let next = self.others.len() as u32;
                    Place::Other(*self.others.entry((class, id, value)).or_insert(next))
                }
            });
        }
        let guarded = access.guarded || self.classes[class as usize].guarded;
        if at.is_empty() || !guarded && at.iter().enumerate().all(|(k, p)| *p == Place::Axis(k)) {
            return 0;
        }
        let class = Class { at, guarded };
        let next = self.classes.len() as u32;
        let number = *self.numbers.entry(class.clone()).or_insert(next);
        if number == next {
            self.classes.push(class);
        }
        number
    }
}
