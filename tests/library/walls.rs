//! What the sources keep to: order of modules, no name of the library in the compiler, sizes of files, `unsafe`, printing.

use nnc::base::{FileId, SourceMap};
use nnc::check::{Checked, check, library};
use nnc::driver::pipeline::differentiate;
use nnc::graph::print::print;
use nnc::ops;
use nnc::syntax::{self, ast};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every source file of the compiler with its text.
fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, out: &mut Vec<(PathBuf, String)>) {
        let mut entries: Vec<PathBuf> =
            std::fs::read_dir(folder).expect("src is there").map(|e| e.expect("an entry").path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).expect("sources are text");
                out.push((path, text));
            }
        }
    }
    let mut out = Vec::new();
    walk(&root(), &mut out);
    out
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).expect("it lies in src").display().to_string()
}

/// The text without comments and without the tests inside it.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap_or(text);
    text.lines().map(|l| l.split("//").next().unwrap_or(l)).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_module_uses_only_modules_above_it() {
    let order: Vec<String> = std::fs::read_to_string(root().join("lib.rs"))
        .expect("lib.rs is there")
        .lines()
        .filter_map(|l| l.strip_prefix("pub mod ").and_then(|l| l.strip_suffix(';')).map(String::from))
        .collect();
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let own = shown(&path).split('/').next().unwrap_or_default().to_string();
        let Some(place) = order.iter().position(|m| *m == own) else { continue };
        for below in &order[place + 1..] {
            let named =
                |line: &&str| line.contains(&format!("crate::{below}::")) || line.contains(&format!("crate::{below};"));
            if let Some(line) = code(&text).lines().find(named) {
                wrong.push(format!("{}: {}", shown(&path), line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_file_is_short_enough_to_read() {
    let long: Vec<String> = sources()
        .iter()
        .map(|(path, text)| (shown(path), text.lines().count()))
        .filter(|(_, n)| *n > 450)
        .map(|(path, n)| format!("{path}: {n} lines"))
        .collect();
    assert!(long.is_empty(), "split these:\n{}", long.join("\n"));
}

#[test]
fn at_most_three_modules_are_unsafe() {
    let unsafe_files: Vec<String> = sources()
        .iter()
        .filter(|(_, text)| code(text).contains("unsafe {") || code(text).contains("unsafe impl"))
        .map(|(path, _)| shown(path))
        .collect();
    assert!(unsafe_files.len() <= 3, "{}", unsafe_files.join("\n"));
}

#[test]
fn nothing_prints_past_the_error_handling() {
    let printing: Vec<String> = sources()
        .iter()
        .filter(|(_, text)| ["println!", "eprintln!", "print!(", "dbg!"].iter().any(|m| code(text).contains(m)))
        .map(|(path, _)| shown(path))
        .collect();
    assert!(printing.is_empty(), "{}", printing.join("\n"));
}

const MODEL: &str = "data d = given { x: [6]; y: class(3) }
block mine(out)  x { x -> residual { dense(6) -> layernorm -> gelu } -> fork { dense(out); dense(out) -> tanh } -> add }
model m  x: [6] -> logits[3] { x -> repeat(2) { mine(6) } -> dropout(0.1) -> dense(3) }
train m on d {
  loss = cross_entropy(smooth = 0.1) + 0.001 * l2(weights)
  optimizer = adamw(lr = 0.01)
  schedule.lr = ramp(0 .. 0.01, 5 steps) then cosine(0.01 .. 0.001)
  clip = norm(1.0)
  metrics = accuracy
  stop = 20 steps
}
";

/// The text with `_x` behind every word of `names` that is a name: not a setting before `=`, not text, not a comment.
fn renamed(text: &str, names: &BTreeSet<String>) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let (line, _) = line.split_once("//").unwrap_or((line, ""));
        let mut rest = line;
        while let Some(start) = rest.find(|c: char| c.is_alphanumeric() || c == '_') {
            let (before, from) = rest.split_at(start);
            let end = from.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(from.len());
            let (word, after) = from.split_at(end);
            out.push_str(before);
            out.push_str(word);
            if names.contains(word) {
                out.push_str("_x");
            }
            rest = after;
        }
        out.push_str(rest);
        out.push('\n');
    }
    out
}

/// The graphs of the model above, with the library's names as they are or with other ones.
fn graphs(names: &BTreeSet<String>) -> String {
    let mut sources = SourceMap::default();
    let mut files: Vec<(FileId, ast::File)> = Vec::new();
    let own = std::iter::once(("model.nn", MODEL, false));
    for (name, text, library) in library::FILES.into_iter().map(|(n, t)| (n, t, true)).chain(own) {
        let text = renamed(text, names);
        let id = sources.add(name, text.as_str(), library);
        let (file, errors) = syntax::parse(id, &text);
        assert!(errors.is_empty(), "{}", errors[0].render(&sources));
        files.push((id, file));
    }
    let files: Vec<(FileId, &ast::File)> = files.iter().map(|(id, f)| (*id, f)).collect();
    let (checked, found): (Checked, _) = check(&sources, &files, &mut differentiate);
    assert!(found.is_empty(), "{}", found[0].render(&sources));
    let run = &checked.runs[0];
    let training = checked.training(run, true, &mut differentiate).expect("it elaborates").graph;
    let first = checked.first_values(run).expect("it elaborates").graph;
    format!("{}\n{}", print(&training), print(&first)).replace("_x", "")
}

/// The names that `lib/` defines.
fn library_names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (_, text) in library::FILES {
        for line in text.lines() {
            let mut words = line.split([' ', '(']);
            if words.next().is_some_and(|w| ["fn", "init", "block", "op", "loss", "optimizer"].contains(&w)) {
                names.extend(words.next().map(String::from));
            }
        }
    }
    assert!(names.len() > 50, "the library has many definitions");
    names
}

#[test]
fn the_compiler_knows_no_name_of_the_library() {
    let mut names = library_names();
    // `step` is also the number of the step, a word of the language.
    names.remove("step");
    assert_eq!(graphs(&BTreeSet::new()), graphs(&names));
}

/// The string literals of a source file, without those of its comments.
fn literals(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\'', '/']) {
        let (before, from) = rest.split_at(at);
        rest = &from[1..];
        if from.starts_with("//") {
            rest = from.split_once('\n').map_or("", |(_, after)| after);
        } else if from.starts_with('\'') {
            // A character, which may be a quote; else a lifetime.
            let mut chars = rest.chars();
            let first = chars.next().unwrap_or(' ');
            if first == '\\' {
                rest = chars.as_str().get(1..).and_then(|r| r.split_once('\'')).map_or("", |(_, after)| after);
            } else if chars.next() == Some('\'') {
                rest = chars.as_str();
            }
        } else if from.starts_with('"') {
            let raw = before.ends_with('r') || before.ends_with('#');
            let hashes = before.len() - before.trim_end_matches('#').len();
            let close = format!("\"{}", "#".repeat(hashes));
            let escapes = |i: usize| rest[..i].len() - rest[..i].trim_end_matches('\\').len();
            let closes = |(i, _): &(usize, &str)| raw || escapes(*i).is_multiple_of(2);
            let end = rest.match_indices(close.as_str()).find(closes).map_or(rest.len(), |(i, _)| i);
            out.push(rest[..end].to_string());
            rest = rest.get(end + close.len()..).unwrap_or("");
        }
    }
    out
}

#[test]
fn literals_are_found_between_comments_and_characters() {
    let text = r##"a("x\"y", 'q', '"', '\'', &'a str) // "no"
        + r#"raw " one"# + "last""##;
    assert_eq!(literals(text), ["x\\\"y", "raw \" one", "last"]);
}

/// Messages too: what helps against an error, the library says itself (`// Helps E0302: …`).
#[test]
fn no_text_of_the_compiler_names_what_the_library_defines() {
    let mut names = library_names();
    // Operators of the graph have names of their own, some the same; and these are words of English and of the language.
    let operators = ops::table().iter().map(|op| op.name());
    for word in operators.chain(["step", "value", "constant", "zeros", "ones", "attention", "bits", "position"]) {
        names.remove(word);
    }
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        for literal in literals(text) {
            let words = literal.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            wrong.extend(words.filter(|w| names.contains(*w)).map(|w| format!("{}: {w}: {literal}", shown(&path))));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
