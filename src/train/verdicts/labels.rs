//! What the data say: labels that are missing, told by an input, or not those of their rows.

use super::curves::{Point, settled};
use super::learning::stays;
use super::{Cause, Evidence, Facts, Trial, Verdict, figure, percent};

/// Labelled rows in a batch, below which steps go by single rows.
const LABELS_IN_A_BATCH: f64 = 4.0;
/// The part of rows that the training rows also hold.
const SHARED: f64 = 0.05;
/// A class has at least this part of the rows for its share to be told from a metric by chance.
const FREQUENT: f64 = 0.6;

pub(super) fn verdicts(evidence: &Evidence) -> Vec<Verdict> {
    let mut found = Vec::new();
    match &evidence.facts {
        Some(facts) => {
            found.extend(missing(facts));
            found.extend(leaks(facts));
            found.extend(shared(facts));
            found.extend(most_frequent(evidence, facts));
            if evidence.diverged.is_none() && !evidence.is_game() {
                found.extend(evidence.losses.iter().filter_map(|loss| unrelated(evidence, facts, loss)));
            }
        }
        None => found.extend(too_good(evidence)),
    }
    found
}

fn missing(facts: &Facts) -> Vec<Verdict> {
    let of = |missing: &super::Missing| {
        let (labelled, rows) = (missing.rows - missing.missing, missing.rows);
        if labelled == 0 {
            return Some(Verdict::new(
                Cause::NoLabels,
                format!("`{}` has no label in any of {rows} rows", missing.target),
            ));
        }
        let in_a_batch = facts.batch_size as f64 * labelled as f64 / rows as f64;
        (missing.missing > 0 && in_a_batch < LABELS_IN_A_BATCH.min(0.5 * facts.batch_size as f64)).then(|| {
            let headline = format!(
                "`{}` is missing in {} of the training rows: a batch of {} has {} labels",
                missing.target,
                percent(missing.missing as f64 / rows as f64),
                facts.batch_size,
                figure(in_a_batch)
            );
            Verdict::new(Cause::FewLabels, headline).with(format!("{labelled} of {rows} rows have a label"))
        })
    };
    facts.missing.iter().filter_map(of).collect()
}

fn leaks(facts: &Facts) -> Vec<Verdict> {
    let of = |telling: &super::Telling| {
        let headline =
            format!("the inputs hold the target: {} of `{}` tells `{}`", telling.column, telling.input, telling.target);
        let share = if telling.share > 0.999_95 { "100".to_string() } else { format!("{:.2}", 100.0 * telling.share) };
        Verdict::new(Cause::Leak, headline)
            .with(format!("it explains {share} % of the variance in {} rows", telling.rows))
    };
    facts.telling.iter().map(of).collect()
}

fn shared(facts: &Facts) -> Option<Verdict> {
    let shared = facts.shared.as_ref().filter(|shared| shared.count >= 5)?;
    let part = shared.count as f64 / shared.rows as f64;
    (part >= SHARED).then(|| {
        let headline = format!("{} of the {} rows also stand among the training rows", percent(part), shared.part);
        Verdict::new(Cause::SharedRows, headline)
            .with(format!("{} of {} rows, by all their inputs", shared.count, shared.rows))
    })
}

fn most_frequent(evidence: &Evidence, facts: &Facts) -> Option<Verdict> {
    let part = evidence.unseen_part().unwrap_or("train");
    evidence.higher.iter().find_map(|metric| {
        let name = format!("{part}/{metric}");
        let end = evidence.history.last(&name)?;
        let is_its_share = |(of, _, share): &&(String, String, f64)| {
            of == part && (FREQUENT..1.0).contains(share) && (end - share).abs() < 1e-4
        };
        let (_, target, _) = facts.frequent.iter().find(is_its_share)?;
        let headline = format!(
            "`{metric}` is {}, the share of the most frequent class of `{target}`: that class is always predicted",
            figure(end)
        );
        Some(Verdict::new(Cause::MostFrequent, headline))
    })
}

/// A loss that is the same whichever row's label is held against a prediction.
fn unrelated(evidence: &Evidence, facts: &Facts, loss: &str) -> Option<Verdict> {
    let trial = |part: &str| facts.trials.iter().find(|trial| trial.loss == loss && trial.part == part);
    let told = |trial: &Trial| {
        format!(
            "{}: {} with the rows' own labels, {} with shuffled ones",
            trial.part,
            figure(trial.paired),
            figure(trial.mean())
        )
    };
    let seen = trial("train")?;
    let series: Vec<Point> = evidence.history.series(&format!("train/{loss}"));
    let (start, end) = (evidence.at_first(loss)?, settled(&series)?);
    // What did not move is told otherwise.
    if stays(&series).is_some() {
        return None;
    }
    if seen.is_at_chance() {
        let headline =
            format!("`{loss}` knows nothing of the labels, not even on the training rows: shuffled labels do as well");
        let stays = format!(
            "it came from {} to {}, what the best constant prediction gives or worse",
            figure(start),
            figure(end)
        );
        return Some(Verdict::new(Cause::Unrelated, headline).with(told(seen)).with(stays));
    }
    let unseen = ["validation", "test"].into_iter().find_map(trial).filter(|trial| trial.is_at_chance())?;
    let headline = format!(
        "what `{loss}` learned holds for the training rows only: on {} rows shuffled labels do as well",
        unseen.part
    );
    Some(Verdict::new(Cause::Unrelated, headline).with(told(unseen)).with(told(seen)))
}

fn too_good(evidence: &Evidence) -> Option<Verdict> {
    let part = evidence.unseen_part()?;
    evidence.higher.iter().find_map(|metric| {
        let series = evidence.history.series(&format!("{part}/{metric}"));
        let first = series.iter().find(|point| point.at == 1)?;
        let untrained = series.iter().find(|point| point.at == 0).is_none_or(|point| point.value < 0.9);
        (series.len() >= 3 && untrained && (0.9995..=1.0).contains(&first.value)).then(|| {
            Verdict::new(Cause::TooGood, format!("{part} `{metric}` is {} after one epoch", figure(first.value)))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Curves, Missing, Shared, Telling, verdicts};
    use super::*;
    use indexmap::IndexMap;

    fn evidence(facts: Facts, train: &[f64]) -> Evidence {
        let epochs = (1..=train.len()).map(|at| Some(at as f64)).collect();
        let columns = IndexMap::from([
            ("epoch".to_string(), epochs),
            ("train/error".to_string(), train.iter().map(|x| Some(*x)).collect()),
        ]);
        Evidence {
            history: Curves::of(columns),
            objectives: vec!["error".into()],
            losses: vec!["error".into()],
            labelled: ["error".to_string()].into(),
            higher: vec!["hits".into()],
            facts: Some(facts),
            ..Evidence::default()
        }
    }

    fn causes(facts: Facts, train: &[f64]) -> Vec<Cause> {
        verdicts(&evidence(facts, train)).iter().map(|verdict| verdict.cause).collect()
    }

    const FALL: [f64; 6] = [1.0, 0.7, 0.5, 0.4, 0.35, 0.33];

    fn trial(part: &str, paired: f64) -> Trial {
        Trial { part: part.into(), loss: "error".into(), paired, shuffled: vec![0.69, 0.71, 0.7, 0.705, 0.695] }
    }

    #[test]
    fn few_labels_are_told_by_what_a_batch_has_of_them() {
        let facts = |missing, batch_size| Facts {
            missing: vec![Missing { target: "y".into(), missing, rows: 1000 }],
            batch_size,
            ..Facts::default()
        };
        assert_eq!(causes(facts(950, 32), &FALL), [Cause::FewLabels]);
        assert_eq!(causes(facts(1000, 32), &FALL), [Cause::NoLabels]);
        assert_eq!(causes(facts(900, 128), &FALL), []);
        assert_eq!(causes(facts(0, 2), &FALL), [], "a small batch is no lack of labels");
    }

    #[test]
    fn what_tells_the_target_is_named() {
        let telling =
            Telling { input: "x".into(), column: "column 3".into(), target: "y".into(), share: 1.0, rows: 200 };
        let found = verdicts(&evidence(Facts { telling: vec![telling], ..Facts::default() }, &FALL));
        assert_eq!(found[0].headline, "the inputs hold the target: column 3 of `x` tells `y`");
        let shared = |count| Facts { shared: Some(Shared { part: "test", count, rows: 100 }), ..Facts::default() };
        assert_eq!((causes(shared(40), &FALL), causes(shared(2), &FALL)), (vec![Cause::SharedRows], vec![]));
    }

    #[test]
    fn labels_that_can_be_shuffled_are_not_those_of_their_rows() {
        let facts = |train, validation| Facts {
            trials: vec![trial("train", train), trial("validation", validation)],
            ..Facts::default()
        };
        assert_eq!(causes(facts(0.1, 0.2), &FALL), []);
        assert_eq!(causes(facts(0.7, 0.7), &[0.8, 0.72, 0.7, 0.71, 0.7, 0.7]), [Cause::Unrelated]);
        assert_eq!(causes(facts(0.1, 0.9), &FALL), [Cause::Unrelated], "learned by heart");
        // A little is more than nothing.
        assert_eq!(causes(facts(0.66, 0.66), &FALL), []);
    }

    #[test]
    fn a_metric_that_is_a_class_s_share_is_no_skill() {
        let facts = |share| Facts { frequent: vec![("train".into(), "y".into(), share)], ..Facts::default() };
        let mut run = evidence(facts(0.9), &FALL);
        run.history.columns.insert("train/hits".into(), vec![Some(0.9); 6]);
        assert_eq!(verdicts(&run)[0].cause, Cause::MostFrequent);
        run.facts = Some(facts(0.85));
        assert_eq!(verdicts(&run), []);
    }

    #[test]
    fn without_data_what_is_perfect_at_once_is_suspected() {
        let mut run = evidence(Facts::default(), &FALL);
        run.facts = None;
        run.history.columns.insert("validation/hits".into(), vec![Some(1.0); 6]);
        assert_eq!(verdicts(&run)[0].cause, Cause::TooGood);
        run.history.columns["validation/hits"][0] = Some(0.97);
        assert_eq!(verdicts(&run), []);
    }
}
