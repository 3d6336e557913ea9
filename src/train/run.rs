//! A whole run by its config: data, a model with its first params, epochs.
//!
//! Takes a compiled spec, its [`RunConfig`] and the data that [`load_data`] read; tells an observer what happens and gives
//! a [`Finished`] run: [`run`] in memory, [`run_into`] with a folder that it writes meanwhile.

use super::config::{ConstValue, RunConfig};
use super::fields::Fields;
use super::fit::{Event, Finished, Fitting, Observer, Parts, drive, fit, no_batch};
use super::folder::{DataChange, Fingerprint, Plan, Recorder, Resumption, RunFolder};
use super::hash::hash_reader;
use super::monitor::Better;
use super::ranges::{Ranges, Shares};
use super::statistics;
use super::trainer::Trainer;
use super::watch::WeightWatch;
use crate::analyse::{Policy, lint, weight_steps};
use crate::data::{DataSource, Dataset, Field, FieldSpec, Flaw, check_header, load_reviewed, open_regular};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::exec::ExecutorOptions;
use crate::ir::Role;
use crate::lower::{Options, Setting};
use crate::ops::Element;
use crate::pipeline::Compiled;
use indexmap::IndexMap;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

/// The data of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunData {
    /// empty where there is none
    pub train: Dataset,
    pub validation: Option<Dataset>,
    pub test: Option<Dataset>,
    /// what there is to know of them that is no mistake
    pub findings: Vec<Diagnostic>,
    /// what tells each part apart
    pub fingerprints: IndexMap<String, Fingerprint>,
}

impl RunData {
    /// What its numbers take of memory.
    pub fn bytes(&self) -> u64 {
        let parts = [Some(&self.train), self.validation.as_ref(), self.test.as_ref()];
        parts.into_iter().flatten().map(Dataset::bytes).fold(0, u64::saturating_add)
    }
}

/// What a config says to the compiler: constants, and what is watched. The `command_line` goes before it.
pub fn overrides(config: &RunConfig, command_line: Options) -> Options {
    let watched = config.monitor.as_ref().map(super::config::Monitor::watched);
    let frozen = config.frozen.iter().chain(&command_line.frozen).cloned().collect();
    let mut options =
        Options { deny: command_line.deny, watched, frozen, observe: config.observe, ..Options::default() };
    for (name, value) in &config.set {
        let setting = match &value.value {
            ConstValue::Int(number) => Setting::Number(*number as f64),
            ConstValue::Float(number) => Setting::Number(*number),
            ConstValue::Bool(value) => Setting::Bool(*value),
            ConstValue::Text(text) => Setting::Text(text.clone()),
        };
        options.overrides.insert(name.clone(), setting);
    }
    options.overrides.extend(command_line.overrides);
    options
}

/// Checks a config with the headers of its data, before anything is read or trained. Gives the parts with their numbers of rows, where
/// a header says it.
///
/// # Errors
/// E0406, E0601, E0602, E0603: all that [`load_data`] finds but for values.
pub fn check_data(compiled: &Compiled, config: &RunConfig) -> Result<Vec<(&'static str, Option<usize>)>, Diagnostics> {
    let mut findings = Vec::new();
    findings.extend(check_config(compiled, config).err().into_iter().flat_map(|found| found.0));
    let fields = Fields::of(&compiled.module);
    let (specs, _) = match asked(config, &fields) {
        Ok(asked) => asked,
        Err(found) => {
            findings.extend(found.0);
            return Err(Diagnostics(findings));
        }
    };
    let mut parts = Vec::new();
    let sources = [("train", &config.train), ("validation", &config.validation), ("test", &config.test)];
    for (part, source) in sources.into_iter().filter_map(|(part, source)| Some((part, source.as_ref()?))) {
        match check_header(source, &specs) {
            Ok(rows) => parts.push((part, rows)),
            Err(found) => findings.extend(found.0),
        }
    }
    if findings.is_empty() { Ok(parts) } else { Err(Diagnostics(findings)) }
}

/// What the data files of a run must hold, and the values that the config gives instead.
type Asked = (Vec<FieldSpec>, Vec<(String, Field)>);

fn asked(config: &RunConfig, fields: &Fields) -> Result<Asked, Diagnostics> {
    let mut specs = fields.specs_within(config.precision.largest());
    let fed = config.fed(&specs)?;
    specs.retain(|spec| !fed.iter().any(|(name, _)| *name == spec.name));
    Ok((specs, fed))
}

/// What needs no data file.
fn check_config(compiled: &Compiled, config: &RunConfig) -> Result<(), Diagnostics> {
    let trains = config.epochs > 0;
    if trains && !compiled.train.outputs.iter().any(|output| output.role == Role::Objective) {
        let finding = Diagnostic::error(Code::E0406, "the spec has no `train` block, so there is nothing to train")
            .at(config.spec_span, "this spec")
            .with_help("add `train { minimize LOSS  optimizer adam() }`")
            .with_help("or say `epochs: 0`, to evaluate and save the model as it begins");
        return Err(finding.into());
    }
    if trains && config.train.is_none() {
        let finding = Diagnostic::error(Code::E0602, "there is no training data")
            .at(config.spec_span, "to train this spec")
            .with_note("expected: `data: { train: { file: … } }`, or no epochs");
        return Err(finding.into());
    }
    config.check_mapped_fields(&Fields::of(&compiled.module).names())?;
    match &config.monitor {
        Some(monitor) => {
            monitor.check(&reported_names(compiled))?;
            monitor.check_better(better_of(compiled, &monitor.name)).map(drop)
        }
        None => Ok(()),
    }
}

/// When a loss or metric of a spec is better, where that is known.
pub(super) fn better_of(compiled: &Compiled, name: &str) -> Option<Better> {
    let is_loss = compiled.simplified.evaluate.output(Role::Loss, name).is_some();
    if is_loss { Some(Better::Lower) } else { compiled.module.better.get(name).copied() }
}

/// Reads the data of a run.
///
/// # Errors
/// E0406 when there are epochs and the spec trains nothing; E0601, E0602, E0603, E0604, E0610; L0013, L0025 and L0026 where they are
/// denied.
pub fn load_data(compiled: &Compiled, config: &RunConfig) -> Result<RunData, Diagnostics> {
    check_config(compiled, config)?;
    let trains = config.epochs > 0;
    let fields = Fields::of(&compiled.module);
    let (specs, fed) = asked(config, &fields)?;
    let mut reviewer = Reviewer::of(compiled, &fields);
    let mut findings = Vec::new();
    let mut read = |source: &DataSource| {
        let (data, found) = load_reviewed(source, &specs, &fed, &mut |data| reviewer.review(data))?;
        findings.extend(found);
        not_empty(data, source)
    };
    let train = config.train.as_ref().map(&mut read).transpose()?.unwrap_or_default();
    let validation = config.validation.as_ref().map(&mut read).transpose()?;
    let test = config.test.as_ref().map(&mut read).transpose()?;
    let mut data = RunData { train, validation, test, findings, fingerprints: IndexMap::new() };
    data.fingerprints = fingerprints(config, &data)?;
    if trains && config.drop_last && data.train.rows < config.batch_size as usize {
        return Err(no_batch(data.train.rows, config.batch_size).into());
    }
    data.findings.extend(statistics::review(compiled, config, data.train.rows)?);
    Ok(data)
}

/// What tells the parts of the data apart: rows, and the contents of the files.
fn fingerprints(config: &RunConfig, data: &RunData) -> Result<IndexMap<String, Fingerprint>, Diagnostic> {
    let parts = [
        ("train", config.train.as_ref(), Some(&data.train)),
        ("validation", config.validation.as_ref(), data.validation.as_ref()),
        ("test", config.test.as_ref(), data.test.as_ref()),
    ];
    let mut of_files: BTreeMap<&Path, (u64, String)> = BTreeMap::new();
    let mut found = IndexMap::new();
    for (part, source, dataset) in parts {
        let (Some(source), Some(dataset)) = (source, dataset) else { continue };
        let (bytes, hash) = match of_files.get(&*source.path) {
            Some(known) => known.clone(),
            None => {
                let hashed = open_regular(&source.path).and_then(|(mut file, _)| hash_reader(&mut file));
                let known = hashed.map_err(|error| {
                    Diagnostic::error(Code::E0601, format!("cannot read `{}`", source.path.display()))
                        .with_note(format!("found: {error}"))
                })?;
                of_files.entry(&source.path).or_insert(known).clone()
            }
        };
        found.insert(part.to_string(), Fingerprint { rows: dataset.rows, bytes, hash });
    }
    Ok(found)
}

/// Holds what was read against what the graph says of it.
struct Reviewer<'c> {
    fields: &'c Fields,
    ranges: Ranges,
    shares: Shares,
    policy: &'c Policy,
}

impl<'c> Reviewer<'c> {
    fn of(compiled: &'c Compiled, fields: &'c Fields) -> Self {
        let graph = &compiled.module.graph;
        let (ranges, shares) = (Ranges::of(graph, fields.optional()), Shares::of(graph, fields.optional()));
        Self { fields, ranges, shares, policy: &compiled.policy }
    }

    fn review(&mut self, data: &Dataset) -> Result<Vec<Flaw>, Diagnostics> {
        self.ranges.set_sizes(&self.fields.sizes(data)?);
        let mut flaws = self.ranges.flaws(data);
        for flaw in self.shares.flaws(data) {
            let told = self.policy.apply(lint(Code::L0013), flaw.finding.clone());
            flaws.extend(told.map(|finding| Flaw { finding, ..flaw }));
        }
        Ok(flaws)
    }
}

/// What every part of the data is evaluated to.
fn reported_names(compiled: &Compiled) -> Vec<&str> {
    let is_value = |output: &&crate::ir::Output| matches!(output.role, Role::Loss | Role::Metric);
    compiled.simplified.evaluate.outputs.iter().filter(is_value).map(|output| &*output.name).collect()
}

fn not_empty(data: Dataset, source: &DataSource) -> Result<Dataset, Diagnostics> {
    if data.rows > 0 {
        return Ok(data);
    }
    let finding = Diagnostic::error(Code::E0603, format!("`{}` has no rows", source.path.display()));
    Err(match source.span {
        Some(span) => finding.at(span, "this file"),
        None => finding,
    }
    .into())
}

/// Trains in memory.
///
/// # Errors
/// Those of [`Trainer::start_from`] and [`Trainer::step`]. Divergence is no error here: see [`Finished::diverged`].
pub fn run<T: Element>(
    compiled: &Compiled,
    config: &RunConfig,
    data: &RunData,
    options: &ExecutorOptions,
    observe: &mut Observer<'_>,
) -> Result<Finished<T>, Diagnostics> {
    let mut trainer = new_trainer::<T>(compiled, config, options, observe)?;
    let watch = watch_of(compiled, &trainer);
    fit(&mut trainer, watch, &config.settings(compiled), data.parts(), observe)
}

/// How a run is kept in a folder.
#[derive(Clone, Copy)]
pub struct Keeping<'k> {
    /// the time that the process has had, by which checkpoints may be due
    pub elapsed: &'k dyn Fn() -> Duration,
    /// the time of day as text, for the record, where it is to be there
    pub now: Option<&'k dyn Fn() -> String>,
    /// whether the data may be others than those that the run began with
    pub data_change: DataChange,
}

impl Keeping<'_> {
    /// The time of day.
    pub(super) fn time(&self) -> Option<String> {
        self.now.map(|now| now())
    }
}

impl std::fmt::Debug for Keeping<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeping").field("data_change", &self.data_change).finish_non_exhaustive()
    }
}

/// Trains, and writes the run's folder meanwhile; goes on with the run of a folder that was [opened](RunFolder::open). A run that
/// the observer ends can be gone on with.
///
/// # Errors
/// Those of [`run`]; E0605 when the folder cannot be written; E0603, E0606 and E0608 when what is there is not gone on with.
pub fn run_into<T: Element>(
    plan: &Plan<'_>,
    data: &RunData,
    folder: &mut RunFolder,
    keeping: Keeping<'_>,
    observe: &mut Observer<'_>,
) -> Result<Finished<T>, Diagnostics> {
    let options = match folder.record() {
        Some(record) => plan.options_of(record)?,
        // One set of threads, and one way to count them.
        None => ExecutorOptions { pool: Some(plan.options.pool()?), ..plan.options.clone() },
    };
    let plan = Plan { options: &options, ..*plan };
    let mut trainer = Trainer::<T>::new(plan.compiled, plan.config.seed, &options)?;
    let watch = watch_of(plan.compiled, &trainer);
    let settings = plan.config.settings(plan.compiled);
    let (mut recorder, resumption) = if folder.record().is_some() {
        let (recorder, found) = Recorder::reopen(folder, plan, data, &trainer, keeping)?;
        for finding in &found.findings {
            let _ = observe(Event::Finding(finding));
        }
        if found.resumption.is_none() {
            // What a run began with is told of when it begins, and a checkpoint has what it became.
            start_from(&mut trainer, plan.config, &mut |_| ControlFlow::Continue(()))?;
        }
        (recorder, found.resumption)
    } else {
        start_from(&mut trainer, plan.config, observe)?;
        (Recorder::begin(folder, plan, data, &trainer, keeping)?, None)
    };
    let mut fitting = Fitting::new(&mut trainer, watch, &settings, data.parts())?;
    if let Some(Resumption { state, kept, history }) = resumption {
        fitting.resume(state, kept, history)?;
    }
    let driven = drive(&mut fitting, observe, &mut |fitting, moved| recorder.after(fitting, moved));
    match driven {
        Ok(()) => recorder.finish(fitting),
        Err(findings) => {
            recorder.give_up();
            Err(findings)
        }
    }
}

pub(super) fn new_trainer<T: Element>(
    compiled: &Compiled,
    config: &RunConfig,
    options: &ExecutorOptions,
    observe: &mut Observer<'_>,
) -> Result<Trainer<T>, Diagnostics> {
    let mut trainer = Trainer::<T>::new(compiled, config.seed, options)?;
    start_from(&mut trainer, config, observe)?;
    Ok(trainer)
}

/// Sets a model to the params that its config begins with.
fn start_from<T: Element>(
    trainer: &mut Trainer<T>,
    config: &RunConfig,
    observe: &mut Observer<'_>,
) -> Result<(), Diagnostics> {
    if let Some(source) = &config.params {
        let start = trainer.start_from(source)?;
        let _ = observe(Event::Begun(&start));
    }
    Ok(())
}

pub(super) fn watch_of<T: Element>(compiled: &Compiled, trainer: &Trainer<T>) -> Option<WeightWatch<T>> {
    weight_steps(&compiled.module).map(|steps| WeightWatch::new(trainer, steps, compiled.policy.clone()))
}

impl RunData {
    pub(super) fn parts(&self) -> Parts<'_> {
        Parts { train: &self.train, validation: self.validation.as_ref(), test: self.test.as_ref() }
    }
}
