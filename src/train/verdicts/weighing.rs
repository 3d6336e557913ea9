//! How losses were weighed: weights that collapse or stand at a bound, gradients that drown or oppose each other.

use super::curves::{Point, lowest, settled};
use super::{Cause, Evidence, Verdict, figure, percent};
use crate::train::advice::{Advice, Seen, Trouble, advise};

/// A weight that fell by such a factor beside a loss that rose by such a part.
const FELL: f64 = 4.0;
const ROSE: f64 = 0.05;
/// A trained weight that fell by such a factor is nearly gone.
const GONE: f64 = 20.0;
/// From a weight a tenth of what it was, a loss that still has this part of its first value, and falls by less than that part more, is
/// hardly learned any more.
const UNLEARNED: f64 = 0.1;
const STILL: f64 = 0.25;
/// A weight that found its balance moves by less than this part in the last quarter of the epochs.
const BALANCED: f64 = 0.05;
/// Epochs at a bound.
const EPOCHS: usize = 3;

pub(super) fn verdicts(evidence: &Evidence) -> Vec<Verdict> {
    let mut found = collapsed(evidence);
    found.extend(at_bound(evidence));
    // Losses of several objectives are not weighed against each other.
    if !evidence.is_game() {
        found.extend(gradients(evidence));
    }
    found
}

/// Each loss's weight in a total, by the names of both. Weights that are fixed are not reported, and do not move.
fn weights_in_totals(evidence: &Evidence) -> Vec<(String, String, Vec<Point>)> {
    let history = &evidence.history;
    let split = |name: &str| {
        let (total, loss) = name.strip_prefix("train/weight/")?.split_once('/')?;
        Some((total.to_string(), loss.to_string(), history.series(name)))
    };
    history.names().filter_map(split).collect()
}

fn collapsed(evidence: &Evidence) -> Vec<Verdict> {
    let is_trained = evidence.trains_weights || evidence.history.names().any(|name| name.starts_with("weight/"));
    let of = |(total, loss, weights): (String, String, Vec<Point>)| {
        let losses = evidence.history.series(&format!("train/{loss}"));
        let (first, end) = (weights.first()?.value.abs(), settled(&weights)?.abs());
        let times = if end > 0.0 { first / end } else { f64::INFINITY };
        let (best, now) = (lowest(&losses)?, settled(&losses)?);
        let then = weights.iter().find(|weight| weight.at >= best.at)?.value.abs();
        let since = if end > 0.0 { then / end } else { f64::INFINITY };
        let fell =
            format!("its weight in `{total}` fell {} times, from {} to {}", figure(times), figure(first), figure(end));
        let rise = (now - best.value) / best.value.abs();
        if times >= FELL && since >= FELL / 2.0 && best.value != 0.0 && rise >= ROSE && losses.last()?.at >= best.at + 2
        {
            let headline = format!("`{loss}` rose {} since epoch {} while {fell}", percent(rise), best.at);
            return Some(Verdict::new(Cause::CollapsedWeight, headline).with(format!(
                "`{loss}`: {} in epoch {}, {} at the end",
                figure(best.value),
                best.at,
                figure(now)
            )));
        }
        if !is_trained || times < GONE {
            return None;
        }
        let gone = weights.iter().find(|weight| weight.value.abs() <= 0.1 * first)?;
        let after: Vec<Point> = losses.iter().copied().filter(|point| point.at >= gone.at).collect();
        let start = evidence.at_first(&loss)?;
        // One that goes with the size of its loss, as `uncertainty` has it, comes to rest.
        let before = weights[weights.len() - 1 - weights.len() / 4].value.abs();
        let is_falling = end == 0.0 || end < (1.0 - BALANCED) * before;
        let stays = is_falling
            && after.len() >= EPOCHS
            && now.abs() > UNLEARNED * start.abs()
            && after[0].value - now < STILL * after[0].value.abs();
        stays.then(|| {
            let headline = format!("`{loss}` is hardly learned any more, at {}, since {fell}", figure(now));
            Verdict::new(Cause::CollapsedWeight, headline)
                .with(format!("a tenth of its weight is left from epoch {} on", gone.at))
        })
    };
    weights_in_totals(evidence).into_iter().filter_map(of).collect()
}

fn at_bound(evidence: &Evidence) -> Vec<Verdict> {
    let of = |(column, (low, high)): (&String, &(f64, f64))| {
        let series = evidence.history.series(column);
        let scale = if low.is_finite() && high.is_finite() { high - low } else { 1.0 };
        let end = series.last()?.value;
        let bound = [*low, *high].into_iter().find(|bound| (end - bound).abs() <= 1e-6 * scale)?;
        let from = series.iter().rposition(|point| (point.value - bound).abs() > 1e-6 * scale).map_or(0, |at| at + 1);
        let stays = series.len() - from;
        // What began there was put there.
        (from > 0 && stays >= EPOCHS.max(series.len() / 4)).then(|| {
            let name = column.trim_start_matches("weight/");
            let headline =
                format!("the weight `{name}` stands at its bound {} since epoch {}", figure(bound), series[from].at);
            Verdict::new(Cause::WeightAtBound, headline).with(format!(
                "it is kept within {} and {}",
                figure(*low),
                figure(*high)
            ))
        })
    };
    evidence.bounds.iter().filter_map(of).collect()
}

fn gradients(evidence: &Evidence) -> Vec<Verdict> {
    Seen::in_history(&evidence.history).iter().filter_map(advise).flat_map(|advice| of_advice(&advice)).collect()
}

fn of_advice(advice: &Advice) -> Vec<Verdict> {
    let losses = &advice.losses;
    let mut found = Vec::new();
    if advice.troubles.contains(&Trouble::Magnitude) {
        let (hardest, least) = (&losses[advice.extremes.0], &losses[advice.extremes.1]);
        let times = figure(advice.ratio);
        let what = if losses.len() == 2 { "the other" } else { "another" };
        let headline = format!(
            "one gradient is {times} times {what}: `{}` drowns `{}` in `{}`; magnitude, not direction",
            hardest.name, least.name, advice.objective
        );
        let mut verdict = Verdict::new(Cause::Magnitude, headline).with(format!(
            "lengths as applied, the median: {} of `{}`, {} of `{}`",
            figure(hardest.applied),
            hardest.name,
            figure(least.applied),
            least.name
        ));
        if let Some(weights) = &advice.weights {
            let names: Vec<&str> = losses.iter().map(|loss| loss.name.as_str()).collect();
            let weights: Vec<String> = weights.iter().map(ToString::to_string).collect();
            verdict.help = format!("try `weighted({}, weights=[{}])`", names.join(", "), weights.join(", "));
        }
        found.push(verdict);
    }
    if advice.troubles.contains(&Trouble::Direction) {
        let Some(worst) = advice.pairs.iter().min_by(|a, b| a.cosine.total_cmp(&b.cosine)) else { return found };
        let (one, other) = (&losses[worst.losses.0].name, &losses[worst.losses.1].name);
        let headline =
            format!("`{one}` and `{other}` pull against each other, at a mean cosine of {}", figure(worst.cosine));
        found.push(
            Verdict::new(Cause::Direction, headline)
                .with(format!("below 0 in {} of the epochs that are looked at", percent(worst.against))),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::{Curves, verdicts};
    use super::*;
    use indexmap::IndexMap;

    fn evidence(columns: &[(&str, &dyn Fn(usize) -> f64)]) -> Evidence {
        let n = 13;
        let mut all = IndexMap::from([("epoch".to_string(), (0..n).map(|at| Some(at as f64)).collect::<Vec<_>>())]);
        for (name, value) in columns {
            all.insert((*name).to_string(), (0..n).map(|at| (at > 0).then(|| value(at))).collect());
        }
        Evidence {
            history: Curves::of(all),
            objectives: vec!["total".into()],
            losses: vec!["a".into(), "b".into()],
            ..Evidence::default()
        }
    }

    fn causes(evidence: &Evidence) -> Vec<Cause> {
        verdicts(evidence).iter().map(|verdict| verdict.cause).collect()
    }

    fn fall(at: usize) -> f64 {
        0.8f64.powi(at as i32)
    }

    #[test]
    fn a_loss_that_rises_as_its_weight_falls_was_weighed_away() {
        let rises = |at: usize| if at < 4 { 1.0 - 0.1 * at as f64 } else { 0.7 + 0.05 * (at - 4) as f64 };
        let found = verdicts(&evidence(&[
            ("train/total", &fall),
            ("train/a", &rises),
            ("train/b", &fall),
            ("train/weight/total/a", &|at| fall(at)),
        ]));
        assert_eq!(found[0].cause, Cause::CollapsedWeight);
        assert!(found[0].headline.contains("since epoch 3 while its weight in `total` fell 9"), "{found:?}");
        // A weight that falls beside a loss that is learned is what it should be.
        let fine = evidence(&[
            ("train/total", &fall),
            ("train/a", &fall),
            ("train/b", &fall),
            ("train/weight/total/a", &fall),
        ]);
        assert_eq!(causes(&fine), []);
    }

    #[test]
    fn a_weight_that_is_gone_leaves_its_loss_unlearned() {
        let gone = |at: usize| 0.4f64.powi(at as i32);
        let columns: [(&str, &dyn Fn(usize) -> f64); 4] =
            [("train/total", &gone), ("train/a", &|_| 1.0), ("train/weight/total/a", &gone), ("weight/total.w", &gone)];
        assert!(causes(&evidence(&columns)).contains(&Cause::CollapsedWeight));
        // One that comes to rest has its balance.
        let rests = |at: usize| gone(at.min(5));
        let mut resting = columns;
        resting[2].1 = &rests;
        assert!(!causes(&evidence(&resting)).contains(&Cause::CollapsedWeight));
        // One that no training moves was meant to go.
        assert!(!causes(&evidence(&columns[..3])).contains(&Cause::CollapsedWeight));
    }

    #[test]
    fn a_weight_stands_at_its_bound_once_it_came_there() {
        let mut evidence = evidence(&[
            ("train/total", &fall),
            ("weight/w", &|at| if at < 5 { 0.5 - 0.1 * at as f64 } else { 0.0 }),
            ("weight/v", &|_| 0.0),
            ("weight/u", &|at| 0.5 - 0.03 * at as f64),
        ]);
        evidence.bounds = ["w", "v", "u"].iter().map(|name| (format!("weight/{name}"), (0.0, 1.0))).collect();
        let found = verdicts(&evidence);
        assert_eq!((found.len(), found[0].cause), (1, Cause::WeightAtBound));
        assert!(found[0].headline.contains("`w` stands at its bound 0 since epoch 5"), "{found:?}");
    }

    #[test]
    fn gradients_are_held_against_each_other_as_they_are_applied() {
        let slow = |at: usize| 1.0 - 0.02 * at as f64;
        let observed = |norm: f64, cosine: f64, b_in_total: f64| {
            causes(&evidence(&[
                ("train/total", &slow),
                ("train/a", &slow),
                ("train/b", &slow),
                ("train/term/total/b", &|at| b_in_total * slow(at)),
                ("train/norm/total/a", &|_| 1.0),
                ("train/norm/total/b", &|_| norm),
                ("train/cosine/total/a/b", &|_| cosine),
            ]))
        };
        assert_eq!(observed(140.0, 0.1, 1.0), [Cause::Magnitude]);
        assert_eq!(observed(1.0, -0.9, 1.0), [Cause::Direction]);
        assert_eq!(observed(2.0, 0.1, 1.0), []);
        // A fixed weight that evens them out is read from what the total has of the loss.
        assert_eq!(observed(140.0, 0.1, 0.01), []);
    }
}
