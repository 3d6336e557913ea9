//! A run config as text: every key, those left out with their defaults.

mod columns;

use super::{ConstValue, Override, Precision, RunConfig};
use crate::data::params::ParamsSource;
use crate::data::{ColumnSpec, DataSource};
use crate::train::checkpointing::Checkpointing;
use crate::train::fit::OnNan;
use crate::train::layout::Layout;
use crate::train::monitor::{Better, Monitor};
use crate::train::start_from::StartSource;
use serde_yaml::{Mapping, Value};
use std::path::{Path, PathBuf};

/// Gives a path as the written config names it.
pub(crate) type NamePath<'n> = &'n dyn Fn(&Path) -> PathBuf;

impl RunConfig {
    /// The config as YAML that [`parse`](super::parse) reads to the same config, but for its paths, which `name` gives.
    pub(crate) fn to_yaml(&self, name: NamePath<'_>) -> String {
        // Taken apart so that a key that is added cannot be forgotten here.
        let Self {
            path: _,
            spec,
            spec_span: _,
            train,
            validation,
            test,
            split,
            mapped_fields: _,
            encoded,
            decode,
            batch_size,
            epochs,
            seed,
            shuffle,
            drop_last,
            precision,
            output,
            output_span: _,
            params,
            frozen,
            set,
            feed,
            monitor,
            checkpoint,
            log_every,
            evaluate_every,
            on_nan,
            observe,
        } = self;
        let mut data = match split {
            Some(split) => data_source(&split.source, name),
            None => Mapping::new(),
        };
        if let Some(split) = split {
            // The names stand below, for all parts.
            put(&mut data, "split", super::split::written(split));
        }
        for (part, source) in [("train", train.as_ref()), ("validation", validation.as_ref()), ("test", test.as_ref())]
        {
            if let Some(source) = source.filter(|_| split.is_none()) {
                put(&mut data, part, data_source(source, name));
            }
        }
        if !encoded.is_empty() {
            let mut mapped = match data.remove("columns") {
                Some(Value::Mapping(names)) => names,
                _ => Mapping::new(),
            };
            mapped.extend(columns::written(encoded));
            put(&mut data, "columns", mapped);
        }
        let mut top = Mapping::new();
        put(&mut top, "spec", text_of(&name(spec)));
        put(&mut top, "data", data);
        put(&mut top, "batch_size", *batch_size);
        put(&mut top, "epochs", *epochs);
        put(&mut top, "seed", *seed);
        put(&mut top, "shuffle", *shuffle);
        put(&mut top, "drop_last", *drop_last);
        put(&mut top, "precision", if *precision == Precision::F32 { "f32" } else { "f64" });
        put(&mut top, "output", text_of(&name(output)));
        if let Some(params) = params {
            put(&mut top, "params", params_source(params, name));
        }
        if !frozen.is_empty() {
            put(&mut top, "frozen", texts(frozen.iter().map(|frozen| &frozen.pattern)));
        }
        if !set.is_empty() {
            put(&mut top, "set", overrides(set));
        }
        if !feed.is_empty() {
            let mut fed = Mapping::new();
            for (name, value) in feed {
                put(&mut fed, name, nested(&value.shape, &value.values));
            }
            put(&mut top, "feed", fed);
        }
        if !decode.is_empty() {
            let mut decoded = Mapping::new();
            for (output, (target, _)) in decode {
                put(&mut decoded, output, target.clone());
            }
            put(&mut top, "decode", decoded);
        }
        if let Some(monitor) = monitor {
            put(&mut top, "monitor", monitor_form(monitor));
        }
        put(&mut top, "checkpoint", checkpoint_form(checkpoint));
        put(&mut top, "log_every", *log_every);
        put(&mut top, "evaluate_every", *evaluate_every);
        let on_nan = match on_nan {
            OnNan::Stop => "stop",
            OnNan::Skip => "skip",
            OnNan::HalveLr => "halve-lr",
        };
        put(&mut top, "on_nan", on_nan);
        let observed = observe.names().into_iter().map(Value::from).collect();
        put(&mut top, "observe", Value::Sequence(observed));
        serde_yaml::to_string(&Value::Mapping(top)).unwrap_or_default()
    }
}

pub(super) fn put(map: &mut Mapping, key: &str, value: impl Into<Value>) {
    map.insert(Value::from(key), value.into());
}

/// Numbers as lists of lists of a shape; whole ones without a point.
fn nested(shape: &[usize], values: &[f64]) -> Value {
    match shape.split_first() {
        None => values.first().map_or(Value::Null, |value| {
            if value.fract() == 0.0 && value.abs() < 1e15 && (*value != 0.0 || value.is_sign_positive()) {
                Value::from(*value as i64)
            } else {
                Value::from(*value)
            }
        }),
        Some((extent, rest)) => {
            let length = rest.iter().product::<usize>();
            Value::Sequence((0..*extent).map(|at| nested(rest, &values[at * length..(at + 1) * length])).collect())
        }
    }
}

fn text_of(path: &Path) -> String {
    path.display().to_string()
}

fn data_source(source: &DataSource, name: NamePath<'_>) -> Mapping {
    let DataSource { path, prefix, rows, picked: _, columns, forms: _, span: _, by_flag: _ } = source;
    let mut map = Mapping::new();
    put(&mut map, "file", text_of(&name(path)));
    if let Some(prefix) = prefix {
        put(&mut map, "prefix", prefix.clone());
    }
    if let Some((first, stop)) = rows {
        let stop = if *stop == usize::MAX { String::new() } else { stop.to_string() };
        put(&mut map, "rows", format!("{first}..{stop}"));
    }
    if !columns.is_empty() {
        let mut mapped = Mapping::new();
        for (field, columns) in columns {
            put(&mut mapped, field, column_spec(columns));
        }
        put(&mut map, "columns", mapped);
    }
    map
}

pub(super) fn column_spec(columns: &ColumnSpec) -> Value {
    match columns {
        ColumnSpec::One(name) => Value::from(name.clone()),
        ColumnSpec::List(names) => Value::Sequence(names.iter().cloned().map(Value::from).collect()),
        ColumnSpec::Range { stem, first, last, width } => {
            Value::from(format!("{stem}{first:0width$}..{stem}{last:0width$}"))
        }
    }
}

pub(super) fn texts<'t>(texts: impl Iterator<Item = &'t String>) -> Value {
    Value::Sequence(texts.cloned().map(Value::from).collect())
}

fn params_source(source: &StartSource, name: NamePath<'_>) -> Mapping {
    let StartSource { file: ParamsSource { path, prefix, names, span: _ }, is_run, only, states, layout } = source;
    let mut map = Mapping::new();
    put(&mut map, if *is_run { "run" } else { "file" }, text_of(&name(path)));
    if !only.is_empty() {
        put(&mut map, "only", texts(only.iter()));
    }
    if let Some(states) = states {
        put(&mut map, "states", *states);
    }
    match layout {
        Layout::Own => {}
        Layout::PyTorch => put(&mut map, "layout", "pytorch"),
        Layout::Keras => put(&mut map, "layout", "keras"),
    }
    if let Some(prefix) = prefix {
        put(&mut map, "prefix", prefix.clone());
    }
    if !names.is_empty() {
        let mut mapped = Mapping::new();
        for (from, to) in names {
            put(&mut mapped, from, to.clone());
        }
        put(&mut map, "names", mapped);
    }
    map
}

fn overrides(set: &indexmap::IndexMap<String, Override>) -> Mapping {
    let mut map = Mapping::new();
    for (name, set) in set {
        let value = match &set.value {
            ConstValue::Int(value) => Value::from(*value),
            ConstValue::Float(value) => Value::from(*value),
            ConstValue::Bool(value) => Value::from(*value),
            ConstValue::Text(text) => Value::from(text.clone()),
        };
        put(&mut map, name, value);
    }
    map
}

fn monitor_form(monitor: &Monitor) -> Mapping {
    let Monitor { part, name, span: _, better, is_better_said, min_delta, patience, keep_best } = monitor;
    let mut map = Mapping::new();
    put(&mut map, "value", format!("{part}/{name}"));
    if *is_better_said {
        put(&mut map, "better", if *better == Better::Lower { "lower" } else { "higher" });
    }
    if let Some(patience) = patience {
        put(&mut map, "patience", *patience);
    }
    put(&mut map, "min_delta", *min_delta);
    put(&mut map, "keep", if *keep_best { "best" } else { "last" });
    map
}

fn checkpoint_form(checkpoint: &Checkpointing) -> Mapping {
    let Checkpointing { every, keep, keep_training_when_full } = checkpoint;
    let mut map = Mapping::new();
    put(&mut map, "every", every.to_string());
    put(&mut map, "keep", *keep);
    put(&mut map, "on_full", if *keep_training_when_full { "keep-training" } else { "stop" });
    map
}
