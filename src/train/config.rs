//! The run configuration: a YAML file that names a spec, its data and how to train.
//!
//! [`parse`] takes the text and gives a [`RunConfig`] or every mistake in it, each with the exact place of the key or value
//! (`E0602`). It reads no file but the text it is given: whether the spec and the data exist is found out by who opens
//! them. [`read`] reads the text from a file and makes its paths relative to that file's folder.
//!
//! The YAML crate loses the place of nested values, so values are taken apart by hand here and places come from
//! `places`, a second reading of the same text.

mod checkpoint;
mod columns;
mod fields;
mod monitor;
mod observe;
mod params;
mod places;
mod split;
mod write;

use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use super::checkpointing::Checkpointing;
use super::columns::FieldColumns;
use super::fit::{OnNan, Settings};
use super::run::better_of;
use super::split::Split;
use super::start_from::StartSource;
use crate::data::{DataSource, Field, FieldSpec, NamedArray, Numbers, open_regular, whole_fields};
use crate::diag::{Code, Diagnostic, Diagnostics, SourceId, SourceMap, Span};
use crate::lower::{Frozen, Observe, Setting};
use crate::pipeline::Compiled;

use fields::Reader;
pub(crate) use fields::rows_of;

pub use super::monitor::{Better, Monitor};
pub use super::outputs::Precision;

impl Precision {
    /// The largest finite number.
    pub fn largest(self) -> f64 {
        match self {
            Self::F32 => f64::from(f32::MAX),
            Self::F64 => f64::MAX,
        }
    }
}

/// A value for a `const` of the spec.
#[derive(Clone, Debug, PartialEq)]
pub enum ConstValue {
    Int(i64),
    Float(f64),
    Bool(bool),
    Text(String),
}

/// A `const` that the run sets.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    pub value: ConstValue,
    /// The name's place, for an unknown const.
    pub name_span: Span,
    /// The value's place, for a value that does not fit.
    pub span: Span,
}

/// The value of an input that has one for all rows.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fed {
    pub shape: Vec<usize>,
    pub values: Vec<f64>,
    /// Where the config gives it.
    #[serde(skip)]
    pub span: Option<Span>,
}

impl std::fmt::Display for Fed {
    /// As it is read: `0.3`, `[[0, 1], [1, 2]]`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        fn nested(shape: &[usize], values: &[f64], text: &mut String) {
            let Some((extent, rest)) = shape.split_first() else {
                *text += &values.first().map_or_else(String::new, |value| format!("{value:?}"));
                return;
            };
            let length = rest.iter().product::<usize>();
            *text += "[";
            for at in 0..*extent {
                *text += if at == 0 { "" } else { ", " };
                nested(rest, &values[at * length..(at + 1) * length], text);
            }
            *text += "]";
        }
        let mut text = String::new();
        nested(&self.shape, &self.values, &mut text);
        f.write_str(&text)
    }
}

impl std::str::FromStr for Fed {
    type Err = String;

    /// A number, or a list of lists of numbers: `0.3`, `[[0, 1], [1, 2]]`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let value = serde_yaml::from_str(text).ok();
        let fed = value.and_then(|value| fields::fed(&value, None));
        fed.ok_or_else(|| "expected a number, or lists of numbers that are equally long".to_string())
    }
}

/// Values by the names of fields, held against what is asked for.
///
/// # Errors
/// Those of [`whole_fields`].
pub(super) fn fed_fields<'f>(
    given: impl Iterator<Item = (&'f str, &'f Fed)>,
    specs: &[FieldSpec],
) -> Result<Vec<(String, Field)>, Diagnostics> {
    let given = given.map(|(name, fed)| (name, &*fed.shape, Numbers::F64(fed.values.clone())));
    let given: Vec<(&str, &[usize], Numbers)> = given.collect();
    let arrays: Vec<NamedArray<'_>> = given.iter().map(|(name, shape, values)| (*name, *shape, values)).collect();
    whole_fields(&arrays, specs)
}

/// Everything a run is decided by, besides the spec and the data themselves.
#[derive(Clone, Debug, PartialEq)]
pub struct RunConfig {
    /// The config's own file, where it was read from one.
    pub path: Option<PathBuf>,
    pub spec: PathBuf,
    pub spec_span: Span,
    /// There with a run of at least one epoch.
    pub train: Option<DataSource>,
    pub validation: Option<DataSource>,
    pub test: Option<DataSource>,
    /// The one file whose rows the parts are, where they are split.
    pub split: Option<Split>,
    /// Every field that some `columns` maps, with its place.
    pub mapped_fields: IndexMap<String, Span>,
    /// Fields whose columns are of a kind or are encoded: as the config says, and once they are fitted with all that was worked out.
    pub encoded: IndexMap<String, FieldColumns>,
    /// Outputs that are told in the terms of a target, by name: in its units, as the texts of its categories.
    pub decode: IndexMap<String, (String, Span)>,
    /// At least 1.
    pub batch_size: u32,
    /// With none, the model is evaluated and saved as it begins.
    pub epochs: u32,
    pub seed: u64,
    pub shuffle: bool,
    pub drop_last: bool,
    pub precision: Precision,
    /// The folder for what the run writes.
    pub output: PathBuf,
    /// Where the config names that folder.
    pub output_span: Option<Span>,
    pub params: Option<StartSource>,
    /// Params that are not trained.
    pub frozen: Vec<Frozen>,
    pub set: IndexMap<String, Override>,
    /// The values of inputs without rows.
    pub feed: IndexMap<String, Fed>,
    pub monitor: Option<Monitor>,
    pub checkpoint: Checkpointing,
    /// Steps from one that is logged to the next; 0 logs none.
    pub log_every: u32,
    /// Epochs from one after which validation and test rows are evaluated to the next, at least 1.
    pub evaluate_every: u32,
    pub on_nan: OnNan,
    /// What is reported of how losses are combined.
    pub observe: Observe,
}

/// A run config is a page of text; a longer one is a mistake such as a data file in its place.
const LONGEST_TEXT: u64 = 256 * 1024;

/// Reads a run config and adds its text to `sources`. Its paths are taken from the folder it stands in.
///
/// # Errors
/// `E0601` when the file cannot be read, `E0602` for each mistake in it.
pub fn read(path: &Path, sources: &mut SourceMap) -> Result<RunConfig, Diagnostics> {
    let not_readable = |reason: String| {
        Diagnostic::error(Code::E0601, format!("cannot read `{}`", path.display()))
            .with_note(format!("found: {reason}"))
            .with_note("expected: a run config, a YAML text")
    };
    let bytes = read_bounded(path).map_err(not_readable)?;
    let text = String::from_utf8(bytes).map_err(|error| not_readable(error.to_string()))?;
    let source = sources.add(path.display().to_string(), text.as_str());
    let mut config = parse(&text, source)?;
    config.resolve(path.parent().unwrap_or(Path::new("")));
    config.path = Some(path.to_path_buf());
    Ok(config)
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read;
    let (file, _) = open_regular(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(LONGEST_TEXT + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LONGEST_TEXT {
        return Err(format!("it is longer than {} KiB", LONGEST_TEXT / 1024));
    }
    Ok(bytes)
}

/// Parses a run config. Paths stay as they are written.
///
/// # Errors
/// `E0602` for each mistake.
///
/// ```
/// use anabranch::diag::SourceMap;
/// use anabranch::train::config;
///
/// let text = "spec: digits.anb\ndata: { train: { file: digits.csv, rows: 0..1437 } }\nbatch_size: 32\nepoch: 20\n";
/// let mut sources = SourceMap::default();
/// let source = sources.add("run.yaml", text);
/// let wrong = config::parse(text, source).unwrap_err();
/// assert_eq!(wrong.0[0].headline, "unknown key `epoch`");
/// assert_eq!(wrong.0[0].helps, ["did you mean `epochs`?"]);
/// ```
pub fn parse(text: &str, source: SourceId) -> Result<RunConfig, Diagnostics> {
    Reader::new(text, source)?.run_config()
}

impl RunConfig {
    /// The config of a model that is trained on data from memory by these settings.
    pub fn in_memory(spec: (&Path, Span), seed: u64, precision: Precision, settings: Settings) -> Self {
        let (path, spec_span) = spec;
        let mut config = Self {
            path: None,
            spec: path.to_path_buf(),
            spec_span,
            train: None,
            validation: None,
            test: None,
            split: None,
            mapped_fields: IndexMap::new(),
            encoded: IndexMap::new(),
            decode: IndexMap::new(),
            batch_size: 1,
            epochs: 0,
            seed,
            shuffle: true,
            drop_last: false,
            precision,
            output: PathBuf::new(),
            output_span: None,
            params: None,
            frozen: Vec::new(),
            set: IndexMap::new(),
            feed: IndexMap::new(),
            monitor: None,
            checkpoint: Checkpointing::default(),
            log_every: fields::LOG_EVERY,
            evaluate_every: 1,
            on_nan: OnNan::default(),
            observe: Observe::default(),
        };
        config.take(settings);
        config
    }

    /// Makes the epochs go by other settings. The order of rows is by the config's own seed.
    pub fn take(&mut self, settings: Settings) {
        let Settings { epochs, batch_size, shuffle, drop_last, monitor, evaluate_every, on_nan } = settings;
        self.epochs = epochs;
        self.batch_size = batch_size;
        self.shuffle = shuffle.is_some();
        self.drop_last = drop_last;
        self.monitor = monitor;
        self.evaluate_every = evaluate_every;
        self.on_nan = on_nan;
    }

    /// How the epochs of a spec go.
    pub fn settings(&self, compiled: &Compiled) -> Settings {
        let monitor = self.monitor.clone().map(|monitor| {
            let better = monitor.check_better(better_of(compiled, &monitor.name)).unwrap_or(monitor.better);
            Monitor { better, ..monitor }
        });
        Settings {
            epochs: self.epochs,
            batch_size: self.batch_size,
            shuffle: self.shuffle.then_some(self.seed),
            drop_last: self.drop_last,
            monitor,
            evaluate_every: self.evaluate_every,
            on_nan: self.on_nan,
        }
    }

    /// Takes every relative path from `folder`.
    pub fn resolve(&mut self, folder: &Path) {
        let sources = [self.train.as_mut(), self.validation.as_mut(), self.test.as_mut()];
        let split = self.split.as_mut().map(|split| &mut split.source);
        let data = sources.into_iter().flatten().chain(split).map(|source| &mut source.path);
        let params = self.params.as_mut().map(|source| &mut source.file.path);
        for path in data.chain(params).chain([&mut self.spec, &mut self.output]) {
            *path = folder.join(&*path);
        }
    }

    /// Adds what the command line sets to the overrides, so that the config says all.
    pub fn set_all(&mut self, settings: impl IntoIterator<Item = (String, Setting)>) {
        for (name, setting) in settings {
            let value = match setting {
                Setting::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
                    ConstValue::Int(number as i64)
                }
                Setting::Number(number) => ConstValue::Float(number),
                Setting::Bool(value) => ConstValue::Bool(value),
                Setting::Text(text) => ConstValue::Text(text),
            };
            let span = self.spec_span;
            self.set.insert(name, Override { value, name_span: span, span });
        }
    }

    /// The parts of the data.
    pub fn sources(&self) -> impl Iterator<Item = &DataSource> {
        [&self.train, &self.validation, &self.test].into_iter().flatten()
    }

    /// The training data, or else another part of the data: they share how fields are named.
    pub fn any_source(&self) -> Option<&DataSource> {
        self.sources().next()
    }

    /// The values of inputs without rows, held against what the spec asks for.
    ///
    /// # Errors
    /// E0603 for a name that no such input has or another shape, E0604 for values that it does not take.
    pub fn fed(&self, specs: &[FieldSpec]) -> Result<Vec<(String, Field)>, Diagnostics> {
        let given = self.feed.iter().map(|(name, fed)| (name.as_str(), fed));
        fed_fields(given, specs).map_err(|mut findings| {
            let of = |finding: &Diagnostic| {
                self.feed
                    .iter()
                    .find(|(name, _)| finding.headline.contains(&format!("`{name}`")))
                    .and_then(|(_, fed)| fed.span)
            };
            for finding in &mut findings.0 {
                if let Some(span) = of(finding) {
                    let placed = std::mem::replace(finding, Diagnostic::error(finding.code, ""));
                    *finding = if placed.primary.is_some() {
                        placed.with_label(span, "this value")
                    } else {
                        placed.at(span, "this value")
                    };
                }
            }
            findings
        })
    }

    /// The files that the run reads.
    pub fn inputs(&self) -> Vec<PathBuf> {
        let data = self.sources().map(|source| &source.path);
        let params = self.params.iter().map(StartSource::path);
        self.path.iter().chain([&self.spec]).chain(data).cloned().chain(params).collect()
    }

    /// Holds the fields that `columns` maps against those of the spec.
    ///
    /// # Errors
    /// `E0602` for each name that the spec does not have.
    pub fn check_mapped_fields(&self, known: &[&str]) -> Result<(), Diagnostics> {
        let unknown = self.mapped_fields.iter().filter(|(name, _)| !known.contains(&name.as_str()));
        let diagnostics: Vec<Diagnostic> = unknown
            .map(|(name, span)| {
                Diagnostic::error(Code::E0602, format!("`columns` maps `{name}`, which the spec does not declare"))
                    .at(*span, "no input or target of this name")
                    .with_note(format!("expected: one of {}", known.join(", ")))
                    .with_suggestion(name, known.iter().copied())
            })
            .collect();
        if diagnostics.is_empty() { Ok(()) } else { Err(Diagnostics(diagnostics)) }
    }
}

#[cfg(test)]
mod tests;
