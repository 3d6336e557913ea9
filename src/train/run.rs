//! A whole run: data, epochs, evaluation, history.
//!
//! Takes a compiled spec, its [`RunConfig`] and the data that [`load_data`] read; tells an observer what happens and gives
//! a [`Finished`] run, which is not on disk yet. A loss that is no finite number ends the run (E0607); what is given then
//! is the model as it was after the last epoch in which every loss and param was finite.

use super::config::{ConstValue, RunConfig};
use super::fields::Fields;
use super::history::{EpochRecord, History, PartRecord};
use super::trainer::{Reported, Trainer, Weighted};
use crate::data::{Batcher, Dataset, load};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::exec::{ExecutorOptions, Store};
use crate::ir::Role;
use crate::lower::{Options, Setting};
use crate::ops::Element;
use crate::pipeline::Compiled;

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
}

/// A run that ended.
#[derive(Debug)]
pub struct Finished<T> {
    /// params and states: the last ones, or the last good ones of a run that diverged
    pub store: Store<T>,
    pub history: History,
    /// training steps that led to the store
    pub n_steps: u64,
    /// why the run ended before its last epoch
    pub diverged: Option<Diagnostic>,
}

/// The constants that a config sets, as compile options. Those of the `command_line` go before them.
pub fn overrides(config: &RunConfig, command_line: Options) -> Options {
    let mut options = Options { deny: command_line.deny, ..Options::default() };
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
    let mut good = (trainer.store().clone(), 0);
    let mut order = Vec::new();
    for epoch in 0..config.epochs {
        batcher.order_into(u64::from(epoch), &mut order);
        trainer.set_epoch(epoch);
        trainer.attach(&data.train)?;
        let outcome = train_epoch(&mut trainer, data, batcher.batches(&order), observe)?;
        let means = match outcome {
            Ok(means) if trainer.is_finite() => means,
            Ok(_) => return Ok(stopped(good, history, diverged(epoch, trainer.clock().step, None))),
            Err(bad) => return Ok(stopped(good, history, diverged(epoch, trainer.clock().step, Some(bad)))),
        };
        let record = record(&mut trainer, config, data, epoch + 1, Some(&means))?;
        observe(Event::Epoch(&record));
        good = (trainer.store().clone(), record.step);
        history.epochs.push(record);
    }
    Ok(Finished { store: good.0, history, n_steps: good.1, diverged: None })
}

/// One pass over the training rows: the means, or what was not finite.
fn train_epoch<'b, T: Element>(
    trainer: &mut Trainer<T>,
    data: &RunData,
    batches: impl Iterator<Item = &'b [u32]>,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Result<Vec<f64>, (Reported, f64)>, Diagnostics> {
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
    means: Option<&[f64]>,
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

fn stopped<T>(good: (Store<T>, u64), history: History, reason: Diagnostic) -> Finished<T> {
    Finished { store: good.0, history, n_steps: good.1, diverged: Some(reason) }
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
