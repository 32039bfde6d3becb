//! Bytes of machine instructions.
//!
//! In: opcodes and registers by number. Out: their encodings, and on request their text. Invariant: a line of text says what
//! the bytes beside it do; both are written by the same call.

use super::inst::{Level, Width};
use super::rows::{self, Form, Row};
use std::fmt::Write;

pub type Reg = u8;

/// A memory operand with its registers.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// `None`: the constants behind the function, at `displacement`.
    pub base: Option<Reg>,
    pub index: Option<(Reg, u8)>,
    pub displacement: i32,
    pub broadcast: bool,
}

/// The r/m operand.
#[derive(Clone, Copy, Debug)]
pub enum Rm {
    Reg(Reg),
    Mem(Place),
}

pub const RSP: Reg = 4;
pub const RBP: Reg = 5;
/// Reserved for instructions that are several of the machine's.
pub const SCRATCH: Reg = 11;

/// Label of a block.
pub type Label = usize;

pub struct Assembler {
    pub level: Level,
    pub bytes: Vec<u8>,
    /// Lanes that a mask leaves out become 0 instead of staying as they are.
    pub zeroing: bool,
    text: Option<String>,
    labels: Vec<Option<usize>>,
    /// Places of 32 bits that hold the distance to a label, or to a constant, from the end of their instruction.
    jumps: Vec<(usize, Label)>,
    constants: Vec<(usize, usize, i32)>,
}

const NAMES: [&str; 16] =
    ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];

pub fn general(reg: Reg) -> &'static str {
    NAMES[usize::from(reg & 15)]
}

impl Assembler {
    pub fn new(level: Level, labels: usize, text: bool) -> Assembler {
        let text = text.then(String::new);
        Assembler {
            level,
            bytes: vec![],
            zeroing: false,
            text,
            labels: vec![None; labels],
            jumps: vec![],
            constants: vec![],
        }
    }

    /// Adds a line of text.
    pub fn line(&mut self, line: std::fmt::Arguments<'_>) {
        if let Some(text) = &mut self.text {
            let _ = writeln!(text, "{line}");
        }
    }

    pub fn bind(&mut self, label: Label) {
        self.labels[label] = Some(self.bytes.len());
        self.line(format_args!("block{label}:"));
    }

    /// The constants behind the code, and all distances filled in.
    pub fn finish(mut self, pool: &[u8]) -> (Vec<u8>, String) {
        for &(at, label) in &self.jumps {
            let Some(target) = self.labels[label] else { panic!("invariant broken: block {label} is jumped to") };
            let distance = target as i32 - (at as i32 + 4);
            self.bytes[at..at + 4].copy_from_slice(&distance.to_le_bytes());
        }
        self.bytes.resize(self.bytes.len().next_multiple_of(64), 0xCC);
        let start = self.bytes.len() as i32;
        for &(at, end, offset) in &self.constants {
            self.bytes[at..at + 4].copy_from_slice(&(start + offset - end as i32).to_le_bytes());
        }
        self.bytes.extend_from_slice(pool);
        (self.bytes, self.text.unwrap_or_default())
    }

    pub fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub fn word(&mut self, word: i32) {
        self.bytes.extend_from_slice(&word.to_le_bytes());
    }

    pub fn jump(&mut self, code: Option<u8>, label: Label) {
        match code {
            None => self.byte(0xE9),
            Some(code) => self.bytes.extend_from_slice(&[0x0F, 0x80 + code]),
        }
        self.jumps.push((self.bytes.len(), label));
        self.word(0);
        match code {
            None => self.line(format_args!("  jmp label{label}")),
            Some(code) => self.line(format_args!("  j{} label{label}", condition(code))),
        }
    }

    /// ModRM, SIB and displacement. `scale` compresses displacements of one byte; `behind` bytes follow in the instruction.
    fn modrm(&mut self, field: u8, rm: Rm, scale: i32, behind: usize) {
        let field = (field & 7) << 3;
        let place = match rm {
            Rm::Reg(reg) => return self.byte(0xC0 | field | reg & 7),
            Rm::Mem(place) => place,
        };
        let Some(base) = place.base else {
            self.byte(field | 5);
            let at = self.bytes.len();
            self.constants.push((at, at + 4 + behind, place.displacement));
            return self.word(0);
        };
        let d = place.displacement;
        let short = (d % scale == 0).then_some(d / scale).and_then(|d| i8::try_from(d).ok());
        let (mode, sib) = match short {
            Some(0) if base & 7 != RBP => (0x00, place.index.is_some() || base & 7 == RSP),
            Some(_) => (0x40, place.index.is_some() || base & 7 == RSP),
            None => (0x80, place.index.is_some() || base & 7 == RSP),
        };
        if sib {
            let (index, log) = place.index.unwrap_or((RSP, 0));
            self.byte(mode | field | 4);
            self.byte(log << 6 | (index & 7) << 3 | base & 7);
        } else {
            self.byte(mode | field | base & 7);
        }
        match (mode, short) {
            (0x40, Some(short)) => self.byte(short as u8),
            (0x80, _) => self.word(d),
            _ => {}
        }
    }

    /// A general instruction: `opcode` is one byte, or two where the first is 0F.
    pub fn general(&mut self, opcode: &[u8], wide: bool, field: Reg, rm: Rm, behind: usize) {
        let (x, b) = match rm {
            Rm::Reg(reg) => (0, reg >> 3),
            Rm::Mem(p) => (p.index.map_or(0, |(i, _)| i >> 3), p.base.map_or(0, |b| b >> 3)),
        };
        // Always a prefix: with one, register 4 to 7 of a byte instruction are not the high bytes of 0 to 3.
        self.byte(0x40 | u8::from(wide) << 3 | (field >> 3) << 2 | x << 1 | b);
        self.bytes.extend_from_slice(opcode);
        self.modrm(field, rm, 1, behind);
    }

    /// The text of an operand.
    pub fn show(&self, rm: Rm, reg: &dyn Fn(Reg) -> String) -> String {
        if self.text.is_none() {
            return String::new();
        }
        match rm {
            Rm::Reg(r) => reg(r),
            Rm::Mem(p) => {
                let mut out = String::from("[");
                match p.base {
                    Some(base) => out += general(base),
                    None => out += "constants",
                }
                if let Some((index, log)) = p.index {
                    let _ = write!(out, " + {} * {}", general(index), 1 << log);
                }
                if p.displacement != 0 {
                    let _ = write!(out, " {:+}", p.displacement);
                }
                out + if p.broadcast { "]{all}" } else { "]" }
            }
        }
    }

    /// A vector instruction with up to three register fields; `mask` is a mask register or 0.
    pub fn vector(&mut self, row: &Row, width: Width, fields: (Reg, Reg, Rm), imm: Option<u8>, mask: u8) {
        let (reg, second, rm) = fields;
        let behind = usize::from(imm.is_some());
        match self.level {
            Level::Avx2 => self.vex(row, width == Width::Y, (reg, second, rm)),
            Level::Avx512 => self.evex(row, width, (reg, second, rm), mask),
        }
        self.byte(row.opcode);
        let broadcast = matches!(rm, Rm::Mem(p) if p.broadcast);
        let scale = match self.level {
            Level::Avx2 => 1,
            Level::Avx512 if broadcast => 4,
            Level::Avx512 if row.element > 0 => i32::from(row.element),
            Level::Avx512 => width.bytes() as i32,
        };
        self.modrm(reg, rm, scale, behind);
        if let Some(imm) = imm {
            self.byte(imm);
        }
        if self.text.is_some() {
            self.show_vector(row, width, fields, imm, mask);
        }
    }

    fn show_vector(&mut self, row: &Row, width: Width, (reg, second, rm): (Reg, Reg, Rm), imm: Option<u8>, mask: u8) {
        let letter = ['x', 'y', 'z'][width as usize];
        let name = |r: Reg| format!("{letter}mm{r}");
        let last = self.show(rm, &name);
        let mut parts = match row.form {
            Form::Three => vec![name(reg), name(second), last],
            Form::Two => vec![name(reg), last],
            Form::Store => vec![last, name(reg)],
            Form::Shift => vec![name(second), last],
        };
        if mask > 0 {
            parts[0] += &format!("{{k{mask}}}");
        }
        parts.extend(imm.map(|i| i.to_string()));
        self.line(format_args!("  {} {}", row.name, parts.join(", ")));
    }

    fn vex(&mut self, row: &Row, long: bool, (reg, second, rm): (Reg, Reg, Rm)) {
        let (x, b) = match rm {
            Rm::Reg(reg) => (0, reg >> 3),
            Rm::Mem(p) => (p.index.map_or(0, |(i, _)| i >> 3), p.base.map_or(0, |b| b >> 3)),
        };
        let last = !second << 3 & 0x78 | u8::from(long) << 2 | row.prefix;
        if x == 0 && b == 0 && row.map == 1 {
            self.bytes.extend_from_slice(&[0xC5, (reg >> 3 ^ 1) << 7 | last]);
        } else {
            let first = (reg >> 3 ^ 1) << 7 | (x ^ 1) << 6 | (b ^ 1) << 5 | row.map;
            self.bytes.extend_from_slice(&[0xC4, first, last]);
        }
    }

    fn evex(&mut self, row: &Row, width: Width, (reg, second, rm): (Reg, Reg, Rm), mask: u8) {
        let bit = |r: Reg, n: u8| r >> n & 1;
        let (x, b, broadcast) = match rm {
            Rm::Reg(r) => (bit(r, 4), bit(r, 3), false),
            Rm::Mem(p) => (p.index.map_or(0, |(i, _)| bit(i, 3)), p.base.map_or(0, |r| bit(r, 3)), p.broadcast),
        };
        let first = (bit(reg, 3) ^ 1) << 7 | (x ^ 1) << 6 | (b ^ 1) << 5 | (bit(reg, 4) ^ 1) << 4 | row.map;
        let third = !second << 3 & 0x78 | 0x04 | row.prefix;
        let last = u8::from(self.zeroing) << 7
            | (width as u8) << 5
            | u8::from(broadcast) << 4
            | (bit(second, 4) ^ 1) << 3
            | mask;
        self.bytes.extend_from_slice(&[0x62, first, third, last]);
    }

    /// `kmovw` between a general and a mask register (Intel's manual: VEX.L0.0F.W0 92 and 93).
    pub fn mask_from(&mut self, mask: u8, reg: Reg) {
        self.bytes.extend_from_slice(&[0xC4, 0xC1 | (reg >> 3 ^ 1) << 5, 0x78, 0x92]);
        self.byte(0xC0 | mask << 3 | reg & 7);
        self.line(format_args!("  kmovw k{mask}, {}", general(reg)));
    }

    pub fn mask_to(&mut self, reg: Reg, mask: u8) {
        self.bytes.extend_from_slice(&[0xC4, 0x61 | (reg >> 3 ^ 1) << 7, 0x78, 0x93]);
        self.byte(0xC0 | (reg & 7) << 3 | mask);
        self.line(format_args!("  kmovw {}, k{mask}", general(reg)));
    }

    /// `vzeroupper`: code behind that uses the older vector instructions does not wait for the upper halves.
    pub fn zero_upper(&mut self) {
        self.bytes.extend_from_slice(&[0xC5, 0xF8, 0x77]);
        self.line(format_args!("  vzeroupper"));
    }

    /// All lanes 0.
    pub fn zero(&mut self, reg: Reg, width: Width) {
        self.vector(&rows::XOR, width, (reg, reg, Rm::Reg(reg)), None, 0);
    }
}

pub fn condition(code: u8) -> &'static str {
    ["o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"][usize::from(code & 15)]
}
