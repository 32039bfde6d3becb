//! Canonical text: printed twice it stays, and it means the same.

use super::{EXAMPLES, parse, well};
use nnc::syntax::{ast, print};

/// The tree without its places: `0:12..15` becomes nothing.
fn shape(file: &ast::File) -> String {
    let text = format!("{:?}", file.items);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find("0:") {
        let tail = rest[at + 2..].trim_start_matches(|c: char| c.is_ascii_digit());
        match tail.strip_prefix("..").filter(|t| t.starts_with(|c: char| c.is_ascii_digit())) {
            Some(end) => {
                out.push_str(&rest[..at]);
                rest = end.trim_start_matches(|c: char| c.is_ascii_digit());
            }
            None => {
                out.push_str(&rest[..at + 2]);
                rest = &rest[at + 2..];
            }
        }
    }
    out + rest
}

fn words(file: &ast::File) -> String {
    file.comments.iter().flat_map(|c| c.text.split_whitespace()).collect::<Vec<_>>().join(" ")
}

fn keeps_its_meaning(name: &str, text: &str) -> String {
    let (first, diagnostics) = parse(text);
    assert!(diagnostics.is_empty(), "{name}: {diagnostics:?}");
    let once = print(&first, text);
    let (second, diagnostics) = parse(&once);
    assert!(diagnostics.is_empty(), "{name}: {diagnostics:?}\n{once}");
    assert_eq!(shape(&first), shape(&second), "{name}:\n{once}");
    assert_eq!(words(&first), words(&second), "{name}:\n{once}");
    assert_eq!(once, print(&second, &once), "{name} is not printed the same twice");
    once
}

#[test]
fn every_example_keeps_its_meaning() {
    for (name, text) in EXAMPLES {
        insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(format!("format_{name}"), keeps_its_meaning(name, text));
        });
    }
}

#[test]
fn an_untidy_text_becomes_tidy() {
    let text = "// first\nuse   \"a.nn\"\nconst a=1+2*3   // sum\nmodel m(d=3,)x:[ 4 ]->logits[3]{\n\n\n\n// inside\n x->dense(d)->relu\n  \
        ->dense( 3 ) ;y=x // last\n   /* block */\n}\nblock e x:[D]->[D]{}\nconst b = [\n 1, // one\n 2]\n";
    let once = keeps_its_meaning("untidy", text);
    assert_eq!(
        once,
        "// first\nuse \"a.nn\"\nconst a = 1 + 2 * 3  // sum\n\nmodel m(d = 3)  x: [4] -> logits[3] {\n  // inside\n  \
         x -> dense(d) -> relu\n    -> dense(3)\n  y = x  // last\n  /* block */\n}\n\nblock e  x: [D] -> [D] {}\n\n\
         const b = [\n  1,  // one\n  2,\n]\n"
    );
}

#[test]
fn comments_in_odd_places_stay() {
    for text in [
        "const a /* b */ = /* c */ 1 /* d */\n",
        "model m // one\n -> logits[3] // two\n{ // three\n x // four\n // five\n -> f // six\n}// seven\n",
        "fn f x { // only\n}\n// end",
        "fn f x {\n  g(a, // one\n    b) // two\n}\n",
        "fn f x {\n  if(c) { a } /* x */ else { b } // y\n}\n",
        "fn f x { a /* m */; b }\n",
        "/* a\n b */ fn f x { x }\n",
    ] {
        keeps_its_meaning(text, text);
    }
}

#[test]
fn numbers_keep_their_spelling() {
    let text = "const a = 3_000 + 1e-3 + 80% + 20   min + 3epochs + 1.50 .. 4\n";
    let file = well(text);
    let tidy = "const a = 3_000 + 1e-3 + 80% + 20 min + 3 epochs + 1.50 .. 4\n";
    assert_eq!(print(&file, text), tidy);
}

#[test]
fn every_prefix_of_an_example_that_parses_prints_the_same_twice() {
    for (name, text) in EXAMPLES {
        for end in (0..text.len()).filter(|&i| text.is_char_boundary(i)) {
            if parse(&text[..end]).1.is_empty() {
                keeps_its_meaning(name, &text[..end]);
            }
        }
    }
}
