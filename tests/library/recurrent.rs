//! Recurrent layers in stacks and both directions: their weights have PyTorch's names, and a stack is what it is made of.
//!
//! In: models. Out: the names and shapes of their weights, and their graphs. Invariant: names are those of a PyTorch module
//! kept as `r`, so that its file starts the model.

use nnc::check::program::Checked;
use nnc::driver::pipeline::Library;
use nnc::graph::{self, Graph, Role};

fn checked(body: &str) -> Checked {
    let text = format!(
        "data d = given {{ x: [5, 4]; y: class(3) }}\nmodel net  x: [5, 4] -> logits[3] {{\n{body}\n}}\n\
         train net on d {{ loss = cross_entropy; optimizer = adam(lr = 0.01); stop = 3 epochs }}\n"
    );
    let none = |path: &str| Err(nnc::base::Diagnostic::plain("E0601", format!("no file {path}")));
    let analysis = Library::load().analyse("made.nn", &text, &none);
    let told: Vec<String> = analysis.diagnostics.iter().map(|d| d.render(&analysis.sources)).collect();
    assert!(told.is_empty(), "{text}\n{}", told.join("\n"));
    analysis.checked
}

fn forward(body: &str) -> Graph {
    let program = checked(body);
    program.evaluation(&program.runs[0]).unwrap_or_else(|d| panic!("{}", d.message))
}

/// Name and shape of each weight below `r`.
fn weights(layer: &str) -> Vec<String> {
    let graph = forward(&format!("  r = {layer}\n  h = x -> r\n  mean(h, axis = 0) -> dense(3)"));
    let inputs = graph.inputs.iter().filter(|i| i.role == Role::Param && i.name.starts_with("r."));
    let mut names: Vec<String> = inputs.map(|i| format!("{} {}", i.name, i.ty.display(&graph.symbols))).collect();
    names.sort();
    names
}

/// The names and shapes of a PyTorch module: `gates` times `units` rows for each layer and direction.
fn in_pytorch(gates: usize, units: usize, widths: &[usize], endings: &[&str]) -> Vec<String> {
    let mut names = Vec::new();
    for (i, width) in widths.iter().enumerate() {
        for ending in endings {
            let (rows, layer) = (gates * units, format!("l{i}{ending}"));
            names.push(format!("r.weight_ih_{layer} f32[{rows}, {width}]"));
            names.push(format!("r.weight_hh_{layer} f32[{rows}, {units}]"));
            names.push(format!("r.bias_ih_{layer} f32[{rows}]"));
            names.push(format!("r.bias_hh_{layer} f32[{rows}]"));
        }
    }
    names.sort();
    names
}

#[test]
fn weights_are_named_as_in_pytorch() {
    let both = ["", "_reverse"];
    assert_eq!(weights("rnn(3)"), in_pytorch(1, 3, &[4], &[""]));
    assert_eq!(weights("gru(3, layers = 3)"), in_pytorch(3, 3, &[4, 3, 3], &[""]));
    assert_eq!(weights("lstm(3, bidirectional = true)"), in_pytorch(4, 3, &[4], &both));
    assert_eq!(weights("lstm(3, layers = 2, bidirectional = true)"), in_pytorch(4, 3, &[4, 6], &both));
    assert_eq!(weights("bidirectional { gru(3) }"), in_pytorch(3, 3, &[4], &both));
}

/// What stands below a layer that is the first of a body has its own name still.
#[test]
fn only_the_first_layer_of_a_body_has_the_name_of_the_whole() {
    let names = weights("bidirectional { gru(3) -> dense(2, bias = false) -> rnn(2, bias = false) }");
    let wanted = ["r.dense.weight f32[2, 3]", "r.dense_reverse.weight f32[2, 3]"];
    assert!(wanted.iter().all(|w| names.iter().any(|n| n == w)), "{names:?}");
    assert!(names.iter().any(|n| n == "r.rnn_reverse.weight_hh_l0 f32[2, 2]"), "{names:?}");
}

#[test]
fn a_narrow_state_has_one_weight_more() {
    let names =
        ["r.bias_hh_l0 f32[12]", "r.bias_ih_l0 f32[12]", "r.weight_hh_l0 f32[12, 2]", "r.weight_hr_l0 f32[2, 3]"];
    let all = [&names[..], &["r.weight_ih_l0 f32[12, 4]"]].concat();
    assert_eq!(weights("lstm(3, proj = 2)"), all);
}

/// A tensor in parentheses stands for itself, not for a setting behind it.
#[test]
fn the_first_state_may_be_a_tensor() {
    let first = "  s = mean(x, axis = 0) -> dense(3)\n";
    for (layer, one) in [
        ("rnn(3, h0 = s)", "one_rnn(3, h0 = s)"),
        ("gru(3, h0 = s)", "one_gru(3, h0 = s)"),
        ("lstm(3, h0 = s, c0 = s)", "one_lstm(3, h0 = s, c0 = s)"),
    ] {
        let whole = forward(&format!("{first}  r = keep({layer})\n  x -> r -> flatten -> dense(3)"));
        let hand = forward(&format!("{first}  r = keep({one}, \"_l0\")\n  x -> r -> flatten -> dense(3)"));
        assert_eq!(graph::diff::diff(&whole, &hand), "", "{layer}");
    }
}

#[test]
fn a_stack_is_its_layers_one_on_the_other() {
    let stack = forward(
        "  r = keep(lstm(3, layers = 2, bidirectional = true, give = states))\n  y, h, c = x -> r\n\
         [h, c, mean(y, axis = 0)] -> concat -> dense(3)",
    );
    let one = |k: &str, input: &str, reverse: bool, ending: &str| {
        format!(
            "  f{k} = keep(one_lstm(3, reverse = {reverse}, give = states), \"_l{ending}\")\n  \
             y{k}, h{k}, c{k} = {input} -> f{k}\n"
        )
    };
    let hand = [
        one("0", "x", false, "0"),
        one("1", "x", true, "0_reverse"),
        "  below = [y0, y1] -> concat\n".to_string(),
        one("2", "below", false, "1"),
        one("3", "below", true, "1_reverse"),
        "  y = [y2, y3] -> concat\n  h = [h2, h3] -> concat\n  c = [c2, c3] -> concat\n".to_string(),
        "  [h, c, mean(y, axis = 0)] -> concat -> dense(3)".to_string(),
    ];
    assert_eq!(graph::diff::diff(&stack, &forward(&hand.concat())), "");
}
