//! Labels as class numbers.
//!
//! In: a text column and the number of classes that the source declares. Out: an i32 per row in `0..K` and the classes'
//! names. Invariant: the order of classes does not depend on the order of the rows.

use super::raw::{ABSENT, Coded};
use crate::base::Diagnostic;
use crate::check::spec::FieldSpec;
use crate::runtime::limits;
use std::cmp::Ordering;

/// Class numbers and what each stands for.
#[derive(Debug)]
pub struct Classes {
    pub codes: Vec<i32>,
    pub names: Vec<String>,
}

/// Labels sorted: numbers by value before texts by their characters. The result is a list of codes.
pub fn sorted(column: &Coded) -> Vec<u32> {
    let mut order: Vec<u32> = (0..column.labels.len() as u32).collect();
    order.sort_by(|&a, &b| compare(&column.labels[a as usize], &column.labels[b as usize]));
    order
}

fn compare(a: &str, b: &str) -> Ordering {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(x), Ok(y)) => x.total_cmp(&y).then_with(|| a.cmp(b)),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => a.cmp(b),
    }
}

/// Class numbers of a column. Whole numbers in `0..K` stand for themselves, so that an absent class moves no other; other
/// labels take their place among the sorted ones, and then there must be no more than K.
///
/// Errors: E0406 with the line and the label.
pub fn classes(
    field: &FieldSpec,
    declared: Option<u64>,
    column: &Coded,
    shown: &str,
) -> Result<Classes, Box<Diagnostic>> {
    let order = sorted(column);
    let numbers: Option<Vec<f64>> = column.labels.iter().map(|l| l.parse().ok()).collect();
    let position = match numbers {
        Some(numbers) if !numbers.is_empty() => numeric(field, declared, column, &numbers, &order, shown)?,
        _ => {
            if let Some(count) = declared.filter(|&k| order.len() as u64 > k) {
                return Err(too_many(field, count, column, &order, shown));
            }
            rank(&order)
        }
    };
    let highest = position.iter().max().map_or(0, |&p| p as usize + 1);
    let count = declared.map_or(highest, |k| (k.min(limits::LABELS as u64) as usize).max(highest));
    let mut names: Vec<String> = (0..count).map(|i| i.to_string()).collect();
    for (code, &place) in position.iter().enumerate() {
        names[place as usize].clone_from(&column.labels[code]);
    }
    let to_class = |&code: &u32| {
        assert!(code != ABSENT, "a missing label is an error or its row was left out");
        position[code as usize] as i32
    };
    Ok(Classes { codes: column.codes.iter().map(to_class).collect(), names })
}

fn rank(order: &[u32]) -> Vec<u32> {
    let mut position = vec![0; order.len()];
    order.iter().enumerate().for_each(|(place, &code)| position[code as usize] = place as u32);
    position
}

/// The class of each label where all labels are numbers.
fn numeric(
    field: &FieldSpec,
    declared: Option<u64>,
    column: &Coded,
    numbers: &[f64],
    order: &[u32],
    shown: &str,
) -> Result<Vec<u32>, Box<Diagnostic>> {
    let bad = (0..numbers.len()).find(|&i| numbers[i] < 0.0 || numbers[i].fract() != 0.0 || numbers[i] > 2e9);
    if let Some(i) = bad {
        let what = "a class is a whole number from 0 or a text";
        return Err(wrong(field, column, i, shown, what));
    }
    let distinct = numbers.len();
    let (least, most) = (numbers[order[0] as usize], numbers[order[order.len() - 1] as usize]);
    let direct = match declared {
        Some(count) => most < count as f64,
        None => least == 0.0 && most < (4 * distinct) as f64,
    };
    if direct {
        return Ok(numbers.iter().map(|&n| n as u32).collect());
    }
    match declared {
        Some(count) if least == 0.0 || distinct as u64 != count => {
            let worst = order[order.len() - 1] as usize;
            let what = format!("`{}` has {count} classes: 0 to {}", field.name, count.saturating_sub(1));
            Err(wrong(field, column, worst, shown, &what))
        }
        _ => Ok(rank(order)),
    }
}

fn wrong(field: &FieldSpec, column: &Coded, label: usize, shown: &str, what: &str) -> Box<Diagnostic> {
    let place = column.place(label, shown);
    let text = format!("{place}: label {} is no class of `{}`", column.labels[label], field.name);
    let error = Diagnostic::error("E0406", field.span, text, what);
    Box::new(error.note(format!("the labels found: {}", list(column, &sorted(column)))))
}

fn too_many(field: &FieldSpec, count: u64, column: &Coded, order: &[u32], shown: &str) -> Box<Diagnostic> {
    let last = (0..column.lines.len()).rev().max_by_key(|&i| column.lines[i]).expect("more labels than classes");
    let (place, label) = (column.place(last, shown), &column.labels[last]);
    let text = format!("{place}: \"{label}\" is label number {} of `{}`", order.len(), field.name);
    let error = Diagnostic::error("E0406", field.span, text, format!("class({count}) has room for {count}"));
    let note = format!("the labels found: {}; write `class({})`", list(column, order), order.len());
    Box::new(error.note(note))
}

fn list(column: &Coded, order: &[u32]) -> String {
    let shown: Vec<&str> = order.iter().take(12).map(|&c| column.labels[c as usize].as_str()).collect();
    let more = if order.len() > 12 { format!(" and {} more", order.len() - 12) } else { String::new() };
    shown.join(", ") + &more
}
