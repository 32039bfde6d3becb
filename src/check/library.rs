//! The standard library: the files of `lib/`, part of the binary.
//!
//! In: nothing. Out: their names and texts, and what their comments say for messages. Invariant: they are ordinary source
//! files; a new definition goes into one of them and nowhere else.

use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Name and text of every file of `lib/`.
pub const FILES: [(&str, &str); 11] = [
    ("lib/activations.nn", include_str!("../../lib/activations.nn")),
    ("lib/attention.nn", include_str!("../../lib/attention.nn")),
    ("lib/augmentation.nn", include_str!("../../lib/augmentation.nn")),
    ("lib/initialisers.nn", include_str!("../../lib/initialisers.nn")),
    ("lib/layers.nn", include_str!("../../lib/layers.nn")),
    ("lib/losses.nn", include_str!("../../lib/losses.nn")),
    ("lib/metrics.nn", include_str!("../../lib/metrics.nn")),
    ("lib/optimizers.nn", include_str!("../../lib/optimizers.nn")),
    ("lib/pictures.nn", include_str!("../../lib/pictures.nn")),
    ("lib/recurrent.nn", include_str!("../../lib/recurrent.nn")),
    ("lib/schedules.nn", include_str!("../../lib/schedules.nn")),
];

/// What the library says against an error: the texts of the lines `// Helps E0302: …` above its definitions. `case` tells
/// apart the variants of one code (`// Helps E0104 loss: …`). So a message can name what to use, and the compiler need not.
pub fn helps(case: &str) -> impl Iterator<Item = &'static str> + use<> {
    static CASES: OnceLock<BTreeMap<&str, Vec<&str>>> = OnceLock::new();
    let cases = CASES.get_or_init(|| {
        let mut cases: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let line = |l: &'static str| l.strip_prefix("// Helps ")?.split_once(": ");
        lines().filter_map(line).for_each(|(case, text)| cases.entry(case).or_default().push(text));
        cases
    });
    cases.get(case).into_iter().flatten().copied()
}

/// A definition by the name that another system gives it: `// Also: Linear(in, out), Dense(out)` above `op dense(out, …)`.
pub struct Also {
    /// As the other system writes it.
    word: &'static str,
    /// The library's own name.
    pub name: &'static str,
    /// What the other system's parentheses hold, in their order. What is no setting of the definition is worked out here.
    pub given: Vec<&'static str>,
}

/// What the library has under a name of another system: `nn.Linear`, `Linear`, `linear`. Its own names count, too: `ReLU`.
pub fn also(word: &str) -> Option<&'static Also> {
    static WORDS: OnceLock<BTreeMap<String, Vec<Also>>> = OnceLock::new();
    let last = word.rsplit('.').next().unwrap_or(word);
    let alike = WORDS.get_or_init(words).get(&letters(last))?;
    alike.iter().find(|a| a.word == last).or(alike.first())
}

/// The setting among `names` that other systems call `word`, from lines `// Also lr: learning_rate`. `_` where nothing is
/// said, since it is worked out.
pub fn also_setting<'a>(word: &str, names: &[&'a str]) -> Option<&'a str> {
    static SETTINGS: OnceLock<Vec<(&str, Vec<&str>)>> = OnceLock::new();
    let line = |l: &'static str| {
        let (setting, words) = l.strip_prefix("// Also ")?.split_once(": ")?;
        Some((setting, words.split(", ").collect()))
    };
    let table = SETTINGS.get_or_init(|| lines().filter_map(line).collect());
    let known = |setting: &str| names.iter().copied().chain(["_"]).find(|n| *n == setting);
    table.iter().filter(|(_, words)| words.contains(&word)).find_map(|(setting, _)| known(setting))
}

fn lines() -> impl Iterator<Item = &'static str> {
    FILES.into_iter().flat_map(|(_, text)| text.lines())
}

/// Letters and digits in lower case: what spellings of one name have in common.
fn letters(word: &str) -> String {
    word.chars().filter(|c| *c != '_').flat_map(char::to_lowercase).collect()
}

fn words() -> BTreeMap<String, Vec<Also>> {
    let mut found: BTreeMap<String, Vec<Also>> = BTreeMap::new();
    let (mut above, mut own) = (Vec::new(), Vec::new());
    for line in lines() {
        if let Some(text) = line.strip_prefix("// Also: ") {
            above = split_arguments(text);
        } else if !line.starts_with("//") {
            let Some(name) = defined(line) else { continue };
            own.push(Also { word: name, name, given: vec![] });
            for word in above.drain(..) {
                let (word, given) = word.split_once('(').unwrap_or((word, ""));
                let given = if given.is_empty() { vec![] } else { split_arguments(given) };
                found.entry(letters(word)).or_default().push(Also { word, name, given });
            }
        }
    }
    own.into_iter().for_each(|a| found.entry(letters(a.word)).or_default().push(a));
    found
}

/// The name that a line of the library defines.
fn defined(line: &'static str) -> Option<&'static str> {
    let (kind, rest) = line.split_once(' ')?;
    let known = ["op", "fn", "block", "loss", "optimizer", "init"].contains(&kind);
    known.then(|| rest.split(['(', ' ']).next()).flatten()
}

/// The arguments at the beginning of `text`, up to its end or to the `)` that ends them.
pub fn split_arguments(text: &str) -> Vec<&str> {
    let (mut out, mut depth, mut from) = (Vec::new(), 0usize, 0);
    for (at, sign) in text.char_indices() {
        match sign {
            '(' | '[' => depth += 1,
            ',' if depth == 0 => {
                out.push(text[from..at].trim());
                from = at + 1;
            }
            ')' | ']' if depth == 0 => {
                out.push(text[from..at].trim());
                return out;
            }
            ')' | ']' => depth -= 1,
            _ => {}
        }
    }
    out.push(text[from..].trim());
    out
}
