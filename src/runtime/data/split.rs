//! Which rows are for training, validation and test.
//!
//! In: the shares, the class of each row where the split is stratified, and a seed. Out: the rows of each part, ascending.
//! Invariant: the parts share no row, and they follow from data, shares and seed alone.

use super::raw::Errors;
use crate::base::Diagnostic;
use crate::check::spec::{DataSpec, Part, SplitSpec};
use crate::runtime::random::{Purpose, Stream};

/// Row numbers, ascending; i32 because the compiled step gathers by i32.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    pub train: Vec<i32>,
    pub valid: Vec<i32>,
    pub test: Vec<i32>,
}

impl Parts {
    /// The rows of `train`, `valid` or `test`.
    pub fn named(&self, name: &str) -> Option<&[i32]> {
        match name {
            "train" => Some(&self.train),
            "valid" => Some(&self.valid),
            "test" => Some(&self.test),
            _ => None,
        }
    }
}

/// Splits `rows` rows, of which the first `given` are the files' own training part.
pub fn split(
    spec: &DataSpec,
    rows: usize,
    given: Option<usize>,
    strata: Option<&[i32]>,
    seed: u64,
) -> Result<Parts, Errors> {
    let shares = &spec.split;
    check(spec, given).map_err(|e| vec![*e])?;
    let boundary = given.unwrap_or(rows);
    let mut parts = Parts::default();
    for (part, to) in [(shares.valid, &mut parts.valid), (shares.test, &mut parts.test)] {
        if part == Part::Given {
            *to = (boundary as i32..rows as i32).collect();
        }
    }
    let cut = fractions(shares);
    for stratum in groups(boundary, strata, seed) {
        let at = |share: f64| (share * stratum.len() as f64 + 0.5).floor() as usize;
        let (train, valid, test) = (at(cut[0]), at(cut[1]), at(cut[2]));
        parts.train.extend(&stratum[..train]);
        parts.valid.extend(&stratum[train..valid]);
        parts.test.extend(&stratum[valid..test]);
    }
    for part in [&mut parts.train, &mut parts.valid, &mut parts.test] {
        part.sort_unstable();
    }
    if parts.train.is_empty() {
        let text = format!("the training part of `{}` has no row: {rows} rows, {}", spec.name, describe(shares));
        return Err(vec![Diagnostic::error("E0403", shares.span, text, "a larger share, or more data")]);
    }
    Ok(parts)
}

/// W0406 for each part that has a share of these rows and none of them.
pub fn warn_empty(spec: &DataSpec, rows: usize, parts: &Parts) -> Errors {
    let shares = &spec.split;
    let all = [("valid", shares.valid, &parts.valid), ("test", shares.test, &parts.test)];
    let warn = |(name, part, found): (&str, Part, &Vec<i32>)| {
        let share = if let Part::Share(share) = part { share } else { return None };
        if !found.is_empty() || share <= 0.0 {
            return None;
        }
        let share = (share * 1e6).round() / 1e4;
        let each = if shares.stratify.is_some() { "of each class " } else { "" };
        let text = format!("the `{name}` part of `{}` has no row: {share}% {each}of {rows} rows", spec.name);
        let label = match least_share(rows).filter(|_| shares.stratify.is_none()) {
            Some(least) => format!("write `{name} = {least}%` or more"),
            None => "a larger share, or more data".to_string(),
        };
        let warning = Diagnostic::warning("W0406", shares.span, text, label);
        Some(warning.note("together the shares are 100% at most: `train` may need a smaller one"))
    };
    all.into_iter().filter_map(warn).collect()
}

/// The least share in whole per cent that is one of `rows` rows, however the shares before it are rounded, and leaves others.
pub fn least_share(rows: usize) -> Option<usize> {
    (rows > 1).then(|| 100usize.div_ceil(rows))
}

/// The steps of a long sequence in their order: first `train`, then `valid`, then `test`. Nothing is shuffled, so the later
/// parts lie in the future of the earlier ones.
pub fn by_position(spec: &DataSpec, steps: usize) -> Result<Parts, Errors> {
    let shares = &spec.split;
    check(spec, None).map_err(|e| vec![*e])?;
    if shares.stratify.is_some() {
        let text = "windows are split by position, so the split cannot be stratified";
        return Err(vec![Diagnostic::error("E0414", shares.span, text, "leave `stratify` out")]);
    }
    let cut = fractions(shares).map(|share| (share * steps as f64 + 0.5).floor() as i32);
    Ok(Parts { train: (0..cut[0]).collect(), valid: (cut[0]..cut[1]).collect(), test: (cut[1]..cut[2]).collect() })
}

/// Cumulated shares of the pool (the given training rows, or all): up to train, valid, test. What `train = given` leaves
/// to the others it loses; without any share, everything is for training.
fn fractions(shares: &SplitSpec) -> [f64; 3] {
    let of = |part| if let Part::Share(share) = part { share } else { 0.0 };
    let (valid, test) = (of(shares.valid), of(shares.test));
    let train = match shares.train {
        Part::Share(share) => share,
        Part::Given | Part::None => 1.0 - valid - test,
    };
    let cap = |x: f64| x.clamp(0.0, 1.0);
    [cap(train), cap(train + valid), cap(train + valid + test)]
}

/// The pool's rows, shuffled, in one group or one per class.
fn groups(pool: usize, strata: Option<&[i32]>, seed: u64) -> Vec<Vec<i32>> {
    let mut groups: Vec<Vec<i32>> = Vec::new();
    match strata {
        None => groups.push((0..pool as i32).collect()),
        Some(classes) => {
            for (row, &class) in classes[..pool].iter().enumerate() {
                if groups.len() <= class as usize {
                    groups.resize(class as usize + 1, Vec::new());
                }
                groups[class as usize].push(row as i32);
            }
        }
    }
    for (index, group) in groups.iter_mut().enumerate() {
        Stream::new(seed, Purpose::Split, index as u64).shuffle(group);
    }
    groups
}

fn check(spec: &DataSpec, given: Option<usize>) -> Result<(), Box<Diagnostic>> {
    let shares = &spec.split;
    let all = [shares.train, shares.valid, shares.test];
    let fail = |text: String, label: &str| Err(Box::new(Diagnostic::error("E0414", shares.span, text, label)));
    if given.is_none() && all.contains(&Part::Given) {
        let text = format!("`{}` files mark no parts, so nothing is `given`", spec.reader.name);
        return fail(text, "write shares, as in `split(train = 80%, test = 20%)`");
    }
    if shares.valid == Part::Given && shares.test == Part::Given {
        return fail("the files give one part beside `train`, not two".into(), "write `valid = 10%`");
    }
    let sum: f64 = all.iter().map(|p| if let Part::Share(s) = p { *s } else { 0.0 }).sum();
    if sum > 1.0 + 1e-9 {
        return fail(format!("the shares add up to {}%", (sum * 1e6).round() / 1e4), "at most 100%");
    }
    Ok(())
}

fn describe(shares: &SplitSpec) -> String {
    match shares.train {
        Part::Share(share) => format!("of which {}% are for training", share * 100.0),
        Part::Given | Part::None => "and the other parts take them all".to_string(),
    }
}
