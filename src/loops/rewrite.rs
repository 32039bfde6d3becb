//! Rewriting kernels: replacing a loop variable, dropping what is unused, numbering in order of appearance.
//!
//! In: a kernel of a verified program. Out: a kernel that stores the same bits. Invariant: the numbers of a tidy kernel follow
//! from the order of its text alone.

use super::ir::*;
use std::collections::BTreeSet;

impl Affine {
    /// With each variable and value replaced.
    pub fn map(&self, replace: &mut dyn FnMut(Term) -> Affine) -> Affine {
        let parts: Vec<(i64, Affine)> = self.terms.iter().map(|&(f, t)| (f, replace(t))).collect();
        Affine::sum(parts.iter().map(|(f, a)| (*f, a)), self.constant)
    }
}

impl Inst {
    /// Every affine form in it.
    pub fn indices(&self) -> &[Affine] {
        match self {
            Inst::Load { at, .. } => at,
            Inst::Index(index) | Inst::Div { index, .. } | Inst::Rem { index, .. } | Inst::InRange { index, .. } => {
                std::slice::from_ref(index)
            }
            Inst::Const { .. } | Inst::Scalar { .. } | Inst::Current | Inst::Result => &[],
        }
    }

    pub fn indices_mut(&mut self) -> &mut [Affine] {
        match self {
            Inst::Load { at, .. } => at,
            Inst::Index(index) | Inst::Div { index, .. } | Inst::Rem { index, .. } | Inst::InRange { index, .. } => {
                std::slice::from_mut(index)
            }
            Inst::Const { .. } | Inst::Scalar { .. } | Inst::Current | Inst::Result => &mut [],
        }
    }

    /// Values it reads, except through indices.
    pub fn args_mut(&mut self) -> Vec<&mut Val> {
        match self {
            Inst::Scalar { args, .. } => args.iter_mut().collect(),
            Inst::Load { mask, .. } => mask.iter_mut().collect(),
            _ => vec![],
        }
    }

    /// All terms it reads: values and loop variables.
    pub fn reads(&self) -> Vec<Term> {
        let mut terms: Vec<Term> = self.indices().iter().flat_map(|i| i.terms.iter().map(|&(_, t)| t)).collect();
        match self {
            Inst::Scalar { args, .. } => terms.extend(args.iter().map(|&a| Term::Val(a))),
            Inst::Load { mask, .. } => terms.extend(mask.map(Term::Val)),
            _ => {}
        }
        terms
    }
}

/// Replaces a loop variable, or a value in indices, by a form of other variables, everywhere.
pub fn substitute(kernel: &mut Kernel, old: Term, by: &Affine) {
    let mut replace = |term| if term == old { by.clone() } else { Affine::term(term) };
    for inst in &mut kernel.insts {
        for index in inst.indices_mut() {
            *index = index.map(&mut replace);
        }
    }
    for_each_store(&mut kernel.body, &mut |at, _| at.iter_mut().for_each(|index| *index = index.map(&mut replace)));
}

fn for_each_store(body: &mut [Stmt], change: &mut dyn FnMut(&mut Vec<Affine>, &mut Val)) {
    for stmt in body {
        match stmt {
            Stmt::Let(_) => {}
            Stmt::Store { at, value, .. } => change(at, value),
            Stmt::Loop(inner) => for_each_store(&mut inner.body, change),
        }
    }
}

/// Moves what a loop does not need behind it, so that no register holds it while the loop runs.
pub fn sink(kernel: &mut Kernel) {
    let mut body = std::mem::take(&mut kernel.body);
    sink_in(&mut body, &kernel.insts);
    kernel.body = body;
}

fn sink_in(body: &mut Vec<Stmt>, insts: &[Inst]) {
    for stmt in body.iter_mut() {
        if let Stmt::Loop(inner) = stmt {
            sink_in(&mut inner.body, insts);
        }
    }
    let mut loops = body.iter().enumerate().filter(|(_, s)| matches!(s, Stmt::Loop(_)));
    // Nothing is stored before or in a loop that carries sums: what is loaded behind it is the same.
    let Some((at, Stmt::Loop(sum))) = loops.next().filter(|_| loops.next().is_none()) else { return };
    if sum.carries.is_empty() || stores(&body[..=at]) {
        return;
    }
    let mut needed = BTreeSet::new();
    needs(&body[at..=at], insts, &mut needed);
    let mut late = vec![];
    for number in (0..at).rev() {
        let Stmt::Let(val) = body[number] else { continue };
        if needed.contains(&val) {
            needed.extend(values_read(&insts[val.0 as usize]));
        } else {
            late.push(body.remove(number));
        }
    }
    let behind = at + 1 - late.len();
    body.splice(behind..behind, late.into_iter().rev());
}

fn stores(body: &[Stmt]) -> bool {
    body.iter().any(|s| match s {
        Stmt::Let(_) => false,
        Stmt::Store { .. } => true,
        Stmt::Loop(inner) => stores(&inner.body),
    })
}

/// The values that statements without stores read.
fn needs(body: &[Stmt], insts: &[Inst], needed: &mut BTreeSet<Val>) {
    for stmt in body {
        match stmt {
            Stmt::Let(val) => needed.extend(values_read(&insts[val.0 as usize])),
            Stmt::Store { .. } => {}
            Stmt::Loop(inner) => {
                needed.extend(inner.carries.iter().flat_map(|c| [c.init, c.next]));
                needs(&inner.body, insts, needed);
            }
        }
    }
}

fn values_read(inst: &Inst) -> impl Iterator<Item = Val> {
    inst.reads().into_iter().filter_map(|t| match t {
        Term::Val(val) => Some(val),
        Term::Var(_) => None,
    })
}

/// Drops what no store needs and numbers values and variables in the order in which they appear.
pub fn tidy(kernel: &mut Kernel) {
    let live = live_values(kernel);
    let mut body = std::mem::take(&mut kernel.body);
    prune(&mut body, &live);
    let mut order =
        Order { vals: vec![None; kernel.insts.len()], vars: vec![None; kernel.vars as usize], list: vec![] };
    kernel.steps.retain(|step| reads(&kernel.insts, &body, &live, step.var));
    for (number, step) in kernel.steps.iter_mut().enumerate() {
        order.vars[step.var.0 as usize] = Some(number as u32);
        step.var = Var(number as u32);
    }
    order.block(&body);
    let (vals, vars) = (order.vals, order.vars);
    let val = |v: Val| match vals[v.0 as usize] {
        Some(new) => Val(new),
        None => panic!("invariant broken: a live value stands in a block"),
    };
    let mut replace = |term| match term {
        Term::Val(v) => Affine::term(Term::Val(val(v))),
        Term::Var(v) => match vars[v.0 as usize] {
            Some(new) => Affine::term(Term::Var(Var(new))),
            None => panic!("invariant broken: a loop variable is used inside its loop"),
        },
    };
    let mut insts: Vec<Inst> = order.list.iter().map(|v| kernel.insts[v.0 as usize].clone()).collect();
    for inst in &mut insts {
        inst.indices_mut().iter_mut().for_each(|index| *index = index.map(&mut replace));
        inst.args_mut().into_iter().for_each(|arg| *arg = val(*arg));
    }
    renumber(&mut body, &val, &|v| Var(vars[v.0 as usize].unwrap_or(v.0)), &mut replace);
    kernel.vars = vars.iter().filter(|v| v.is_some()).count() as u32;
    (kernel.insts, kernel.body) = (insts, body);
}

/// Whether what is live reads a variable.
fn reads(insts: &[Inst], body: &[Stmt], live: &[bool], var: Var) -> bool {
    let inside = |index: &Affine| index.factor(Term::Var(var)) != 0;
    let stored = |stmt: &Stmt| match stmt {
        Stmt::Let(_) => false,
        Stmt::Store { at, .. } => at.iter().any(inside),
        Stmt::Loop(inner) => reads(&[], &inner.body, live, var),
    };
    insts.iter().zip(live).any(|(inst, live)| *live && inst.indices().iter().any(inside)) || body.iter().any(stored)
}

fn live_values(kernel: &Kernel) -> Vec<bool> {
    let mut carried: Vec<Vec<Val>> = vec![vec![]; kernel.insts.len()];
    let mut stack = vec![];
    kernel.for_each_stmt(&mut |stmt| match stmt {
        Stmt::Let(_) => {}
        Stmt::Store { at, value, .. } => {
            stack.push(*value);
            stack.extend(at.iter().flat_map(values_of));
        }
        Stmt::Loop(inner) => {
            for c in &inner.carries {
                carried[c.result.0 as usize] = vec![c.init, c.current, c.next];
                carried[c.current.0 as usize] = vec![c.init, c.result, c.next];
            }
        }
    });
    let mut live = vec![false; kernel.insts.len()];
    while let Some(val) = stack.pop() {
        let v = val.0 as usize;
        if std::mem::replace(&mut live[v], true) {
            continue;
        }
        stack.extend(&carried[v]);
        stack.extend(values_read(&kernel.insts[v]));
    }
    live
}

fn values_of(index: &Affine) -> impl Iterator<Item = Val> + use<'_> {
    index.terms.iter().filter_map(|&(_, t)| match t {
        Term::Val(val) => Some(val),
        Term::Var(_) => None,
    })
}

fn prune(body: &mut Vec<Stmt>, live: &[bool]) {
    body.retain_mut(|stmt| match stmt {
        Stmt::Let(val) => live[val.0 as usize],
        Stmt::Store { .. } => true,
        Stmt::Loop(inner) => {
            inner.carries.retain(|c| live[c.result.0 as usize]);
            prune(&mut inner.body, live);
            !inner.body.is_empty() || !inner.carries.is_empty()
        }
    });
}

struct Order {
    vals: Vec<Option<u32>>,
    vars: Vec<Option<u32>>,
    list: Vec<Val>,
}

impl Order {
    fn val(&mut self, val: Val) {
        self.vals[val.0 as usize] = Some(self.list.len() as u32);
        self.list.push(val);
    }

    fn block(&mut self, body: &[Stmt]) {
        for stmt in body {
            match stmt {
                Stmt::Let(val) => self.val(*val),
                Stmt::Store { .. } => {}
                Stmt::Loop(inner) => {
                    let next = self.vars.iter().filter(|v| v.is_some()).count() as u32;
                    self.vars[inner.var.0 as usize] = Some(next);
                    inner.carries.iter().for_each(|c| self.val(c.current));
                    self.block(&inner.body);
                    inner.carries.iter().for_each(|c| self.val(c.result));
                }
            }
        }
    }
}

fn renumber(
    body: &mut [Stmt],
    val: &dyn Fn(Val) -> Val,
    var: &dyn Fn(Var) -> Var,
    replace: &mut dyn FnMut(Term) -> Affine,
) {
    for stmt in body {
        match stmt {
            Stmt::Let(v) => *v = val(*v),
            Stmt::Store { at, value, .. } => {
                at.iter_mut().for_each(|index| *index = index.map(replace));
                *value = val(*value);
            }
            Stmt::Loop(inner) => {
                inner.var = var(inner.var);
                for c in &mut inner.carries {
                    (c.result, c.init, c.current, c.next) = (val(c.result), val(c.init), val(c.current), val(c.next));
                }
                renumber(&mut inner.body, val, var, replace);
            }
        }
    }
}
