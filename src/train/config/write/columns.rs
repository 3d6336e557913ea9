//! How fields are made of columns, as a config says it.

use super::{column_spec, put, texts};
use crate::data::{DateUnit, Kind, Unknown};
use crate::train::columns::{ColumnPart, Encode, FieldColumns, Impute, Scale, name_of};
use indexmap::IndexMap;
use serde_yaml::{Mapping, Value};

pub(super) fn written(fields: &IndexMap<String, FieldColumns>) -> Mapping {
    let mut map = Mapping::new();
    for (field, columns) in fields {
        put(&mut map, field, Value::Sequence(columns.parts.iter().map(|part| part_form(part).into()).collect()));
    }
    map
}

fn part_form(part: &ColumnPart) -> Mapping {
    // Taken apart so that a key that is added cannot be forgotten here.
    let ColumnPart { from, kind, units, values, unknown, missing, scale, log1p, impute, indicator, encode, weights } =
        part;
    let mut map = Mapping::new();
    put(
        &mut map,
        "from",
        match &from[..] {
            [one] => column_spec(one),
            several => Value::Sequence(several.iter().map(column_spec).collect()),
        },
    );
    let mut name = |key: &str, name: Option<&'static str>| {
        if let Some(name) = name {
            put(&mut map, key, name);
        }
    };
    name("kind", kind.and_then(|kind| name_of(Kind::NAMES, &kind)));
    name("unknown", name_of(Unknown::NAMES, unknown).filter(|_| *unknown != Unknown::default()));
    name("encode", encode.and_then(|encode| name_of(Encode::NAMES, &encode)));
    let named = |name: Option<&'static str>| name.map(Value::from);
    let lists = [
        ("unit", units.iter().filter_map(|unit| named(name_of(DateUnit::NAMES, unit))).collect()),
        ("scale", log1p.then_some("log1p").into_iter().chain(name_of(Scale::NAMES, scale)).map(Value::from).collect()),
        (
            "impute",
            impute.iter().map(impute_form).chain(indicator.then(|| Value::from("indicator"))).collect::<Vec<Value>>(),
        ),
    ];
    for (key, list) in lists {
        if !list.is_empty() {
            put(&mut map, key, Value::Sequence(list));
        }
    }
    if !weights.is_empty() {
        put(&mut map, "weights", Value::Sequence(weights.iter().map(|weight| Value::from(*weight)).collect()));
    }
    for (key, list) in [("values", values), ("missing", missing)] {
        if !list.is_empty() {
            put(&mut map, key, texts(list.iter()));
        }
    }
    map
}

fn impute_form(impute: &Impute) -> Value {
    match impute {
        Impute::Value(text) => {
            let mut map = Mapping::new();
            put(&mut map, "value", text.clone());
            Value::Mapping(map)
        }
        worked_out => name_of(Impute::NAMES, worked_out).map_or(Value::Null, Value::from),
    }
}
