//! Steps whose numbers are not finite, and losses that rise out of all bounds: what is said of them, and what follows.

use super::{End, Fitting, OnNan};
use crate::diag::{Code, Diagnostic, Diagnostics, Severity};
use crate::ir::Role;
use crate::ops::Element;
use crate::train::reported::Reported;
use crate::train::trainer::Trainer;
use std::collections::BTreeMap;
use std::sync::Arc;

/// More steps in a row that are not finite end a run whatever was asked for.
pub(super) const MOST_SKIPPED: u32 = 20;

/// A loss that is this many times its first value is spoken of.
const RISEN: f64 = 1e6;

impl<T: Element> Fitting<'_, T> {
    /// Goes back to before a step whose numbers are not finite, and says so.
    pub(super) fn leave_out(
        &mut self,
        bad: Option<(Reported, f64)>,
        sums: BTreeMap<Arc<str>, Vec<f64>>,
    ) -> Result<(), Diagnostics> {
        let Some(before) = &self.before else { return Ok(()) };
        self.trainer.undo(before, sums);
        self.progress.skipped += 1;
        self.progress.skipped_last += 1;
        let mut finding = Diagnostic { severity: Severity::Warning, ..self.what_diverged(bad) };
        // Where it began is worth its time once.
        if self.progress.skipped == 1 {
            finding = self.explained(finding, self.progress.epoch_steps as usize - 1, 1)?;
        }
        finding = finding.with_note("the step is left out (`on_nan`)");
        if self.settings.on_nan == OnNan::HalveLr {
            self.progress.halvings += 1;
            let part = 0.5_f64.powi(self.progress.halvings.cast_signed());
            finding = finding.with_note(format!("each later step goes {part} of its way"));
        }
        self.findings.push(finding);
        Ok(())
    }

    /// Adds to a finding where the step of the present epoch after `at` others leaves the finite numbers; the model is as it is
    /// before that step, which the clock made so many steps `ago`.
    fn explained(&mut self, finding: Diagnostic, at: usize, ago: i32) -> Result<Diagnostic, Diagnostics> {
        let Some(rows) = self.batcher.batches(&self.order).nth(at) else { return Ok(finding) };
        let Some(origin) = self.trainer.origin(self.data.train, rows, ago)? else { return Ok(finding) };
        let finding = finding.at(origin.span, origin.label);
        Ok(origin.notes.into_iter().fold(finding, Diagnostic::with_note))
    }

    /// Ends the run. The steps since the last state at hand are made again, to stand before the one that went wrong and see where.
    pub(super) fn diverge(&mut self, bad: Option<(Reported, f64)>) -> Result<(), Diagnostics> {
        let finding = self.what_diverged(bad).with_note("expected: finite numbers");
        let (n_steps, until) = (self.trainer.n_steps(), self.progress.epoch_steps as usize);
        let is_of_epoch = self.recent.model.n_epochs == self.trainer.n_epochs();
        let is_plain = self.settings.on_nan == OnNan::Stop && is_of_epoch && self.explains;
        let explained = if is_plain { self.find_again(finding.clone(), until)? } else { finding };
        let mends = "take a smaller learning rate, `clip global_norm=1.0` in the `train` block, look for a logarithm or division by 0";
        let finding = match self.settings.on_nan {
            OnNan::Stop => {
                explained.with_help(format!("{mends}, or say `on_nan: skip` or `halve-lr` in the run config"))
            }
            OnNan::Skip | OnNan::HalveLr => explained
                .with_note(format!(
                    "the {MOST_SKIPPED} steps before it were left out (`on_nan`): so many in a row end a run"
                ))
                .with_help(mends),
        };
        self.end = Some(End::Diverged(finding, n_steps));
        Ok(())
    }

    fn find_again(&mut self, finding: Diagnostic, until: usize) -> Result<Diagnostic, Diagnostics> {
        let recent = self.recent.clone();
        self.trainer.restore(recent.model.clone());
        self.trainer.attach(self.data.train)?;
        self.trainer.reenter_epoch(recent.progress.sums.clone());
        for at in recent.progress.epoch_steps as usize..until {
            let Some(rows) = self.batcher.batches(&self.order).nth(at) else { break };
            self.trainer.set_epoch_end(at + 1 == self.batcher.batches_per_epoch());
            let before = self.trainer.state();
            self.trainer.step(self.data.train, rows)?;
            if bad_value(self.trainer).is_some() || !self.trainer.is_finite() {
                self.trainer.restore(before);
                self.trainer.reenter_epoch(BTreeMap::new());
                self.trainer.set_epoch_end(at + 1 == self.batcher.batches_per_epoch());
                return self.explained(finding, at, 0);
            }
        }
        Ok(finding)
    }

    /// Says once of a loss that it is far above what it was at the first step.
    pub(super) fn watch_rise(&mut self) {
        let (values, _) = self.trainer.last_values();
        if self.progress.first.is_empty() {
            self.progress.first = values.to_vec();
            return;
        }
        for ((reported, value), first) in self.trainer.reported().iter().zip(values).zip(&self.progress.first) {
            let has_risen = is_trained(reported) && *first != 0.0 && value.abs() > RISEN * first.abs();
            if has_risen && self.progress.risen.insert(reported.name.clone()) {
                let (epoch, step) = (self.trainer.n_epochs() + 1, self.trainer.n_steps());
                let headline = format!(
                    "the {} `{}` is {:.1e} times what it was",
                    reported.role.as_str(),
                    reported.name,
                    value / first
                );
                let finding = Diagnostic::warning(Code::E0607, headline)
                    .with_note(format!(
                        "found: {value:.4e} in epoch {epoch}, at step {step}; {first:.4e} at the first step"
                    ))
                    .with_help("take a smaller learning rate, or `clip global_norm=1.0` in the `train` block");
                self.findings.push(finding);
            }
        }
    }

    fn what_diverged(&self, bad: Option<(Reported, f64)>) -> Diagnostic {
        let what = match bad {
            Some((reported, value)) => format!("the {} `{}` became {value}", reported.role.as_str(), reported.name),
            None => "a param became infinite or NaN".to_string(),
        };
        let (epoch, step) = (self.trainer.n_epochs() + 1, self.trainer.n_steps());
        Diagnostic::error(Code::E0607, format!("training diverged: {what}"))
            .with_note(format!("found: in epoch {epoch}, at step {step}"))
    }
}

/// Whether training goes by a value: a metric, a term or what is observed may be anything.
fn is_trained(reported: &Reported) -> bool {
    !matches!(reported.role, Role::Metric | Role::Term | Role::Observed)
}

/// A loss or objective that is not finite after a step.
pub(super) fn bad_value<T: Element>(trainer: &Trainer<T>) -> Option<(Reported, f64)> {
    let reported = trainer.reported().iter().zip(trainer.last_values().0);
    let mut bad = reported.filter(|(reported, value)| is_trained(reported) && !value.is_finite());
    bad.next().map(|(reported, value)| (reported.clone(), *value))
}
