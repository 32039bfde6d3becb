//! `cargo bench`: how long each stage of the compiler takes.
//!
//! In: three models of `models/bench`. Out: a time for each stage alone, on what the stages before it made. Invariant: the stages are
//! called as the driver calls them.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use nnc::codegen;
use nnc::driver::pipeline::Library;
use nnc::driver::{Options, Session, compile};
use nnc::graph::Graph;
use nnc::loops::{lower, plan, schedule};
use nnc::passes::{fuse::fuse, hoist::hoist, simplify::simplify};
use std::path::{Path, PathBuf};
use std::time::Duration;

const MODELS: [&str; 3] = ["mlp", "transformer_enc", "googlenet"];

fn path(model: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("models/bench/{model}.nn"))
}

fn session(model: &str) -> Session {
    let session = Session::load(&path(model), Options::default()).unwrap_or_else(|e| panic!("{}", e.message));
    assert!(!session.has_errors(), "{model} is checked");
    session
}

/// The training step of a model before any pass.
fn step(session: &Session) -> Graph {
    let made = compile::training(&session.checked, &session.checked.runs[0], false);
    made.unwrap_or_else(|e| panic!("{}", e.message)).graph
}

fn stages(c: &mut Criterion) {
    c.bench_function("library/parse", |b| b.iter(Library::load));
    for model in MODELS {
        let (session, library) = (session(model), Library::load());
        let none = |name: &str| panic!("no benchmark uses another file: {name}");
        let text = session.text().to_string();
        let mut group = c.benchmark_group(model);
        group.sample_size(20).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
        group.bench_function("check", |b| b.iter(|| library.analyse("m.nn", &text, &none)));
        group.bench_function("graph and differentiate", |b| b.iter(|| step(&session)));
        let graph = step(&session);
        let hoisted = || hoist(&graph).unwrap_or_else(|_| panic!("the step's scalars are scalars")).0;
        group.bench_function("simplify", |b| b.iter(|| simplify(&hoisted())));
        let simple = simplify(&hoisted());
        group.bench_function("fuse", |b| b.iter(|| fuse(&simple)));
        let fusion = fuse(&simple);
        group.bench_function("lower", |b| b.iter(|| lower::lower(&simple, &fusion)));
        let loops = lower::lower(&simple, &fusion);
        let scheduled = |mut program| {
            schedule::schedule(&mut program);
            program
        };
        group.bench_function("schedule", |b| b.iter_batched(|| loops.clone(), scheduled, BatchSize::SmallInput));
        let program = scheduled(loops);
        let batch = vec![session.checked.runs[0].spec.batch; program.symbols.len()];
        group.bench_function("plan", |b| b.iter(|| plan::plan(&program, &batch)));
        // Machine code stays mapped until the process ends: few samples.
        group.sample_size(10);
        let options = codegen::Options::default();
        group.bench_function("code", |b| b.iter(|| compile::native(&program, &options)));
        group.finish();
    }
}

criterion_group!(benches, stages);
criterion_main!(benches);
