//! Metrics over an epoch do not depend on the batch size.

use crate::common::values::compiled;
use anabranch::data::{Dataset, Field, Numbers};
use anabranch::exec::{ExecutorOptions, Mode};
use anabranch::ir::Role;
use anabranch::train::Trainer;
use proptest::prelude::*;

type Row = (f64, f64, f64, u8);

const SPEC: &str = "\
input p: f32[batch]
input scores: f32[batch, 3]
target truth: f32[batch]
target amount: f32[batch]
target label: i32[batch]
target cell: i32[batch]
target gap: f32[batch]?
param scale: f32 = 1
output guess = scale * p
loss total = square(guess - amount)
metric accuracy_of = accuracy(label, scores)
metric precision_of = precision(truth, guess)
metric recall_of = recall(truth, guess)
metric f1 = f1_score(one_hot(label, 3), scores)
metric area = auc(truth, guess, thresholds=50)
metric overlap = binary_iou(truth, guess)
metric classes_overlap = mean_iou(label, scores)
metric error = root_mean_squared_error(amount, guess)
metric explained = r2_score(amount, guess)
metric correlation = pearson_correlation(amount, guess)
metric gap_error = root_mean_squared_error(gap, guess)
metric scaled = scale * sum(amount) / (1 + sum(truth))
metric weighed_precision = precision(truth, guess, weights=amount)
metric f2 = f_beta(one_hot(label, 3), scores, beta=2, average=\"weighted\", weights=amount)
metric precision_area = auc(truth, guess, thresholds=50, curve_of=\"precision\", weights=amount)
metric sensitive = sensitivity_at_specificity(truth, guess, 0.5)
metric weighed_error = root_mean_squared_error(amount, guess, weights=p)
metric one_overlap = class_iou(label, scores)[1]
metric weighed_hits = weighted_mean(accuracy(label, scores), amount)
metric largest = max(amount)
train { minimize total  optimizer sgd(lr=0) }
";

/// Those that are no function of sums.
const PER_BATCH: &[&str] = &["largest"];

fn dataset(rows: &[Row]) -> Dataset {
    let column =
        |value: &dyn Fn(&Row) -> f64| Field { shape: vec![], values: Numbers::F64(rows.iter().map(value).collect()) };
    let labels = |shift: u8| Field {
        shape: vec![],
        values: Numbers::I32(rows.iter().map(|row| i32::from((row.3 + shift) % 3)).collect()),
    };
    let scores = rows.iter().flat_map(|row| [row.0, row.1, row.2 - row.0]).collect();
    let fields = [
        ("p", column(&|row| row.0)),
        ("scores", Field { shape: vec![3], values: Numbers::F64(scores) }),
        ("truth", column(&|row| f64::from(u8::from(row.1 > 0.5)))),
        ("amount", column(&|row| 3.0 * row.2 + row.0)),
        ("label", labels(0)),
        ("cell", labels(1)),
        ("gap", column(&|row| if row.3 == 2 { f64::NAN } else { row.1 })),
    ];
    Dataset { fields: fields.map(|(name, field)| (name.to_string(), field)).into_iter().collect(), rows: rows.len() }
}

/// The metrics of a pass over the data: evaluated, and as a training epoch reports them.
fn metrics(data: &Dataset, batch_size: usize) -> [Vec<(String, f64)>; 2] {
    let compiled = compiled(SPEC);
    let options = ExecutorOptions { mode: Mode::Planned, threads: 1, ..ExecutorOptions::default() };
    let mut trainer = Trainer::<f64>::new(&compiled, 0, &options).unwrap();
    let named = |reported: &[anabranch::train::Reported], values: &[Option<f64>]| {
        let metrics = reported.iter().zip(values).filter(|(reported, _)| reported.role == Role::Metric);
        metrics.map(|(reported, value)| (reported.name.to_string(), value.unwrap_or(f64::NAN))).collect::<Vec<_>>()
    };
    let evaluated = trainer.evaluate(data, batch_size as u32).unwrap();
    let evaluated = named(&trainer.evaluated(), &evaluated);
    trainer.attach(data).unwrap();
    trainer.begin_epoch();
    let mut means = anabranch::train::Weighted::default();
    let rows: Vec<u32> = (0..data.rows as u32).collect();
    for batch in rows.chunks(batch_size) {
        let (values, weights) = trainer.step(data, batch).unwrap();
        means.add(values, weights);
    }
    let mut means = means.means();
    trainer.finish_epoch(&mut means);
    [evaluated, named(trainer.reported(), &means)]
}

fn is_near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * b.abs().max(1.0) || a.is_nan() && b.is_nan()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 12,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(5),
        ..ProptestConfig::default()
    })]

    #[test]
    fn an_epochs_value_does_not_depend_on_the_batch_size(
        rows in proptest::collection::vec((0.0f64..1.0, 0.0f64..1.0, 0.0f64..1.0, 0u8..3), 8..40)
    ) {
        let data = dataset(&rows);
        let whole = metrics(&data, rows.len());
        prop_assert_eq!(whole[0].len(), 20);
        for batch_size in [1, 7] {
            for (found, wanted) in metrics(&data, batch_size).iter().zip(&whole) {
                for ((name, found), (_, wanted)) in found.iter().zip(wanted) {
                    let is_exact = !PER_BATCH.contains(&name.as_str());
                    prop_assert!(!is_exact || is_near(*found, *wanted), "{name} of {batch_size}: {found}, not {wanted}");
                }
            }
        }
        prop_assert!(whole[0].iter().zip(&whole[1]).all(|((_, a), (_, b))| is_near(*a, *b)), "{whole:?}");
    }
}

/// In floats a square of 1e5 has no digits left for a spread of 1.
#[test]
fn covariances_keep_their_digits_beside_large_means() {
    let n = 64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let centred = |values: &[f64]| values.iter().map(|value| value - mean(values)).collect::<Vec<_>>();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let columns = "let two = stack([amount, 2 * amount])\nlet guesses = stack([guess, guess + amount])
        metric of_columns = r2_score(transpose(two), transpose(guesses))";
    for (mark, columns, offset) in [("", columns, 0.0), ("", columns, 1e4), ("", columns, -1e5), ("?", "", 1e5)] {
        let compiled = compiled(&format!(
            "input p: f32[batch]\ntarget amount: f32[batch]{mark}\nparam scale: f32 = 1\nlet guess = scale * p
             loss total = square(guess - amount)
             metric explained = r2_score(amount, guess)
             {columns}
             metric correlation = pearson_correlation(amount, guess)
             train {{ minimize total  optimizer sgd(lr=0) }}"
        ));
        let options = ExecutorOptions { mode: Mode::Planned, threads: 1, ..ExecutorOptions::default() };
        let mut trainer = Trainer::<f32>::new(&compiled, 0, &options).unwrap();
        // Multiples of 1/32 are exact in floats of this size.
        let amount: Vec<f64> = (0..n).map(|i| offset + f64::from((i * 7 + 3) % n) / 32.0).collect();
        let guess: Vec<f64> = (0..n).map(|i| amount[i as usize] + f64::from(i % 5) / 16.0).collect();
        // A whole batch and some rows of others are missing.
        let is_there = |i: &i32| mark.is_empty() || *i >= 16 && i % 3 != 0;
        let given = (0..n).map(|i| if is_there(&i) { amount[i as usize] } else { f64::NAN }).collect();
        let field = |values: Vec<f64>| Field { shape: vec![], values: Numbers::F64(values) };
        let fields = [("p", field(guess.clone())), ("amount", field(given))];
        let data = Dataset { fields: fields.map(|(name, field)| (name.to_string(), field)).into(), rows: n as usize };
        let rows: Vec<usize> = (0..n).filter(is_there).map(|i| i as usize).collect();
        let (amount, guess): (Vec<f64>, Vec<f64>) = rows.iter().map(|i| (amount[*i], guess[*i])).unzip();
        let (x, y) = (centred(&amount), centred(&guess));
        let error: f64 = amount.iter().zip(&guess).map(|(t, p)| (t - p).powi(2)).sum();
        let explained = 1.0 - error / dot(&x, &x);
        let correlation = dot(&x, &y) / (dot(&x, &x) * dot(&y, &y)).sqrt();
        for batch_size in [n as u32, 16, 7] {
            let found = trainer.evaluate(&data, batch_size).unwrap();
            let value = |name: &str| {
                found[trainer.evaluated().iter().position(|reported| &*reported.name == name).unwrap()].unwrap()
            };
            let what = format!("offset {offset}{mark}, batches of {batch_size}");
            assert!((value("explained") - explained).abs() < 1e-4, "{what}: {} not {explained}", value("explained"));
            let found = value("correlation");
            assert!((found - correlation).abs() < 1e-4, "{what}: {found} not {correlation}");
            // Twice the amount by the guess and the amount: a quarter of the error.
            if !columns.is_empty() {
                let wanted = f64::midpoint(explained, 1.0 - 0.25 * error / dot(&x, &x));
                let found = value("of_columns");
                assert!((found - wanted).abs() < 1e-4, "{what}: {found} not {wanted}");
            }
        }
    }
}

/// A prediction counts where its target is known.
#[test]
fn predictions_without_a_target_are_left_out() {
    let compiled = compiled(
        "input p: f32[batch]\ntarget t: f32[batch]?\nparam scale: f32 = 1\nlet guess = scale * p
         let yes = f32(t > 0.5)\nloss total = square(guess - t)
         metric of_precision = precision(yes, guess)
         metric of_recall = recall(yes, guess)
         metric of_f1 = f_beta(yes[:, none], guess[:, none], threshold=0.5)
         metric of_keras = f1_score(yes[:, none], guess[:, none], threshold=0.5)
         metric of_mean = weighted_mean(square(guess - t), p)
         metric of_area = auc(yes, guess)
         train { minimize total  optimizer sgd(lr=0) }",
    );
    let options = ExecutorOptions { mode: Mode::Planned, threads: 1, ..ExecutorOptions::default() };
    let mut trainer = Trainer::<f64>::new(&compiled, 0, &options).unwrap();
    let all = [
        (0.9, 1.0),
        (0.8, 0.0),
        (0.2, 1.0),
        (0.7, f64::NAN),
        (0.1, 0.0),
        (0.6, 1.0),
        (0.95, f64::NAN),
        (0.3, f64::NAN),
    ];
    let data = |rows: &[(f64, f64)]| {
        let field = |values: Vec<f64>| Field { shape: vec![], values: Numbers::F64(values) };
        let (p, t) = rows.iter().copied().unzip();
        let fields = [("p", field(p)), ("t", field(t))];
        Dataset { fields: fields.map(|(name, field)| (name.to_string(), field)).into(), rows: rows.len() }
    };
    let known: Vec<(f64, f64)> = all.iter().copied().filter(|row| !row.1.is_nan()).collect();
    let wanted = trainer.evaluate(&data(&known), 5).unwrap();
    let found = trainer.evaluate(&data(&all), 3).unwrap();
    for (reported, (found, wanted)) in trainer.evaluated().iter().zip(found.iter().zip(&wanted)) {
        assert!(is_near(found.unwrap(), wanted.unwrap()), "{}: {found:?}, not {wanted:?}", reported.name);
    }
}

#[test]
fn values_are_those_of_all_rows_at_once() {
    let rows: Vec<Row> = (0..23)
        .map(|i| {
            let draw = |factor: usize| ((i * factor + 5) % 23) as f64 / 23.0;
            (draw(7), draw(3), draw(11), (i % 3) as u8)
        })
        .collect();
    let [found, _] = metrics(&dataset(&rows), 4);
    let value = |name: &str| found.iter().find(|(known, _)| known == name).unwrap().1;
    let n = rows.len() as f64;
    let (guess, amount): (Vec<f64>, Vec<f64>) = rows.iter().map(|row| (row.0, 3.0 * row.2 + row.0)).unzip();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / n;
    let centred = |values: &[f64]| values.iter().map(|value| value - mean(values)).collect::<Vec<_>>();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let error: f64 = guess.iter().zip(&amount).map(|(p, t)| (p - t).powi(2)).sum();
    assert!(is_near(value("error"), (error / n).sqrt()));
    let (x, y) = (centred(&guess), centred(&amount));
    assert!(is_near(value("explained"), 1.0 - error / dot(&y, &y)));
    assert!(is_near(value("correlation"), dot(&x, &y) / (dot(&x, &x) * dot(&y, &y)).sqrt()));
    let hits = rows.iter().filter(|row| row.1 > 0.5 && row.0 > 0.5).count() as f64;
    assert!(is_near(value("precision_of"), hits / rows.iter().filter(|row| row.0 > 0.5).count() as f64));
    assert!(is_near(value("recall_of"), hits / rows.iter().filter(|row| row.1 > 0.5).count() as f64));
    let class = |row: &Row| {
        let scores = [row.0, row.1, row.2 - row.0];
        (0..3).reduce(|best, i| if scores[i] > scores[best] { i } else { best }).unwrap()
    };
    let overlap = (0..3).map(|c| {
        let both = rows.iter().filter(|row| class(row) == c && usize::from(row.3) == c).count();
        let either = rows.iter().filter(|row| class(row) == c || usize::from(row.3) == c).count();
        both as f64 / either as f64
    });
    assert!(is_near(value("classes_overlap"), overlap.sum::<f64>() / 3.0));
    let there: Vec<&Row> = rows.iter().filter(|row| row.3 != 2).collect();
    let gaps: f64 = there.iter().map(|row| (row.1 - row.0).powi(2)).sum();
    assert!(is_near(value("gap_error"), (gaps / there.len() as f64).sqrt()));
}
