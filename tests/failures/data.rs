//! D1 to D15: the data files of a model.

use super::catalogue::{Case, model, run};
use crate::runtime::common::{gzip, idx};

pub fn cases() -> Vec<Case> {
    let mut cases = tables();
    cases.extend(pictures());
    cases.extend(ahead());
    cases
}

/// Fields that no file can fill: refused though there is no file.
fn ahead() -> Vec<Case> {
    let case = |exit, says: &[&'static str], fields: &str| {
        let body = model("x -> dense(2)").replace("x: [6] -> logits[3]", "x: [2] -> logits[2]");
        let text = body.replace("given { x: [6]; y: class(3) }", &format!("csv(\"no.csv\") {fields}"));
        run("D15", exit, says, &["check", "m.nn"], &[("m.nn", text.as_bytes())])
    };
    vec![
        case(0, &[], FIELDS),
        case(0, &[], "{ x: [2] = column(1) -> one_hot; y: class(2) = column(\"y\") }"),
        case(
            4,
            &["E0415", "`x` is declared [2], but its data is [3]"],
            "{ x: [2] = columns(1..3); y: class(2) = column(4) }",
        ),
        case(4, &["E0415", "its data is [1]"], "{ x: [2] = column(1) -> standardize; y: class(2) = column(4) }"),
        case(
            4,
            &["E0405", "there is no column 0", "counted from 1"],
            "{ x: [2] = columns(0..1); y: class(2) = column(4) }",
        ),
        case(4, &["E0415", "`class(2)`"], "{ x: [2] = columns(1..2); y: class[2] = column(4) }"),
        case(
            3,
            &["E0101", "here it is `standardize`"],
            "{ x: [2] = columns(1..2) -> normalize; y: class(2) = column(4) }",
        ),
        case(3, &["E0105", "leave `-> one_hot` out"], "{ x: [2] = columns(1..2); y: class(2) = column(4) -> one_hot }"),
    ]
}

const FIELDS: &str = "{ x: [2] = columns(1..2); y: class(2) = column(\"y\") }";

/// `nnc check --data m.nn`, where `m.nn` reads this table with these fields.
fn read(number: &'static str, exit: i32, says: &[&'static str], fields: &str, file: (&str, &[u8])) -> Case {
    let body = model("x -> dense(2)").replace("x: [6] -> logits[3]", "x: [2] -> logits[2]");
    let text = body.replace("given { x: [6]; y: class(3) }", &format!("csv(\"{}\") {fields}", file.0));
    run(number, exit, says, &["check", "--data", "m.nn"], &[("m.nn", text.as_bytes()), file])
}

fn table(number: &'static str, exit: i32, says: &[&'static str], csv: impl AsRef<[u8]>) -> Case {
    read(number, exit, says, FIELDS, ("t.csv", csv.as_ref()))
}

/// 8 rows, of which 5 % are none.
fn empty_part(exit: i32, says: &[&'static str], expect: &str, command: &'static str) -> Case {
    let fields = FIELDS.replace(" }", "; split(train = 90%, valid = 5%, test = 5%) }");
    let csv = "a,b,y\n".to_string() + &"1,2,0\n2,3,1\n".repeat(4);
    let case = read("D2", exit, says, &fields, ("t.csv", csv.as_bytes()));
    let text = String::from_utf8(case.files[0].1.clone()).expect("a model is text");
    let text = text.replace("  stop", &format!("  {expect}\n  stop"));
    let files = vec![("m.nn".to_string(), text.into_bytes()), case.files[1].clone()];
    let args = if command == "run" { vec!["run", "m.nn"] } else { case.args.clone() };
    Case { files, args, ..case }
}

fn tables() -> Vec<Case> {
    let rows = |last: &str| format!("a,b,y\n1,2,0\n2,3,1\n{last}");
    let scaled = "{ x: [2] = columns(1..2) -> standardize; y: class(2) = column(\"y\") }";
    vec![
        table("D1", 4, &["E0401", "t.csv:4", "columns"], rows("3,4\n")),
        table("D2", 4, &["E0403", "t.csv"], ""),
        table("D2", 4, &["E0403", "t.csv"], "a,b,y\n"),
        table("D2", 4, &["E0403", "t.csv"], "\n\n  \n"),
        table("D3", 4, &["E0404", "t.csv:4", "NA", "missing"], rows("NA,2,0\n")),
        table("D3", 4, &["E0404", "t.csv:4"], rows("\"1,5\",2,0\n")),
        table("D3", 4, &["E0404", "t.csv:4", "finite"], rows("inf,2,0\n")),
        table("D4", 4, &["t.csv:4", "quote"], rows("\"3,4,1\n5,6,0\n")),
        table("D4", 0, &[], "a,b,y\n\"1\",2,\"n\n\"\"o\"\"\"\n3,4,yes\n"),
        table("D5", 0, &[], "\u{feff}a,b,y\r\n1,2,0\r\n2,3,1\r\n"),
        table("D5", 4, &["t.csv", "did you mean `;`?"], "a;b;y\n1;2;no\n"),
        table("D5", 4, &["t.csv", "UTF-16"], [0xff, 0xfe, b'a', 0]),
        table("D6", 8, &["E0805", "t.csv"], vec![b'x'; (1 << 20) + 2]),
        table("D6", 8, &["E0805", "t.csv"], vec![b','; 1_000_000]),
        table("D7", 4, &["E0405", "m.nn:1:", "it has \"a\", \"b\", \"yy\""], "a,b,yy\n1,2,0\n2,3,1\n"),
        table("D7", 4, &["E0405", "t.csv"], "a,y,y\n1,2,0\n"),
        table("D8", 4, &["E0406", "t.csv:4", "2"], rows("1,2,2\n")),
        table("D8", 4, &["E0406", "t.csv:4", "-1"], rows("1,2,-1\n")),
        table("D8", 4, &["E0406", "t.csv:4", "3.7"], rows("1,2,3.7\n")),
        table("D9", 0, &["W0401", "m.nn:1:", "no training row"], "a,b,y\n1,2,0\n2,3,0\n"),
        read("D10", 0, &["W0402", "m.nn:1:"], scaled, ("t.csv", b"a,b,y\n5,1,0\n5,3,1\n")),
        read(
            "D10",
            4,
            &["E0404", "m.nn:1:", "t.csv: \"a\" has no value in the training part", "leave this column out"],
            "{ x: [2] = columns(1..2, missing = mean); y: class(2) = column(\"y\") }",
            ("t.csv", b"a,b,y\n,1,0\n,3,1\n"),
        ),
        empty_part(0, &["W0406", "the `test` part of `d` has no row: 5% of 8 rows", "write `test = 13%`"], "", "check"),
        empty_part(
            4,
            &["W0406", "E0416", "the `test` part has no row", "give it rows, as by `test = 13%`"],
            "expect test.loss < 9",
            "run",
        ),
        read("D13", 4, &["E0409", "t.csv.gz"], FIELDS, ("t.csv.gz", &gzip(rows("").as_bytes())[..20])),
        read("D13", 0, &[], FIELDS, ("t.csv.gz", &[gzip(b"a,b,y\n1,2,0\n"), gzip(b"2,3,1\n")].concat())),
        Case {
            args: vec!["check", "--data", "--max-decompressed", "1000000", "m.nn"],
            ..read(
                "D14",
                8,
                &["E0806", "t.csv.gz", "--max-decompressed"],
                FIELDS,
                ("t.csv.gz", &gzip(&[b'\n'; 10_000_000])),
            )
        },
    ]
}

/// Pictures of 2 · 2 points in the folder `f`.
fn pictures() -> Vec<Case> {
    let text = model("x -> flatten -> dense(3)")
        .replace(
            "given { x: [6]; y: class(3) }",
            "idx(\"f\") { x: [2, 2, 1] = images; y: class(3) = labels; split(train = given) }",
        )
        .replace("x: [6]", "x: [2, 2, 1]");
    let case = |number, exit, says: &[&'static str], images: &[u8], labels: &[u8]| {
        let files: [(&str, &[u8]); 3] =
            [("m.nn", text.as_bytes()), ("f/train-images-idx3-ubyte", images), ("f/train-labels-idx1-ubyte", labels)];
        run(number, exit, says, &["check", "--data", "m.nn"], &files)
    };
    let (images, labels) = (idx(&[3, 2, 2], &[0; 12]), idx(&[3], &[0, 1, 2]));
    vec![
        case("D11", 0, &[], &images, &labels),
        case("D11", 4, &["E0407", "train-images"], &images[..20], &labels),
        case("D11", 4, &["E0407", "train-images"], b"\x01\x02\x03\x04", &labels),
        case("D11", 4, &["E0407", "train-images"], &idx(&[u32::MAX, u32::MAX, u32::MAX], &[]), &labels),
        case("D12", 4, &["E0408", "3", "2"], &images, &idx(&[2], &[0, 1])),
        case("D8", 4, &["E0406", "train-labels"], &images, &idx(&[3], &[0, 1, 9])),
    ]
}
