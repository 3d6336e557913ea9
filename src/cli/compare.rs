//! `anabranch compare`

use super::files::{ReplaceArgument, check_file, write_text};
use super::progress::number;
use super::runs::{Run, text_of};
use super::sparkline::sparkline;
use super::{Outcome, Session};
use crate::diag::{Code, Diagnostic};
use crate::model::Table;
use clap::Args;
use indexmap::IndexMap;
use std::fmt::Write as _;
use std::path::PathBuf;

const NOTES: &str = "\
Prints in what the configs differ, the values that the runs ended with, and each value's curve over the epochs, all curves of
a value on one scale.

Examples:
  anabranch compare runs/a runs/b
  anabranch compare runs/digits-sweep --values validation/total
  anabranch compare runs/a runs/b --csv curves.csv";

/// At most so many values are compared unless they are named.
const MOST_VALUES: usize = 12;

#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    /// The folders of runs; a folder of runs stands for all of them
    #[arg(value_name = "RUN_DIR", required = true, num_args = 1..)]
    runs: Vec<PathBuf>,

    /// Compare these values, such as validation/accuracy
    #[arg(long, value_name = "PART/NAME", value_delimiter = ',')]
    values: Vec<String>,

    /// Write the curves as CSV: run, epoch, and a column for each value
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,

    #[command(flatten)]
    replace: ReplaceArgument,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> Outcome {
    if let Some(path) = &arguments.csv {
        check_file(path, arguments.replace, &[])?;
    }
    let runs = Run::open_all(&arguments.runs)?;
    let mut known: Vec<&str> = Vec::new();
    for name in
        runs.iter().flat_map(|run| run.history.keys()).filter(|name| !["epoch", "step"].contains(&name.as_str()))
    {
        if !known.contains(&name.as_str()) {
            known.push(name);
        }
    }
    if let Some(unknown) = arguments.values.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(Diagnostic::error(Code::E0201, format!("no run has a value `{unknown}`"))
            .with_note(format!("expected: one of {}", known.join(", ")))
            .with_suggestion(unknown, known.iter().copied())
            .into());
    }
    let values: Vec<&str> = match arguments.values.as_slice() {
        [] => known.iter().copied().take(MOST_VALUES).collect(),
        values => values.iter().map(String::as_str).collect(),
    };
    let mut text = differences(&runs);
    text += &ends(&runs, &values);
    for name in &values {
        text += &curves(&runs, name);
    }
    if arguments.values.is_empty() && known.len() > MOST_VALUES {
        let _ = writeln!(text, "\n{} more values: name them with `--values`", known.len() - MOST_VALUES);
    }
    session.console.print(&text)?;
    if let Some(path) = &arguments.csv {
        write_text(path, arguments.replace.existing(), &csv(&runs, &known))?;
    }
    Ok(())
}

/// The settings that are not the same in all runs.
fn differences(runs: &[Run]) -> String {
    let mut keys: Vec<&String> = Vec::new();
    for key in runs.iter().flat_map(|run| run.config.keys()) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let value = |run: &Run, key: &String| run.config.get(key).cloned().unwrap_or_else(|| "-".into());
    keys.retain(|key| key.as_str() != "output" && runs.iter().any(|run| value(run, key) != value(&runs[0], key)));
    if keys.is_empty() {
        return "config: the same\n".to_string();
    }
    let header = std::iter::once("config".to_string()).chain(runs.iter().map(Run::name));
    let mut table = Table::new(header.collect());
    for key in keys {
        table.push(std::iter::once(key.clone()).chain(runs.iter().map(|run| value(run, key))).collect());
    }
    table.to_text(1)
}

/// What the runs ended with.
fn ends(runs: &[Run], values: &[&str]) -> String {
    let header = std::iter::once("last".to_string()).chain(runs.iter().map(Run::name));
    let mut table = Table::new(header.collect());
    for name in values {
        let last = |run: &Run| run.last(name).map_or_else(|| "-".to_string(), number);
        table.push(std::iter::once((*name).to_string()).chain(runs.iter().map(last)).collect());
    }
    let mut row = vec!["epochs".to_string()];
    row.extend(runs.iter().map(|run| run.record.epochs.to_string()));
    table.push(row);
    format!("\n{}", table.to_text(1))
}

/// A value's curves, one below the other.
fn curves(runs: &[Run], name: &str) -> String {
    let all = || runs.iter().filter_map(|run| run.history.get(name)).flatten().flatten().copied();
    let finite = || all().filter(|value| value.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    if low > high {
        return String::new();
    }
    let width = runs.iter().map(|run| run.name().chars().count()).max().unwrap_or(0);
    let mut text = format!("\n{name}, {} to {}\n", number(low), number(high));
    for run in runs {
        let curve = run.history.get(name).map(|values| sparkline(values, low, high)).unwrap_or_default();
        let _ = writeln!(text, "  {:<width$}  {curve}", run.name());
    }
    text
}

fn csv(runs: &[Run], names: &[&str]) -> String {
    let mut text = format!("run,epoch,{}\n", names.iter().map(|name| text_of(name)).collect::<Vec<_>>().join(","));
    for run in runs {
        let columns: IndexMap<&str, &Vec<Option<f64>>> =
            run.history.iter().map(|(name, values)| (name.as_str(), values)).collect();
        let n = columns.values().map(|values| values.len()).max().unwrap_or(0);
        let cell = |name: &str, at: usize| {
            let value = columns.get(name).and_then(|values| values.get(at).copied().flatten());
            value.map_or_else(String::new, |value| value.to_string())
        };
        for at in 0..n {
            let cells: Vec<String> = names.iter().map(|name| cell(name, at)).collect();
            let _ = writeln!(text, "{},{},{}", text_of(&run.name()), cell("epoch", at), cells.join(","));
        }
    }
    text
}
