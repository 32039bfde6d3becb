//! The caps on what a file may ask for: one below, at, and one above.
//!
//! In: files of the size of a cap. Out: which of them are read. Invariant: a cap is a constant of `limits`, and its own value is
//! still read.

use super::common::*;
use nnc::runtime::data::zip;
use nnc::runtime::limits;

/// Reads at cap − 1, cap and cap + 1: the first two are read, the third names `code`.
fn ends(cap: usize, code: &str, read: impl Fn(usize) -> String) {
    for size in [cap - 1, cap] {
        let text = read(size);
        assert!(!text.contains("error["), "{size} of {cap}: {}", &text[..text.len().min(400)]);
    }
    let text = read(cap + 1);
    assert!(text.contains(&format!("error[{code}]")), "{}: {}", cap + 1, &text[..text.len().min(400)]);
}

#[test]
fn a_field_of_a_table_ends_at_its_cap() {
    let item = "data d = csv(\"t.csv\") { y: class(1) = column(\"y\") }\n";
    ends(limits::FIELD_BYTES, "E0805", |n| reading(&[("t.csv", format!("y\n{}\n", "a".repeat(n)).as_bytes())], item));
}

#[test]
fn the_columns_of_a_table_end_at_their_cap() {
    let item = "data d = csv(\"t.csv\", header = false) { x: [1] = column(1) }\n";
    let row = |n: usize| vec!["1"; n].join(",");
    ends(limits::COLUMNS, "E0805", |n| reading(&[("t.csv", row(n).as_bytes())], item));
}

#[test]
fn the_labels_of_a_column_end_at_their_cap() {
    let item = "data d = csv(\"t.csv\") { x: [1] = column(\"y\") -> category }\n";
    let rows = |n: usize| (0..n).fold("y\n".to_string(), |text, i| text + "l" + &i.to_string() + "\n");
    ends(limits::LABELS, "E0805", |n| reading(&[("t.csv", rows(n).as_bytes())], item));
}

#[test]
fn a_token_and_a_vocabulary_end_at_their_caps() {
    let item = "data d = text(\"t.txt\") { x: token(V)[1] = words -> window(1) }\n";
    ends(limits::TOKEN_BYTES, "E0805", |n| reading(&[("t.txt", "a".repeat(n).as_bytes())], item));
    // One of the tokens is that for the unknown.
    let words = |n: usize| (0..n - 1).fold(String::new(), |text, i| text + &i.to_string() + " ");
    ends(limits::TOKENS, "E0805", |n| reading(&[("t.txt", words(n).as_bytes())], item));
}

#[test]
fn the_axes_of_an_idx_file_end_at_their_cap() {
    let item = "data d = idx(\"m\") { x: [1] = images }\n";
    let file = |axes: usize| idx(&vec![1; axes], &[7]);
    ends(limits::IDX_AXES, "E0407", |n| reading(&[("m/train-images-idx3-ubyte", &file(n))], item));
}

#[test]
fn the_members_of_an_archive_end_at_their_cap() {
    let record = |n: u64| {
        let mut zip64 = [b"PK\x06\x06".as_slice(), &[0; 28], &n.to_le_bytes(), &[0; 8], &0u64.to_le_bytes()].concat();
        zip64.extend([b"PK\x06\x07".as_slice(), &[0; 4], &0u64.to_le_bytes(), &[0; 4]].concat());
        zip64.extend([b"PK\x05\x06".as_slice(), &[0; 4], &[0xff; 4], &[0; 4], &[0xff; 4], &[0; 2]].concat());
        zip::entries(&zip64, 1 << 20, &|_| true).unwrap_err()
    };
    let capped = |n| matches!(record(n), zip::Error::Wrong(text) if text.contains("the cap is"));
    let most = limits::ZIP_MEMBERS;
    assert_eq!([most - 1, most, most + 1].map(capped), [false, false, true]);
}
