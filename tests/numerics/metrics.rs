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

/// In floats, where 1e5² has no digits left for a spread of 1.
#[test]
fn a_centre_keeps_the_digits_of_large_targets() {
    let compiled = compiled(
        "input p: f32[batch]\ntarget amount: f32[batch]\nparam scale: f32 = 1\nlet guess = scale * p
         loss total = square(guess - amount)
         metric explained = r2_score(amount, guess, centre=100_000)
         metric correlation = pearson_correlation(amount, guess, centre=100_000)
         train { minimize total  optimizer sgd(lr=0) }",
    );
    let options = ExecutorOptions { mode: Mode::Planned, threads: 1, ..ExecutorOptions::default() };
    let mut trainer = Trainer::<f32>::new(&compiled, 0, &options).unwrap();
    let n = 64;
    // Multiples of 1/32 are exact in floats of this size.
    let amount: Vec<f64> = (0..n).map(|i| 1e5 + f64::from((i * 7 + 3) % n) / 32.0).collect();
    let guess: Vec<f64> = (0..n).map(|i| amount[i as usize] + f64::from(i % 5) / 16.0).collect();
    let field = |values: &[f64]| Field { shape: vec![], values: Numbers::F64(values.to_vec()) };
    let fields = [("p".to_string(), field(&guess)), ("amount".to_string(), field(&amount))].into_iter().collect();
    let found = trainer.evaluate(&Dataset { fields, rows: n as usize }, 16).unwrap();
    let value =
        |name: &str| found[trainer.evaluated().iter().position(|reported| &*reported.name == name).unwrap()].unwrap();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / f64::from(n);
    let centred = |values: &[f64]| values.iter().map(|value| value - mean(values)).collect::<Vec<_>>();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (x, y) = (centred(&amount), centred(&guess));
    let error: f64 = amount.iter().zip(&guess).map(|(t, p)| (t - p).powi(2)).sum();
    assert!((value("explained") - (1.0 - error / dot(&x, &x))).abs() < 1e-5);
    assert!((value("correlation") - dot(&x, &y) / (dot(&x, &x) * dot(&y, &y)).sqrt()).abs() < 1e-5);
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
