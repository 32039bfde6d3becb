//! `nnc explain`: a page about an error code.
//!
//! In: a code. Out: its page from `docs/errors`. Invariant: every code that the program can print has a page (a test
//! holds this).

use super::args::ExplainArgs;
use super::output::Output;
use super::{Failure, fail};
use crate::base::{Diagnostic, SourceMap};

/// The pages, one file for a family; a page begins with `## E0404 Title`.
const FILES: [&str; 7] = [
    include_str!("../../docs/errors/00-syntax.md"),
    include_str!("../../docs/errors/01-names.md"),
    include_str!("../../docs/errors/03-shapes.md"),
    include_str!("../../docs/errors/04-data.md"),
    include_str!("../../docs/errors/05-weights.md"),
    include_str!("../../docs/errors/06-files.md"),
    include_str!("../../docs/errors/07-numbers-and-limits.md"),
];

struct Page {
    code: &'static str,
    title: &'static str,
    text: &'static str,
}

pub fn run(args: &ExplainArgs, output: &Output) -> Result<i32, Failure> {
    let pages = pages();
    let Some(code) = &args.code else {
        let list: String = pages.iter().map(|p| format!("{}  {}\n", p.code, p.title)).collect();
        output.data(&list)?;
        return Ok(0);
    };
    let wanted = code.trim().to_uppercase();
    match pages.iter().find(|p| p.code == wanted) {
        Some(page) => {
            output.data(&format!("{}  {}\n\n{}\n", page.code, page.title, page.text.trim()))?;
            Ok(0)
        }
        None => {
            let error = Diagnostic::plain("E0201", format!("there is no page about `{code}`"));
            let error = error.note("`nnc explain` lists all codes; a code looks like E0404 or W0402");
            Err(fail(output, &SourceMap::default(), &[error]))
        }
    }
}

fn pages() -> Vec<Page> {
    let mut pages: Vec<Page> = FILES.iter().flat_map(|file| file.split("\n## ").skip(1)).filter_map(page).collect();
    pages.sort_by_key(|p| (p.code[1..].to_string(), p.code));
    pages
}

fn page(section: &'static str) -> Option<Page> {
    let (head, text) = section.split_once('\n')?;
    let (code, title) = head.split_once(' ')?;
    Some(Page { code, title: title.trim(), text })
}
