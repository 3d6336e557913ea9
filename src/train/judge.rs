//! Judging epochs by the value that a run watches: which one is the best, and when to end.

use super::history::EpochRecord;
use super::monitor::Monitor;
use serde::{Deserialize, Serialize};

/// The best epoch of a run by the value that it watches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// `PART/NAME`
    pub watched: String,
    /// from 1
    pub epoch: u32,
    /// after that epoch
    pub value: f64,
    /// whether the run's params are those of this epoch
    pub kept: bool,
}

/// What the epochs so far came to by the watched value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// the best epoch and its value
    pub best: Option<(u32, f64)>,
    /// epochs since then
    pub epochs_without: u32,
}

/// What an epoch's value says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// the best epoch so far
    Best,
    /// no improvement, and the run goes on
    GoOn,
    /// no improvement for as long as the run is patient
    End,
}

impl Judgement {
    pub(super) fn judge(&mut self, monitor: &Monitor, record: &EpochRecord) -> Verdict {
        let value = record.get(&monitor.part, &monitor.name).unwrap_or(f64::NAN);
        if monitor.improves(value, self.best.map(|(_, best)| best)) {
            self.best = Some((record.epoch, value));
            self.epochs_without = 0;
            return Verdict::Best;
        }
        self.epochs_without += 1;
        if self.is_patient(monitor) { Verdict::GoOn } else { Verdict::End }
    }

    /// Whether the run goes on without an improvement.
    pub(super) fn is_patient(&self, monitor: &Monitor) -> bool {
        monitor.patience.is_none_or(|patience| self.epochs_without < patience)
    }

    pub(super) fn best(&self, monitor: &Monitor) -> Option<Best> {
        let watched = format!("{}/{}", monitor.part, monitor.name);
        self.best.map(|(epoch, value)| Best { watched, epoch, value, kept: monitor.keep_best })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::Role;
    use crate::train::config::Better;
    use crate::train::history::PartRecord;
    use crate::train::reported::Reported;

    fn verdicts(better: Better, min_delta: f64, patience: Option<u32>, values: &[f64]) -> (Vec<Verdict>, Option<u32>) {
        let monitor = Monitor {
            part: "validation".into(),
            name: "a".into(),
            span: None,
            better,
            is_better_said: true,
            min_delta,
            patience,
            keep_best: true,
        };
        let mut judgement = Judgement::default();
        let reported = [Reported { role: Role::Loss, name: "a".into() }];
        let record = |(at, value): (usize, &f64)| EpochRecord {
            epoch: at as u32 + 1,
            step: 0,
            parts: vec![PartRecord::new("validation", &reported, &[Some(*value)])],
            weights: Vec::new(),
        };
        let verdicts = values.iter().enumerate().map(record).map(|record| judgement.judge(&monitor, &record)).collect();
        (verdicts, judgement.best(&monitor).map(|best| best.epoch))
    }

    #[test]
    fn patience_counts_epochs_in_a_row() {
        use Verdict::{Best, End, GoOn};
        let values = [3.0, 2.0, 2.5, 1.0, 1.0, 1.5];
        assert_eq!(verdicts(Better::Lower, 0.0, Some(2), &values), (vec![Best, Best, GoOn, Best, GoOn, End], Some(4)));
        assert_eq!(verdicts(Better::Lower, 1.5, Some(9), &values).1, Some(4));
        assert_eq!(verdicts(Better::Higher, 0.0, None, &values), (vec![Best, GoOn, GoOn, GoOn, GoOn, GoOn], Some(1)));
    }

    #[test]
    fn no_number_is_never_the_best() {
        use Verdict::{Best, GoOn};
        let values = [f64::NAN, f64::INFINITY, 1.0, f64::NAN];
        assert_eq!(verdicts(Better::Lower, 0.0, None, &values), (vec![GoOn, Best, Best, GoOn], Some(3)));
    }
}
