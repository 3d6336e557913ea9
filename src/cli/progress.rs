//! What a run shows while it goes: a bar on a terminal, and a line an epoch in one of several forms.

mod columns;

use super::console::Console;
use super::tensorboard::EventFile;
use crate::diag::{Diagnostic, SourceMap};
use crate::ir::Role;
use crate::train::{EpochRecord, Event, PartRecord, Reported, Running, parts_of_term};
use clap::{Args, ValueEnum};
use columns::Columns;
use indexmap::IndexMap;
use indicatif::{ProgressBar, ProgressStyle};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub(super) use columns::Reporting;

/// How a run tells of itself.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct LogArguments {
    /// What is printed of each epoch
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    pub(super) log: LogForm,

    /// Write event files for TensorBoard below this folder, in one of the run's name
    #[arg(long, value_name = "DIR")]
    pub(super) tensorboard: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum LogForm {
    /// aligned columns of 80 characters: what is minimized and watched first, then what has room; time, rows a second, time left
    #[default]
    Table,
    /// every value of the epoch by its name, on one line
    Plain,
    /// an object a line, for programs
    Json,
    /// nothing but findings
    Quiet,
}

/// Shows the events of a run.
pub(super) struct Progress<'a> {
    console: Console,
    /// the texts that findings point into
    sources: &'a SourceMap,
    form: LogForm,
    events: Option<EventFile>,
    columns: Columns,
    bar: ProgressBar,
    n_epochs: u32,
    /// rows of an epoch that are trained on
    n_rows: usize,
    start: Instant,
    /// when the present epoch began
    epoch_start: Instant,
    epochs_done: u32,
    /// when the bar had its last message
    told: Instant,
    /// what went wrong with the event file, told once
    failed: Option<Diagnostic>,
}

/// A person reads no faster.
const BETWEEN_MESSAGES: Duration = Duration::from_millis(200);

/// How long an epoch took, and what follows from it.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    seconds: f64,
    /// none before training
    rows_per_second: Option<f64>,
    /// until the last epoch, by the mean of those so far
    left: Option<f64>,
}

impl<'a> Progress<'a> {
    /// `events` is where scalars go; `reporting` is what the run reports.
    pub(super) fn new(
        console: Console,
        sources: &'a SourceMap,
        form: LogForm,
        events: Option<EventFile>,
        reporting: &Reporting,
    ) -> Self {
        let now = Instant::now();
        Self {
            console,
            sources,
            form,
            events,
            columns: Columns::of(reporting),
            bar: ProgressBar::hidden(),
            n_epochs: 0,
            n_rows: reporting.n_rows,
            start: now,
            epoch_start: now,
            epochs_done: 0,
            told: now,
            failed: None,
        }
    }

    pub(super) fn observe(&mut self, event: Event<'_>) {
        match event {
            Event::Begun(start) => self.print(&start.to_text()),
            Event::Started { epochs, steps_per_epoch, steps_done } => {
                self.started(epochs, steps_per_epoch);
                // Those of an earlier process do not count for the time that is left.
                self.bar.set_position(steps_done);
                self.bar.reset_eta();
            }
            Event::Step(running) => self.step(running),
            Event::Finding(finding) => {
                let (console, sources) = (self.console, self.sources);
                self.bar.suspend(|| console.findings(std::slice::from_ref(finding), sources));
            }
            Event::Epoch(record) => self.epoch(record),
        }
    }

    fn started(&mut self, epochs: u32, steps_per_epoch: usize) {
        self.n_epochs = epochs;
        (self.start, self.epoch_start) = (Instant::now(), Instant::now());
        if self.console.is_human() && self.form != LogForm::Quiet {
            // Draws to standard error, and nothing when that is not a terminal.
            self.bar = ProgressBar::new(u64::from(epochs) * steps_per_epoch as u64);
            if let Ok(style) = ProgressStyle::with_template("{bar:16} {pos}/{len} steps, {eta} left {msg}") {
                self.bar.set_style(style);
            }
        }
        if self.form == LogForm::Table {
            let header = self.columns.header(epochs);
            self.print(&header);
        }
    }

    /// Moves the bar on and, a few times a second, tells what the epoch has come to so far.
    fn step(&mut self, running: Running<'_>) {
        self.bar.inc(1);
        if self.bar.is_hidden() {
            return;
        }
        let now = Instant::now();
        if now - self.told >= BETWEEN_MESSAGES {
            self.told = now;
            self.bar.set_message(self.columns.running(&|name| running.mean(name)));
        }
    }

    fn epoch(&mut self, record: &EpochRecord) {
        let pace = self.pace(record);
        match self.form {
            LogForm::Table => {
                let line = self.columns.line(record, self.n_epochs, &pace.cells());
                self.print(&line);
            }
            LogForm::Plain => self.print(&epoch_line(record, self.n_epochs)),
            LogForm::Json => self.print(&json_line(record, pace)),
            LogForm::Quiet => {}
        }
        let scalars = scalars(record);
        if let Some(Err(finding)) = self.events.as_mut().map(|events| events.write(record.step, &scalars)) {
            // Training is worth more than its log.
            self.events = None;
            self.failed = Some(finding);
        }
    }

    /// The time since the last epoch ended.
    fn pace(&mut self, record: &EpochRecord) -> Pace {
        let now = Instant::now();
        let seconds = (now - self.epoch_start).as_secs_f64();
        self.epoch_start = now;
        if record.epoch == 0 {
            return Pace { seconds, ..Pace::default() };
        }
        self.epochs_done += 1;
        let mean = (now - self.start).as_secs_f64() / f64::from(self.epochs_done);
        let left = self.n_epochs.saturating_sub(record.epoch);
        let rows_per_second = (seconds > 0.0).then(|| self.n_rows as f64 / seconds);
        Pace { seconds, rows_per_second, left: Some(mean * f64::from(left)) }
    }

    fn print(&self, text: &str) {
        if self.form == LogForm::Quiet {
            return;
        }
        let console = self.console;
        // A line that cannot be shown does not stop a run that writes its results to files.
        self.bar.suspend(|| drop(console.print(text)));
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
        if let Some(finding) = &self.failed {
            self.console.findings(std::slice::from_ref(finding), self.sources);
        }
    }
}

impl Pace {
    /// Time, rows a second and time left, as the table has them.
    fn cells(self) -> [String; 3] {
        let rate = self.rows_per_second.map_or_else(|| "-".to_string(), short);
        [duration(self.seconds), rate, self.left.map_or_else(|| "-".to_string(), duration)]
    }
}

/// `0.4s`, `25s`, `3m05s`, `2h07m`.
fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        _ if seconds < 9.95 => format!("{seconds:.1}s"),
        0..60 => format!("{whole}s"),
        60..3600 => format!("{}m{:02}s", whole / 60, whole % 60),
        _ => format!("{}h{:02}m", whole / 3600, whole % 3600 / 60),
    }
}

/// `950`, `12.3k`, `4.5M`.
fn short(value: f64) -> String {
    match value {
        _ if value < 1e3 => format!("{value:.0}"),
        _ if value < 1e6 => format!("{:.1}k", value / 1e3),
        _ => format!("{:.1}M", value / 1e6),
    }
}

/// `epoch  3/20 | train total 0.84936 error 1.20340 (0.60170 in total) … | test total 0.85120 … | total.alpha 0.53002`
fn epoch_line(record: &EpochRecord, n_epochs: u32) -> String {
    let width = n_epochs.to_string().len();
    let mut line = format!("epoch {:>width$}/{n_epochs}", record.epoch);
    for part in &record.parts {
        let _ = write!(line, " | {}", part.part);
        for (reported, value) in &part.values {
            // What a total has of a loss stands beside the loss.
            if loss_of(part, reported).is_some() {
                continue;
            }
            let _ = write!(line, " {} {}", reported.name, value_or_dash(*value));
            let own = part.values.iter().filter(|(term, _)| loss_of(part, term) == Some(&*reported.name));
            for (term, value) in own {
                let total = parts_of_term(&term.name).map_or("", |(total, _)| total);
                let _ = write!(line, " ({} in {total})", value_or_dash(*value));
            }
        }
    }
    if !record.weights.is_empty() {
        line.push_str(" |");
    }
    for weight in &record.weights {
        let values: Vec<String> = weight.values.iter().map(|value| number(*value)).collect();
        let _ = write!(line, " {} {}", weight.name, values.join(" "));
    }
    line.push('\n');
    line
}

/// The loss of the same part that a term is of.
fn loss_of<'r>(part: &PartRecord, reported: &'r Reported) -> Option<&'r str> {
    let (_, loss) = parts_of_term(&reported.name).filter(|_| reported.role == Role::Term)?;
    part.values.iter().any(|(other, _)| &*other.name == loss).then_some(loss)
}

#[derive(serde::Serialize)]
struct EpochForm<'r> {
    event: &'static str,
    epoch: u32,
    step: u64,
    seconds: f64,
    rows_per_second: Option<f64>,
    parts: IndexMap<&'r str, IndexMap<String, Option<f64>>>,
    weights: IndexMap<&'r str, &'r [f64]>,
}

fn json_line(record: &EpochRecord, pace: Pace) -> String {
    let values = |part: &'_ PartRecord| -> IndexMap<String, Option<f64>> {
        part.values.iter().map(|(reported, value)| (reported.name.to_string(), *value)).collect()
    };
    let form = EpochForm {
        event: "epoch",
        epoch: record.epoch,
        step: record.step,
        seconds: pace.seconds,
        rows_per_second: pace.rows_per_second,
        parts: record.parts.iter().map(|part| (part.part, values(part))).collect(),
        weights: record.weights.iter().map(|weight| (&*weight.name, weight.values.as_slice())).collect(),
    };
    serde_json::to_string(&form).unwrap_or_default() + "\n"
}

/// Every value of an epoch under the name that it has in `history.csv`.
fn scalars(record: &EpochRecord) -> Vec<(String, f64)> {
    let mut scalars = Vec::new();
    for part in &record.parts {
        let known = part.values.iter().filter_map(|(reported, value)| Some((reported, (*value)?)));
        scalars.extend(known.map(|(reported, value)| (format!("{}/{}", part.part, reported.name), value)));
    }
    for weight in &record.weights {
        let is_one = weight.values.len() == 1;
        scalars.extend(weight.values.iter().enumerate().map(|(at, value)| {
            let name = if is_one { weight.name.to_string() } else { format!("{}[{at}]", weight.name) };
            (format!("weight/{name}"), *value)
        }));
    }
    scalars
}

/// A value, or `-` for what no row has.
pub(super) fn value_or_dash(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_string(), number)
}

/// Five places where they say something, an exponent where they would not.
pub(super) fn number(value: f64) -> String {
    if value == 0.0 || (1e-3..1e6).contains(&value.abs()) { format!("{value:.5}") } else { format!("{value:.4e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_rates_are_short() {
        let times = [0.04, 9.94, 9.96, 59.4, 59.6, 3599.0, 7625.0].map(duration);
        assert_eq!(times, ["0.0s", "9.9s", "10s", "59s", "1m00s", "59m59s", "2h07m"]);
        assert_eq!([3.0, 999.4, 12_345.0, 4.5e6].map(short), ["3", "999", "12.3k", "4.5M"]);
    }
}
