//! Taking the YAML values of a run config apart, key by key, collecting mistakes with their places.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde_yaml::{Mapping, Value};

use crate::data::DataSource;
use crate::diag::{Code, Diagnostic, Diagnostics, SourceId, Span};
use crate::train::fit::OnNan;

use super::columns::Columns;
use super::places::Places;
use super::{ConstValue, Fed, Override, Precision, RunConfig};
use crate::train::columns::FieldColumns;
use crate::train::split::{Parting, Split};

const TOP_KEYS: &[&str] = &[
    "spec",
    "data",
    "batch_size",
    "epochs",
    "seed",
    "shuffle",
    "drop_last",
    "precision",
    "output",
    "params",
    "frozen",
    "set",
    "feed",
    "decode",
    "monitor",
    "checkpoint",
    "log_every",
    "evaluate_every",
    "on_nan",
    "observe",
];

/// Steps from one that is logged to the next, unless said.
pub(super) const LOG_EVERY: u32 = 100;

pub(super) struct Reader {
    source: SourceId,
    places: Places,
    root: Value,
    mapped_fields: IndexMap<String, Span>,
    /// How fields are encoded, as `data: { columns }` says.
    encoded: IndexMap<String, FieldColumns>,
    /// How the rows of one file are parted.
    split: Option<Split>,
    diagnostics: Vec<Diagnostic>,
}

/// One mapping of the text and the keys that lead to it.
#[derive(Clone, Copy)]
pub(super) struct Section<'a> {
    pub(super) map: &'a Mapping,
    pub(super) path: &'a [&'a str],
}

impl<'a> Section<'a> {
    pub(super) fn get(self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn path_to(self, key: &'a str) -> Vec<&'a str> {
        self.path.iter().copied().chain([key]).collect()
    }
}

/// A number, true or false, or nested lists of them of one shape.
pub(super) fn fed(value: &Value, span: Option<Span>) -> Option<Fed> {
    match value {
        Value::Bool(flag) => Some(Fed { shape: Vec::new(), values: vec![f64::from(u8::from(*flag))], span }),
        Value::Number(number) => {
            let value = number.as_f64().filter(|value| value.is_finite())?;
            Some(Fed { shape: Vec::new(), values: vec![value], span })
        }
        Value::Sequence(items) => {
            let items: Vec<Fed> = items.iter().map(|item| fed(item, None)).collect::<Option<_>>()?;
            let inner = items.first().map(|item| item.shape.clone()).unwrap_or_default();
            let is_even = items.iter().all(|item| item.shape == inner);
            let shape = [items.len()].into_iter().chain(inner).collect();
            let values = items.into_iter().flat_map(|item| item.values).collect();
            is_even.then_some(Fed { shape, values, span })
        }
        _ => None,
    }
}

/// `first..stop`, `first..` and `..stop`; what is left open goes to the end, or from the beginning.
pub(crate) fn rows_of(text: &str) -> Option<(usize, usize)> {
    let (first, stop) = text.split_once("..")?;
    let number = |text: &str, open: usize| match text.trim() {
        "" => Some(open),
        text => text.parse::<usize>().ok(),
    };
    let is_range = !first.trim().is_empty() || !stop.trim().is_empty();
    Some((number(first, 0)?, number(stop, usize::MAX)?)).filter(|_| is_range)
}

/// Opening brackets in a run config. The YAML crate takes time that grows with the square of their nesting, quoted or not, so
/// the bound is on their number.
const MOST_BRACKETS: usize = 5_000;

impl Reader {
    pub(super) fn new(text: &str, source: SourceId) -> Result<Self, Diagnostics> {
        if let Some((at, _)) = text.match_indices(['{', '[']).nth(MOST_BRACKETS) {
            let error = Diagnostic::error(Code::E0602, "the run config has too many brackets")
                .at(Span::new(source, at, at + 1), "one too many")
                .with_note(format!("expected: at most {MOST_BRACKETS}"));
            return Err(error.into());
        }
        let places = Places::of(text);
        match serde_yaml::from_str(text) {
            Ok(root) => {
                let (mapped_fields, encoded) = (IndexMap::new(), IndexMap::new());
                Ok(Self { source, places, root, mapped_fields, encoded, split: None, diagnostics: Vec::new() })
            }
            Err(error) => Err(malformed(text, source, &places, &error).into()),
        }
    }

    pub(super) fn run_config(mut self) -> Result<RunConfig, Diagnostics> {
        let root = std::mem::take(&mut self.root);
        let Some(map) = root.as_mapping() else {
            let found = kind_of(&root);
            self.mistake(
                &[],
                "a run config is a mapping",
                format!("this is {found}"),
                "expected: `spec: …`, `data: …`",
            );
            return Err(Diagnostics(self.diagnostics));
        };
        let top = Section { map, path: &[] };
        self.known_keys(top, TOP_KEYS);
        let spec = self.required(top, "spec").and_then(|value| self.text(top, "spec", value)).map(PathBuf::from);
        let trains = top.get("epochs").and_then(Value::as_u64) != Some(0);
        let data = if trains { self.required(top, "data") } else { top.get("data") };
        let data = data.and_then(Value::as_mapping).map(|map| (map, ["data"]));
        let seed = self.seed(top);
        let [train, validation, test] = match &data {
            Some((map, path)) => self.data(Section { map, path }, trains, seed),
            None => self.no_data(top),
        };
        let batch_size = self.required(top, "batch_size").and_then(|value| self.count(top, "batch_size", value));
        let epochs = self.required(top, "epochs").and_then(|value| self.whole(top, "epochs", value));
        let shuffle = self.flag(top, "shuffle", true);
        let drop_last = self.flag(top, "drop_last", false);
        let precision = self.precision(top);
        let output = top.get("output").and_then(|value| self.text(top, "output", value)).map(PathBuf::from);
        let params = top.get("params").and_then(|value| self.params(top, value));
        let frozen = self.frozen(top);
        let set = self.overrides(top);
        let feed = self.feed(top);
        let decode = self.decode(top);
        let monitor = self.monitor(top, validation.is_some());
        let checkpoint = self.checkpointing(top);
        let log_every = top.get("log_every").and_then(|value| self.whole(top, "log_every", value)).unwrap_or(LOG_EVERY);
        let evaluate_every = top.get("evaluate_every").and_then(|value| self.count(top, "evaluate_every", value));
        let on_nan = self.on_nan(top);
        let observe = self.observe(top);
        let (Some(spec), Some(batch_size), Some(epochs), true) =
            (spec, batch_size, epochs, self.diagnostics.is_empty())
        else {
            return Err(Diagnostics(self.diagnostics));
        };
        let stem = spec.file_stem().map_or_else(|| "run".into(), std::ffi::OsStr::to_os_string);
        Ok(RunConfig {
            path: None,
            output_span: output.as_ref().map(|_| self.value_span(&["output"])),
            output: output.unwrap_or_else(|| Path::new("runs").join(stem)),
            spec_span: self.value_span(&["spec"]),
            spec,
            train,
            validation,
            test,
            split: self.split,
            mapped_fields: self.mapped_fields,
            encoded: self.encoded,
            decode,
            batch_size,
            epochs,
            seed,
            shuffle,
            drop_last,
            precision,
            params,
            frozen,
            set,
            feed,
            monitor,
            checkpoint,
            log_every,
            evaluate_every: evaluate_every.unwrap_or(1),
            on_nan,
            observe,
        })
    }

    fn no_data(&mut self, top: Section<'_>) -> [Option<DataSource>; 3] {
        if let Some(value) = top.get("data") {
            self.wrong_kind(&["data"], value, "a mapping, `{ train: { file: … } }`");
        }
        [None, None, None]
    }

    /// `trains` says whether there must be training data.
    fn data(&mut self, data: Section<'_>, trains: bool, seed: u64) -> [Option<DataSource>; 3] {
        let is_split = data.get("split").is_some();
        let keys = ["train", "validation", "test", "columns", "file", "split", "rows", "prefix"];
        self.known_keys(data, if is_split { &keys } else { &keys[..6] });
        let Columns { names, encoded } =
            data.get("columns").map(|value| self.columns(data, value, true)).unwrap_or_default();
        let forms = encoded.iter().filter(|(_, columns)| columns.is_resolved());
        let forms = forms.map(|(field, columns)| (field.clone(), columns.forms())).collect();
        let shared = DataSource { columns: names, forms, ..DataSource::default() };
        self.encoded = encoded;
        if is_split {
            self.split = self.split(data, &shared, seed);
            let Some(split) = &self.split else { return [None, None, None] };
            let source = |is_there: bool| is_there.then(|| split.source.clone());
            return match split.parting {
                Parting::Shares(shares) => shares.map(|share| source(share > 0.0)),
                Parting::Folds { .. } => [source(true), None, source(true)],
            };
        }
        let value = if trains { self.required(data, "train") } else { data.get("train") };
        let train = value.and_then(|value| self.data_source(data, "train", value, &shared));
        let validation = data.get("validation").and_then(|value| self.data_source(data, "validation", value, &shared));
        let test = data.get("test").and_then(|value| self.data_source(data, "test", value, &shared));
        [train, validation, test]
    }

    fn data_source(
        &mut self,
        parent: Section<'_>,
        key: &str,
        value: &Value,
        shared: &DataSource,
    ) -> Option<DataSource> {
        let path = parent.path_to(key);
        if let Some(file) = value.as_str() {
            let span = Some(self.value_span(&path));
            return Some(DataSource { path: file.into(), span, ..shared.clone() });
        }
        let Some(map) = value.as_mapping() else {
            self.wrong_kind(&path, value, "a file name, or `{ file: …, rows: first..stop }`");
            return None;
        };
        let section = Section { map, path: &path };
        self.known_keys(section, &["file", "prefix", "rows", "columns"]);
        let file = self.required(section, "file").and_then(|value| self.text(section, "file", value));
        let prefix = section.get("prefix").and_then(|value| self.text(section, "prefix", value));
        let rows = section.get("rows").and_then(|value| self.rows(section, value));
        let columns = match section.get("columns") {
            Some(value) => self.columns(section, value, false).names,
            None => shared.columns.clone(),
        };
        let span = Some(self.value_span(&section.path_to("file")));
        Some(DataSource { path: file?.into(), prefix, rows, columns, span, ..shared.clone() })
    }

    pub(super) fn rows(&mut self, section: Section<'_>, value: &Value) -> Option<(usize, usize)> {
        let path = section.path_to("rows");
        let parsed = value.as_str().and_then(rows_of);
        match parsed {
            Some((first, stop)) if first < stop => Some((first, stop)),
            Some((first, stop)) => {
                let label = "this takes no row at all";
                let expected = format!("expected: first..stop with the first below the stop, not {first}..{stop}");
                self.mistake(&path, "`rows` is an empty range", label, &expected);
                None
            }
            None => {
                self.wrong_kind(&path, value, "a range of rows, first..stop or first.., counted from 0");
                None
            }
        }
    }

    /// Notes that `columns` speaks of a field.
    pub(super) fn note_mapped(&mut self, field: &str, span: Span) {
        self.mapped_fields.entry(field.to_string()).or_insert(span);
    }

    fn overrides(&mut self, top: Section<'_>) -> IndexMap<String, Override> {
        let mut set = IndexMap::new();
        let Some(value) = top.get("set") else { return set };
        let Some(map) = value.as_mapping() else {
            self.wrong_kind(&["set"], value, "a mapping of consts to values, `{ width: 256 }`");
            return set;
        };
        for (key, value) in map {
            let name = scalar_text(key).unwrap_or_default();
            let path = ["set", name.as_str()];
            let constant = match value {
                Value::Bool(flag) => Some(ConstValue::Bool(*flag)),
                Value::String(text) => Some(ConstValue::Text(text.clone())),
                Value::Number(number) => {
                    let float = number.as_f64().filter(|value| value.is_finite()).map(ConstValue::Float);
                    number.as_i64().map(ConstValue::Int).or(float)
                }
                _ => None,
            };
            match constant {
                Some(constant) => {
                    let (name_span, span) = (self.key_span(&path), self.value_span(&path));
                    set.insert(name.clone(), Override { value: constant, name_span, span });
                }
                None => self.wrong_kind(&path, value, "a finite number, true, false or a text"),
            }
        }
        set
    }

    fn feed(&mut self, top: Section<'_>) -> IndexMap<String, Fed> {
        let mut feed = IndexMap::new();
        let Some(value) = top.get("feed") else { return feed };
        let Some(map) = value.as_mapping() else {
            self.wrong_kind(&["feed"], value, "a mapping of inputs to values, `{ alpha: 0.3 }`");
            return feed;
        };
        for (key, value) in map {
            let name = scalar_text(key).unwrap_or_default();
            let path = ["feed", name.as_str()];
            match fed(value, Some(self.value_span(&path))) {
                Some(fed) => {
                    feed.insert(name.clone(), fed);
                }
                None => self.wrong_kind(&path, value, "a number, or lists of numbers that are equally long"),
            }
        }
        feed
    }

    fn precision(&mut self, top: Section<'_>) -> Precision {
        let Some(value) = top.get("precision") else { return Precision::default() };
        match value.as_str() {
            Some("f32") => Precision::F32,
            Some("f64") => Precision::F64,
            _ => {
                self.wrong_kind(&["precision"], value, "f32 or f64");
                Precision::default()
            }
        }
    }

    fn on_nan(&mut self, top: Section<'_>) -> OnNan {
        match top.get("on_nan").map(|value| (value, value.as_str())) {
            None | Some((_, Some("stop"))) => OnNan::Stop,
            Some((_, Some("skip"))) => OnNan::Skip,
            Some((_, Some("halve-lr"))) => OnNan::HalveLr,
            Some((value, _)) => {
                self.wrong_kind(&["on_nan"], value, "stop, skip or halve-lr");
                OnNan::Stop
            }
        }
    }

    fn seed(&mut self, top: Section<'_>) -> u64 {
        let Some(value) = top.get("seed") else { return 0 };
        value.as_u64().unwrap_or_else(|| {
            self.wrong_kind(&["seed"], value, "an int from 0 to 2^64 - 1");
            0
        })
    }

    pub(super) fn flag(&mut self, section: Section<'_>, key: &str, default: bool) -> bool {
        let Some(value) = section.get(key) else { return default };
        value.as_bool().unwrap_or_else(|| {
            self.wrong_kind(&section.path_to(key), value, "true or false");
            default
        })
    }

    /// An int of at least 1.
    pub(super) fn count(&mut self, section: Section<'_>, key: &str, value: &Value) -> Option<u32> {
        let count = value.as_u64().and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0);
        if count.is_none() {
            self.wrong_kind(&section.path_to(key), value, "an int of at least 1");
        }
        count
    }

    /// An int of at least 0.
    pub(super) fn whole(&mut self, section: Section<'_>, key: &str, value: &Value) -> Option<u32> {
        let count = value.as_u64().and_then(|count| u32::try_from(count).ok());
        if count.is_none() {
            self.wrong_kind(&section.path_to(key), value, "an int of at least 0");
        }
        count
    }

    pub(super) fn text(&mut self, section: Section<'_>, key: &str, value: &Value) -> Option<String> {
        match value.as_str() {
            Some(text) if !text.is_empty() => Some(text.to_owned()),
            _ => {
                self.wrong_kind(&section.path_to(key), value, "a text");
                None
            }
        }
    }

    pub(super) fn required<'a>(&mut self, section: Section<'a>, key: &str) -> Option<&'a Value> {
        let value = section.get(key);
        if value.is_none() {
            let within = section.path.last().map_or(String::new(), |name| format!(" in `{name}`"));
            let (span, label) = match section.map.contains_key(key) {
                true => (self.key_span(&section.path_to(key)), "nothing stands here"),
                false => (self.key_span(section.path), "it belongs here"),
            };
            let diagnostic = Diagnostic::error(Code::E0602, format!("missing `{key}`{within}"))
                .at(span, label)
                .with_note(format!("expected: {}", example_of(key)));
            self.diagnostics.push(diagnostic);
        }
        value
    }

    pub(super) fn known_keys(&mut self, section: Section<'_>, known: &[&str]) {
        for key in section.map.keys() {
            let name = scalar_text(key).unwrap_or_else(|| kind_of(key).to_owned());
            if known.contains(&name.as_str()) && key.is_string() {
                continue;
            }
            let within = section.path.last().map_or(String::new(), |name| format!(" in `{name}`"));
            let span = self.key_span(&section.path_to(&name));
            let diagnostic = Diagnostic::error(Code::E0602, format!("unknown key `{name}`{within}"))
                .at(span, "not a key of a run config")
                .with_note(format!("expected: one of {}", known.join(", ")))
                .with_suggestion(&name, known.iter().copied());
            self.diagnostics.push(diagnostic);
        }
    }

    pub(super) fn wrong_kind(&mut self, path: &[&str], value: &Value, expected: &str) {
        let key = path.last().copied().unwrap_or_default();
        let found = scalar_text(value).map_or(kind_of(value).to_owned(), |text| format!("`{text}`"));
        let headline = format!("`{key}` cannot be {found}");
        self.mistake(path, &headline, format!("found {found}"), &format!("expected: {expected}"));
    }

    pub(super) fn mistake(&mut self, path: &[&str], headline: &str, label: impl Into<String>, note: &str) {
        let span = self.value_span(path);
        self.diagnostics.push(Diagnostic::error(Code::E0602, headline).at(span, label).with_note(note));
    }

    pub(super) fn report(&mut self, finding: Diagnostic) {
        self.diagnostics.push(finding);
    }

    pub(super) fn key_span(&self, path: &[&str]) -> Span {
        let place = self.places.key(path);
        Span::new(self.source, place.start, place.end)
    }

    pub(super) fn value_span(&self, path: &[&str]) -> Span {
        let place = self.places.value(path);
        Span::new(self.source, place.start, place.end)
    }
}

/// The diagnostic for a text that is no YAML, at the place that the YAML reader names.
fn malformed(text: &str, source: SourceId, places: &Places, error: &serde_yaml::Error) -> Diagnostic {
    if let Some((name, first, second)) = places.duplicate() {
        return Diagnostic::error(Code::E0602, format!("the key `{name}` stands twice"))
            .at(Span::new(source, second.start, second.end), "again here")
            .with_label(Span::new(source, first.start, first.end), "first here")
            .with_note("expected: each key once");
    }
    let place = error.location().map_or(places.key(&[]), |location| {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
        let start = starts.take(location.line()).last().unwrap_or_default();
        let line = text[start..].lines().next().unwrap_or_default();
        let column = location.column().saturating_sub(1);
        let (at, len) = line.char_indices().nth(column).map_or((line.len(), 0), |(at, c)| (at, c.len_utf8()));
        start + at..start + at + len
    });
    Diagnostic::error(Code::E0602, "the run config is not valid YAML")
        .at(Span::new(source, place.start, place.end), "the text cannot be read on from here")
        .with_note(format!("found: {error}"))
}

/// A scalar as text; `None` for what is no scalar.
pub(super) fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a mapping",
        Value::Tagged(_) => "a tagged value",
    }
}

fn example_of(key: &str) -> &'static str {
    match key {
        "spec" => "`spec: model.anb`",
        "data" => "`data: { train: { file: data.csv } }`",
        "train" => "`train: { file: data.csv }`",
        "file" => "`file: data.csv`",
        "batch_size" => "`batch_size: 32`",
        "epochs" => "`epochs: 20`",
        "value" => "`value: validation/accuracy`",
        "from" => "`from: COLUMN`",
        "run" => "`run: runs/first`",
        _ => "a value",
    }
}
