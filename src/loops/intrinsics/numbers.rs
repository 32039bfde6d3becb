//! The primitive operations on plain numbers.
//!
//! In: words. Out: words. Invariant: each is the IEEE operation that the code generator's instruction performs.

use super::Arith;

/// Computes at once; a word is the bits of an f32 or of an i32.
pub struct Numbers;

fn f(x: u32) -> f32 {
    f32::from_bits(x)
}

impl Arith for Numbers {
    type V = u32;
    type M = bool;

    fn float(&mut self, value: f32) -> u32 {
        value.to_bits()
    }
    fn int(&mut self, value: u32) -> u32 {
        value
    }
    fn add(&mut self, x: u32, y: u32) -> u32 {
        (f(x) + f(y)).to_bits()
    }
    fn sub(&mut self, x: u32, y: u32) -> u32 {
        (f(x) - f(y)).to_bits()
    }
    fn mul(&mut self, x: u32, y: u32) -> u32 {
        (f(x) * f(y)).to_bits()
    }
    fn div(&mut self, x: u32, y: u32) -> u32 {
        (f(x) / f(y)).to_bits()
    }
    fn fma(&mut self, x: u32, y: u32, z: u32) -> u32 {
        f(x).mul_add(f(y), f(z)).to_bits()
    }
    fn sqrt(&mut self, x: u32) -> u32 {
        f(x).sqrt().to_bits()
    }
    fn floor(&mut self, x: u32) -> u32 {
        f(x).floor().to_bits()
    }
    fn above(&mut self, x: u32, y: u32) -> u32 {
        if f(x) > f(y) { x } else { y }
    }
    fn below(&mut self, x: u32, y: u32) -> u32 {
        if f(x) < f(y) { x } else { y }
    }
    fn lt(&mut self, x: u32, y: u32) -> bool {
        f(x) < f(y)
    }
    fn le(&mut self, x: u32, y: u32) -> bool {
        f(x) <= f(y)
    }
    fn eq(&mut self, x: u32, y: u32) -> bool {
        f(x) == f(y)
    }
    fn is_nan(&mut self, x: u32) -> bool {
        f(x).is_nan()
    }
    fn bits(&mut self, x: u32) -> u32 {
        x
    }
    fn number(&mut self, x: u32) -> u32 {
        x
    }
    fn iadd(&mut self, x: u32, y: u32) -> u32 {
        x.wrapping_add(y)
    }
    fn isub(&mut self, x: u32, y: u32) -> u32 {
        x.wrapping_sub(y)
    }
    fn imul(&mut self, x: u32, y: u32) -> u32 {
        x.wrapping_mul(y)
    }
    fn shl(&mut self, x: u32, by: u32) -> u32 {
        x << by
    }
    fn shr(&mut self, x: u32, by: u32) -> u32 {
        x >> by
    }
    fn sar(&mut self, x: u32, by: u32) -> u32 {
        (x as i32 >> by) as u32
    }
    fn and(&mut self, x: u32, y: u32) -> u32 {
        x & y
    }
    fn or(&mut self, x: u32, y: u32) -> u32 {
        x | y
    }
    fn xor(&mut self, x: u32, y: u32) -> u32 {
        x ^ y
    }
    fn ilt(&mut self, x: u32, y: u32) -> bool {
        (x as i32) < y as i32
    }
    fn ieq(&mut self, x: u32, y: u32) -> bool {
        x == y
    }
    fn to_float(&mut self, x: u32) -> u32 {
        (x as i32 as f32).to_bits()
    }
    fn to_int(&mut self, x: u32) -> u32 {
        f(x) as i32 as u32
    }
    fn select(&mut self, c: bool, x: u32, y: u32) -> u32 {
        if c { x } else { y }
    }
    fn both(&mut self, x: bool, y: bool) -> bool {
        x & y
    }
    fn either(&mut self, x: bool, y: bool) -> bool {
        x | y
    }
    fn not(&mut self, x: bool) -> bool {
        !x
    }
    fn truth(&mut self, x: bool) -> u32 {
        u32::from(x)
    }
}
