//! Whole workloads against float64 trajectories of another engine: losses of 30 steps, trained loss weights after each, and
//! the gradients at the first.
//!
//! A row of the oracle holds the losses before its update and the weights after it. Data and first params are those of the
//! workloads: `w3`'s are drawn again, the others' are `tests/oracle/*.npz`.

#![allow(clippy::print_stdout, reason = "how near the oracle is, for those who ask with --nocapture")]

use crate::common::numpy::Generator;
use crate::common::values::{
    Feeds, compiled, disturb_largest, executor, executor_with, feed, flat, floats, initial, largest, options, set,
};
use anabranch::exec::{Clock, Executor, ExecutorOptions, Mode, Store, StoreKind};
use anabranch::ir::Role;
use anabranch::ops::Element;
use anabranch::pipeline::Compiled;
use anabranch_kernels::Level;
use ndarray::{ArrayD, OwnedRepr};
use ndarray_npy::NpzReader;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;

/// A workload: its spec, its arrays, and what the spec calls them.
struct Workload {
    name: &'static str,
    text: &'static str,
    batch: usize,
    /// oracle's name → path of the param
    params: Vec<(String, String)>,
    /// input or target → array
    data: Vec<(&'static str, &'static str)>,
    arrays: BTreeMap<String, Vec<f64>>,
    rows: usize,
}

impl Workload {
    /// The feeds of a step: consecutive rows, wrapping at the end.
    fn feeds(&self, step: usize) -> Feeds {
        let part = |array: &str| {
            let values = &self.arrays[&format!("data/{array}")];
            let width = values.len() / self.rows;
            let first = step * self.batch % self.rows;
            values[first * width..(first + self.batch) * width].to_vec()
        };
        self.data.iter().map(|(name, array)| (name.to_string(), part(array))).collect()
    }

    fn store<T: Element>(&self, compiled: &Compiled, mode: Mode) -> Store<T> {
        let mut store = initial::<T>(compiled, mode);
        let n_params = store.entries().filter(|entry| entry.kind() == StoreKind::Param).count();
        assert_eq!(n_params, self.params.len(), "{}: every param has a first value", self.name);
        for (array, path) in &self.params {
            set(&mut store, StoreKind::Param, path, &self.arrays[&format!("param/{array}")]);
        }
        store
    }

    fn oracle(&self) -> Value {
        let path = format!("{}/tests/oracle/{}.json", env!("CARGO_MANIFEST_DIR"), self.name);
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    /// Runs steps; each row of the oracle must be met within `tolerance`, relatively.
    fn follow<T: Element>(&self, mode: Mode, n_steps: usize, tolerance: f64) {
        self.follow_with::<T>(&options(mode), n_steps, tolerance);
    }

    fn follow_with<T: Element>(&self, options: &ExecutorOptions, n_steps: usize, tolerance: f64) {
        let worst = self.comparison::<T>(&self.oracle(), options, n_steps, tolerance);
        let worst = worst.unwrap_or_else(|error| panic!("{} {error}", self.name));
        println!("{} {options:?}, {n_steps} steps: within {worst:.1e}", self.name);
    }

    /// The largest relative difference, or the first beyond the tolerance.
    fn comparison<T: Element>(
        &self,
        oracle: &Value,
        options: &ExecutorOptions,
        n_steps: usize,
        tolerance: f64,
    ) -> Result<f64, String> {
        let compiled = compiled(self.text);
        let mut store = self.store::<T>(&compiled, Mode::Planned);
        let mut step = executor_with::<T>(&compiled.simplified.train, self.batch, options);
        let mut worst: f64 = 0.0;
        for (i, row) in oracle["steps"].as_array().unwrap().iter().take(n_steps).enumerate() {
            feed(&mut step, &self.feeds(i));
            step.run(&mut store, Clock { step: i as i32, ..Clock::default() }).unwrap();
            for (name, wanted) in row.as_object().unwrap() {
                let found = match step.fetch(Role::Loss, name) {
                    Some(fetch) => vec![step.scalar(fetch).unwrap()],
                    None => floats(store.find(StoreKind::Param, &self.path(name)).unwrap()),
                };
                let error = relative(&found, &flat(wanted));
                worst = worst.max(error);
                if error.is_nan() || error > tolerance {
                    return Err(format!("step {i}: {name} is {found:?}, not {wanted}"));
                }
            }
        }
        Ok(worst)
    }

    fn path(&self, array: &str) -> String {
        self.params.iter().find(|(name, _)| name == array).map(|(_, path)| path.clone()).unwrap()
    }

    /// The gradients at the first step: norms, and in full where the oracle has them.
    fn gradients(&self, tolerance: f64) {
        let compiled = compiled(self.text);
        let mut store = self.store::<f64>(&compiled, Mode::Planned);
        let mut program: Executor<f64> = executor(&compiled.simplified.gradients, self.batch, Mode::Planned);
        feed(&mut program, &self.feeds(0));
        program.run(&mut store, Clock::default()).unwrap();
        let oracle = self.oracle();
        let wanted = oracle["grad0"].as_object().unwrap();
        assert_eq!(wanted.len(), self.params.len());
        // A gradient that is zero in exact arithmetic is rounding in either engine: measured against the largest.
        let norms = wanted.values().map(|gradient| gradient["norm"].as_f64().unwrap());
        let floor = 1e-6 * norms.fold(0.0, f64::max);
        for (array, gradient) in wanted {
            let fetch = program.fetch(Role::Gradient, &self.path(array)).unwrap();
            let found = floats(program.result(fetch).unwrap());
            let norm = found.iter().map(|value| value * value).sum::<f64>().sqrt();
            let wanted = gradient["norm"].as_f64().unwrap();
            let error = (norm - wanted).abs() / wanted.max(floor);
            assert!(error <= tolerance, "{}: |d{array}| is {norm}, not {wanted}", self.name);
            if let Some(full) = gradient.get("full").map(flat) {
                let scale = full.iter().fold(floor, |scale: f64, value| scale.max(value.abs()));
                let error = largest(found.iter().zip(&full).map(|(a, b)| (a - b).abs() / scale));
                assert!(found.len() == full.len() && error <= tolerance, "{}: d{array} is {found:?}", self.name);
            }
        }
    }
}

/// The largest relative difference; NaN where there is one.
fn relative(found: &[f64], wanted: &[f64]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    largest(found.iter().zip(wanted).map(|(a, b)| (a - b).abs() / b.abs()))
}

#[test]
fn a_wrong_number_of_a_workload_is_seen() {
    let (workload, steps) = (w6(), 3);
    let right = workload.oracle();
    for (step, name) in (0..steps).flat_map(|step| {
        let row = right["steps"][step].as_object().unwrap();
        row.keys().map(move |name| (step, name.clone())).collect::<Vec<_>>()
    }) {
        let mut wrong = right.clone();
        disturb_largest(&mut wrong["steps"][step][&name], 1e-6);
        let outcome = workload.comparison::<f64>(&wrong, &options(Mode::Planned), steps, 1e-8);
        let seen = outcome.as_ref().is_err_and(|error| error.starts_with(&format!("step {step}: {name} is")));
        assert!(seen, "{name} at {step}: {outcome:?}");
    }
    assert!(relative(&[1.0, f64::NAN], &[1.0, 1.0]).is_nan() && relative(&[f64::NAN, 1.0], &[1.0, 1.0]).is_nan());
}

/// The arrays of a workload's file, widened.
fn arrays(name: &str) -> BTreeMap<String, Vec<f64>> {
    let path = format!("{}/tests/oracle/{name}.npz", env!("CARGO_MANIFEST_DIR"));
    let mut file = NpzReader::new(File::open(path).unwrap()).unwrap();
    let names = file.names().unwrap();
    let mut arrays = BTreeMap::new();
    for entry in names {
        let floats: Result<ArrayD<f32>, _> = file.by_name::<OwnedRepr<f32>, _>(&entry);
        let values = match floats {
            Ok(array) => array.iter().map(|value| f64::from(*value)).collect(),
            Err(_) => {
                let array: ArrayD<i32> = file.by_name::<OwnedRepr<i32>, _>(&entry).unwrap();
                array.iter().map(|value| f64::from(*value)).collect()
            }
        };
        arrays.insert(entry.trim_end_matches(".npy").to_string(), values);
    }
    arrays
}

/// `"k1=trunk.dense.kernel …"`
fn names(text: &str) -> Vec<(String, String)> {
    let pair = |word: &str| word.split_once('=').map(|(a, b)| (a.to_string(), b.to_string())).unwrap();
    text.split_whitespace().map(pair).collect()
}

fn w2() -> Workload {
    Workload {
        name: "w2",
        text: include_str!("../oracle/w2.anb"),
        batch: 128,
        params: names(
            "k1=trunk.dense.kernel b1=trunk.dense.bias k2=trunk.dense_2.kernel b2=trunk.dense_2.bias
             ka=scores.dense.kernel ba=scores.dense.bias kb=guess.dense.kernel bb=guess.dense.bias s=total.log_var",
        ),
        data: vec![("x", "x"), ("label", "a"), ("amount", "b")],
        arrays: arrays("w2"),
        rows: 1024,
    }
}

fn w3() -> Workload {
    let rows = 512;
    let mut draw = Generator::new(3);
    let mut arrays = BTreeMap::from([
        ("data/x".to_string(), draw.uniform(0.0, 1.0, rows * 28 * 28)),
        ("data/a".to_string(), draw.integers(10, rows)),
        ("data/b".to_string(), draw.uniform(0.0, 1.0, rows * 4)),
    ]);
    let kernels: [(&str, &[usize], &str); 5] = [
        ("c1", &[3, 3, 1, 32], "e1"),
        ("c2", &[3, 3, 32, 64], "e2"),
        ("k1", &[9216, 128], "b1"),
        ("ka", &[128, 10], "ba"),
        ("kb", &[128, 4], "bb"),
    ];
    for (kernel, shape, bias) in kernels {
        arrays.insert(format!("param/{kernel}"), draw.glorot(shape));
        arrays.insert(format!("param/{bias}"), vec![0.0; shape[shape.len() - 1]]);
    }
    Workload {
        name: "w3",
        text: include_str!("../oracle/w3.anb"),
        batch: 64,
        params: names(
            "c1=trunk.conv2d.kernel e1=trunk.conv2d.bias c2=trunk.conv2d_2.kernel e2=trunk.conv2d_2.bias
             k1=trunk.dense.kernel b1=trunk.dense.bias ka=scores.dense.kernel ba=scores.dense.bias kb=box.dense.kernel
             bb=box.dense.bias",
        ),
        data: vec![("x", "x"), ("label", "a"), ("corners", "b")],
        arrays,
        rows,
    }
}

fn w4() -> Workload {
    let mut params = names(
        "c0=stem.conv2d.kernel g0=stem.batch_norm.gamma h0=stem.batch_norm.beta ka=scores.dense.kernel
         ba=scores.dense.bias kb=logit.dense.kernel bb=logit.dense.bias",
    );
    for (i, block) in [(1, "block"), (2, "block_2"), (3, "block_3")] {
        for (half, number) in [("a", ""), ("b", "_2")] {
            params.push((format!("c{i}{half}"), format!("trunk.{block}.conv2d{number}.kernel")));
            params.push((format!("g{i}{half}"), format!("trunk.{block}.batch_norm{number}.gamma")));
            params.push((format!("h{i}{half}"), format!("trunk.{block}.batch_norm{number}.beta")));
        }
        if i > 1 {
            params.push((format!("s{i}"), format!("trunk.{block}.conv2d_3.kernel")));
        }
    }
    Workload {
        name: "w4",
        text: include_str!("../oracle/w4.anb"),
        batch: 32,
        params,
        data: vec![("x", "x"), ("label", "a"), ("flag", "b")],
        arrays: arrays("w4"),
        rows: 256,
    }
}

fn w5() -> Workload {
    let mut params = names(
        "tok=start.embedding.table pos=start.position_embedding.table gf=trunk.layer_norm.gamma
         hf=trunk.layer_norm.beta ka=token_scores.dense.kernel ba=token_scores.dense.bias kb=scores.dense.kernel
         bb=scores.dense.bias",
    );
    for (i, block) in [(1, "trunk.block"), (2, "trunk.block_2")] {
        for (half, norm) in [("a", "layer_norm"), ("b", "layer_norm_2")] {
            params.push((format!("g{i}{half}"), format!("{block}.{norm}.gamma")));
            params.push((format!("h{i}{half}"), format!("{block}.{norm}.beta")));
        }
        for (letter, map) in [("q", "query"), ("k", "key"), ("v", "value"), ("o", "projection")] {
            params.push((format!("{letter}{i}"), format!("{block}.multi_head_attention.{map}.kernel")));
            params.push((format!("{letter}b{i}"), format!("{block}.multi_head_attention.{map}.bias")));
        }
        for (letter, map) in [("u", "dense"), ("w", "dense_2")] {
            params.push((format!("{letter}{i}"), format!("{block}.{map}.kernel")));
            params.push((format!("{letter}b{i}"), format!("{block}.{map}.bias")));
        }
    }
    Workload {
        name: "w5",
        text: include_str!("../oracle/w5.anb"),
        batch: 16,
        params,
        data: vec![("x", "x"), ("token_label", "a"), ("label", "b")],
        arrays: arrays("w5"),
        rows: 256,
    }
}

fn w6() -> Workload {
    let mut arrays = arrays("w6");
    let points = ["data/col", "data/ic", "data/bc"].iter().flat_map(|name| arrays[*name].clone()).collect();
    arrays.insert("data/points".to_string(), points);
    let layer = |i: usize| if i == 1 { "u.dense".to_string() } else { format!("u.dense_{i}") };
    let params = (1..=4)
        .flat_map(|i| {
            [("k", "kernel"), ("b", "bias")]
                .map(|(letter, end)| (format!("{letter}{i}"), format!("{}.{end}", layer(i))))
        })
        .collect();
    Workload {
        name: "w6",
        text: include_str!("../oracle/w6.anb"),
        batch: 2200,
        params,
        data: vec![("points", "points")],
        arrays,
        rows: 2200,
    }
}

#[test]
fn two_heads_with_uncertainties() {
    w2().gradients(1e-8);
    w2().follow::<f64>(Mode::Planned, 30, 1e-8);
    w2().follow::<f32>(Mode::Planned, 10, 1e-4);
}

#[test]
fn convolutional_net() {
    w3().gradients(1e-8);
    w3().follow::<f64>(Mode::Planned, 30, 1e-8);
    w3().follow::<f32>(Mode::Planned, 10, 1e-4);
}

#[test]
fn residual_net() {
    w4().gradients(1e-8);
    w4().follow::<f64>(Mode::Planned, 30, 1e-8);
    w4().follow::<f32>(Mode::Planned, 10, 5e-4);
    w4().follow::<f64>(Mode::Reference, 1, 1e-8);
}

#[test]
fn transformer_encoder() {
    w5().gradients(1e-8);
    w5().follow::<f64>(Mode::Planned, 30, 1e-8);
    w5().follow::<f32>(Mode::Planned, 10, 1e-4);
    w5().follow::<f64>(Mode::Reference, 1, 1e-8);
}

#[test]
fn physics_informed_net() {
    w6().gradients(1e-8);
    w6().follow::<f64>(Mode::Planned, 30, 1e-8);
    w6().follow::<f32>(Mode::Planned, 10, 1e-4);
    w6().follow::<f64>(Mode::Reference, 2, 1e-8);
}

/// Steps at every instruction set that this machine has. One workload a test, so that they run side by side.
fn follows_at_every_level(workload: &Workload, n_steps: usize, tolerance: f64) {
    for level in Level::available() {
        let options = ExecutorOptions { level: Some(level), ..options(Mode::Planned) };
        workload.follow_with::<f32>(&options, n_steps, tolerance);
        workload.follow_with::<f64>(&options, n_steps.min(2), 1e-8);
    }
}

#[test]
fn two_heads_at_every_level() {
    follows_at_every_level(&w2(), 5, 1e-4);
}

#[test]
fn convolutional_net_at_every_level() {
    follows_at_every_level(&w3(), 2, 1e-4);
}

#[test]
fn residual_net_at_every_level() {
    follows_at_every_level(&w4(), 2, 5e-4);
}

#[test]
fn transformer_encoder_at_every_level() {
    follows_at_every_level(&w5(), 2, 1e-4);
}

#[test]
fn physics_informed_net_at_every_level() {
    follows_at_every_level(&w6(), 5, 1e-4);
}
