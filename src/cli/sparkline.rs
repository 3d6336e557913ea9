//! Curves of a few characters.

use super::progress::number;
use crate::ir::Role;
use crate::train::History;
use std::fmt::Write as _;

/// Characters of a curve.
const CURVE: usize = 32;
/// From the lowest to the highest.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// A longer name is cut, so that a line has room for the curve.
const NAME: usize = 24;

/// The losses of a run's training, a line each: `train error  ▇▅▃▂▁  2.31 -> 0.05`. Nothing of fewer than three epochs.
pub(super) fn losses(history: &History) -> String {
    let Some(part) = history.epochs.last().and_then(|last| last.parts.iter().find(|part| part.part == "train")) else {
        return String::new();
    };
    let mut text = String::new();
    for (reported, _) in part.values.iter().filter(|(reported, _)| reported.role == Role::Loss) {
        let values: Vec<Option<f64>> = history.epochs.iter().map(|epoch| epoch.get("train", &reported.name)).collect();
        let known: Vec<f64> = values.iter().flatten().copied().filter(|value| value.is_finite()).collect();
        let [first, _, .., last] = known[..] else { continue };
        let (low, high) = known.iter().fold((first, first), |(low, high), value| (low.min(*value), high.max(*value)));
        // Before training there is no value.
        let curve = sparkline(&values[values.iter().take_while(|value| value.is_none()).count()..], low, high);
        let name: String = format!("train {}", reported.name).chars().take(NAME).collect();
        let _ = writeln!(text, "{name:<NAME$} {curve} {} -> {}", number(first), number(last));
    }
    text
}

/// A curve of at most [`CURVE`] characters: each the mean of the values that it stands for, a space where there is none.
pub(super) fn sparkline(values: &[Option<f64>], low: f64, high: f64) -> String {
    let n = values.len().min(CURVE);
    let bar = |at: usize| {
        let part = &values[at * values.len() / n..((at + 1) * values.len() / n)];
        let known: Vec<f64> = part.iter().flatten().copied().filter(|value| value.is_finite()).collect();
        if known.is_empty() {
            return ' ';
        }
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        let share = if high > low { (mean - low) / (high - low) } else { 0.0 };
        BARS[((share * BARS.len() as f64) as usize).min(BARS.len() - 1)]
    };
    (0..n).map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{EpochRecord, PartRecord, Reported};

    #[test]
    fn a_curve_goes_from_low_to_high() {
        let rising: Vec<Option<f64>> = (0..8).map(|at| Some(f64::from(at))).collect();
        assert_eq!(sparkline(&rising, 0.0, 7.0), "▁▂▃▄▅▆▇█");
        let long: Vec<Option<f64>> = (0..1000).map(|at| Some(f64::from(at))).collect();
        assert_eq!(sparkline(&long, 0.0, 999.0).chars().count(), CURVE);
        assert_eq!(sparkline(&[None, Some(1.0), Some(f64::NAN)], 1.0, 1.0), " ▁ ");
        assert_eq!(sparkline(&[], 0.0, 1.0), "");
    }

    #[test]
    fn a_run_s_losses_fit_a_line() {
        let reported = |role, name: &str| Reported { role, name: name.into() };
        let values = [reported(Role::Loss, "a_loss_with_quite_a_long_name_of_its_own"), reported(Role::Metric, "hits")];
        let epoch = |at: u32| {
            let parts = match at {
                0 => Vec::new(),
                _ => vec![PartRecord::new("train", &values, &[Some(1234.5 / f64::from(at)), Some(1.0)])],
            };
            EpochRecord { epoch: at, step: 0, parts, weights: Vec::new() }
        };
        let history = |n| History { epochs: (0..n).map(epoch).collect() };
        let text = losses(&history(100));
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.starts_with("train a_loss_with_quite_") && text.contains('▁') && text.contains(" -> "), "{text}");
        assert!(text.trim_end().chars().count() <= 80, "{text}");
        assert_eq!(losses(&history(3)), "", "two epochs are no curve");
    }
}
