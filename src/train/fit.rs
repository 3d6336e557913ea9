//! Epochs over data: steps, evaluation, judgement, until the last epoch or until something ends the run before it.
//!
//! Takes a trainer as it is, so that a loop goes on where another one ended; tells an observer what happens and gives a
//! [`Finished`] run. A loss that is no finite number ends it (E0607); what is given then is the model as it was after the last
//! epoch in which every loss and param was finite.

use super::history::{EpochRecord, History, PartRecord};
use super::judge::{Best, Judge, Verdict};
use super::monitor::Monitor;
use super::trainer::{Reported, RunState, Trainer, Weighted, count_rows};
use super::watch::WeightWatch;
use crate::data::{Batcher, Dataset};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::exec::Store;
use crate::ir::Role;
use crate::ops::Element;
use std::ops::ControlFlow;

/// How a loop of epochs goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// at least 1
    pub epochs: u32,
    /// at least 1
    pub batch_size: u32,
    /// the seed of the order of rows; without one they are visited as they stand
    pub shuffle: Option<u64>,
    /// leaves out a last batch that is short
    pub drop_last: bool,
    pub monitor: Option<Monitor>,
}

/// The data of a loop of epochs by its parts.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'d> {
    pub train: &'d Dataset,
    pub validation: Option<&'d Dataset>,
    pub test: Option<&'d Dataset>,
}

/// Who is told of events, and may end the loop at any of them.
pub type Observer<'o> = dyn FnMut(Event<'_>) -> ControlFlow<()> + 'o;

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

/// Trains a model from where it stands, for so many more epochs.
///
/// # Errors
/// E0602 and E0603 when there is no batch at all; those of [`Trainer::step`]. Divergence is no error here: see [`Finished::diverged`].
pub fn fit<T: Element>(
    trainer: &mut Trainer<T>,
    mut watch: Option<WeightWatch<T>>,
    settings: &Settings,
    data: Parts<'_>,
    observe: &mut Observer<'_>,
) -> Result<Finished<T>, Diagnostics> {
    let batcher = Batcher {
        rows: count_rows(data.train.rows, settings.batch_size)?,
        batch_size: settings.batch_size,
        shuffle: settings.shuffle,
        drop_last: settings.drop_last,
    };
    if batcher.batches_per_epoch() == 0 {
        return Err(no_batch(data.train.rows, settings.batch_size).into());
    }
    let first = trainer.n_epochs();
    let mut good = trainer.state();
    let mut goes_on =
        observe(Event::Started { epochs: settings.epochs, steps_per_epoch: batcher.batches_per_epoch() }).is_continue();
    let mut history = History { epochs: vec![record(trainer, settings, data, None)?] };
    goes_on &= observe(Event::Epoch(&history.epochs[0])).is_continue();
    let mut judge = settings.monitor.as_ref().map(Judge::new);
    let mut kept = None;
    let mut stopped_early = false;
    let mut order = Vec::new();
    for epoch in (first..).take(settings.epochs as usize) {
        if !goes_on {
            break;
        }
        batcher.order_into(u64::from(epoch), &mut order);
        trainer.begin_epoch();
        trainer.attach(data.train)?;
        if let (Some(watch), Some(rows)) = (&mut watch, batcher.batches(&order).next()) {
            for finding in watch.look(trainer, data.train, rows)? {
                goes_on &= observe(Event::Finding(&finding)).is_continue();
            }
        }
        let means = match train_epoch(trainer, data.train, batcher.batches(&order), observe)? {
            Pass::Ended => {
                good = trainer.state();
                break;
            }
            Pass::Means(means) if trainer.is_finite() => means,
            Pass::Means(_) => return Ok(diverging(good, history, diverged(epoch, trainer.clock().step, None))),
            Pass::NotFinite(what, value) => {
                return Ok(diverging(good, history, diverged(epoch, trainer.clock().step, Some((what, value)))));
            }
        };
        trainer.end_epoch();
        let record = record(trainer, settings, data, Some(&means))?;
        goes_on &= observe(Event::Epoch(&record)).is_continue();
        good = trainer.state();
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
    let RunState { store, n_steps, n_epochs } = kept.unwrap_or(good);
    let best = judge.and_then(|judge| judge.best());
    Ok(Finished { store, history, n_steps, n_epochs, best, stopped_early, diverged: None })
}

pub(super) fn no_batch(n_rows: usize, batch_size: u32) -> Diagnostic {
    Diagnostic::error(Code::E0602, "`drop_last` leaves no batch at all")
        .with_note(format!("found: {n_rows} rows in batches of {batch_size}"))
        .with_note("expected: at least one batch")
        .with_help("take a smaller `batch_size`")
}

/// A run that ended with a loss or param that is no finite number: the model is as it was before.
fn diverging<T>(good: RunState<T>, history: History, reason: Diagnostic) -> Finished<T> {
    let RunState { store, n_steps, n_epochs } = good;
    Finished { store, history, n_steps, n_epochs, best: None, stopped_early: false, diverged: Some(reason) }
}

/// What comes of an epoch's steps.
enum Pass {
    Means(Vec<Option<f64>>),
    NotFinite(Reported, f64),
    /// by the observer, within the epoch
    Ended,
}

/// One pass over the training rows.
fn train_epoch<'b, T: Element>(
    trainer: &mut Trainer<T>,
    data: &Dataset,
    batches: impl Iterator<Item = &'b [u32]>,
    observe: &mut Observer<'_>,
) -> Result<Pass, Diagnostics> {
    let mut means = Weighted::default();
    let mut batches = batches.peekable();
    while let Some(rows) = batches.next() {
        trainer.set_epoch_end(batches.peek().is_none());
        let (values, weights) = trainer.step(data, rows)?;
        let bad = values.iter().position(|value| !value.is_finite()).map(|at| (at, values[at]));
        means.add(values, weights);
        if let Some((at, value)) = bad.filter(|(at, _)| trainer.reported()[*at].role != Role::Metric) {
            return Ok(Pass::NotFinite(trainer.reported()[at].clone(), value));
        }
        if observe(Event::Step).is_break() {
            return Ok(Pass::Ended);
        }
    }
    let mut means = means.means();
    trainer.finish_epoch(&mut means);
    Ok(Pass::Means(means))
}

/// What is to be said after an epoch; `means` are those of its steps.
fn record<T: Element>(
    trainer: &mut Trainer<T>,
    settings: &Settings,
    data: Parts<'_>,
    means: Option<&[Option<f64>]>,
) -> Result<EpochRecord, Diagnostics> {
    let train = means.map(|means| PartRecord::new("train", trainer.reported(), means));
    let mut parts: Vec<PartRecord> = train.into_iter().collect();
    for (part, dataset) in [("validation", data.validation), ("test", data.test)] {
        if let Some(dataset) = dataset {
            let values = trainer.evaluate(dataset, settings.batch_size)?;
            parts.push(PartRecord::new(part, &trainer.evaluated(), &values));
        }
    }
    Ok(EpochRecord { epoch: trainer.n_epochs(), step: trainer.n_steps(), parts, weights: trainer.loss_weights() })
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
