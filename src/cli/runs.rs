//! `anabranch runs`, and what commands read of a run's folder.

use super::progress::number;
use super::sweep::TABLE_FILE;
use super::{Outcome, Session};
use crate::diag::{Code, Diagnostic};
use crate::model::Table;
use crate::train::verdicts::history_columns;
use crate::train::{RunRecord, is_run};
use clap::Args;
use indexmap::IndexMap;
use std::path::{Path, PathBuf};

const NOTES: &str = "\
Lists the runs in a folder and in the folders below it: how they stand, how far they came, and what they ended with.

Examples:
  anabranch runs runs
  anabranch runs runs/digits-sweep --values validation/accuracy";

/// Folders are looked into so deep.
const DEEPEST: usize = 6;
/// At most so many values are listed unless they are named.
const MOST_VALUES: usize = 3;

#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    /// The folder
    #[arg(value_name = "DIR", default_value = "runs")]
    folder: PathBuf,

    /// List these values, such as validation/accuracy
    #[arg(long, value_name = "PART/NAME", value_delimiter = ',')]
    values: Vec<String>,
}

/// A run that is looked at.
#[derive(Debug)]
pub(super) struct Run {
    path: PathBuf,
    pub record: RunRecord,
    /// every setting by the keys that lead to it
    pub config: IndexMap<String, String>,
    /// the columns of the history
    pub history: IndexMap<String, Vec<Option<f64>>>,
}

impl Run {
    /// Reads a run's record, config and history.
    ///
    /// # Errors
    /// E0601, E0608.
    pub(super) fn open(path: &Path) -> Result<Self, Diagnostic> {
        let record = RunRecord::read(path).map_err(|reason| {
            Diagnostic::error(Code::E0608, format!("`{}` is not the folder of a run", path.display()))
                .with_note(format!("found: {reason}"))
        })?;
        let history = history_columns(path);
        let config = config(&path.join("run.yaml")).unwrap_or_else(|| settings(&record));
        Ok(Self { path: path.to_path_buf(), record, config, history })
    }

    /// Reads the runs of some folders. A folder of runs, as a sweep's, stands for them all; a sweep's table, which `sweep/*` names as
    /// well, is passed over.
    ///
    /// # Errors
    /// Those of [`Self::open`].
    pub(super) fn open_all(paths: &[PathBuf]) -> Result<Vec<Self>, Diagnostic> {
        let mut found = Vec::new();
        for path in paths.iter().filter(|path| !is_table(path)) {
            let n_before = found.len();
            find(path, DEEPEST, &mut found);
            if found.len() == n_before {
                found.push(path.clone());
            }
        }
        found.iter().map(|path| Self::open(path)).collect()
    }

    /// The folder's name.
    pub(super) fn name(&self) -> String {
        let name = self.path.file_name().map(|name| name.to_string_lossy().into_owned());
        name.unwrap_or_else(|| self.path.display().to_string())
    }

    /// A value that the run ended with.
    pub(super) fn last(&self, name: &str) -> Option<f64> {
        let recorded = self.record.last.get(name).and_then(serde_json::Value::as_f64);
        recorded.or_else(|| self.history.get(name)?.last().copied().flatten())
    }
}

/// What a record says of a run's config.
fn settings(record: &RunRecord) -> IndexMap<String, String> {
    let precision = serde_json::to_value(record.precision).ok();
    let precision = precision.and_then(|value| value.as_str().map(str::to_string)).unwrap_or_default();
    let pairs =
        [("seed", record.seed.to_string()), ("batch_size", record.batch_size.to_string()), ("precision", precision)];
    pairs.into_iter().map(|(key, value)| (key.to_string(), value)).collect()
}

/// The settings of a YAML text, `data.train.file` and the like.
fn config(path: &Path) -> Option<IndexMap<String, String>> {
    let text = std::fs::read_to_string(path).ok()?;
    let mut settings = IndexMap::new();
    flatten(&serde_yaml::from_str(&text).ok()?, "", &mut settings);
    Some(settings)
}

fn flatten(value: &serde_yaml::Value, path: &str, settings: &mut IndexMap<String, String>) {
    if let serde_yaml::Value::Mapping(map) = value {
        for (key, value) in map {
            let key = key.as_str().map_or_else(|| format!("{key:?}"), str::to_string);
            let path = if path.is_empty() { key } else { format!("{path}.{key}") };
            flatten(value, &path, settings);
        }
        return;
    }
    let text = serde_yaml::to_string(value).unwrap_or_default();
    settings.insert(path.to_string(), text.split_whitespace().collect::<Vec<_>>().join(" "));
}

/// A cell of CSV.
pub(super) fn text_of(cell: &str) -> String {
    if cell.contains([',', '"', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_string() }
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> Outcome {
    if !arguments.folder.is_dir() {
        return Err(Diagnostic::error(Code::E0601, format!("cannot read `{}`", arguments.folder.display()))
            .with_note("expected: a folder of runs")
            .into());
    }
    let mut found = Vec::new();
    find(&arguments.folder, DEEPEST, &mut found);
    let runs: Vec<(&PathBuf, Option<Run>)> = found.iter().map(|path| (path, Run::open(path).ok())).collect();
    let known = || runs.iter().filter_map(|(_, run)| run.as_ref()).flat_map(|run| run.record.last.keys());
    let mut values: Vec<&str> = arguments.values.iter().map(String::as_str).collect();
    if values.is_empty() {
        for name in known().filter(|name| !name.starts_with("train/") && !name.starts_with("weight/")) {
            if values.len() < MOST_VALUES && !values.contains(&name.as_str()) {
                values.push(name);
            }
        }
    }
    let header = ["run", "status", "epochs", "steps"].into_iter().chain(values.iter().copied());
    let mut table = Table::new(header.map(str::to_string).collect());
    for (path, run) in &runs {
        let shown = path.strip_prefix(&arguments.folder).ok().filter(|rest| !rest.as_os_str().is_empty());
        let mut row = vec![shown.unwrap_or(path).display().to_string()];
        match run {
            None => row.push("not readable".to_string()),
            Some(run) => {
                row.extend([
                    run.record.status_text().to_string(),
                    run.record.epochs.to_string(),
                    run.record.steps.to_string(),
                ]);
                row.extend(values.iter().map(|name| run.last(name).map_or_else(|| "-".to_string(), number)));
            }
        }
        table.push(row);
    }
    let text = if runs.is_empty() { format!("no runs in {}\n", arguments.folder.display()) } else { table.to_text(2) };
    session.console.print(&text)?;
    Ok(())
}

/// Whether it is the table of the sweep whose folder it is in.
fn is_table(path: &Path) -> bool {
    path.is_file() && path.file_name().is_some_and(|name| name == TABLE_FILE)
}

/// The runs in a folder, in the order of their paths; links are not followed.
fn find(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    if is_run(folder) {
        found.push(folder.to_path_buf());
        return;
    }
    if depth == 0 {
        return;
    }
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_folder = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let mut folders: Vec<PathBuf> = entries.filter(is_folder).map(|entry| entry.path()).collect();
    folders.sort();
    folders.iter().for_each(|folder| find(folder, depth - 1, found));
}
