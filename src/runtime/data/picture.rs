//! One picture: PNG or JPEG bytes as numbers 0 to 255 of a wanted size.
//!
//! In: the bytes of a file and what is wanted. Out: height × width × channels numbers, or what is wrong. Invariant: the size that
//! a header claims is held against the cap before memory is taken for it; the bits are the same on every machine, because
//! only + - * / are used.

use super::raw::{Wrong, room};
use crate::runtime::limits;
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use std::io::Cursor;
use std::ops::Range;

/// What becomes of a picture whose size is another than the wanted one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fit {
    Refuse,
    /// Both sides are stretched.
    Resize,
    /// It is scaled until it covers the size, and its middle is kept.
    Crop,
}

/// Height, width, channels; what is none is that of the picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    pub size: [Option<u64>; 3],
    pub fit: Fit,
}

#[derive(Debug, PartialEq)]
pub struct Picture {
    pub size: [usize; 3],
    pub values: Vec<f32>,
}

const DAMAGED: &str = "copy it again, or let up to 10 such files be left out: `folder(…, skip = 10)`";
const FORMAT: &str = "save it as PNG or JPEG, or let up to 10 such files be left out: `folder(…, skip = 10)`";
const SMALLER: &str = "make it smaller, or let up to 10 such files be left out: `folder(…, skip = 10)`";
const SIZES: &str = "`images(fit = resize)` or `images(fit = crop)` makes all of one size";
const CHANNELS: &str = "write 1, 3 or 4 as the last axis";

fn wrong(text: impl Into<String>, note: &'static str) -> Wrong {
    Wrong::new("E0411", text, note)
}

/// Decodes a file. What is animated gives its first picture; what a camera turned is turned back.
pub fn decode(bytes: &[u8], wanted: Wanted) -> Result<Picture, Wrong> {
    let unread = |e: image::ImageError| wrong(format!("it is damaged: {e}"), DAMAGED);
    let guessed = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let mut reader = guessed.map_err(|e| wrong(format!("it cannot be read: {e}"), DAMAGED))?;
    match reader.format() {
        Some(ImageFormat::Png | ImageFormat::Jpeg) => {}
        Some(other) => return Err(wrong(format!("it is neither PNG nor JPEG, but {other:?}"), FORMAT)),
        None => return Err(wrong("it is neither PNG nor JPEG", FORMAT)),
    }
    // Four bytes for each of four channels of 16 bits, and as much again while it is decoded.
    let mut caps = Limits::default();
    caps.max_alloc = Some(16 * limits::PIXELS);
    reader.limits(caps);
    let mut decoder = reader.into_decoder().map_err(unread)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > limits::PIXELS {
        let text = format!("it has {width} × {height} pixels, the cap is {}", limits::PIXELS);
        return Err(wrong(text, SMALLER));
    }
    let channels = wanted.size[2].unwrap_or(if decoder.color_type().has_color() { 3 } else { 1 });
    if !matches!(channels, 1 | 3 | 4) {
        let text = format!("{channels} channels are wanted, and a picture has 1 (grey), 3 (colour) or 4 (with alpha)");
        return Err(wrong(text, CHANNELS));
    }
    // What is decoded, its copy with other channels, and the numbers are there at once.
    let depth = decoder.total_bytes() / (pixels * u64::from(decoder.color_type().channel_count()));
    drop(room::<u8>((decoder.total_bytes() + pixels * channels * (depth + 4)) as usize)?);
    let orientation = decoder.orientation().map_err(unread)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(unread)?;
    image.apply_orientation(orientation);
    fitted(numbers(image, channels), wanted)
}

/// 8 bits as they are; 16 bits as 65,535ths of 255.
fn numbers(image: DynamicImage, channels: u64) -> Picture {
    let deep = matches!(image.color(), ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16);
    let size = [image.height() as usize, image.width() as usize, channels as usize];
    let small = |values: Vec<u8>| values.into_iter().map(f32::from).collect();
    let large = |values: Vec<u16>| values.into_iter().map(|v| f32::from(v) / 257.0).collect();
    let values: Vec<f32> = match (channels, deep) {
        (1, false) => small(image.into_luma8().into_raw()),
        (3, false) => small(image.into_rgb8().into_raw()),
        (_, false) => small(image.into_rgba8().into_raw()),
        (1, true) => large(image.into_luma16().into_raw()),
        (3, true) => large(image.into_rgb16().into_raw()),
        (_, true) => large(image.into_rgba16().into_raw()),
    };
    Picture { size, values }
}

fn fitted(picture: Picture, wanted: Wanted) -> Result<Picture, Wrong> {
    let [height, width, _] = picture.size;
    let goal = [wanted.size[0].map_or(height, |n| n as usize), wanted.size[1].map_or(width, |n| n as usize)];
    if goal == [height, width] {
        return Ok(picture);
    }
    match wanted.fit {
        Fit::Refuse => {
            let [h, w] = goal;
            let text = format!("it has {height} × {width} pixels (height × width), and {h} × {w} are wanted");
            Err(wrong(text, SIZES))
        }
        Fit::Resize => resized(&picture, goal, [0..goal[0], 0..goal[1]]),
        Fit::Crop => {
            let scale = (goal[0] as f64 / height as f64).max(goal[1] as f64 / width as f64);
            let side = |n: usize, least: usize| ((n as f64 * scale + 0.5).floor() as usize).max(least);
            let large = [side(height, goal[0]), side(width, goal[1])];
            let middle = |i: usize| (large[i] - goal[i]) / 2..(large[i] - goal[i]) / 2 + goal[i];
            resized(&picture, large, [middle(0), middle(1)])
        }
    }
}

/// A picture of another size than the first one of its folder, where that tells the size.
pub fn differs(size: [usize; 3], first: [usize; 3]) -> Wrong {
    let ([h, w, c], [y, x, z]) = (size, first);
    wrong(format!("it is {h} × {w} × {c}, and {y} × {x} × {z}, as of the first picture, are wanted"), SIZES)
}

/// The `kept` rows and columns of the picture stretched to `goal`. The axis that leaves less to do comes first.
fn resized(picture: &Picture, goal: [usize; 2], kept: [Range<usize>; 2]) -> Result<Picture, Wrong> {
    let [height, width, channels] = picture.size;
    let [rows, columns] = kept;
    let size = [rows.len(), columns.len(), channels];
    let stretched = if height * columns.len() <= rows.len() * width {
        let wide = along(&picture.values, [height, width, channels], goal[1], columns)?;
        along(&wide, [1, height, size[1] * channels], goal[0], rows)?
    } else {
        let high = along(&picture.values, [1, height, width * channels], goal[0], rows)?;
        along(&high, [size[0], width, channels], goal[1], columns)?
    };
    let mut values = room(stretched.len())?;
    values.extend(stretched.into_iter().map(|v| v as f32));
    Ok(Picture { size, values })
}

/// Interpolation along the middle of three axes by a triangle, as wide as the step where the axis shrinks, so that nothing is
/// skipped; the `kept` places of `to`.
fn along<T: Copy + Into<f64>>(
    values: &[T],
    [outer, from, inner]: [usize; 3],
    to: usize,
    kept: Range<usize>,
) -> Result<Vec<f64>, Wrong> {
    let count = kept.len();
    let mut out = room(outer * count * inner)?;
    out.resize(outer * count * inner, 0.0);
    for (place, goal) in kept.enumerate() {
        let (first, parts) = weights(from, to, goal);
        for o in 0..outer {
            for i in 0..inner {
                let at = |k: usize| -> f64 { values[(o * from + first + k) * inner + i].into() };
                out[(o * count + place) * inner + i] = parts.iter().enumerate().map(|(k, w)| w * at(k)).sum();
            }
        }
    }
    Ok(out)
}

/// The first old place that counts for the new place `i`, and the weights from there on; they add up to 1.
fn weights(from: usize, to: usize, i: usize) -> (usize, Vec<f64>) {
    let step = from as f64 / to as f64;
    let reach = step.max(1.0);
    let middle = (i as f64 + 0.5) * step - 0.5;
    let first = (middle - reach).ceil().max(0.0) as usize;
    let last = ((middle + reach).floor() as usize).min(from - 1);
    let weight = |j: usize| (1.0 - (j as f64 - middle).abs() / reach).max(0.0);
    let parts: Vec<f64> = (first..=last).map(weight).collect();
    let total: f64 = parts.iter().sum();
    (first, parts.into_iter().map(|w| w / total).collect())
}
