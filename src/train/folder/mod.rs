//! The folder that a run writes while it goes on, and goes on from.
//!
//! [`RunFolder::claim`] takes a place before any work is done; [`RunFolder::open`] takes that of a run that began. What is written
//! there, in this order: the marker, the record with the names of all files, the texts, `run.yaml` last; then logs that grow and
//! checkpoints; then params. Every file but a log appears whole, under a temporary name, synced and renamed. [`layout`] knows the
//! names, [`place`] what may be touched.

mod checkpoints;
mod layout;
mod logs;
mod place;
mod program;
mod record;
mod recorder;
mod saver;
mod texts;
mod trained;
mod verify;

use super::checkpoint;
use super::config::RunConfig;
use super::fit::Finished;
use super::hash::{hash_text, hash_texts};
use super::history::{Columns, History};
use super::run::RunData;
use super::state::RunState;
use super::trainer::Trainer;
use crate::data::files::{Existing, Lasting, sync_files, write_until};
use crate::diag::{Diagnostic, Diagnostics};
use crate::exec::{ExecutorOptions, Level, Mode, Store};
use crate::export::program::Document;
use crate::ir;
use crate::ops::Element;
use crate::pipeline::Compiled;
use layout::{CONFIG_FILE, GRAPHS, graph_file};
use place::{Place, failed};
pub(super) use program::{saved_evaluation, saved_program};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub use place::{Earlier, files_of_run};
pub use record::{Fingerprint, Hashes, Moment, Resumed, RunRecord, Status};
pub use recorder::DataChange;
pub(super) use recorder::{Recorder, Resumption, check_data};
pub use texts::SpecTexts;
pub use trained::{Ending, history_of, save_trained};
pub use verify::{Verified, verify_resume};

pub(super) use layout::{EVALUATION_FILE, HISTORY_FILE, PARAMS_FILE, PROGRAM_FILE};

/// Whether the run of a folder began and neither came to its end nor diverged: to be gone on with.
pub fn is_unfinished(folder: &Path) -> bool {
    let is_open = |record: RunRecord| matches!(record.status, Status::Running | Status::Interrupted | Status::Failed);
    folder.join(CONFIG_FILE).is_file() && RunRecord::read(folder).is_ok_and(is_open)
}

/// Whether a folder is a run's.
pub fn is_run(folder: &Path) -> bool {
    folder.join(layout::MARKER_FILE).is_file()
}

/// The file whose params a folder predicts with: the run's own, or, while it has not ended, those of its last checkpoint.
pub(super) fn params_of(folder: &Path) -> PathBuf {
    let own = folder.join(PARAMS_FILE);
    if own.exists() { own } else { checkpoints::latest_tensors(folder).unwrap_or(own) }
}

/// The config and the record of a run that is read only, which needs no lock.
///
/// # Errors
/// E0608 when no run is there.
pub fn replayed(folder: &Path) -> Result<(PathBuf, RunRecord), Diagnostic> {
    let record = RunRecord::read(folder).map_err(|reason| {
        Diagnostic::error(crate::diag::Code::E0608, format!("there is no run to go over in `{}`", folder.display()))
            .with_note(format!("found: {reason}"))
            .with_note("expected: a folder that `anabranch run` wrote")
    })?;
    Ok((folder.join(CONFIG_FILE), record))
}

/// The steps of a folder's checkpoints, in order.
pub(super) fn checkpoints_in(folder: &Path) -> Vec<u64> {
    place::checkpoints(folder)
}

/// The state of a checkpoint, for a store of the same params and states.
///
/// # Errors
/// E0606.
pub(super) fn checkpoint_at<T: Element>(
    folder: &Path,
    n_steps: u64,
    like: &Store<T>,
) -> Result<RunState<T>, Diagnostics> {
    checkpoints::read(folder, n_steps, like).map(|loaded| loaded.state)
}

/// What a run is made of, besides its data.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'p> {
    pub compiled: &'p Compiled,
    pub config: &'p RunConfig,
    pub texts: &'p SpecTexts,
    pub options: &'p ExecutorOptions,
}

impl Plan<'_> {
    /// The options with the instruction set that a run began with, where this machine has it: then its bits are the same. One set
    /// of threads serves all programs.
    ///
    /// # Errors
    /// E0701 when too many threads are asked for.
    pub fn options_of(&self, record: &RunRecord) -> Result<ExecutorOptions, Diagnostics> {
        let same = Level::available().into_iter().find(|level| level.name() == record.level);
        let options = ExecutorOptions { level: self.options.level.or(same), ..self.options.clone() };
        Ok(ExecutorOptions { pool: Some(options.pool()?), ..options })
    }
}

/// A run's folder that this process alone writes to.
#[derive(Debug)]
pub struct RunFolder {
    place: Place,
    record: Option<RunRecord>,
    /// of a run that was there, whose files make way
    earlier: Vec<String>,
    /// where the run's config names its folder, for findings
    span: Option<crate::diag::Span>,
}

impl RunFolder {
    /// Takes the folder that a config names for a new run, or, where a run is there that is kept, one of that name and a number.
    /// A folder that no run begins in is left as it was found.
    ///
    /// # Errors
    /// E0605 when something else stands there, a file that the run reads would be replaced, another process writes there, or
    /// nothing can be written.
    pub fn claim(config: &RunConfig, earlier: Earlier) -> Result<Self, Diagnostic> {
        let placed = |finding: Diagnostic| match config.output_span {
            Some(span) => finding.at(span, "this folder"),
            None => finding,
        };
        let place = Place::claim(&config.output, earlier, &config.inputs()).map_err(placed)?;
        Ok(Self::new(place, config.output_span))
    }

    /// A place that was taken for a new run.
    fn new(place: Place, span: Option<crate::diag::Span>) -> Self {
        let listed = RunRecord::read(&place.path).map(|record| record.files).unwrap_or_default();
        // The names that every run has, also where the record was never written.
        let earlier = listed.into_iter().chain(layout::files(&[])).collect();
        Self { place, record: None, earlier, span }
    }

    /// Takes the folder of a run that began, to go on with it.
    ///
    /// # Errors
    /// E0608 when no run is there, or its record is broken; E0605 when another process writes there.
    pub fn open(path: &Path) -> Result<Self, Diagnostic> {
        let place = Place::open(path)?;
        let record = RunRecord::read(path).map_err(|reason| {
            Diagnostic::error(
                crate::diag::Code::E0608,
                format!("the record of the run in `{}` cannot be read", path.display()),
            )
            .with_note(format!("found: {reason}"))
        })?;
        place.check_files(&record.files)?;
        Ok(Self { place, earlier: record.files.clone(), record: Some(record), span: None })
    }

    pub fn path(&self) -> &Path {
        &self.place.path
    }

    /// The config that the run goes by.
    pub fn config_path(&self) -> PathBuf {
        self.place.path.join(CONFIG_FILE)
    }

    /// What is said of the run, once it began.
    pub fn record(&self) -> Option<&RunRecord> {
        self.record.as_ref()
    }

    /// A finding about this folder that the file system gives cause to.
    fn failed(&self, error: &io::Error) -> Diagnostic {
        let finding = failed(self.path(), error);
        match self.span {
            Some(span) => finding.at(span, "this folder"),
            None => finding,
        }
    }

    /// Begins a run here: all that is known before its first step is written. Gives the files that are to be made to outlive a power
    /// cut before anything of the run does: all but the graphs, which follow from the spec.
    ///
    /// # Errors
    /// E0605.
    fn begin(&mut self, plan: &Plan<'_>, data: &RunData, started: Option<String>) -> Result<Vec<PathBuf>, Diagnostic> {
        let texts = plan.texts.placed();
        let names: Vec<String> = texts.iter().map(|(name, _)| name.clone()).collect();
        let files = layout::files(&names);
        self.place.check_files(&files)?;
        let mut record = RunRecord { started, ..new_record(plan, data, files) };
        self.begin_files(plan, &texts, &mut record).map_err(|error| self.failed(&error))?;
        self.record = Some(record);
        Ok(self.first_files(&names))
    }

    /// What a run cannot go on without; `spec` are the files of its texts.
    fn first_files(&self, spec: &[String]) -> Vec<PathBuf> {
        let fixed = [layout::MARKER_FILE, layout::RECORD_FILE, CONFIG_FILE, PROGRAM_FILE, EVALUATION_FILE];
        spec.iter().map(String::as_str).chain(fixed).map(|name| self.path().join(name)).collect()
    }

    /// Writes again what a run that left no checkpoint began with. Gives the files that are to be made to last, as when it began.
    fn begin_again(&self, plan: &Plan<'_>) -> io::Result<Vec<PathBuf>> {
        let path = &self.place.path;
        let texts = plan.texts.placed();
        texts.iter().try_for_each(|(name, text)| write_text(Lasting::Process, &path.join(name), text))?;
        write_programs(path, plan)?;
        Ok(self.first_files(&texts.into_iter().map(|(name, _)| name).collect::<Vec<_>>()))
    }

    fn begin_files(&mut self, plan: &Plan<'_>, texts: &[(String, &str)], record: &mut RunRecord) -> io::Result<()> {
        self.place.mark(&record.id)?;
        self.place.tidy();
        self.place.clear(&self.earlier)?;
        let path = &self.place.path;
        let write = |name: &str, text: &str| write_text(Lasting::Process, &path.join(name), text);
        record.write(Lasting::Process, path)?;
        for (name, text) in texts {
            write(name, text)?;
        }
        for (name, text) in graphs(plan.compiled) {
            write(&graph_file(name), &text)?;
        }
        write_programs(path, plan)?;
        write(CONFIG_FILE, &plan.texts.config(plan.config, path))
    }

    /// Writes what a run came to, after its last checkpoint.
    fn finish<T: Element>(
        &mut self,
        plan: &Plan<'_>,
        run: &Finished<T>,
        status: Status,
        ended: Option<String>,
    ) -> Result<(), Diagnostics> {
        let path = self.place.path.clone();
        let moment = Moment { epoch: run.n_epochs, step: run.n_steps };
        let (clock, spec) = ((moment.step, moment.epoch), plan.texts.spec());
        // Its name lasts with that of the params.
        write_program(Lasting::Contents, &path, plan, clock, run.steps_per_epoch)
            .map_err(|error| self.failed(&error))?;
        checkpoint::write(&path.join(PARAMS_FILE), &run.store, clock, plan.config.precision, spec)?;
        let Some(record) = &mut self.record else { return Ok(()) };
        record.status = status;
        record.ended = ended;
        record.epochs = run.epochs_run;
        record.steps = run.steps_run;
        record.params = Some(moment);
        record.stopped_early = run.stopped_early;
        record.best.clone_from(&run.best);
        record.diverged = run.diverged.as_ref().map(|finding| finding.headline.clone());
        record.last = last_values(&run.history, run.n_epochs);
        record.write(Lasting::Name, &path).map_err(|error| failed(&path, &error))?;
        Ok(())
    }

    /// Says that an error ended the run, as far as that can be written.
    fn fail(&mut self, ended: Option<String>) -> io::Result<()> {
        match &mut self.record {
            Some(record) => {
                record.status = Status::Failed;
                record.ended = ended;
                record.write(Lasting::Name, &self.place.path)
            }
            None => Ok(()),
        }
    }
}

/// Writes the folder of a run that was made in memory.
///
/// # Errors
/// E0605.
pub fn save<T: Element>(
    target: &Path,
    plan: &Plan<'_>,
    data: &RunData,
    run: &Finished<T>,
) -> Result<PathBuf, Diagnostics> {
    let config = RunConfig { output: target.to_path_buf(), output_span: None, ..plan.config.clone() };
    let plan = Plan { config: &config, ..*plan };
    let mut folder = RunFolder::claim(&config, Earlier::Keep)?;
    let files = folder.begin(&plan, data, None)?;
    let columns = columns_of(&Trainer::<T>::new(plan.compiled, config.seed, plan.options)?, data);
    let rows: String = run.history.epochs.iter().map(|record| columns.row(record)).collect();
    let path = folder.path().to_path_buf();
    let written = sync_files(&files)
        .and_then(|()| write_text(Lasting::Name, &path.join(HISTORY_FILE), &(columns.header() + &rows)));
    written.map_err(|error| folder.failed(&error))?;
    let status = if run.diverged.is_some() { Status::Diverged } else { Status::Finished };
    folder.finish(&plan, run, status, None)?;
    Ok(path)
}

/// The columns of a run's history.
fn columns_of<T: Element>(trainer: &Trainer<T>, data: &RunData) -> Columns {
    let mut parts = vec![("train", trainer.reported().to_vec())];
    for (part, dataset) in [("validation", &data.validation), ("test", &data.test)] {
        if dataset.is_some() {
            parts.push((part, trainer.evaluated()));
        }
    }
    let weights = trainer.loss_weights().into_iter().map(|weight| (weight.name, weight.values.len())).collect();
    Columns { parts, weights }
}

fn new_record(plan: &Plan<'_>, data: &RunData, files: Vec<String>) -> RunRecord {
    let Plan { compiled, config, texts, options } = plan;
    let hashes = Hashes {
        spec: texts.hash(),
        program: program_hash(compiled),
        config: hash_text(&config.to_yaml(&|_| PathBuf::new())),
        data: data.fingerprints.clone(),
    };
    let of_data = hashes.data.values().map(|found| found.hash.as_str());
    let id = hash_texts([hashes.program.as_str(), hashes.config.as_str()].into_iter().chain(of_data));
    let (executor, level) = engine(options);
    RunRecord {
        format: layout::FORMAT,
        id,
        status: Status::Running,
        started: None,
        ended: None,
        anabranch: env!("CARGO_PKG_VERSION").to_string(),
        executor,
        level,
        threads: threads(options),
        precision: config.precision,
        seed: config.seed,
        batch_size: config.batch_size,
        hashes,
        epochs: 0,
        steps: 0,
        params: None,
        stopped_early: false,
        best: None,
        diverged: None,
        resumed: Vec::new(),
        totals: compiled
            .addends
            .iter()
            .map(|(total, own)| (total.to_string(), own.iter().map(<_>::to_string).collect()))
            .collect(),
        last: indexmap::IndexMap::new(),
        files,
    }
}

/// What runs the programs, and by which instruction set.
fn engine(options: &ExecutorOptions) -> (String, String) {
    let executor = match options.mode {
        Mode::Planned => "planned",
        Mode::Reference => "reference",
    };
    (executor.to_string(), options.level.unwrap_or_else(Level::detect).name().to_string())
}

/// The threads that are worked with; what cannot be had is told elsewhere.
fn threads(options: &ExecutorOptions) -> usize {
    options.pool().map_or(options.threads, |pool| pool.threads())
}

/// The hash of what a run computes: its first params, a step, an evaluation.
pub(super) fn program_hash(compiled: &Compiled) -> String {
    let simplified = &compiled.simplified;
    let programs = [&simplified.init, &simplified.train, &simplified.train_metrics, &simplified.evaluate];
    let texts = programs.map(|program| serde_json::to_string(&Document::of(program)).unwrap_or_default());
    hash_texts(texts.iter().map(String::as_str))
}

fn write_text(lasting: Lasting, path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    write_until(lasting, path, Existing::Replace, |out| out.write_all(text.as_bytes()))
}

/// The compiled stages as texts.
fn graphs(compiled: &Compiled) -> impl Iterator<Item = (&'static str, String)> {
    let simplified = &compiled.simplified;
    let graphs: [&ir::Graph; 6] = [
        &compiled.module.graph,
        &compiled.predict,
        &compiled.train,
        &simplified.predict,
        &simplified.evaluate,
        &simplified.train,
    ];
    GRAPHS.into_iter().zip(graphs).map(|(name, graph)| {
        let has_notes = matches!(name, "ir" | "train" | "simplified-train");
        let notes = if has_notes { compiled.derivative_notes() } else { String::new() };
        (name, notes + &ir::print(graph, name))
    })
}

/// Writes the programs of prediction and of evaluation as a run begins with them.
fn write_programs(path: &Path, plan: &Plan<'_>) -> io::Result<()> {
    write_program(Lasting::Process, path, plan, (0, 0), 0)?;
    let text = serde_json::to_string(&saved_evaluation(plan.compiled, plan.config))? + "\n";
    write_text(Lasting::Process, &path.join(EVALUATION_FILE), &text)
}

/// Writes the program of prediction; `clock` is the steps and epochs of the params that go with it. How many steps an epoch has is
/// known when the run has ended.
fn write_program(
    lasting: Lasting,
    path: &Path,
    plan: &Plan<'_>,
    clock: (u64, u32),
    steps_per_epoch: usize,
) -> io::Result<()> {
    let text = serde_json::to_string(&saved_program(plan.compiled, plan.config, clock, steps_per_epoch))? + "\n";
    write_text(lasting, &path.join(PROGRAM_FILE), &text)
}

/// What was recorded of the epoch whose params are saved.
fn last_values(history: &History, epoch: u32) -> indexmap::IndexMap<String, serde_json::Value> {
    let mut last = indexmap::IndexMap::new();
    let Some(record) = history.epoch(epoch) else { return last };
    for part in &record.parts {
        for (reported, value) in &part.values {
            last.insert(format!("{}/{}", part.part, reported.name), serde_json::Value::from(*value));
        }
    }
    for weight in &record.weights {
        last.insert(format!("weight/{}", weight.name), serde_json::Value::from(weight.values.clone()));
    }
    last
}
