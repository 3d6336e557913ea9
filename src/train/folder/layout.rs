//! The names of all that a run writes. Nothing else knows them.

use std::path::{Component, Path, PathBuf};

/// What says that a folder is a run's; locked by the run that writes there.
pub(crate) const MARKER_FILE: &str = ".anabranch-run";
/// The layout that this version writes and reads.
pub(crate) const FORMAT: u32 = 2;
/// The config as resolved. It is the last file of a run's beginning: without it there is nothing to resume.
pub(crate) const CONFIG_FILE: &str = "run.yaml";
pub(crate) const RECORD_FILE: &str = "record.json";
pub(crate) const PARAMS_FILE: &str = "params.safetensors";
pub(crate) const PROGRAM_FILE: &str = "predict.json";
pub(crate) const EVALUATION_FILE: &str = "evaluate.json";
pub(crate) const HISTORY_FILE: &str = "history.csv";
pub(crate) const STEPS_FILE: &str = "steps.jsonl";
pub(crate) const SPEC_FOLDER: &str = "spec";
pub(crate) const GRAPHS_FOLDER: &str = "graphs";
pub(crate) const CHECKPOINTS_FOLDER: &str = "checkpoints";
/// Within a checkpoint's folder.
pub(crate) const TENSORS_FILE: &str = "state.safetensors";
pub(crate) const STATE_FILE: &str = "state.json";

pub(crate) const GRAPHS: [&str; 6] =
    ["ir", "predict", "train", "simplified-predict", "simplified-evaluate", "simplified-train"];

pub(crate) fn graph_file(name: &str) -> String {
    format!("{GRAPHS_FOLDER}/{name}.txt")
}

/// Every file of a run but the marker and the checkpoints, as paths within the folder; `spec` are those of the spec's texts.
pub(crate) fn files(spec: &[String]) -> Vec<String> {
    let graphs = GRAPHS.iter().map(|name| graph_file(name));
    let others = [CONFIG_FILE, RECORD_FILE, PARAMS_FILE, PROGRAM_FILE, EVALUATION_FILE, HISTORY_FILE, STEPS_FILE]
        .map(str::to_string);
    spec.iter().cloned().chain(graphs).chain(others).collect()
}

/// The name of the checkpoint after so many steps: in the order of names, which is that of steps.
pub(crate) fn checkpoint_name(n_steps: u64) -> String {
    format!("{n_steps:09}")
}

/// The steps of a checkpoint by its name.
pub(crate) fn steps_of(name: &str) -> Option<u64> {
    let n_steps = name.parse().ok()?;
    (checkpoint_name(n_steps) == name).then_some(n_steps)
}

pub(crate) fn checkpoint_folder(run: &Path, n_steps: u64) -> PathBuf {
    run.join(CHECKPOINTS_FOLDER).join(checkpoint_name(n_steps))
}

/// Whether a listed path stays within its folder.
pub(crate) fn is_within(file: &str) -> bool {
    let is_plain = |component: Component<'_>| matches!(component, Component::Normal(_));
    file != MARKER_FILE && !file.is_empty() && Path::new(file).components().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_known_by_its_name_alone() {
        for n_steps in [0, 7, 450, 123_456_789, 12_345_678_901] {
            assert_eq!(steps_of(&checkpoint_name(n_steps)), Some(n_steps));
        }
        for other in ["450", "", "+00000450", "000000450.part", "notes", "0000000450"] {
            assert_eq!(steps_of(other), None, "{other}");
        }
    }
}
