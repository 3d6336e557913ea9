//! All moves of a loop, and who is told of them.

use super::{Finished, Fitting, Moved, Parts, Settings};
use crate::diag::{Diagnostic, Diagnostics};
use crate::ops::Element;
use crate::train::history::EpochRecord;
use crate::train::reported::Reported;
use crate::train::start::Start;
use crate::train::trainer::{Trainer, Weighted};
use crate::train::watch::WeightWatch;
use std::ops::ControlFlow;

/// Who is told of events, and may end the loop at any of them.
pub type Observer<'o> = dyn FnMut(Event<'_>) -> ControlFlow<()> + 'o;

/// What the observer of a run is told.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The params do not begin as the spec says: this became of a file of them.
    Begun(&'a Start),
    /// The run begins, or goes on after so many steps; `epochs` is the number of its last one, and an epoch has so many steps.
    Started { epochs: u32, steps_per_epoch: usize, steps_done: u64 },
    /// A step was made.
    Step(Running<'a>),
    /// An epoch ended.
    Epoch(&'a EpochRecord),
    /// Something to know was found on the way.
    Finding(&'a Diagnostic),
}

/// What the steps of the present epoch have come to.
#[derive(Clone, Copy, Debug)]
pub struct Running<'a> {
    reported: &'a [Reported],
    means: &'a Weighted,
}

impl Running<'_> {
    /// The mean over the rows so far of a loss, metric or objective; none for what no row had. A metric that is a function of sums has
    /// the mean of the batches' values until its epoch ends.
    pub fn mean(&self, name: &str) -> Option<f64> {
        let at = self.reported.iter().position(|reported| &*reported.name == name)?;
        self.means.mean(at)
    }
}

/// What is called after each move, and may end the loop.
type After<'a, T> = dyn FnMut(&mut Fitting<'_, T>, Moved) -> Result<ControlFlow<()>, Diagnostics> + 'a;

/// Makes all moves of a loop, telling an observer of each. `after` is called after each, and may end the loop.
///
/// # Errors
/// Those of [`Fitting::advance`] and of `after`.
pub(in crate::train) fn drive<T: Element>(
    fitting: &mut Fitting<'_, T>,
    observe: &mut Observer<'_>,
    after: &mut After<'_, T>,
) -> Result<(), Diagnostics> {
    let steps_done = fitting.trainer.n_steps();
    let (epochs, steps_per_epoch) = (fitting.last_epoch, fitting.steps_per_epoch());
    let mut goes_on = observe(Event::Started { epochs, steps_per_epoch, steps_done }).is_continue();
    // The state before training is recorded whatever the observer says.
    while goes_on || fitting.progress.n_records == 0 {
        let moved = fitting.advance()?;
        for finding in fitting.take_findings() {
            goes_on &= observe(Event::Finding(&finding)).is_continue();
        }
        match (moved, fitting.history.epochs.last()) {
            (Moved::Ended, _) => break,
            (Moved::Step, _) => {
                let running = Running { reported: fitting.trainer.reported(), means: &fitting.progress.means };
                goes_on &= observe(Event::Step(running)).is_continue();
            }
            (Moved::Epoch, Some(record)) => goes_on &= observe(Event::Epoch(record)).is_continue(),
            (Moved::Epoch, None) => {}
        }
        goes_on &= after(fitting, moved)?.is_continue();
    }
    Ok(())
}

/// Trains a model from where it stands, for so many more epochs.
///
/// # Errors
/// E0602 and E0603 when there is no batch at all; those of [`Trainer::step`]. Divergence is no error here: see [`Finished::diverged`].
pub fn fit<T: Element>(
    trainer: &mut Trainer<T>,
    watch: Option<WeightWatch<T>>,
    settings: &Settings,
    data: Parts<'_>,
    observe: &mut Observer<'_>,
) -> Result<Finished<T>, Diagnostics> {
    let mut fitting = Fitting::new(trainer, watch, settings, data)?;
    drive(&mut fitting, observe, &mut |_, _| Ok(ControlFlow::Continue(())))?;
    Ok(fitting.finish())
}
