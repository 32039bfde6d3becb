//! Names of axes: what stands in the place of an axis has its name, whatever its size.
//!
//! In: models that name an axis behind layers, and the same with its number. Out: their graphs. Invariant: both are one graph.

use nnc::driver::pipeline::Library;
use nnc::graph::{Graph, diff};

/// The graph of a model of a picture, or what is wrong with it.
fn forward(input: &str, body: &str) -> Result<Graph, String> {
    let text = format!(
        "data d = given {{ x: [7, 6, 2]; y: class(3) }}\nmodel net  x: {input} -> logits[3] {{\n  {body} -> dense(3)\n}}\n\
         train net on d {{ loss = cross_entropy; optimizer = adam(lr = 0.01); stop = 3 epochs }}\n"
    );
    let none = |path: &str| Err(nnc::base::Diagnostic::plain("E0601", format!("no file {path}")));
    let analysis = Library::load().analyse("made.nn", &text, &none);
    if let Some(d) = analysis.diagnostics.first() {
        return Err(d.render(&analysis.sources));
    }
    let program = analysis.checked;
    program.evaluation(&program.runs[0]).map_err(|d| d.message)
}

#[test]
fn an_axis_behind_layers_has_the_name_of_the_one_in_whose_place_it_stands() {
    let layers =
        "x -> conv(4, 3, pad = same, stride = 2) -> relu -> maxpool(2) -> batchnorm -> dropout(0.1) -> dense(5)";
    for (named, numbered) in [
        ("flatten(C, H, W)", "flatten([2, 0, 1])"),
        ("softmax(axis = W) -> flatten", "softmax(axis = 1) -> flatten"),
        (
            "residual { conv(5, 3, pad = 1) } -> flatten(W, C, H)",
            "residual { conv(5, 3, pad = 1) } -> flatten([1, 2, 0])",
        ),
        ("depthwise(1) -> permute([C, H, W]) -> flatten", "depthwise(1) -> permute([2, 0, 1]) -> flatten"),
    ] {
        let named = forward("[H, W, C]", &format!("{layers} -> {named}")).expect("axes have names");
        let numbered = forward("[H, W, C]", &format!("{layers} -> {numbered}")).expect("axes have numbers");
        assert_eq!(diff(&named, &numbered), "");
    }
}

#[test]
fn a_name_of_an_axis_is_not_its_size() {
    // 7 rows in, 5 rows behind the windows.
    let wrong = forward("[H, W, C]", "reshape(x -> conv(2, 3), [H, W, C]) -> flatten").expect_err("98 are not 40");
    assert!(wrong.contains("E0307"), "{wrong}");
    let gone = forward("[H, W, C]", "softmax(x -> conv(2, 3) -> flatten, axis = W)").expect_err("one axis is left");
    assert!(gone.contains("E0308"), "{gone}");
}
