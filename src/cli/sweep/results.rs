//! What came of a sweep: means and deviations over seeds, a file of all values, the front of the best.

use super::front::{Point, front, hypervolume, knee, worst};
use super::grid::Setting;
use crate::cli::progress::number;
use crate::diag::{Code, Diagnostic};
use crate::model::Table;
use crate::train::RunRecord;
use std::fmt::Write as _;

/// At most so many values are shown unless they are named.
const MOST_SHOWN: usize = 4;

/// A run with its record.
pub(super) struct Measured<'m> {
    pub setting: &'m Setting,
    pub name: &'m str,
    pub seed: u64,
    pub record: RunRecord,
}

impl Measured<'_> {
    fn value(&self, name: &str) -> Option<f64> {
        self.record.last.get(name).and_then(serde_json::Value::as_f64)
    }
}

/// The values that are told of.
pub(super) struct Chosen {
    shown: Vec<String>,
    /// with whether the higher is the better
    pareto: Vec<(String, bool)>,
}

impl Chosen {
    pub(super) fn parse(show: &[String], pareto: &[String]) -> Result<Self, Diagnostic> {
        let parse = |text: &String| match text.rsplit_once(':') {
            Some((name, "higher")) => (name.to_string(), true),
            Some((name, "lower")) => (name.to_string(), false),
            _ => (text.clone(), false),
        };
        if pareto.len() == 1 {
            return Err(Diagnostic::error(Code::E0602, "`--pareto` names one value: a front is of two or more"));
        }
        Ok(Self { shown: show.to_vec(), pareto: pareto.iter().map(parse).collect() })
    }
}

/// The runs of each setting, in order.
fn groups<'m, 'r>(measured: &'r [Measured<'m>]) -> Vec<(&'m Setting, Vec<&'r Measured<'m>>)> {
    let mut groups: Vec<(&Setting, Vec<&Measured<'_>>)> = Vec::new();
    for run in measured {
        match groups.iter_mut().find(|(setting, _)| *setting == run.setting) {
            Some((_, runs)) => runs.push(run),
            None => groups.push((run.setting, vec![run])),
        }
    }
    groups
}

/// Mean and standard deviation (over n - 1) of what is known; none where nothing is.
fn mean_and_deviation(values: &[f64]) -> Option<(f64, f64)> {
    let n = values.len() as f64;
    let mean = (!values.is_empty()).then(|| values.iter().sum::<f64>() / n)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((mean, if values.len() > 1 { (squares / (n - 1.0)).sqrt() } else { 0.0 }))
}

/// The table, and the front where one is asked for.
pub(super) fn text(measured: &[Measured<'_>], chosen: &Chosen) -> Result<String, Diagnostic> {
    let Some(first) = measured.first() else { return Ok(String::new()) };
    let known: Vec<&str> = first.record.last.keys().map(String::as_str).collect();
    let named = chosen.shown.iter().chain(chosen.pareto.iter().map(|(name, _)| name));
    if let Some(unknown) = named.clone().find(|name| !known.contains(&name.as_str())) {
        return Err(Diagnostic::error(Code::E0201, format!("the runs have no value `{unknown}`"))
            .with_note(format!("expected: one of {}", known.join(", ")))
            .with_suggestion(unknown, known.iter().copied()));
    }
    let mut shown: Vec<String> = named.cloned().collect();
    if shown.is_empty() {
        let is_told = |name: &&&str| !name.starts_with("train/") && !name.starts_with("weight/");
        let told: Vec<&&str> = known.iter().filter(is_told).collect();
        let told = if told.is_empty() { known.iter().collect() } else { told };
        shown = told.into_iter().take(MOST_SHOWN).map(|name| (*name).to_string()).collect();
    }
    shown.dedup();
    let groups = groups(measured);
    let points = points(&groups, chosen);
    let best = front(&points);
    let is_of_seeds = groups.iter().any(|(_, runs)| runs.len() > 1);
    let settings = first.setting.iter().map(|(name, _)| name.clone());
    let n_left = first.setting.len();
    let mut table = Table::new(settings.chain(["runs".to_string()]).chain(shown.iter().cloned()).collect());
    for (at, (setting, runs)) in groups.iter().enumerate() {
        let mut row: Vec<String> = setting.iter().map(|(_, value)| value.clone()).collect();
        let mark = if !points.is_empty() && best.contains(&at) { "*" } else { "" };
        row.push(format!("{mark}{}", runs.len()));
        for name in &shown {
            let values: Vec<f64> = runs.iter().filter_map(|run| run.value(name)).collect();
            row.push(match mean_and_deviation(&values) {
                Some((mean, deviation)) if is_of_seeds => format!("{} ± {}", number(mean), number(deviation)),
                Some((mean, _)) => number(mean),
                None => "-".to_string(),
            });
        }
        table.push(row);
    }
    Ok(table.to_text(n_left) + &front_text(&groups, &points, &best, chosen))
}

/// The means of the values that make the front, each so that the lower is the better.
fn points(groups: &[(&Setting, Vec<&Measured<'_>>)], chosen: &Chosen) -> Vec<Point> {
    if chosen.pareto.is_empty() {
        return Vec::new();
    }
    let point = |(_, runs): &(&Setting, Vec<&Measured<'_>>)| {
        let value = |(name, is_higher): &(String, bool)| {
            let values: Vec<f64> = runs.iter().filter_map(|run| run.value(name)).collect();
            let mean = mean_and_deviation(&values).map_or(f64::NAN, |(mean, _)| mean);
            if *is_higher { -mean } else { mean }
        };
        chosen.pareto.iter().map(value).collect()
    };
    groups.iter().map(point).collect()
}

fn front_text(groups: &[(&Setting, Vec<&Measured<'_>>)], points: &[Point], best: &[usize], chosen: &Chosen) -> String {
    if points.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = chosen.pareto.iter().map(|(name, _)| name.as_str()).collect();
    let name_of = |at: usize| {
        let parts: Vec<String> = groups[at].0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        parts.join(",")
    };
    let mut text =
        format!("\nfront of {} (* in the table): {} of {} settings\n", names.join(", "), best.len(), groups.len());
    let reference = worst(points);
    let own = |point: &[f64]| {
        let signed =
            point.iter().zip(&chosen.pareto).map(|(value, (_, is_higher))| if *is_higher { -value } else { *value });
        signed.map(number).collect::<Vec<_>>().join(", ")
    };
    let front_points: Vec<Point> = best.iter().map(|at| points[*at].clone()).collect();
    let volume = hypervolume(&front_points, &reference);
    let _ = writeln!(text, "hypervolume: {} below the worst of each, ({})", number(volume), own(&reference));
    text += &match knee(points, best) {
        Some(at) => format!("knee: {} at ({})\n", name_of(at), own(&points[at])),
        None => "knee: none, a front of less than three\n".to_string(),
    };
    text
}

/// All values of all runs, a line each.
pub(super) fn csv(measured: &[Measured<'_>]) -> String {
    let quoted = |text: &str| {
        if text.contains([',', '"', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_string() }
    };
    let Some(first) = measured.first() else { return String::new() };
    let names: Vec<&String> = first.record.last.keys().collect();
    let settings = first.setting.iter().map(|(name, _)| name.as_str());
    let columns = ["run"].into_iter().chain(settings).chain(["seed", "epochs", "steps"]);
    let columns: Vec<String> = columns.chain(names.iter().map(|name| name.as_str())).map(quoted).collect();
    let mut text = columns.join(",") + "\n";
    for run in measured {
        let mut cells = vec![quoted(run.name)];
        cells.extend(run.setting.iter().map(|(_, value)| quoted(value)));
        cells.extend([run.seed.to_string(), run.record.epochs.to_string(), run.record.steps.to_string()]);
        cells.extend(names.iter().map(|name| match run.record.last.get(name.as_str()) {
            None | Some(serde_json::Value::Null) => String::new(),
            Some(value) => quoted(&value.to_string()),
        }));
        text += &(cells.join(",") + "\n");
    }
    text
}
