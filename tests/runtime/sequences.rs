//! Sequences: texts, words, windows, rows of different lengths.
//!
//! In: files and a `data` item as text. Out: what was read, or the mistakes. Invariant: nothing panics, whatever the file.

use super::common::*;
use nnc::runtime::limits;

const WINDOWS: &str = "data d = text(\"t.txt\") {
  T = 3
  tokens: token(V)[T] = chars -> window(T)
  next: token(V)[T] = chars -> window(T, offset = 1)
  split(train = 50%, valid = 50%)
}
";

/// Several readings in one text, each under its number.
fn readings(all: &[String]) -> String {
    all.iter().enumerate().map(|(i, text)| format!("{}. {text}", i + 1)).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_text_becomes_windows_of_characters() {
    let plain = reading(&[("t.txt", b"abcabcabdabcabcabc\n")], WINDOWS);
    insta::assert_snapshot!(plain);
    assert_eq!(reading(&[("t.txt", &gzip(b"abcabcabdabcabcabc\n"))], WINDOWS), plain);
    assert_eq!(reading(&[("t.txt", b"\xef\xbb\xbfabcabcabdabcabcabc\r\n")], WINDOWS), plain);
}

#[test]
fn no_window_reaches_from_one_part_into_another() {
    let text: Vec<u8> = (0..200).map(|i| b'a' + (i % 26) as u8).collect();
    let folder = Folder::new(&[("t.txt", &text)]);
    for (size, stride, offset) in [(3, 1, 1), (7, 2, 1), (5, 5, 0), (4, 9, 3), (1, 1, 20), (30, 1, 0)] {
        let item = format!(
            "data d = text(\"t.txt\") {{ a: token(V)[{size}] = chars -> window({size}, stride = {stride})\n\
             b: token(V)[1] = chars -> window(1, offset = {offset})\n split(train = 60%, valid = 25%, test = 15%) }}\n"
        );
        let reach = size.max(offset + 1);
        let rows = |steps: usize| if steps < reach { 0 } else { (steps - reach) / stride + 1 };
        let report = reading_in(&folder, &item);
        let expected = format!(
            "{} rows ({} train, {} valid, {} test)",
            rows(120) + rows(50) + rows(30),
            rows(120),
            rows(50),
            rows(30)
        );
        assert!(report.contains(&expected), "{expected}\n{report}");
    }
}

#[test]
fn words_have_a_vocabulary_of_the_training_part() {
    let words = |call: &str, text: &str| {
        let item = format!(
            "data d = text(\"t.txt\") {{ w: token(V)[2] = {call} -> window(2); split(train = 50%, valid = 50%) }}\n"
        );
        reading(&[("t.txt", text.as_bytes()), ("list.txt", b"<unk>\nthe\ncat\n")], &item)
    };
    let text = "The cat, the dog: don't the Cat's été 1 Zebra zoo\n";
    insta::assert_snapshot!(readings(&[
        words("words", text),
        words("words(lower = false)", text),
        words("words(min_count = 2)", text),
        words("words(max = 3)", text),
        words("words(vocabulary = \"list.txt\")", text),
        words("words(vocabulary = [\"cat\", \"the\", \"<unk>\"])", text),
        words("chars(max = 3)", "aabb c\n"),
    ]));
}

#[test]
fn a_column_of_texts_becomes_rows_with_lengths() {
    let csv = b"review,score\n\"good, good\",great\nbad,other\n,other\ngood bad ugly film,great\n";
    let item = |ty: &str, steps: &str| {
        format!(
            "data d = csv(\"t.csv\") {{ text: {ty} = column(\"review\", missing = drop){steps}\n y: class(2) = column(\"score\") }}\n"
        )
    };
    let read = |ty: &str, steps: &str| reading(&[("t.csv", csv)], &item(ty, steps));
    insta::assert_snapshot!(readings(&[
        read("token(V)[3]", " -> words -> pad(3)"),
        read("token(V)[T]", " -> words -> pad"),
        read("token(V)[3]", " -> words -> pad(3, keep = last)"),
        read("token(V)[4]", " -> words -> pad(4, start = true, end = true)"),
        read("token(V)[2]", " -> words -> pad(2, start = true, end = true)"),
        read("token(V)[6]", " -> chars -> pad(6)"),
        read("token(V)", ""),
    ]));
}

#[test]
fn pairs_share_a_vocabulary_where_they_share_its_name() {
    let item = "data d = csv(\"t.tsv\", delimiter = \"\\t\") {
  source: token(S)[T] = column(\"en\") -> words -> pad
  input: token(V)[4] = column(\"es\") -> words -> pad(4, start = true)
  target: token(V)[4] = column(\"es\") -> words -> pad(4, end = true)
}
";
    insta::assert_snapshot!(reading(
        &[("t.tsv", b"en\tes\nthe cat\tel gato\nthe dog sleeps\tel perro duerme\n")],
        item
    ));
}

#[test]
fn lines_become_rows_of_characters() {
    let item = "data d = lines(\"n.txt.gz\") { name: token(V)[T] = line -> chars -> pad(end = true) }\n";
    insta::assert_snapshot!(reading(&[("n.txt.gz", &gzip(b"Ann\n\n Bo \nAnna\n"))], item));
}

#[test]
fn a_series_becomes_windows_of_numbers() {
    let item = |missing: &str, steps: &str| {
        format!(
            "data d = csv(\"t.csv\", missing = {missing}) {{ past: [3] = column(\"v\") -> {steps}window(3, stride = 1)\n\
             next: [2] = column(\"v\") -> {steps}window(2, offset = 3)\n split(train = 75%, test = 25%) }}\n"
        )
    };
    let whole: String = (0..24).map(|i| format!("{i},{}\n", 10 * i)).collect();
    let gap = whole.replace("\n5,50", "\n5,");
    let read =
        |csv: &str, missing, steps| reading(&[("t.csv", format!("t,v\n{csv}").as_bytes())], &item(missing, steps));
    insta::assert_snapshot!(readings(&[
        read(&whole, "error", ""),
        read(&whole, "error", "standardize -> "),
        read(&gap, "error", ""),
        read(&gap, "drop", ""),
        read(&gap, "mean", ""),
    ]));
}

#[test]
fn a_class_may_stand_at_the_end_of_a_window() {
    let item = "data d = csv(\"t.csv\") { x: [2] = column(\"v\") -> window(2, stride = 1)
  y: class(2) = column(\"w\") -> window(1, offset = 1) }
";
    insta::assert_snapshot!(reading(&[("t.csv", b"v,w\n1,sun\n2,rain\n3,sun\n4,sun\n")], item));
}

#[test]
fn d19_a_text_that_is_none_is_refused_with_its_place() {
    let read = |text: &[u8]| reading(&[("t.txt", text)], WINDOWS);
    let fixed = WINDOWS.replace("chars", "chars(vocabulary = [\"a\", \"b\"])");
    let words = WINDOWS.replace("chars", "words");
    let long = [b"a b c d e ".as_slice(), &vec![b'x'; limits::TOKEN_BYTES + 1]].concat();
    insta::assert_snapshot!(readings(&[
        read(b"abcdef\nab\xe9cdef\n"),
        reading(&[("t.txt", b"abcdef\xffabcdef")], &WINDOWS.replace("\"t.txt\"", "\"t.txt\", lossy = true")),
        read(&[0xff, 0xfe, b'a', 0]),
        read(b""),
        read(b"abc"),
        reading(&[("t.txt", b"abab\nabcab")], &fixed),
        reading(&[("t.txt", &long)], &words),
        reading(&[("t.txt", b" \n ")], &words),
    ]));
    assert!(!reading(&[("t.txt", &long[..long.len() - 1])], &words).contains("E0805"));
}

#[test]
fn a_file_that_is_read_whole_ends_at_its_cap() {
    let folder = Folder::new(&[("plain.txt", b"12345678"), ("packed.txt.gz", &gzip(b"12345678"))]);
    for name in ["plain.txt", "packed.txt.gz"] {
        for cap in [7, 8, 9] {
            let read = nnc::runtime::data::file::open(&folder.access(), name, span()).unwrap().all(cap);
            match cap {
                7 => assert_eq!(read.unwrap_err().code, "E0805"),
                _ => assert_eq!(read.unwrap(), b"12345678"),
            }
        }
    }
}

#[test]
fn what_does_not_fit_a_sequence_is_said() {
    let read = |fields: &str| {
        let text = b"abcabcabcabc";
        reading(
            &[("t.txt", text), ("t.csv", b"a,b\nx y,1\nz,2\n"), ("n.txt", b"x\ny\n")],
            &format!("data d = {fields}\n"),
        )
    };
    insta::assert_snapshot!(readings(&[
        read("text(\"t.txt\") { x: token(V)[3] = chars }"),
        read("text(\"t.txt\") { x: [3] = chars -> window(3) }"),
        read("text(\"t.txt\") { x: token(V)[4] = chars -> window(3) }"),
        read("text(\"t.txt\") { x: token(2)[3] = chars -> window(3) }"),
        read(
            "text(\"t.txt\") { x: token(V)[3] = chars -> window(3, stride = 1); y: token(V)[3] = chars -> window(3, stride = 2) }"
        ),
        read("text(\"t.txt\") { x: token(V)[3] = chars -> window(3); y: token(V)[3] = words -> window(3) }"),
        read(
            "text(\"t.txt\") { x: token(V)[3] = chars -> window(3); y: token(V)[3] = chars(lower = true) -> window(3) }"
        ),
        read("text(\"t.txt\") { x: token(V)[20] = chars -> window(20) }"),
        read("text(\"t.txt\") { x: token(V)[3] = chars -> window(0) }"),
        read("text(\"t.txt\") { x: token(V)[3] = chars -> window(3) -> standardize }"),
        read("csv(\"t.csv\") { x: token(V)[3] = column(\"a\") -> words }"),
        read("csv(\"t.csv\") { x: [3] = column(\"a\") -> words -> pad(3) }"),
        read("csv(\"t.csv\") { x: [3] = column(\"b\") -> pad(3) }"),
        read("csv(\"t.csv\") { x: [1] = column(\"b\") -> window(1); y: class(2) = column(\"a\") }"),
        read(
            "csv(\"t.csv\") { x: [1] = column(\"b\") -> window(1); y: class(2) = column(\"a\") -> window(1); split(train = 50%, test = 50%, stratify = y) }"
        ),
        read("lines(\"n.txt\") { x: token(V)[3] = words -> pad(3) }"),
    ]));
}

#[test]
fn an_empty_text_is_a_row_without_a_token() {
    let item = |missing: &str, splitter: &str| {
        format!(
            "data d = csv(\"t.csv\"{missing}) {{ w: token(V)[2] = column(\"w\"){splitter}; y: class(2) = column(\"y\") }}\n"
        )
    };
    let file: [(&str, &[u8]); 1] = [("t.csv", b"w,y\nthe cat,0\n,1\na dog,0\n")];
    for splitter in [" -> words -> pad(2)", " -> chars -> pad(2)"] {
        let read = reading(&file, &item("", splitter));
        assert!(read.contains("3 rows") && !read.contains("error"), "{read}");
        let read = reading(&file, &item(", missing = drop", splitter));
        assert!(read.contains("2 rows") && !read.contains("error"), "{read}");
    }
    // A text that is one token has none here, and no mean.
    let whole = reading(&file, &item("", "").replace("[2]", ""));
    assert!(whole.contains("E0404") && whole.contains("drop") && !whole.contains("mean"), "{whole}");
}
