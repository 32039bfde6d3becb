//! What the compiler makes of the models of the repository, as text.
//!
//! In: every model. Out: snapshots of its source beside its stages, and what must hold of them. Invariant: no text here
//! depends on the machine. After a change of a pass or of the schedule, `INSTA_UPDATE=always cargo test models::stages`
//! writes them all; they are read before they are committed.

use nnc::codegen::Vectors;
use nnc::driver::{Options, Session, Stage, compile, stages};
use nnc::graph;
use nnc::loops::{self, cost};
use std::path::{Path, PathBuf};

/// Name (`iris`, `bench/mlp`) and path of every model.
fn all() -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let mut found = Vec::new();
    for folder in ["", "bench"] {
        let files = std::fs::read_dir(root.join(folder)).unwrap().map(|f| f.unwrap().path());
        for path in files.filter(|p| p.extension().is_some_and(|e| e == "nn")) {
            let name = path.strip_prefix(&root).unwrap().with_extension("");
            found.push((name.to_str().unwrap().to_string(), path));
        }
    }
    found.sort();
    assert!(found.len() >= 10);
    found
}

fn session(path: &Path) -> Session {
    let session = Session::load(path, Options::default()).unwrap_or_else(|e| panic!("{}", e.message));
    assert!(!session.has_errors(), "{}", session.diagnostics[0].render(&session.sources));
    session
}

fn text(session: &Session, stage: Stage) -> String {
    stages::text(session, stage).unwrap_or_else(|e| panic!("{}: {}", session.path.display(), e[0].message))
}

/// The source, the number of kernels, and the stages under their names.
fn together(session: &Session, shown: &[Stage]) -> String {
    let kernels = text(session, Stage::Loops).matches("\nkernel ").count();
    let mut out = format!("{}\n=== {kernels} kernels in a training step\n", session.text());
    for stage in shown {
        out.push_str(&format!("\n=== {}\n{}", stage.name(), text(session, *stage)));
    }
    out
}

#[test]
fn every_model_beside_its_layers_graph_kernels_and_memory() {
    for (name, path) in all() {
        let shown = [Stage::Types, Stage::Graph, Stage::Fused, Stage::Plan];
        insta::assert_snapshot!(name.replace('/', "_"), together(&session(&path), &shown));
    }
}

/// The long ones, of the smallest model.
#[test]
fn a_tiny_model_beside_all_its_stages() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/bench/mlp_tiny.nn");
    let shown = [Stage::Graph, Stage::Grad, Stage::Simple, Stage::Fused, Stage::Loops];
    insta::assert_snapshot!("all_stages_of_mlp_tiny", together(&session(&path), &shown));
}

#[test]
fn graphs_and_loops_of_every_model_read_back_exactly() {
    for (name, path) in all() {
        let session = session(&path);
        for run in &session.checked.runs {
            let training = compile::training(&session.checked, run, false).unwrap();
            let (forward, grad) = (training.forward.clone(), training.graph.clone());
            let lowered = compile::lowered(training.graph, None).unwrap();
            for graph in [forward, grad, lowered.simple] {
                let text = graph::print(&graph);
                let read = graph::parse(&text).unwrap_or_else(|e| panic!("{name}: {e}\n{text}"));
                graph::verify(&read).unwrap_or_else(|e| panic!("{name}: {e}\n{text}"));
                assert_eq!(graph::print(&read), text, "{name}");
                assert_eq!(graph::diff::diff(&graph, &read), "", "{name}");
            }
            let text = loops::print::print(&lowered.program);
            let read = loops::parse::parse(&text).unwrap_or_else(|e| panic!("{name}: {e}\n{text}"));
            assert!(read == lowered.program, "{name}\n{text}");
        }
    }
}

#[test]
fn two_models_differ_by_what_they_compute() {
    let folder = tempfile::tempdir().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/bench/mlp_tiny.nn");
    let text = std::fs::read_to_string(&path).unwrap();
    let diff = |text: &str, stage| {
        let other = folder.path().join("other.nn");
        std::fs::write(&other, text).unwrap();
        stages::diff(&session(&path), &session(&other), stage).unwrap()
    };
    // Other lines, names and numbers of nodes, the same computation.
    let renamed = text.replace("x -> l0 -> tanh -> l1", "// a comment\n  h = x -> l0\n  h -> tanh -> l1");
    assert_ne!(renamed, text);
    for stage in [Stage::Graph, Stage::Grad, Stage::Simple] {
        assert_eq!(diff(&renamed, stage), "");
    }
    // One operation, not the weights before it nor the loss behind it.
    let changed = diff(&text.replace("-> tanh ->", "-> exp ->"), Stage::Graph);
    let lines: Vec<&str> = changed.lines().collect();
    assert!(lines.len() == 1 && lines[0].contains("tanh %") && lines[0].contains("= exp %"), "{changed}");
}

/// Arithmetic on one float, which no loop should be made of where several fit: `ss`, or in the wide back end, which
/// computes one float like four, on a register of 128 bits.
fn is_single(line: &str, vectors: Vectors) -> bool {
    if vectors == Vectors::Portable { computes(line, "ss") } else { computes(line, "ps") && line.contains("xmm") }
}

fn computes(line: &str, of: &str) -> bool {
    let name = line.split_whitespace().next().unwrap_or("").trim_start_matches('v');
    let functions = ["add", "sub", "mul", "div", "fmadd", "fmsub", "fnmadd", "fnmsub", "max", "min", "sqrt"];
    name.ends_with(of) && functions.iter().any(|f| name.starts_with(f))
}

/// The innermost loops of a function's text: runs of blocks that jump back to their first and hold no other such run.
fn innermost(function: &str) -> Vec<String> {
    let mut blocks: Vec<String> = vec![String::new()];
    for line in function.lines() {
        if line.starts_with("block") {
            blocks.push(String::new());
        }
        blocks.last_mut().unwrap().push_str(&format!("{line}\n"));
    }
    let blocks = &blocks[1..];
    let names: Vec<&str> = blocks.iter().map(|b| b[5..].split(':').next().unwrap()).collect();
    let mut loops: Vec<(usize, usize)> = Vec::new();
    for (end, block) in blocks.iter().enumerate() {
        let targets = block.split("label").skip(1).map(|t| t.split(|c: char| !c.is_ascii_digit()).next().unwrap());
        loops.extend(
            targets
                .filter_map(|t| names.iter().position(|n| *n == t))
                .filter(|start| *start <= end)
                .map(|start| (start, end)),
        );
    }
    let holds = |a: &(usize, usize), b: &(usize, usize)| a != b && a.0 <= b.0 && b.1 <= a.1;
    let inner = loops.iter().filter(|l| !loops.iter().any(|other| holds(l, other)));
    inner.map(|(start, end)| blocks[*start..=*end].concat()).collect()
}

/// Columns one by one: what the test below looks for, and what it does not.
#[test]
fn single_floats_are_found_in_loops() {
    let singles = |kind: &str, vectors: Vectors| {
        let text = format!(
            "program p(N)\nbuffer @x f32[N] outside\nkernel k {{\n{kind} i0 < N {{\n%0 = load @x[i0]\n\
             %1 = mul %0, %0\nstore @x[i0] = %1\n}}\n}}\n"
        );
        let program = loops::parse::parse(&text).unwrap();
        loops::verify::verify(&program).unwrap();
        let options = nnc::codegen::Options { text: true, vectors, ..Default::default() };
        let code = compile::native(&program, &options).unwrap();
        let found = innermost(code.asm().split("\n\n").next().unwrap());
        found.iter().map(|text| text.lines().any(|l| is_single(l, vectors))).collect::<Vec<_>>()
    };
    for vectors in Vectors::available() {
        assert!(singles("parallel", vectors).iter().all(|single| *single));
        // Whole vectors first, at the end what is left over.
        let vector = singles("vector(16)", vectors);
        assert_eq!((vector.first(), vector.last()), (Some(&false), Some(&true)), "{vectors:?}");
    }
}

#[test]
fn every_hot_loop_is_packed() {
    for (name, vectors) in Vectors::available().into_iter().flat_map(|v| [("mlp", v), ("mlp_wide", v)]) {
        let session = session(&Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("models/bench/{name}.nn")));
        let run = &session.checked.runs[0];
        let training = compile::training(&session.checked, run, false).unwrap();
        let program = compile::lowered(training.graph, None).unwrap().program;
        let batch = vec![run.spec.batch; program.symbols.len()];
        let work: Vec<u64> = cost::costs(&program).iter().map(|c| c.flops.bound(&batch)).collect();
        let total: u64 = work.iter().sum();
        let options = nnc::codegen::Options { text: true, vectors, ..Default::default() };
        let code = compile::native(&program, &options).unwrap();
        let (mut seen, mut hot) = (0, 0);
        for function in code.asm().split("\n\n") {
            let title = function.lines().next().unwrap_or("").trim_start_matches("; ");
            let Some(number) = title.split('.').next().and_then(|n| n.parse::<usize>().ok()) else { continue };
            if work[number] * 100 < total {
                continue;
            }
            seen += work[number];
            let loops = innermost(function);
            hot += loops.len();
            assert!(!loops.is_empty(), "{name}, {title} has no loop");
            for text in loops {
                assert!(!text.lines().any(|l| is_single(l, vectors)), "{name}, {title}\n{text}");
            }
            assert!(function.lines().any(|l| computes(l, "ps")), "{name}, {title}\n{function}");
        }
        assert!(seen * 100 > total * 95 && hot >= 8, "{name}: {seen} of {total} operations in {hot} loops");
    }
}
