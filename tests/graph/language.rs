//! The text of graphs, their differences, and generated graphs.

use super::fixed;
use nnc::base::{Span, Type};
use nnc::graph::{Builder, Graph, Role, diff, eval, generate, parse, print, random_inputs, verify};
use nnc::ops::build;
use nnc::passes::differentiate;

pub fn dense() -> Graph {
    let mut b = Builder::new("dense", &["B"]);
    let x = b.input("x", Role::Data, Type::f32(fixed(&[0, 4])), Span::default());
    let w = b.input("l0.weight", Role::Param, Type::f32(fixed(&[3, 4])), Span::default());
    let y = build::contract(&mut b, x, w, "bd,od->bo");
    let rate = build::constant_like(&mut b, 0.1, w);
    let step = build::mul(&mut b, w, rate);
    let next = build::sub(&mut b, w, step);
    b.output("y", y, None);
    b.output("l0.weight", next, Some(1));
    b.finish()
}

#[test]
fn a_graph_prints_as_numbered_lines() {
    let text = "graph \"dense\" (B)
%0: f32[B, 4] = input data \"x\"
%1: f32[3, 4] = input param \"l0.weight\"
%2: f32[B, 3] = contract %0 %1 axes=\"bd,od->bo\"
%3: f32[] = const value=0.1 dtype=f32
%4: f32[3, 4] = broadcast %3 axes=[] shape=(3, 4)
%5: f32[3, 4] = mul %1 %4
%6: f32[3, 4] = sub %1 %5
output \"y\" = %2
output \"l0.weight\" = %6 -> \"l0.weight\"
";
    assert_eq!(print(&dense()), text);
    assert_eq!(print(&parse(text).expect("it was printed")), text);
}

#[test]
fn generated_graphs_verify_run_and_read_back() {
    for seed in 0..300 {
        let graph = generate(seed, 10 + seed as usize % 30);
        verify(&graph).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{}", print(&graph)));
        let text = print(&graph);
        let back = parse(&text).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{text}"));
        assert_eq!(print(&back), text);
        assert_eq!(diff(&graph, &back), "");
        let inputs = random_inputs(&graph, seed, &[5]);
        let results = eval(&graph, &inputs, &[5]).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{text}"));
        assert!(results.iter().flatten().all(|x| x.is_finite()), "seed {seed}\n{text}");
    }
}

#[test]
fn generated_graphs_have_every_operator_and_a_gradient() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..300 {
        let graph = generate(seed, 25);
        seen.extend(graph.nodes.iter().map(|node| node.op.name()));
        let loss = graph.outputs.last().expect("the loss").value;
        let wrt: Vec<_> = graph.inputs.iter().filter(|i| i.role == Role::Param).map(|i| i.value).collect();
        let mut b = Builder::from_graph(graph);
        differentiate(&mut b, loss, &wrt).expect("a generated graph has gradients");
        verify(b.graph()).expect("gradients are well-typed");
    }
    let missing: Vec<_> = nnc::ops::table().iter().map(|op| op.name()).filter(|name| !seen.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn graphs_that_differ_only_in_numbering_have_no_difference() {
    let text = "graph \"g\" ()\n%0: f32[4] = input data \"x\"\n%1: f32[4] = exp %0\n%2: f32[4] = neg %0\n\
                %3: f32[4] = add %1 %2\noutput \"y\" = %3\n";
    let swapped = "graph \"g\" ()\n%0: f32[4] = input data \"x\"\n%1: f32[4] = neg %0\n%2: f32[4] = exp %0\n\
                   %3: f32[4] = add %2 %1\noutput \"y\" = %3\n";
    let (a, b) = (parse(text).expect("a graph"), parse(swapped).expect("a graph"));
    assert_eq!(diff(&a, &b), "");
    let changed = parse(&text.replace("exp", "tanh")).expect("a graph");
    assert_eq!(diff(&a, &changed), "~ %1: f32[4] = exp %0 => %1: f32[4] = tanh %0\n");
    let longer = text.replace("output", "%4: f32[4] = neg %3\noutput").replace("= %3\n", "= %4\n");
    let longer = parse(&longer).expect("a graph");
    assert_eq!(diff(&a, &longer), "~ %3: f32[4] = add %1 %2 => %4: f32[4] = neg %3\n");
}

#[test]
fn broken_text_is_an_error_with_its_line() {
    let head = "graph \"g\" (B)\n%0: f32[B, 4] = input data \"x\"\n";
    let cases = [
        ("", "line 1: a graph begins with `graph \"name\" ()`"),
        ("%1: f32[B] = nothing %0", "line 3: there is no operator `nothing` in the table"),
        ("%2: f32[B, 4] = neg %0", "line 3: the node is %2, but nodes are numbered in order and %1 is next"),
        ("%1: f32[B, 4] = neg %7", "line 3: `neg` uses %7, which does not stand before it"),
        ("%1: f32[4] = neg %0", "line 3: the type is f32[4], but `neg` gives f32[B, 4]"),
        ("%1: f32[B, C] = neg %0", "line 3: `C` is neither a number nor a symbol of the graph"),
        ("%1: f32[B] = sum %0 axes=[x]", "line 3: a list holds integers"),
        ("%1: f32[B] = sum %0 axis=[1]", "line 3: `sum` has no attribute `axis`"),
        ("%1: f32[0] = input data \"y\"", "line 3: f32[0] has an axis of length 0, but needs at least 1"),
        ("%1: f32[4] = input data \"x\"", "the name `x` is that of two inputs, but names are unique"),
        ("output \"y\" = %9", "the output `y` is %9, but there is no such node"),
        ("output \"y = %0", "line 3: the closing `\"` is missing"),
    ];
    for (line, message) in cases {
        let text = if line.is_empty() { String::new() } else { format!("{head}{line}\n") };
        assert_eq!(parse(&text).expect_err(line), message);
    }
}
