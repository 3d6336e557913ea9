//! The folder that a run writes.
//!
//! [`save`] builds the folder under a temporary name beside its target and renames it when every file is in it, so a reader
//! finds a whole run or none. A folder that an earlier run wrote is replaced by that rename; anything else in its place is
//! left alone and refused (E0605), before the run by [`check_target`].

use super::config::{Precision, RunConfig};
use super::fit::Finished;
use super::judge::Best;
use super::predictor::{ClockForm, InputForm, SavedProgram, stored_name, to_data_values};
use super::trainer::fold_seed;
use crate::data::{Numbers, TensorRef, write_safetensors};
use crate::diag::{Code, Diagnostic};
use crate::export::program::Document;
use crate::ir;
use crate::ops::Element;
use crate::pipeline::Compiled;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

pub(super) const PARAMS_FILE: &str = "params.safetensors";
pub(super) const PROGRAM_FILE: &str = "predict.json";
const HISTORY_FILE: &str = "history.csv";
const RECORD_FILE: &str = "run.json";

/// `run.json`: what the run was and how it ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// the version of anabranch that wrote it
    pub anabranch: String,
    /// FNV-1a of the spec's text, 64 bits
    pub spec_hash: String,
    pub precision: Precision,
    pub seed: u64,
    pub batch_size: u32,
    pub epochs: u32,
    pub steps: u64,
    /// whether the watched value ended the run before its last epoch
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped_early: bool,
    /// the best epoch by the watched value
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<Best>,
    /// why the run ended before its last epoch
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diverged: Option<String>,
    /// `PART/NAME` and `weight/PATH` after the last epoch
    pub last: IndexMap<String, serde_json::Value>,
}

fn cannot_write(target: &Path, reason: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::error(Code::E0605, format!("cannot write the folder `{}`", target.display()))
        .with_note(format!("found: {reason}"))
}

/// Checks, before any work is done, that a run may write its folder here.
///
/// # Errors
/// E0605 when something else stands there, or no folder can be made there.
pub fn check_target(target: &Path) -> Result<(), Diagnostic> {
    if target.file_name().is_none() {
        return Err(
            cannot_write(target, "it has no name of its own").with_help("name a new folder, such as `runs/first`")
        );
    }
    match fs::symlink_metadata(target) {
        Ok(found) => {
            let is_ours = found.is_dir() && target.join(RECORD_FILE).is_file();
            let is_empty = || fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_none());
            if !(is_ours || found.is_dir() && is_empty()) {
                return Err(cannot_write(target, "something that no run wrote stands there")
                    .with_help("name another folder with `--output`, or remove what is there"));
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(cannot_write(target, error)),
    }
    let mut ancestor = parent(target);
    while !ancestor.exists() {
        ancestor = parent(ancestor);
    }
    tempfile::tempdir_in(ancestor).map(drop).map_err(|error| cannot_write(target, error))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes the folder of a run. `spec` is the spec's text.
///
/// # Errors
/// E0605; then the target is as it was.
pub fn save<T: Element>(
    target: &Path,
    compiled: &Compiled,
    config: &RunConfig,
    spec: &str,
    run: &Finished<T>,
) -> Result<(), Diagnostic> {
    check_target(target)?;
    let failed = |error: io::Error| cannot_write(target, error);
    fs::create_dir_all(parent(target)).map_err(failed)?;
    let staging = tempfile::Builder::new().prefix(".anabranch-").suffix(".part").tempdir_in(parent(target));
    let staging = staging.map_err(failed)?;
    // A folder inside the private temporary one, so that it has the rights of any folder that a program makes.
    let folder = staging.path().join("run");
    fs::create_dir(&folder).map_err(failed)?;
    write_params(&folder, config, spec, run)?;
    write_texts(&folder, compiled, config, spec, run).map_err(failed)?;
    replace(&folder, target, staging.path()).map_err(failed)
}

/// Puts the finished folder in the target's place; what was there goes away with the temporary folder.
fn replace(folder: &Path, target: &Path, staging: &Path) -> io::Result<()> {
    let old = staging.join("old");
    let had_old = fs::symlink_metadata(target).is_ok();
    if had_old {
        fs::rename(target, &old)?;
    }
    fs::rename(folder, target).inspect_err(|_| {
        if had_old {
            // Nothing more can be done when this fails too; the error that is reported is the first.
            let _ = fs::rename(&old, target);
        }
    })
}

fn write_params<T: Element>(
    folder: &Path,
    config: &RunConfig,
    spec: &str,
    run: &Finished<T>,
) -> Result<(), Diagnostic> {
    let entries: Vec<(String, &[usize], Numbers)> = run
        .store
        .entries()
        .map(|entry| {
            let values = to_data_values(&entry.values, config.precision);
            (stored_name(entry.kind, &entry.name), entry.shape.as_slice(), values)
        })
        .collect();
    let tensors: Vec<TensorRef<'_>> =
        entries.iter().map(|(name, shape, values)| TensorRef { name, shape, values: values.into() }).collect();
    let metadata = BTreeMap::from([
        ("anabranch".to_string(), env!("CARGO_PKG_VERSION").to_string()),
        ("spec_hash".to_string(), hash(spec)),
        ("steps".to_string(), run.n_steps.to_string()),
    ]);
    write_safetensors(&folder.join(PARAMS_FILE), &tensors, &metadata)
}

fn write_texts<T: Element>(
    folder: &Path,
    compiled: &Compiled,
    config: &RunConfig,
    spec: &str,
    run: &Finished<T>,
) -> io::Result<()> {
    fs::write(folder.join(HISTORY_FILE), run.history.to_csv())?;
    fs::write(folder.join(PROGRAM_FILE), serde_json::to_string(&saved_program(compiled, config, run))? + "\n")?;
    let graphs = folder.join("graphs");
    fs::create_dir(&graphs)?;
    let simplified = &compiled.simplified;
    let graph_texts = [
        ("ir", &compiled.module.graph),
        ("predict", &compiled.predict),
        ("train", &compiled.train),
        ("simplified-predict", &simplified.predict),
        ("simplified-evaluate", &simplified.evaluate),
        ("simplified-train", &simplified.train),
    ];
    for (name, graph) in graph_texts {
        let has_notes = matches!(name, "ir" | "train" | "simplified-train");
        let notes = if has_notes { compiled.derivative_notes() } else { String::new() };
        fs::write(graphs.join(format!("{name}.txt")), notes + &ir::print(graph, name))?;
    }
    // The record makes a folder a run's folder, so it comes last.
    fs::write(folder.join(RECORD_FILE), serde_json::to_string_pretty(&record(config, spec, run))? + "\n")
}

fn saved_program<T>(compiled: &Compiled, config: &RunConfig, run: &Finished<T>) -> SavedProgram {
    let input = |(name, info): (&std::sync::Arc<str>, &crate::lower::DataInfo)| InputForm {
        name: name.to_string(),
        ty: info.ty.clone(),
        columns: config.train.columns.get(&**name).map(crate::data::ColumnSpec::names).unwrap_or_default(),
    };
    SavedProgram {
        precision: config.precision,
        clock: ClockForm {
            step: i32::try_from(run.n_steps).unwrap_or(i32::MAX),
            epoch: i32::try_from(run.n_epochs).unwrap_or(i32::MAX),
            seed: fold_seed(config.seed),
        },
        prefix: config.train.prefix.clone(),
        inputs: compiled.module.inputs.iter().map(input).collect(),
        program: Document::of(&compiled.simplified.predict),
    }
}

fn record<T>(config: &RunConfig, spec: &str, run: &Finished<T>) -> RunRecord {
    let mut last = IndexMap::new();
    if let Some(epoch) = run.history.epochs.last() {
        for part in &epoch.parts {
            for (reported, value) in &part.values {
                last.insert(format!("{}/{}", part.part, reported.name), serde_json::Value::from(*value));
            }
        }
        for weight in &epoch.weights {
            last.insert(format!("weight/{}", weight.name), serde_json::Value::from(weight.values.clone()));
        }
    }
    RunRecord {
        anabranch: env!("CARGO_PKG_VERSION").to_string(),
        spec_hash: hash(spec),
        precision: config.precision,
        seed: config.seed,
        batch_size: config.batch_size,
        epochs: run.history.epochs.last().map_or(0, |record| record.epoch),
        steps: run.n_steps,
        stopped_early: run.stopped_early,
        best: run.best.clone(),
        diverged: run.diverged.as_ref().map(|finding| finding.headline.clone()),
        last,
    }
}

/// FNV-1a, 64 bits: tells specs apart, guards nothing.
fn hash(text: &str) -> String {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}
