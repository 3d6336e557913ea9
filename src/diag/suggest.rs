//! Suggestions for misspelt names.

/// The candidate closest to `found`, when it is close enough to be a likely typo: edit distance (with swaps of
/// neighbours counted once) at most a third of the longer name, at least 1. Ties go to the first candidate.
pub fn closest<'a>(found: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Names longer than this are not typed by hand; the distance is quadratic in their length.
    const LONGEST: usize = 64;
    if found.len() > LONGEST {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        if candidate == found || candidate.len() > LONGEST {
            continue;
        }
        let distance = edit_distance(found, candidate);
        let limit = (found.chars().count().max(candidate.chars().count()) / 3).max(1);
        if distance <= limit && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, name)| name)
}

/// Optimal string alignment distance: insert, delete, replace, swap of neighbours, each at cost 1.
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let substitution = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = substitution.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = last;
        last = row;
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_typos_and_nothing_else() {
        assert_eq!(closest("sigmiod", ["tanh", "sigmoid"]), Some("sigmoid"));
        assert_eq!(closest("desne", ["dense", "dropout"]), Some("dense"));
        assert_eq!(closest("x", ["y"]), Some("y"));
        assert_eq!(closest("flatten", ["dense", "conv2d"]), None);
    }
}
