//! Files: paths, gzip, IDX, safetensors.

use super::common::*;
use nnc::base::{Diagnostic, Extent};
use nnc::check::spec::{FieldSpec, Kind, Literal, Part};
use nnc::runtime::data::{Access, StartFile, Storage, given, open};
use std::io::Write;

fn good() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("m/train-images-idx3-ubyte", idx(&[2, 2, 2], &[0, 51, 102, 153, 204, 255, 0, 1])),
        ("m/train-labels-idx1-ubyte", idx(&[2], &[2, 0])),
        ("m/t10k-images-idx3-ubyte.gz", gzip(&idx(&[1, 2, 2], &[1, 2, 3, 4]))),
        ("m/t10k-labels-idx1-ubyte.gz", gzip(&idx(&[1], &[1]))),
    ]
}

fn folder_with(name: &str, bytes: &[u8]) -> Folder {
    let folder = Folder::new(&[]);
    good().iter().filter(|(n, _)| *n != name).for_each(|(n, b)| folder.write(n, b));
    folder.write(name, bytes);
    folder
}

fn mistakes_with(name: &str, bytes: &[u8]) -> String {
    folder_with(name, bytes).open(&pictures()).expect_err("this file has a mistake")
}

#[test]
fn pictures_are_read_with_the_parts_that_the_files_mark() {
    let mut spec = pictures();
    spec.fields[0].transforms = vec![call("scale", vec![(None, Literal::Range(0.0, 1.0))])];
    let data = folder_with("unused", b"").open(&spec).unwrap();
    let Storage::F32(values) = &data.fields[0].storage else { panic!("numbers") };
    assert_eq!(values[..6], [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
    assert_eq!(data.fields[1].storage, Storage::I32(vec![2, 0, 1]));
    assert_eq!((data.parts.train, data.parts.test), (vec![0, 1], vec![2]));
    assert_eq!(data.fields[0].shape, [2, 2, 1]);
}

#[test]
fn pictures_may_be_declared_flat_or_without_the_axis_of_one() {
    for shape in [vec![4], vec![2, 2], vec![2, 2, 1], vec![1, 2, 2]] {
        let mut spec = pictures();
        spec.fields[0].shape = shape.iter().map(|&n| Extent::Fixed(n)).collect();
        assert_eq!(folder_with("unused", b"").open(&spec).unwrap().fields[0].shape, shape);
    }
    let mut spec = pictures();
    spec.fields[0].shape = vec![Extent::Sym(0), Extent::Sym(1), Extent::Sym(2)];
    assert_eq!(folder_with("unused", b"").open(&spec).unwrap().symbols, [(0, 2), (1, 2), (2, 1)]);
}

#[test]
fn d11_an_idx_file_that_lies_about_its_size_is_refused() {
    let name = "m/train-images-idx3-ubyte";
    let cases: [&[u8]; 7] = [
        b"",
        b"PK\x03\x04",
        &[0, 0, 0x0d, 1, 0, 0, 0, 1, 0, 0, 0, 0],
        &[0, 0, 8, 3, 0, 0],
        &idx(&[2, 2, 2], &[0; 7]),
        &idx(&[2, 2, 2], &[0; 9]),
        &idx(&[u32::MAX, u32::MAX, u32::MAX], &[0; 8]),
    ];
    let all: Vec<String> = cases.iter().map(|bytes| mistakes_with(name, bytes)).collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn d11_every_truncation_is_an_error() {
    let whole = &good()[0].1;
    for length in 0..whole.len() {
        assert!(mistakes_with("m/train-images-idx3-ubyte", &whole[..length]).contains("E0407"));
    }
}

#[test]
fn d12_as_many_labels_as_pictures_are_wanted() {
    insta::assert_snapshot!(mistakes_with("m/train-labels-idx1-ubyte", &idx(&[3], &[0, 1, 2])));
}

#[test]
fn d8_a_label_outside_the_classes_is_reported_with_its_row() {
    insta::assert_snapshot!(mistakes_with("m/train-labels-idx1-ubyte", &idx(&[2], &[0, 9])));
}

#[test]
fn a_label_of_the_second_file_is_reported_with_its_row_there() {
    let said = mistakes_with("m/t10k-labels-idx1-ubyte.gz", &gzip(&idx(&[1], &[3])));
    assert!(said.contains("m/t10k-labels-idx1-ubyte.gz:1: label 3 is no class of `label`"), "{said}");
}

#[test]
fn d13_damaged_gzip_is_refused_and_members_are_joined() {
    let name = "m/t10k-images-idx3-ubyte.gz";
    let whole = gzip(&idx(&[1, 2, 2], &[1, 2, 3, 4]));
    let cut = mistakes_with(name, &whole[..whole.len() - 9]);
    let mut flipped = whole.clone();
    let checksum = flipped.len() - 6;
    flipped[checksum] ^= 1;
    let crc = mistakes_with(name, &flipped);
    let garbage = mistakes_with(name, &[&whole, b"garbage".as_slice()].concat());
    let plain = mistakes_with(name, &idx(&[1, 2, 2], &[1, 2, 3, 4]));
    insta::assert_snapshot!([cut, crc, garbage, plain].join("\n"));
    let raw = idx(&[1, 2, 2], &[1, 2, 3, 4]);
    let members = [gzip(&raw[..9]), gzip(&raw[9..])].concat();
    assert!(folder_with(name, &members).open(&pictures()).is_ok());
}

#[test]
fn d14_a_gzip_bomb_stops_at_the_cap() {
    let folder = Folder::new(&[]);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(b"a,b,y\n").unwrap();
    (0..200).for_each(|_| encoder.write_all(&b"1,2,0\n".repeat(10_000)).unwrap());
    folder.write("t.csv", &encoder.finish().unwrap());
    let access = Access { max_decompressed: 1 << 20, ..folder.access() };
    let csv = render(&open(&table(), &access, None, 0).unwrap_err());
    let huge = folder_with("m/t10k-images-idx3-ubyte.gz", &gzip(&idx(&[u32::MAX, 28, 28], &[0; 9])));
    let header = huge.open(&pictures()).unwrap_err();
    insta::assert_snapshot!([csv, header].join("\n"));
}

#[cfg(unix)]
#[test]
fn d20_a_path_outside_the_folder_is_refused_unseen() {
    let folder = Folder::new(&[("inner/t.csv", b"a,b,y\n1,2,0\n2,3,1\n"), ("secret.csv", b"secret")]);
    let access = Access::beside(&folder.0.path().join("inner/m.nn"));
    std::os::unix::fs::symlink(folder.0.path().join("secret.csv"), folder.0.path().join("inner/link.csv")).unwrap();
    let try_path = |path: &str, access: &Access| {
        let mut spec = table();
        spec.reader.args[0].1 = text(path);
        open(&spec, access, None, 0).map_err(|e| render(&e))
    };
    for path in ["../secret.csv", "../nothing.csv", "a/../../secret.csv", "/etc/passwd", "link.csv"] {
        let error = try_path(path, &access).unwrap_err();
        assert!(error.contains("E0603") && !error.contains("root:"), "{error}");
    }
    assert!(try_path("../inner/t.csv", &Access { allow_outside: true, ..access.clone() }).is_ok());
    let root = Access { root: folder.0.path().to_path_buf(), ..access };
    assert!(try_path("inner/t.csv", &root).is_ok());
}

#[cfg(unix)]
#[test]
fn d22_what_is_no_readable_file_is_refused_with_the_reason() {
    let folder = Folder::new(&[("t.csv/inside", b"")]);
    let directory = folder.open(&table()).unwrap_err();
    let mut spec = table();
    spec.reader.args[0].1 = text("absent.csv");
    let absent = folder.open(&spec).unwrap_err();
    let mut spec = pictures();
    spec.reader.args[0].1 = text("absent");
    let no_folder = folder.open(&spec).unwrap_err();
    spec.reader.args[0].1 = text("t.csv");
    let empty_folder = folder.open(&spec).unwrap_err();
    insta::assert_snapshot!([directory, absent, no_folder, empty_folder].join("\n"));
    for (path, why) in [("/dev/zero", "pipe or a device"), ("\0", "no file name"), (&"x".repeat(5000), "too long")] {
        let mut spec = table();
        spec.reader.args[0].1 = text(path);
        let access = Access { allow_outside: true, ..folder.access() };
        let error = render(&open(&spec, &access, None, 0).unwrap_err());
        assert!(error.contains("E0601") && error.contains(why), "{error}");
    }
}

fn start() -> Vec<u8> {
    use safetensors::tensor::{Dtype, TensorView, serialize};
    let x: Vec<u8> = (0..6).flat_map(|i| (i as f32).to_le_bytes()).collect();
    let y: Vec<u8> = [1i32, 0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let views = [
        ("batch.x", TensorView::new(Dtype::F32, vec![2, 3], &x).unwrap()),
        ("batch.y", TensorView::new(Dtype::I32, vec![2], &y).unwrap()),
    ];
    serialize(views, None).unwrap()
}

fn given_spec(classes: u64) -> nnc::check::spec::DataSpec {
    let mut spec = table();
    spec.name = "batch".into();
    spec.reader = call("given", vec![]);
    let field =
        |name: &str, kind, shape: &[u64]| FieldSpec { source: None, ..field(name, kind, shape, call("", vec![])) };
    spec.fields = vec![field("x", Kind::Real, &[3]), field("y", Kind::Class(Some(Extent::Fixed(classes))), &[])];
    spec.split.train = Part::None;
    spec
}

fn bind(spec: &nnc::check::spec::DataSpec, start: &StartFile) -> Result<nnc::runtime::data::Dataset, String> {
    given::bind(spec, start).map_err(|e: Vec<Diagnostic>| render(&e))
}

#[test]
fn given_data_is_bound_from_a_safetensors_file() {
    let file = given::parse("s.safetensors", &start()).unwrap();
    let data = bind(&given_spec(2), &file).unwrap();
    assert_eq!(data.field("x").unwrap().storage, Storage::F32(vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]));
    assert_eq!(data.field("y").unwrap().storage, Storage::I32(vec![1, 0]));
    let mut wrong = given_spec(1);
    let class = bind(&wrong, &file).unwrap_err();
    wrong.fields[0].shape = vec![Extent::Fixed(4)];
    wrong.fields[1].name = "z".into();
    let shape_and_name = bind(&wrong, &file).unwrap_err();
    let nothing = render(&open(&given_spec(2), &Folder::new(&[]).access(), None, 0).unwrap_err());
    insta::assert_snapshot!([class, shape_and_name, nothing].join("\n"));
}

#[test]
fn every_truncation_of_a_safetensors_file_is_an_error() {
    let whole = start();
    for length in 0..whole.len() {
        let error = given::parse("s", &whole[..length]).unwrap_err();
        assert!(error.code.starts_with("E050"), "{length}: {}", error.code);
    }
    let mut long = whole.clone();
    long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(given::parse("s", &long).unwrap_err().code, "E0501");
}
