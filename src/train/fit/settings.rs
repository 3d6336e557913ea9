//! What a loop of epochs is decided by, and what it needs before its first move.

use crate::data::{Batcher, Dataset};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::exec::Claim;
use crate::ops::Element;
use crate::train::monitor::Monitor;
use crate::train::trainer::{Trainer, count_rows};

/// How a loop of epochs goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// with none, the model is evaluated as it begins
    pub epochs: u32,
    /// at least 1
    pub batch_size: u32,
    /// the seed of the order of rows; without one they are visited as they stand
    pub shuffle: Option<u64>,
    /// leaves out a last batch that is short
    pub drop_last: bool,
    pub monitor: Option<Monitor>,
    /// epochs from one after which validation and test rows are evaluated to the next, at least 1; after the last they are
    pub evaluate_every: u32,
    pub on_nan: OnNan,
}

/// What follows when a step gives numbers that are not finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnNan {
    /// The run ends with the model of the last good epoch.
    #[default]
    Stop,
    /// The step is left out: params and states are as before it.
    Skip,
    /// The step is left out, and each later one goes half as far as it would: for updates that are proportional to it, half the
    /// learning rate.
    HalveLr,
}

/// The data of a loop of epochs by its parts.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'d> {
    pub train: &'d Dataset,
    pub validation: Option<&'d Dataset>,
    pub test: Option<&'d Dataset>,
}

/// Makes all programs of the run ready, and takes memory for what goes with them: the data, the last good params and states, those
/// that take their place, those from which a step that goes wrong is found again, the best ones, and those before a step that
/// may be left out.
pub(super) fn prepare<T: Element>(
    trainer: &mut Trainer<T>,
    settings: &Settings,
    batcher: &Batcher,
    data: Parts<'_>,
) -> Result<Claim, Diagnostics> {
    let parts = [Some(data.train), data.validation, data.test].into_iter().flatten();
    let bytes = parts.map(Dataset::bytes).fold(0, u64::saturating_add);
    let keeps_best = settings.monitor.as_ref().is_some_and(|monitor| monitor.keep_best);
    let n_copies = 3 + u64::from(keeps_best) + u64::from(settings.on_nan != OnNan::Stop);
    let claim = trainer.claim(bytes, n_copies)?;
    trainer.prepare(data.train, batcher, true)?;
    for part in [data.validation, data.test].into_iter().flatten() {
        let rows = count_rows(part.rows, settings.batch_size)?;
        let batcher = Batcher { rows, batch_size: settings.batch_size, shuffle: None, drop_last: false };
        trainer.prepare(part, &batcher, false)?;
    }
    Ok(claim)
}

pub(in crate::train) fn no_batch(n_rows: usize, batch_size: u32) -> Diagnostic {
    Diagnostic::error(Code::E0602, "`drop_last` leaves no batch at all")
        .with_note(format!("found: {n_rows} rows in batches of {batch_size}"))
        .with_note("expected: at least one batch")
        .with_help("take a smaller `batch_size`")
}
