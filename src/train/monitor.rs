//! What a run judges its epochs by.

use crate::diag::{Code, Diagnostic, Diagnostics, Span};
use crate::lower::Watched;

/// What a run judges its epochs by, and what follows from the judgement.
#[derive(Clone, Debug, PartialEq)]
pub struct Monitor {
    /// `train` or `validation`
    pub part: String,
    /// A loss or metric of the spec.
    pub name: String,
    /// The place of `PART/NAME` in a run config.
    pub span: Option<Span>,
    pub better: Better,
    /// Whether `better` was said, and not taken as it is for losses.
    pub is_better_said: bool,
    /// Finite and not negative: a value is an improvement when it is better than the best by more than this.
    pub min_delta: f64,
    /// Epochs without improvement after which the run ends; without it the run goes on to its last epoch.
    pub patience: Option<u32>,
    /// Whether the run ends with the params of its best epoch instead of its last.
    pub keep_best: bool,
}

/// Which of two values is the better one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Better {
    #[default]
    Lower,
    Higher,
}

/// Words in the names of metrics that are better when higher, for a help.
const HIGHER: &[&str] = &[
    "accuracy",
    "precision",
    "recall",
    "sensitivity",
    "specificity",
    "f1",
    "f_beta",
    "auc",
    "iou",
    "dice",
    "overlap",
    "r2",
    "correlation",
    "similarity",
];

impl Monitor {
    /// Whether `value` improves on `best`; NaN never does, and everything else does on no value at all.
    pub fn improves(&self, value: f64, best: Option<f64>) -> bool {
        let Some(best) = best else { return !value.is_nan() };
        match self.better {
            Better::Lower => value < best - self.min_delta,
            Better::Higher => value > best + self.min_delta,
        }
    }

    /// A loss is better when it is lower; of a metric nobody knows but who wrote it.
    ///
    /// # Errors
    /// `E0602` when a metric is watched and it was not said which of two values is the better one.
    pub fn check_better(&self, is_metric: bool) -> Result<(), Diagnostics> {
        if self.is_better_said || !is_metric {
            return Ok(());
        }
        let headline = format!("whether a higher or a lower `{}` is better is not said", self.name);
        let is_high = HIGHER.iter().any(|word| self.name.to_lowercase().contains(word));
        let help = if is_high { "`better: higher`, by its name" } else { "`better: higher` or `better: lower`" };
        let finding = Diagnostic::error(Code::E0602, headline)
            .with_note("found: a metric, and no `better` beside it")
            .with_note("expected: `better: higher` or `better: lower`; only of a loss it is known")
            .with_help(format!("add {help}"));
        Err(match self.span {
            Some(span) => finding.at(span, "this metric is watched"),
            None => finding,
        }
        .into())
    }

    /// What the lints need to know.
    pub fn watched(&self) -> Watched {
        Watched { name: self.name.clone(), span: self.span }
    }

    /// Holds the name against the losses and metrics of the spec.
    ///
    /// # Errors
    /// `E0602` when the spec has none of this name.
    pub fn check(&self, known: &[&str]) -> Result<(), Diagnostics> {
        if known.contains(&self.name.as_str()) {
            return Ok(());
        }
        let finding =
            Diagnostic::error(Code::E0602, format!("the spec has no loss or metric `{}` to watch", self.name))
                .with_note(format!("expected: one of {}", known.join(", ")))
                .with_suggestion(&self.name, known.iter().copied());
        Err(match self.span {
            Some(span) => finding.at(span, "watched here"),
            None => finding,
        }
        .into())
    }
}
