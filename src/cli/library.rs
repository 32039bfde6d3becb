//! `nnc lib`: definitions of the standard library.
//!
//! In: a name. Out: its source with the comment above it. Invariant: what is shown is the text of `lib/*.nn` itself.

use super::args::LibArgs;
use super::output::Output;
use super::{Failure, fail};
use crate::base::names::nearest;
use crate::base::{Diagnostic, FileId, SourceMap};
use crate::check::functions::FUNCTIONS;
use crate::check::library::{FILES, also};
use crate::runtime::data::vocabulary;
use crate::syntax::ast::{DefKind, File, Item, ItemKind};
use crate::syntax::parse;

/// A definition: its name, its kind and file, and its text.
struct Entry {
    name: String,
    kind: &'static str,
    file: &'static str,
    text: String,
}

pub fn run(args: &LibArgs, output: &Output) -> Result<i32, Failure> {
    let entries = entries();
    let Some(name) = &args.name else {
        output.data(&listing(&entries))?;
        return Ok(0);
    };
    let found: Vec<&Entry> = entries.iter().filter(|e| e.name == *name).collect();
    if found.is_empty() {
        let mut error = Diagnostic::plain("E0101", format!("the library has no `{name}`"));
        if let Some(here) = also(name) {
            error = error.note(format!("here it is `{0}`: `nnc lib {0}`", here.name));
        } else if let Some(near) = nearest(name, entries.iter().map(|e| e.name.as_str())) {
            error = error.note(format!("did you mean `{near}`?"));
        }
        return Err(fail(output, &SourceMap::default(), &[error]));
    }
    let shown = found.iter().map(|e| format!("// {}\n{}\n", e.file, e.text));
    output.data(&shown.collect::<Vec<_>>().join("\n"))?;
    Ok(0)
}

/// Names by kind, in the order of the files.
fn listing(entries: &[Entry]) -> String {
    let mut kinds: Vec<&str> = Vec::new();
    entries.iter().for_each(|e| {
        if !kinds.contains(&e.kind) {
            kinds.push(e.kind);
        }
    });
    let line = |kind: &&str| {
        let names: Vec<&str> = entries.iter().filter(|e| e.kind == *kind).map(|e| e.name.as_str()).collect();
        format!("{kind}: {}\n", names.join(", "))
    };
    kinds.iter().map(line).collect()
}

fn entries() -> Vec<Entry> {
    let mut entries = Vec::new();
    for (file, text) in FILES {
        let (tree, _) = parse(FileId(0), text);
        entries.extend(tree.items.iter().filter_map(|item| entry(file, text, &tree, item)));
    }
    for word in vocabulary() {
        let text = format!("// {}\n{}", word.doc, word.usage().replace('`', ""));
        let kind = "data";
        entries.push(Entry { name: word.name.to_string(), kind, file: "built in: a word of `data`", text });
    }
    for f in FUNCTIONS {
        let text = format!("// {}\n{}({})", f.gives, f.name, f.takes);
        entries.push(Entry { name: f.name.to_string(), kind: "built in", file: "built in: a function", text });
    }
    entries
}

fn entry(file: &'static str, text: &str, tree: &File, item: &Item) -> Option<Entry> {
    let (name, kind) = match &item.kind {
        ItemKind::Def(def) => (&def.name.text, noun(def.kind)),
        ItemKind::Const { name, .. } => (&name.text, "const"),
        _ => return None,
    };
    // The comment lines that end right above the item belong to it.
    let mut start = item.span.start as usize;
    let above = tree.comments.iter().rev().filter(|c| c.own_line && c.span.end <= item.span.start);
    for comment in above {
        let between = &text[comment.span.end as usize..start];
        if between.matches('\n').count() != 1 || !between.trim().is_empty() {
            break;
        }
        start = comment.span.start as usize;
    }
    Some(Entry { name: name.clone(), kind, file, text: text[start..item.span.end as usize].to_string() })
}

fn noun(kind: DefKind) -> &'static str {
    match kind {
        DefKind::Fn => "fn",
        DefKind::Init => "init",
        DefKind::Block => "block",
        DefKind::Op => "op",
        DefKind::Loss => "loss",
        DefKind::Optimizer => "optimizer",
        DefKind::Model => "model",
    }
}
