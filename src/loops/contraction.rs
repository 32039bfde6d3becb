//! Recognises contractions: sums of products of two loads.
//!
//! In: a kernel as `lower` makes it. Out: which of its loops are rows, columns and terms of a matrix product. Invariant: the
//! columns' operand does not depend on the rows, so a row tile loads it once.

use super::ir::*;
use super::nest::{Axis, Nest, stride};

#[derive(Clone, Debug)]
pub struct Contraction {
    /// The last output axis: its neighbours are computed side by side.
    pub columns: Axis,
    /// The innermost other axis along which the columns' operand stays the same.
    pub rows: Option<Axis>,
    /// The load that depends on the columns.
    pub operand: Val,
    /// The independent loops on which that load depends, without the columns.
    pub column_vars: Vec<Var>,
    /// The other load.
    pub other: Val,
    /// The independent loops on which the other load depends, without the rows.
    pub row_vars: Vec<Var>,
    /// The loops of the sum, outermost first.
    pub terms: Vec<Axis>,
}

/// The contraction that the nest computes, if it is one.
pub fn find(program: &Program, kernel: &Kernel) -> Option<Contraction> {
    let nest = Nest::of(kernel);
    let columns = *nest.axes.last()?;
    let (x, y, terms) = nest.body.iter().find_map(|s| match s {
        Stmt::Loop(inner) => products(kernel, inner),
        _ => None,
    })?;
    let depends = |load: Val, var: Var| match &kernel.insts[load.0 as usize] {
        Inst::Load { buffer, at, .. } => stride(&program.buffers[buffer.0 as usize], at, var) != Some(0),
        _ => false,
    };
    let (operand, other) = match (depends(x, columns.var), depends(y, columns.var)) {
        (true, false) => (x, y),
        (false, true) => (y, x),
        _ => return None,
    };
    let rest = &nest.axes[..nest.axes.len() - 1];
    let rows = rest.iter().rev().find(|a| !depends(operand, a.var) && depends(other, a.var) && !a.extent.is_one());
    let column_vars = rest.iter().map(|a| a.var).filter(|&v| depends(operand, v)).collect();
    let other_var = |a: &&Axis| depends(other, a.var) && rows.is_none_or(|r| r.var != a.var);
    let row_vars = rest.iter().filter(other_var).map(|a| a.var).collect();
    Some(Contraction { columns, rows: rows.copied(), operand, column_vars, other, row_vars, terms })
}

impl Contraction {
    /// The same product with rows and columns exchanged, if it has rows.
    pub fn mirrored(&self) -> Option<Contraction> {
        Some(Contraction {
            columns: self.rows?,
            rows: Some(self.columns),
            operand: self.other,
            column_vars: self.row_vars.clone(),
            other: self.operand,
            row_vars: self.column_vars.clone(),
            terms: self.terms.clone(),
        })
    }
}

/// The two loads whose products a serial loop, or a nest of them, adds up.
fn products(kernel: &Kernel, sum: &Loop) -> Option<(Val, Val, Vec<Axis>)> {
    let ([carry], LoopKind::Serial) = (sum.carries.as_slice(), sum.kind) else { return None };
    let axis = Axis { var: sum.var, extent: sum.extent, kind: sum.kind };
    let inner = sum.body.iter().find_map(|s| match s {
        Stmt::Loop(inner) => Some(inner),
        _ => None,
    });
    if let Some(inner) = inner {
        let (x, y, mut terms) = products(kernel, inner)?;
        terms.insert(0, axis);
        return Some((x, y, terms));
    }
    let Inst::Scalar { op: crate::ops::ScalarOp::Fma, args } = &kernel.insts[carry.next.0 as usize] else {
        return None;
    };
    let &[x, y, current] = args.as_slice() else { return None };
    let load = |v: Val| matches!(kernel.insts[v.0 as usize], Inst::Load { .. });
    (current == carry.current && load(x) && load(y)).then(|| (x, y, vec![axis]))
}
