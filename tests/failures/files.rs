//! D15 to D19 and T13: arrays, archives, pictures and texts, and tokens that no vocabulary has.
//!
//! In: files, good and damaged. Out: cases of the catalogue. Invariant: what may be read is read (exit 0), and each other one
//! says the file, what is wrong with it and what to do.

use super::catalogue::{Case, model, run};
use crate::runtime::arrays::{archive, floats, npy_of, raw_npy};
use crate::runtime::common::safetensors;
use crate::runtime::pictures::{deep, encoded, flat, hollow};
use image::{ImageFormat, RgbImage};
use std::path::Path;

pub fn cases() -> Vec<Case> {
    let mut cases = arrays();
    cases.extend(archives());
    cases.extend(pictures());
    cases.extend(folders());
    cases.extend(texts());
    cases.extend(tokens());
    cases
}

/// `nnc check --data m.nn` for a data item beside these files; the model takes what the item has.
fn read(
    number: &'static str,
    exit: i32,
    says: &[&'static str],
    item: &str,
    input: &str,
    files: &[(&str, &[u8])],
) -> Case {
    let body = if input.matches(',').count() > 0 { "x -> flatten -> dense(3)" } else { "x -> dense(3)" };
    let text = model(body).replace("data d = given { x: [6]; y: class(3) }", item).replace("x: [6]", input);
    let files: Vec<(&str, &[u8])> = [("m.nn", text.as_bytes())].into_iter().chain(files.iter().copied()).collect();
    run(number, exit, says, &["check", "--data", "m.nn"], &files)
}

fn labels() -> Vec<u8> {
    npy_of("|u1", false, "3,", &[2, 0, 1])
}

fn arrays() -> Vec<Case> {
    let item = "data d = npy { x: [2] = array(\"x.npy\"); y: class(3) = array(\"y.npy\") }";
    let case = |exit, says: &[&'static str], x: &[u8]| {
        read("D15", exit, says, item, "x: [2]", &[("x.npy", x), ("y.npy", &labels())])
    };
    let six = floats(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    let swapped: Vec<u8> = (0..6).flat_map(|i| f64::from(i).to_be_bytes()).collect();
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }\n";
    let objects = "{'descr': [('x', '|O')], 'fortran_order': False, 'shape': (3,), }\n";
    let four = [b"\x93NUMPY\x02\x00\xff\xff\xff\xff".as_slice(), &[b' '; 100]].concat();
    let long = raw_npy(2, &(header.to_string() + &" ".repeat(100_000)), &six);
    vec![
        case(0, &["3 rows", "x: [2], y: class(3)"], &raw_npy(3, header, &six)),
        case(0, &["3 rows"], &npy_of("<f4", true, "3, 2", &six)),
        case(0, &["3 rows"], &npy_of(">f8", false, "3, 2", &swapped)),
        case(
            4,
            &["E0410", "m.nn:1:25", "x.npy", "pickle", "never read", "astype"],
            &npy_of("|O", false, "3,", b"\x80."),
        ),
        case(4, &["E0410", "x.npy", "records", "an array for each field"], &raw_npy(1, objects, b"\x80.")),
        case(4, &["E0410", "x.npy", "`<c8`", "astype"], &npy_of("<c8", false, "3,", &six)),
        case(4, &["E0410", "needs 2400 bytes, has 24", "np.save"], &npy_of("<f4", false, "300, 2", &six)),
        case(4, &["E0410", "more bytes than can be counted"], &npy_of("<f4", false, "4611686018427387904, 4", &six)),
        case(4, &["E0410", "its header claims 4294967295 bytes, and 100 are there", "copy the file again"], &four),
        case(4, &["E0410", "its header claims 100060 bytes, the cap is 65536"], &long),
        case(4, &["E0410", "its version is 9; 1, 2 and 3 are read"], &raw_npy(9, header, &six)),
        case(4, &["E0410", "the header is cut off"], &raw_npy(1, header, &[])[..8]),
        // 160 MB of bytes are 1.3 GB of numbers, more than the test's memory.
        case(8, &["E0803", "x.npy: it needs more memory"], &npy_of("|u1", false, "80000000, 2", &[0; 160_000_000])),
    ]
}

fn archives() -> Vec<Case> {
    let item = "data d = npz(\"a.npz\") { x: [2] = array(\"x\"); y: class(3) = array(\"y\") }";
    let with = |args: &[&'static str], exit, says: &[&'static str], bytes: &[u8]| Case {
        args: [&["check", "--data"], args, &["m.nn"]].concat(),
        ..read("D16", exit, says, item, "x: [2]", &[("a.npz", bytes)])
    };
    let case = |exit, says: &[&'static str], bytes: &[u8]| with(&[], exit, says, bytes);
    let (x, y) = (npy_of("<f4", false, "3, 2", &floats(&[0.0; 6])), labels());
    let both = |method, flags| archive(&[("x.npy", method, flags, &x), ("y.npy", method, flags, &y)]);
    let zeros = vec![0; 100_000_000];
    let bomb = archive(&[("x.npy", 8, 0, &x), ("y.npy", 8, 0, &y), ("z.npy", 8, 0, &zeros)]);
    let mut lying = archive(&[("x.npy", 8, 0, &x), ("y.npy", 8, 0, &y)]);
    let directory = lying.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    lying[directory + 24..directory + 28].copy_from_slice(&1_900_000_000u32.to_le_bytes());
    let way = "np.savez";
    vec![
        case(0, &["3 rows"], &both(0, 0)),
        case(0, &["3 rows"], &both(8, 0)),
        case(0, &["3 rows"], &zip64(&both(8, 0))),
        case(0, &["3 rows"], &archive(&[("../x.npy", 0, 0, &x), ("x.npy", 0, 0, &x), ("y.npy", 0, 0, &y)])),
        case(4, &["E0405", "m.nn:1:34", "no array `x`", "../x"], &archive(&[("../x.npy", 0, 0, &x)])),
        case(
            4,
            &["E0410", "m.nn:1:10", "two members are named `x.npy`", way],
            &archive(&[("x.npy", 0, 0, &x), ("x.npy", 0, 0, &x)]),
        ),
        case(
            4,
            &["E0410", "two arrays are named `x`", way],
            &archive(&[("x.npy", 0, 0, &x), ("x", 0, 0, &x), ("y", 0, 0, &y)]),
        ),
        case(4, &["E0410", "a.npz: the member `x.npy` is encrypted", way], &both(0, 1)),
        case(4, &["E0410", "packed by method 14; 0 and 8 are read", way], &both(14, 0)),
        case(4, &["E0410", "cut off", way], &both(8, 0)[..100]),
        case(4, &["E0410", "claims more bytes than can come out of it"], &lying),
        case(
            4,
            &["E0410", "a.npz: x", "pickle"],
            &archive(&[("x", 0, 0, &npy_of("|O", false, "3,", b".")), ("y", 0, 0, &y)]),
        ),
        with(
            &["--max-decompressed", "1000000"],
            8,
            &["E0806", "a.npz: it expands to more than 1000000 bytes", "--max-decompressed"],
            &archive(&[("x.npy", 8, 0, &vec![0; 2_000_000]), ("y.npy", 0, 0, &y)]),
        ),
        // What no field reads is not expanded.
        with(&["--max-decompressed", "1000000"], 0, &["3 rows"], &bomb),
        case(0, &["3 rows"], &bomb),
    ]
}

/// The same archive with its directory told by the record of zip64.
fn zip64(plain: &[u8]) -> Vec<u8> {
    let end = plain.len() - 22;
    let number = |at: usize, n: usize| plain[at..at + n].iter().rev().fold(0u64, |v, b| v << 8 | u64::from(*b));
    let (count, size, start) = (number(end + 10, 2), number(end + 12, 4), number(end + 16, 4));
    let mut out = plain[..end].to_vec();
    out.extend(b"PK\x06\x06");
    out.extend(44u64.to_le_bytes());
    out.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    [count, count, size, start].iter().for_each(|n| out.extend(n.to_le_bytes()));
    out.extend(b"PK\x06\x07\0\0\0\0");
    out.extend((end as u64).to_le_bytes());
    out.extend([1, 0, 0, 0]);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([0xff; 12]);
    out.extend([0, 0]);
    out
}

/// Pictures of 2 · 3 points in the folders of the classes `a` and `b`, and what else there is.
fn folder(number: &'static str, exit: i32, says: &[&'static str], call: &str, more: &[(&str, &[u8])]) -> Case {
    let item = format!("data d = folder({call}; y: class(3) = labels }}");
    let shape = call.split_once(": ").and_then(|(_, rest)| rest.split_once(']')).map_or("", |(shape, _)| shape);
    let one = flat(2, 3, [10, 20, 30]);
    let files: Vec<(&str, &[u8])> =
        [("p/a/1.png", one.as_slice()), ("p/b/1.png", &one)].into_iter().chain(more.iter().copied()).collect();
    read(number, exit, says, &item, &format!("x: {shape}]"), &files)
}

const PLAIN: &str = "\"p\") { x: [2, 3, 3] = images";
const SKIP: &str = "\"p\", skip = 1) { x: [2, 3, 3] = images";
const CROP: &str = "\"p\") { x: [64, 64, 3] = images(fit = crop)";
const RESIZE: &str = "\"p\") { x: [64, 64, 3] = images(fit = resize)";

fn pictures() -> Vec<Case> {
    let case = |exit, says: &[&'static str], call: &str, name: &str, bytes: &[u8]| {
        folder("D17", exit, says, call, &[(&format!("p/b/{name}"), bytes)])
    };
    let png = flat(2, 3, [1, 2, 3]);
    let jpeg = encoded(RgbImage::from_pixel(3, 2, image::Rgb([1, 2, 3])).into(), ImageFormat::Jpeg);
    let (skip, gif) = ("skip = 10", b"GIF89a\x03\0\x02\0\0\0\0;");
    vec![
        case(4, &["E0411", "m.nn:1:10", "p/b/2.png: it is damaged", skip], PLAIN, "2.png", &png[..png.len() / 2]),
        case(4, &["E0411", "p/b/2.jpg: it is damaged", skip], PLAIN, "2.jpg", &jpeg[..jpeg.len() / 3]),
        case(4, &["E0411", "p/b/2.png: it is neither PNG nor JPEG", skip], PLAIN, "2.png", b"text"),
        case(4, &["E0411", "neither PNG nor JPEG, but Gif", "save it as PNG"], PLAIN, "2.png", gif),
        case(0, &["W0405", "left out: p/b/2.png: it is neither PNG", "2 rows"], SKIP, "2.png", b"text"),
        case(
            4,
            &["E0411", "p/b/2.png: it has 65535 × 65535 pixels, the cap is 67108864", "make it smaller"],
            PLAIN,
            "2.png",
            &hollow(65_535, 65_535),
        ),
        case(
            4,
            &["E0411", "it has 2 × 4 pixels", "2 × 3 are wanted", "fit = resize"],
            PLAIN,
            "2.png",
            &flat(2, 4, [0; 3]),
        ),
        case(4, &["E0411", "5 channels are wanted", "1, 3 or 4"], "\"p\") { x: [2, 3, 5] = images", "2.png", &png),
        case(0, &["3 rows"], RESIZE, "2.png", &deep()),
        case(0, &["3 rows"], RESIZE, "2.jpg", include_bytes!("../runtime/pictures/cmyk.jpg")),
        case(0, &["3 rows"], RESIZE, "2.jpg", include_bytes!("../runtime/pictures/turned.jpg")),
        case(0, &["3 rows"], RESIZE, "2.png", include_bytes!("../runtime/pictures/animated.png")),
        // Stretched whole until it covers 64 × 64, or along the wrong axis first, it would have gigabytes.
        case(0, &["3 rows"], CROP, "2.png", &flat(1, 65_535, [1, 2, 3])),
        case(0, &["3 rows"], RESIZE, "2.png", &flat(1 << 20, 1, [1, 2, 3])),
        case(4, &["E0411", "p/b/a\\n\\u{1b}[31m.png: it is neither PNG"], PLAIN, "a\n\x1b[31m.png", b"text"),
    ]
}

#[cfg(unix)]
fn link(to: &'static str, at: &'static str) -> impl Fn(&Path) {
    move |folder| std::os::unix::fs::symlink(to, folder.join(at)).unwrap()
}

fn folders() -> Vec<Case> {
    let case = |exit, says: &[&'static str], more: &[(&str, &[u8])]| folder("D18", exit, says, PLAIN, more);
    let linked = |exit, says: &[&'static str], prepare: fn(&Path)| Case {
        prepare: Some(prepare),
        ..folder("D18", exit, says, PLAIN, &[("q/1.png", &flat(2, 3, [7; 3]))])
    };
    let mut cases = vec![
        case(
            0,
            &["W0405", "m.nn:1:10", "ignored in p: p/.DS_Store, p/a/._1.png, p/a/notes.txt, p/readme.md", "2 rows"],
            &[("p/.DS_Store", b"x"), ("p/a/notes.txt", b"x"), ("p/readme.md", b"x"), ("p/a/._1.png", b"x")],
        ),
        case(0, &["W0405", "ignored in p: p/a/deeper", "2 rows"], &[("p/a/deeper/1.png", b"x")]),
        case(
            4,
            &["E0403", "m.nn:1:10", "the class folder p/c holds no PNG", "remove the folder"],
            &[("p/c/x.txt", b"x")],
        ),
        Case {
            prepare: Some(|folder| std::fs::create_dir(folder.join("p/c")).unwrap()),
            ..case(4, &["E0403", "the class folder p/c holds no PNG", "remove the folder"], &[])
        },
        case(
            4,
            &["E0406", "\"d\" is label number 4", "write `class(4)`"],
            &[("p/c/1.png", &flat(2, 3, [0; 3])), ("p/d/1.png", &flat(2, 3, [0; 3]))],
        ),
    ];
    if cfg!(unix) {
        cases.extend([
            linked(0, &["3 rows"], |f| link("../../q/1.png", "p/a/9.png")(f)),
            linked(0, &["W0405", "ignored in p: p/a/notes", "2 rows"], |f| link("nowhere", "p/a/notes")(f)),
            linked(0, &["W0405", "ignored in p: p/a/up", "2 rows"], |f| link("..", "p/a/up")(f)),
            linked(0, &["W0405", "ignored in p: p/c", "2 rows"], |f| link("nowhere", "p/c")(f)),
            linked(6, &["E0601", "\"p/a/9.png\" cannot be read", "a link to a file that is not there"], |f| {
                link("x", "p/a/9.png")(f)
            }),
            linked(6, &["E0601", "\"p/a/9.png\" cannot be read"], |f| link("9.png", "p/a/9.png")(f)),
            linked(6, &["E0603", "\"p/a/9.png\" lies outside", "--allow-outside"], |f| {
                link("/etc/passwd", "p/a/9.png")(f)
            }),
            linked(6, &["E0603", "\"p/c\" lies outside", "--data-root"], |f| link("/etc", "p/c")(f)),
        ]);
    }
    cases
}

fn texts() -> Vec<Case> {
    let case = |exit, says: &[&'static str], reader: &str, source: &str, text: &[u8]| {
        let item = format!(
            "data d = text(\"t.txt\"{reader}) {{ x: token(V)[3] = {source} -> window(3); split(train = 50%, valid = 50%) }}"
        );
        let model = "\nmodel m  x: token(V)[3] -> [3, 2] { x -> embedding(2) }\n";
        run("D19", exit, says, &["check", "--data", "m.nn"], &[("m.nn", (item + model).as_bytes()), ("t.txt", text)])
    };
    let long = [b"a b c d e f g h ".as_slice(), &[b'x'; 5000]].concat();
    let broken = b"abcdef\nab\xe9cdefabc\n";
    vec![
        case(4, &["E0412", "m.nn:1:10", "byte 9 (line 2) is 0xe9", "iconv", "lossy = true"], "", "chars", broken),
        case(0, &["6 rows"], ", lossy = true", "chars", broken),
        case(4, &["E0412", "looks like UTF-16", "iconv -f UTF-16"], "", "chars", &[0xff, 0xfe, b'a', 0]),
        case(8, &["E0805", "m.nn:1:43", "t.txt:1: a token is longer than 4096 bytes", "`chars`"], "", "words", &long),
        case(0, &["rows"], "", "chars", &long),
        case(
            4,
            &["E0412", "m.nn:1:26", "t.txt:2: `é` is not in the vocabulary", "`<unk>`"],
            "",
            "chars(vocabulary = [\"a\", \"b\", \"\\n\"])",
            "abab\nabé\n".as_bytes(),
        ),
        case(0, &["rows"], "", "chars(vocabulary = [\"a\", \"b\", \"<unk>\"])", "abab\nabéabab\n".as_bytes()),
        case(0, &["rows"], "", "words", "the cat \u{200b} \u{fffd} の 猫 \u{0} dog is not a cat".as_bytes()),
        case(
            4,
            &["E0412", "m.nn:1:43", "`a` stands twice in the vocabulary", "leave the second one out"],
            "",
            "chars(vocabulary = [\"a\", \"b\", \"a\"])",
            b"abababab",
        ),
        run(
            "D19",
            4,
            &["E0412", "line 3", "not valid UTF-8"],
            &["check", "--data", "m.nn"],
            &[
                ("m.nn", b"data d = lines(\"t.txt\") { x: token(V)[T] = line -> chars -> pad }\nmodel m  x: token(V)[T] -> [T, 2] { x -> embedding(2) }\n"),
                ("t.txt", b"a\nb\n\xff\n"),
            ],
        ),
    ]
}

fn tokens() -> Vec<Case> {
    let text = "data d = given { x: token(5)[3]; y: class(2) }
model m  x: token(V)[T] -> logits[2] { e = x -> embedding(4); mean(e, axis = T) -> dense(2) }
train m on d { loss = cross_entropy; optimizer = adam(lr = 0.01); stop = 2 epochs }
";
    let case = |exit, says: &[&'static str], text: &str, x: &[i32], y: &[i32]| {
        let file = safetensors(&[("d.x", &[2, 3], x), ("d.y", &[2], y)]);
        let files: [(&str, &[u8]); 2] = [("m.nn", text.as_bytes()), ("s.safetensors", &file)];
        run("T13", exit, says, &["run", "m.nn", "--start", "s.safetensors"], &files)
    };
    let counted = text.replace("token(5)", "token(V)");
    let small = "op small  x: token(V)[T] -> y: [T, 4] {\n  param w: [3, 4] = ones\n  y = gather(w, x)\n}\n";
    let narrow = format!("{small}{}", text.replace("embedding(4)", "small"));
    let table = |number: &'static str, exit, says: &[&'static str], rows: &str| {
        let item = "data d = csv(\"t.csv\") { x: token(3)[4] = column(\"a\") -> words -> pad(4); y: class(2) = column(\"y\") }";
        let text = text.replace("data d = given { x: token(5)[3]; y: class(2) }", item);
        run(number, exit, says, &["run", "m.nn"], &[("m.nn", text.as_bytes()), ("t.csv", rows.as_bytes())])
    };
    vec![
        case(0, &["epoch 2/2"], text, &[0, 1, 2, 3, 4, 0], &[0, 1]),
        case(
            4,
            &["E0402", "m.nn:1:18", "row 2 of `x`: 5 is no token", "tokens are 0 to 4", "write `token(6)`"],
            text,
            &[0, 1, 2, 3, 5, 0],
            &[0, 1],
        ),
        case(4, &["E0402", "row 1 of `x`: -1 is no token", "counted from 0"], text, &[0, -1, 2, 3, 4, 0], &[0, 1]),
        case(4, &["E0402", "row 2 of `x`: -7 is no token"], &counted, &[0, 1, 2, -7, 4, 0], &[0, 1]),
        case(4, &["E0406", "m.nn:1:34", "row 2 of `y`: 2 is no class", "write `class(3)`"], text, &[0; 6], &[0, 2]),
        case(3, &["E0310", "m.nn:3:7", "takes token(3), gets token(5)"], &narrow, &[0; 6], &[0, 1]),
        table(
            "T13",
            4,
            &["E0406", "m.nn:1:25", "a vocabulary of 5 tokens", "room for 3", "write `token(5)`"],
            "a,y\nx y,0\nz,1\n",
        ),
        table("T13", 0, &["epoch 2/2"], "a,y\nx x,0\nx,1\n"),
    ]
}
