//! ZIP archives, as far as NPZ files use them: stored and deflated members, zip64.
//!
//! In: the bytes of an archive, a cap, and which members are wanted. Out: these by name. Invariant: every offset and length is held against the
//! bytes that are there, and what comes out of a member is as long as its entry says and no longer than the cap.
//! Source: PKWARE, "APPNOTE.TXT, .ZIP file format specification", version 6.3.10.

use crate::runtime::limits;
use flate2::{Crc, read::DeflateDecoder};
use std::collections::BTreeSet;
use std::io::Read;

#[derive(Debug, PartialEq)]
pub enum Error {
    /// Past the cap.
    Large(String),
    /// More than the machine has.
    Memory(String),
    Wrong(String),
}

fn wrong(text: impl Into<String>) -> Error {
    Error::Wrong(text.into())
}

/// A byte of deflated data stands for at most 1032.
const MOST_EXPANSION: u64 = 1032;

/// Little-endian numbers at places of the archive.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn part(&self, at: u64, length: u64) -> Result<&'a [u8], Error> {
        let end = at.checked_add(length).filter(|&end| end <= self.0.len() as u64);
        end.map(|end| &self.0[at as usize..end as usize]).ok_or_else(|| wrong("the archive is cut off"))
    }

    fn number(&self, at: u64, length: u64) -> Result<u64, Error> {
        Ok(self.part(at, length)?.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b)))
    }
}

/// Names of members, with the content of those that are wanted.
pub type Members = Vec<(String, Option<Vec<u8>>)>;

/// Every member's name, in the order of the archive's directory, and the content of those that are wanted. The others are not
/// expanded, and do not count for the cap.
pub fn entries(archive: &[u8], cap: u64, wanted: &dyn Fn(&str) -> bool) -> Result<Members, Error> {
    let bytes = Bytes(archive);
    let (count, mut at) = directory(&bytes)?;
    if count > limits::ZIP_MEMBERS {
        return Err(wrong(format!("it has {count} members, the cap is {}", limits::ZIP_MEMBERS)));
    }
    let (mut found, mut names, mut left) = (Vec::new(), BTreeSet::new(), cap);
    for _ in 0..count {
        let entry = Entry::read(&bytes, at)?;
        at = entry.next;
        if !names.insert(entry.name.clone()) {
            return Err(wrong(format!("two members are named `{}`", entry.name.escape_default())));
        }
        if !wanted(&entry.name) {
            found.push((entry.name, None));
            continue;
        }
        if entry.size > left {
            return Err(Error::Large(format!("it expands to more than {cap} bytes")));
        }
        let content = entry.content(&bytes)?;
        left -= content.len() as u64;
        found.push((entry.name, Some(content)));
    }
    Ok(found)
}

/// The number of entries and where the first lies: from the record at the end, or from that of zip64.
fn directory(bytes: &Bytes<'_>) -> Result<(u64, u64), Error> {
    let length = bytes.0.len();
    // A comment of up to 65,535 bytes may follow the 22 bytes of the record.
    let first = length.saturating_sub(22 + 65_535);
    let tail = &bytes.0[first..];
    let found = tail.windows(4).rposition(|w| w == b"PK\x05\x06");
    let end = (first + found.ok_or_else(|| wrong("this is no zip archive, or it is cut off"))?) as u64;
    bytes.part(end, 22)?;
    let (count, start) = (bytes.number(end + 10, 2)?, bytes.number(end + 16, 4)?);
    if count != 0xffff && start != 0xffff_ffff {
        return Ok((count, start));
    }
    let locator = end.checked_sub(20).ok_or_else(|| wrong("its zip64 record is missing"))?;
    if bytes.part(locator, 4)? != b"PK\x06\x07" {
        return Ok((count, start));
    }
    let record = bytes.number(locator + 8, 8)?;
    if bytes.part(record, 4)? != b"PK\x06\x06" {
        return Err(wrong("its zip64 record is not where it should be"));
    }
    let at = |offset: u64| record.checked_add(offset).ok_or_else(|| wrong("the archive is cut off"));
    Ok((bytes.number(at(32)?, 8)?, bytes.number(at(48)?, 8)?))
}

struct Entry {
    name: String,
    method: u64,
    crc: u32,
    packed: u64,
    size: u64,
    header: u64,
    next: u64,
}

impl Entry {
    fn read(bytes: &Bytes<'_>, at: u64) -> Result<Entry, Error> {
        if bytes.part(at, 46)?[..4] != *b"PK\x01\x02" {
            return Err(wrong("its directory is damaged"));
        }
        let field = |offset: u64, length: u64| bytes.number(at + offset, length);
        let (names, extras, comments) = (field(28, 2)?, field(30, 2)?, field(32, 2)?);
        let name = String::from_utf8_lossy(bytes.part(at + 46, names)?).into_owned();
        if field(8, 2)? & 1 == 1 {
            return Err(wrong(format!("the member `{}` is encrypted", name.escape_default())));
        }
        let mut entry = Entry {
            name,
            method: field(10, 2)?,
            crc: field(16, 4)? as u32,
            packed: field(20, 4)?,
            size: field(24, 4)?,
            header: field(42, 4)?,
            next: at + 46 + names + extras + comments,
        };
        entry.widen(bytes, at + 46 + names, extras)?;
        Ok(entry)
    }

    /// Takes 64-bit numbers from the extra field 1, in place of those that are all ones.
    fn widen(&mut self, bytes: &Bytes<'_>, mut at: u64, length: u64) -> Result<(), Error> {
        let end = at + length;
        while at + 4 <= end {
            let (tag, size) = (bytes.number(at, 2)?, bytes.number(at + 2, 2)?);
            if tag == 1 {
                let mut place = at + 4;
                for value in [&mut self.size, &mut self.packed, &mut self.header] {
                    if *value == 0xffff_ffff {
                        *value = bytes.number(place, 8)?;
                        place += 8;
                    }
                }
            }
            at += 4 + size;
        }
        Ok(())
    }

    fn content(&self, bytes: &Bytes<'_>) -> Result<Vec<u8>, Error> {
        let shown = self.name.escape_default();
        if bytes.part(self.header, 30)?[..4] != *b"PK\x03\x04" {
            return Err(wrong(format!("the member `{shown}` is not where the directory says")));
        }
        let start = self.header + 30 + bytes.number(self.header + 26, 2)? + bytes.number(self.header + 28, 2)?;
        let packed = bytes.part(start, self.packed)?;
        if self.size / MOST_EXPANSION > self.packed {
            return Err(wrong(format!("the member `{shown}` claims more bytes than can come out of it")));
        }
        let mut content = Vec::new();
        if content.try_reserve_exact((self.size as usize).saturating_add(1)).is_err() {
            return Err(Error::Memory(format!(
                "the member `{shown}` expands to {} bytes, more than there is",
                self.size
            )));
        }
        let read = match self.method {
            0 => (&mut &*packed).take(self.size.saturating_add(1)).read_to_end(&mut content),
            8 => DeflateDecoder::new(packed).take(self.size.saturating_add(1)).read_to_end(&mut content),
            other => return Err(wrong(format!("the member `{shown}` is packed by method {other}; 0 and 8 are read"))),
        };
        let mut crc = Crc::new();
        crc.update(&content);
        if read.is_err() || content.len() as u64 != self.size || crc.sum() != self.crc {
            return Err(wrong(format!("the member `{shown}` is damaged")));
        }
        Ok(content)
    }
}
