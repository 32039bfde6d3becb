//! Tests of the checker: text in, text out.

#[path = "check/figures.rs"]
mod figures;
#[path = "check/names.rs"]
mod names;

use nnc::driver::pipeline::Library;

fn refuse(path: &str) -> Result<(String, String), nnc::base::Diagnostic> {
    Err(nnc::base::Diagnostic::plain("E0601", format!("no file {path}")))
}

/// All messages about a file, as text.
pub fn messages(text: &str) -> String {
    let a = Library::load().analyse("test.nn", text, &refuse);
    a.diagnostics.iter().map(|d| d.render(&a.sources)).collect::<Vec<_>>().join("\n")
}

const DATA: &str = "data d = given { x: [6]; y: class(3) }\n";

fn train(model: &str) -> String {
    format!("{DATA}{model}\ntrain m on d {{ loss = cross_entropy; optimizer = adam(lr = 0.01); stop = 3 epochs }}\n")
}

#[test]
fn a_plain_network_has_no_mistake() {
    assert_eq!(messages(&train("model m  x: [6] -> logits[3] { x -> dense(4) -> relu -> dense(3) }")), "");
}

#[test]
fn a_misspelt_layer_is_corrected() {
    let text = messages(&train("model m  x: [6] -> logits[3] { x -> dnse(4) -> relu -> dense(3) }"));
    assert!(text.contains("did you mean `dense`?"), "{text}");
}

#[test]
fn a_wrong_output_size_is_found() {
    let text = messages(&train("model m  x: [6] -> logits[3] { x -> dense(4) }"));
    assert!(text.contains("E0301"), "{text}");
}

/// A setting of a scan, a constant in a constant or in a reader: each is a use.
#[test]
fn what_is_used_somewhere_is_not_called_unused() {
    let scan = "block row(units, back = true)  x: [T, D] -> [T, units] {\n  \
                scan(T, reverse = back) h: [units] = 0 { h = tanh(h + 1) + sum(x[t]) }\n}\n\
                model m  x: [6] -> logits[3] { reshape(x, [3, 2]) -> row(4) -> flatten -> dense(3) }";
    let texts = [
        train(scan),
        format!(
            "const A = 2\nconst B = 2 * A\n{}",
            train("model m  x: [6] -> logits[3] { x -> dense(B) -> dense(3) }")
        ),
    ];
    for text in texts {
        assert_eq!(messages(&text), "", "{text}");
    }
}

/// The text behind `Example:` of a definition as a whole file.
fn example_file(example: &str) -> String {
    if let Some(init) = example.strip_prefix("param ") {
        return format!(
            "{DATA}op own  x: [D] -> y: [D] {{ param w: [D, D] = {init}\n y[i] = sum[d](x[d] * w[i, d]) }}\n\
             model m  x: [6] -> logits[3] {{ x -> own -> dense(3) }}\n\
             train m on d {{ loss = cross_entropy; optimizer = adam(lr = 0.01); stop = 3 epochs }}\n"
        );
    }
    if let Some((inputs, body)) = example.split_once('{') {
        let fields =
            inputs.trim().split("], ").map(|f| if f.ends_with([']', ')']) { f.to_string() } else { format!("{f}]") });
        let fields: Vec<String> = fields.flat_map(|f| f.split("), ").map(String::from).collect::<Vec<_>>()).collect();
        let given: Vec<String> = fields.iter().map(|f| f.replace("logits", "").trim().to_string()).collect();
        let first = inputs.split(':').next().unwrap_or("x").trim();
        return format!(
            "data d = given {{ {} ; goal: class(2) }}\nmodel m  {inputs} {{ {body}\n\
             train m on d {{ loss = sum(output); optimizer = adam(lr = 0.01); stop = 3 epochs }}\n// {first}",
            given.join("; ")
        );
    }
    let (loss, entry) = ("loss = cross_entropy", example);
    let optimizer = if entry.starts_with("optimizer") { "" } else { "optimizer = adam(lr = 0.01)" };
    format!(
        "{DATA}model m  x: [6] -> logits[3] {{ x -> dense(3) }}\ntrain m on d {{ {loss}\n {entry}\n {optimizer}\n stop = 30 epochs }}\n"
    )
}

/// Each definition of the library with its example.
fn examples() -> Vec<(String, String)> {
    let mut out = Vec::new();
    for (_, text) in nnc::check::library::FILES {
        let mut example = None;
        for line in text.lines() {
            if let Some(e) = line.strip_prefix("// Example: ") {
                example = Some(e.to_string());
            }
            let words: Vec<&str> = line.split([' ', '(']).collect();
            if ["fn", "init", "block", "op", "loss", "optimizer"].contains(&words[0]) {
                let e = example.take().unwrap_or_else(|| panic!("`{}` has no example", words[1]));
                out.push((words[1].to_string(), e));
            }
        }
    }
    out
}

#[test]
fn every_example_of_the_library_elaborates() {
    let mut bad = String::new();
    for (name, example) in examples() {
        let file = example_file(&example);
        let found = messages(&file);
        if found.contains("error") {
            bad.push_str(&format!("--- {name}\n{file}\n{found}\n"));
        }
    }
    assert!(bad.is_empty(), "{bad}");
}

#[test]
fn every_block_of_the_language_page_is_right() {
    let page = include_str!("../docs/language.md");
    let blocks: Vec<&str> = page.split("```nn\n").skip(1).filter_map(|b| b.split("```").next()).collect();
    assert!(blocks.len() >= 6, "the page has {} blocks", blocks.len());
    for block in blocks {
        let found = messages(block);
        assert!(!found.contains("error"), "{block}\n{found}");
    }
}

/// Two metrics of one definition are two columns, each with its own settings.
#[test]
fn metrics_of_one_definition_have_their_own_columns() {
    let text = "data d = given { x: [6]; y: [3] }\nmodel m  x: [6] -> [3] { x -> dense(3) }\n\
                train m on d { loss = mse; optimizer = adam(lr = 0.01); stop = 5 epochs; \
                metrics = mae, huber, huber(delta = 0.1) }";
    let analysis = Library::load().analyse("made.nn", text, &refuse);
    let run = &analysis.checked.runs[0];
    assert_eq!(run.spec.metrics, ["mae", "huber", "huber(delta = 0.1)"]);
    let graph = analysis.checked.evaluation(run).unwrap_or_else(|d| panic!("{}", d.message));
    let value = |name: &str| graph.outputs.iter().find(|o| o.name == name).map(|o| o.value);
    assert!(value("huber.sum").is_some() && value("huber(delta = 0.1).sum").is_some());
    assert_ne!(value("huber.sum"), value("huber(delta = 0.1).sum"));
}

/// An index belongs to its equation, whatever else has its name.
#[test]
fn an_index_may_have_the_name_of_a_definition() {
    let other = "op twice  x: [D] -> y: [D] { param w: [D, D] = ones\n y[i] = sum[m](w[i, m] * x[m]) }\n";
    let model = "model m  x: [6] -> logits[3] { x -> twice -> dense(3) }";
    assert_eq!(messages(&train(&format!("{other}{model}"))), "");
    let shift = "op shift(n)  x: [T] -> y: [T] { y[m < n] = pad(x, 0)[m - 1] }\n";
    assert_eq!(messages(&train(&format!("{shift}{}", model.replace("twice", "shift(6)")))), "");
    let sum = "op heads(n)  x: [T] -> y: [_] { y[t] = sum[m < n](x[t + m]) }\n";
    assert_eq!(messages(&train(&format!("{sum}{}", model.replace("twice", "heads(2)")))), "");
}

/// The number of classes that the data counts is known to the model.
#[test]
fn a_model_knows_what_its_data_counts() {
    let text = "data d = csv(\"t.csv\") { x: [2] = columns(1..2); y: class(K) = column(3) }\n\
                model m  x: [2] -> logits[K] { x -> dense(2 * 4) -> dense(K) }\n\
                train m on d { loss = cross_entropy; optimizer = adam(lr = 0.01); stop = 3 epochs }\n";
    assert_eq!(messages(text), "");
}

/// `i < 3` on a longer axis is its first elements, on the left as well as in a reduction.
#[test]
fn an_index_that_says_how_far_it_runs_takes_the_first_elements() {
    let items = "op first  x: [D] -> y: [3] { y[i < 3] = x[i] }\n\
                 op start  x: [D] -> y: [D] { y[i] = x[i] * sum[u < 2](x[u]) }\n";
    let model = "model m  x: [6] -> logits[3] { x -> start -> first -> dense(3) }";
    assert_eq!(messages(&train(&format!("{items}{model}"))), "");
}

/// A comparison gives 1 and 0 in arithmetic.
#[test]
fn a_mask_counts_as_one_and_zero() {
    let model = "model m  x: [6] -> logits[3] { (x > 0) * x + (1 < x and x < 4) -> dense(3) }";
    assert_eq!(messages(&train(model)), "");
}

/// W0204 is for means over the batch, where it is one row.
#[test]
fn a_mean_over_more_than_one_value_is_not_warned_of() {
    let norm = "model m  x: [6] -> logits[3] { x -> dense(4) -> batchnorm -> dense(3) }";
    let alone = "model m  x: [6] -> logits[3] { x -> layernorm -> dense(4) -> groupnorm(2) -> dense(3) }";
    let one_row = |model: &str| train(model).replace("stop", "batch = 1; stop");
    assert_eq!(messages(&train(norm)), "");
    assert_eq!(messages(&one_row(alone)), "");
    assert!(messages(&one_row(norm)).contains("W0204"));
    let analysis = Library::load().analyse("made.nn", &train(norm), &refuse);
    let (checked, run) = (&analysis.checked, &analysis.checked.runs[0]);
    let training = checked.training(run, true, &mut nnc::driver::pipeline::differentiate);
    let training = training.unwrap_or_else(|d| panic!("{}", d.message));
    for (batch, rows, warnings) in [(4, 10, 0), (5, 10, 0), (11, 10, 0), (1, 10, 0), (3, 10, 1), (10, 1, 1)] {
        assert_eq!(training.last_batch(batch, rows).len(), warnings, "{rows} rows in batches of {batch}");
    }
}

/// A plateau has its metric computed, as a promise has.
#[test]
fn a_plateau_may_be_about_a_metric_that_is_not_listed() {
    let text = train("model m  x: [6] -> logits[3] { x -> dense(3) }")
        .replace("3 epochs", "plateau(train.accuracy, 3 epochs)");
    let analysis = Library::load().analyse("made.nn", &text, &refuse);
    assert_eq!(messages(&text), "");
    assert_eq!(analysis.checked.runs[0].spec.metrics, ["accuracy"]);
}

/// What a mistake in one place does not hide: an unknown name, sizes that do not fit, a setting of the optimizer, a metric.
#[test]
fn mistakes_in_different_places_are_told_at_once() {
    let text = "data d = given { x: [6]; y: class(3) }\nfn odd  x { x + abc }\n\
                model a  x: [6] -> logits[3] { x -> dense(4) }\nmodel m  x: [6] -> logits[3] { x -> dense(3) }\n\
                train a on d { loss = cross_entropy; optimizer = adam(lr = 0.01, bta1 = 0.9); stop = 3 epochs }\n\
                train m on d { loss = l2(abd); metrics = soft_cross_entropy; optimizer = adam(lr = -1); stop = 3 epochs }\n";
    let found = Library::load().analyse("made.nn", text, &refuse).diagnostics;
    let codes: Vec<&str> = found.iter().filter(|d| d.severity == nnc::base::Severity::Error).map(|d| d.code).collect();
    assert_eq!(codes, ["E0106", "E0301", "E0102", "E0106", "E0310", "E0110"], "{}", messages(text));
}
