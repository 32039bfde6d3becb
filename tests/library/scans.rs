//! Loops along axes, from their text to machine code.

use super::gradients::{difference, graph_of};
use crate::codegen::run::{Dice, fill, same_on};
use crate::loops::run::scheduled;
use nnc::base::Extent;
use nnc::graph::Graph;

const NESTED: &str = "data d = given { x: [3, 2]; k: [4, 2]; goal: class(2) }
op nested(units)  x: [T, D], k: [S, D] -> h: [units] {
  param u: [units, D] = glorot_uniform
  param v: [units, units] = glorot_uniform
  scan(T) h: [units] = 0 {
    scan(S) g: [units] = 0 {
      r = tanh(x)[t] + k[s]
      z[o] = sum[d](u[o, d] * r[d]) + 0.5 * g[o]
      g = tanh(z)
    }
    q[o] = sum[p](v[o, p] * h[p])
    h = tanh(g + q)
  }
}
model m  x: [3, 2], k: [4, 2] -> [5] { nested(x, k, units = 5) }
train m on d { loss = sum(output); optimizer = adam(lr = 0.01); stop = 3 epochs }
";

#[test]
fn a_scan_in_a_scan_reads_the_rows_of_both() {
    let (loss, graph, names) = graph_of(NESTED).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(names.len(), 4, "{names:?}");
    assert_eq!(difference(&loss, &graph, &names, &mut 7), None);
    let program = scheduled(&graph, false);
    let inputs = fill(&program, &[3, 3], &mut Dice(3), 2, false);
    same_on(&program, &inputs, &[3, 3], &[1, 2]);
}

/// The shapes of the random numbers that a model draws.
fn drawn(graph: &Graph) -> Vec<Vec<Extent>> {
    let random = graph.nodes.iter().filter(|n| n.op.name() == "random");
    random.map(|n| n.ty.shape.to_vec()).collect()
}

#[test]
fn random_numbers_are_new_at_every_step() {
    let text = "data d = given { x: [3, 2]; goal: class(2) }
op noisy(units)  x: [T, D] -> h: [units] {
  a = dense(units)
  scan(T) h: [units] = 0 {
    r = x[t] -> a
    h = tanh(h + r + BODY)
  }
}
model m  x: [3, 2] -> [5] { x -> noisy(5) }
train m on d { loss = sum(output); optimizer = adam(lr = 0.01); stop = 3 epochs }
";
    let shapes = |body: &str| drawn(&graph_of(&text.replace("BODY", body)).unwrap_or_else(|e| panic!("{e}")).0);
    let [steps, batch, units] = [Extent::Fixed(3), Extent::Sym(0), Extent::Fixed(5)];
    assert_eq!(shapes("random(h)"), [vec![steps, batch, units]]);
}
