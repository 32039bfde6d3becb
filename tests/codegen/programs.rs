//! Hand-written programs, a construct each, on sizes around the vector width.

use super::run::{Dice, buffer, fill, fixed, reschedule, same, same_on};
use nnc::base::{DType, Extent};
use nnc::codegen::{Options, Vectors, compile, compile_with};
use nnc::loops::build::Builder;
use nnc::loops::ir::*;
use nnc::loops::parse::parse;
use nnc::ops::{ReduceKind, ScalarOp};

const SIZES: [u64; 12] = [1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33];
const F: DType = DType::F32;

fn var(v: Var) -> Affine {
    Affine::term(Term::Var(v))
}

fn id(n: usize) -> BufferId {
    BufferId(n as u32)
}

fn program(symbols: &[&str], buffers: Vec<Buffer>, kernel: Kernel) -> Program {
    let symbols = symbols.iter().map(|s| s.to_string()).collect();
    Program { name: "test".into(), symbols, buffers, kernels: vec![kernel], repeats: vec![] }
}

/// `out[i] = op(inputs[i]…)` where operands have these types.
fn elementwise(op: ScalarOp, types: &[DType], extent: Extent, kind: LoopKind) -> Program {
    let mut b = Builder::new();
    let stored = |t: DType| if t == DType::Bool { DType::I32 } else { t };
    let mut buffers: Vec<Buffer> =
        types.iter().enumerate().map(|(i, &t)| buffer(&format!("x{i}"), stored(t), vec![extent])).collect();
    let i = b.open(extent);
    let mut args = vec![];
    for (n, &t) in types.iter().enumerate() {
        let mut x = b.load(id(n), stored(t), vec![var(i)], None);
        if t == DType::Bool {
            let one = b.constant(1.0, DType::I32);
            x = b.scalar(ScalarOp::Lt, &[x, one]);
        }
        args.push(x);
    }
    let mut y = b.scalar(op, &args);
    if b.dtype(y) == DType::Bool {
        y = b.scalar(ScalarOp::ToI32, &[y]);
    }
    buffers.push(buffer("out", b.dtype(y), vec![extent]));
    b.store(id(types.len()), vec![var(i)], y);
    b.close(kind, None);
    program(&["N"], buffers, b.finish("elementwise".into()))
}

#[test]
fn every_scalar_function_has_the_bits_of_the_interpreter_in_vectors_and_tails() {
    let mut dice = Dice(1);
    for op in ScalarOp::ALL {
        for first in [DType::F32, DType::I32, DType::Bool] {
            for second in [DType::F32, DType::I32, DType::Bool] {
                let types: Vec<DType> = [first, second, second][..op.arity()].to_vec();
                if op.result(&types).is_none() || op.arity() == 1 && second != first {
                    continue;
                }
                for (extent, n) in [(Extent::Fixed(203), 203), (Extent::Sym(0), 77)] {
                    for kind in [LoopKind::Vector { width: 16 }, LoopKind::Parallel { jam: 3 }] {
                        let program = elementwise(op, &types, extent, kind);
                        let inputs = fill(&program, &[n], &mut dice, 3, true);
                        same(&program, &inputs, &[n]);
                    }
                }
            }
        }
    }
}

/// c[m, n] = bias[n] + Σ_k a[m, k] · b[k, n], with its loops in the given kinds.
fn product(m: Extent, k: Extent, n: Extent, kinds: [LoopKind; 2]) -> Program {
    let mut b = Builder::new();
    let zero = b.constant(0.0, F);
    let i = b.open(m);
    let j = b.open(n);
    let p = b.open(k);
    let current = b.current(F);
    let x = b.load(id(0), F, vec![var(i), var(p)], None);
    let y = b.load(id(1), F, vec![var(p), var(j)], None);
    let next = b.scalar(ScalarOp::Fma, &[x, y, current]);
    let sum = b.close(LoopKind::Serial, Some((zero, current, next, ReduceKind::Dot))).unwrap();
    let bias = b.load(id(2), F, vec![var(j)], None);
    let out = b.scalar(ScalarOp::Add, &[sum, bias]);
    b.store(id(3), vec![var(i), var(j)], out);
    b.close(kinds[1], None);
    b.close(kinds[0], None);
    let shapes = [vec![m, k], vec![k, n], vec![n], vec![m, n]];
    let buffers = ["a", "b", "bias", "c"].iter().zip(shapes).map(|(name, s)| buffer(name, F, s)).collect();
    program(&["M", "K", "N"], buffers, b.finish("product".into()))
}

#[test]
fn a_product_of_matrices_is_exact_at_every_remainder_of_rows_and_columns() {
    let mut dice = Dice(2);
    for &size in &SIZES {
        for symbolic in [false, true] {
            let (m, k, n) = (size, dice.pick(&SIZES), dice.pick(&SIZES));
            let e = |i: u32, n: u64| if symbolic { Extent::Sym(i) } else { Extent::Fixed(n) };
            let kinds = [
                LoopKind::Parallel { jam: 1 + dice.below(6) as u8 },
                LoopKind::Vector { width: dice.pick(&[4, 8, 12, 16]) },
            ];
            let program = product(e(0, m), e(1, k), e(2, n), kinds);
            let inputs = fill(&program, &[m, k, n], &mut dice, 1, size % 2 == 0);
            same(&program, &inputs, &[m, k, n]);
        }
    }
}

/// y[i] = tree sum / max of x[i, ..] by lanes, then z[i, j] = x[i, j] - y[i].
fn reduction(rows: Extent, columns: Extent, join: ReduceKind, kind: LoopKind) -> Program {
    let mut b = Builder::new();
    let (op, neutral) = match join {
        ReduceKind::Max => (ScalarOp::Max, f64::NEG_INFINITY),
        ReduceKind::Min => (ScalarOp::Min, f64::INFINITY),
        _ => (ScalarOp::Add, 0.0),
    };
    let start = b.constant(neutral, F);
    let i = b.open(rows);
    let j = b.open(columns);
    let current = b.current(F);
    let x = b.load(id(0), F, vec![var(i), var(j)], None);
    let next = b.scalar(op, &[current, x]);
    let sum = b.close(LoopKind::Lanes, Some((start, current, next, join))).unwrap();
    b.store(id(1), vec![var(i)], sum);
    let j = b.open(columns);
    let x = b.load(id(0), F, vec![var(i), var(j)], None);
    let z = b.scalar(ScalarOp::Sub, &[x, sum]);
    b.store(id(2), vec![var(i), var(j)], z);
    b.close(LoopKind::Vector { width: 8 }, None);
    b.close(kind, None);
    let buffers =
        vec![buffer("x", F, vec![rows, columns]), buffer("y", F, vec![rows]), buffer("z", F, vec![rows, columns])];
    program(&["R", "C"], buffers, b.finish("reduction".into()))
}

#[test]
fn sixteen_accumulators_are_joined_by_the_tree() {
    let mut dice = Dice(3);
    for &columns in &SIZES {
        for symbolic in [false, true] {
            for join in [ReduceKind::Sum, ReduceKind::Max, ReduceKind::Min] {
                let kind = match dice.below(3) {
                    0 => LoopKind::Parallel { jam: 1 },
                    1 => LoopKind::Parallel { jam: 3 },
                    _ => LoopKind::Vector { width: 8 },
                };
                let e = |i: u32, n: u64| if symbolic { Extent::Sym(i) } else { Extent::Fixed(n) };
                let program = reduction(e(0, 5), e(1, columns), join, kind);
                let inputs = fill(&program, &[5, columns], &mut dice, 1, join != ReduceKind::Sum);
                same(&program, &inputs, &[5, columns]);
            }
        }
    }
}

/// A window of 3 over a padded row: out[b, i] = Σ_t w[t] · x[b, 2 i + t - 1], zero outside; `from` is the sum's start.
fn window(batch: Extent, length: u64, kinds: [LoopKind; 2]) -> Program {
    let mut b = Builder::new();
    let out = length.div_ceil(2);
    let zero = b.constant(0.0, F);
    let n = b.open(batch);
    let i = b.open(Extent::Fixed(out));
    let t = b.open(Extent::Fixed(3));
    let current = b.current(F);
    let at = Affine { terms: vec![(2, Term::Var(i)), (1, Term::Var(t))], constant: -1 };
    let mask = b.in_range(&at, Extent::Fixed(length));
    let x = b.load(id(0), F, vec![var(n), at], mask);
    let w = b.load(id(1), F, vec![var(t)], None);
    let next = b.scalar(ScalarOp::Fma, &[x, w, current]);
    let sum = b.close(LoopKind::Serial, Some((zero, current, next, ReduceKind::Dot))).unwrap();
    b.store(id(2), vec![var(n), var(i)], sum);
    b.close(kinds[1], None);
    b.close(kinds[0], None);
    let shapes = [vec![batch, Extent::Fixed(length)], fixed(&[3]), vec![batch, Extent::Fixed(out)]];
    let buffers = ["x", "w", "out"].iter().zip(shapes).map(|(name, s)| buffer(name, F, s)).collect();
    program(&["B"], buffers, b.finish("window".into()))
}

#[test]
fn a_padded_window_reads_zero_outside() {
    let mut dice = Dice(4);
    for &length in &SIZES {
        for kind in [LoopKind::Parallel { jam: 1 }, LoopKind::Vector { width: 4 }, LoopKind::Vector { width: 8 }] {
            let program = window(Extent::Sym(0), length, [LoopKind::Parallel { jam: 2 }, kind]);
            let inputs = fill(&program, &[3], &mut dice, 1, true);
            same(&program, &inputs, &[3]);
            let swapped = window(Extent::Fixed(9), length, [kind, LoopKind::Parallel { jam: 3 }]);
            let inputs = fill(&swapped, &[9], &mut dice, 1, true);
            same(&swapped, &inputs, &[9]);
        }
    }
}

/// out[r, c] = table[rows[r], (5 c + r) % 7] where c / 3 is even, else the position as a number.
fn gather(rows: Extent, columns: u64) -> Program {
    let mut b = Builder::new();
    let r = b.open(rows);
    let c = b.open(Extent::Fixed(columns));
    let row = b.load(id(0), DType::I32, vec![var(r)], None);
    let mixed = Affine { terms: vec![(5, Term::Var(c)), (1, Term::Var(r))], constant: 0 };
    let (_, rest) = b.div_rem(&mixed, 7);
    let x = b.load(id(1), F, vec![Affine::term(Term::Val(row)), rest], None);
    let minus = Affine { terms: vec![(1, Term::Var(c))], constant: -10 };
    let (third, _) = b.div_rem(&minus, 3);
    let (_, odd) = b.div_rem(&third, 2);
    let (odd, one) = (b.index_value(&odd), b.constant(1.0, DType::I32));
    let even = b.scalar(ScalarOp::Lt, &[odd, one]);
    let position = b.index_value(&mixed);
    let position = b.scalar(ScalarOp::ToF32, &[position]);
    let value = b.scalar(ScalarOp::Select, &[even, x, position]);
    b.store(id(2), vec![var(r), var(c)], value);
    b.close(LoopKind::Parallel { jam: 1 }, None);
    b.close(LoopKind::Parallel { jam: 1 }, None);
    let buffers = vec![
        buffer("rows", DType::I32, vec![rows]),
        buffer("table", F, fixed(&[6, 7])),
        buffer("out", F, vec![rows, Extent::Fixed(columns)]),
    ];
    program(&["R"], buffers, b.finish("gather".into()))
}

#[test]
fn rows_by_number_and_quotients_of_indices_are_the_interpreters() {
    let mut dice = Dice(5);
    for &columns in &SIZES {
        for _ in 0..4 {
            let program = reschedule(&gather(Extent::Sym(0), columns), &mut dice);
            let inputs = fill(&program, &[11], &mut dice, 6, true);
            same(&program, &inputs, &[11]);
        }
    }
}

/// out[c, r] = x[r, c] with a symbolic number of rows: strides that are known only at run time.
#[test]
fn strides_may_be_symbols() {
    let mut dice = Dice(6);
    for &rows in &SIZES {
        let mut b = Builder::new();
        let (r, c) = (b.open(Extent::Sym(0)), b.open(Extent::Fixed(5)));
        let x = b.load(id(0), F, vec![var(r), var(c)], None);
        b.store(id(1), vec![var(c), var(r)], x);
        b.close(LoopKind::Parallel { jam: 1 }, None);
        b.close(LoopKind::Parallel { jam: 1 }, None);
        let (wide, tall) = (vec![Extent::Sym(0), Extent::Fixed(5)], vec![Extent::Fixed(5), Extent::Sym(0)]);
        let plain = program(&["R"], vec![buffer("x", F, wide), buffer("out", F, tall)], b.finish("transpose".into()));
        for _ in 0..4 {
            let program = reschedule(&plain, &mut dice);
            let inputs = fill(&program, &[rows], &mut dice, 1, true);
            same(&program, &inputs, &[rows]);
        }
    }
}

/// out[j, i] = x[rows[j] + i, j]: a square read across, each column from a row of its own.
#[test]
fn a_row_number_may_differ_inside_a_square() {
    for n in [8, 16] {
        let mut b = Builder::new();
        let j = b.open(Extent::Fixed(n));
        let row = b.load(id(0), DType::I32, vec![var(j)], None);
        let i = b.open(Extent::Fixed(n));
        let at = Affine { terms: vec![(1, Term::Var(i)), (1, Term::Val(row))], constant: 0 };
        let x = b.load(id(1), F, vec![at, var(j)], None);
        b.store(id(2), vec![var(j), var(i)], x);
        b.close(LoopKind::Vector { width: n as u8 }, None);
        b.close(LoopKind::Parallel { jam: n as u8 }, None);
        let buffers = vec![
            buffer("rows", DType::I32, fixed(&[n])),
            buffer("x", F, fixed(&[2 * n, n])),
            buffer("out", F, fixed(&[n, n])),
        ];
        let program = program(&[], buffers, b.finish("square".into()));
        let inputs = fill(&program, &[], &mut Dice(9), n as usize, false);
        same(&program, &inputs, &[]);
    }
}

#[test]
fn scalars_of_the_step_are_computed_in_f64() {
    for op in ScalarOp::ALL {
        let types = vec![DType::F64; op.arity()];
        let Some(dtype) = op.result(&types) else { continue };
        let mut b = Builder::new();
        let args: Vec<Val> = (0..op.arity()).map(|i| b.load(id(i), DType::F64, vec![], None)).collect();
        let mut y = b.scalar(op, &args);
        if dtype != DType::F32 && dtype != DType::I32 {
            y = b.scalar(ScalarOp::ToF32, &[y]);
        }
        b.store(id(op.arity()), vec![], y);
        let mut buffers: Vec<Buffer> = (0..op.arity()).map(|i| buffer(&format!("x{i}"), DType::F64, vec![])).collect();
        buffers.push(buffer("y", b.dtype(y), vec![]));
        let program = program(&[], buffers, b.finish(op.name().into()));
        let inputs = fill(&program, &[], &mut Dice(7), 3, false);
        same(&program, &inputs, &[]);
    }
}

#[test]
fn hot_loops_are_packed() {
    let options = Options { text: true, vectors: Vectors::Portable, ..Options::default() };
    let kinds = [LoopKind::Parallel { jam: 4 }, LoopKind::Vector { width: 8 }];
    let product = product(Extent::Sym(0), Extent::Fixed(64), Extent::Fixed(64), kinds);
    let compiled = compile(&product, &options).unwrap();
    assert!(compiled.clif().contains("fma") && compiled.asm().contains("vfmadd"), "{}", compiled.asm());
    let packed = compiled.asm().lines().filter(|l| l.contains("vfmadd") && l.contains("ps")).count();
    let single = compiled.asm().lines().filter(|l| l.contains("vfmadd") && l.contains("ss")).count();
    assert!(packed >= 16 && single == 0, "{packed} packed, {single} single\n{}", compiled.asm());
    let add = elementwise(ScalarOp::Mul, &[F, F], Extent::Fixed(64), LoopKind::Vector { width: 16 });
    let compiled = compile(&add, &options).unwrap();
    assert!(compiled.asm().contains("vmulps") && !compiled.asm().contains("vmulss"), "{}", compiled.asm());
}

#[test]
fn the_text_of_a_program_is_the_same_every_time() {
    let options = Options { text: true, ..Options::default() };
    let program = gather(Extent::Sym(0), 9);
    let texts = || compile(&program, &options).map(|c| (c.clif().to_string(), c.asm().to_string()));
    assert_eq!(texts(), texts());
}

/// The text before the back end, which the processor does not change; the calling convention is that of the system.
#[cfg(target_os = "linux")]
#[test]
fn a_kernel_beside_its_instructions() {
    let program = elementwise(ScalarOp::Mul, &[F, F], Extent::Sym(0), LoopKind::Vector { width: 4 });
    let compiled =
        compile(&program, &Options { text: true, vectors: Vectors::Portable, ..Options::default() }).unwrap();
    insta::assert_snapshot!(format!("{}\n{}", nnc::loops::print::print(&program), compiled.clif()));
}

#[test]
fn a_step_of_more_kernels_than_one_function_holds_has_the_bits_of_the_interpreter() {
    let extent = Extent::Fixed(5);
    let doubled = |from: usize, to: usize| {
        let mut b = Builder::new();
        let i = b.open(extent);
        let x = b.load(id(from), F, vec![var(i)], None);
        let half = b.constant(0.5, F);
        let y = b.scalar(ScalarOp::Mul, &[x, half]);
        let one = b.constant(1.0, F);
        let y = b.scalar(ScalarOp::Add, &[y, one]);
        b.store(id(to), vec![var(i)], y);
        b.close(LoopKind::Parallel { jam: 1 }, None);
        b.finish("halve".into())
    };
    let kernels: Vec<Kernel> = (0..2100).map(|n| doubled(n % 2, 1 - n % 2)).collect();
    let buffers = ["x", "y"].map(|name| buffer(name, F, vec![extent])).to_vec();
    // the inner repeat is longer than a function, and so is what is around it
    let repeats =
        [10..2060, 20..1100].map(|kernels| Repeat { extent: Extent::Fixed(2), reverse: false, kernels }).to_vec();
    let program = Program { name: "long".into(), symbols: vec![], buffers, kernels, repeats };
    let inputs = fill(&program, &[], &mut Dice(7), 2, false);
    same_on(&program, &inputs, &[], &[1, 2]);
}

/// Layers of one size have one code, in a program and in the programs of a run; what differs in a number does not.
#[test]
fn kernels_that_are_alike_are_compiled_once() {
    let scaled = |by: f64, names: [&str; 2], shape: u64| {
        let mut b = Builder::new();
        let i = b.open(Extent::Fixed(shape));
        let x = b.load(id(0), F, vec![var(i)], None);
        let factor = b.constant(by, F);
        let y = b.scalar(ScalarOp::Mul, &[x, factor]);
        b.store(id(1), vec![var(i)], y);
        b.close(LoopKind::Vector { width: 16 }, None);
        let buffers = names.map(|n| buffer(n, F, fixed(&[shape]))).to_vec();
        program(&[], buffers, b.finish(names[1].to_string()))
    };
    let mut first = scaled(2.0, ["x", "y"], 20);
    let other = scaled(2.0, ["x", "z"], 20);
    first.buffers.push(other.buffers[1].clone());
    let mut again = other.kernels[0].clone();
    for stmt in &mut again.body {
        let Stmt::Loop(inner) = stmt else { continue };
        for stmt in &mut inner.body {
            if let Stmt::Store { buffer, .. } = stmt {
                *buffer = id(2);
            }
        }
    }
    first.kernels.push(again);
    same(&first, &fill(&first, &[], &mut Dice(1), 2, true), &[]);
    let cache = nnc::codegen::Cache::default();
    let known = |program: &Program| {
        compile_with(program, &Options::default(), &cache).unwrap();
        cache.kernels()
    };
    assert_eq!(known(&first), 1);
    assert_eq!(known(&other), 1);
    assert_eq!(known(&scaled(-2.0, ["x", "y"], 20)), 2);
    assert_eq!(known(&scaled(2.0, ["x", "y"], 21)), 3);
    assert_eq!(known(&scaled(0.0, ["x", "y"], 20)), 4);
    assert_eq!(known(&scaled(-0.0, ["x", "y"], 20)), 5);
}

#[test]
fn what_a_copy_of_a_square_stores_it_loads_again() {
    let text = "\
program test()
buffer @x i32[17, 33] outside
buffer @y i32[33, 17] outside
buffer @z i32[33, 17] outside

kernel twice {
  %0 = const i32 7.0
  parallel(16) i0 < 17 {
    vector(16) i1 < 33 {
      %1 = load @x[i0, i1]
      store @y[i1, i0] = %1
      %2 = load @y[i1, i0]
      store @z[i1, i0] = %2
      store @y[i1, i0] = %0
    }
  }
}
";
    let program = parse(text).unwrap_or_else(|e| panic!("{e}"));
    same(&program, &fill(&program, &[], &mut Dice(1), 100, false), &[]);
}
