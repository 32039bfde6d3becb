//! One picture: PNG or JPEG bytes as numbers 0 to 255 of a wanted size.
//!
//! In: the bytes of a file and what is wanted. Out: height × width × channels numbers, or a sentence. Invariant: the size that
//! a header claims is held against the cap before memory is taken for it; the bits are the same on every machine, because
//! only + - * / are used.

use crate::runtime::limits;
use image::{ColorType, DynamicImage, ImageDecoder, ImageReader, Limits};
use std::io::Cursor;

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

/// Decodes a file. What is animated gives its first picture; what a camera turned is turned back.
pub fn decode(bytes: &[u8], wanted: Wanted) -> Result<Picture, String> {
    let unread = |e: image::ImageError| format!("it is damaged: {e}");
    let guessed = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let mut reader = guessed.map_err(|e| format!("it cannot be read: {e}"))?;
    if reader.format().is_none() {
        return Err("it is neither PNG nor JPEG".into());
    }
    // Four bytes for each of four channels of 16 bits, and as much again while it is decoded.
    let mut caps = Limits::default();
    caps.max_alloc = Some(16 * limits::PIXELS);
    reader.limits(caps);
    let mut decoder = reader.into_decoder().map_err(unread)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > limits::PIXELS {
        return Err(format!("it has {width} × {height} pixels, the cap is {}", limits::PIXELS));
    }
    let orientation = decoder.orientation().map_err(unread)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(unread)?;
    image.apply_orientation(orientation);
    let channels = wanted.size[2].unwrap_or(if image.color().has_color() { 3 } else { 1 });
    let picture = numbers(&image, channels)?;
    fitted(picture, wanted)
}

/// 8 bits as they are; 16 bits as 65,535ths of 255.
fn numbers(image: &DynamicImage, channels: u64) -> Result<Picture, String> {
    let deep = matches!(image.color(), ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16);
    let small = |values: Vec<u8>| values.into_iter().map(f32::from).collect();
    let large = |values: Vec<u16>| values.into_iter().map(|v| f32::from(v) / 257.0).collect();
    let values: Vec<f32> = match (channels, deep) {
        (1, false) => small(image.to_luma8().into_raw()),
        (3, false) => small(image.to_rgb8().into_raw()),
        (4, false) => small(image.to_rgba8().into_raw()),
        (1, true) => large(image.to_luma16().into_raw()),
        (3, true) => large(image.to_rgb16().into_raw()),
        (4, true) => large(image.to_rgba16().into_raw()),
        (n, _) => {
            return Err(format!("{n} channels are wanted, and a picture has 1 (grey), 3 (colour) or 4 (with alpha)"));
        }
    };
    Ok(Picture { size: [image.height() as usize, image.width() as usize, channels as usize], values })
}

fn fitted(picture: Picture, wanted: Wanted) -> Result<Picture, String> {
    let [height, width, channels] = picture.size;
    let goal = [wanted.size[0].map_or(height, |n| n as usize), wanted.size[1].map_or(width, |n| n as usize)];
    if goal == [height, width] {
        return Ok(picture);
    }
    match wanted.fit {
        Fit::Refuse => {
            Err(format!("it has {height} × {width} pixels (height × width), and {} × {} are wanted", goal[0], goal[1]))
        }
        Fit::Resize => Ok(resized(&picture, goal)),
        Fit::Crop => {
            let scale = (goal[0] as f64 / height as f64).max(goal[1] as f64 / width as f64);
            let side = |n: usize, least: usize| ((n as f64 * scale + 0.5).floor() as usize).max(least);
            let large = resized(&picture, [side(height, goal[0]), side(width, goal[1])]);
            let (top, left) = ((large.size[0] - goal[0]) / 2, (large.size[1] - goal[1]) / 2);
            let row = |y: usize| ((top + y) * large.size[1] + left) * channels;
            let rows = (0..goal[0]).flat_map(|y| large.values[row(y)..row(y) + goal[1] * channels].iter().copied());
            Ok(Picture { size: [goal[0], goal[1], channels], values: rows.collect() })
        }
    }
}

/// Separable interpolation by a triangle, as wide as the step where the picture shrinks, so that nothing is skipped.
fn resized(picture: &Picture, goal: [usize; 2]) -> Picture {
    let [height, width, channels] = picture.size;
    let (rows, columns) = (weights(height, goal[0]), weights(width, goal[1]));
    let mut wide = vec![0f64; height * goal[1] * channels];
    for y in 0..height {
        for (x, (from, parts)) in columns.iter().enumerate() {
            for c in 0..channels {
                let at = |i: usize| f64::from(picture.values[(y * width + from + i) * channels + c]);
                wide[(y * goal[1] + x) * channels + c] = parts.iter().enumerate().map(|(i, w)| w * at(i)).sum();
            }
        }
    }
    let mut values = vec![0f32; goal[0] * goal[1] * channels];
    let pitch = goal[1] * channels;
    for (y, (from, parts)) in rows.iter().enumerate() {
        for i in 0..pitch {
            let sum: f64 = parts.iter().enumerate().map(|(k, w)| w * wide[(from + k) * pitch + i]).sum();
            values[y * pitch + i] = sum as f32;
        }
    }
    Picture { size: [goal[0], goal[1], channels], values }
}

/// For each new place, the first old one that counts and the weights from there on; they add up to 1.
fn weights(from: usize, to: usize) -> Vec<(usize, Vec<f64>)> {
    let step = from as f64 / to as f64;
    let reach = step.max(1.0);
    let place = |i: usize| {
        let middle = (i as f64 + 0.5) * step - 0.5;
        let first = (middle - reach).ceil().max(0.0) as usize;
        let last = ((middle + reach).floor() as usize).min(from - 1);
        let weight = |j: usize| (1.0 - (j as f64 - middle).abs() / reach).max(0.0);
        let parts: Vec<f64> = (first..=last).map(weight).collect();
        let total: f64 = parts.iter().sum();
        (first, parts.into_iter().map(|w| w / total).collect())
    };
    (0..to).map(place).collect()
}
