//! Which values of an epoch a line of 80 characters shows, and where.
//!
//! What is watched and what is minimized come first, then the weights of losses, then metrics of the rows that are not trained on,
//! then whatever has room, in the order of the spec.

use crate::ir::Role;
use crate::pipeline::Compiled;
use crate::train::config::RunConfig;
use crate::train::{EpochRecord, parts_of_term};
use std::fmt::Write as _;

/// Characters of a line.
const WIDTH: usize = 80;
/// Characters that the bar has for values.
const MESSAGE: usize = 36;
/// A number: `-1.2345e-12` would need more, and is cut to fewer digits.
const NUMBER: usize = 9;
/// One of two numbers that share a column, a loss and what its total has of it: `1.2034/0.6017`.
const HALF: usize = 6;
/// Longer names are cut.
const LONGEST_NAME: usize = 12;
/// Time, rows a second, time left.
const TAIL: [(&str, usize); 3] = [("time", 6), ("rows/s", 6), ("ETA", 6)];

/// What a run will report.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Reporting {
    /// parts and values, in order
    values: Vec<(&'static str, String)>,
    objectives: Vec<String>,
    /// losses and terms that a total is made of
    addends: Vec<String>,
    metrics: Vec<String>,
    /// `PART/NAME`
    watched: Option<(String, String)>,
    weights: Vec<(String, usize)>,
    /// that are trained on in an epoch
    pub n_rows: usize,
}

impl Reporting {
    pub(in crate::cli) fn of(
        compiled: &Compiled,
        config: &RunConfig,
        weights: Vec<(String, usize)>,
        n_rows: usize,
    ) -> Self {
        let outputs = &compiled.module.graph.outputs;
        let of_role =
            |role: Role| outputs.iter().filter(move |output| output.role == role).map(|output| output.name.to_string());
        let (objectives, metrics): (Vec<String>, Vec<String>) =
            (of_role(Role::Objective).collect(), of_role(Role::Metric).collect());
        let evaluated: Vec<String> = outputs
            .iter()
            .filter(|output| matches!(output.role, Role::Loss | Role::Metric))
            .map(|output| output.name.to_string())
            .collect();
        let others = objectives.iter().filter(|name| !evaluated.contains(name));
        let observed = compiled.train.outputs.iter().filter(|output| output.role == Role::Observed);
        let observed = observed.map(|output| output.name.to_string());
        let mut trained: Vec<String> = evaluated.iter().chain(others).cloned().chain(observed).collect();
        let own = compiled.addends.values().flatten().filter(|name| parts_of_term(name).is_some());
        let terms: Vec<String> = own.map(<_>::to_string).collect();
        let is_evaluated =
            |term: &&String| parts_of_term(term).is_some_and(|(total, _)| evaluated.iter().any(|name| name == total));
        let evaluated: Vec<String> = evaluated.iter().chain(terms.iter().filter(is_evaluated)).cloned().collect();
        trained.extend(terms);
        let parts = [
            ("train", config.epochs > 0),
            ("validation", config.validation.is_some()),
            ("test", config.test.is_some()),
        ];
        let values = parts.into_iter().filter(|(_, is_there)| *is_there).flat_map(|(part, _)| {
            let names = if part == "train" { &trained } else { &evaluated };
            names.iter().map(move |name| (part, name.clone())).collect::<Vec<_>>()
        });
        let watched = config.monitor.as_ref().map(|monitor| (monitor.part.clone(), monitor.name.clone()));
        let addends = compiled.addends.values().flatten().map(<_>::to_string).collect();
        Self { values: values.collect(), objectives, addends, metrics, watched, weights, n_rows }
    }

    /// The loss that a term stands beside: that of which only one total of the part has a term.
    fn partner<'n>(&self, part: &str, term: &'n str) -> Option<&'n str> {
        let (_, loss) = parts_of_term(term)?;
        let mut own = self
            .values
            .iter()
            .filter(|(other, name)| *other == part && parts_of_term(name).is_some_and(|(_, of)| of == loss));
        let is_there = self.values.iter().any(|(other, name)| *other == part && name == loss);
        (is_there && own.next().is_some() && own.next().is_none()).then_some(loss)
    }

    /// Whether a total is made of a loss, as it is or by a term beside it.
    fn is_addend(&self, part: &str, name: &str) -> bool {
        self.addends.iter().any(|addend| addend == name || self.partner(part, addend) == Some(name))
    }

    /// How much a value is wanted; the least comes first.
    fn rank(&self, part: &str, name: &str) -> u32 {
        let is_objective = self.objectives.iter().any(|objective| objective == name);
        let is_metric = self.metrics.iter().any(|metric| metric == name);
        match (part, is_objective, is_metric) {
            _ if self.watched.as_ref().is_some_and(|(p, n)| p == part && n == name) => 0,
            ("train", true, _) => 1,
            (_, true, _) => 2,
            ("weight", ..) => 3,
            ("validation", _, true) => 4,
            ("test", _, true) => 5,
            ("train", _, false) if self.is_addend(part, name) => 6,
            ("train", _, false) if parts_of_term(name).is_none() => 7,
            _ => 8,
        }
    }
}

/// A column of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    part: String,
    name: String,
    /// what a total has of this loss, beside it
    term: Option<String>,
    /// of a weight with several elements
    element: usize,
    width: usize,
}

/// The columns that have room.
#[derive(Clone, Debug, Default)]
pub(super) struct Columns {
    columns: Vec<Column>,
    n_left_out: usize,
}

fn cut(name: &str) -> String {
    if name.chars().count() <= LONGEST_NAME {
        return name.to_string();
    }
    // The end of a path says most.
    let kept: Vec<char> = name.chars().rev().take(LONGEST_NAME - 1).collect();
    std::iter::once('…').chain(kept.into_iter().rev()).collect()
}

impl Columns {
    pub(super) fn of(reporting: &Reporting) -> Self {
        let mut all: Vec<(u32, Column)> = Vec::new();
        let column = |part: &str, name: &str, element: usize, shown: &str| Column {
            part: part.to_string(),
            name: name.to_string(),
            term: None,
            element,
            width: cut(shown).chars().count().max(NUMBER),
        };
        for (part, name) in &reporting.values {
            if reporting.partner(part, name).is_some() {
                continue;
            }
            let term = reporting
                .values
                .iter()
                .find(|(other, term)| other == part && reporting.partner(part, term) == Some(name));
            let mut column = column(part, name, 0, name);
            if let Some((_, term)) = term {
                column.term = Some(term.clone());
                column.width = column.width.max(2 * HALF + 1);
            }
            all.push((reporting.rank(part, name), column));
        }
        for (name, n) in &reporting.weights {
            for element in 0..*n {
                all.push((3, column("weight", name, element, &weight_name(name, element, *n))));
            }
        }
        let fixed = epoch_width(9999) + TAIL.iter().map(|(_, width)| width + 2).sum::<usize>();
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by_key(|at| all[*at].0);
        let mut room = WIDTH - fixed;
        let mut is_shown = vec![false; all.len()];
        for at in order {
            let width = all[at].1.width + 2;
            if width > room {
                break;
            }
            room -= width;
            is_shown[at] = true;
        }
        let n_left_out = is_shown.iter().filter(|is_shown| !**is_shown).count();
        let columns = all.into_iter().zip(is_shown).filter(|(_, is_shown)| *is_shown).map(|((_, column), _)| column);
        Self { columns: columns.collect(), n_left_out }
    }

    /// Two lines of names: parts, and values below them.
    pub(super) fn header(&self, n_epochs: u32) -> String {
        let epoch = epoch_width(n_epochs);
        let (mut parts, mut names) = (" ".repeat(epoch), format!("{:>epoch$}", "epoch"));
        let mut before = "";
        for column in &self.columns {
            let n = self.columns.iter().filter(|other| other.part == column.part && other.name == column.name).count();
            let part = if column.part == before { "" } else { column.part.as_str() };
            before = &column.part;
            let width = column.width;
            let name = match column.part.as_str() {
                "weight" => cut(&weight_name(&column.name, column.element, n)),
                _ => cut(&column.name),
            };
            let _ = write!(parts, "  {part:>width$}");
            let _ = write!(names, "  {name:>width$}");
        }
        for (name, width) in TAIL {
            let _ = write!(names, "  {name:>width$}");
        }
        let mut note = match self.n_left_out {
            0 => String::new(),
            n => format!("({n} more values are in history.csv; `--log plain` prints all)\n"),
        };
        if self.columns.iter().any(|column| column.term.is_some()) {
            note += "(a/b: a loss, and what the total has of it)\n";
        }
        format!("{note}{}\n{}\n", parts.trim_end(), names.trim_end())
    }

    /// The line of an epoch; `tail` are the cells that every table ends with.
    pub(super) fn line(&self, record: &EpochRecord, n_epochs: u32, tail: &[String; 3]) -> String {
        let epoch = epoch_width(n_epochs);
        let mut line = format!("{:>epoch$}", format!("{}/{n_epochs}", record.epoch));
        for column in &self.columns {
            let width = column.width;
            let cell = column.cell(record);
            let _ = write!(line, "  {cell:>width$}");
        }
        for (cell, (_, width)) in tail.iter().zip(TAIL) {
            let _ = write!(line, "  {cell:>width$}");
        }
        line.trim_end().to_string() + "\n"
    }

    /// What the steps of the present epoch have come to, for the bar: the training values of the table, as many as have room.
    pub(super) fn running(&self, mean: &dyn Fn(&str) -> Option<f64>) -> String {
        let mut text = String::new();
        for column in self.columns.iter().filter(|column| column.part == "train") {
            let Some(value) = mean(&column.name) else { continue };
            let shown = format!(" {} {}", cut(&column.name), compact(value));
            if text.chars().count() + shown.chars().count() > MESSAGE {
                break;
            }
            text += &shown;
        }
        text.trim_start().to_string()
    }
}

impl Column {
    fn cell(&self, record: &EpochRecord) -> String {
        let number = |value: Option<f64>, shown: fn(f64) -> String| value.map_or_else(|| "-".to_string(), shown);
        match &self.term {
            None => number(self.value(record), compact),
            Some(term) => {
                format!("{}/{}", number(self.value(record), half), number(record.get(&self.part, term), half))
            }
        }
    }

    fn value(&self, record: &EpochRecord) -> Option<f64> {
        if self.part == "weight" {
            let weight = record.weights.iter().find(|weight| *weight.name == *self.name)?;
            return weight.values.get(self.element).copied();
        }
        record.get(&self.part, &self.name)
    }
}

fn weight_name(name: &str, element: usize, n: usize) -> String {
    if n == 1 { name.to_string() } else { format!("{name}[{element}]") }
}

fn epoch_width(n_epochs: u32) -> usize {
    (2 * n_epochs.to_string().len() + 1).max("epoch".len())
}

/// A number in at most nine characters.
fn compact(value: f64) -> String {
    let magnitude = value.abs();
    let text = match magnitude {
        _ if value == 0.0 || (1e-3..10.0).contains(&magnitude) => format!("{value:.5}"),
        _ if (10.0..1e5).contains(&magnitude) => format!("{value:.2}"),
        _ => format!("{value:.2e}"),
    };
    if text.chars().count() > NUMBER { format!("{value:.0e}") } else { text }
}

/// A number in at most six characters.
fn half(value: f64) -> String {
    let magnitude = value.abs();
    let places = match magnitude {
        _ if value == 0.0 || (1e-3..1e5).contains(&magnitude) => (0..=4).rev(),
        _ => return format!("{value:.0e}"),
    };
    let mut texts = places.map(|places| format!("{value:.places$}"));
    texts.find(|text| text.chars().count() <= HALF).unwrap_or_else(|| format!("{value:.0e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{LossWeight, PartRecord, Reported};

    fn reporting(n_losses: usize) -> Reporting {
        let losses = (0..n_losses).map(|at| format!("a_long_name_of_a_loss_{at}"));
        let names: Vec<String> = losses.chain(["total".into(), "accuracy".into()]).collect();
        let values =
            ["train", "validation"].into_iter().flat_map(|part| names.iter().map(move |name| (part, name.clone())));
        Reporting {
            values: values.collect(),
            objectives: vec!["total".into()],
            addends: Vec::new(),
            metrics: vec!["accuracy".into()],
            watched: Some(("validation".into(), "accuracy".into())),
            weights: vec![("total.alpha".into(), 1), ("total.log_var".into(), 2)],
            n_rows: 10,
        }
    }

    fn record(reporting: &Reporting, epoch: u32, value: f64) -> EpochRecord {
        let part = |part: &'static str| {
            let of_part = reporting.values.iter().filter(|(other, _)| *other == part);
            let reported: Vec<Reported> =
                of_part.map(|(_, name)| Reported { role: Role::Loss, name: name.as_str().into() }).collect();
            PartRecord::new(part, &reported, &vec![Some(value); reported.len()])
        };
        let weights = reporting
            .weights
            .iter()
            .map(|(name, n)| LossWeight { name: name.as_str().into(), values: vec![value; *n] });
        EpochRecord { epoch, step: 0, parts: vec![part("train"), part("validation")], weights: weights.collect() }
    }

    #[test]
    fn lines_are_aligned_and_fit() {
        for n_losses in [0, 1, 2, 5, 40] {
            let reporting = reporting(n_losses);
            let columns = Columns::of(&reporting);
            let header = columns.header(3000);
            let tail = ["59m59s", "999.9k", "23h59m"].map(str::to_string);
            let table = header.lines().skip_while(|line| line.starts_with('('));
            let mut lines: Vec<String> = table.map(str::to_string).collect();
            for value in [0.0, 1.5, -123_456.789, 1e-12, -1e300, f64::NAN, f64::INFINITY, 99_999.99, -9.99999] {
                lines.push(columns.line(&record(&reporting, 3000, value), 3000, &tail).trim_end().to_string());
            }
            let len = |line: &str| line.chars().count();
            assert!(lines.iter().all(|line| len(line) <= WIDTH), "{lines:#?}");
            assert!(
                lines[1..].windows(2).all(|pair| len(&pair[0]) == len(&pair[1]) || pair[0].ends_with("ETA")),
                "{lines:#?}"
            );
        }
    }

    #[test]
    fn what_matters_most_is_shown() {
        let columns = Columns::of(&reporting(40));
        let shown: Vec<String> =
            columns.columns.iter().map(|column| format!("{}/{}", column.part, column.name)).collect();
        for wanted in ["train/total", "validation/total", "validation/accuracy", "weight/total.alpha"] {
            assert!(shown.contains(&wanted.to_string()), "{shown:?}");
        }
        assert!(columns.n_left_out > 70);
        assert!(columns.header(30).starts_with('('), "says that there is more");
    }

    #[test]
    fn a_bar_shows_training_values_that_have_room() {
        // Of the training values the table has the total alone.
        for n_losses in [0, 1, 40] {
            let columns = Columns::of(&reporting(n_losses));
            assert_eq!(columns.running(&|name| (name == "total").then_some(0.25)), "total 0.25000");
        }
        let columns = Columns::of(&reporting(40));
        assert!(columns.running(&|_| Some(-1e300)).chars().count() <= MESSAGE);
        assert_eq!(columns.running(&|_| None), "");
    }

    #[test]
    fn names_keep_their_ends() {
        assert_eq!(cut("total.alpha"), "total.alpha");
        assert_eq!(cut("a_long_name_of_a_loss_7"), "…of_a_loss_7");
    }
}
