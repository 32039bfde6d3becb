//! Data sets: what is read from good files, and what bad files get.

use super::common::*;
use nnc::base::Extent;
use nnc::check::spec::{Kind, Literal, Part, SplitSpec};
use nnc::runtime::data::{Fitted, Storage, open};

fn numbers(storage: &Storage) -> &[f32] {
    match storage {
        Storage::F32(values) => values,
        Storage::I32(_) => panic!("these are classes"),
    }
}

fn classes(storage: &Storage) -> &[i32] {
    match storage {
        Storage::I32(values) => values,
        Storage::F32(_) => panic!("these are numbers"),
    }
}

const GOOD: &str = "a,b,y\n1,2,no\n3,4,yes\n5,6,no\n7,8,yes\n";

#[test]
fn a_table_becomes_columns() {
    let data = read(GOOD);
    assert_eq!(numbers(&data.fields[0].storage), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    assert_eq!(classes(&data.fields[1].storage), [0, 1, 0, 1]);
    assert_eq!(data.fields[1].classes, ["no", "yes"]);
    assert_eq!(data.parts.train, [0, 1, 2, 3]);
}

#[test]
fn byte_order_mark_line_ends_and_blank_lines_change_nothing() {
    let plain = read(GOOD);
    let mark = ["\u{feff}", GOOD].concat();
    for same in [GOOD.replace('\n', "\r\n"), GOOD.replace('\n', "\r"), mark, GOOD.replace('\n', "\n\n")] {
        assert_eq!(read(&same), plain);
    }
    assert_eq!(read(GOOD.trim_end()), plain);
}

#[test]
fn quotes_hold_delimiters_line_ends_and_quotes() {
    let data = read("a,b,y\n\"1\",2,\"n,\n\"\"o\"\"\"\n3,4,yes\n");
    assert_eq!(data.fields[1].classes, ["n,\n\"o\"", "yes"]);
}

#[test]
fn a_table_without_names_is_read_by_number() {
    let mut spec = table();
    spec.reader = call("csv", vec![(None, text("t.csv")), (Some("header"), word("false"))]);
    spec.fields[1].source = Some(call("column", vec![(None, Literal::Number(3.0))]));
    let folder = Folder::new(&[("t.csv", b"1;2;0\n3;4;1\n")]);
    spec.reader.args.push((Some("delimiter".into()), text(";")));
    let data = folder.open(&spec).unwrap();
    assert_eq!(numbers(&data.fields[0].storage), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(classes(&data.fields[1].storage), [0, 1]);
}

#[test]
fn d1_a_ragged_line_is_named() {
    insta::assert_snapshot!(mistakes("a,b,y\n1,2,no\n3,4\n5,6,7,8\n"));
}

#[test]
fn d2_a_table_without_rows_is_refused() {
    insta::assert_snapshot!([mistakes(""), mistakes("a,b,y\n"), mistakes("\n\n  \n")].join("\n"));
}

#[test]
fn d3_what_is_no_number_is_named_with_its_line() {
    let csv = "a,b,y\nx,2,no\n\"1,5\",2,no\n3,NA,no\n,2,no\ninf,2,no\n";
    insta::assert_snapshot!(mistakes(csv));
    assert!(mistakes("a,b,y\n1e400,2,no\n").contains("finite"));
    assert!(mistakes("a,b,y\nnan,2,no\n").contains("missing"));
}

#[test]
fn d3_missing_values_are_dropped_or_take_the_mean_of_the_training_part() {
    let mut spec = table();
    let csv = "a,b,y\n1,10,no\n,20,yes\n3,30,no\n8,NA,yes\n";
    let folder = Folder::new(&[("t.csv", csv.as_bytes())]);
    spec.reader.args.push((Some("missing".into()), word("drop")));
    let data = folder.open(&spec).unwrap();
    assert_eq!(numbers(&data.fields[0].storage), [1.0, 10.0, 3.0, 30.0]);
    spec.reader.args.pop();
    spec.fields[0].source.as_mut().unwrap().args.push((Some("missing".into()), word("mean")));
    let data = folder.open(&spec).unwrap();
    assert_eq!(numbers(&data.fields[0].storage), [1.0, 10.0, 4.0, 20.0, 3.0, 30.0, 8.0, 20.0]);
    assert_eq!(data.fields[0].fitted, [Fitted::Mean(vec![4.0, 20.0])]);
}

#[test]
fn d4_an_open_quote_is_reported_where_it_opens() {
    let open = mistakes("a,b,y\n1,2,no\n3,\"4,yes\n5,6,no\n");
    let after = mistakes("a,b,y\n1,\"2\"3,no\n");
    insta::assert_snapshot!([open, after].join("\n"));
}

#[test]
fn d5_another_delimiter_or_encoding_is_recognised() {
    let semicolons = mistakes("a;b;y\n1;2;no\n");
    let utf16 = mistakes([0xff, 0xfe, b'a', 0, b'\n', 0]);
    let latin1 = mistakes([b"a,b,y\n1,2,caf".as_slice(), &[0xe9], b"\n"].concat());
    insta::assert_snapshot!([semicolons, utf16, latin1].join("\n"));
}

#[test]
fn d6_a_field_or_a_row_without_end_is_refused() {
    let long = mistakes(vec![b'x'; (1 << 20) + 2]);
    let wide = mistakes(vec![b','; 200_000]);
    insta::assert_snapshot!([long, wide].join("\n"));
}

#[test]
fn d7_names_that_are_missing_or_twice_there_are_reported() {
    let mut spec = table();
    spec.fields[1].source = Some(call("column", vec![(None, text("speces"))]));
    let misspelt = Folder::new(&[("t.csv", b"a,b,species\n1,2,no\n")]).open(&spec).unwrap_err();
    let twice = mistakes("a,y,y\n1,2,no\n");
    spec.fields[1].source = Some(call("column", vec![(None, Literal::Number(9.0))]));
    let number = Folder::new(&[("t.csv", b"a,b,y\n1,2,no\n")]).open(&spec).unwrap_err();
    insta::assert_snapshot!([misspelt, twice, number].join("\n"));
}

#[test]
fn d8_labels_out_of_range_are_reported_with_their_line() {
    let row = |label: &str| mistakes(format!("a,b,y\n1,2,0\n1,2,1\n1,2,{label}\n"));
    insta::assert_snapshot!([row("2"), row("-1"), row("3.7"), row("yes")].join("\n"));
}

#[test]
fn numeric_labels_stand_for_themselves_or_are_ranked() {
    let label = |labels: &[&str]| {
        let rows: String = labels.iter().map(|l| format!("1,2,{l}\n")).collect();
        let data = read(format!("a,b,y\n{rows}"));
        (classes(&data.fields[1].storage).to_vec(), data.fields[1].classes.clone())
    };
    assert_eq!(label(&["4", "2", "4"]), (vec![1, 0, 1], vec!["2".to_string(), "4".to_string()]));
    assert_eq!(label(&["1", "1"]), (vec![1, 1], vec!["0".to_string(), "1".to_string()]));
    assert_eq!(label(&["1", "0"]), (vec![1, 0], vec!["0".to_string(), "1".to_string()]));
}

#[test]
fn the_classes_are_counted_where_their_number_is_left_out() {
    let mut spec = table();
    spec.fields[1].kind = Kind::Class(None);
    let folder = Folder::new(&[("t.csv", b"a,b,y\n1,2,c\n1,2,a\n1,2,b\n")]);
    let data = folder.open(&spec).unwrap();
    assert_eq!(data.fields[1].classes, ["a", "b", "c"]);
    assert_eq!(classes(&data.fields[1].storage), [2, 0, 1]);
}

fn fifty_fifty() -> SplitSpec {
    SplitSpec { train: Part::Share(0.5), test: Part::Share(0.5), span: span(), ..SplitSpec::default() }
}

#[test]
fn d9_a_class_without_a_training_row_is_a_warning() {
    let mut spec = table();
    spec.fields[1].kind = Kind::Class(Some(Extent::Fixed(3)));
    let data = Folder::new(&[("t.csv", b"a,b,y\n1,2,0\n2,3,1\n")]).open(&spec).unwrap();
    insta::assert_snapshot!(render(&data.warnings));
}

#[test]
fn d10_a_constant_column_is_a_warning_and_stays_finite() {
    let mut spec = table();
    spec.fields[0].transforms = vec![call("standardize", vec![])];
    let folder = Folder::new(&[("t.csv", b"a,b,y\n5,1,0\n5,3,1\n")]);
    let data = folder.open(&spec).unwrap();
    assert_eq!(numbers(&data.fields[0].storage), [0.0, -1.0, 0.0, 1.0]);
    insta::assert_snapshot!(render(&data.warnings));
    spec.fields[0].transforms = vec![call("scale", vec![(None, Literal::Range(0.0, 1.0))])];
    let data = folder.open(&spec).unwrap();
    assert_eq!(numbers(&data.fields[0].storage), [0.0, 0.0, 0.0, 1.0]);
    assert_eq!(data.warnings.len(), 1);
}

#[test]
fn statistics_come_from_the_training_part_only() {
    let mut spec = table();
    spec.split = fifty_fifty();
    spec.fields[0].transforms = vec![call("standardize", vec![])];
    let rows: String = (0..40).map(|i| format!("{},{},{}\n", i * i, 100 - i, i % 2)).collect();
    let data = Folder::new(&[("t.csv", format!("a,b,y\n{rows}").as_bytes())]).open(&spec).unwrap();
    let values = numbers(&data.fields[0].storage);
    let sum = |rows: &[i32]| rows.iter().map(|&r| f64::from(values[2 * r as usize])).sum::<f64>();
    assert!(sum(&data.parts.train).abs() < 1e-4);
    assert!(sum(&data.parts.test).abs() > 1e-2);
}

#[test]
fn a_stratified_split_keeps_the_proportions_and_follows_the_seed() {
    let mut spec = table();
    spec.split =
        SplitSpec { stratify: Some("y".into()), train: Part::Share(0.8), test: Part::Share(0.2), ..fifty_fifty() };
    let rows: String = (0..100).map(|i| format!("{i},0,{}\n", if i < 70 { "a" } else { "b" })).collect();
    let folder = Folder::new(&[("t.csv", format!("a,b,y\n{rows}").as_bytes())]);
    let of = |seed| open(&spec, &folder.access(), None, seed).unwrap().parts;
    let parts = of(0);
    assert_eq!((parts.train.len(), parts.test.len()), (80, 20));
    assert_eq!(parts.test.iter().filter(|&&r| r < 70).count(), 14);
    let mut all = [parts.train.clone(), parts.test.clone()].concat();
    all.sort_unstable();
    assert_eq!(all, (0..100).collect::<Vec<_>>());
    assert_eq!(of(0), parts);
    assert_ne!(of(1), parts);
}

#[test]
fn shares_past_the_whole_and_parts_that_no_file_marks_are_refused() {
    let mut spec = table();
    let folder = Folder::new(&[("t.csv", GOOD.as_bytes())]);
    spec.split = SplitSpec { train: Part::Share(0.9), test: Part::Share(0.3), ..fifty_fifty() };
    let sum = folder.open(&spec).unwrap_err();
    spec.split = SplitSpec { train: Part::Given, test: Part::Given, ..fifty_fifty() };
    let given = folder.open(&spec).unwrap_err();
    spec.split = SplitSpec { train: Part::Share(0.05), test: Part::Share(0.5), ..fifty_fifty() };
    let empty = folder.open(&spec).unwrap_err();
    insta::assert_snapshot!([sum, given, empty].join("\n"));
}

#[test]
fn labels_become_numbers_or_columns() {
    let mut spec = table();
    spec.fields[0].shape = vec![Extent::Fixed(1)];
    spec.fields[0].source = Some(call("column", vec![(None, text("b"))]));
    spec.fields[0].transforms = vec![call("category", vec![])];
    let folder = Folder::new(&[("t.csv", b"a,b,y\n1,red,0\n1,blue,1\n1,red,1\n")]);
    assert_eq!(numbers(&folder.open(&spec).unwrap().fields[0].storage), [1.0, 0.0, 1.0]);
    for transforms in [vec!["one_hot"], vec!["category", "one_hot"]] {
        spec.fields[0].shape = vec![Extent::Fixed(2)];
        spec.fields[0].transforms = transforms.into_iter().map(|t| call(t, vec![])).collect();
        let data = folder.open(&spec).unwrap();
        assert_eq!(numbers(&data.fields[0].storage), [0.0, 1.0, 1.0, 0.0, 0.0, 1.0]);
        assert_eq!(data.fields[0].fitted, [Fitted::OneHot(vec![vec!["blue".into(), "red".into()]])]);
    }
}

#[test]
fn a_shape_that_the_data_does_not_have_is_refused_and_symbols_are_bound() {
    let mut spec = table();
    let folder = Folder::new(&[("t.csv", GOOD.as_bytes())]);
    spec.fields[0].shape = vec![Extent::Sym(3)];
    assert_eq!(folder.open(&spec).unwrap().symbols, [(3, 2)]);
    spec.fields[0].shape = vec![Extent::Fixed(4)];
    insta::assert_snapshot!(folder.open(&spec).unwrap_err());
}

#[test]
fn a_misspelt_word_or_argument_is_named() {
    let mut spec = table();
    let folder = Folder::new(&[("t.csv", GOOD.as_bytes())]);
    spec.fields[0].transforms = vec![call("standardise", vec![])];
    let transform = folder.open(&spec).unwrap_err();
    spec.reader = call("csv", vec![(None, text("t.csv")), (Some("delimeter"), text(";"))]);
    let parameter = folder.open(&spec).unwrap_err();
    spec.reader = call("csv", vec![]);
    let nothing = folder.open(&spec).unwrap_err();
    spec.reader = call("csv", vec![(None, Literal::Number(3.0))]);
    let kind = folder.open(&spec).unwrap_err();
    insta::assert_snapshot!([transform, parameter, nothing, kind].join("\n"));
}

#[test]
fn numbers_are_centred_before_they_are_rounded() {
    let mut spec = table();
    let rows: String = (0..100).map(|i| format!("{},100000.{i:03},{}\n", 1_700_000_000 + i, i % 2)).collect();
    let folder = Folder::new(&[("t.csv", format!("a,b,y\n{rows}").as_bytes())]);
    spec.fields[0].transforms = vec![call("standardize", vec![])];
    let data = folder.open(&spec).unwrap();
    assert!(data.warnings.is_empty(), "{}", render(&data.warnings));
    let deviation = ((100.0 * 100.0 - 1.0) / 12.0f64).sqrt();
    for (i, &value) in numbers(&data.fields[0].storage).iter().enumerate() {
        let expected = ((i / 2) as f64 - 49.5) / deviation;
        assert!((f64::from(value) - expected).abs() < 1e-6, "{i}: {value} is not {expected}");
    }
    spec.fields[0].transforms = vec![call("scale", vec![(None, Literal::Range(0.0, 99.0))])];
    let data = folder.open(&spec).unwrap();
    for (i, &value) in numbers(&data.fields[0].storage).iter().enumerate() {
        assert!((value - (i / 2) as f32).abs() < 1e-4, "{i}: {value}");
    }
}
