//! The first example and its rejected forms against trajectories that another system computed in float64.

use anabranch::data::params::ParamsSource;
use anabranch::data::{DataSource, Dataset, load};
use anabranch::diag::{SourceMap, render_plain};
use anabranch::exec::{ExecutorOptions, Mode, StoreKind};
use anabranch::lower::Options;
use anabranch::ops::Element;
use anabranch::pipeline::{Compiled, compile};
use anabranch::train::{Fields, Trainer};
use anabranch_kernels::Level;
use serde_json::Value;
use std::path::{Path, PathBuf};

const PARAMS: [(&str, &str); 5] = [
    ("ck", "box.conv2d.kernel"),
    ("cb", "box.conv2d.bias"),
    ("dk", "cls.dense.kernel"),
    ("db", "cls.dense.bias"),
    ("alpha", "total.alpha"),
];
const LOSSES: [(&str, &str); 3] = [("total", "total"), ("box", "box_loss"), ("cls", "cls_loss")];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn compiled(spec: &str) -> Compiled {
    let mut sources = SourceMap::default();
    let id = sources.add(spec, std::fs::read_to_string(path(spec)).unwrap());
    compile(&mut sources, id, &Options::default())
        .unwrap_or_else(|found| panic!("{}", render_plain(&found.0, &sources)))
}

fn expected(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path(name)).unwrap()).unwrap()
}

fn data(compiled: &Compiled) -> Dataset {
    let pairs = [("image", "x"), ("true_box", "box"), ("true_cls", "cls")];
    let column = |(field, key): (&str, &str)| (field.to_string(), anabranch::data::ColumnSpec::One(key.to_string()));
    let source = DataSource {
        prefix: Some("data/".to_string()),
        columns: pairs.into_iter().map(column).collect(),
        ..DataSource::new(path("tests/oracle/w1.npz"))
    };
    load(&source, &Fields::of(&compiled.module).specs()).unwrap()
}

fn options(mode: Mode) -> ExecutorOptions {
    ExecutorOptions { mode, threads: 1, ..ExecutorOptions::default() }
}

fn trainer<T: Element>(compiled: &Compiled, options: &ExecutorOptions) -> Trainer<T> {
    let mut trainer = Trainer::new(compiled, 0, options).unwrap();
    let source = ParamsSource {
        prefix: Some("param/".to_string()),
        names: PARAMS.iter().map(|(key, name)| (key.to_string(), name.to_string())).collect(),
        ..ParamsSource::new(path("tests/oracle/w1.npz"))
    };
    trainer.load_params(&source).unwrap();
    trainer
}

fn close(what: &str, found: f64, expected: f64, tolerance: f64) -> Result<(), String> {
    let error = (found - expected).abs() / expected.abs().max(f64::MIN_POSITIVE);
    // Written so that NaN fails.
    if error <= tolerance {
        Ok(())
    } else {
        Err(format!("{what}: found {found}, expected {expected}, relative error {error:e}"))
    }
}

fn alpha<T: Element>(trainer: &Trainer<T>) -> f64 {
    trainer.store().find(StoreKind::Param, "total.alpha").unwrap().floats()[0].as_f64()
}

/// Follows a trajectory: losses are those before a step's update, alpha that after it. Rows name their step, or are one
/// for each step.
fn follows<T: Element>(spec: &str, trajectory: &str, mode: Mode, tolerance: f64) {
    follows_with::<T>(spec, trajectory, &options(mode), tolerance);
}

fn follows_with<T: Element>(spec: &str, trajectory: &str, options: &ExecutorOptions, tolerance: f64) {
    let outcome = comparison::<T>(spec, &expected(trajectory), options, tolerance);
    outcome.unwrap_or_else(|error| panic!("{trajectory}: {error}"));
}

fn comparison<T: Element>(
    spec: &str,
    expected: &Value,
    options: &ExecutorOptions,
    tolerance: f64,
) -> Result<(), String> {
    let compiled = compiled(spec);
    let mut trainer = trainer::<T>(&compiled, options);
    let data = data(&compiled);
    let rows: Vec<u32> = (0..7).collect();
    let names: Vec<String> = trainer.reported().iter().map(|reported| reported.name.to_string()).collect();
    let mut step = 0;
    for (position, row) in expected["steps"].as_array().unwrap().iter().enumerate() {
        let at = row["step"].as_u64().unwrap_or(position as u64);
        let losses = loop {
            let losses = trainer.step(&data, &rows).unwrap().0.to_vec();
            step += 1;
            if step > at {
                break losses;
            }
        };
        for (key, name) in LOSSES {
            let found = losses[names.iter().position(|known| known == name).unwrap()];
            close(&format!("{name} at step {at}"), found, row[key].as_f64().unwrap(), tolerance)?;
        }
        close(&format!("alpha after step {at}"), alpha(&trainer), row["alpha"].as_f64().unwrap(), tolerance)?;
    }
    Ok(())
}

#[test]
fn a_wrong_number_of_a_trajectory_is_seen() {
    let right = expected("tests/oracle/w1.json");
    let last = right["steps"].as_array().unwrap().len() - 1;
    let keys: Vec<&str> = LOSSES.iter().map(|(key, _)| *key).chain(["alpha"]).collect();
    for (step, key) in [0, last].into_iter().flat_map(|step| keys.iter().map(move |key| (step, *key))) {
        let mut wrong = right.clone();
        let number = wrong["steps"][step][key].as_f64().unwrap() * (1.0 + 1e-9);
        wrong["steps"][step][key] = number.into();
        let outcome = comparison::<f64>("examples/localizer/localizer.anb", &wrong, &options(Mode::Planned), 1e-10);
        let what = LOSSES.iter().find(|(loss, _)| *loss == key).map_or(key, |(_, name)| name);
        let seen = outcome.as_ref().is_err_and(|error| error.starts_with(what) && error.contains("relative error"));
        assert!(seen, "{key} at step {step}: {outcome:?}");
    }
}

fn gradients_agree<T: Element>(mode: Mode, tolerance: f64) {
    let (compiled, expected) = (compiled("examples/localizer/localizer.anb"), expected("tests/oracle/w1.json"));
    let mut trainer = trainer::<T>(&compiled, &options(mode));
    let gradients = trainer.gradients(&data(&compiled), &[0, 1, 2, 3, 4, 5, 6]).unwrap();
    assert_eq!(gradients.len(), PARAMS.len());
    for (key, name) in PARAMS {
        let (found, expected) = (&gradients[name], &expected["grad0"][key]);
        let norm = found.iter().map(|value| value * value).sum::<f64>().sqrt();
        let expected_norm = expected["norm"].as_f64().unwrap();
        close(name, norm, expected_norm, tolerance).unwrap();
        // Elements that nearly cancel are held against the whole gradient's size.
        for (at, value) in expected["full"].as_array().into_iter().flatten().enumerate() {
            let error = (found[at] - value.as_f64().unwrap()).abs();
            assert!(error <= tolerance * expected_norm, "{name}[{at}]: {} against {value}", found[at]);
        }
    }
}

#[test]
fn the_first_example_follows_in_doubles() {
    for mode in [Mode::Planned, Mode::Reference] {
        follows::<f64>("examples/localizer/localizer.anb", "tests/oracle/w1.json", mode, 1e-10);
    }
}

#[test]
fn the_first_example_follows_in_floats() {
    for mode in [Mode::Planned, Mode::Reference] {
        follows::<f32>("examples/localizer/localizer.anb", "tests/oracle/w1.json", mode, 1e-5);
    }
}

#[test]
fn the_first_example_follows_at_every_level() {
    for level in Level::available() {
        let options = ExecutorOptions { level: Some(level), ..options(Mode::Planned) };
        follows_with::<f64>("examples/localizer/localizer.anb", "tests/oracle/w1.json", &options, 1e-10);
        follows_with::<f32>("examples/localizer/localizer.anb", "tests/oracle/w1.json", &options, 1e-5);
    }
}

#[test]
fn first_gradients_agree() {
    for mode in [Mode::Planned, Mode::Reference] {
        gradients_agree::<f64>(mode, 1e-10);
        gradients_agree::<f32>(mode, 1e-5);
    }
}

#[test]
fn the_mixed_form_follows_to_its_end() {
    follows::<f64>("examples/localizer/localizer.anb", "tests/oracle/w1-mix.json", Mode::Planned, 1e-10);
}

#[test]
fn the_absolute_form_follows_to_its_end() {
    follows::<f64>("tests/oracle/w1-abs.anb", "tests/oracle/w1-abs.json", Mode::Planned, 1e-10);
}

#[test]
fn the_linear_form_follows_to_its_end() {
    follows::<f64>("tests/oracle/w1-linear.anb", "tests/oracle/w1-linear.json", Mode::Planned, 1e-10);
}

#[test]
fn the_squared_form_follows_to_its_end() {
    follows::<f64>("tests/oracle/w1-square.anb", "tests/oracle/w1-square.json", Mode::Planned, 1e-10);
}
