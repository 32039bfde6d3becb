//! Perfect nests of independent loops, taken apart and put together in another order.
//!
//! In: a kernel. Out: its outer loops as a list, and a kernel from such a list. Invariant: an instruction ends up in the
//! outermost block that knows its operands, so any order of the loops is a correct one.

use super::ir::*;

/// One loop of a chain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axis {
    pub var: Var,
    pub extent: crate::base::Extent,
    pub kind: LoopKind,
}

/// Independent loops, each alone in the one around it but for instructions.
#[derive(Clone, Debug)]
pub struct Nest {
    pub axes: Vec<Axis>,
    /// The instructions that stand outside the innermost of `axes`.
    pub outside: Vec<Val>,
    /// What the innermost one repeats.
    pub body: Vec<Stmt>,
}

impl Nest {
    /// The longest chain of the kernel's loops from the outermost on.
    pub fn of(kernel: &Kernel) -> Nest {
        let mut nest = Nest { axes: vec![], outside: vec![], body: kernel.body.clone() };
        while let Some((lets, inner)) = alone(&nest.body) {
            nest.outside.extend(lets);
            nest.axes.push(Axis { var: inner.var, extent: inner.extent, kind: inner.kind });
            nest.body = inner.body.clone();
        }
        nest
    }

    /// Writes the nest back as the kernel's body.
    pub fn put(self, kernel: &mut Kernel) {
        let mut depths = vec![usize::MAX; kernel.insts.len()];
        let mut blocks: Vec<Vec<Stmt>> = vec![vec![]; self.axes.len() + 1];
        let full = self.axes.len();
        let place = |kernel: &Kernel, val: Val, depths: &mut Vec<usize>, blocks: &mut Vec<Vec<Stmt>>| {
            let depth_of = |term: Term| match term {
                Term::Val(v) => depths[v.0 as usize].min(full),
                Term::Var(v) if kernel.steps.iter().any(|s| s.var == v) => 0,
                Term::Var(v) => self.axes.iter().position(|a| a.var == v).map_or(full, |p| p + 1),
            };
            let depth = kernel.insts[val.0 as usize].reads().into_iter().map(depth_of).max().unwrap_or(0);
            depths[val.0 as usize] = depth;
            blocks[depth].push(Stmt::Let(val));
        };
        for &val in &self.outside {
            place(kernel, val, &mut depths, &mut blocks);
        }
        for stmt in &self.body {
            match stmt {
                Stmt::Let(val) => place(kernel, *val, &mut depths, &mut blocks),
                other => blocks[full].push(other.clone()),
            }
        }
        let mut body = blocks.pop().unwrap_or_default();
        for (axis, mut block) in self.axes.iter().zip(blocks).rev() {
            block.push(Stmt::Loop(Loop { var: axis.var, extent: axis.extent, kind: axis.kind, carries: vec![], body }));
            body = block;
        }
        kernel.body = body;
    }
}

/// The instructions and the one independent loop that a block consists of.
fn alone(body: &[Stmt]) -> Option<(Vec<Val>, &Loop)> {
    let (Stmt::Loop(inner), before) = body.split_last()? else { return None };
    if !matches!(inner.kind, LoopKind::Parallel { .. }) {
        return None;
    }
    let lets = before.iter().map(|s| match s {
        Stmt::Let(val) => Some(*val),
        _ => None,
    });
    Some((lets.collect::<Option<Vec<_>>>()?, inner))
}

/// The distance in elements between neighbours along `var`; `None` where it is not known at compile time.
pub fn stride(buffer: &Buffer, at: &[Affine], var: Var) -> Option<i64> {
    let (mut total, mut step) = (0i64, Some(1i64));
    for (index, extent) in at.iter().zip(&buffer.shape).rev() {
        let factor = index.factor(Term::Var(var));
        if factor != 0 {
            total = total.checked_add(factor.checked_mul(step?)?)?;
        }
        step = step.zip(extent.fixed()).and_then(|(s, n)| s.checked_mul(n as i64));
    }
    Some(total)
}
