//! Folders of pictures: PNG and JPEG, good and damaged.
//!
//! In: files. Out: what was read, or the mistakes. Invariant: nothing panics, whatever the file.

use super::common::*;
use image::{DynamicImage, ImageFormat, Luma, Rgb, RgbImage};
use nnc::runtime::data::picture::{Fit, Wanted, decode};
use std::io::Cursor;

pub fn encoded(picture: DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A PNG of one colour.
pub fn flat(height: u32, width: u32, colour: [u8; 3]) -> Vec<u8> {
    encoded(RgbImage::from_pixel(width, height, Rgb(colour)).into(), ImageFormat::Png)
}

/// A PNG of two points with 16 bits each.
pub fn deep() -> Vec<u8> {
    let points = image::ImageBuffer::<Luma<u16>, Vec<u16>>::from_vec(2, 1, vec![257, 65535]).unwrap();
    encoded(points.into(), ImageFormat::Png)
}

/// A PNG whose left half is dark and whose right half is light.
fn halves(height: u32, width: u32) -> Vec<u8> {
    let shade = |x: u32| if x < width / 2 { 0 } else { 200 };
    encoded(image::GrayImage::from_fn(width, height, |x, _| Luma([shade(x)])).into(), ImageFormat::Png)
}

const PETS: &str = "data d = folder(\"pets\") { image: [2, 3, 3] = images; label: class(K) = labels }\n";

fn pets(extra: &[(&str, &[u8])], item: &str) -> String {
    let (cat, dog) = (flat(2, 3, [10, 20, 30]), flat(2, 3, [40, 50, 60]));
    let mut files: Vec<(&str, &[u8])> =
        vec![("pets/dog/1.png", &dog), ("pets/cat/b.PNG", &cat), ("pets/cat/a.png", &cat)];
    files.extend(extra);
    reading(&files, item)
}

#[test]
fn a_folder_of_class_folders_is_read_in_the_order_of_names() {
    let grey = "data d = folder(\"pets\") { image: [2, 3] = images; label: class(K) = labels }\n";
    let free = "data d = folder(\"pets\") { image: [H, W, C] = images -> scale(0..1); label: class(K) = labels }\n";
    insta::assert_snapshot!([pets(&[], PETS), pets(&[], grey), pets(&[], free)].join("\n"));
}

#[test]
fn a_list_of_files_and_given_parts_are_read() {
    let list = "data d = folder(\"pets/list.csv\") { image: [2, 3, 3] = images; label: class(K) = labels }\n";
    let given = "data d = folder(\"all\") { image: [1, 1, 1] = images; label: class(K) = labels\n split(train = given, test = given) }\n";
    let small = flat(1, 1, [7, 7, 7]);
    let parts: Vec<(&str, &[u8])> =
        vec![("all/train/a/1.png", &small), ("all/train/b/2.png", &small), ("all/test/b/1.png", &small)];
    let bad = pets(&[("pets/list.csv", b"dog/1.png,dog\ncat/a.png\n")], list);
    insta::assert_snapshot!(
        [pets(&[("pets/list.csv", b"dog/1.png,wolf\ncat/a.png,cat\n")], list), reading(&parts, given), bad,].join("\n")
    );
}

#[test]
fn a_picture_of_another_size_is_refused_stretched_or_cropped() {
    let item = |fit: &str| format!("data d = folder(\"p\") {{ image: [2, 4] = images{fit} }}\n");
    let read = |picture: &[u8], fit: &str| reading(&[("p/a/1.png", picture)], &item(fit));
    insta::assert_snapshot!(
        [
            read(&halves(2, 8), ""),
            read(&halves(2, 8), "(fit = resize)"),
            read(&halves(4, 8), "(fit = crop)"),
            read(&halves(2, 8), "(fit = crop)"),
            read(&halves(1, 2), "(fit = resize)"),
            read(&flat(3, 5, [90, 90, 90]), "(fit = crop)"),
        ]
        .join("\n")
    );
}

#[test]
fn d17_deep_coloured_turned_and_animated_pictures_are_read() {
    let item = |shape: &str| format!("data d = folder(\"p\") {{ image: [{shape}] = images }}\n");
    let read = |name: &str, bytes: &[u8], shape: &str| reading(&[(&format!("p/a/{name}"), bytes)], &item(shape));
    insta::assert_snapshot!(
        [
            read("deep.png", &deep(), "1, 2"),
            read("cmyk.jpg", include_bytes!("pictures/cmyk.jpg"), "4, 6, 3"),
            read("turned.jpg", include_bytes!("pictures/turned.jpg"), "8, 16, 1"),
            read("animated.png", include_bytes!("pictures/animated.png"), "4, 6, 3"),
        ]
        .join("\n")
    );
}

/// The header of a PNG of this size, with damaged data behind it.
pub fn hollow(width: u32, height: u32) -> Vec<u8> {
    let mut chunk = b"IHDR".to_vec();
    [width, height].iter().for_each(|n| chunk.extend(n.to_be_bytes()));
    chunk.extend([8, 0, 0, 0, 0]);
    let mut crc = flate2::Crc::new();
    crc.update(&chunk);
    let data = b"\x00\x00\x00\x04IDAT\x01\x02\x03\x04\x00\x00\x00\x00";
    [b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0d".as_slice(), &chunk, &crc.sum().to_be_bytes(), data].concat()
}

#[test]
fn d17_damaged_and_huge_pictures_are_refused_or_left_out() {
    let png = flat(2, 3, [1, 2, 3]);
    let jpeg = encoded(RgbImage::from_pixel(3, 2, Rgb([1, 2, 3])).into(), ImageFormat::Jpeg);
    let with = |bytes: &[u8]| pets(&[("pets/cat/c.png", bytes)], PETS);
    let skip = PETS.replace("\"pets\"", "\"pets\", skip = 1");
    let cases = [png[..png.len() / 2].to_vec(), b"text".to_vec(), Vec::new(), hollow(65_535, 65_535), hollow(0, 3)];
    let all: Vec<String> = cases.iter().map(|bytes| with(bytes)).collect();
    let one = pets(&[("pets/cat/c.png", b"text")], &skip);
    let two = pets(&[("pets/cat/c.png", b"text"), ("pets/cat/d.png", b"text")], &skip);
    insta::assert_snapshot!([all.join("\n"), one, two].join("\n"));
    let wanted = Wanted { size: [Some(2), Some(3), Some(3)], fit: Fit::Refuse };
    for whole in [&png, &jpeg] {
        assert!(decode(whole, wanted).is_ok());
        for length in 0..whole.len() {
            // A picture that lacks its end alone may still be whole; what matters is that nothing panics.
            let _ = decode(&whole[..length], wanted);
        }
    }
}

#[test]
fn d17_the_number_of_pixels_ends_at_its_cap() {
    for (height, refused) in [(8191, false), (8192, false), (8193, true)] {
        let read =
            reading(&[("p/a/1.png", &hollow(8192, height))], "data d = folder(\"p\") { image: [8, 8] = images }\n");
        assert_eq!(read.contains("the cap is"), refused, "{read}");
        assert!(read.contains("E0411"), "{read}");
    }
}

#[test]
fn d18_stray_files_are_ignored_and_listed_and_an_empty_class_is_an_error() {
    let stray = pets(
        &[("pets/.DS_Store", b"x"), ("pets/cat/notes.txt", b"x"), ("pets/readme.md", b"x"), ("pets/cat/._a.png", b"x")],
        PETS,
    );
    let empty = pets(&[("pets/fish/notes.txt", b"x")], PETS);
    let flat_folder = reading(&[("pets/1.png", &flat(2, 3, [1, 2, 3]))], PETS);
    let absent = reading(&[], PETS);
    let shape = pets(&[], &PETS.replace("[2, 3, 3]", "[18]"));
    insta::assert_snapshot!([stray, empty, flat_folder, absent, shape].join("\n"));
}

#[cfg(unix)]
#[test]
fn d18_a_link_out_of_the_folder_is_refused() {
    let outer =
        Folder::new(&[("secret/1.png", &flat(2, 3, [1, 2, 3])), ("inner/pets/cat/a.png", &flat(2, 3, [1, 2, 3]))]);
    let inner = outer.0.path().join("inner");
    std::os::unix::fs::symlink(outer.0.path().join("secret"), inner.join("pets/dog")).unwrap();
    let access = nnc::runtime::data::Access::beside(&inner.join("m.nn"));
    let spec = item(PETS);
    let errors = nnc::runtime::data::open(&spec, &access, None, 0).unwrap_err();
    assert_eq!(errors[0].code, "E0603");
}
