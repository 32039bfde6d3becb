//! From text to tree.
//!
//! In: the source of one file. Out: its tree and all syntax errors; what has no error is in the tree. Invariant: every byte
//! is read by the grammar once, statement by statement, so the time is linear in the length of the file.

mod climb;
mod items;
mod shared;
mod statements;

use super::ast::{File, Item, Stmt};
use super::expected::{self, Mistake};
use super::scan::{self, MAX_ERRORS, Scan};
use super::skeleton::Skeleton;
use crate::base::both::both;
use crate::base::{Diagnostic, FileId, Span};
use pest::Parser;
use pest::error::InputLocation;
use pest::iterators::{Pair, Pairs};
use std::ops::Range;
use std::sync::Arc;

/// The grammar in `grammar/nn.pest`; no other module sees pest.
#[derive(pest_derive::Parser)]
#[grammar = "grammar/nn.pest"]
struct Grammar;

/// Statements in a body from which a second thread is worth its start, about 50 µs.
const MANY: usize = 1 << 12;

/// A part of the tree, or the one error that prevents it.
type Built<T> = Result<T, Box<Diagnostic>>;

/// Reads one file. Never fails and never panics: what does not parse is left out and reported.
/// Errors: E0001 to E0003, E0006 to E0011, E0802; the warning W0006.
pub fn parse(file: FileId, text: &str) -> (File, Vec<Diagnostic>) {
    if text.len() > super::MAX_SOURCE {
        return (File::default(), vec![super::source::too_large()]);
    }
    let scan = scan::scan(file, text);
    let end = scan.end;
    let mut reader = Reader { file, source: text, scan: Arc::new(scan), diagnostics: Vec::new(), depth: 0 };
    let items = reader.items(0..end);
    let Reader { scan, diagnostics: found, .. } = reader;
    let Ok(Scan { mut diagnostics, comments, .. }) = Arc::try_unwrap(scan) else {
        panic!("invariant: only the reader holds the scan once all items are read");
    };
    diagnostics.extend(found);
    diagnostics.sort_by_key(|d| d.span().map_or(0, |s| s.start));
    (File { items, comments }, diagnostics)
}

struct Reader<'a> {
    file: FileId,
    source: &'a str,
    scan: Arc<Scan>,
    diagnostics: Vec<Diagnostic>,
    /// Brackets, bodies and prefix operators around the node that is being built.
    depth: usize,
}

impl Reader<'_> {
    fn items(&mut self, range: Range<usize>) -> Vec<Item> {
        let (mut items, mut astray) = (Vec::new(), false);
        for piece in self.scan.pieces(range) {
            let broken = self.scan.is_broken(piece.clone());
            match self.item(piece.clone()) {
                Ok(item) => {
                    items.push(item);
                    astray = false;
                }
                // What follows a stray statement is likely of its kind: one message is enough.
                Err(error) if error.code == expected::NO_ITEM => {
                    if !astray && !broken && self.scan.broken.is_empty() {
                        self.report(*error);
                    }
                    astray = true;
                }
                Err(error) => self.report(*error),
            }
        }
        items
    }

    /// The statements of the body whose `{` stands at `open`.
    fn body(&mut self, open: usize) -> Vec<Stmt> {
        let brace = self.scan.brace(open);
        let pieces = self.scan.pieces(open + 1..brace.inner_end.max(open + 1));
        self.depth += 1;
        let statements = self.statements(&pieces);
        self.depth -= 1;
        statements
    }

    /// A long body is read by two threads, half each; what they find comes together in the order of the text.
    fn statements(&mut self, pieces: &[Range<usize>]) -> Vec<Stmt> {
        let mut places: Vec<Option<Stmt>> = Vec::new();
        places.resize_with(pieces.len(), || None);
        let half = if pieces.len() < MANY { 0 } else { pieces.len() / 2 };
        let ((first, rest), (to_first, to_rest)) = (pieces.split_at(half), places.split_at_mut(half));
        if half == 0 {
            self.in_order(rest, to_rest);
        } else {
            let beside = || Reader { scan: Arc::clone(&self.scan), diagnostics: Vec::new(), ..*self };
            let (mut one, mut other) = (beside(), beside());
            both(|| one.in_order(first, to_first), || other.in_order(rest, to_rest));
            one.diagnostics.into_iter().chain(other.diagnostics).for_each(|error| self.report(error));
        }
        #[expect(clippy::filter_map_identity, reason = "this is done in place, without a second list")]
        places.into_iter().filter_map(|place| place).collect()
    }

    fn in_order(&mut self, pieces: &[Range<usize>], places: &mut [Option<Stmt>]) {
        for (piece, place) in pieces.iter().zip(places) {
            match self.statement(piece.clone()) {
                Ok(statement) => *place = Some(statement),
                Err(error) => self.report(*error),
            }
        }
    }

    fn report(&mut self, error: Diagnostic) {
        if error.code != expected::REPORTED && self.diagnostics.len() < MAX_ERRORS {
            self.diagnostics.push(error);
        }
    }

    /// Reads `skeleton` by `rule`. After an error the bodies inside are still read, for their errors.
    fn grammar<'s>(&mut self, rule: Rule, skeleton: &'s Skeleton, mistake: Mistake) -> Built<Pairs<'s, Rule>> {
        match Grammar::parse(rule, skeleton.text()) {
            Ok(mut pairs) => Ok(pairs.next().expect("invariant: a rule gives one pair").into_inner()),
            Err(error) => {
                for open in skeleton.bodies() {
                    self.body(open);
                }
                if self.is_reported(skeleton) {
                    return Err(Box::new(Diagnostic::plain(expected::REPORTED, "")));
                }
                let at = match error.location {
                    InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
                };
                Err(Box::new(expected::describe(self.file, skeleton, at, mistake)))
            }
        }
    }

    fn is_reported(&self, skeleton: &Skeleton) -> bool {
        // a stray character is blank in the scanned text: it counts with the statement before it
        let blank = |at: &usize| self.scan.text.as_bytes().get(*at) == Some(&b' ');
        skeleton.segments().into_iter().any(|segment| {
            let end = (segment.end..).find(|at| !blank(at)).unwrap_or(segment.end);
            self.scan.is_broken(segment.start..end)
        })
    }

    fn span(&self, skeleton: &Skeleton, pair: &Pair<'_, Rule>) -> Span {
        let span = pair.as_span();
        skeleton.span(self.file, span.start(), span.end())
    }
}
