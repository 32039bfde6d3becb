//! "Did you mean": the nearest of a list of names.
//!
//! In: a misspelt name and what would be right there. Out: a suggestion or none. Invariant: the answer depends on the
//! candidates' order only among equally near ones.

/// The candidate nearest to `name`: one edit away, two where both have six letters, three where both have nine. Names of
/// one or two letters are not misspelt but meant: to put another in their place would be a guess at the formula.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = |c: &str| match name.chars().count().min(c.chars().count()) {
        0..=2 => 0,
        short => (short / 3).clamp(1, 3),
    };
    let best = candidates.into_iter().map(|c| (distance(name, c), c)).filter(|(d, c)| *d <= limit(c));
    best.min_by_key(|(d, _)| *d).map(|(_, c)| c)
}

/// Edits between two words, a swap of neighbours counting as one (Damerau 1964, optimal string alignment).
pub fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > 8 || a.len() > 64 {
        return usize::MAX;
    }
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_misspelt_name_finds_its_neighbour() {
        assert_eq!(nearest("dnse", ["relu", "dense", "mse"]), Some("dense"));
        assert_eq!(nearest("kernal", ["kernel", "stride"]), Some("kernel"));
        assert_eq!(nearest("banana", ["kernel", "stride"]), None);
        assert_eq!(nearest("adma", ["adam", "adamax"]), Some("adam"));
    }

    #[test]
    fn a_short_name_is_not_taken_for_another() {
        assert_eq!(nearest("m", ["g", "w"]), None);
        assert_eq!(nearest("ln", ["l1", "l2"]), None);
        assert_eq!(nearest("clamp", ["ramp"]), None);
        assert_eq!(nearest("log1p", ["log"]), None);
    }
}
