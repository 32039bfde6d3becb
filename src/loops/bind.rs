//! A symbol that is a known number becomes that number.
//!
//! In: a program as `lower` makes it. Out: the same program for one number of a symbol. Invariant: with the symbol bound to this
//! number, both store the same bits.
//!
//! A batch of one row is worth it: loops over it vanish, and products of a matrix and a row get a form of their own.

use super::ir::*;
use super::rewrite::{substitute, tidy};
use crate::base::Extent;

pub fn bind(program: &mut Program, symbol: u32, number: u64) {
    let fix = |extent: &mut Extent| {
        if *extent == Extent::Sym(symbol) {
            *extent = Extent::Fixed(number);
        }
    };
    program.buffers.iter_mut().flat_map(|b| b.shape.iter_mut()).for_each(fix);
    program.repeats.iter_mut().for_each(|r| fix(&mut r.extent));
    for kernel in &mut program.kernels {
        kernel.steps.iter_mut().for_each(|s| fix(&mut s.extent));
        for inst in &mut kernel.insts {
            if let Inst::InRange { extent, .. } = inst {
                fix(extent);
            }
        }
        let mut single = vec![];
        kernel.body = unwrap(std::mem::take(&mut kernel.body), &fix, &mut single);
        single.into_iter().for_each(|var| substitute(kernel, Term::Var(var), &Affine::default()));
        tidy(kernel);
    }
}

/// Independent loops of one iteration become what they repeat; their variables are added to `single`.
fn unwrap(body: Vec<Stmt>, fix: &dyn Fn(&mut Extent), single: &mut Vec<Var>) -> Vec<Stmt> {
    let mut out = vec![];
    for stmt in body {
        let Stmt::Loop(mut inner) = stmt else {
            out.push(stmt);
            continue;
        };
        fix(&mut inner.extent);
        inner.body = unwrap(inner.body, fix, single);
        if inner.extent.is_one() && inner.carries.is_empty() {
            single.push(inner.var);
            out.extend(inner.body);
        } else {
            out.push(Stmt::Loop(inner));
        }
    }
    out
}
