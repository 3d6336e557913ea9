//! Checkpoints: a run's state as a folder that appears whole.
//!
//! `state.safetensors` holds every number: params and states under their own names, and in f64 what an epoch's means and sums
//! have come to and the best value, so that they read back as they were. `state.json` holds the counts, where the logs stand, and
//! the hash of the tensors; it bears a seal, the hash of itself. A checkpoint whose hashes do not fit is not there.

use super::layout::{CHECKPOINTS_FOLDER, FORMAT, STATE_FILE, TENSORS_FILE, checkpoint_folder, checkpoint_name};
use super::place::{checkpoints, remove_checkpoint};
use crate::data::files::{TEMPORARY, sync_folder};
use crate::data::params::{self, NamedTensors, ParamsSource};
use crate::data::{Numbers, TensorRef, open_regular, safetensors_to};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::exec::{Store, StoreKind};
use crate::ops::Element;
use crate::train::checkpoint::{fill, numbers_of};
use crate::train::hash::{Hashing, hash_text};
use crate::train::judge::Judgement;
use crate::train::outputs::Precision;
use crate::train::predictor::stored_name;
use crate::train::state::{ModelState, Progress, RunState};
use crate::train::trainer::Weighted;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::path::Path;
use std::sync::Arc;

/// Longer states are refused before they are read.
const LONGEST_STATE: u64 = 16 * 1024 * 1024;

/// How long the logs of a run are, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Positions {
    pub history: u64,
    pub steps: u64,
}

/// A state with all that goes into its checkpoint.
#[derive(Clone, Debug)]
pub(super) struct Snapshot<T> {
    pub state: Arc<RunState<T>>,
    pub positions: Positions,
    /// the steps of the best epoch's checkpoint
    pub kept: Option<u64>,
}

/// What states of one run have in common.
#[derive(Clone, Debug)]
pub(super) struct Common {
    pub program: String,
    pub precision: Precision,
}

/// `state.json`, sealed.
#[derive(Debug, Serialize, Deserialize)]
struct Sealed {
    state: StateForm,
    seal: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct StateForm {
    format: u32,
    /// the hash of the program
    program: String,
    precision: Precision,
    step: u64,
    epoch: u32,
    /// steps of the present epoch
    epoch_steps: u32,
    /// epochs that are recorded
    records: u32,
    best_epoch: Option<u32>,
    epochs_without: u32,
    /// loss weights that were spoken of
    told: Vec<String>,
    /// losses that were said to have risen
    risen: Vec<String>,
    skipped: u64,
    skipped_last: u32,
    halvings: u32,
    /// the checkpoint of the best epoch
    kept: Option<u64>,
    logs: Positions,
    tensors: FileForm,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FileForm {
    bytes: u64,
    hash: String,
}

impl StateForm {
    fn seal(&self) -> io::Result<String> {
        Ok(hash_text(&serde_json::to_string(self)?))
    }
}

const SUMS: &str = "epoch/sums";
const WEIGHTS: &str = "epoch/weights";
const FIRST: &str = "run/first";
const BEST: &str = "judge/best";
const METRIC_SUM: &str = "sum/";

/// Writes a checkpoint. One of that name that is there makes way.
///
/// # Errors
/// Those of the file system. The checkpoints that were there are there then.
pub(super) fn write<T: Element>(run: &Path, snapshot: &Snapshot<T>, common: &Common) -> io::Result<()> {
    let all = run.join(CHECKPOINTS_FOLDER);
    match fs::create_dir(&all) {
        Ok(()) => sync_folder(run)?,
        // A link there may lead to what is not ours.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && fs::symlink_metadata(&all)?.is_dir() => {}
        Err(error) => return Err(error),
    }
    let n_steps = snapshot.state.model.n_steps;
    let temporary = all.join(format!("{}{}{}", TEMPORARY.0, checkpoint_name(n_steps), TEMPORARY.1));
    remove_checkpoint(&temporary)?;
    fs::create_dir(&temporary)?;
    let written = write_files(&temporary, snapshot, common).and_then(|()| {
        let place = checkpoint_folder(run, n_steps);
        remove_checkpoint(&place)?;
        fs::rename(&temporary, &place)
    });
    if let Err(error) = written {
        // Room for the next try.
        let _ = remove_checkpoint(&temporary);
        return Err(error);
    }
    sync_folder(&all)
}

fn write_files<T: Element>(folder: &Path, snapshot: &Snapshot<T>, common: &Common) -> io::Result<()> {
    let RunState { model, progress } = &*snapshot.state;
    let tensors = write_tensors(&folder.join(TENSORS_FILE), model, progress, common)?;
    let state = StateForm {
        format: FORMAT,
        program: common.program.clone(),
        precision: common.precision,
        step: model.n_steps,
        epoch: model.n_epochs,
        epoch_steps: progress.epoch_steps,
        records: progress.n_records,
        best_epoch: progress.judgement.best.map(|(epoch, _)| epoch),
        epochs_without: progress.judgement.epochs_without,
        told: progress.told.iter().map(ToString::to_string).collect(),
        risen: progress.risen.iter().map(ToString::to_string).collect(),
        skipped: progress.skipped,
        skipped_last: progress.skipped_last,
        halvings: progress.halvings,
        kept: snapshot.kept,
        logs: snapshot.positions,
        tensors,
    };
    let seal = state.seal()?;
    let text = serde_json::to_string_pretty(&Sealed { state, seal })? + "\n";
    let mut file = File::create_new(folder.join(STATE_FILE))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    sync_folder(folder)
}

fn write_tensors<T: Element>(
    path: &Path,
    model: &ModelState<T>,
    progress: &Progress,
    common: &Common,
) -> io::Result<FileForm> {
    let stored = numbers_of(&model.store, common.precision);
    let exact = |values: &[f64]| Numbers::F64(values.to_vec());
    let mut counts: Vec<(String, Vec<usize>, Numbers)> = Vec::new();
    for (name, values) in [(SUMS, &progress.means.sums), (WEIGHTS, &progress.means.weights), (FIRST, &progress.first)] {
        counts.push((name.to_string(), vec![values.len()], exact(values)));
    }
    for (name, values) in &progress.sums {
        counts.push((format!("{METRIC_SUM}{name}"), vec![values.len()], exact(values)));
    }
    if let Some((_, best)) = progress.judgement.best {
        counts.push((BEST.to_string(), Vec::new(), exact(&[best])));
    }
    let stored = stored.iter().map(|(name, shape, values)| TensorRef { name, shape, values: values.into() });
    let counts = counts.iter().map(|(name, shape, values)| TensorRef { name, shape, values: values.into() });
    let tensors: Vec<TensorRef<'_>> = stored.chain(counts).collect();
    let metadata = BTreeMap::from([
        ("anabranch".to_string(), env!("CARGO_PKG_VERSION").to_string()),
        ("epochs".to_string(), model.n_epochs.to_string()),
        ("format".to_string(), FORMAT.to_string()),
        ("program".to_string(), common.program.clone()),
        ("steps".to_string(), model.n_steps.to_string()),
    ]);
    let file = File::create_new(path)?;
    let mut out = Hashing::new(BufWriter::with_capacity(1 << 18, &file));
    safetensors_to(&mut out, &tensors, &metadata)?;
    out.flush()?;
    let (bytes, hash) = out.finish();
    file.sync_all()?;
    Ok(FileForm { bytes, hash })
}

/// A checkpoint that was read.
#[derive(Clone, Debug)]
pub(super) struct Loaded<T> {
    pub state: RunState<T>,
    pub positions: Positions,
    pub kept: Option<u64>,
    pub program: String,
}

/// Reads a checkpoint into a store of the same params and states.
///
/// # Errors
/// E0606 when it is not whole, or does not fit.
pub(super) fn read<T: Element>(run: &Path, n_steps: u64, like: &Store<T>) -> Result<Loaded<T>, Diagnostics> {
    let folder = checkpoint_folder(run, n_steps);
    let broken = |reason: String| -> Diagnostics {
        Diagnostic::error(Code::E0606, format!("the checkpoint `{}` is not whole", folder.display()))
            .with_note(format!("found: {reason}"))
            .into()
    };
    let form = read_form(&folder).map_err(broken)?;
    let path = folder.join(TENSORS_FILE);
    let bytes = read_bytes(&path, form.tensors.bytes).map_err(|error| broken(format!("`{TENSORS_FILE}`: {error}")))?;
    let mut hashing = Hashing::new(io::sink());
    let found = hashing.write_all(&bytes).map(|()| hashing.finish());
    if found.ok() != Some((form.tensors.bytes, form.tensors.hash.clone())) {
        return Err(broken(format!("`{TENSORS_FILE}` is not what was written")));
    }
    let mut tensors = params::parse_safetensors(&bytes).map_err(broken)?;
    let progress =
        take_progress(&form, &mut tensors).ok_or_else(|| broken("a state that does not fit itself".into()))?;
    let mut store = like.clone();
    fill(&mut store, &tensors, &ParamsSource::new(&path))?;
    let model = ModelState { store, n_steps: form.step, n_epochs: form.epoch };
    let StateForm { logs, kept, program, .. } = form;
    Ok(Loaded { state: RunState { model, progress }, positions: logs, kept, program })
}

fn read_form(folder: &Path) -> Result<StateForm, String> {
    let (file, len) = open_regular(&folder.join(STATE_FILE)).map_err(|error| format!("`{STATE_FILE}`: {error}"))?;
    if len > LONGEST_STATE {
        return Err(format!("`{STATE_FILE}` is longer than {LONGEST_STATE} bytes"));
    }
    let text = io::read_to_string(file).map_err(|error| format!("`{STATE_FILE}`: {error}"))?;
    let Sealed { state, seal } = serde_json::from_str(&text).map_err(|error| format!("`{STATE_FILE}`: {error}"))?;
    if state.seal().ok() != Some(seal) {
        return Err(format!("`{STATE_FILE}` is not what was written"));
    }
    if state.format != FORMAT {
        return Err(format!("the format {}, not {FORMAT}", state.format));
    }
    Ok(state)
}

fn read_bytes(path: &Path, expected: u64) -> io::Result<Vec<u8>> {
    let (file, len) = open_regular(path)?;
    if len != expected {
        return Err(io::Error::other(format!("{len} bytes, not {expected}")));
    }
    let mut bytes = Vec::new();
    file.take(expected).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Takes all that is neither param nor state out of the tensors.
fn take_progress(form: &StateForm, tensors: &mut NamedTensors) -> Option<Progress> {
    let prefixes = [StoreKind::Param, StoreKind::State].map(|kind| stored_name(kind, ""));
    let is_stored = |name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let mut others: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (name, tensor) in tensors.tensors.iter().filter(|(name, _)| !is_stored(name)) {
        let Numbers::F64(values) = &tensor.values else { return None };
        others.insert(name.clone(), values.clone());
    }
    tensors.tensors.retain(|name, _| is_stored(name));
    let means = Weighted { sums: others.remove(SUMS)?, weights: others.remove(WEIGHTS)? };
    let first = others.remove(FIRST)?;
    let names = |listed: &[String]| listed.iter().map(|name| Arc::from(name.as_str())).collect();
    let best = match form.best_epoch {
        Some(epoch) => Some((epoch, *others.remove(BEST)?.first()?)),
        None => None,
    };
    let sums = others.into_iter().map(|(name, values)| Some((Arc::from(name.strip_prefix(METRIC_SUM)?), values)));
    Some(Progress {
        n_records: form.records,
        epoch_steps: form.epoch_steps,
        means,
        sums: sums.collect::<Option<_>>()?,
        judgement: Judgement { best, epochs_without: form.epochs_without },
        told: names(&form.told),
        first,
        risen: names(&form.risen),
        skipped: form.skipped,
        skipped_last: form.skipped_last,
        halvings: form.halvings,
    })
}

/// Removes checkpoints, the oldest first, but the last few and those of best epochs that these name.
///
/// # Errors
/// Those of the file system.
pub(super) fn prune(run: &Path, keep: u32) -> io::Result<()> {
    let found = checkpoints(run);
    let n_old = found.len().saturating_sub(keep.max(1) as usize);
    let (old, last) = found.split_at(n_old);
    let best: Vec<u64> =
        last.iter().filter_map(|n_steps| read_form(&checkpoint_folder(run, *n_steps)).ok()?.kept).collect();
    for n_steps in old.iter().filter(|n_steps| !best.contains(n_steps)) {
        remove_checkpoint(&checkpoint_folder(run, *n_steps))?;
    }
    Ok(())
}

/// The tensors of the last whole checkpoint, or of the best epoch that it names: what a run that has not ended predicts with.
pub(super) fn latest_tensors(run: &Path) -> Option<std::path::PathBuf> {
    let whole = |n_steps: &u64| read_form(&checkpoint_folder(run, *n_steps)).ok().map(|form| (*n_steps, form.kept));
    let (n_steps, kept) = checkpoints(run).iter().rev().find_map(whole)?;
    let kept = kept.filter(|n_steps| whole(n_steps).is_some());
    Some(checkpoint_folder(run, kept.unwrap_or(n_steps)).join(TENSORS_FILE))
}
