//! What went wrong in a run, said of what it left behind.
//!
//! [`verdicts`] takes [`Evidence`] (curves, the first steps, facts about the data and the spec) and gives what follows from it, the surest
//! and gravest first: each a [`Cause`], the numbers that it is known by, and a way out. It is a function of values; [`Evidence`] is
//! gathered from a run's folder by its `of_run`, `with_spec` and `with_data`. A run that went well has no verdict, so each rule asks for more
//! than what batches and seeds do by chance.

mod cause;
mod curves;
mod gather;
mod labels;
mod learning;
mod measure;
mod weighing;

pub use cause::Cause;
pub use curves::{Curves, Point};
pub use gather::history_columns;
pub use measure::{Facts, Missing, Shared, Telling, Trial};

use crate::diag::{Code, Diagnostic};
use indexmap::IndexMap;
use std::collections::BTreeSet;

/// What a run left behind, and what its spec and its data say.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// the columns of its history
    pub history: Curves,
    /// why it ended before its last epoch
    pub diverged: Option<String>,
    /// the epoch whose params were kept, where the run watched a value
    pub kept: Option<u32>,
    /// the objectives of its spec
    pub objectives: Vec<String>,
    /// the losses that the objectives are made of; an objective itself where it is made of none
    pub losses: Vec<String>,
    /// those of `losses` that depend on a target
    pub labelled: BTreeSet<String>,
    /// the metrics that are better the higher they are
    pub higher: Vec<String>,
    /// what the params that are loss weights are kept within, by the column of the history
    pub bounds: IndexMap<String, (f64, f64)>,
    /// whether a param takes part in how losses are weighed
    pub trains_weights: bool,
    /// whether its params began as those of another run or file
    pub begins_elsewhere: bool,
    /// the findings of the spec and of its data
    pub findings: Vec<Diagnostic>,
    /// what was measured with the data, where they are at hand
    pub facts: Option<Facts>,
    /// what could not be looked at, and why
    pub unseen: Vec<String>,
}

impl Evidence {
    /// Losses whose fall or rise says how training goes: the objective where its weights stand still, and else the losses themselves.
    fn gauges(&self) -> Vec<&str> {
        let moves = |objective: &&String| {
            let prefix = format!("train/weight/{objective}/");
            self.history.names().filter(|name| name.starts_with(&prefix)).any(|name| self.history.varies(name, 0.01))
        };
        if self.objectives.len() == 1 && !self.objectives.iter().any(|objective| moves(&objective)) {
            return self.objectives.iter().map(String::as_str).collect();
        }
        let labelled: Vec<&str> =
            self.losses.iter().filter(|loss| self.labelled.contains(*loss)).map(String::as_str).collect();
        if labelled.is_empty() { self.losses.iter().map(String::as_str).collect() } else { labelled }
    }

    /// Whether several objectives are minimized, whose losses need not fall together.
    fn is_game(&self) -> bool {
        self.objectives.len() > 1
    }

    /// The part that is evaluated to tell how the model does on rows that it has not seen.
    fn unseen_part(&self) -> Option<&'static str> {
        ["validation", "test"].into_iter().find(|part| {
            let prefix = format!("{part}/");
            self.history.names().any(|name| name.starts_with(&prefix))
        })
    }

    /// A loss before training: at the first step where that was made again, or as it was evaluated.
    fn at_first(&self, loss: &str) -> Option<f64> {
        let stepped = self.facts.as_ref().and_then(|facts| facts.first_steps.first(loss));
        let evaluated = || {
            let part = self.unseen_part()?;
            self.history
                .series(&format!("{part}/{loss}"))
                .first()
                .filter(|point| point.at == 0)
                .map(|point| point.value)
        };
        stepped.or_else(evaluated).or_else(|| self.history.first(&format!("train/{loss}")))
    }
}

/// One thing that went wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub cause: Cause,
    /// of a lint or an error, what `explain` says more of
    pub code: Option<Code>,
    /// what happened, with its numbers
    pub headline: String,
    /// what else it is known by
    pub facts: Vec<String>,
    /// a way out
    pub help: String,
}

impl Verdict {
    fn new(cause: Cause, headline: String) -> Self {
        Self { cause, code: None, headline, facts: Vec::new(), help: cause.help().to_string() }
    }

    fn with(mut self, fact: impl Into<String>) -> Self {
        self.facts.push(fact.into());
        self
    }

    /// The name by which `explain` knows it.
    pub fn name(&self) -> &'static str {
        self.code.map_or(self.cause.name(), |code| if code.is_lint() { code.title() } else { code.as_str() })
    }

    /// What there is to say of all such cases.
    pub fn explanation(&self) -> &'static str {
        self.code.map_or(self.cause.explanation(), Code::explanation)
    }
}

/// What went wrong, the gravest and surest first; of equals in the order in which they were found.
pub fn verdicts(evidence: &Evidence) -> Vec<Verdict> {
    let reasons = evidence.findings.iter().filter(|finding| is_reason(evidence, finding.code));
    let mut found: Vec<Verdict> = reasons.map(of_finding).collect();
    found.extend(learning::verdicts(evidence));
    found.extend(weighing::verdicts(evidence));
    found.extend(labels::verdicts(evidence));
    found.sort_by_key(|verdict| std::cmp::Reverse(verdict.cause.weight()));
    found
}

/// Whether a finding of the spec is a reason for what went wrong. Others are of use, but spoil no run; that an operation may be given what it
/// has no finite result for is a reason where numbers ceased to be finite.
fn is_reason(evidence: &Evidence, code: Code) -> bool {
    match code {
        Code::L0007 => evidence.diverged.is_some(),
        Code::L0005
        | Code::L0006
        | Code::L0011
        | Code::L0013
        | Code::L0014
        | Code::L0024
        | Code::L0025
        | Code::L0026 => false,
        _ => true,
    }
}

fn of_finding(finding: &Diagnostic) -> Verdict {
    Verdict {
        cause: Cause::Spec,
        code: Some(finding.code),
        headline: finding.headline.clone(),
        facts: finding.notes.clone(),
        help: finding.helps.first().cloned().unwrap_or_default(),
    }
}

/// A number as it is read: three digits that count.
pub fn figure(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    if !(1e-4..1e6).contains(&size) {
        return format!("{value:.2e}");
    }
    let places = (2 - size.log10().floor() as i32).max(0) as usize;
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
}

/// By how much, `12 %`.
fn percent(part: f64) -> String {
    format!("{:.0} %", 100.0 * part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_that_count() {
        let found = [0.0, 1.0, 0.123_456, 12.345, 1234.5, 0.000_012_34, 12_345_678.0, f64::INFINITY, -0.5].map(figure);
        assert_eq!(found, ["0", "1", "0.123", "12.3", "1234", "1.23e-5", "1.23e7", "inf", "-0.5"]);
    }

    #[test]
    fn causes_stand_before_symptoms() {
        let of = |code| Diagnostic::warning(code, "found");
        let findings = vec![of(Code::L0005), of(Code::L0007), of(Code::L0001)];
        let mut evidence = Evidence { findings, ..Evidence::default() };
        let names = |evidence: &Evidence| verdicts(evidence).iter().map(Verdict::name).collect::<Vec<_>>();
        assert_eq!(names(&evidence), ["weight-collapse"]);
        evidence.diverged = Some("training diverged: the loss `a` became NaN".into());
        assert_eq!(names(&evidence), ["E0607", "unstable", "weight-collapse"]);
        assert_eq!(verdicts(&Evidence::default()), []);
    }
}
