//! Elementwise operators: one row each.
//!
//! In: operands of exactly equal shapes (nothing is broadcast silently). Out: a result of that shape.
//! Invariant: the formula of a row is its scalar function applied to the operands' elements at the same place.

use super::build::*;
use super::{Attrs, Emit, Example, Index, Io, Kernel, OpDef, Scalar, ScalarOp, Value};
use crate::base::{DType, Extent, Type};
use std::f64::consts::FRAC_2_SQRT_PI;

type Grads = Vec<Option<Value>>;

/// One elementwise operator; its name, arity, types and meaning are those of the scalar function.
pub struct Row {
    pub op: ScalarOp,
    pub grad: fn(&mut dyn Emit, &Io<'_>, Value) -> Grads,
    pub differentiable: bool,
    /// Where tests sample each operand, if not in -2 .. 2.
    pub domain: &'static [(f64, f64)],
}

const fn row(op: ScalarOp, grad: fn(&mut dyn Emit, &Io<'_>, Value) -> Grads) -> Row {
    Row { op, grad, differentiable: true, domain: &[] }
}

const fn on(domain: &'static [(f64, f64)], row: Row) -> Row {
    Row { domain, ..row }
}

/// Constant almost everywhere (or of integers and truth values): the gradient is zero.
fn flat(_: &mut dyn Emit, io: &Io<'_>, _: Value) -> Grads {
    vec![None; io.args.len()]
}

/// The rows, in the order of the scalar functions. Of two equal operands, `max` and `min` send the gradient to the right
/// one, so that `max(x, 0)` has slope 0 at 0.
pub static ROWS: [Row; 28] = [
    row(ScalarOp::Neg, |e, _, g| vec![Some(neg(e, g))]),
    row(ScalarOp::Abs, |e, io, g| {
        let slope = sign(e, io.args[0]);
        vec![Some(mul(e, g, slope))]
    }),
    row(ScalarOp::Sign, flat),
    row(ScalarOp::Floor, flat),
    on(
        &[(0.2, 3.0)],
        row(ScalarOp::Sqrt, |e, io, g| {
            let half = scaled(e, g, 0.5);
            vec![Some(div(e, half, io.out))]
        }),
    ),
    row(ScalarOp::Exp, |e, io, g| vec![Some(mul(e, g, io.out))]),
    on(&[(0.2, 3.0)], row(ScalarOp::Log, |e, io, g| vec![Some(div(e, g, io.args[0]))])),
    row(ScalarOp::Sin, |e, io, g| {
        let slope = cos(e, io.args[0]);
        vec![Some(mul(e, g, slope))]
    }),
    row(ScalarOp::Cos, |e, io, g| {
        let slope = sin(e, io.args[0]);
        let product = mul(e, g, slope);
        vec![Some(neg(e, product))]
    }),
    row(ScalarOp::Tanh, |e, io, g| {
        let (square, one) = (mul(e, io.out, io.out), constant_like(e, 1.0, io.out));
        let slope = sub(e, one, square);
        vec![Some(mul(e, g, slope))]
    }),
    row(ScalarOp::Erf, |e, io, g| {
        let square = mul(e, io.args[0], io.args[0]);
        let minus = neg(e, square);
        let bell = exp(e, minus);
        let product = mul(e, g, bell);
        vec![Some(scaled(e, product, FRAC_2_SQRT_PI))]
    }),
    row(ScalarOp::Add, |_, _, g| vec![Some(g), Some(g)]),
    row(ScalarOp::Sub, |e, _, g| vec![Some(g), Some(neg(e, g))]),
    row(ScalarOp::Mul, |e, io, g| vec![Some(mul(e, g, io.args[1])), Some(mul(e, g, io.args[0]))]),
    on(
        &[(-2.0, 2.0), (0.5, 2.0)],
        row(ScalarOp::Div, |e, io, g| {
            let left = div(e, g, io.args[1]);
            let product = mul(e, left, io.out);
            vec![Some(left), Some(neg(e, product))]
        }),
    ),
    // Told by the result, which the next layer keeps anyway: the first operand need not be kept beside it.
    row(ScalarOp::Max, |e, io, g| {
        let left = lt(e, io.args[1], io.out);
        split(e, left, g)
    }),
    row(ScalarOp::Min, |e, io, g| {
        let left = lt(e, io.out, io.args[1]);
        split(e, left, g)
    }),
    on(&[(0.2, 3.0), (-2.0, 2.0)], row(ScalarOp::Pow, pow_grad)),
    row(ScalarOp::Fma, |e, io, g| vec![Some(mul(e, g, io.args[1])), Some(mul(e, g, io.args[0])), Some(g)]),
    row(ScalarOp::Lt, flat),
    row(ScalarOp::Le, flat),
    row(ScalarOp::Eq, flat),
    row(ScalarOp::And, flat),
    row(ScalarOp::Or, flat),
    row(ScalarOp::Not, flat),
    row(ScalarOp::Select, |e, io, g| {
        let mut grads = vec![None];
        grads.extend(split(e, io.args[0], g));
        grads
    }),
    row(ScalarOp::ToF32, flat),
    Row { differentiable: false, ..row(ScalarOp::ToI32, flat) },
];

fn scaled(e: &mut dyn Emit, x: Value, factor: f64) -> Value {
    let factor = constant_like(e, factor, x);
    mul(e, x, factor)
}

/// `g` to the left where `left` holds, else to the right.
fn split(e: &mut dyn Emit, left: Value, g: Value) -> Grads {
    let zero = constant_like(e, 0.0, g);
    vec![Some(select(e, left, g, zero)), Some(select(e, left, zero, g))]
}

/// y · x^(y-1), and 0 for y = 0 even where x^-1 is infinite; x^y · log x, and 0 where x^y is 0.
fn pow_grad(e: &mut dyn Emit, io: &Io<'_>, g: Value) -> Grads {
    let (x, y) = (io.args[0], io.args[1]);
    let (zero, one) = (constant_like(e, 0.0, x), constant_like(e, 1.0, x));
    let less = sub(e, y, one);
    let power = pow(e, x, less);
    let slope = mul(e, y, power);
    let (steady, gone) = (eq(e, y, zero), eq(e, io.out, zero));
    let slope = select(e, steady, zero, slope);
    let (logarithm, left) = (log(e, x), mul(e, g, slope));
    let growth = mul(e, io.out, logarithm);
    let growth = select(e, gone, zero, growth);
    vec![Some(left), Some(mul(e, g, growth))]
}

impl OpDef for Row {
    fn name(&self) -> &'static str {
        self.op.name()
    }

    fn attributes(&self) -> &'static [&'static str] {
        &[]
    }

    fn infer(&self, _: &Attrs, args: &[&Type]) -> Result<Type, String> {
        let (name, arity) = (self.name(), self.op.arity());
        if args.len() != arity {
            return Err(format!("`{name}` takes {arity} operands, but has {}", args.len()));
        }
        if let Some(other) = args.iter().find(|t| t.shape != args[0].shape) {
            let (first, other) = (args[0].display(&[]), other.display(&[]));
            return Err(format!("`{name}` needs operands of one shape, but has {first} and {other}"));
        }
        let dtypes: Vec<DType> = args.iter().map(|t| t.dtype).collect();
        let Some(dtype) = self.op.result(&dtypes) else {
            let types = dtypes.iter().map(|t| t.name()).collect::<Vec<_>>().join(", ");
            return Err(format!("`{name}` does not take operands of type {types}; {}", self.takes()));
        };
        Ok(Type::new(dtype, args[0].shape.clone()))
    }

    fn element(&self, k: &mut dyn Kernel, io: &Io<'_>, at: &[Index]) -> Scalar {
        let args: Vec<Scalar> = (0..io.args.len()).map(|i| k.load(i, at)).collect();
        k.scalar(self.op, &args)
    }

    fn grad(&self, e: &mut dyn Emit, io: &Io<'_>, g: Value) -> Grads {
        (self.grad)(e, io, g)
    }

    fn differentiable(&self) -> bool {
        self.differentiable
    }

    fn examples(&self) -> Vec<Example> {
        let fixed: [&[u64]; 5] = [&[], &[1], &[7], &[3, 17], &[2, 1, 5]];
        let mut shapes: Vec<Vec<Extent>> =
            fixed.iter().map(|s| s.iter().map(|&n| Extent::Fixed(n)).collect()).collect();
        shapes.push(vec![Extent::Sym(0), Extent::Fixed(4)]);
        let typed = |dtypes: &[DType]| {
            let args = |shape: &Vec<Extent>| dtypes.iter().map(|&t| Type::new(t, shape.clone())).collect();
            shapes.iter().map(|s| Example { attrs: Attrs::none(), args: args(s) }).collect::<Vec<_>>()
        };
        self.operand_types().iter().flat_map(|dtypes| typed(dtypes)).collect()
    }
}

impl Row {
    /// Every combination of the types that tensors have which this row takes.
    fn operand_types(&self) -> Vec<Vec<DType>> {
        let stored = [DType::F32, DType::I32, DType::Bool];
        let mut all: Vec<Vec<DType>> = vec![vec![]];
        for _ in 0..self.op.arity() {
            all = all.iter().flat_map(|head| stored.map(|t| [head.as_slice(), &[t]].concat())).collect();
        }
        all.retain(|dtypes| self.op.result(dtypes).is_some());
        all
    }

    fn takes(&self) -> String {
        let all: Vec<String> = self
            .operand_types()
            .iter()
            .map(|types| types.iter().map(|t| t.name()).collect::<Vec<_>>().join(", "))
            .collect();
        format!("it takes {}", all.join(" or "))
    }
}
