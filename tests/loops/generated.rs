//! Generated graphs with gradients and updates.

use super::run::{loops, numbers, run, scheduled};
use nnc::base::{DType, Extent, Span, Type};
use nnc::graph::{Builder, Graph, Role, eval, generate, random_inputs};
use nnc::loops::bind::bind;
use nnc::loops::schedule::schedule;
use nnc::loops::{parse, plan, print, verify};
use nnc::ops::{Emit, Value, build};
use nnc::passes::differentiate;

const BATCH: u64 = 5;

/// A generated graph that also moves its parameters against their gradients.
pub fn training_step(seed: u64, size: usize) -> Graph {
    let graph = generate(seed, size);
    let params: Vec<(usize, Value)> =
        graph.inputs.iter().enumerate().filter(|(_, i)| i.role == Role::Param).map(|(n, i)| (n, i.value)).collect();
    let loss = graph.outputs.last().unwrap().value;
    let mut b = Builder::from_graph(graph);
    b.set_span(Span::default());
    let wrt: Vec<Value> = params.iter().map(|&(_, v)| v).collect();
    let grads = differentiate(&mut b, loss, &wrt).unwrap_or_else(|e| panic!("{} has no gradient", e.op)).values;
    for (&(number, param), grad) in params.iter().zip(grads) {
        let rate = build::constant_like(&mut b, 0.01, param);
        let step = build::mul(&mut b, grad, rate);
        let next = build::sub(&mut b, param, step);
        assert_eq!(b.ty(next), b.ty(param));
        b.output(format!("next{number}"), next, Some(number));
    }
    b.finish()
}

/// Whether a small change of a value may make a great one.
fn jumps(graph: &Graph) -> bool {
    let jump = |op: &str| ["argmax", "floor", "sign", "lt", "le", "eq", "to_i32"].contains(&op);
    graph.nodes.iter().any(|n| jump(n.op.name())) || graph.bodies.iter().any(|b| jumps(&b.graph))
}

fn same_words(left: &[Vec<u32>], right: &[Vec<u32>], dtypes: &[DType]) -> bool {
    let same = |(&a, &b): (&u32, &u32), dtype| {
        let nan = |w| dtype == DType::F32 && f32::from_bits(w).is_nan();
        a == b || nan(a) && nan(b)
    };
    left.iter().zip(right).zip(dtypes).all(|((l, r), &t)| l.len() == r.len() && l.iter().zip(r).all(|p| same(p, t)))
}

#[test]
fn loops_of_generated_training_steps_agree_with_the_graph_in_every_form() {
    let mut compared = 0;
    for seed in 0..300 {
        let size = 8 + seed as usize % 30;
        let graph = training_step(seed, size);
        let inputs = random_inputs(&graph, seed, &[BATCH]);
        let dtypes: Vec<DType> = graph.outputs.iter().map(|o| graph.node(o.value).ty.dtype).collect();
        let fused = loops(&graph, false);
        let got = run(&graph, &fused, &inputs, &[BATCH]);
        for (what, program) in [
            ("unfused", loops(&graph, true)),
            ("scheduled", scheduled(&graph, false)),
            ("unfused and scheduled", scheduled(&graph, true)),
        ] {
            let other = run(&graph, &program, &inputs, &[BATCH]);
            assert!(
                same_words(&got, &other, &dtypes),
                "seed {seed}, {what}\n{}\n{}\n{}",
                nnc::graph::print(&graph),
                print::print(&fused),
                print::print(&program)
            );
        }
        if jumps(&generate(seed, size)) {
            continue; // of nearly equal numbers another is the greater after another rounding
        }
        compared += 1;
        let wanted = eval::eval(&graph, &inputs, &[BATCH]).unwrap();
        for ((words, wanted), &dtype) in got.iter().zip(&wanted).zip(&dtypes) {
            // Rounding errors of f32 (6e-8 a step) grow over a few hundred terms and some thirty steps.
            let scale = wanted.iter().fold(1.0f64, |m, x| m.max(x.abs()));
            for (got, wanted) in numbers(dtype, words).iter().zip(wanted.iter()) {
                let close = (got - wanted).abs() <= 2e-4 * scale || got.is_nan() && wanted.is_nan() || got == wanted;
                assert!(
                    close,
                    "seed {seed}: {got} != {wanted}\n{}\n{}",
                    nnc::graph::print(&graph),
                    print::print(&fused)
                );
            }
        }
    }
    assert!(compared > 50, "{compared}");
}

#[test]
fn a_batch_of_one_row_that_is_known_beforehand_gives_the_same_bits() {
    for seed in 0..300 {
        let graph = training_step(seed, 8 + seed as usize % 30);
        let inputs = random_inputs(&graph, seed, &[1]);
        let dtypes: Vec<DType> = graph.outputs.iter().map(|o| graph.node(o.value).ty.dtype).collect();
        let mut known = loops(&graph, false);
        bind(&mut known, 0, 1);
        schedule(&mut known);
        verify::verify(&known).unwrap();
        let (open, known) = (loops(&graph, false), known);
        let same = same_words(&run(&graph, &open, &inputs, &[1]), &run(&graph, &known, &inputs, &[1]), &dtypes);
        assert!(same, "seed {seed}\n{}\n{}", print::print(&open), print::print(&known));
    }
}

#[test]
fn the_text_of_loops_reads_back_exactly() {
    for seed in 0..100 {
        let graph = training_step(seed, 8 + seed as usize % 30);
        for program in [loops(&graph, false), scheduled(&graph, false)] {
            let text = print::print(&program);
            let read = parse::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
            assert_eq!(read, program, "{text}");
            verify::verify(&read).unwrap();
        }
    }
}

#[test]
fn buffers_that_are_alive_together_never_overlap() {
    for seed in 0..100 {
        let program = scheduled(&training_step(seed, 20), false);
        let plan = plan::plan(&program, &[BATCH]).unwrap();
        let alive: Vec<_> = (0..program.buffers.len())
            .filter_map(|i| match program.buffers[i].home {
                nnc::loops::ir::Home::Arena { first, last } => {
                    Some((plan.offsets[i].unwrap(), plan.sizes[i], first, last))
                }
                nnc::loops::ir::Home::Outside => None,
            })
            .collect();
        for (i, a) in alive.iter().enumerate() {
            assert!(a.0 % plan::ALIGNMENT == 0 && a.0 + a.1 <= plan.arena_bytes);
            for b in &alive[..i] {
                let together = a.2 <= b.3 && b.2 <= a.3;
                assert!(!together || a.0 + a.1 <= b.0 || b.0 + b.1 <= a.0, "{a:?} {b:?}");
            }
        }
    }
}

#[test]
fn a_long_chain_of_operations_becomes_several_kernels() {
    let mut b = Builder::new("chain", &[]);
    let mut x = b.input("x", Role::Data, Type::f32(vec![Extent::Fixed(20)]), Span::default());
    for _ in 0..5000 {
        x = build::sin(&mut b, x);
    }
    b.output("y", x, None);
    let kernels = scheduled(&b.finish(), false).kernels;
    assert!(kernels.len() > 10 && kernels.iter().all(|k| k.insts.len() < 200));
}

#[test]
fn a_plan_that_does_not_fit_memory_is_an_error() {
    let text = "program big(B)\nbuffer @x f32[B, B] arena 0 0\n";
    let program = parse::parse(text).unwrap();
    assert_eq!(plan::plan(&program, &[3]).unwrap().arena_bytes, 64);
    assert_eq!(plan::plan(&program, &[u64::MAX]).unwrap_err().code, "E0803");
}

#[test]
fn broken_loops_are_refused() {
    let cases = [
        ("store @y[0] = %0", "%0 is used where it is not known"),
        ("%0 = const f32 1.0\n%1 = index i0\nstore @y[0] = %0", "the loop variable 0 is used outside its loop"),
        ("%0 = const f32 1.0\nstore @y[5] = %0", "an access to `y` leaves it"),
        ("%0 = const i32 1.0\nstore @y[0] = %0", "i32 is stored where f32 belongs"),
        ("%0 = const f32 1.0\nvector(3) i0 < 5 {\nstore @y[i0] = %0\n}", "does not fit its kind"),
        ("%0 = const f32 1.0\n%0 = const f32 2.0\nstore @y[0] = %0", "assigned twice"),
    ];
    for (body, wanted) in cases {
        let program =
            parse::parse(&format!("program p()\nbuffer @y f32[5] outside\nkernel k {{\n{body}\n}}\n")).unwrap();
        let error = verify::verify(&program).unwrap_err();
        assert!(error.contains(wanted), "{error}");
    }
}
