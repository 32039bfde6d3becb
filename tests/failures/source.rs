//! S1 to S28: the text of a source file.

use super::catalogue::{Case, check, model, run};
use std::path::Path;

pub fn cases() -> Vec<Case> {
    let mut cases = syntax();
    cases.extend(names());
    cases.extend(sizes());
    cases.extend(bytes());
    cases.extend(files());
    cases
}

fn syntax() -> Vec<Case> {
    let five = "a = = 1\n  b = 2 +\n  c = f(1 2)\n  e = 1__0\n  [1 2] -> g";
    vec![
        check(
            "S1",
            3,
            &["E0001", "m.nn:1:30", "never closed", "the file ends here", "close it with `}`"],
            "model m  x: [4] -> logits[3] {\n  x -> dense(3)\n",
        ),
        check("S2", 3, &["E0002", "m.nn:1:13", "`≠` (U+2260)", "!="], "const a = b ≠ c\n"),
        check("S2", 3, &["E0002", "m.nn:1:11", "U+201C"], "const a = “x”\n"),
        check("S3", 3, &["m.nn:3:7", "m.nn:4:9", "m.nn:5:11", "m.nn:6:7", "m.nn:7:6", "5 errors"], model(five)),
        check("S3", 3, &["10 more"], (0..30).map(|i| format!("const a{i} = = 1\n")).collect::<String>()),
        check(
            "S13",
            3,
            &["E0003", "m.nn:1:", "nesting deeper than 256", "give a name"],
            format!("const a = {}1\n", "-".repeat(100_000)),
        ),
        check(
            "S11",
            3,
            &["E0003", "m.nn:1:", "nesting deeper than 256", "give a name"],
            format!("const a = {}1\n", "(".repeat(100_000)),
        ),
        check("S11", 3, &["E0003", "m.nn:1:", "nesting deeper than 256"], format!("fn f x {}\n", "{".repeat(100_000))),
        check("S17", 3, &["E0004", "m.nn:1:1", "no model defined", "write `model NAME"], ""),
        check("S17", 3, &["E0004", "m.nn:2:1", "no model defined"], "// only a comment\n"),
        check("S23", 3, &["E0101", "m.nn:2:7", "dnse"], "model m  x: [4] -> logits[3] {\n\tx -> dnse(3)\n}\n"),
        check("S24", 3, &["E0007", "m.nn:1:11"], "const a = 99999999999999999999\n"),
        check("S24", 3, &["E0007", "m.nn:1:11"], "const a = 1e400\n"),
        check("S24", 3, &["E0007", "m.nn:1:11"], "const a = 1e-400\n"),
        check("S24", 3, &["E0007", "m.nn:1:11"], "const a = 0x\n"),
        check("S24", 3, &["E0007", "m.nn:1:11"], "const a = 1__0\n"),
        check("S25", 3, &["E0009", "m.nn:1:5", "never closed"], "use \"a.nn\n"),
        check("S25", 3, &["E0009", "m.nn:1:13", "never closed"], "const a = 1 /* text\n"),
    ]
}

fn names() -> Vec<Case> {
    let setting = "x -> dropout(rate = 0.1, rate = 0.2) -> dense(3)";
    let twice = format!("const w = 8\nconst w = 9\n{}", model("x -> dense(w) -> dense(3)"));
    let circle = format!("block a  [N] -> [N] {{ b }}\nblock b  [N] -> [N] {{ a }}\n{}", model("x -> a -> dense(3)"));
    let constants = format!("const a = b\nconst b = a\n{}", model("x -> dense(a) -> dense(3)"));
    let unused = format!("block spare  [N] -> [N] {{ relu }}\n{}", model("x -> dense(3)"));
    vec![
        check("S4", 3, &["E0101", "m.nn:3:8", "dnse", "did you mean `dense`?"], model("x -> dnse(8) -> dense(3)")),
        check(
            "S5",
            3,
            &["E0102", "m.nn:3:17", "did you mean `bias`?", "`dense` takes `out`"],
            model("x -> dense(3, bais = false)"),
        ),
        check("S6", 3, &["E0103", "m.nn:3:28", "first given here", "remove the second `rate`"], model(setting)),
        check("S6", 3, &["E0103", "m.nn:2:7", "first given here", "give it another name: `w2`"], &twice),
        check(
            "S7",
            3,
            &["E0104", "m.nn:3:8", "`dense` needs `out`", "write `dense(out = …)`"],
            model("x -> dense() -> dense(3)"),
        ),
        check(
            "S7",
            3,
            &["E0104", "m.nn:7:15", "`adam` needs `lr`", "lr = 0.01"],
            model("x -> dense(3)").replace("adam(lr = 0.01)", "adam()"),
        ),
        check(
            "S8",
            3,
            &["E0105", "m.nn:3:14", "expected a number", "without quotes"],
            model("x -> dense(\"64\") -> dense(3)"),
        ),
        check(
            "S9",
            3,
            &["E0106", "m.nn:3:14", "`widht` is not defined", "did you mean `width`?"],
            model("x -> dense(widht) -> dense(3)")
                .replace("data d", "const width = 6\ndata d")
                .replace("const width = 6\n", "const width = 6 ; "),
        ),
        check("S10", 3, &["E0107", "m.nn:2:23", "a → b → a", "repeat(n)"], &circle),
        check("S10", 3, &["E0107", "m.nn:2:11", "a → b → a"], &constants),
        check(
            "S4",
            3,
            &["E0101", "m.nn:1:51", "did you mean `standardize`?", "columns(1..2) -> standardize "],
            "data d = csv(\"t.csv\") { x: [2] = columns(1..2) -> standardise }\nmodel m  x: [2] -> [1] { x -> dense(1) }\n",
        ),
        check("S26", 0, &["W0201", "m.nn:1:7", "never used"], &unused),
        run("S26", 3, &["W0201", "m.nn:1:7"], &["check", "m.nn", "--deny", "warnings"], &[("m.nn", unused.as_bytes())]),
    ]
}

/// Each within the bound on the address space that the catalogue sets: 1.4 GB.
fn sizes() -> Vec<Case> {
    let nested = |n: usize, times: u64| {
        model(&format!("x -> {}relu{} -> dense(3)", format!("repeat({times}) {{ ").repeat(n), " }".repeat(n)))
    };
    let laughs = |depth: usize| {
        let line =
            |i: usize| format!("block b{i}  [N] -> [N] {{ {} }}\n", vec![format!("b{}", i + 1); 10].join(" -> "));
        let lines: String = (0..depth).map(line).collect();
        format!("{lines}block b{depth}  [N] -> [N] {{ relu }}\n{}", model("x -> b0 -> dense(3)"))
    };
    let constants: String = (0..5000).map(|i| format!("const a{} = a{i} + 1\n", i + 1)).collect();
    let sum = |n: usize| format!("fn f x {{ x{} }}\n{}", "+x".repeat(n), model("x -> dense(3)"));
    let list = format!("const a = [{}1]\n{}", "1,".repeat(2_000_000), model("x -> dense(3)"));
    let late = format!("fn f x {{ x{} + zz }}\n{}", " + 1234567".repeat(100_000), model("x -> dense(3)"));
    vec![
        check("S12", 0, &["W0201", "never used"], sum(1_000_000)),
        check("S12", 0, &[], model(&format!("x{} -> dense(3)", " + x".repeat(20_000)))),
        check("S12", 0, &["W0201"], list),
        check("S14", 8, &["E0801", "m.nn:3:", "expands to 1000000000 layers, limit 100 000"], nested(1, 1_000_000_000)),
        check("S14", 8, &["E0801", "m.nn:3:", "expands to 1000000 layers", "repetitions multiply"], nested(60, 10)),
        check("S14", 3, &["E0003", "m.nn:3:", "nesting deeper than 200", "make the chain shorter"], nested(240, 1)),
        check("S14", 8, &["E0801", "m.nn:", "limit 100 000"], laughs(12)),
        check(
            "S14",
            3,
            &["E0003", "m.nn:", "nesting deeper than 1500"],
            format!("const a0 = 1\n{constants}{}", model("x -> repeat(a5000) { relu } -> dense(3)")),
        ),
        check("S15", 0, &["W0201", "m.nn:1:4"], sum(2_000_000)),
        check("S15", 0, &[], format!("{}{}", " ".repeat(10_000_000), model("x -> dense(3)"))),
        check("S15", 3, &["m.nn:1:1000014: error[E0106]: `zz` is not defined"], late),
        check("S16", 8, &["E0802", "m.nn", "64 MiB", "data is named in"], vec![b' '; (64 << 20) + 1]),
    ]
}

fn bytes() -> Vec<Case> {
    let good = model("x -> dense(3)");
    let (mark, lines) = (format!("\u{feff}{good}"), ["\r\n", "\r"]);
    let bad = model("x -> dnse(3)");
    let wide: Vec<u8> = [0xFF, 0xFE].into_iter().chain(good.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let mut cases = vec![
        check(
            "S18",
            3,
            &["E0005", "m.nn", "offset 13", "line 2, column 2", "save the file as UTF-8"],
            b"const a = 1\n \xFF",
        ),
        check("S19", 0, &[], mark),
        check("S20", 3, &["E0005", "m.nn", "looks like UTF-16", "save the file as UTF-8"], wide),
        check("S21", 0, &[], good.trim_end()),
        check("S22", 3, &["E0006", "m.nn:1:8", "U+0000"], "const a\u{0} = 1\n"),
        check("S22", 3, &["E0006", "m.nn:1:8", "U+202E"], "const a\u{202e} = 1\n"),
        check("S22", 3, &["E0006", "m.nn:1:8", "U+200B"], "const a\u{200b} = 1\n"),
        check("S22", 0, &["W0006", "m.nn:1:"], format!("// a\u{202e}b\n{good}")),
    ];
    for end in lines {
        cases.push(check("S21", 3, &["E0101", "m.nn:3:8"], bad.replace('\n', end)));
        cases.push(check("S21", 0, &[], good.replace('\n', end)));
    }
    cases
}

fn files() -> Vec<Case> {
    let body = "model m  x: [4] -> logits[3] { x -> dense(3) }\n";
    let using = |path: &str| format!("use \"{path}\"\n{body}");
    let secret: (&str, &[u8]) = ("secret.nn", b"the secret text");
    let inner = |says: &[&'static str], exit, path: &str| {
        run("S28", exit, says, &["check", "inner/m.nn"], &[("inner/m.nn", using(path).as_bytes()), secret])
    };
    let made = |number, exit, says: &[&'static str], args: &[&'static str], prepare: fn(&Path)| Case {
        prepare: Some(prepare),
        ..run(number, exit, says, args, &[("inner/m.nn", using("link.nn").as_bytes()), secret])
    };
    let around =
        [("m.nn", using("a.nn")), ("a.nn", "use \"b.nn\"\n".into()), ("b.nn", "use \"a.nn\"\nuse \"m.nn\"\n".into())];
    let around: Vec<(&str, &[u8])> = around.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    let mut cases = vec![
        run("S27", 6, &["E0601", "absent.nn", "no such file", "looked for in"], &["check", "absent.nn"], &[]),
        run("S27", 8, &["E0802", "/dev/zero", "64 MiB"], &["check", "/dev/zero"], &[]),
        run("S27", 6, &["E0601", "inner", "directory"], &["check", "inner"], &[("inner/m.nn", b"")]),
        inner(&["E0603", "inner/m.nn:1:5", "used here", "--allow-outside"], 6, "../secret.nn"),
        inner(&["E0603", "inner/m.nn:1:5", "used here", "--allow-outside"], 6, "/etc/passwd"),
        inner(&["E0601", "inner/m.nn:1:5", "used here", "there is no file"], 6, "absent.nn"),
        run("S28", 0, &[], &["check", "m.nn"], &around),
        run(
            "S28",
            3,
            &["E0101", "a.nn:1:", "dnse"],
            &["check", "m.nn"],
            &[("m.nn", using("a.nn").as_bytes()), ("a.nn", b"block b  [N] -> [N] { dnse(3) }\n")],
        ),
    ];
    #[cfg(unix)]
    cases.extend([
        made("S27", 6, &["E0601", "loop.nn"], &["check", "loop.nn"], |f| link("loop.nn", &f.join("loop.nn"))),
        made("S27", 6, &["E0601", "pipe.nn", "pipe"], &["check", "pipe.nn"], |f| {
            let made = std::process::Command::new("mkfifo").arg(f.join("pipe.nn")).status();
            assert!(made.is_ok_and(|s| s.success()), "mkfifo makes a pipe");
        }),
        made("S28", 6, &["E0603", "inner/m.nn:1:5", "used here"], &["check", "inner/m.nn"], |f| {
            link("../secret.nn", &f.join("inner/link.nn"));
        }),
    ]);
    cases
}

#[cfg(unix)]
fn link(to: &str, at: &Path) {
    std::os::unix::fs::symlink(to, at).expect("a link can be made");
}
