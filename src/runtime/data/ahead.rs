//! What is wrong with the fields of a `data` item though no file has been opened.
//!
//! In: a specification whose words are those of the vocabulary. Out: E0105, E0405 and E0415. Invariant: whatever is refused
//! here is refused whatever the file holds.

use super::fields::{class_transforms, fit_shape};
use super::raw::Errors;
use super::vocabulary::vocabulary;
use crate::base::{Diagnostic, Span};
use crate::check::signature::{Place, bind};
use crate::check::spec::{Call, DataSpec, FieldSpec, Kind, Literal};
use std::collections::BTreeMap;

pub fn mistakes(spec: &DataSpec) -> Errors {
    spec.fields.iter().filter_map(|f| field(&spec.reader.name, f).err()).map(|e| *e).collect()
}

fn field(reader: &str, field: &FieldSpec) -> Result<(), Box<Diagnostic>> {
    let Some(call) = &field.source else { return Ok(()) };
    let class = matches!(field.kind, Kind::Class(_));
    if class && reader != "given" {
        class_transforms(field)?;
    }
    if reader != "csv" {
        return Ok(());
    }
    let columns = columns(call)?;
    // Other transforms change the number of columns.
    let keeps = |t: &Call| matches!(t.name.as_str(), "standardize" | "scale" | "category");
    let numbers = matches!(field.kind, Kind::Real) && field.transforms.iter().all(keeps);
    if numbers || class && columns == 1 && field.transforms.is_empty() {
        fit_shape(field, &[columns], &mut BTreeMap::new())?;
    }
    Ok(())
}

/// How many columns a source names.
fn columns(call: &Call) -> Result<u64, Box<Diagnostic>> {
    let args = bind(vocabulary(), Place::Source, "csv", call)?;
    let mut count = 0;
    for which in args.all("which") {
        count += match which {
            Literal::Range(from, to) => {
                let (from, to) = (numbered(*from, call.span)?, numbered(*to, call.span)?);
                to.saturating_sub(from) + 1
            }
            Literal::Number(n) => numbered(*n, call.span).map(|_| 1)?,
            _ => 1,
        };
    }
    Ok(count)
}

fn numbered(n: f64, span: Span) -> Result<u64, Box<Diagnostic>> {
    if n.fract() == 0.0 && (1.0..1e9).contains(&n) {
        return Ok(n as u64);
    }
    let error = Diagnostic::error("E0405", span, format!("there is no column {n}"), "columns are counted from 1");
    Err(Box::new(error.note("a range includes both ends: `columns(1..4)` are four")))
}
