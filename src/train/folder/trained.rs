//! The folder of a model that was trained on data from memory: that of a run which names no data.
//!
//! Everything that reads a run's folder reads it. There is a checkpoint also, so that `run --resume` goes on once the config says
//! where the data is.

use super::checkpoints::{self, Common, Positions, Snapshot};
use super::layout::HISTORY_FILE;
use super::place::{Place, failed};
use super::record::Status;
use super::{Earlier, Plan, RunFolder, columns_of, program_hash, write_text};
use crate::data::Dataset;
use crate::data::files::{Lasting, sync_files};
use crate::data::open_regular;
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::ops::Element;
use crate::train::config::RunConfig;
use crate::train::fit::Finished;
use crate::train::history::History;
use crate::train::judge::Best;
use crate::train::run::RunData;
use crate::train::state::{Progress, RunState};
use crate::train::trainer::Trainer;
use std::path::Path;
use std::sync::Arc;

/// What the training of a model in memory came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ending {
    /// All epochs, the state before the first one too. They may go beyond those that led to the params, which may be the best ones.
    pub history: History,
    /// the best epoch by the value that was watched
    pub best: Option<Best>,
    /// whether the watched value ended the training before its last epoch
    pub stopped_early: bool,
}

/// Writes a model as the folder of a run. Where a run is there already, `earlier` says what becomes of it.
///
/// # Errors
/// E0605 when something else stands there, a run is there that is to be kept, another process writes there, or nothing can be
/// written.
pub fn save_trained<T: Element>(
    target: &Path,
    earlier: Earlier,
    plan: &Plan<'_>,
    trainer: &Trainer<T>,
    ending: &Ending,
) -> Result<(), Diagnostics> {
    if earlier == Earlier::Keep && super::is_run(target) {
        return Err(Diagnostic::error(Code::E0605, format!("a run is in `{}` already", target.display()))
            .with_help("name another folder, or say that the run is to be replaced")
            .into());
    }
    // Without data there is nothing to train on; the programs know how long the training was.
    let nameless = RunConfig {
        epochs: 0,
        train: None,
        validation: None,
        test: None,
        params: None,
        monitor: None,
        output: target.to_path_buf(),
        output_span: None,
        ..plan.config.clone()
    };
    let mut folder = RunFolder::new(Place::claim(target, earlier, &[])?, None);
    let parts = || ending.history.epochs.iter().flat_map(|record| &record.parts);
    let data = data_of(&|name| parts().any(|part| part.part == name));
    let files = folder.begin(&Plan { config: &nameless, ..*plan }, &data, None)?;
    let path = folder.path().to_path_buf();
    let columns = columns_of(trainer, &data);
    let mut text = columns.header();
    let mut at = (text.len(), 0);
    for record in &ending.history.epochs {
        text += &columns.row(record);
        if record.epoch <= trainer.n_epochs() {
            at = (text.len(), at.1 + 1);
        }
    }
    let progress = Progress { n_records: at.1, ..Progress::default() };
    let snapshot = Snapshot {
        state: Arc::new(RunState { model: trainer.state(), progress }),
        positions: Positions { history: at.0 as u64, steps: 0 },
        kept: None,
    };
    let common = Common { program: program_hash(plan.compiled), precision: plan.config.precision };
    let written = sync_files(&files)
        .and_then(|()| write_text(Lasting::Name, &path.join(HISTORY_FILE), &text))
        .and_then(|()| checkpoints::write(&path, &snapshot, &common));
    written.map_err(|error| failed(&path, &error))?;
    let clock = trainer.clock();
    let epochs = u32::try_from(clock.epochs).unwrap_or(0).max(trainer.n_epochs());
    let finished = Finished {
        store: trainer.store().clone(),
        history: ending.history.clone(),
        n_steps: trainer.n_steps(),
        n_epochs: trainer.n_epochs(),
        steps_run: trainer.n_steps(),
        steps_per_epoch: usize::try_from(clock.steps_per_epoch).unwrap_or(0),
        epochs_run: trainer.n_epochs(),
        best: ending.best.clone(),
        stopped_early: ending.stopped_early,
        diverged: None,
    };
    let config = RunConfig { epochs, ..nameless.clone() };
    folder.finish(&Plan { config: &config, ..*plan }, &finished, Status::Finished, None)
}

/// The history of a run, as far as it can be read by a model that is trained as it was.
pub fn history_of<T: Element>(folder: &Path, trainer: &Trainer<T>) -> History {
    let read = || std::io::read_to_string(open_regular(&folder.join(HISTORY_FILE)).ok()?.0).ok();
    let Some(text) = read() else { return History::default() };
    let header = text.lines().next().unwrap_or_default();
    let has = |part: &str| header.split(',').any(|column| column.split_once('/').is_some_and(|(of, _)| of == part));
    columns_of(trainer, &data_of(&has)).read(&text).unwrap_or_default()
}

/// Data of the parts that are there, without rows.
fn data_of(has: &dyn Fn(&str) -> bool) -> RunData {
    RunData {
        validation: has("validation").then(Dataset::default),
        test: has("test").then(Dataset::default),
        ..RunData::default()
    }
}
