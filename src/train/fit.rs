//! Epochs over data, one move at a time: a step, or an epoch's evaluation and judgement.
//!
//! [`Fitting`] takes a trainer as it is, or sets it to a [`RunState`], and makes the next move whenever it is asked to; between
//! two moves its state can be had and gone on from, in this process or another. [`fit`] makes all moves. A loss that is no finite
//! number ends a run (E0607); what is given then is the model as it was after the last epoch in which every loss and param was
//! finite.

mod drive;
mod settings;
mod wrong;

use super::history::{EpochRecord, History, PartRecord};
use super::judge::{Best, Verdict};
use super::monitor::Monitor;
#[cfg(feature = "files")]
use super::program::Program;
use super::state::{ModelState, Progress, RunState};
#[cfg(feature = "files")]
use super::trainer::VisitNode;
use super::trainer::{Trainer, count_rows};
use super::watch::WeightWatch;
use crate::data::Batcher;
use crate::diag::{Diagnostic, Diagnostics};
use crate::exec::{Claim, Store};
use crate::ops::Element;
use settings::prepare;
use std::sync::Arc;
use wrong::{MOST_SKIPPED, bad_value};

#[cfg(feature = "files")]
pub(super) use drive::drive;
pub use drive::{Event, Observer, Running, fit};
pub(super) use settings::no_batch;
pub use settings::{OnNan, Parts, Settings};

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
    /// training steps that the run made
    pub steps_run: u64,
    /// training steps of each epoch
    pub steps_per_epoch: usize,
    /// epochs that the run made, to their ends
    pub epochs_run: u32,
    /// the best epoch by the value that the run watched
    pub best: Option<Best>,
    /// whether the watched value ended the run before its last epoch
    pub stopped_early: bool,
    /// why the run ended before its last epoch
    pub diverged: Option<Diagnostic>,
}

/// What a move was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// a training step
    Step,
    /// an epoch was evaluated and judged, or the state before training
    Epoch,
    /// nothing: the run is at its end
    Ended,
}

/// Why a run is at its end.
#[derive(Clone, Debug)]
enum End {
    LastEpoch,
    Early,
    /// and the steps that were made
    Diverged(Diagnostic, u64),
}

/// A loop of epochs between two moves.
#[derive(Debug)]
pub struct Fitting<'a, T: Element> {
    trainer: &'a mut Trainer<T>,
    watch: Option<WeightWatch<T>>,
    settings: &'a Settings,
    data: Parts<'a>,
    batcher: Batcher,
    /// the epochs that the model has when the loop is at its end
    last_epoch: u32,
    progress: Progress,
    /// the rows of the present epoch, in order
    order: Vec<u32>,
    /// whether `order` is that of the present epoch
    is_ordered: bool,
    /// after the last epoch in which every number was finite
    good: Arc<RunState<T>>,
    /// a state that a step which goes wrong can be found again from
    recent: Arc<RunState<T>>,
    /// after the best epoch, where its params are kept
    kept: Option<Arc<RunState<T>>>,
    /// the store before a step, where that may be gone back to
    before: Option<Store<T>>,
    history: History,
    findings: Vec<Diagnostic>,
    /// whether a divergence is traced to where it began
    explains: bool,
    end: Option<End>,
    /// of memory for the data and the copies of the store
    _claim: Claim,
}

impl<'a, T: Element> Fitting<'a, T> {
    /// A loop that trains a model from where it stands, for so many more epochs.
    ///
    /// # Errors
    /// E0602 and E0603 when there is no batch at all.
    pub fn new(
        trainer: &'a mut Trainer<T>,
        watch: Option<WeightWatch<T>>,
        settings: &'a Settings,
        data: Parts<'a>,
    ) -> Result<Self, Diagnostics> {
        let batcher = Batcher {
            rows: if settings.epochs > 0 { count_rows(data.train.rows, settings.batch_size)? } else { 0 },
            batch_size: settings.batch_size,
            shuffle: settings.shuffle,
            drop_last: settings.drop_last,
        };
        if settings.epochs > 0 && batcher.batches_per_epoch() == 0 {
            return Err(no_batch(data.train.rows, settings.batch_size).into());
        }
        trainer.attach(data.train)?;
        trainer.attach_validation(data.validation)?;
        trainer.set_run(trainer.n_epochs().saturating_add(settings.epochs), batcher.batches_per_epoch());
        let claim = prepare(trainer, settings, &batcher, data)?;
        let last_epoch = trainer.n_epochs().saturating_add(settings.epochs);
        let good = Arc::new(RunState { model: trainer.state(), progress: Progress::default() });
        Ok(Self {
            trainer,
            watch,
            settings,
            data,
            batcher,
            last_epoch,
            progress: Progress::default(),
            order: Vec::new(),
            is_ordered: false,
            recent: good.clone(),
            good,
            kept: None,
            before: None,
            history: History::default(),
            findings: Vec::new(),
            explains: true,
            end: None,
            _claim: claim,
        })
    }

    /// Goes on from a state of a loop of the same settings and data, which now has as many epochs as the `settings` say. `kept` is
    /// the state of its best epoch, `history` what it recorded.
    ///
    /// The last good state is the one that is gone on from, also within an epoch: it is finite, and the end of the epoch before is not
    /// at hand. So where a run diverges before the next epoch ends, its params are those.
    ///
    /// # Errors
    /// E0603 when the fields of the data disagree.
    pub fn resume(
        &mut self,
        state: RunState<T>,
        kept: Option<Arc<RunState<T>>>,
        history: History,
    ) -> Result<(), Diagnostics> {
        let RunState { model, progress } = &state;
        self.trainer.restore(model.clone());
        self.trainer.attach(self.data.train)?;
        if progress.epoch_steps > 0 {
            self.trainer.reenter_epoch(progress.sums.clone());
            self.trainer.set_epoch_end(self.is_epoch_over(progress));
        }
        if let Some(watch) = &mut self.watch {
            watch.told.clone_from(&progress.told);
        }
        self.is_ordered = false;
        self.progress = progress.clone();
        // A run may have begun after the epochs of another.
        let n_ended = progress.n_records.saturating_sub(1);
        self.last_epoch = model.n_epochs.saturating_sub(n_ended).saturating_add(self.settings.epochs);
        self.trainer.set_run(self.last_epoch, self.batcher.batches_per_epoch());
        self.history = history;
        self.kept = kept;
        self.good = Arc::new(state);
        self.recent = self.good.clone();
        let is_patient = |monitor: &Monitor| self.progress.judgement.is_patient(monitor);
        let is_judged = self.progress.epoch_steps == 0;
        self.end = (is_judged && !self.settings.monitor.as_ref().is_none_or(is_patient)).then_some(End::Early);
        Ok(())
    }

    /// What the run is now.
    pub fn state(&self) -> RunState<T> {
        let sums = if self.progress.epoch_steps > 0 { self.trainer.epoch_sums().clone() } else { Default::default() };
        let told = self.watch.as_ref().map(|watch| watch.told.clone()).unwrap_or_default();
        RunState { model: self.trainer.state(), progress: Progress { sums, told, ..self.progress.clone() } }
    }

    /// The state after the best epoch, where its params are kept.
    pub fn kept(&self) -> Option<&Arc<RunState<T>>> {
        self.kept.as_ref()
    }

    pub fn trainer(&self) -> &Trainer<T> {
        self.trainer
    }

    pub fn history(&self) -> &History {
        &self.history
    }

    pub fn steps_per_epoch(&self) -> usize {
        self.batcher.batches_per_epoch()
    }

    /// Whether the last move was the last.
    pub fn is_at_end(&self) -> bool {
        self.end.is_some() || (self.progress.n_records > 0 && self.trainer.n_epochs() >= self.last_epoch)
    }

    /// Whether a loss or param is no finite number any more.
    pub fn is_diverged(&self) -> bool {
        matches!(self.end, Some(End::Diverged(..)))
    }

    /// Notes a state of this loop: from there on, not from the last epoch, steps are made again to find one that went wrong.
    #[cfg(feature = "files")]
    pub(super) fn note_recent(&mut self, state: Arc<RunState<T>>) {
        self.recent = state;
    }

    /// Lets a divergence be as it is: the model stays as the step left it.
    #[cfg(feature = "files")]
    pub(super) fn leave_unexplained(&mut self) {
        self.explains = false;
    }

    /// Evaluates a program by the reference on what the next step reads, which is then the next move; `visit` is shown every node. False
    /// at the end.
    ///
    /// # Errors
    /// Those of [`Fitting::advance`].
    #[cfg(feature = "files")]
    pub(super) fn examine_next(
        &mut self,
        program: &mut Program<T>,
        visit: &mut VisitNode<'_, T>,
    ) -> Result<bool, Diagnostics> {
        while self.progress.n_records == 0 || self.is_epoch_over(&self.progress) {
            if self.advance()? == Moved::Ended {
                return Ok(false);
            }
        }
        if self.is_at_end() {
            return Ok(false);
        }
        self.put_in_order()?;
        let at = self.progress.epoch_steps as usize;
        let Some(rows) = self.batcher.batches(&self.order).nth(at) else { return Ok(false) };
        if at == 0 {
            self.trainer.begin_epoch();
        }
        self.trainer.set_epoch_end(at + 1 == self.batcher.batches_per_epoch());
        self.trainer.examine(program, self.data.train, rows, visit)?;
        Ok(true)
    }

    fn put_in_order(&mut self) -> Result<(), Diagnostics> {
        if !self.is_ordered {
            self.batcher.order_into(u64::from(self.trainer.n_epochs()), &mut self.order);
            self.trainer.attach(self.data.train)?;
            self.is_ordered = true;
        }
        Ok(())
    }

    /// Adds something to know that was found beside the training.
    pub fn tell(&mut self, finding: Diagnostic) {
        self.findings.push(finding);
    }

    /// What was found since this was asked the last time.
    pub fn take_findings(&mut self) -> Vec<Diagnostic> {
        std::mem::take(&mut self.findings)
    }

    /// Makes the next move.
    ///
    /// # Errors
    /// Those of [`Trainer::step`] and of evaluating; what the watch finds, where its lint is denied. Divergence is no error here:
    /// see [`Finished::diverged`].
    pub fn advance(&mut self) -> Result<Moved, Diagnostics> {
        if self.end.is_some() {
            return Ok(Moved::Ended);
        }
        if self.progress.n_records == 0 {
            self.record(None)?;
            return Ok(Moved::Epoch);
        }
        if self.is_epoch_over(&self.progress) {
            return self.end_epoch();
        }
        if self.trainer.n_epochs() >= self.last_epoch {
            self.end = Some(End::LastEpoch);
            return Ok(Moved::Ended);
        }
        self.step()
    }

    fn is_epoch_over(&self, progress: &Progress) -> bool {
        // Of a run without epochs there are no batches, and no epoch to end.
        let n_batches = self.batcher.batches_per_epoch();
        n_batches > 0 && progress.epoch_steps as usize >= n_batches
    }

    fn step(&mut self) -> Result<Moved, Diagnostics> {
        self.put_in_order()?;
        let at = self.progress.epoch_steps as usize;
        let Some(rows) = self.batcher.batches(&self.order).nth(at) else { return self.end_epoch() };
        if at == 0 {
            self.trainer.begin_epoch();
            self.progress.means.clear();
            if let Some(watch) = &mut self.watch {
                self.findings.extend(watch.look(self.trainer, self.data.train, rows)?);
            }
        }
        self.trainer.set_epoch_end(at + 1 == self.batcher.batches_per_epoch());
        let on_nan = self.settings.on_nan;
        let sums = (on_nan != OnNan::Stop).then(|| self.trainer.epoch_sums().clone());
        if on_nan != OnNan::Stop {
            self.before = Some(self.trainer.store().clone());
        }
        self.trainer.step(self.data.train, rows)?;
        self.progress.epoch_steps += 1;
        let bad = bad_value(self.trainer);
        let is_left_out = match &sums {
            None => false,
            Some(_) => bad.is_some() || !self.trainer.is_finite(),
        };
        if is_left_out && self.progress.skipped_last < MOST_SKIPPED {
            self.leave_out(bad, sums.unwrap_or_default())?;
            return Ok(Moved::Step);
        }
        if bad.is_some() || is_left_out {
            self.diverge(bad)?;
            return Ok(Moved::Step);
        }
        let (values, weights) = self.trainer.last_values();
        self.progress.means.add(values, weights);
        self.progress.skipped_last = 0;
        if let (1.., Some(before)) = (self.progress.halvings, &self.before) {
            self.trainer.shorten(before, 0.5_f64.powi(self.progress.halvings.cast_signed()))?;
        }
        self.watch_rise();
        Ok(Moved::Step)
    }

    fn end_epoch(&mut self) -> Result<Moved, Diagnostics> {
        if !self.trainer.is_finite() {
            self.diverge(None)?;
            return Ok(Moved::Ended);
        }
        let mut means = self.progress.means.means();
        self.trainer.finish_epoch(&mut means);
        self.trainer.end_epoch();
        self.progress.epoch_steps = 0;
        self.is_ordered = false;
        self.record(Some(&means))?;
        let mut is_best = false;
        let judged = |monitor: &&Monitor| {
            let record = self.history.epochs.last()?;
            record.parts.iter().any(|part| part.part == monitor.part).then_some(record)
        };
        let watched = self.settings.monitor.as_ref();
        if let Some((monitor, record)) = watched.and_then(|monitor| Some((monitor, judged(&monitor)?))) {
            match self.progress.judgement.judge(monitor, record) {
                Verdict::Best => is_best = monitor.keep_best,
                Verdict::GoOn => {}
                Verdict::End => self.end = Some(End::Early),
            }
        }
        self.good = Arc::new(self.state());
        self.recent = self.good.clone();
        if is_best {
            self.kept = Some(self.good.clone());
        }
        Ok(Moved::Epoch)
    }

    /// Evaluates what is to be said after an epoch, whose steps had these `means`.
    fn record(&mut self, means: Option<&[Option<f64>]>) -> Result<(), Diagnostics> {
        let train = means.map(|means| PartRecord::new("train", self.trainer.reported(), means));
        let mut parts: Vec<PartRecord> = train.into_iter().collect();
        let n_epochs = self.trainer.n_epochs();
        let is_due = n_epochs.is_multiple_of(self.settings.evaluate_every.max(1)) || n_epochs >= self.last_epoch;
        let evaluated = [("validation", self.data.validation), ("test", self.data.test)];
        for (part, dataset) in evaluated.into_iter().filter(|_| is_due || means.is_none()) {
            if let Some(dataset) = dataset {
                let values = self.trainer.evaluate(dataset, self.settings.batch_size)?;
                parts.push(PartRecord::new(part, &self.trainer.evaluated(), &values));
            }
        }
        let step = self.trainer.n_steps();
        self.history.epochs.push(EpochRecord { epoch: n_epochs, step, parts, weights: self.trainer.loss_weights() });
        self.progress.n_records += 1;
        Ok(())
    }

    /// What the run came to, at its end or wherever it is left.
    pub fn finish(self) -> Finished<T> {
        let (diverged, steps_run) = match &self.end {
            Some(End::Diverged(finding, n_steps)) => (Some(finding.clone()), *n_steps),
            _ => (None, self.trainer.n_steps()),
        };
        let epochs_run = self.trainer.n_epochs();
        let model = match (&diverged, &self.kept) {
            (Some(_), _) => self.good.model.clone(),
            (None, Some(kept)) => kept.model.clone(),
            (None, None) => self.trainer.state(),
        };
        let best = self.settings.monitor.as_ref().and_then(|monitor| self.progress.judgement.best(monitor));
        let ModelState { store, n_steps, n_epochs } = model;
        Finished {
            store,
            n_steps,
            n_epochs,
            steps_run,
            steps_per_epoch: self.steps_per_epoch(),
            epochs_run,
            best: best.filter(|_| diverged.is_none()),
            stopped_early: matches!(self.end, Some(End::Early)),
            diverged,
            history: self.history,
        }
    }
}
