//! Rows of a table by number, and their transpose.
//!
//! In: i32 row numbers and a table or rows of numbers. Out: the rows picked, or the table of their sums. Invariant: row numbers
//! are in range; who binds them (the batch, class labels, tokens) proves or checks it.

use super::attrs::{extents, operands};
use super::build;
use super::{
    Attr, Attrs, Emit, Example, Index, Io, Kernel, OpDef, Order, ReduceKind, Scalar, ScalarOp, ScatterBody, Value,
};
use crate::base::{DType, Extent, Type};

/// table[N, rest..], rows i32[idx..] → [idx.., rest..]
pub struct Gather;

fn check_rows(name: &str, rows: &Type) -> Result<(), String> {
    if rows.dtype != DType::I32 {
        return Err(format!("`{name}` takes row numbers of type i32, but they are {}", rows.display(&[])));
    }
    Ok(())
}

impl OpDef for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &[]
    }

    fn infer(&self, _: &Attrs, args: &[&Type]) -> Result<Type, String> {
        let [table, rows] = operands("gather", args)?;
        check_rows("gather", rows)?;
        if table.rank() == 0 {
            return Err(format!("`gather` needs a table with rows, but it is {}", table.display(&[])));
        }
        Ok(Type::new(table.dtype, [rows.shape.as_slice(), &table.shape[1..]].concat()))
    }

    fn element(&self, k: &mut dyn Kernel, io: &Io<'_>, at: &[Index]) -> Scalar {
        let (idx, rest) = at.split_at(io.arg_types[1].rank());
        let row = k.load(1, idx);
        let row = k.value_index(row);
        let from: Vec<Index> = [&[row], rest].concat();
        k.load(0, &from)
    }

    fn grad(&self, e: &mut dyn Emit, io: &Io<'_>, g: Value) -> Vec<Option<Value>> {
        vec![Some(build::scatter_add(e, io.args[1], g, io.arg_types[0].shape[0])), None]
    }

    fn differentiable(&self) -> bool {
        true
    }

    fn examples(&self) -> Vec<Example> {
        let all: [(&[u64], &[u64]); 6] =
            [(&[3], &[]), (&[5], &[7]), (&[3, 4], &[0]), (&[4, 2, 3], &[5]), (&[9, 3], &[2, 3]), (&[3, 17], &[1])];
        let of = |(table, rows): (&[u64], &[u64])| {
            let args = vec![Type::f32(extents(table)), Type::new(DType::I32, extents(rows))];
            Example { attrs: Attrs::none(), args }
        };
        all.into_iter().map(of).collect()
    }
}

/// The sum that [`Kernel::scatter`] means, found element by element: every place is looked at and counts 0 where its row is
/// another one. Adding 0 to a sum that began at 0 changes no bit of it, so this and adding row by row agree.
pub fn search(k: &mut dyn Kernel, at: Index, extents: &[Extent], body: ScatterBody<'_>) -> Scalar {
    let wanted = k.index_value(at);
    k.reduce(ReduceKind::Sum, Order::Serial, extents, &mut |k, idx| {
        let (row, x) = body(k, idx);
        let here = k.scalar(ScalarOp::Eq, &[row, wanted]);
        let zero = k.constant(0.0, DType::F32);
        (k.scalar(ScalarOp::Select, &[here, x, zero]), None)
    })
}

/// rows i32[idx..], g[idx.., rest..] → [extent, rest..]: row n is the sum, in row-major order of `idx`, of the rows of `g`
/// whose number is n.
pub struct ScatterAdd;

impl OpDef for ScatterAdd {
    fn name(&self) -> &'static str {
        "scatter_add"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["extent"]
    }

    fn infer(&self, attrs: &Attrs, args: &[&Type]) -> Result<Type, String> {
        let [rows, g] = operands("scatter_add", args)?;
        check_rows("scatter_add", rows)?;
        let &[extent] = attrs.shape("extent")? else {
            return Err("the attribute `extent` has one length, but it lists several or none".to_string());
        };
        if g.dtype != DType::F32 || !g.shape.starts_with(&rows.shape) {
            let (g, rows) = (g.display(&[]), rows.display(&[]));
            return Err(format!("`scatter_add` adds one f32 row per row number, but has {g} for {rows}"));
        }
        Ok(Type::f32([&[extent], &g.shape[rows.rank()..]].concat()))
    }

    fn element(&self, k: &mut dyn Kernel, io: &Io<'_>, at: &[Index]) -> Scalar {
        let rest = &at[1..];
        k.scatter(at[0], &io.arg_types[0].shape, &mut |k, idx| {
            let from: Vec<Index> = [idx, rest].concat();
            (k.load(0, idx), k.load(1, &from))
        })
    }

    fn grad(&self, e: &mut dyn Emit, io: &Io<'_>, g: Value) -> Vec<Option<Value>> {
        vec![None, Some(build::gather(e, g, io.args[0]))]
    }

    fn differentiable(&self) -> bool {
        true
    }

    fn examples(&self) -> Vec<Example> {
        let all: [(u64, &[u64], &[u64]); 6] = [
            (3, &[], &[]),
            (5, &[7], &[7]),
            (3, &[0], &[0, 4]),
            (4, &[5], &[5, 2, 3]),
            (9, &[2, 3], &[2, 3, 3]),
            (3, &[1], &[1, 17]),
        ];
        let of = |(extent, rows, g): (u64, &[u64], &[u64])| {
            let args = vec![Type::new(DType::I32, extents(rows)), Type::f32(extents(g))];
            Example { attrs: [("extent", Attr::Shape(vec![Extent::Fixed(extent)]))].into(), args }
        };
        all.into_iter().map(of).collect()
    }
}
