//! No text makes the parser or the checker panic.
//!
//! In: the models and the library, with bytes left out, doubled or exchanged, words exchanged, lines moved. Out: the texts
//! that end in a panic. Invariant: the same texts in every run; `NNC_LONG=1` tries fifty times as many.

use super::analyse;
use nnc::driver::pipeline::Library;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A counted sequence of numbers (splitmix64: Steele, Lea, Flood 2014, figure 15).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % n.max(1) as u64) as usize
    }
}

/// Words, numbers, and every other character by itself.
fn tokens(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let (mut word, mut last) = (false, false);
    for c in text.chars() {
        word = c.is_alphanumeric() || c == '_' || word && last && c == '.';
        match out.last_mut() {
            Some(token) if word && last => token.push(c),
            _ => out.push(c.to_string()),
        }
        last = word;
    }
    out
}

fn mutated(tokens: &[String], dice: &mut Dice) -> String {
    let mut tokens = tokens.to_vec();
    let words: Vec<usize> = (0..tokens.len()).filter(|&i| !tokens[i].trim().is_empty()).collect();
    for _ in 0..=dice.below(3) {
        let mut pick = || words[dice.below(words.len())].min(tokens.len() - 1);
        let (a, b) = (pick(), pick());
        match dice.below(8) {
            0 => tokens[a].clear(),
            1 => tokens[a] = tokens[a].repeat(2),
            2 => tokens[a] = tokens[b].clone(),
            3 => tokens.swap(a, b),
            4 => drop(tokens.splice(a.min(b)..a.min(b) + 1, tokens[a.min(b)..a.max(b).min(a.min(b) + 40)].to_vec())),
            5 => drop(tokens.drain(a..(a + 12).min(tokens.len()))),
            6 => drop(tokens[a].pop()),
            _ => {
                let signs =
                    ["0", "-1", "1e9", "_", "..", "->", "=", "[", ")", "{", "%", "\"", "x", "0.5", "[i]", "step"];
                tokens[a] = signs[dice.below(signs.len())].to_string();
            }
        }
        if tokens.is_empty() {
            break;
        }
    }
    tokens.concat()
}

/// The models, and the library's files with a model behind them that makes them a user's.
fn seeds() -> Vec<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<_> = ["models", "models/bench", "lib", "tests/failures/codes"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(root.join(folder)).expect("the folder is there"))
        .map(|e| e.expect("an entry").path())
        .filter(|p| p.extension().is_some_and(|e| e == "nn"))
        .collect();
    paths.sort();
    paths.iter().map(|p| std::fs::read_to_string(p).expect("a model is text")).collect()
}

fn panics(seeds: &[String], rounds: usize) -> Vec<String> {
    let library = Library::load();
    let (mut dice, mut found) = (Dice(1), Vec::new());
    let tail = super::catalogue::model("x -> dense(8) -> relu -> dense(3)");
    for (round, seed) in (0..rounds).flat_map(|r| seeds.iter().map(move |s| (r, s))) {
        let mut text = mutated(&tokens(seed), &mut dice);
        if !text.contains("model ") {
            text.push_str(&tail);
        }
        let whole = catch_unwind(AssertUnwindSafe(|| {
            let analysis = analyse(&library, "mutated.nn", &text);
            analysis.diagnostics.iter().map(|d| d.render(&analysis.sources).len()).sum::<usize>()
        }));
        if whole.is_err() {
            found.push(format!("--- round {round}\n{text}"));
        }
    }
    found
}

#[test]
fn no_text_makes_the_checker_panic() {
    let rounds = if std::env::var_os("NNC_LONG").is_some() { 500 } else { 8 };
    let seeds = seeds();
    // The stack of the program itself.
    let run = std::thread::Builder::new().stack_size(16 << 20).spawn(move || panics(&seeds, rounds));
    let found = run.expect("a thread starts").join().expect("the panics are caught");
    assert!(found.is_empty(), "{} texts end in a panic\n{}", found.len(), found.join("\n"));
}
