//! Formulas carried out with numbers.
//!
//! In: an operator's formula and its operands' elements. Out: one element of the result. Invariant: handles are places in
//! two stacks; what an iteration of a reduction pushes is popped when it ends, so memory stays small.

use crate::base::{DType, Extent};
use crate::ops::{
    Index, Kernel, LANES, Order, ReduceBody, ReduceKind, Scalar, ScalarOp, ScatterBody, number, rows::search,
};

/// The elements of an operand.
pub struct Operand<'a> {
    pub data: &'a [f64],
    pub shape: Vec<u64>,
    pub dtype: DType,
}

/// The kernel of the interpreter. `failure` is the first row number that was out of range.
pub struct Numbers<'a> {
    pub operands: Vec<Operand<'a>>,
    pub symbols: &'a [u64],
    pub failure: Option<String>,
    values: Vec<(f64, DType)>,
    indices: Vec<i64>,
}

impl<'a> Numbers<'a> {
    pub fn new(operands: Vec<Operand<'a>>, symbols: &'a [u64]) -> Numbers<'a> {
        Numbers { operands, symbols, failure: None, values: Vec::new(), indices: Vec::new() }
    }

    /// Forgets everything and takes these numbers for the first indices: `Index(0)`, `Index(1)`, …
    pub fn start(&mut self, at: &[i64]) {
        self.values.clear();
        self.indices.clear();
        self.indices.extend_from_slice(at);
    }

    pub fn number(&self, scalar: Scalar) -> f64 {
        self.values[scalar.0 as usize].0
    }

    fn push(&mut self, value: f64, dtype: DType) -> Scalar {
        self.values.push((value, dtype));
        Scalar((self.values.len() - 1) as u32)
    }

    fn push_index(&mut self, index: i64) -> Index {
        self.indices.push(index);
        Index((self.indices.len() - 1) as u32)
    }

    fn index(&self, index: Index) -> i64 {
        self.indices[index.0 as usize]
    }
}

impl Kernel for Numbers<'_> {
    fn constant(&mut self, value: f64, dtype: DType) -> Scalar {
        self.push(value, dtype)
    }

    fn load(&mut self, arg: usize, at: &[Index]) -> Scalar {
        let operand = &self.operands[arg];
        let mut place = 0usize;
        for (&index, &extent) in at.iter().zip(&operand.shape) {
            let index = self.indices[index.0 as usize];
            if index < 0 || index as u64 >= extent {
                let text = || format!("row {index} is read from an axis of {extent} elements");
                self.failure.get_or_insert_with(text);
                return self.push(0.0, DType::F32);
            }
            place = place * extent as usize + index as usize;
        }
        let (value, dtype) = (operand.data[place], operand.dtype);
        self.push(value, dtype)
    }

    fn scalar(&mut self, op: ScalarOp, args: &[Scalar]) -> Scalar {
        let mut x = [(0.0, DType::F32); 3];
        for (slot, arg) in x.iter_mut().zip(args) {
            *slot = self.values[arg.0 as usize];
        }
        let (numbers, types) = (x.map(|x| x.0), x.map(|x| x.1));
        let Some(dtype) = op.result(&types[..args.len()]) else {
            panic!("invariant broken: formulas are well-typed, but {op:?} is applied to {:?}", &types[..args.len()])
        };
        let value = number::apply_typed(op, &numbers[..args.len()], types[0]);
        self.push(value, dtype)
    }

    fn reduce(&mut self, kind: ReduceKind, order: Order, extents: &[Extent], body: ReduceBody<'_>) -> Scalar {
        let limits: Vec<i64> = extents.iter().map(|e| e.bound(self.symbols) as i64).collect();
        let inner: Vec<Index> = limits.iter().map(|_| self.push_index(0)).collect();
        let (first, marks) = (self.indices.len() - inner.len(), (self.values.len(), self.indices.len()));
        let neutral = match kind {
            ReduceKind::Sum | ReduceKind::Dot => 0.0,
            ReduceKind::Max => f64::NEG_INFINITY,
            ReduceKind::Min => f64::INFINITY,
        };
        let mut lanes = [neutral; LANES];
        let mut dtype = DType::F32;
        let mut running = limits.iter().all(|&n| n > 0);
        while running {
            let (x, y) = body(self, &inner);
            let last = inner.last().map_or(0, |&index| self.index(index));
            let lane = if order == Order::Lanes { last as usize % LANES } else { 0 };
            dtype = self.values[x.0 as usize].1;
            let term = (self.number(x), y.map(|y| self.number(y)));
            lanes[lane] = join(kind, lanes[lane], term);
            self.values.truncate(marks.0);
            self.indices.truncate(marks.1);
            running = advance(&mut self.indices[first..], &limits);
        }
        if order == Order::Lanes {
            let joined = if kind == ReduceKind::Dot { ReduceKind::Sum } else { kind };
            for half in [8, 4, 2, 1] {
                for lane in 0..half {
                    lanes[lane] = join(joined, lanes[lane], (lanes[lane + half], None));
                }
            }
        }
        self.push(lanes[0], dtype)
    }

    fn scatter(&mut self, at: Index, extents: &[Extent], body: ScatterBody<'_>) -> Scalar {
        search(self, at, extents, body)
    }

    fn affine(&mut self, terms: &[(i64, Index)], constant: i64) -> Index {
        let sum = terms.iter().fold(constant, |sum, &(factor, index)| sum + factor * self.index(index));
        self.push_index(sum)
    }

    fn div_rem(&mut self, index: Index, by: u64) -> (Index, Index) {
        let (index, by) = (self.index(index), by as i64);
        (self.push_index(index.div_euclid(by)), self.push_index(index.rem_euclid(by)))
    }

    fn index_value(&mut self, index: Index) -> Scalar {
        // The counter of a random number may exceed 31 bits only where it also wraps in machine code.
        let value = self.index(index) as i32;
        self.push(f64::from(value), DType::I32)
    }

    fn value_index(&mut self, value: Scalar) -> Index {
        let index = self.number(value) as i64;
        self.push_index(index)
    }

    fn guarded(
        &mut self,
        inside: &[(Index, Extent)],
        body: &mut dyn FnMut(&mut dyn Kernel) -> Scalar,
        otherwise: f64,
    ) -> Scalar {
        let holds = |&(index, extent): &(Index, Extent)| {
            let index = self.index(index);
            index >= 0 && (index as u64) < extent.bound(self.symbols)
        };
        if inside.iter().all(holds) { body(self) } else { self.push(otherwise, DType::F32) }
    }
}

fn join(kind: ReduceKind, acc: f64, (x, y): (f64, Option<f64>)) -> f64 {
    match (kind, y) {
        (ReduceKind::Dot, Some(y)) => x.mul_add(y, acc),
        (ReduceKind::Max, _) => number::apply(ScalarOp::Max, &[acc, x]),
        (ReduceKind::Min, _) => number::apply(ScalarOp::Min, &[acc, x]),
        _ => acc + x,
    }
}

/// The next index in row-major order; false behind the last.
pub fn advance(at: &mut [i64], limits: &[i64]) -> bool {
    for (index, &limit) in at.iter_mut().zip(limits).rev() {
        *index += 1;
        if *index < limit {
            return true;
        }
        *index = 0;
    }
    false
}
