//! Arrays and series: NPY, NPZ, `.ts`.
//!
//! In: files, good and damaged. Out: what was read, or the mistakes. Invariant: nothing panics, whatever the file.

use super::common::*;
use nnc::runtime::data::npy;
use nnc::runtime::data::zip::{self, Error};
use nnc::runtime::limits;

/// An NPY file with this header and these bytes.
pub fn raw_npy(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
    let mut out = b"\x93NUMPY".to_vec();
    out.extend([version, 0]);
    match version {
        1 => out.extend((header.len() as u16).to_le_bytes()),
        _ => out.extend((header.len() as u32).to_le_bytes()),
    }
    out.extend(header.as_bytes());
    out.extend(data);
    out
}

pub fn npy_of(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let fortran = if fortran { "True" } else { "False" };
    raw_npy(1, &format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': ({shape}), }}\n"), data)
}

pub fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// A zip archive of members: name, method, flags, content.
pub fn archive(members: &[(&str, u16, u16, &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, method, flags, content) in members {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let packed = match method {
            8 => {
                use std::io::Write;
                let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(content).unwrap();
                encoder.finish().unwrap()
            }
            _ => content.to_vec(),
        };
        let mut common = Vec::new();
        common.extend([20, 0]);
        [*flags, *method, 0, 0].iter().for_each(|n| common.extend(n.to_le_bytes()));
        common.extend(crc.sum().to_le_bytes());
        [packed.len(), content.len()].iter().for_each(|n| common.extend((*n as u32).to_le_bytes()));
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend((out.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(packed);
    }
    let start = out.len() as u32;
    out.extend(&directory);
    out.extend(b"PK\x05\x06\x00\x00\x00\x00");
    [members.len(), members.len()].iter().for_each(|n| out.extend((*n as u16).to_le_bytes()));
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

const NPY: &str = "data d = npy { x: [2] = array(\"x.npy\"); y: class(3) = array(\"y.npy\") }\n";
const NPZ: &str = "data d = npz(\"a.npz\") { x: [2] = array(\"x\"); y: class(3) = array(\"y\") }\n";

fn labels() -> Vec<u8> {
    npy_of("|u1", false, "3,", &[2, 0, 1])
}

fn with(x: &[u8]) -> String {
    reading(&[("x.npy", x), ("y.npy", &labels())], NPY)
}

#[test]
fn d15_arrays_of_every_version_order_and_type_are_the_same() {
    let plain = with(&npy_of("<f4", false, "3, 2", &floats(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0])));
    insta::assert_snapshot!(plain);
    let wide: Vec<u8> = (0..6).flat_map(|i| f64::from(i).to_be_bytes()).collect();
    let short: Vec<u8> = (0..6i16).flat_map(|i| i.to_be_bytes()).collect();
    let long: Vec<u8> = (0..6i64).flat_map(|i| i.to_le_bytes()).collect();
    let half: Vec<u8> = [0u16, 0x3c00, 0x4000, 0x4200, 0x4400, 0x4500].iter().flat_map(|b| b.to_le_bytes()).collect();
    let turned = floats(&[0.0, 2.0, 4.0, 1.0, 3.0, 5.0]);
    let header = "{'shape': (3, 2), 'fortran_order': False, 'descr': '|i1'}";
    for same in [
        npy_of(">f8", false, "3, 2", &wide),
        npy_of(">i2", false, "3, 2", &short),
        npy_of("<i8", false, "3, 2", &long),
        npy_of("<f2", false, "3, 2", &half),
        npy_of("<f4", true, "3, 2", &turned),
        raw_npy(2, header, &[0, 1, 2, 3, 4, 5]),
        raw_npy(3, header, &[0, 1, 2, 3, 4, 5]),
    ] {
        assert_eq!(with(&same), plain);
    }
    let numbers = |descr: &str, data: &[u8]| npy::parse(&npy_of(descr, false, "1,", data)).unwrap().values[0];
    assert_eq!(numbers("<i4", &(-7i32).to_le_bytes()), -7.0);
    assert_eq!(numbers("<f2", &[1, 0x80]), -(2f64.powi(-24)));
    assert_eq!(numbers("|b1", &[1]), 1.0);
}

#[test]
fn d15_an_array_file_that_lies_is_refused() {
    let eight = [0; 8];
    let cases = [
        b"PK\x03\x04".to_vec(),
        b"\x93NUMPY\x01".to_vec(),
        raw_npy(4, "{}", &[]),
        raw_npy(2, "{}", &[])[..9].to_vec(),
        [b"\x93NUMPY\x02\x00\xff\xff\xff\xff".as_slice(), &eight].concat(),
        raw_npy(1, "{'descr': '<f4'}", &eight),
        npy_of("|O", false, "2,", &eight),
        npy_of("<c8", false, "1,", &eight),
        npy_of("<U2", false, "1,", &eight),
        npy_of("<f4", false, "3,", &eight),
        npy_of("<f4", false, "4294967296, 4294967296, 4294967296", &eight),
        npy_of("<f4", false, "0, 18446744073709551615", &[]),
        npy_of("<f4", false, "-1,", &eight),
        npy_of("<f4", false, "1,1,1,1,1,1,1,1,2", &eight),
        raw_npy(1, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", &eight),
        npy_of("<f4", false, "3, 2", &floats(&[0.0, f32::NAN, 2.0, 3.0, 4.0, 5.0])),
        npy_of("<f8", false, "3, 2", &[&[0; 40][..], &1e300f64.to_le_bytes()].concat()),
        npy_of("<f4", false, "2, 2", &floats(&[0.0; 4])),
    ];
    let all: Vec<String> = cases.iter().map(|bytes| with(bytes)).collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn d15_every_truncation_of_an_array_is_an_error() {
    let whole = npy_of("<f4", false, "3, 2", &floats(&[0.0; 6]));
    assert!(npy::parse(&whole).is_ok());
    (0..whole.len()).for_each(|length| drop(npy::parse(&whole[..length]).unwrap_err()));
}

#[test]
fn d15_a_header_ends_at_its_cap() {
    let text = "{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }";
    for (length, fits) in
        [(limits::NPY_HEADER_BYTES - 1, true), (limits::NPY_HEADER_BYTES, true), (limits::NPY_HEADER_BYTES + 1, false)]
    {
        let header = text.to_string() + &" ".repeat(length - text.len());
        assert_eq!(npy::parse(&raw_npy(2, &header, &[7])).is_ok(), fits, "{length}");
    }
    for (axes, fits) in [(limits::ARRAY_AXES - 1, true), (limits::ARRAY_AXES, true), (limits::ARRAY_AXES + 1, false)] {
        let shape = "1,".repeat(axes);
        assert_eq!(npy::parse(&npy_of("|u1", false, &shape, &[7])).is_ok(), fits, "{axes}");
    }
}

#[test]
fn d16_an_archive_of_arrays_is_read_by_name() {
    let x = npy_of("<f4", false, "3, 2", &floats(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]));
    let y = labels();
    let read = |bytes: &[u8]| reading(&[("a.npz", bytes)], NPZ);
    let plain = read(&archive(&[("x.npy", 0, 0, &x), ("y.npy", 8, 0, &y)]));
    insta::assert_snapshot!(plain);
    assert_eq!(read(&archive(&[("y.npy", 0, 0, &y), ("../x.npy", 0, 0, &x), ("x.npy", 8, 0, &x)])), plain);
}

#[test]
fn d16_an_archive_that_lies_is_refused() {
    let x = npy_of("<f4", false, "3, 2", &floats(&[0.0; 6]));
    let good = archive(&[("x.npy", 8, 0, &x), ("y.npy", 8, 0, &labels())]);
    let mut damaged = archive(&[("x.npy", 0, 0, &x)]);
    damaged[60] ^= 1;
    let mut moved = archive(&[("x.npy", 0, 0, &x)]);
    let offset = moved.len() - 6;
    moved[offset] ^= 0x40;
    let cases = [
        b"no archive".to_vec(),
        good[..good.len() - 30].to_vec(),
        damaged,
        moved,
        archive(&[("x.npy", 8, 1, &x)]),
        archive(&[("x.npy", 12, 0, &x)]),
        archive(&[("x.npy", 0, 0, &x), ("x.npy", 0, 0, &x)]),
        archive(&[("x.npy", 0, 0, &x), ("x", 0, 0, &x)]),
        archive(&[("z.npy", 0, 0, &x)]),
    ];
    let all: Vec<String> = cases.iter().map(|bytes| reading(&[("a.npz", bytes)], NPZ)).collect();
    insta::assert_snapshot!(all.join("\n"));
    for length in 0..good.len() {
        assert!(zip::entries(&good[..length], 1 << 20, &|_| true).is_err(), "{length}");
    }
}

#[test]
fn d16_a_zip_bomb_stops_at_the_cap() {
    let content = vec![0u8; 1000];
    let bomb = archive(&[("x", 8, 0, &content)]);
    for (cap, fits) in [(999, false), (1000, true), (1001, true)] {
        let read = zip::entries(&bomb, cap, &|_| true);
        assert_eq!(read.is_ok(), fits, "{cap}");
        assert!(fits || matches!(read, Err(Error::Large(_))));
    }
    // A member that says less than it holds ends where it said.
    let mut lying = bomb.clone();
    let directory = lying.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    lying[directory + 24..directory + 28].copy_from_slice(&10u32.to_le_bytes());
    assert!(matches!(zip::entries(&lying, 1 << 20, &|_| true), Err(Error::Wrong(_))));
}

/// What no field reads is not expanded: it may be damaged, and past the cap.
#[test]
fn arrays_that_no_field_reads_are_left_alone() {
    let x = npy_of("<f4", false, "3, 2", &floats(&[0.0; 6]));
    let plain = archive(&[("x.npy", 8, 0, &x), ("y.npy", 0, 0, &labels())]);
    let more = archive(&[("big.npy", 8, 0, &vec![0u8; 1 << 20]), ("x.npy", 8, 0, &x), ("y.npy", 0, 0, &labels())]);
    assert_eq!(reading(&[("a.npz", &more)], NPZ), reading(&[("a.npz", &plain)], NPZ));
    let names = zip::entries(&more, 1 << 10, &|name| name != "big.npy").unwrap();
    let found: Vec<(&str, bool)> = names.iter().map(|(name, content)| (name.as_str(), content.is_some())).collect();
    assert_eq!(found, [("big.npy", false), ("x.npy", true), ("y.npy", true)]);
}

const TS: &str = "# a comment\n@problemName test\n@univariate false\n@classLabel true a b\n@data\n";

fn ts(cases: &str, item: &str) -> String {
    reading(&[("t.ts", format!("{TS}{cases}").as_bytes()), ("u.ts", format!("{TS}9,9:8,8:a\n").as_bytes())], item)
}

#[test]
fn series_of_several_channels_and_lengths_are_read() {
    let padded = "data d = ts(\"t.ts\") { x: [3, 2] = series -> pad(3); y: class(2) = labels }\n";
    let equal = "data d = ts(\"t.ts\", test = \"u.ts\") { x: [L, C] = series; y: class(K) = labels\n split(train = given, test = given) }\n";
    let scaled = "data d = ts(\"t.ts\") { x: [3, 2] = series -> standardize -> pad; y: class(2) = labels }\n";
    let different = "1,2,3:4,5,6:a\n7:8:b\n9,10:11,12:a\n";
    insta::assert_snapshot!(
        [
            ts(different, padded),
            ts("1,2:4,5:a\n7,8:9,10:b\n", equal),
            ts(different, scaled),
            ts(different, &padded.replace(" -> pad(3)", "")),
        ]
        .join("\n")
    );
}

#[test]
fn a_series_file_that_is_damaged_is_refused() {
    let item = "data d = ts(\"t.ts\") { x: [2, 2] = series -> pad(2); y: class(2) = labels }\n";
    let mistakes = ["1,2:3:a\n", "1,2:a\n1,2:3,4:a\n", "1,x:3,4:a\n", "1,?:3,4:a\n", "1 2\n", ""];
    let all: Vec<String> = mistakes.iter().map(|cases| ts(cases, item)).collect();
    let none = reading(&[("t.ts", b"1,2:3,4:a\n")], item);
    insta::assert_snapshot!([all.join("\n"), none].join("\n"));
}
