//! What a run shows while it goes: a bar on a terminal, and one line an epoch.

use super::console::Console;
use crate::diag::SourceMap;
use crate::train::{EpochRecord, Event};
use indicatif::{ProgressBar, ProgressStyle};
use std::fmt::Write as _;

/// Shows the events of a run.
pub(super) struct Progress<'a> {
    console: Console,
    /// the texts that findings point into
    sources: &'a SourceMap,
    bar: ProgressBar,
    n_epochs: u32,
}

impl<'a> Progress<'a> {
    pub(super) fn new(console: Console, sources: &'a SourceMap) -> Self {
        Self { console, sources, bar: ProgressBar::hidden(), n_epochs: 0 }
    }

    pub(super) fn observe(&mut self, event: Event<'_>) {
        match event {
            Event::Started { epochs, steps_per_epoch, steps_done } => {
                self.n_epochs = epochs;
                if self.console.is_human() {
                    // Draws to standard error, and nothing when that is not a terminal.
                    self.bar = ProgressBar::new(u64::from(epochs) * steps_per_epoch as u64);
                    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} steps, {eta} left") {
                        self.bar.set_style(style);
                        // Those of an earlier process do not count for the time that is left.
                        self.bar.set_position(steps_done);
                        self.bar.reset_eta();
                    }
                }
            }
            Event::Step => self.bar.inc(1),
            Event::Finding(finding) => {
                let (console, sources) = (self.console, self.sources);
                self.bar.suspend(|| console.findings(std::slice::from_ref(finding), sources));
            }
            Event::Epoch(record) => {
                let line = epoch_line(record, self.n_epochs);
                let console = self.console;
                // A line that cannot be shown does not stop a run that writes its results to files.
                self.bar.suspend(|| drop(console.print(&line)));
            }
        }
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// `epoch  3/20 | train total 0.84936 … | test total 0.85120 … | total.alpha 0.53002`
fn epoch_line(record: &EpochRecord, n_epochs: u32) -> String {
    let width = n_epochs.to_string().len();
    let mut line = format!("epoch {:>width$}/{n_epochs}", record.epoch);
    for part in &record.parts {
        let _ = write!(line, " | {}", part.part);
        for (reported, value) in &part.values {
            let _ = write!(line, " {} {}", reported.name, value_or_dash(*value));
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

/// A value, or `-` for what no row has.
pub(super) fn value_or_dash(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_string(), number)
}

/// Five places where they say something, an exponent where they would not.
pub(super) fn number(value: f64) -> String {
    if value == 0.0 || (1e-3..1e6).contains(&value.abs()) { format!("{value:.5}") } else { format!("{value:.4e}") }
}
