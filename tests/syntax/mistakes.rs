//! What a wrong text is told: code, place, and what to type.

use super::{EXAMPLES, parse, rendered};
use nnc::base::{FileId, SourceMap};
use nnc::syntax::{MAX_SOURCE, decode};

/// Seconds that this thread has computed: what other processes do does not count.
fn computed() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel counts a thread's time");
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).expect("nanoseconds") / 1e9
}

/// `code line:column` of every message.
fn places(text: &str) -> Vec<String> {
    let mut sources = SourceMap::default();
    sources.add("t.nn", text, false);
    let place = |d: &nnc::base::Diagnostic| match d.span() {
        Some(span) => {
            let (line, column) = sources.line_column(span);
            format!("{} {line}:{column}", d.code)
        }
        None => d.code.to_string(),
    };
    parse(text).1.iter().map(place).collect()
}

/// The text after the first fix of the first message.
fn fixed(text: &str) -> String {
    let diagnostics = parse(text).1;
    let fix = &diagnostics.first().expect("a message").fixes.first().expect("a fix");
    let mut edits = fix.edits.clone();
    edits.sort_by_key(|e| std::cmp::Reverse(e.span.start));
    let mut text = text.to_string();
    for edit in edits {
        text.replace_range(edit.span.start as usize..edit.span.end as usize, &edit.text);
    }
    text
}

fn is_fixed(text: &str) {
    let after = fixed(text);
    assert!(parse(&after).1.is_empty(), "{after}\n{}", rendered(&after));
}

#[track_caller]
fn one(text: &str, place: &str, says: &str) {
    assert_eq!(places(text), [place], "{}", rendered(text));
    assert!(rendered(text).contains(says), "{}", rendered(text));
}

#[test]
fn an_unclosed_brace_shows_where_it_opens_and_where_the_file_ends() {
    let text = "model m  x: [4] -> logits[3] {\n  x -> dense(3)\n";
    one(text, "E0001 1:30", "the file ends here");
    let labels = &parse(text).1[0].labels;
    assert_eq!((labels[0].span.start, labels[1].span.start as usize), (29, text.len()));
    is_fixed(text);
}

#[test]
fn an_unclosed_brace_ends_before_the_next_item() {
    let text = "model m  x: [4] -> logits[3] {\n  x -> dense(3)\n\nmodel n  x: [4] -> [3] { x }\n";
    one(text, "E0001 1:30", "the next item begins here");
    assert_eq!(parse(text).0.items.len(), 2);
    is_fixed(text);
}

#[test]
fn an_unclosed_parenthesis_ends_with_its_line() {
    let text = "model m  x: [4] -> logits[3] {\n  x -> dense(3 -> relu\n  y = dense(4)\n}\nconst a = 3\n";
    one(text, "E0001 2:13", "this `(` is never closed");
    assert_eq!(parse(text).0.items.len(), 2);
    is_fixed("model m  x: [4] -> logits[3] {\n  x -> f(g(3\n  y = dense(4)\n}\n");
    one("const a = (1 + 2]\n", "E0001 1:17", "expected `)` here");
    one("const a = [(1 + 2]\n", "E0001 1:12", "never closed");
    one("const a = 1)\n", "E0001 1:12", "closes nothing");
    one("const a = (1\n", "E0001 1:11", "never closed");
    one("fn f x { x } }\n", "E0001 1:14", "closes nothing");
}

#[test]
fn characters_of_other_alphabets_are_named_and_replaced() {
    for (text, place, says) in [
        ("const a = b ≠ c\n", "E0002 1:13", "`≠` (U+2260)"),
        ("const a = “x”\n", "E0002 1:11", "`“` (U+201C)"),
        ("const a = f('x')\n", "E0002 1:13", "U+0027"),
        ("model m  x: [4] → logits[3] { x }\n", "E0002 1:17", "type `->`"),
        ("const a = 3 − 2\n", "E0002 1:13", "type `-`"),
        ("const a = 3 × 2\n", "E0002 1:13", "type `*`"),
        ("const a = α + 1\n", "E0002 1:11", "U+03B1"),
        ("const a =\u{a0}1\n", "E0002 1:10", "looks like a space"),
        ("const a = 1 # one\n", "E0002 1:13", "a comment begins with `//`"),
        ("const a = 1 @\n", "E0002 1:13", "`@` (U+0040)"),
        ("const a = x²\n", "E0002 1:12", "^2"),
        ("const größe = 1\n", "E0002 1:9", "U+00F6"),
    ] {
        one(text, place, says);
        if !text.contains("größe") {
            is_fixed(text);
        }
    }
}

#[test]
fn operators_of_other_languages_are_replaced() {
    for text in [
        "const a := 1\n",
        "fn f x { x => relu }\n",
        "const a = b && c\n",
        "const a = b || c\n",
        "const a = 2 ** 3\n",
        "const a = !b\n",
        "const a = b <> c\n",
        "const a = 1 ... 3\n",
    ] {
        assert_eq!(parse(text).1.len(), 1, "{}", rendered(text));
        assert_eq!(parse(text).1[0].code, "E0010");
        is_fixed(text);
    }
}

#[test]
fn five_errors_are_five_messages() {
    let text =
        "model m  x: [4] -> logits[3] {\n  a = = 1\n  b = 2 +\n  c = f(1 2)\n  d = 3\n  e = 1__0\n  [1 2] -> g\n}\n";
    assert_eq!(places(text), ["E0010 2:7", "E0010 3:9", "E0010 4:11", "E0007 6:7", "E0010 7:6"], "{}", rendered(text));
    assert_eq!(parse(text).0.items.len(), 1);
    insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("five_errors", rendered(text));
    });
}

#[test]
fn deep_nesting_is_refused_at_once() {
    let n = 100_000;
    for (open, code) in
        [("(", "E0003"), ("[", "E0003"), ("{", "E0003"), ("-", "E0003"), ("f(", "E0003"), ("f {", "E0003")]
    {
        let text = format!("const a = {}1\n", open.repeat(n));
        let start = computed();
        let diagnostics = parse(&text).1;
        assert!(computed() - start < 0.05, "{open}: {} s", computed() - start);
        assert_eq!(diagnostics[0].code, code, "{open}");
        assert!(diagnostics[0].message.contains("nesting deeper than 256"));
        assert_eq!(diagnostics.len(), 1);
    }
    for chain in ["not ", "a^", "- "] {
        let diagnostics = parse(&format!("const a = {}1\n", chain.repeat(n))).1;
        assert_eq!(diagnostics[0].code, "E0003", "{chain}");
    }
    for suffix in [".b", "[0]"] {
        let diagnostics = parse(&format!("const a = b{}\n", suffix.repeat(n))).1;
        assert_eq!(diagnostics[0].code, "E0003", "{suffix}");
    }
}

#[test]
fn nesting_up_to_the_limit_is_accepted() {
    for (open, close) in [("(", ")"), ("f(", ")"), ("[", "]")] {
        let text = format!("const a = {}1{}\n", open.repeat(250), close.repeat(250));
        assert!(parse(&text).1.is_empty(), "{}", rendered(&text));
    }
    let text = format!("fn f x {{ {}1{} }}\n", "g { ".repeat(250), " }".repeat(250));
    assert!(parse(&text).1.is_empty(), "{}", rendered(&text));
}

#[test]
fn a_chain_of_a_million_terms_is_accepted() {
    let text = format!("const a = {}a\n", "a+".repeat(1_000_000));
    assert!(parse(&text).1.is_empty());
    let text = format!("const a = {}a\n", "a->".repeat(1_000_000));
    assert!(parse(&text).1.is_empty());
}

#[test]
fn ten_megabytes_are_read_in_seconds() {
    let whole: String = EXAMPLES.iter().map(|(_, text)| *text).collect();
    let many = whole.repeat(10_000_000 / whole.len());
    let line = format!("fn f x {{ x{} }}\n", " -> dense(16, bias = no)".repeat(10_000_000 / 24));
    let sum = format!("const a = {}a\n", "a+".repeat(5_000_000));
    for (name, text) in [("items", many), ("line", line), ("sum", sum), ("spaces", " ".repeat(10_000_000))] {
        // a busy machine makes a run slower, never faster: the best of three counts
        let mut best = f64::INFINITY;
        for _ in 0..3 {
            let start = computed();
            let (_file, diagnostics) = parse(&text);
            best = best.min(computed() - start);
            assert!(diagnostics.is_empty(), "{name}");
            if best < 3.0 {
                break;
            }
        }
        assert!(best < 3.0, "{name}: {best} s");
    }
}

#[test]
fn the_size_of_a_file_has_a_limit() {
    let error = decode(&vec![b' '; MAX_SOURCE + 1]).unwrap_err();
    assert_eq!((error.code, error.exit_code()), ("E0802", 8));
    assert!(error.message.contains("64 MiB"));
}

#[test]
fn other_encodings_are_named_with_their_place() {
    let error = decode(b"const a = 1\r\nconst \xff = 2").unwrap_err();
    assert_eq!(error.code, "E0005");
    assert!(error.message.contains("offset 19") && error.message.contains("line 2, column 7"), "{}", error.message);
    for bytes in [b"\xff\xfec\0".as_slice(), b"\xfe\xff\0c"] {
        let error = decode(bytes).unwrap_err();
        assert!(error.code == "E0005" && error.message.contains("looks like UTF-16"));
    }
    assert_eq!(decode(b"\xef\xbb\xbfconst a = 1").unwrap(), "const a = 1");
}

#[test]
fn every_line_ending_is_one() {
    for end in ["\n", "\r\n", "\r"] {
        let text = ["model m  x: [4] -> logits[3] {", "  x -> dense(3)", "    -> relu", "}", "const a = $"].join(end);
        assert_eq!(places(&text), ["E0002 5:11"], "{}", rendered(&text));
    }
    assert_eq!(places("const a = 1\r\nconst b = 1\rconst c = 1\nconst d = @"), ["E0002 4:11"]);
}

#[test]
fn invisible_characters_are_refused_outside_strings_and_comments() {
    for (c, says) in
        [('\0', "NUL"), ('\u{202e}', "direction of writing"), ('\u{200b}', "invisible"), ('\u{7}', "control")]
    {
        let text = format!("const a = {c}1\n");
        one(&text, "E0006 1:11", says);
        is_fixed(&text);
    }
    assert_eq!(parse("const de\u{200b}nse = 1\n").1[0].code, "E0006");
    assert_eq!(parse("const a = \"x\u{200b}y\" // \u{200b}\n").1, []);
    assert_eq!(places("const a = \"x\u{202e}y\"\n"), ["W0006 1:13"]);
    assert_eq!(places("const a = 1 // \u{202e}\n"), ["W0006 1:16"]);
}

#[test]
fn numbers_out_of_range_or_form_are_refused() {
    for (number, says) in [
        ("99999999999999999999", "2^53"),
        ("1e400", "1.8e308"),
        ("1e-400", "would become 0"),
        ("0x", "decimal"),
        ("0x1F", "decimal"),
        ("1__0", "`_` too many"),
        ("1_", "`_` too many"),
        ("1e", "exponent"),
        ("2x", "neither a number nor a name"),
        ("1.", "after the point"),
        (".5", "before the point"),
    ] {
        one(&format!("const a = {number}\n"), "E0007 1:11", says);
    }
    assert!(parse("const a = 9007199254740992 + 1e308 + 5e-324 + 0e-999\n").1.is_empty());
}

#[test]
fn strings_and_comments_without_an_end_are_shown_where_they_begin() {
    one("const a = \"abc\nconst b = 1\n", "E0009 1:11", "this string is never closed");
    is_fixed("const a = \"abc\nconst b = 1\n");
    let text = "data d = csv(\"a.csv) {\n  x: [4] = columns(1..4)\n}\nconst a = 1\n";
    one(text, "E0009 1:14", "this string is never closed");
    assert_eq!(parse(text).0.items.len(), 2);
    is_fixed(text);
    one("const a = 1\n/* abc\nconst b = 1\n", "E0009 2:1", "this comment is never closed");
    assert_eq!(parse("const a = 1\n/* abc\nconst b = 1\n").0.items.len(), 1);
}

#[test]
fn later_items_are_named() {
    let text = include_str!("later.nn");
    assert_eq!(places(text), ["E0008 1:1", "E0008 7:1"], "{}", rendered(text));
    assert!(rendered(text).contains("`search` is not part of this version"));
}

#[test]
fn a_file_holds_items() {
    one("modle m  x: [4] -> [3] { x }\n", "E0012 1:1", "did you mean `model`?");
    is_fixed("modle m  x: [4] -> [3] { x }\n");
    one("x = 3\ny = 4\n", "E0012 1:1", "a file consists of items");
    assert!(parse("").1.is_empty());
    assert!(parse("// only this").1.is_empty());
}

#[test]
fn a_mistake_is_told_in_plain_words() {
    for (text, place, says) in [
        ("const a = f(1 2)\n", "E0010 1:15", "expected `,` or `)` after this argument, found `2`"),
        ("const a = [1 2]\n", "E0010 1:14", "expected `,` or `]`"),
        ("fn f x { x dense(3) }\n", "E0010 1:12", "expected `->`, an operator or the end of the line"),
        ("fn f x {\n  x ->\n  relu\n}\n", "E0010 2:5", "begin the next line with `->`"),
        ("fn f x { x -> }\n", "E0010 1:12", "the line ends with `->`"),
        ("fn f x { x -> -> y }\n", "E0010 1:15", "expected a layer, a block or a name after `->`"),
        ("const a = \nconst b = 1\n", "E0010 1:9", "expected a value after `=`"),
        ("const a = 10 epoch5\n", "E0011 1:14", "is not a unit"),
        ("const a = 3 stps\n", "E0011 1:13", "did you mean `steps`?"),
        ("const a = 80 %\n", "E0010 1:11", "a share is written without a space"),
        ("const or = 1\n", "E0010 1:7", "cannot be a name"),
        ("model m  x: [4] -> [3]\n", "E0010 1:22", "has no body"),
        ("model {\n x }\n", "E0010 1:7", "expected a name"),
        ("train m { stop = 1 epochs }\n", "E0010 1:9", "`on DATA` is missing"),
        ("fn f(a b) x { x }\n", "E0010 1:8", "after this setting"),
        ("fn f x { f(x) = 3 }\n", "E0010 1:10", "cannot stand on the left of `=`"),
        ("fn f x { a = b = 3 }\n", "E0010 1:16", "a second `=`"),
        ("fn f x { 3(x) }\n", "E0010 1:11", "only a name can be called"),
        ("fn f x { scan(T) h = 0 }\n", "E0010 1:10", "this `scan` has no body"),
        ("fn f x { dense(units: 3) }\n", "E0010 1:21", "a value is given with `=`"),
        ("fn f x { a else { b } }\n", "E0010 1:12", "`else`"),
        ("const a = \"\\q\"\n", "E0010 1:12", "is not an escape"),
        ("data d csv(\"x\") { x: [3] }\n", "E0010 1:8", "`=` is missing here"),
    ] {
        if places(text) != [place] || !rendered(text).contains(says) {
            panic!("{text}{:?} {place} {says}\n{}", places(text), rendered(text));
        }
    }
}

/// A small generator of pseudo-random numbers (xorshift64).
fn next(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 16) as usize
}

#[test]
fn no_text_makes_the_parser_panic() {
    let alphabet: Vec<char> = "(){}[]\"'/*;:=-> \n\r\t_.,0a%^|#\\\0é”→\u{202e}".chars().collect();
    let mut state = 7;
    for (_, text) in EXAMPLES {
        for end in (0..text.len()).filter(|&i| text.is_char_boundary(i)) {
            rendered_all(&text[..end]);
        }
        for _ in 0..3_000 {
            let mut chars: Vec<char> = text.chars().collect();
            for _ in 0..1 + next(&mut state) % 4 {
                let (at, c) = (next(&mut state) % chars.len(), alphabet[next(&mut state) % alphabet.len()]);
                match next(&mut state) % 3 {
                    0 => chars[at] = c,
                    1 => chars.insert(at, c),
                    _ => drop(chars.remove(at)),
                }
            }
            rendered_all(&chars.into_iter().collect::<String>());
        }
    }
    for _ in 0..20_000 {
        let length = next(&mut state) % 40;
        rendered_all(&(0..length).map(|_| alphabet[next(&mut state) % alphabet.len()]).collect::<String>());
    }
}

/// Every span lies in the text and on character boundaries.
fn rendered_all(text: &str) {
    let (file, diagnostics) = nnc::syntax::parse(FileId(0), text);
    for label in diagnostics.iter().flat_map(|d| &d.labels) {
        assert!(text.get(label.span.start as usize..label.span.end as usize).is_some(), "{text:?} {label:?}");
    }
    for edit in diagnostics.iter().flat_map(|d| &d.fixes).flat_map(|f| &f.edits) {
        assert!(text.get(edit.span.start as usize..edit.span.end as usize).is_some(), "{text:?} {edit:?}");
    }
    for item in &file.items {
        assert!(text.get(item.span.start as usize..item.span.end as usize).is_some());
    }
}
