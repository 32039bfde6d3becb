//! How long the models are beside the same models in Keras.
//!
//! In: `models/*.nn` and the programs of `docs/compared-with-keras.md`. Out: the table of lines and tokens that stands in
//! that document and in the README; `INSTA_UPDATE=always cargo test models::length` rewrites both. Invariant: one rule
//! counts both languages, and it looks at the text alone.

use std::path::{Path, PathBuf};

const DOCUMENT: &str = "docs/compared-with-keras.md";
const HEAD: &str =
    "| model | nnc: lines | nnc: tokens | Keras: lines | Keras: tokens |\n| --- | --: | --: | --: | --: |\n";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// How many characters of `text`, which is not empty and begins with no space, are its first token: a string, a word or
/// number, or one punctuation character.
fn first_token(text: &[char]) -> usize {
    let first = text[0];
    let at = |i: usize| text.get(i).copied().unwrap_or('\n');
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut end = 1;
    if first == '"' || first == '\'' {
        while end < text.len() && text[end] != first {
            end += if text[end] == '\\' { 2 } else { 1 };
        }
        return (end + 1).min(text.len());
    }
    if !word(first) {
        return 1;
    }
    loop {
        let part = word(at(end));
        let point = at(end) == '.' && at(end + 1).is_ascii_digit();
        let exponent = matches!(at(end), '-' | '+') && matches!(at(end - 1), 'e' | 'E') && at(end + 1).is_ascii_digit();
        if !(part || first.is_ascii_digit() && (point || exponent)) {
            return end;
        }
        end += 1;
    }
}

/// The tokens of a line, up to its comment.
fn tokens(line: &str, comment: &str) -> Vec<String> {
    let chars: Vec<char> = line.chars().collect();
    let mut rest = &chars[..];
    let mut out = Vec::new();
    while let Some(&first) = rest.first() {
        if first.is_whitespace() {
            rest = &rest[1..];
            continue;
        }
        if rest.iter().take(comment.len()).copied().eq(comment.chars()) {
            break;
        }
        let (token, after) = rest.split_at(first_token(rest));
        out.push(token.iter().collect());
        rest = after;
    }
    out
}

/// Lines that hold a token, and tokens.
type Lengths = (usize, usize);

fn lengths(text: &str, comment: &str) -> Lengths {
    let counts: Vec<usize> = text.lines().map(|l| tokens(l, comment).len()).filter(|n| *n > 0).collect();
    (counts.len(), counts.iter().sum())
}

/// The Python program below the heading `## name`, if it is there.
fn in_keras(document: &str, name: &str) -> Option<String> {
    let section = document.split("\n## ").skip(1).find(|s| s.lines().next() == Some(name))?;
    let (_, program) = section.split_once("\n```python\n")?;
    Some(program.split("\n```").next().unwrap_or(program).to_string())
}

/// The lengths of every model here and in Keras.
fn all() -> Vec<(String, Lengths, Lengths)> {
    let document = read(DOCUMENT);
    let counted = super::models().into_iter().map(|name| {
        let program = in_keras(&document, &name).unwrap_or_else(|| {
            panic!(
                "`models/{name}.nn` has no Keras version. Add to `{DOCUMENT}` a heading `## {name}` and below it one \
                 ```python block: the same model in Keras 3 with its data, training, schedule and evaluation, formatted by \
                 Black. `INSTA_UPDATE=always cargo test models::length` then rewrites the tables."
            )
        });
        let own = lengths(&read(&format!("models/{name}.nn")), "//");
        (name, own, lengths(&program, "#"))
    });
    counted.collect()
}

#[test]
fn one_rule_counts_both_languages() {
    let shown = |line: &str, comment: &str| tokens(line, comment).join(" ");
    assert_eq!(shown(r#"  x: [4] = columns("a // b") -> scale(0..1)  // why"#, "//"), {
        r#"x : [ 4 ] = columns ( "a // b" ) - > scale ( 0 . . 1 )"#
    });
    assert_eq!(shown("x = a // 2 + f('#', 1.5, 5e-4)  # why", "#"), "x = a / / 2 + f ( '#' , 1.5 , 5e-4 )");
    assert_eq!(lengths("a.b\n\n  # why\nc\n", "#"), (2, 4));
}

#[test]
fn every_model_is_shorter_than_in_keras() {
    for (name, (lines, tokens), (keras_lines, keras_tokens)) in all() {
        let told = format!("{name}: {lines} lines and {tokens} tokens; in Keras {keras_lines} and {keras_tokens}");
        assert!(lines < keras_lines && tokens < keras_tokens, "{told}");
    }
}

#[test]
fn the_tables_of_lengths_are_true() {
    let rows = all().into_iter().map(|(name, own, keras)| {
        let link = format!("[{name}](models/{name}.nn)");
        format!("| {link} | {} | {} | {} | {} |\n", own.0, own.1, keras.0, keras.1)
    });
    let table = HEAD.to_string() + &rows.collect::<String>();
    for (place, table) in [("README.md", table.clone()), (DOCUMENT, table.replace("](models", "](../models"))] {
        let text = read(place);
        let (before, from) =
            text.split_once(HEAD).unwrap_or_else(|| panic!("{place} has no table with the head\n{HEAD}"));
        let after: String = from.split_inclusive('\n').skip_while(|l| l.starts_with('|')).collect();
        let wanted = format!("{before}{table}{after}");
        if text != wanted && std::env::var("INSTA_UPDATE").is_ok_and(|v| v == "always") {
            std::fs::write(path(place), wanted).unwrap_or_else(|e| panic!("{place}: {e}"));
        } else {
            assert!(text == wanted, "the table of {place} is not the true one, which is\n\n{table}");
        }
    }
}
