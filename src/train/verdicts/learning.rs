//! How the losses went: divergence, steps that overshoot, losses that nothing moved, overfitting.

use super::curves::{Point, lowest, range, settled};
use super::{Cause, Evidence, Verdict, figure, percent};
use crate::diag::Code;

/// A loss that rises to so many times its first value overshoots: epochs are means, single steps are of one batch.
const EPOCHS_RISE: f64 = 3.0;
const STEPS_RISE: f64 = 10.0;
/// A loss that still has this part of its first value is not learned, and may be looked at for jumps.
const UNLEARNED: f64 = 0.1;
/// Mean change from epoch to epoch, as a part of the value, and the part of changes that turn around.
const JUMPS: f64 = 0.3;
const TURNS: f64 = 0.4;
/// A loss that moved by less than this part of its first value has not moved; by less than that, nothing moved it.
const UNMOVED: f64 = 0.005;
const ROUNDING: f64 = 1e-6;
/// Fewer epochs say nothing of how a loss goes on.
const EPOCHS: usize = 4;

pub(super) fn verdicts(evidence: &Evidence) -> Vec<Verdict> {
    let mut found: Vec<Verdict> = diverged(evidence).into_iter().collect();
    if evidence.is_game() {
        return found;
    }
    if found.is_empty() {
        found.extend(overshooting(evidence));
    }
    found.extend(unmoved(evidence));
    found.extend(overfitting(evidence));
    found
}

fn diverged(evidence: &Evidence) -> Option<Verdict> {
    let text = evidence.diverged.as_ref()?;
    let what = text.trim_start_matches("training diverged: ");
    let rise = evidence.gauges().into_iter().find_map(|loss| rise(evidence, loss));
    let mut verdict = match rise {
        Some(rise) => Verdict::new(Cause::Diverged, format!("the learning rate is too high: {rise}, then {what}")),
        None => {
            let help =
                "look for a logarithm, a root or a division that is given 0; `anabranch bisect RUN` finds the step";
            Verdict { help: help.into(), ..Verdict::new(Cause::Diverged, format!("training diverged: {what}")) }
                .with("the loss had not risen before")
        }
    };
    verdict.code = Some(Code::E0607);
    Some(verdict)
}

/// How a loss rose to many times what it was.
fn rise(evidence: &Evidence, loss: &str) -> Option<String> {
    let start = evidence.at_first(loss).filter(|start| *start != 0.0)?;
    let told = |peak: Point, unit: &str| {
        format!("`{loss}` rose from {} to {} by {unit} {}", figure(start), figure(peak.value), peak.at)
    };
    let highest = |series: Vec<Point>, factor: f64| {
        let peak = series.into_iter().reduce(|best, point| if point.value > best.value { point } else { best })?;
        (peak.value > factor * start.abs()).then_some(peak)
    };
    let steps = evidence.facts.as_ref().map(|facts| facts.first_steps.series(loss)).unwrap_or_default();
    highest(steps, STEPS_RISE).map(|peak| told(peak, "step")).or_else(|| {
        highest(evidence.history.series(&format!("train/{loss}")), EPOCHS_RISE).map(|peak| told(peak, "epoch"))
    })
}

fn overshooting(evidence: &Evidence) -> Option<Verdict> {
    let gauges = evidence.gauges();
    if let Some(rises) = all(&gauges, |loss| rise(evidence, loss)) {
        return Some(Verdict::new(Cause::LearningRate, format!("the learning rate is too high: {}", rises.join("; "))));
    }
    if let Some(texts) = all(&gauges, |loss| ends_above(evidence, loss)) {
        return Some(Verdict::new(Cause::LearningRate, format!("the learning rate is too high: {}", texts.join("; "))));
    }
    let jumps = all(&gauges, |loss| jumping(evidence, loss))?;
    Some(Verdict::new(Cause::LearningRate, format!("the learning rate is too high: {}", jumps.join("; "))))
}

/// What there is to say of each; none when there is nothing to say of one.
fn all<'a>(losses: &[&'a str], say: impl Fn(&'a str) -> Option<String>) -> Option<Vec<String>> {
    if losses.is_empty() { None } else { losses.iter().map(|loss| say(loss)).collect() }
}

fn ends_above(evidence: &Evidence, loss: &str) -> Option<String> {
    let start = evidence.at_first(loss)?;
    let series = evidence.history.series(&format!("train/{loss}"));
    let end = settled(&series).filter(|_| series.len() >= EPOCHS)?;
    (end > start + 0.2 * start.abs())
        .then(|| format!("`{loss}` ends at {}, above {} where it began", figure(end), figure(start)))
}

/// A loss that jumps up and down by large parts of itself and gets no lower.
fn jumping(evidence: &Evidence, loss: &str) -> Option<String> {
    let series = evidence.history.series(&format!("train/{loss}"));
    let half = &series[series.len() / 2..];
    let start = evidence.at_first(loss)?;
    if half.len() < EPOCHS || settled(half)?.abs() < UNLEARNED * start.abs() {
        return None;
    }
    let changes: Vec<f64> = half.windows(2).map(|pair| pair[1].value - pair[0].value).collect();
    let level = half.iter().map(|point| point.value.abs()).sum::<f64>() / half.len() as f64;
    let jump = changes.iter().map(|change| change.abs()).sum::<f64>() / changes.len() as f64 / level;
    let turns = changes.windows(2).filter(|pair| pair[0] * pair[1] < 0.0).count() as f64;
    let turns = turns / (changes.len() - 1).max(1) as f64;
    (jump > JUMPS && turns >= TURNS).then(|| {
        let (low, high) = range(half);
        format!("`{loss}` jumps between {} and {} from epoch {} on", figure(low), figure(high), half[0].at)
    })
}

/// Losses about where they were. Of those with labels only where shuffled labels show that nothing is known.
fn unmoved(evidence: &Evidence) -> Option<Verdict> {
    let gauges = evidence.gauges();
    // What was learned elsewhere may stay.
    if evidence.begins_elsewhere {
        return None;
    }
    let texts = all(&gauges, |loss| {
        let series = evidence.history.series(&format!("train/{loss}"));
        let (first, last) = (series.first()?.value, series.last()?.value);
        let why = stays(&series)?;
        let (from, to, n) = (figure(first), figure(last), series.len());
        Some(format!("`{loss}` was never learned: {from} in the first epoch, {to} after {n}; {why}"))
    })?;
    Some(Verdict::new(Cause::NeverLearned, texts.join("; ")))
}

/// Why a loss is where it was in the first epoch; nothing of one that moved, or goes up and down by chance.
pub(super) fn stays(series: &[Point]) -> Option<&'static str> {
    let start = series.first()?.value.abs();
    let (low, high) = range(series);
    if series.len() < EPOCHS || start == 0.0 || high - low > UNMOVED * start {
        return None;
    }
    let falls = series.windows(2).filter(|pair| pair[1].value < pair[0].value).count();
    if high - low <= ROUNDING * start {
        Some("training changes nothing: its gradient is 0, or the learning rate")
    } else if falls as f64 >= 0.9 * (series.len() - 1) as f64 {
        Some("it falls steadily but too slowly: the learning rate is too small")
    } else {
        None
    }
}

fn overfitting(evidence: &Evidence) -> Vec<Verdict> {
    let Some(part) = evidence.unseen_part() else { return Vec::new() };
    let of = |loss: &String| {
        let seen = evidence.history.series(&format!("train/{loss}"));
        let unseen = evidence.history.series(&format!("{part}/{loss}"));
        let (first, best, end) = (unseen.first()?.value, lowest(&unseen)?, settled(&unseen)?);
        let last = unseen.last()?.at;
        if best.at + 3 > last || evidence.kept.is_some_and(|kept| kept <= best.at + 3) {
            return None;
        }
        let trained = |epoch: u32| seen.iter().find(|point| point.at >= epoch).map(|point| point.value);
        let (then, now) = (trained(best.at.max(1))?, settled(&seen)?);
        let (rise, fall) = (end - best.value, first - best.value);
        let rises = rise > 0.1 * best.value.abs() && rise > 0.05 * fall;
        (rises && then - now > 0.1 * then.abs()).then(|| {
            let by = if best.value > 0.0 { format!(" by {}", percent(rise / best.value)) } else { String::new() };
            let headline = format!("`{loss}` overfits since epoch {}: {part} rose{by} while training fell", best.at);
            Verdict::new(Cause::Overfitting, headline)
                .with(format!("{part}: {} in epoch {}, {} at the end", figure(best.value), best.at, figure(end)))
                .with(format!("train: {} then, {} at the end", figure(then), figure(now)))
        })
    };
    evidence.losses.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Curves, verdicts};
    use super::*;
    use indexmap::IndexMap;

    /// A run of one labelled loss: as evaluated before training and after each epoch, and in training from epoch 1.
    fn run(train: &[f64], validation: &[f64]) -> Evidence {
        let epochs = (0..=train.len()).map(|at| Some(at as f64)).collect();
        let mut columns = IndexMap::from([("epoch".to_string(), epochs)]);
        columns.insert("train/error".into(), std::iter::once(None).chain(train.iter().map(|x| Some(*x))).collect());
        if !validation.is_empty() {
            columns.insert("validation/error".into(), validation.iter().map(|x| Some(*x)).collect());
        }
        Evidence {
            history: Curves::of(columns),
            objectives: vec!["error".into()],
            losses: vec!["error".into()],
            labelled: ["error".to_string()].into(),
            ..Evidence::default()
        }
    }

    fn causes(evidence: &Evidence) -> Vec<Cause> {
        verdicts(evidence).iter().map(|verdict| verdict.cause).collect()
    }

    #[test]
    fn a_run_that_learns_has_no_verdict() {
        let fall = |at: usize| 2.0 * 0.8f64.powi(at as i32) + 0.1 + 0.02 * (at as f64).sin();
        let train: Vec<f64> = (1..20).map(fall).collect();
        let validation: Vec<f64> = (0..20).map(|at| 1.1 * fall(at)).collect();
        assert_eq!(causes(&run(&train, &validation)), []);
        assert_eq!(causes(&run(&train, &[])), []);
        // What is nearly 0 may jump.
        let noise: Vec<f64> =
            (0..20).map(|at| if at == 0 { 1.0 } else { 1e-6 * (1.0 + 0.9 * (3.0 * at as f64).sin()) }).collect();
        assert_eq!(causes(&run(&noise, &noise.iter().chain(&[1e-6]).copied().collect::<Vec<_>>())), []);
    }

    #[test]
    fn steps_that_overshoot_are_known_by_what_they_do() {
        let blown = run(&[50.0, 4.0, 1.1, 1.0, 1.0], &[1.0, 3.0, 1.0, 1.0, 1.0, 1.0]);
        assert_eq!(causes(&blown)[0], Cause::LearningRate);
        let above = run(&[1.2, 1.5, 1.4, 1.6, 1.5, 1.6], &[1.0, 1.4, 1.5, 1.5, 1.4, 1.5, 1.6]);
        assert_eq!(causes(&above)[0], Cause::LearningRate);
        let jumps: Vec<f64> = (0..16).map(|at| if at % 2 == 0 { 0.4 } else { 0.9 }).collect();
        assert_eq!(causes(&run(&jumps, &[])), [Cause::LearningRate]);
        // Half as much up and down is what small batches do.
        let noise: Vec<f64> = (0..16).map(|at| if at % 2 == 0 { 0.6 } else { 0.7 }).collect();
        assert_eq!(causes(&run(&noise, &[])), []);
    }

    #[test]
    fn a_divergence_says_whether_the_loss_rose_before() {
        let mut evidence = run(&[2.0, 90.0], &[]);
        evidence.diverged = Some("training diverged: the loss `error` became inf".into());
        let verdict = verdicts(&evidence).remove(0);
        assert!(verdict.headline.contains("the learning rate is too high: `error` rose from 2 to 90"), "{verdict:?}");
        let mut evidence = run(&[2.0, 1.5], &[]);
        evidence.diverged = Some("training diverged: the loss `error` became NaN".into());
        let verdict = verdicts(&evidence).remove(0);
        assert!(!verdict.headline.contains("learning rate") && verdict.help.contains("logarithm"), "{verdict:?}");
    }

    #[test]
    fn a_loss_that_stays_is_told_by_how_it_stays() {
        let slow: Vec<f64> = (0..10).map(|at| 1.0 - 1e-4 * at as f64).collect();
        assert!(verdicts(&run(&slow, &[]))[0].headline.contains("too slowly"));
        assert!(verdicts(&run(&[0.7; 10], &[]))[0].headline.contains("changes nothing"));
        // A model that began with what another run learned may stay there.
        let mut learned = run(&[0.7; 10], &[]);
        learned.begins_elsewhere = true;
        assert_eq!(causes(&learned), []);
    }

    #[test]
    fn overfitting_is_a_rise_beside_a_fall() {
        let train: Vec<f64> = (1..12).map(|at| 0.7 * 0.7f64.powi(at)).collect();
        let validation = [0.72, 0.6, 0.52, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2];
        let mut evidence = run(&train, &validation);
        let found = verdicts(&evidence);
        assert_eq!((found.len(), found[0].cause), (1, Cause::Overfitting));
        assert!(found[0].headline.contains("since epoch 3"), "{found:?}");
        // The run kept the params of then.
        evidence.kept = Some(3);
        assert_eq!(causes(&evidence), []);
        // A rise that is small beside the fall is none, and neither is one beside a training loss that stays.
        let small: Vec<f64> = validation.iter().enumerate().map(|(at, x)| if at == 0 { 40.0 } else { *x }).collect();
        assert_eq!(causes(&run(&train, &small)), []);
    }
}
