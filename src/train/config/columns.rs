//! `columns:` of a run config: which columns of the data a field is made of, and how.

use super::fields::{Reader, Section, scalar_text};
use crate::data::{ColumnSpec, DateUnit, Kind, Unknown};
use crate::diag::Span;
use crate::train::columns::{ColumnPart, Encode, FieldColumns, Impute, Scale};
use indexmap::IndexMap;
use serde_yaml::Value;

const PART_KEYS: &[&str] =
    &["from", "kind", "unit", "values", "unknown", "missing", "scale", "impute", "encode", "weights"];

/// What a field's columns may be written as.
const EXPECTED: &str =
    "a column's name, a list of names, or a range of numbered ones from the lower to the higher, `p0..p63`";

/// Fields with the columns that they are made of.
#[derive(Clone, Debug, Default)]
pub(super) struct Columns {
    /// The names alone.
    pub names: IndexMap<String, ColumnSpec>,
    /// Fields whose columns are said to be of a kind, or are encoded.
    pub encoded: IndexMap<String, FieldColumns>,
}

impl Reader {
    /// `encodes`: whether it may be said here how columns are encoded, which is said once.
    pub(super) fn columns(&mut self, parent: Section<'_>, value: &Value, encodes: bool) -> Columns {
        let path = parent.path_to("columns");
        let mut columns = Columns::default();
        let Some(map) = value.as_mapping() else {
            self.wrong_kind(&path, value, "a mapping of fields to columns, `{ image: p0..p63 }`");
            return columns;
        };
        for (key, value) in map {
            let field = scalar_text(key).unwrap_or_default();
            let item_path: Vec<&str> = path.iter().copied().chain([field.as_str()]).collect();
            let span = self.key_span(&item_path);
            let is_mapping = |value: &Value| value.is_mapping();
            let has_mapping =
                is_mapping(value) || value.as_sequence().is_some_and(|items| items.iter().any(is_mapping));
            if has_mapping && !encodes {
                let headline = format!("how `{field}` is encoded is said for one part of the data");
                let expected =
                    "expected: names of columns here, and the mapping in `data: { columns: … }`, for all parts";
                self.mistake(&item_path, &headline, "it holds for all parts", expected);
            } else if has_mapping {
                if let Some(parts) = self.parts(&item_path, value) {
                    let encoded = FieldColumns { parts, span: Some(span) };
                    let names = match &encoded.names()[..] {
                        [one] => ColumnSpec::One(one.clone()),
                        several => ColumnSpec::List(several.to_vec()),
                    };
                    columns.names.insert(field.clone(), names);
                    columns.encoded.insert(field.clone(), encoded);
                    self.note_mapped(&field, span);
                }
            } else {
                match names(value) {
                    Some(spec) => {
                        self.note_mapped(&field, span);
                        columns.names.insert(field, spec);
                    }
                    None => self.wrong_kind(&item_path, value, EXPECTED),
                }
            }
        }
        columns
    }

    /// A mapping, or a list of mappings and names.
    fn parts(&mut self, path: &[&str], value: &Value) -> Option<Vec<ColumnPart>> {
        let Value::Sequence(items) = value else { return self.part(path, value).map(|part| vec![part]) };
        let mut parts = Vec::new();
        for (at, item) in items.iter().enumerate() {
            let at = at.to_string();
            let item_path: Vec<&str> = path.iter().copied().chain([at.as_str()]).collect();
            parts.push(match names(item) {
                Some(from) => ColumnPart::plain(from),
                None => self.part(&item_path, item)?,
            });
        }
        Some(parts)
    }

    fn part(&mut self, path: &[&str], value: &Value) -> Option<ColumnPart> {
        let Some(map) = value.as_mapping() else {
            self.wrong_kind(path, value, "a column's name, or a mapping `{ from: NAME, kind: … }`");
            return None;
        };
        let section = Section { map, path };
        self.known_keys(section, PART_KEYS);
        let from = self.required(section, "from")?;
        let from = match from {
            Value::Sequence(items) => {
                items.iter().map(names).collect::<Option<Vec<_>>>().filter(|from| !from.is_empty())
            }
            _ => names(from).map(|from| vec![from]),
        };
        let Some(from) = from else {
            self.wrong_kind(&section.path_to("from"), section.get("from").unwrap_or(&Value::Null), EXPECTED);
            return None;
        };
        let kind = section.get("kind").and_then(|value| self.named(section, "kind", value, Kind::NAMES));
        let units = self.names_of(section, "unit", DateUnit::NAMES);
        let unknown = section.get("unknown").and_then(|value| self.named(section, "unknown", value, Unknown::NAMES));
        let encode = section.get("encode").and_then(|value| self.named(section, "encode", value, Encode::NAMES));
        let (values, missing) = (self.texts(section, "values"), self.texts(section, "missing"));
        let (log1p, scale) = self.scale(section);
        let (impute, indicator) = self.impute(section);
        Some(ColumnPart {
            from,
            kind,
            units,
            values,
            unknown: unknown.unwrap_or_default(),
            missing,
            scale,
            log1p,
            impute,
            indicator,
            encode,
            weights: self.weights(section),
        })
    }

    /// One of some names.
    fn named<T: Clone>(&mut self, section: Section<'_>, key: &str, value: &Value, names: &[(&str, T)]) -> Option<T> {
        let found = value.as_str().and_then(|text| names.iter().find(|(name, _)| *name == text));
        if found.is_none() {
            let expected: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
            self.wrong_kind(&section.path_to(key), value, &expected.join(", "));
        }
        found.map(|(_, value)| value.clone())
    }

    /// One or several of some names.
    fn names_of<T: Clone>(&mut self, section: Section<'_>, key: &str, names: &[(&str, T)]) -> Vec<T> {
        match section.get(key) {
            None => Vec::new(),
            Some(Value::Sequence(items)) => {
                items.iter().filter_map(|item| self.named(section, key, item, names)).collect()
            }
            Some(value) => self.named(section, key, value, names).into_iter().collect(),
        }
    }

    /// Texts; numbers and truth values stand as they are written in the data, as far as YAML leaves them so.
    fn texts(&mut self, section: Section<'_>, key: &str) -> Vec<String> {
        let texts = match section.get(key) {
            None => return Vec::new(),
            Some(Value::Sequence(items)) => items.iter().map(scalar_text).collect::<Option<Vec<_>>>(),
            Some(value) => scalar_text(value).map(|text| vec![text]),
        };
        let path = section.path_to(key);
        match texts {
            Some(texts) => {
                let twice = (1..texts.len()).find(|at| texts[..*at].contains(&texts[*at]));
                if let Some(at) = twice {
                    self.mistake(&path, &format!("`{key}` has `{}` twice", texts[at]), "twice", "expected: each once");
                }
                texts
            }
            None => {
                self.wrong_kind(&path, section.get(key).unwrap_or(&Value::Null), "a text, or a list of texts");
                Vec::new()
            }
        }
    }

    /// The weights of a category's values, in their order.
    fn weights(&mut self, section: Section<'_>) -> Vec<f64> {
        let Some(value) = section.get("weights") else { return Vec::new() };
        let is_weight = |weight: &f64| weight.is_finite() && *weight >= 0.0;
        let weights =
            value.as_sequence().and_then(|items| items.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>());
        weights.filter(|weights| weights.iter().all(is_weight)).unwrap_or_else(|| {
            self.wrong_kind(
                &section.path_to("weights"),
                value,
                "a list of numbers of at least 0, one for each of `values`",
            );
            Vec::new()
        })
    }

    fn scale(&mut self, section: Section<'_>) -> (bool, Scale) {
        let mut names: Vec<(&str, Option<Scale>)> = vec![("log1p", None)];
        names.extend(Scale::NAMES.iter().map(|(name, scale)| (*name, Some(*scale))));
        match self.names_of(section, "scale", &names).as_slice() {
            [] => (false, Scale::None),
            [None] => (true, Scale::None),
            [Some(scale)] => (false, *scale),
            [None, Some(scale)] => (true, *scale),
            _ => {
                let path = section.path_to("scale");
                let expected = "expected: one of log1p, standard, minmax, robust, or `[log1p, …]`, the logarithm first";
                self.mistake(&path, "numbers are scaled once", "too much here", expected);
                (false, Scale::None)
            }
        }
    }

    fn impute(&mut self, section: Section<'_>) -> (Option<Impute>, bool) {
        let Some(value) = section.get("impute") else { return (None, false) };
        let items: Vec<&Value> = match value {
            Value::Sequence(items) => items.iter().collect(),
            one => vec![one],
        };
        let (mut impute, mut indicator) = (None, false);
        for item in items {
            let said = item.as_mapping().filter(|map| map.len() == 1).and_then(|map| map.get("value"));
            if let Some(text) = said.and_then(scalar_text) {
                impute = Some(Impute::Value(text));
            } else if item.as_str() == Some("indicator") {
                indicator = true;
            } else if let Some((_, named)) = Impute::NAMES.iter().find(|(name, _)| item.as_str() == Some(name)) {
                impute = Some(named.clone());
            } else {
                let expected =
                    "mean, median, most-frequent, `{ value: … }`, indicator, or a list of one of them and indicator";
                self.wrong_kind(&section.path_to("impute"), item, expected);
            }
        }
        (impute, indicator)
    }

    /// `decode: { price: price_target }`
    pub(super) fn decode(&mut self, top: Section<'_>) -> IndexMap<String, (String, Span)> {
        let mut decode = IndexMap::new();
        let Some(value) = top.get("decode") else { return decode };
        let Some(map) = value.as_mapping() else {
            self.wrong_kind(&["decode"], value, "a mapping of outputs to targets, `{ price: price_target }`");
            return decode;
        };
        for (key, value) in map {
            let output = scalar_text(key).unwrap_or_default();
            let path = ["decode", output.as_str()];
            match scalar_text(value) {
                Some(target) => {
                    let span = self.value_span(&path);
                    decode.insert(output.clone(), (target, span));
                }
                None => self.wrong_kind(&path, value, "the name of a target"),
            }
        }
        decode
    }
}

/// A name, a range of names, or a list of names.
fn names(value: &Value) -> Option<ColumnSpec> {
    match value {
        Value::Sequence(items) => {
            let names: Option<Vec<String>> = items.iter().map(scalar_text).collect();
            names.filter(|names| !names.is_empty()).map(ColumnSpec::List)
        }
        _ => scalar_text(value).as_deref().and_then(ColumnSpec::parse),
    }
}
