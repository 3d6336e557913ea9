//! What the oracle tests share: specs compiled and run from text, and values compared.

use anabranch::diag::{SourceMap, render_plain};
use anabranch::exec::{Clock, Executor, ExecutorOptions, Mode, Store, StoreKind, Values};
use anabranch::ir::{DimSizes, Graph};
use anabranch::lower::Options;
use anabranch::ops::Element;
use anabranch::pipeline::{Compiled, compile};
use serde_json::Value;
use std::collections::BTreeMap;

/// Values to feed by name, floats or ints alike.
pub type Feeds = BTreeMap<String, Vec<f64>>;

pub fn options(mode: Mode) -> ExecutorOptions {
    ExecutorOptions { mode, threads: 2, ..ExecutorOptions::default() }
}

/// Compiles a spec that must compile.
pub fn compiled(text: &str) -> Compiled {
    let mut sources = SourceMap::default();
    let id = sources.add("test.anb", text);
    compile(&mut sources, id, &Options::default())
        .unwrap_or_else(|findings| panic!("{}\n{text}", render_plain(&findings.0, &sources)))
}

/// The initial params and states of a spec.
pub fn initial<T: Element>(compiled: &Compiled, mode: Mode) -> Store<T> {
    let mut executor = Executor::<T>::new(&compiled.simplified.init, &DimSizes::new(), &options(mode)).unwrap();
    executor.initial_store(Clock::default()).unwrap()
}

/// Sets a param or state that the spec must have.
pub fn set<T: Element>(store: &mut Store<T>, kind: StoreKind, name: &str, values: &[f64]) {
    let known: Vec<String> = store.entries().map(|entry| entry.name().to_string()).collect();
    let values = Values::Float(values.iter().map(|value| T::of(*value)).collect());
    store.set(kind, name, values).unwrap_or_else(|error| panic!("{error}, of {known:?}"));
}

pub fn executor<T: Element>(graph: &Graph, batch: usize, mode: Mode) -> Executor<T> {
    executor_with(graph, batch, &options(mode))
}

pub fn executor_with<T: Element>(graph: &Graph, batch: usize, options: &ExecutorOptions) -> Executor<T> {
    let sizes = DimSizes::from([("batch".into(), batch)]);
    Executor::new(graph, &sizes, options).unwrap_or_else(|findings| panic!("{:?}", findings.0))
}

pub fn feed<T: Element>(executor: &mut Executor<T>, feeds: &Feeds) {
    for i in 0..executor.feeds().len() {
        let name = executor.feeds()[i].name.to_string();
        let values = feeds.get(&name).unwrap_or_else(|| panic!("nothing to feed {name}"));
        if let Some(buffer) = executor.feed_float(i) {
            assert_eq!(buffer.len(), values.len(), "the size of {name}");
            buffer.iter_mut().zip(values).for_each(|(to, from)| *to = T::of(*from));
        } else if let Some(buffer) = executor.feed_int(i) {
            assert_eq!(buffer.len(), values.len(), "the size of {name}");
            buffer.iter_mut().zip(values).for_each(|(to, from)| *to = *from as i32);
        }
    }
}

pub fn floats<T: Element>(values: &Values<T>) -> Vec<f64> {
    values.floats().iter().map(|value| value.as_f64()).collect()
}

/// What `tests/oracle/exact.json` has for the cases of a file, by their index.
pub fn exact(file: &str) -> BTreeMap<usize, Value> {
    let path = format!("{}/tests/oracle/exact.json", env!("CARGO_MANIFEST_DIR"));
    let mut numbers: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    serde_json::from_value(numbers[file].take()).unwrap()
}

/// Numbers of nested lists, row-major.
pub fn flat(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(flat).collect(),
        Value::Bool(value) => vec![f64::from(u8::from(*value))],
        value => vec![value.as_f64().unwrap_or(f64::NAN)],
    }
}

/// The extents of nested lists.
pub fn extents(value: &Value) -> Vec<usize> {
    match value {
        Value::Array(items) => {
            let inner = items.first().map(extents).unwrap_or_default();
            [vec![items.len()], inner].concat()
        }
        _ => Vec::new(),
    }
}

/// The largest difference, relative to the largest wanted magnitude or to 1e-3, whichever is larger; infinite where sizes
/// differ or a value is not finite.
pub fn difference(found: &[f64], wanted: &[f64]) -> f64 {
    if found.len() != wanted.len() {
        return f64::INFINITY;
    }
    let scale = wanted.iter().fold(1e-3, |scale: f64, value| scale.max(value.abs()));
    let worst = found.iter().zip(wanted).map(|(a, b)| (a - b).abs() / scale);
    worst.fold(0.0, |worst: f64, next| if next.is_nan() { f64::INFINITY } else { worst.max(next) })
}

/// The largest of some numbers, at least 0. Unlike a fold with `f64::max`, it keeps NaN.
pub fn largest(numbers: impl IntoIterator<Item = f64>) -> f64 {
    numbers
        .into_iter()
        .fold(0.0, |largest: f64, x| if largest.is_nan() || x.is_nan() { f64::NAN } else { largest.max(x) })
}

/// Moves the number of nested lists that is largest by such a part of it (or of 1e-3, where it is smaller).
pub fn disturb_largest(value: &mut Value, part: f64) {
    let numbers = flat(value);
    let largest = numbers.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    let at = numbers.iter().position(|x| x.abs() == largest).expect("there are numbers");
    let moved = numbers[at] + part * largest.max(1e-3);
    *nth_number(value, &mut { at }).expect("that many") = moved.into();
}

/// The number with `at` others before it.
fn nth_number<'v>(value: &'v mut Value, at: &mut usize) -> Option<&'v mut Value> {
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| nth_number(item, at)),
        value if *at == 0 => Some(value),
        _ => {
            *at -= 1;
            None
        }
    }
}
