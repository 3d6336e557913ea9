//! What is written while a run goes on: rows of the logs, and checkpoints when they are due.

use super::checkpoints::{self, Common, Loaded, Positions, Snapshot};
use super::layout::{HISTORY_FILE, STEPS_FILE, checkpoint_folder};
use super::logs::Log;
use super::place::{checkpoints as checkpoints_of, failed, remove_checkpoint};
use super::record::{Resumed, RunRecord, Status};
use super::saver::Saver;
use super::{Plan, RunFolder, columns_of, engine, program_hash, threads};
use crate::data::files::Lasting;
use crate::data::{counted, open_regular};
use crate::diag::{Code, Diagnostic, Diagnostics, Severity};
use crate::ops::Element;
use crate::train::checkpointing::{Checkpointing, Every};
use crate::train::fit::{Finished, Fitting, Moved};
use crate::train::history::{Columns, History};
use crate::train::run::{Keeping, RunData};
use crate::train::state::RunState;
use crate::train::trainer::Trainer;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Writes a run's logs and checkpoints.
pub struct Recorder<'f, T: Element> {
    folder: &'f mut RunFolder,
    plan: Plan<'f>,
    keeping: Keeping<'f>,
    columns: Columns,
    history: Log,
    steps: Log,
    saver: Saver<T>,
    checkpointing: Checkpointing,
    /// the best epoch's state with the places of the logs then, and whether it is on disk
    kept: Option<(Snapshot<T>, bool)>,
    /// the steps of the last state that was saved
    saved: Option<u64>,
    saved_at: Duration,
    /// when rows were written the last time
    logged_at: Duration,
}

/// Rows wait so long before they are written: an epoch may take microseconds, and a write as long.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The names of what is not shown are of no use in a debug print either.
impl<T: Element> std::fmt::Debug for Recorder<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("folder", &self.folder.path()).finish_non_exhaustive()
    }
}

/// What a run goes on from.
#[derive(Debug)]
pub(in crate::train) struct Resumption<T> {
    pub state: RunState<T>,
    pub kept: Option<Arc<RunState<T>>>,
    pub history: History,
}

/// What is found in a folder that is opened again.
#[derive(Debug)]
pub(in crate::train) struct Reopened<T> {
    /// none where there is no checkpoint yet
    pub resumption: Option<Resumption<T>>,
    pub findings: Vec<Diagnostic>,
}

impl<'f, T: Element> Recorder<'f, T> {
    /// Begins a run in its folder.
    ///
    /// # Errors
    /// E0605.
    pub(in crate::train) fn begin(
        folder: &'f mut RunFolder,
        plan: Plan<'f>,
        data: &RunData,
        trainer: &Trainer<T>,
        keeping: Keeping<'f>,
    ) -> Result<Self, Diagnostic> {
        let files = folder.begin(&plan, data, keeping.time())?;
        let mut recorder = Self::new(folder, plan, data, trainer, keeping, Positions::default())?;
        // Nobody needs them to last before there is a checkpoint, which is written after them.
        recorder.saver.sync(files).map_err(|error| failed(recorder.folder.path(), &error))?;
        Ok(recorder)
    }

    fn new(
        folder: &'f mut RunFolder,
        plan: Plan<'f>,
        data: &RunData,
        trainer: &Trainer<T>,
        keeping: Keeping<'f>,
        at: Positions,
    ) -> Result<Self, Diagnostic> {
        let path = folder.path().to_path_buf();
        let columns = columns_of(trainer, data);
        let program = folder.record.as_ref().map(|record| record.hashes.program.clone()).unwrap_or_default();
        let common = Common { program, precision: plan.config.precision };
        let open = || -> io::Result<(Log, Log)> {
            let mut history = Log::reopen(&path.join(HISTORY_FILE), at.history)?;
            if at.history == 0 {
                history.append(&columns.header());
                history.write()?;
            }
            Ok((history, Log::reopen(&path.join(STEPS_FILE), at.steps)?))
        };
        let (history, steps) = open().map_err(|error| failed(&path, &error))?;
        let checkpointing = plan.config.checkpoint;
        let saver = Saver::new(path, common, checkpointing.keep);
        let began = (keeping.elapsed)();
        Ok(Self {
            folder,
            plan,
            keeping,
            columns,
            history,
            steps,
            saver,
            checkpointing,
            kept: None,
            saved: None,
            saved_at: began,
            logged_at: began,
        })
    }

    /// Goes on with the run of a folder from its last whole checkpoint; from its beginning where there is none. Gives what the
    /// fitting is to be set to. Of the trainer the names and shapes count.
    ///
    /// # Errors
    /// E0603 when the data are others and that is not allowed, E0605, E0606 when the checkpoint does not fit the program, E0608 when
    /// the history is not what the checkpoint speaks of.
    pub(in crate::train) fn reopen(
        folder: &'f mut RunFolder,
        plan: Plan<'f>,
        data: &RunData,
        trainer: &Trainer<T>,
        keeping: Keeping<'f>,
    ) -> Result<(Self, Reopened<T>), Diagnostics> {
        let mut findings = Vec::new();
        let allowed = keeping.data_change;
        let data_changed = folder.record.as_ref().map_or(Ok(false), |record| check_data(record, data, allowed))?;
        let path = folder.path().to_path_buf();
        let found = last_whole(&path, trainer, &mut findings);
        let program = program_hash(plan.compiled);
        let columns = columns_of(trainer, data);
        let (at, resumption, kept) = match found {
            None => (Positions::default(), None, None),
            Some((loaded, kept)) => {
                if loaded.program != program {
                    findings.push(other_program(folder));
                }
                let history = read_history(&path, &columns, loaded.positions.history)?;
                let Loaded { state, positions, .. } = loaded;
                let best = kept.as_ref().map(|snapshot| snapshot.state.clone());
                (positions, Some(Resumption { state, kept: best, history }), kept)
            }
        };
        let n_steps = resumption.as_ref().map_or(0, |resumption| resumption.state.model.n_steps);
        folder.place.tidy();
        let remove = |newer: &u64| remove_checkpoint(&checkpoint_folder(&path, *newer));
        let newer: Vec<u64> =
            checkpoints_of(&path).into_iter().filter(|at| *at > n_steps || resumption.is_none()).collect();
        newer.iter().try_for_each(remove).map_err(|error| failed(&path, &error))?;
        folder.go_on(&plan, n_steps, data_changed, keeping.time()).map_err(|error| failed(&path, &error))?;
        let first = if resumption.is_none() { folder.begin_again(&plan) } else { Ok(Vec::new()) };
        let first = first.map_err(|error| failed(&path, &error))?;
        let mut recorder = Self::new(folder, plan, data, trainer, keeping, at)?;
        if !first.is_empty() {
            recorder.saver.sync(first).map_err(|error| failed(&path, &error))?;
        }
        recorder.saved = resumption.is_some().then_some(n_steps);
        recorder.kept = kept.map(|snapshot| (snapshot, true));
        Ok((recorder, Reopened { resumption, findings }))
    }

    /// Writes what a move leaves to be written.
    ///
    /// # Errors
    /// E0605, where training does not go on without room.
    pub(in crate::train) fn after(
        &mut self,
        fitting: &mut Fitting<'_, T>,
        moved: Moved,
    ) -> Result<ControlFlow<()>, Diagnostics> {
        match self.write(fitting, moved) {
            Ok(()) => {}
            Err(error) if self.checkpointing.keep_training_when_full => {
                let finding =
                    failed(self.folder.path(), &error).with_note("training goes on; the last checkpoint stands");
                fitting.tell(Diagnostic { severity: Severity::Warning, ..finding });
            }
            Err(error) => return Err(self.stopped(&error).into()),
        }
        Ok(ControlFlow::Continue(()))
    }

    fn write(&mut self, fitting: &mut Fitting<'_, T>, moved: Moved) -> io::Result<()> {
        let trainer = fitting.trainer();
        let (n_steps, n_epochs) = (trainer.n_steps(), trainer.n_epochs());
        match moved {
            Moved::Epoch => {
                if let Some(record) = fitting.history().epochs.last() {
                    self.history.append(&self.columns.row(record));
                }
            }
            Moved::Step if self.is_logged(n_steps) && !fitting.is_diverged() => self.steps.append(&step_row(trainer)),
            _ => {}
        }
        let now = (self.keeping.elapsed)();
        let has_rows = !(self.history.is_written() && self.steps.is_written());
        let is_late = now.saturating_sub(self.logged_at) >= LONGEST_WAIT;
        let logged = if has_rows && is_late { self.write_rows(now) } else { Ok(()) };
        self.note_kept(fitting);
        let is_busy = self.saver.is_busy();
        if is_busy.is_err() {
            self.forget_saved();
        }
        let is_due = match self.checkpointing.every {
            Every::Steps(every) => moved == Moved::Step && n_steps.is_multiple_of(u64::from(every)),
            Every::Epochs(every) => moved == Moved::Epoch && n_epochs > 0 && n_epochs.is_multiple_of(every),
            Every::Minutes(minutes) => {
                let since = now.saturating_sub(self.saved_at);
                since.as_secs_f64() >= minutes * 60.0 && matches!(is_busy, Ok(false))
            }
        };
        // A state that is not finite is nothing to go on from: the run is about to say so.
        if is_due && !fitting.is_diverged() && self.saved != Some(n_steps) && fitting.trainer().is_finite() {
            self.checkpoint(fitting)?;
        }
        logged.and(is_busy.map(drop))
    }

    /// Writes the rows that wait.
    fn write_rows(&mut self, now: Duration) -> io::Result<()> {
        self.logged_at = now;
        let history = self.history.write();
        self.steps.write().and(history)
    }

    /// Leaves a run that an error ended: what it did is on record.
    pub(in crate::train) fn give_up(mut self) {
        let _ = self.write_rows(Duration::ZERO);
        let _ = self.folder.fail(self.keeping.time());
    }

    fn is_logged(&self, n_steps: u64) -> bool {
        n_steps.checked_rem(u64::from(self.plan.config.log_every)) == Some(0)
    }

    /// Notes where the logs stand when an epoch turns out to be the best.
    fn note_kept(&mut self, fitting: &Fitting<'_, T>) {
        let Some(state) = fitting.kept() else { return };
        if self.kept.as_ref().is_none_or(|(snapshot, _)| !Arc::ptr_eq(&snapshot.state, state)) {
            let positions = Positions::of(&self.history, &self.steps);
            let kept = Some(state.model.n_steps);
            self.kept = Some((Snapshot { state: state.clone(), positions, kept }, false));
        }
    }

    /// A job failed. Whichever state of it was not written, the next one writes it again.
    fn forget_saved(&mut self) {
        self.saved = None;
        self.kept.iter_mut().for_each(|(_, is_saved)| *is_saved = false);
    }

    /// Hands the present state to the thread that writes it, and that of the best epoch where it is not on disk yet.
    fn checkpoint(&mut self, fitting: &mut Fitting<'_, T>) -> io::Result<()> {
        // The state that is saved speaks of them.
        self.write_rows((self.keeping.elapsed)())?;
        let n_steps = fitting.trainer().n_steps();
        let mut snapshots = Vec::new();
        let best = self.kept.as_ref().map(|(snapshot, _)| snapshot.state.model.n_steps);
        if let Some((snapshot, is_saved)) = &mut self.kept
            && !std::mem::replace(is_saved, true)
        {
            snapshots.push(snapshot.clone());
        }
        if best != Some(n_steps) || snapshots.is_empty() {
            let positions = Positions::of(&self.history, &self.steps);
            let state = Arc::new(fitting.state());
            fitting.note_recent(state.clone());
            snapshots.push(Snapshot { state, positions, kept: best });
        }
        let saved = self.saver.save(snapshots, vec![self.history.handle()?, self.steps.handle()?]);
        if saved.is_err() {
            self.forget_saved();
        }
        saved?;
        self.saved = Some(n_steps);
        self.saved_at = (self.keeping.elapsed)();
        Ok(())
    }

    /// Writes the last state, and what the run came to, whichever way it ended.
    ///
    /// # Errors
    /// E0605.
    pub(in crate::train) fn finish(mut self, mut fitting: Fitting<'_, T>) -> Result<Finished<T>, Diagnostics> {
        let status = match (fitting.is_diverged(), fitting.is_at_end()) {
            (true, _) => Status::Diverged,
            (false, true) => Status::Finished,
            (false, false) => Status::Interrupted,
        };
        let ended = self.end(&mut fitting);
        let run = fitting.finish();
        let written = ended.map_err(|error| Diagnostics::from(self.stopped(&error)));
        let written = written.and_then(|()| self.folder.finish(&self.plan, &run, status, self.keeping.time()));
        written.map(|()| run)
    }

    fn end(&mut self, fitting: &mut Fitting<'_, T>) -> io::Result<()> {
        self.write_rows((self.keeping.elapsed)())?;
        if let Err(error) = self.saver.wait() {
            self.forget_saved();
            if !self.checkpointing.keep_training_when_full {
                return Err(error);
            }
        }
        if !fitting.is_diverged() && fitting.trainer().is_finite() && self.saved != Some(fitting.trainer().n_steps()) {
            self.checkpoint(fitting)?;
            self.saver.wait()?;
        }
        checkpoints::prune(self.folder.path(), self.checkpointing.keep)
    }

    /// The run is stopped by what the file system says.
    fn stopped(&mut self, error: &io::Error) -> Diagnostic {
        // A job that is under way is finished, so that what is said of checkpoints is so.
        let _ = self.saver.wait();
        let _ = self.folder.fail(self.keeping.time());
        let finding = failed(self.folder.path(), error);
        let path = self.folder.path().display();
        match checkpoints_of(self.folder.path()).last() {
            Some(n_steps) => finding
                .with_note(format!("the checkpoint after {} stands", counted(*n_steps as usize, "step")))
                .with_help(format!("go on with `anabranch run --resume {path}` when that is mended")),
            None => finding.with_note("there is no checkpoint yet"),
        }
    }
}

/// Whether a run may go on with other data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DataChange {
    #[default]
    Refused,
    Allowed,
}

/// Holds data against those that a run began with: whether they are others, where they may be.
///
/// # Errors
/// E0603 where they may not.
pub(in crate::train) fn check_data(
    record: &RunRecord,
    data: &RunData,
    allowed: DataChange,
) -> Result<bool, Diagnostic> {
    let began = &record.hashes.data;
    let is_other = |part: &&String| began.get(*part) != data.fingerprints.get(*part);
    match began.keys().chain(data.fingerprints.keys()).find(is_other) {
        None => Ok(false),
        Some(_) if allowed == DataChange::Allowed => Ok(true),
        Some(part) => {
            let what = |found: Option<&super::Fingerprint>| match found {
                None => "no such part".to_string(),
                Some(found) => format!("{}, {} bytes, hash {}", counted(found.rows, "row"), found.bytes, found.hash),
            };
            Err(Diagnostic::error(Code::E0603, format!("the {part} data are not those that the run began with"))
                .with_note(format!("found: {}", what(data.fingerprints.get(part))))
                .with_note(format!("expected: {}", what(began.get(part))))
                .with_help("bring the data back, or go on with these by `--data-changed`, which the record will say"))
        }
    }
}

fn other_program(folder: &RunFolder) -> Diagnostic {
    let version = folder.record.as_ref().map_or("", |record| record.anabranch.as_str());
    Diagnostic::warning(Code::E0606, "the spec compiles to another program than when the run began")
        .with_note(format!("found: anabranch {}; the run began with {version}", env!("CARGO_PKG_VERSION")))
        .with_note("the state fits, so the run goes on; its numbers may differ in the last digits")
}

/// The last checkpoint that is whole, with the one of its best epoch.
fn last_whole<T: Element>(
    path: &Path,
    trainer: &Trainer<T>,
    findings: &mut Vec<Diagnostic>,
) -> Option<(Loaded<T>, Option<Snapshot<T>>)> {
    for n_steps in checkpoints_of(path).into_iter().rev() {
        let read = |n_steps| checkpoints::read::<T>(path, n_steps, trainer.store());
        let both = read(n_steps).and_then(|loaded| {
            let kept = match loaded.kept {
                None => None,
                Some(at) => {
                    let best = if at == n_steps { loaded.clone() } else { read(at)? };
                    Some(Snapshot { state: Arc::new(best.state), positions: best.positions, kept: Some(at) })
                }
            };
            Ok((loaded, kept))
        });
        match both {
            Ok(found) => return Some(found),
            Err(broken) => findings.extend(broken.0.into_iter().map(|finding| {
                let finding = Diagnostic { severity: Severity::Warning, ..finding };
                finding.with_note("the run goes on from the one before it, or from its beginning")
            })),
        }
    }
    None
}

fn read_history(path: &Path, columns: &Columns, len: u64) -> Result<History, Diagnostic> {
    let file = path.join(HISTORY_FILE);
    let read = || -> io::Result<String> {
        let (file, found) = open_regular(&file)?;
        if found < len {
            return Err(io::Error::other(format!("{found} bytes, and {len} when the checkpoint was made")));
        }
        let mut text = String::new();
        file.take(len).read_to_string(&mut text)?;
        Ok(text)
    };
    let broken = |reason: String| {
        Diagnostic::error(Code::E0608, format!("`{}` is not what the run wrote", file.display()))
            .with_note(format!("found: {reason}"))
            .with_help(
                "bring the file back as it was; or begin a new run from the last params: `params: FILE` in its config",
            )
    };
    let text = read().map_err(|error| broken(error.to_string()))?;
    columns.read(&text).ok_or_else(|| broken("other columns, or lines that are no numbers".into()))
}

/// A line of `steps.jsonl`: what a step reported, before its update.
fn step_row<T: Element>(trainer: &Trainer<T>) -> String {
    let value = |value: f64| serde_json::Number::from_f64(value).map_or(serde_json::Value::Null, Into::into);
    let (values, _) = trainer.last_values();
    let reported = trainer.reported().iter().zip(values);
    let values: serde_json::Map<String, serde_json::Value> =
        reported.map(|(reported, number)| (reported.name.to_string(), value(*number))).collect();
    let row = serde_json::json!({ "step": trainer.n_steps(), "epoch": trainer.clock().epoch + 1, "values": values });
    row.to_string() + "\n"
}

impl RunFolder {
    /// Notes in the record that the run goes on from a step.
    fn go_on(&mut self, plan: &Plan<'_>, n_steps: u64, data_changed: bool, at: Option<String>) -> io::Result<()> {
        let config =
            super::write_text(Lasting::Name, &self.config_path(), &plan.texts.config(plan.config, self.path()));
        let (executor, level) = engine(plan.options);
        let path = self.path().to_path_buf();
        let Some(record) = &mut self.record else { return config };
        record.status = Status::Running;
        record.ended = None;
        record.resumed.push(Resumed {
            step: n_steps,
            at,
            anabranch: env!("CARGO_PKG_VERSION").to_string(),
            executor,
            level,
            threads: threads(plan.options),
            epochs: plan.config.epochs,
            data_changed,
        });
        record.write(Lasting::Name, &path)?;
        config
    }
}
