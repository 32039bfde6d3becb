//! A loop whose variable is only taken apart again becomes two loops.
//!
//! In: a kernel with a loop of n elements that reads its variable as `v / b` and `v mod b` (an axis joined from two others).
//! Out: a loop of n / b around one of b, whose variables are these two numbers. Invariant: the same iterations in the same
//! order, so no bit changes; the indices become sums of variables, which tiles, vectors and copies need.

use super::ir::*;
use super::rewrite::substitute;
use crate::base::Extent;

pub fn split(kernel: &mut Kernel) {
    while let Some((var, by)) = joined(kernel) {
        let (outer, inner) = (Var(kernel.vars), Var(kernel.vars + 1));
        kernel.vars += 2;
        for number in 0..kernel.insts.len() {
            let part = match &kernel.insts[number] {
                Inst::Div { index, by: b } if *b == by && is(index, var) => Affine::term(Term::Var(outer)),
                Inst::Rem { index, by: b } if *b == by && is(index, var) => Affine::term(Term::Var(inner)),
                _ => continue,
            };
            substitute(kernel, Term::Val(Val(number as u32)), &part);
            kernel.insts[number] = Inst::Index(part);
        }
        part(kernel, var, (outer, inner, by));
    }
}

/// Makes two loops of the one over `var`, the inner one of `by` iterations, with variables that are not used yet.
pub fn part(kernel: &mut Kernel, var: Var, (outer, inner, by): (Var, Var, u64)) {
    let whole = Affine { terms: vec![(by as i64, Term::Var(outer)), (1, Term::Var(inner))], constant: 0 };
    substitute(kernel, Term::Var(var), &whole);
    let mut body = std::mem::take(&mut kernel.body);
    divide(&mut body, &mut kernel.insts, var, (outer, inner, by));
    kernel.body = body;
}

fn is(index: &Affine, var: Var) -> bool {
    *index == Affine::term(Term::Var(var))
}

/// A loop that is taken apart, and by what.
fn joined(kernel: &Kernel) -> Option<(Var, u64)> {
    let mut found = None;
    kernel.for_each_stmt(&mut |stmt| {
        // The accumulators of lanes are counted by the number of the iteration.
        if let Stmt::Loop(Loop {
            var,
            extent: Extent::Fixed(n),
            kind: LoopKind::Serial | LoopKind::Parallel { .. },
            ..
        }) = stmt
        {
            let parts = kernel.insts.iter().filter_map(|inst| match inst {
                Inst::Div { index, by } | Inst::Rem { index, by } if is(index, *var) => Some(*by),
                _ => None,
            });
            let by = parts.into_iter().find(|by| by < n && n.is_multiple_of(*by));
            found = found.or(by.map(|by| (*var, by)));
        }
    });
    found
}

/// Replaces the loop over `var` by two; what it carries goes through both.
fn divide(body: &mut [Stmt], insts: &mut Vec<Inst>, var: Var, parts: (Var, Var, u64)) {
    for stmt in body {
        let Stmt::Loop(whole) = stmt else { continue };
        if whole.var != var {
            divide(&mut whole.body, insts, var, parts);
            continue;
        }
        let (outer, inner, by) = parts;
        let Extent::Fixed(n) = whole.extent else { panic!("invariant broken: a joined loop has a fixed extent") };
        let mut carries = vec![];
        for carry in &mut whole.carries {
            let (current, result) = (Val(insts.len() as u32), Val(insts.len() as u32 + 1));
            insts.extend([Inst::Current, Inst::Result]);
            carries.push(Carry { current, next: result, ..carry.clone() });
            (carry.init, carry.result) = (current, result);
        }
        let kind = whole.kind;
        (whole.var, whole.extent) = (inner, Extent::Fixed(by));
        let inside = std::mem::replace(stmt, Stmt::Let(Val(0)));
        *stmt = Stmt::Loop(Loop { var: outer, extent: Extent::Fixed(n / by), kind, carries, body: vec![inside] });
    }
}
