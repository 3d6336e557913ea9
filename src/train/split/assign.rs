//! Which row goes to which part. Rows are numbered from 0; those of a part come in their order.

use super::By;
use crate::data::shuffled;
use std::collections::BTreeMap;

/// The rows of the training, validation and test parts.
pub(super) type Assigned = [Vec<u32>; 3];

/// How much less the parts' sizes as a whole count than those within a stratum.
const WHOLE: f64 = 1e-3;

/// The rows of each value, the values in order.
fn strata(values: &[&str]) -> BTreeMap<String, Vec<u32>> {
    let mut strata: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for (row, value) in values.iter().enumerate() {
        strata.entry((*value).to_string()).or_default().push(row as u32);
    }
    strata
}

fn sorted<const N: usize>(mut parts: [Vec<u32>; N]) -> [Vec<u32>; N] {
    parts.iter_mut().for_each(|part| part.sort_unstable());
    parts
}

/// Each part gets its share of the rows of each value, by chance. Each row goes to the part that lacks most of its share so far.
pub(super) fn by_shares(shares: &[f64; 3], values: &[&str], seed: u64) -> Assigned {
    let mut parts: Assigned = Default::default();
    let left_out = (1.0 - shares.iter().sum::<f64>()).max(0.0);
    let shares = [shares[0], shares[1], shares[2], left_out];
    let mut all = [0_usize; 4];
    let place = shuffled(values.len(), seed, 0);
    for rows in strata(values).into_values() {
        let mut rows: Vec<(u32, u32)> = rows.into_iter().map(|row| (place[row as usize], row)).collect();
        rows.sort_unstable();
        let mut own = [0_usize; 4];
        for (at, (_, row)) in rows.iter().enumerate() {
            let n_all: usize = all.iter().sum();
            let lack = |part: usize| {
                let here = shares[part] * (at + 1) as f64 - own[part] as f64;
                here + WHOLE * (shares[part] * (n_all + 1) as f64 - all[part] as f64)
            };
            let most = (0..4).rev().max_by(|a, b| lack(*a).total_cmp(&lack(*b))).unwrap_or(0);
            own[most] += 1;
            all[most] += 1;
            if let Some(part) = parts.get_mut(most) {
                part.push(*row);
            }
        }
    }
    sorted(parts)
}

/// The rows of one value go to one part. The values come in an order of chance, each to the part that lacks most rows.
pub(super) fn by_groups(shares: &[f64; 3], values: &[&str], seed: u64) -> Assigned {
    let mut parts: Assigned = Default::default();
    for (_, rows) in in_chance_order(values, seed) {
        let lack = |part: usize| shares[part] * values.len() as f64 - parts[part].len() as f64;
        let most = (0..3).rev().max_by(|a, b| lack(*a).total_cmp(&lack(*b))).unwrap_or(0);
        parts[most].extend(rows);
    }
    sorted(parts)
}

fn in_chance_order(values: &[&str], seed: u64) -> Vec<(u32, Vec<u32>)> {
    let strata: Vec<Vec<u32>> = strata(values).into_values().collect();
    let mut ordered: Vec<(u32, Vec<u32>)> = shuffled(strata.len(), seed, 0).into_iter().zip(strata).collect();
    ordered.sort_by_key(|(place, _)| *place);
    ordered
}

/// The first rows by the order of their values, then the next, then the last. Rows of one value keep their order.
pub(super) fn in_order(shares: &[f64; 3], values: &[String]) -> Assigned {
    let numbers: Option<Vec<f64>> = values.iter().map(|value| value.parse().ok()).collect();
    let mut rows: Vec<u32> = (0..values.len() as u32).collect();
    match numbers {
        Some(numbers) => rows.sort_by(|a, b| numbers[*a as usize].total_cmp(&numbers[*b as usize])),
        // Dates as 2026-03-31 are in order as texts.
        None => rows.sort_by(|a, b| values[*a as usize].cmp(&values[*b as usize])),
    }
    let end = |share: f64| (share * rows.len() as f64).round() as usize;
    let first = end(shares[0]);
    let second = end(shares[0] + shares[1]).max(first);
    let third = end(shares.iter().sum()).clamp(second, rows.len());
    sorted([rows[..first].to_vec(), rows[first..second].to_vec(), rows[second..third].to_vec()])
}

/// The rows of one fold are the test rows, the others are trained on.
pub(super) fn folds(count: u32, fold: u32, by: &By, values: &[String], n_rows: usize, seed: u64) -> Assigned {
    let mut fold_of = vec![0_u32; n_rows];
    let texts: Vec<&str> = values.iter().map(String::as_str).collect();
    match by {
        By::Group(_) => {
            let mut sizes = vec![0_usize; count as usize];
            for (_, rows) in in_chance_order(&texts, seed) {
                let least = (0..sizes.len()).min_by_key(|at| sizes[*at]).unwrap_or(0);
                sizes[least] += rows.len();
                rows.iter().for_each(|row| fold_of[*row as usize] = least as u32);
            }
        }
        By::Chance | By::Stratify(_) | By::Time(_) => {
            let empty = vec![""; n_rows];
            let place = shuffled(n_rows, seed, 0);
            let mut next = 0;
            for rows in strata(if values.is_empty() { &empty } else { &texts }).into_values() {
                let mut rows: Vec<(u32, u32)> = rows.into_iter().map(|row| (place[row as usize], row)).collect();
                rows.sort_unstable();
                for (_, row) in rows {
                    fold_of[row as usize] = next % count.max(1);
                    next += 1;
                }
            }
        }
    }
    let rows = |is_test: bool| (0..n_rows as u32).filter(|row| (fold_of[*row as usize] == fold) == is_test).collect();
    [rows(false), Vec::new(), rows(true)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARES: [f64; 3] = [0.6, 0.2, 0.2];

    fn disjoint(parts: &Assigned, n: usize) -> bool {
        let mut all: Vec<u32> = parts.iter().flatten().copied().collect();
        all.sort_unstable();
        all == (0..n as u32).collect::<Vec<_>>()
    }

    #[test]
    fn each_part_has_its_share_of_each_value() {
        let values: Vec<&str> = (0..100)
            .map(|row| {
                if row < 50 {
                    "a"
                } else if row < 90 {
                    "b"
                } else {
                    "c"
                }
            })
            .collect();
        let parts = by_shares(&SHARES, &values, 3);
        assert!(disjoint(&parts, 100));
        for (part, shares) in parts.iter().zip([[30, 24, 6], [10, 8, 2], [10, 8, 2]]) {
            let count = |value: &str| part.iter().filter(|row| values[**row as usize] == value).count();
            assert_eq!(["a", "b", "c"].map(count), shares);
        }
        assert_ne!(by_shares(&SHARES, &values, 4), parts);
        assert_eq!(by_shares(&SHARES, &values, 3), parts);
        let half = by_shares(&[0.25, 0.0, 0.25], &values, 0);
        assert_eq!(half.map(|part| part.len()), [25, 0, 25]);
        // Values of one row each fill the parts all the same.
        let names: Vec<String> = (0..50).map(|row| row.to_string()).collect();
        let single = by_shares(&SHARES, &names.iter().map(String::as_str).collect::<Vec<_>>(), 1);
        assert!(disjoint(&single, 50) && single[0].len() >= 30, "{single:?}");
    }

    #[test]
    fn rows_of_a_group_stay_together() {
        let values: Vec<String> = (0..60).map(|row| (row % 12).to_string()).collect();
        let texts: Vec<&str> = values.iter().map(String::as_str).collect();
        let parts = by_groups(&SHARES, &texts, 5);
        assert!(disjoint(&parts, 60));
        assert!(parts.iter().all(|part| part.len().is_multiple_of(5) && !part.is_empty()));
        for group in 0..12 {
            let has = |part: &&Vec<u32>| part.iter().any(|row| row % 12 == group);
            assert_eq!(parts.iter().filter(has).count(), 1, "group {group}");
        }
        for fold in 0..4 {
            let parts = folds(4, fold, &By::Group("g".into()), &values, 60, 1);
            assert!(disjoint(&parts, 60) && parts[2].len() == 15);
        }
    }

    #[test]
    fn time_goes_on_from_part_to_part() {
        let days: Vec<String> = [3, 9, 1, 10, 2, 8, 7, 5, 4, 6].map(|day| day.to_string()).to_vec();
        let parts = in_order(&SHARES, &days);
        let values = parts.map(|part| part.iter().map(|row| days[*row as usize].clone()).collect::<Vec<_>>());
        assert_eq!(values, [vec!["3", "1", "2", "5", "4", "6"], vec!["8", "7"], vec!["9", "10"]]);
        let dates = ["2026-02-01", "2025-12-31", "2026-01-15"].map(String::from);
        assert_eq!(in_order(&[0.7, 0.0, 0.3], &dates), [vec![1, 2], vec![], vec![0]]);
    }

    #[test]
    fn folds_are_all_rows_once() {
        let values: Vec<String> = (0..23).map(|row| (row % 2).to_string()).collect();
        let mut seen = Vec::new();
        for fold in 0..5 {
            let [train, none, test] = folds(5, fold, &By::Stratify("y".into()), &values, 23, 0);
            assert!(none.is_empty() && train.len() + test.len() == 23 && (4..=5).contains(&test.len()));
            let ones = test.iter().filter(|row| *row % 2 == 1).count();
            assert!((2..=3).contains(&ones), "{test:?}");
            seen.extend(test);
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..23).collect::<Vec<_>>());
    }
}
