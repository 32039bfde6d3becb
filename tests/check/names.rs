//! Which layers share a weight: those of one name kept once, and no others.

use super::{DATA, messages, refuse};
use nnc::driver::pipeline::Library;
use nnc::graph::Role;

/// The weights of the training step, each with the number of its elements.
fn weights(file: &str) -> Vec<String> {
    let analysis = Library::load().analyse("made.nn", file, &refuse);
    assert_eq!(messages(file), "");
    let run = &analysis.checked.runs[0];
    let graph = analysis.checked.evaluation(run).unwrap_or_else(|d| panic!("{}", d.message));
    graph.inputs.iter().filter(|i| i.role == Role::Param).map(|i| i.name.clone()).collect()
}

fn trained(items: &str, body: &str) -> String {
    format!(
        "{DATA}{items}\nmodel m  x: [6] -> logits[3] {{ {body} }}\n\
         train m on d {{ loss = cross_entropy; optimizer = adam(lr = 0.01); stop = 3 epochs }}\n"
    )
}

#[test]
fn a_body_and_the_block_around_it_have_layers_of_their_own() {
    let items = "block around(body)  x { x -> dense(6, bias = false) -> body }";
    let found = weights(&trained(items, "x -> around { dense(6, bias = false) } -> dense(3, bias = false)"));
    assert_eq!(found, ["around.dense.weight", "around.dense2.weight", "dense.weight"]);
}

#[test]
fn a_kept_layer_shares_its_weights_wherever_it_goes() {
    let items = "block inner  [D] -> [D] { f = dense(D, bias = false); residual { f -> f } }";
    let found = weights(&trained(items, "b = inner; x -> b -> b -> residual { b } -> dense(3, bias = false)"));
    // A block that begins with a body has an input without a name.
    assert_eq!(found, ["b.f.weight", "dense.weight"]);
}
