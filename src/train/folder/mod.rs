//! The folder that a run writes.
//!
//! [`save`] makes all files in a temporary folder, each synced, and puts them in their place when the last one is whole.
//! What may be replaced there, and what never, is the matter of [`place`]: [`check_target`] asks before the run.

mod place;

use super::checkpoint::{self, hash};
use super::config::{Precision, RunConfig};
use super::fit::Finished;
use super::judge::Best;
use super::predictor::{AcceptForm, ClockForm, InputForm, SavedProgram};
use super::ranges::Ranges;
use super::trainer::fold_seed;
use crate::diag::Diagnostic;
use crate::export::program::Document;
use crate::ir;
use crate::ops::Element;
use crate::pipeline::Compiled;
use indexmap::IndexMap;
use place::{Contents, STAGED, examine, failed, install, staging};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

pub(crate) use place::{MARKER_FILE, Marker};

pub(super) const PARAMS_FILE: &str = "params.safetensors";
pub(super) const PROGRAM_FILE: &str = "predict.json";
const HISTORY_FILE: &str = "history.csv";
const RECORD_FILE: &str = "run.json";
const GRAPHS: [&str; 6] = ["ir", "predict", "train", "simplified-predict", "simplified-evaluate", "simplified-train"];

/// Every file of a run but the marker, as paths within the folder. The record is the last one.
fn files() -> Vec<String> {
    let graphs = GRAPHS.iter().map(|name| graph_file(name));
    let others = [PARAMS_FILE, HISTORY_FILE, PROGRAM_FILE, RECORD_FILE].map(str::to_string);
    graphs.chain(others).collect()
}

fn graph_file(name: &str) -> String {
    format!("graphs/{name}.txt")
}

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

/// Checks, before any work is done, that a run may write its folder here.
///
/// # Errors
/// E0605 when something else stands there, a file that the run reads would be replaced, or no folder can be made there.
pub fn check_target(target: &Path, config: &RunConfig) -> Result<(), Diagnostic> {
    examine(target, &files(), &config.inputs()).map(drop).map_err(|finding| placed(finding, target, config))
}

/// Points at the config's own `output`, where that is meant.
fn placed(finding: Diagnostic, target: &Path, config: &RunConfig) -> Diagnostic {
    match config.output_span {
        Some(span) if *target == *config.output => finding.at(span, "this folder"),
        _ => finding,
    }
}

/// Writes the folder of a run. `spec` is the spec's text.
///
/// # Errors
/// E0605. What no run wrote is as it was then.
pub fn save<T: Element>(
    target: &Path,
    compiled: &Compiled,
    config: &RunConfig,
    spec: &str,
    run: &Finished<T>,
) -> Result<(), Diagnostic> {
    let files = files();
    let place = examine(target, &files, &config.inputs()).map_err(|finding| placed(finding, target, config))?;
    let failed = |error: io::Error| failed(target, &error);
    let staging = staging(target, &place).map_err(failed)?;
    let folder = staging.path().join(STAGED);
    fs::create_dir(&folder).map_err(failed)?;
    checkpoint::write(&folder.join(PARAMS_FILE), &run.store, (run.n_steps, run.n_epochs), config.precision, spec)?;
    let id = write_texts(&folder, compiled, config, spec, run).map_err(failed)?;
    install(target, &place, Contents { folder: &folder, files: &files, id }).map_err(failed)
}

/// Writes all but the params; gives the run's id, which is the same for the same texts.
fn write_texts<T: Element>(
    folder: &Path,
    compiled: &Compiled,
    config: &RunConfig,
    spec: &str,
    run: &Finished<T>,
) -> io::Result<String> {
    let history = run.history.to_csv();
    let record = serde_json::to_string_pretty(&record(config, spec, run))? + "\n";
    let id = hash(&[spec, history.as_str(), record.as_str()].concat());
    write_text(&folder.join(HISTORY_FILE), &history)?;
    write_text(&folder.join(PROGRAM_FILE), &(serde_json::to_string(&saved_program(compiled, config, run))? + "\n"))?;
    fs::create_dir(folder.join("graphs"))?;
    let simplified = &compiled.simplified;
    let graphs = [
        &compiled.module.graph,
        &compiled.predict,
        &compiled.train,
        &simplified.predict,
        &simplified.evaluate,
        &simplified.train,
    ];
    for (name, graph) in GRAPHS.into_iter().zip(graphs) {
        let has_notes = matches!(name, "ir" | "train" | "simplified-train");
        let notes = if has_notes { compiled.derivative_notes() } else { String::new() };
        write_text(&folder.join(graph_file(name)), &(notes + &ir::print(graph, name)))?;
    }
    write_text(&folder.join(RECORD_FILE), &record)?;
    Ok(id)
}

fn write_text(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn saved_program<T>(compiled: &Compiled, config: &RunConfig, run: &Finished<T>) -> SavedProgram {
    let ranges = Ranges::of(&compiled.predict, []);
    let accepts = |name: &str| {
        let demands = ranges.demands().iter().filter(|demand| *demand.field == *name);
        let form = |demand: &crate::analyse::ranges::Demand| AcceptForm {
            elements: demand.region.clone(),
            intervals: demand.accepted.intervals().to_vec(),
            role: demand.role.clone(),
        };
        demands.map(form).collect()
    };
    let input = |(name, info): (&std::sync::Arc<str>, &crate::lower::DataInfo)| InputForm {
        name: name.to_string(),
        ty: info.ty.clone(),
        columns: config.train.columns.get(&**name).map(crate::data::ColumnSpec::names).unwrap_or_default(),
        accepts: accepts(name),
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
