//! A whole run: data, epochs, evaluation, history.
//!
//! Takes a compiled spec, its [`RunConfig`] and the data that [`load_data`] read; tells an observer what happens and gives
//! a [`Finished`] run, which is not on disk yet. A loss that is no finite number ends the run (E0607); what is given then
//! is the model as it was after the last epoch in which every loss and param was finite.

use super::config::{ConstValue, RunConfig};
use super::fields::Fields;
use super::history::{EpochRecord, History, PartRecord};
use super::judge::{Best, Judge, Verdict};
use super::trainer::{Reported, Trainer, Weighted};
use crate::analyse::{lint, overshooting};
use crate::data::{Batcher, Dataset, load};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::exec::{ExecutorOptions, Store};
use crate::ir::Role;
use crate::lower::{Options, Setting};
use crate::ops::Element;
use crate::pipeline::Compiled;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The data of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunData {
    pub train: Dataset,
    pub validation: Option<Dataset>,
    pub test: Option<Dataset>,
}

/// What the observer of a run is told.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The run begins; an epoch has so many steps.
    Started { epochs: u32, steps_per_epoch: usize },
    /// A step was made.
    Step,
    /// An epoch ended.
    Epoch(&'a EpochRecord),
    /// Something to know was found on the way.
    Finding(&'a Diagnostic),
}

/// A run that ended.
#[derive(Debug)]
pub struct Finished<T> {
    /// params and states: the last ones, those of the best epoch, or the last good ones of a run that diverged
    pub store: Store<T>,
    pub history: History,
    /// training steps that led to the store
    pub n_steps: u64,
    /// epochs that led to the store
    pub n_epochs: u32,
    /// the best epoch by the value that the run watched
    pub best: Option<Best>,
    /// whether the watched value ended the run before its last epoch
    pub stopped_early: bool,
    /// why the run ended before its last epoch
    pub diverged: Option<Diagnostic>,
}

/// What a config says to the compiler: constants, and what is watched. The `command_line` goes before it.
pub fn overrides(config: &RunConfig, command_line: Options) -> Options {
    let watched = config.monitor.as_ref().map(super::config::Monitor::watched);
    let mut options = Options { deny: command_line.deny, watched, ..Options::default() };
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

/// Reads the data of a run.
///
/// # Errors
/// E0406 when the spec trains nothing; E0601, E0602, E0603, E0604.
pub fn load_data(compiled: &Compiled, config: &RunConfig) -> Result<RunData, Diagnostics> {
    if !compiled.train.outputs.iter().any(|output| output.role == Role::Objective) {
        let finding = Diagnostic::error(Code::E0406, "the spec has no `train` block, so there is nothing to run")
            .at(config.spec_span, "this spec")
            .with_help("add `train { minimize LOSS  optimizer adam() }`");
        return Err(finding.into());
    }
    let fields = Fields::of(&compiled.module);
    config.check_mapped_fields(&fields.names())?;
    if let Some(monitor) = &config.monitor {
        monitor.check(&reported_names(compiled))?;
    }
    let specs = fields.specs()?;
    let part = |source: &Option<crate::data::DataSource>| {
        source.as_ref().map(|source| load(source, &specs).and_then(|data| not_empty(data, source))).transpose()
    };
    let train = load(&config.train, &specs).and_then(|data| not_empty(data, &config.train))?;
    let data = RunData { train, validation: part(&config.validation)?, test: part(&config.test)? };
    if config.drop_last && data.train.rows < config.batch_size as usize {
        let finding = Diagnostic::error(Code::E0602, "`drop_last` leaves no batch at all")
            .with_note(format!("found: {} rows in batches of {}", data.train.rows, config.batch_size))
            .with_help("take a smaller `batch_size`");
        return Err(finding.into());
    }
    Ok(data)
}

/// What every part of the data is evaluated to.
fn reported_names(compiled: &Compiled) -> Vec<&str> {
    let is_value = |output: &&crate::ir::Output| matches!(output.role, Role::Loss | Role::Metric);
    compiled.simplified.evaluate.outputs.iter().filter(is_value).map(|output| &*output.name).collect()
}

fn not_empty(data: Dataset, source: &crate::data::DataSource) -> Result<Dataset, Diagnostics> {
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

/// Trains.
///
/// # Errors
/// Those of [`Trainer::load_params`] and [`Trainer::step`]. Divergence is no error here: see [`Finished::diverged`].
pub fn run<T: Element>(
    compiled: &Compiled,
    config: &RunConfig,
    data: &RunData,
    options: &ExecutorOptions,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Finished<T>, Diagnostics> {
    let mut trainer = Trainer::<T>::new(compiled, config.seed, options)?;
    if let Some(params) = &config.params {
        trainer.load_params(params)?;
    }
    let batcher = Batcher {
        rows: u32::try_from(data.train.rows).unwrap_or(u32::MAX),
        batch_size: config.batch_size,
        shuffle: config.shuffle.then_some(config.seed),
        drop_last: config.drop_last,
    };
    observe(Event::Started { epochs: config.epochs, steps_per_epoch: batcher.batches_per_epoch() });
    let mut history = History { epochs: vec![record(&mut trainer, config, data, 0, None)?] };
    observe(Event::Epoch(&history.epochs[0]));
    let mut judge = config.monitor.as_ref().map(Judge::new);
    let mut good = Good { store: trainer.store().clone(), n_steps: 0, n_epochs: 0 };
    let mut kept = None;
    let mut stopped_early = false;
    let mut told = BTreeSet::new();
    let mut order = Vec::new();
    for epoch in 0..config.epochs {
        batcher.order_into(u64::from(epoch), &mut order);
        trainer.set_epoch(epoch);
        trainer.attach(&data.train)?;
        if let Some(rows) = batcher.batches(&order).next() {
            watch_weights(&mut trainer, compiled, data, rows, epoch, &mut told, observe)?;
        }
        let outcome = train_epoch(&mut trainer, data, batcher.batches(&order), observe)?;
        let means = match outcome {
            Ok(means) if trainer.is_finite() => means,
            Ok(_) => return Ok(good.diverged(history, diverged(epoch, trainer.clock().step, None))),
            Err(bad) => return Ok(good.diverged(history, diverged(epoch, trainer.clock().step, Some(bad)))),
        };
        let record = record(&mut trainer, config, data, epoch + 1, Some(&means))?;
        observe(Event::Epoch(&record));
        good = Good { store: trainer.store().clone(), n_steps: record.step, n_epochs: record.epoch };
        let verdict = judge.as_mut().map(|judge| (judge.judge(&record), judge.keeps_best()));
        history.epochs.push(record);
        match verdict {
            Some((Verdict::Best, true)) => kept = Some(good.clone()),
            Some((Verdict::End, _)) => {
                stopped_early = true;
                break;
            }
            _ => {}
        }
    }
    let Good { store, n_steps, n_epochs } = kept.unwrap_or(good);
    let best = judge.and_then(|judge| judge.best());
    Ok(Finished { store, history, n_steps, n_epochs, best, stopped_early, diverged: None })
}

/// A model as it was after an epoch in which everything was finite.
#[derive(Clone, Debug)]
struct Good<T> {
    store: Store<T>,
    n_steps: u64,
    n_epochs: u32,
}

impl<T> Good<T> {
    fn diverged(self, history: History, reason: Diagnostic) -> Finished<T> {
        let Self { store, n_steps, n_epochs } = self;
        Finished { store, history, n_steps, n_epochs, best: None, stopped_early: false, diverged: Some(reason) }
    }
}

/// Tells, once each, of loss weights that overshoot by the losses of an epoch's first batch.
///
/// # Errors
/// The finding, when its lint is denied.
fn watch_weights<T: Element>(
    trainer: &mut Trainer<T>,
    compiled: &Compiled,
    data: &RunData,
    rows: &[u32],
    epoch: u32,
    told: &mut BTreeSet<Arc<str>>,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<(), Diagnostics> {
    for (weight, step) in trainer.overshooting(&data.train, rows)? {
        if !told.insert(weight.path.clone()) {
            continue;
        }
        let place = format!("by the losses at the start of epoch {}", epoch + 1);
        match compiled.policy.apply(lint(Code::L0012), overshooting(&weight, &step, &place)) {
            Some(finding) if finding.is_error() => return Err(finding.into()),
            Some(finding) => observe(Event::Finding(&finding)),
            None => {}
        }
    }
    Ok(())
}

/// What comes of an epoch's steps: the means, or what was not finite.
type Pass = Result<Vec<Option<f64>>, (Reported, f64)>;

/// One pass over the training rows.
fn train_epoch<'b, T: Element>(
    trainer: &mut Trainer<T>,
    data: &RunData,
    batches: impl Iterator<Item = &'b [u32]>,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Pass, Diagnostics> {
    let mut means = Weighted::default();
    trainer.begin_epoch();
    let mut batches = batches.peekable();
    while let Some(rows) = batches.next() {
        trainer.set_epoch_end(batches.peek().is_none());
        let (values, weights) = trainer.step(&data.train, rows)?;
        let bad = values.iter().position(|value| !value.is_finite()).map(|at| (at, values[at]));
        means.add(values, weights);
        if let Some((at, value)) = bad.filter(|(at, _)| trainer.reported()[*at].role != Role::Metric) {
            return Ok(Err((trainer.reported()[at].clone(), value)));
        }
        observe(Event::Step);
    }
    let mut means = means.means();
    trainer.finish_epoch(&mut means);
    Ok(Ok(means))
}

/// What is to be said after an epoch; `means` are those of its steps.
fn record<T: Element>(
    trainer: &mut Trainer<T>,
    config: &RunConfig,
    data: &RunData,
    epoch: u32,
    means: Option<&[Option<f64>]>,
) -> Result<EpochRecord, Diagnostics> {
    let train = means.map(|means| PartRecord::new("train", trainer.reported(), means));
    let mut parts: Vec<PartRecord> = train.into_iter().collect();
    for (part, dataset) in [("validation", &data.validation), ("test", &data.test)] {
        if let Some(dataset) = dataset {
            let values = trainer.evaluate(dataset, config.batch_size)?;
            parts.push(PartRecord::new(part, &trainer.evaluated(), &values));
        }
    }
    let step = u64::from(trainer.clock().step as u32);
    Ok(EpochRecord { epoch, step, parts, weights: trainer.loss_weights() })
}

fn diverged(epoch: u32, step: i32, bad: Option<(Reported, f64)>) -> Diagnostic {
    let what = match bad {
        Some((reported, value)) => format!("the {} `{}` became {value}", reported.role.as_str(), reported.name),
        None => "a param became infinite or NaN".to_string(),
    };
    Diagnostic::error(Code::E0607, format!("training diverged: {what}"))
        .with_note(format!("found: in epoch {}, at step {step}", epoch + 1))
        .with_note("expected: finite numbers")
        .with_help("take a smaller learning rate, `clip global_norm=1.0` in the `train` block, or look for a logarithm or division by 0")
}
