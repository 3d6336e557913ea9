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

impl Monitor {
    /// Whether `value` improves on `best`; NaN never does, and everything else does on no value at all.
    pub fn improves(&self, value: f64, best: Option<f64>) -> bool {
        let Some(best) = best else { return !value.is_nan() };
        match self.better {
            Better::Lower => value < best - self.min_delta,
            Better::Higher => value > best + self.min_delta,
        }
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
