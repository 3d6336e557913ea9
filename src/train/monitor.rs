//! What a run judges its epochs by.

use crate::diag::{Code, Diagnostic, Diagnostics, Span};
use crate::lower::Watched;

pub use crate::lower::Better;

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

impl Monitor {
    /// Whether `value` improves on `best`; NaN never does, and everything else does on no value at all.
    pub fn improves(&self, value: f64, best: Option<f64>) -> bool {
        let Some(best) = best else { return !value.is_nan() };
        match self.better {
            Better::Lower => value < best - self.min_delta,
            Better::Higher => value > best + self.min_delta,
        }
    }

    /// Which of two values is the better one, where it was said or is `known` of the value.
    ///
    /// # Errors
    /// `E0602` when it is neither.
    pub fn check_better(&self, known: Option<Better>) -> Result<Better, Diagnostics> {
        if self.is_better_said {
            return Ok(self.better);
        }
        if let Some(known) = known {
            return Ok(known);
        }
        let headline = format!("whether a higher or a lower `{}` is better is not said", self.name);
        let finding = Diagnostic::error(Code::E0602, headline)
            .with_note("found: a metric, and no `better` beside it")
            .with_note("expected: `better: higher` or `better: lower`; it is known of losses and of metrics that the library defines")
            .with_help("add `better: higher` or `better: lower`");
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
