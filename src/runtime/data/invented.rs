//! Numbers in the place of `given` data that nobody gave: to measure with.
//!
//! In: a `given` data item and a number of rows. Out: a data set of that many rows. Invariant: the same item and seed give the
//! same numbers, and every number is one that the field may hold.

use super::{Dataset, Errors, Field, Parts, Storage};
use crate::base::{Diagnostic, Extent};
use crate::check::spec::{DataSpec, FieldSpec, Kind};
use crate::runtime::limits;
use crate::runtime::random::{Purpose, Stream};
use std::collections::BTreeMap;

/// Classes of a field whose item does not say how many there are.
const CLASSES: u32 = 10;
/// The extent of an axis that nothing gives a number.
const EXTENT: u64 = 64;

/// Every number uniform in -1..1, every class and token as likely as any other, all rows for training.
///
/// Errors: E0803 where a field would be larger than its rows may be.
pub fn invent(spec: &DataSpec, rows: u64, seed: u64) -> Result<Dataset, Errors> {
    let mut symbols = BTreeMap::new();
    let mut fields = Vec::new();
    for (index, field) in spec.fields.iter().enumerate() {
        let mut stream = Stream::new(seed, Purpose::Invented, index as u64);
        fields.push(column(field, rows, &mut stream, &mut symbols).map_err(|e| vec![*e])?);
    }
    let parts = Parts { train: (0..rows as i32).collect(), ..Parts::default() };
    let (name, symbols) = (spec.name.clone(), symbols.into_iter().collect());
    Ok(Dataset { name, rows: rows as usize, fields, parts, symbols, warnings: Errors::new() })
}

fn column(
    field: &FieldSpec,
    rows: u64,
    stream: &mut Stream,
    symbols: &mut BTreeMap<u32, u64>,
) -> Result<Field, Box<Diagnostic>> {
    let mut number = |extent: Extent, other: u64| match extent {
        Extent::Fixed(n) => n,
        Extent::Sym(s) => *symbols.entry(s).or_insert(other),
    };
    let shape: Vec<u64> = field.shape.iter().map(|&e| number(e, EXTENT)).collect();
    let elements = shape.iter().try_fold(rows, |n, &d| n.checked_mul(d)).and_then(|n| usize::try_from(n).ok());
    let Some(elements) = elements.filter(|&n| n <= limits::ROWS && rows <= limits::ROWS as u64) else {
        let text = format!("`{}` would be more than {} numbers in {rows} rows", field.name, limits::ROWS);
        return Err(Box::new(Diagnostic::error("E0803", field.span, text, "too large to be measured")));
    };
    let count = match field.kind {
        Kind::Real => None,
        Kind::Class(count) | Kind::Token(count) => {
            Some(count.map_or(CLASSES, |e| number(e, u64::from(CLASSES)).min(i32::MAX as u64) as u32))
        }
    };
    let storage = match count {
        None => Storage::F32((0..elements).map(|_| unit(stream.next_u32())).collect()),
        Some(count) => Storage::I32((0..elements).map(|_| stream.below(count.max(1)) as i32).collect()),
    };
    let names = count.map_or(0, |n| (n as usize).min(limits::LABELS));
    let classes = (0..names).map(|i| i.to_string()).collect();
    let token = matches!(field.kind, Kind::Token(_));
    Ok(Field { name: field.name.clone(), shape, storage, classes, token, ..Field::default() })
}

/// 24 bits of a word as a number in -1..1.
fn unit(word: u32) -> f32 {
    (word >> 8) as f32 / (1u32 << 23) as f32 - 1.0
}
