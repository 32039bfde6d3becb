//! What is too long for the grammar is read in pieces, and nothing tells where they were cut.
//!
//! In: rows and lists of many elements. Out: the elements whose tree is another one than where they stand alone.
//! Invariant: an element alone stands at the same offset, so that its spans are the same.

use super::{ast, well};
use nnc::base::FileId;
use nnc::syntax;
use nnc::syntax::ast::{Expr, ExprKind};

/// Long enough for three pieces.
const LENGTH: usize = 40 << 10;

const TIGHT: [&str; 9] = [
    "x * 3 ^ 2 / y",
    "f(1, [a, b], k = -2, m = u - v)",
    "(u + v) * w % 7",
    "-y ^ -2",
    "g[1, 2 - i](3)",
    "1e-5 * 2E+3",
    "h.part",
    "a/b*c",
    "17",
];

const LOOSE: [&str; 6] = ["p -> q(2) -> r", "a or not b and c", "0 .. 1 - 2", "a == b", "c <= -d", "0.1 | f(x) | 2"];

fn value(text: &str) -> Expr {
    match &well(text).items[0].kind {
        ast::ItemKind::Const { value, .. } => Expr::clone(value),
        other => panic!("a constant: {other:?}"),
    }
}

/// `elements` over and over between `open` and `close`: the text, and where each stands.
fn long(open: &str, elements: &[&str], join: &str, close: &str) -> (String, Vec<(usize, String)>) {
    let (mut text, mut places) = (open.to_string(), Vec::new());
    for element in elements.iter().cycle().take(LENGTH / 10) {
        if !places.is_empty() {
            text.push_str(join);
        }
        places.push((text.len(), element.to_string()));
        text.push_str(element);
    }
    (text + close, places)
}

fn compare(parts: &[&Expr], places: &[(usize, String)]) {
    assert_eq!(parts.len(), places.len());
    for (part, (at, element)) in parts.iter().zip(places) {
        let alone = value(&format!("const a = {}{element}", " ".repeat(at - 10)));
        assert!(**part == alone, "`{element}` at {at}: {part:?}");
    }
}

#[test]
fn a_long_row_has_the_trees_of_its_operands() {
    let (text, places) = long("const a = ", &TIGHT, " + ", "");
    assert!(text.len() > LENGTH);
    let ExprKind::Binary(first, rest) = value(&text).kind else { panic!("a sum") };
    let parts: Vec<&Expr> = std::iter::once(&*first).chain(rest.iter().map(|(_, _, e)| e)).collect();
    compare(&parts, &places);
}

#[test]
fn a_long_list_has_the_trees_of_its_elements() {
    let elements: Vec<&str> = TIGHT.into_iter().chain(LOOSE).collect();
    let (text, places) = long("const a = [", &elements, ", ", "]");
    assert!(text.len() > LENGTH);
    let ExprKind::List(items) = value(&text).kind else { panic!("a list") };
    compare(&items.iter().collect::<Vec<_>>(), &places);
}

#[test]
fn a_long_body_has_the_trees_of_its_statements() {
    let (text, places) = long("fn f ab { ", &TIGHT, "; ", " }");
    let file = well(&text);
    let ast::ItemKind::Def(def) = &file.items[0].kind else { panic!("a definition") };
    let values = def.body.iter().map(|statement| match &statement.kind {
        ast::StmtKind::Expr(value) => value,
        other => panic!("a value: {other:?}"),
    });
    compare(&values.collect::<Vec<_>>(), &places);
}

#[test]
fn the_mistakes_of_a_long_body_come_in_the_order_of_the_text() {
    let (text, _) = long("fn f x { ", &["u v", "x"], "; ", "; }");
    let (file, found) = syntax::parse(FileId(0), &text);
    let ast::ItemKind::Def(def) = &file.items[0].kind else { panic!("a definition") };
    assert_eq!(def.body.len(), LENGTH / 20, "what can be read is kept");
    let places: Vec<usize> = found.iter().filter_map(|d| d.span()).map(|span| span.start as usize).collect();
    let wrong: Vec<usize> = text.match_indices("u v").map(|(at, _)| at + 2).take(places.len()).collect();
    assert_eq!(places, wrong);
    assert_eq!(places.len(), 1000, "no more than these are told");
}
