//! What a wrong file is told: code, place, and what to type.
//!
//! In: the files of `tests/failures`, each with its expectation in the first line. Out: the places where the message is
//! another one. Invariant: nothing here depends on the wording beyond the fragments that a file names.

#[path = "failures/catalogue.rs"]
mod catalogue;
#[path = "failures/data.rs"]
mod data;
#[path = "failures/files.rs"]
mod files;
#[path = "failures/mutations.rs"]
mod mutations;
#[path = "failures/shapes.rs"]
mod shapes;
#[path = "failures/source.rs"]
mod source;

use nnc::base::{Diagnostic, Severity};
use nnc::driver::pipeline::{Analysis, Library};
use std::path::{Path, PathBuf};

fn analyse(library: &Library, name: &str, text: &str) -> Analysis {
    library.analyse(name, text, &|path| Err(Diagnostic::plain("E0601", format!("no file {path}"))))
}

/// The files of a folder below `tests/failures`, in the order of their names.
fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/failures").join(folder);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("the folder is there").map(|e| e.expect("an entry").path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "nn"));
    files.sort();
    files
}

fn name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Errors before warnings: a mistake is what stops the file.
fn first(analysis: &Analysis) -> Option<&Diagnostic> {
    let errors = || analysis.diagnostics.iter().filter(|d| d.severity == Severity::Error);
    errors().next().or(analysis.diagnostics.first())
}

/// `// line 9`: the first error of each planted mistake is on its line; four in five of them say what to type.
#[test]
fn a_planted_mistake_is_found_on_its_line() {
    let (library, mut wrong, mut unfixed, mut count) = (Library::load(), Vec::new(), Vec::new(), 0);
    for path in files("mistakes") {
        let text = std::fs::read_to_string(&path).expect("a mistake is text");
        let expected = text.lines().next().and_then(|l| l.strip_prefix("// line "));
        let expected: usize = expected.and_then(|n| n.parse().ok()).expect("the first line is `// line N`");
        let analysis = analyse(&library, &name(&path), &text);
        count += 1;
        match first(&analysis) {
            Some(d) if d.severity == Severity::Error => {
                let line = d.span().map(|s| analysis.sources.line_column(s).0);
                if line != Some(expected) {
                    wrong.push(format!(
                        "{}: line {line:?}, not {expected}: {}",
                        name(&path),
                        d.short(&analysis.sources)
                    ));
                }
                if d.fixes.is_empty() {
                    unfixed.push(name(&path));
                }
            }
            _ => wrong.push(format!("{}: no error", name(&path))),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(count, 30);
    assert!(count - unfixed.len() >= 24, "without a fix: {}", unfixed.join(", "));
}

/// `// E0101 3:20 | a fragment of the message | a fragment of the fix` (the last two may be left out). `no fix` in the last
/// place forbids one: where nothing tells what was meant, a fix would be a guess that passes the check.
#[test]
fn each_mistake_has_its_code_and_place() {
    let (library, mut wrong) = (Library::load(), Vec::new());
    for path in files("codes") {
        let text = std::fs::read_to_string(&path).expect("a mistake is text");
        let line = text.lines().next().and_then(|l| l.strip_prefix("// ")).expect("the first line says what to expect");
        let parts: Vec<&str> = line.split('|').map(str::trim).collect();
        let analysis = analyse(&library, &name(&path), &text);
        let found = analysis.diagnostics.iter().map(|d| {
            let at = d.span().map(|s| analysis.sources.line_column(s)).unwrap_or((0, 0));
            (format!("{} {}:{}", d.code, at.0, at.1), d)
        });
        let found: Vec<(String, &Diagnostic)> = found.collect();
        let message = |d: &Diagnostic| parts.get(1).is_none_or(|p| d.render(&analysis.sources).contains(p));
        let fix = |d: &Diagnostic| {
            let fixes = d.fixes.iter().flat_map(|f| f.edits.iter().map(|e| &e.text).chain([&f.message]));
            match parts.get(2) {
                Some(&"no fix") => d.fixes.is_empty(),
                part => part.is_none_or(|p| fixes.into_iter().any(|t| t.contains(p))),
            }
        };
        if !found.iter().any(|(place, d)| place == parts[0] && message(d) && fix(d)) {
            let shown: String = analysis.diagnostics.iter().map(|d| d.render(&analysis.sources)).collect();
            wrong.push(format!("--- {}: expected {line}\n{shown}", name(&path)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The code of the first error of a text that is made rather than written.
fn code_of(text: &str) -> String {
    let analysis = analyse(&Library::load(), "made.nn", text);
    first(&analysis).map_or("none", |d| d.code).to_string()
}

#[test]
fn hundred_thousand_brackets_are_refused_without_a_crash() {
    let n = 100_000;
    assert_eq!(code_of(&format!("const a = {}1{}", "(".repeat(n), ")".repeat(n))), "E0003");
    assert_eq!(code_of(&format!("const a = {}1", "-".repeat(n))), "E0003");
}

#[test]
fn text_that_is_no_language_is_told_by_its_character() {
    assert_eq!(code_of("const a\u{0} = 1"), "E0006");
    assert_eq!(code_of("const a\u{202e} = 1"), "E0006");
}

#[test]
fn a_byte_order_mark_and_every_line_end_are_taken() {
    for text in ["const a = 1\r\nconst a = 2", "const a = 1\rconst a = 2", "const a = 1\nconst a = 2"] {
        let analysis = analyse(&Library::load(), "made.nn", text);
        let d = first(&analysis).expect("a name given twice");
        let at = d.span().map(|s| analysis.sources.line_column(s));
        assert_eq!((d.code, at), ("E0103", Some((2, 7))), "{text:?}");
    }
    assert_eq!(nnc::syntax::decode(b"\xEF\xBB\xBFconst a = 1").as_deref(), Ok("const a = 1"));
    assert_eq!(nnc::syntax::decode(b"\xFF\xFEc\0").map_err(|d| d.code), Err("E0005"));
    assert_eq!(nnc::syntax::decode(b"ab\xC3").map_err(|d| d.code), Err("E0005"));
}

#[test]
fn a_tab_counts_as_one_column() {
    let analysis = analyse(&Library::load(), "made.nn", "model m  x: [4] -> logits[3] {\n\tx -> dnse(3)\n}\n");
    let d = first(&analysis).expect("a misspelt layer");
    assert_eq!(d.span().map(|s| analysis.sources.line_column(s)), Some((2, 7)));
}
