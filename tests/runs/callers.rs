//! What a caller of the library can do wrong: findings, never a panic and never a number that means nothing.

use anabranch::data::{Dataset, Field, Numbers};
use anabranch::diag::{Diagnostic, Diagnostics, SourceMap, Span, render_plain};
use anabranch::exec::ExecutorOptions;
use anabranch::lower::Options;
use anabranch::pipeline::{check_with, compile};
use anabranch::train::{OnNan, Parts, Settings, Trainer, fit};
use proptest::prelude::*;
use std::ops::ControlFlow;

const SPEC: &str = "
    input x: f32[batch, 2]
    input k: i32[batch]
    target y: f32[batch]
    output guess = (x |> dense(units=1))[:, 0] + (k |> embedding(vocabulary=3, size=1))[:, 0]
    loss error = (y - guess) ** 2
    metric spread = pearson_correlation(y, guess)
    train {
        minimize error
        optimizer sgd(lr=0.1)
    }";

fn trainer() -> Trainer<f32> {
    let mut sources = SourceMap::default();
    let id = sources.add("line.anb", SPEC);
    let compiled = compile(&mut sources, id, &Options::default())
        .unwrap_or_else(|findings| panic!("{}", render_plain(&findings.0, &sources)));
    let options = ExecutorOptions { threads: 1, ..ExecutorOptions::default() };
    Trainer::new(&compiled, 0, &options).unwrap()
}

fn data() -> Dataset {
    let field = |shape: &[usize], values| Field { shape: shape.to_vec(), values };
    let fields = [
        ("x", field(&[2], Numbers::F32((0..8).map(|i| i as f32).collect()))),
        ("k", field(&[], Numbers::I32(vec![0, 1, 2, 0]))),
        ("y", field(&[], Numbers::F32(vec![1.0, 2.0, 3.0, 4.0]))),
    ];
    Dataset { fields: fields.map(|(name, field)| (name.to_string(), field)).into_iter().collect(), rows: 4 }
}

fn with(name: &str, shape: &[usize], values: Numbers) -> Dataset {
    let mut data = data();
    data.fields.insert(name.into(), Field { shape: shape.to_vec(), values });
    data
}

/// The finding of each way to use the data; all are refused alike.
#[track_caller]
fn refused(data: &Dataset, rows: &[u32]) -> Diagnostic {
    let mut trainer = trainer();
    let step = trainer.step(data, rows).map(|_| ()).expect_err("a step is refused");
    trainer.gradients(data, rows).map(|_| ()).expect_err("gradients are refused");
    step.0.into_iter().next().expect("a finding")
}

#[test]
fn rows_that_are_not_there_are_findings() {
    let rows = |rows: &[u32]| refused(&data(), rows).headline;
    assert_eq!(rows(&[0, 4]), "there is no row 4");
    assert_eq!(rows(&[u32::MAX]), "there is no row 4294967295");
    assert_eq!(rows(&[]), "a batch has no rows");
}

#[test]
fn fields_that_do_not_fit_are_findings() {
    let numbers = |n: usize| Numbers::F32(vec![0.5; n]);
    let cases = [
        ("x", vec![3], numbers(12), "a row of the field `x` has another shape"),
        ("x", vec![], numbers(4), "a row of the field `x` has another shape"),
        ("x", vec![usize::MAX, 2], numbers(8), "a row of the field `x` has another shape"),
        ("x", vec![2], numbers(7), "the field `x` does not hold 4 rows of its shape"),
        ("x", vec![2], numbers(0), "the field `x` does not hold 4 rows of its shape"),
        ("k", vec![], numbers(4), "the field `k` has another element type"),
    ];
    for (name, shape, values, headline) in cases {
        let finding = refused(&with(name, &shape, values), &[0, 1]);
        assert_eq!(finding.headline, headline);
        assert!(finding.notes[0].starts_with("found") && finding.notes[1].starts_with("expected"), "{finding:?}");
    }
    let mut lacking = data();
    lacking.fields.shift_remove("y");
    assert_eq!(refused(&lacking, &[0]).headline, "the data has no field `y`");
    // Whole numbers where floats are read are numbers all the same.
    trainer().step(&with("y", &[], Numbers::I32(vec![1, 2, 3, 4])), &[0, 3]).unwrap();
}

#[test]
fn batches_without_rows_are_findings() {
    let headline = |findings: Diagnostics| findings.0[0].headline.clone();
    let none = Dataset {
        fields: data()
            .fields
            .into_iter()
            .map(|(name, field)| {
                let values = if name == "k" { Numbers::I32(Vec::new()) } else { Numbers::F32(Vec::new()) };
                (name, Field { values, ..field })
            })
            .collect(),
        rows: 0,
    };
    assert_eq!(headline(trainer().evaluate(&data(), 0).unwrap_err()), "a batch size of 0");
    assert_eq!(headline(trainer().evaluate(&none, 4).unwrap_err()), "the data has no rows");
    let fitted = |data: &Dataset, batch_size, drop_last| {
        let settings = Settings {
            epochs: 1,
            batch_size,
            shuffle: None,
            drop_last,
            monitor: None,
            evaluate_every: 1,
            on_nan: OnNan::Stop,
        };
        let parts = Parts { train: data, validation: None, test: None };
        fit(&mut trainer(), None, &settings, parts, &mut |_| ControlFlow::Continue(())).map(|_| ())
    };
    assert_eq!(headline(fitted(&none, 4, false).unwrap_err()), "the data has no rows");
    assert_eq!(headline(fitted(&data(), 0, false).unwrap_err()), "a batch size of 0");
    assert_eq!(headline(fitted(&data(), 5, true).unwrap_err()), "`drop_last` leaves no batch at all");
    fitted(&data(), 4, true).unwrap();
}

#[test]
fn a_text_of_another_map_is_a_finding() {
    let (mut here, mut there) = (SourceMap::default(), SourceMap::default());
    let own = here.add("line.anb", SPEC);
    // Both the id of a text that this map has one less of, and one that another text has here.
    let ids = [there.add("other.anb", ""), there.add("line.anb", SPEC)];
    let none = |_: &str| Err(std::io::Error::other("no other files"));
    for id in ids {
        let findings = [
            compile(&mut here, id, &Options::default()).err(),
            check_with(&mut here, id, &Options::default(), &none).err(),
        ];
        for finding in findings {
            assert_eq!(finding.unwrap().0[0].headline, "the spec is not among the texts at hand");
        }
        assert!(here.get(id).is_none() && here.file(id).text.is_empty());
        // A finding about it can be shown all the same.
        let finding = Diagnostic::error("E0301".parse().unwrap(), "shapes do not fit").at(Span::new(id, 3, 9), "here");
        assert!(render_plain(std::slice::from_ref(&finding), &here).contains("shapes do not fit"));
    }
    assert!(here.get(own).is_some() && here.clone().get(own).is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever a dataset is made of, a step is a number or a finding.
    #[test]
    fn any_data_are_answered(
        shape in prop::collection::vec(0_usize..4, 0..3),
        n_values in 0_usize..10,
        kind in 0_u8..3,
        name in prop::sample::select(vec!["x", "k", "y", "z"]),
        n_rows in 0_usize..6,
        rows in prop::collection::vec(0_u32..6, 0..5),
        batch_size in 0_u32..6,
    ) {
        let values = match kind {
            0 => Numbers::F32(vec![0.5; n_values]),
            1 => Numbers::F64(vec![0.5; n_values]),
            _ => Numbers::I32(vec![1; n_values]),
        };
        let data = Dataset { rows: n_rows, ..with(name, &shape, values) };
        let mut trainer = trainer_once();
        if let Ok((losses, _)) = trainer.step(&data, &rows) {
            prop_assert!(losses[0].is_finite());
        }
        let _ = trainer.gradients(&data, &rows);
        let _ = trainer.evaluate(&data, batch_size);
        let _ = trainer.attach(&data);
    }
}

/// A trainer of the spec, compiled once for all cases.
fn trainer_once() -> Trainer<f32> {
    use std::sync::LazyLock;
    static COMPILED: LazyLock<anabranch::pipeline::Compiled> = LazyLock::new(|| {
        let mut sources = SourceMap::default();
        let id = sources.add("line.anb", SPEC);
        compile(&mut sources, id, &Options::default()).unwrap()
    });
    let options = ExecutorOptions { threads: 1, ..ExecutorOptions::default() };
    Trainer::new(&COMPILED, 0, &options).unwrap()
}
