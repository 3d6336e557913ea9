//! Whether a run of this program, config and data goes on exactly: a few steps are made at once, and again in two parts with the state
//! between them written to disk and read back into new programs on another number of threads.

use super::checkpoints::{Common, Positions, Snapshot, read, write};
use super::layout::{TENSORS_FILE, checkpoint_folder};
use super::{Plan, program_hash};
use crate::data::params::parse_safetensors;
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::exec::ExecutorOptions;
use crate::ops::Element;
use crate::train::fit::{Fitting, Moved};
use crate::train::history::History;
use crate::train::run::{RunData, new_trainer, watch_of};
use crate::train::state::RunState;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

/// Steps that are made where an epoch is longer than these.
const STEPS: u64 = 12;

/// What was proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// steps that were made
    pub steps: u64,
    /// the steps after which a run was gone on with
    pub resumed_after: Vec<u64>,
    /// threads before and after
    pub threads: (usize, usize),
}

/// Proves that a run goes on exactly.
///
/// # Errors
/// E0606, naming what differs; those of training; E0605 when the temporary folder cannot be written.
pub fn verify_resume<T: Element>(plan: &Plan<'_>, data: &RunData) -> Result<Verified, Diagnostics> {
    let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
    let first = ExecutorOptions { pool: Some(plan.options.pool()?), ..plan.options.clone() };
    let n_threads = first.pool()?.threads();
    let others = if n_threads == 1 { 2 } else { 1 };
    let second = ExecutorOptions { pool: None, threads: others, ..plan.options.clone() };
    let Made { state: whole, per_epoch } = make::<T>(plan, data, &first, None, u64::MAX)?;
    let total = whole.model.n_steps;
    let middle = total / 2;
    let mut cuts = vec![middle.max(1), per_epoch, per_epoch + per_epoch / 2 + 1];
    cuts.retain(|cut| *cut < total);
    cuts.sort_unstable();
    cuts.dedup();
    let common = Common { program: program_hash(plan.compiled), precision: plan.config.precision };
    for cut in &cuts {
        let part = make::<T>(plan, data, &first, None, *cut)?;
        let like = part.state.model.store.clone();
        let snapshot = |state| Snapshot { state: Arc::new(state), positions: Positions::default(), kept: None };
        write(folder.path(), &snapshot(part.state), &common).map_err(|error| failed(&error))?;
        let loaded = read::<T>(folder.path(), *cut, &like)?;
        let rest = make::<T>(plan, data, &second, Some(loaded.state), u64::MAX)?;
        let [a, b] = ["whole", "rest"].map(|name| folder.path().join(name));
        for (run, state) in [(&a, whole.clone()), (&b, rest.state)] {
            fs::create_dir_all(run)
                .and_then(|()| write(run, &snapshot(state), &common))
                .map_err(|error| failed(&error))?;
        }
        compare(&a, &b, total, *cut)?;
    }
    Ok(Verified { steps: total, resumed_after: cuts, threads: (n_threads, others) })
}

struct Made<T> {
    state: RunState<T>,
    /// steps of an epoch
    per_epoch: u64,
}

/// Makes steps from a state, or from the beginning, until so many are made in all.
fn make<T: Element>(
    plan: &Plan<'_>,
    data: &RunData,
    options: &ExecutorOptions,
    from: Option<RunState<T>>,
    until: u64,
) -> Result<Made<T>, Diagnostics> {
    let mut trainer = new_trainer::<T>(plan.compiled, plan.config, options, &mut |_| ControlFlow::Continue(()))?;
    let watch = watch_of(plan.compiled, &trainer);
    let settings = plan.config.settings(plan.compiled);
    let mut fitting = Fitting::new(&mut trainer, watch, &settings, data.parts())?;
    let per_epoch = fitting.steps_per_epoch() as u64;
    // An epoch's end is gone over where that takes no time.
    let most = if per_epoch <= STEPS { 2 * per_epoch + per_epoch / 2 } else { STEPS };
    let until = until.min(most.max(2));
    if let Some(state) = from {
        fitting.resume(state, None, History::default())?;
    }
    while fitting.trainer().n_steps() < until && fitting.advance()? != Moved::Ended {}
    Ok(Made { state: fitting.state(), per_epoch })
}

/// Holds two checkpoints against each other.
fn compare(a: &Path, b: &Path, n_steps: u64, cut: u64) -> Result<(), Diagnostics> {
    let bytes =
        |run: &Path| fs::read(checkpoint_folder(run, n_steps).join(TENSORS_FILE)).map_err(|error| failed(&error));
    let (a, b) = (bytes(a)?, bytes(b)?);
    if a == b {
        return Ok(());
    }
    let tensors = |bytes: &[u8]| parse_safetensors(bytes).map(|found| found.tensors).unwrap_or_default();
    let (a, b) = (tensors(&a), tensors(&b));
    let name = a.iter().find(|(name, tensor)| b.get(*name) != Some(tensor)).map_or("a tensor", |(name, _)| name);
    Err(Diagnostic::error(Code::E0606, format!("a run that is gone on with differs in `{name}`"))
        .with_note(format!("found: other values after {n_steps} steps, gone on with after {cut}"))
        .with_note("expected: the same bytes")
        .with_help("this is a mistake in anabranch: please report it with the spec")
        .into())
}

fn failed(error: &io::Error) -> Diagnostic {
    Diagnostic::error(Code::E0605, "cannot write a temporary folder").with_note(format!("found: {error}"))
}
