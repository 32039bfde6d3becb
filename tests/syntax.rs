//! The language: text to tree and back, and what a wrong text is told.

#[path = "syntax/format.rs"]
mod format;
#[path = "syntax/mistakes.rs"]
mod mistakes;
#[path = "syntax/pieces.rs"]
mod pieces;

use nnc::base::{Diagnostic, FileId, SourceMap};
use nnc::syntax::{self, ast};

const EXAMPLES: [(&str, &str); 9] = [
    ("iris", include_str!("syntax/examples/iris.nn")),
    ("lenet", include_str!("syntax/examples/lenet.nn")),
    ("chargpt", include_str!("syntax/examples/chargpt.nn")),
    ("sentiment", include_str!("syntax/examples/sentiment.nn")),
    ("inception", include_str!("syntax/examples/inception.nn")),
    ("own_definitions", include_str!("syntax/examples/own_definitions.nn")),
    ("library", include_str!("syntax/examples/library.nn")),
    ("ensembles", include_str!("syntax/examples/ensembles.nn")),
    ("given", include_str!("syntax/examples/given.nn")),
];

fn parse(text: &str) -> (ast::File, Vec<Diagnostic>) {
    syntax::parse(FileId(0), text)
}

/// The messages as a user sees them.
fn rendered(text: &str) -> String {
    let mut sources = SourceMap::default();
    sources.add("t.nn", text, false);
    parse(text).1.iter().map(|d| d.render(&sources)).collect()
}

fn well(text: &str) -> ast::File {
    let (file, diagnostics) = parse(text);
    assert!(diagnostics.is_empty(), "{}", rendered(text));
    file
}

#[test]
fn every_example_parses() {
    for (name, text) in EXAMPLES {
        let (file, diagnostics) = parse(text);
        assert!(diagnostics.is_empty(), "{name}:\n{}", rendered(text));
        assert!(!file.items.is_empty());
    }
}

#[test]
fn a_chain_is_one_list() {
    let file = well("const a = 1 + 2 - 3");
    let ast::ItemKind::Const { value, .. } = &file.items[0].kind else { panic!() };
    let ast::ExprKind::Binary(_, rest) = &value.kind else { panic!() };
    assert_eq!(rest.len(), 2);
}
