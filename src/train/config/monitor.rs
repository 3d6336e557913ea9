//! The `monitor` key: what a run judges its epochs by.

use super::fields::{Reader, Section};
use crate::diag::{Code, Diagnostic, Diagnostics, Span};
use crate::lower::Watched;
use serde_yaml::Value;

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

impl Reader {
    /// Reads `monitor`; `has_validation` says whether there is such a part.
    pub(super) fn monitor(&mut self, top: Section<'_>, has_validation: bool) -> Option<Monitor> {
        let value = top.get("monitor")?;
        let Some(map) = value.as_mapping() else {
            self.wrong_kind(&["monitor"], value, "a mapping, `{ value: validation/LOSS, patience: 5 }`");
            return None;
        };
        let section = Section { map, path: &["monitor"] };
        self.known_keys(section, &["value", "better", "patience", "min_delta", "keep"]);
        let watched =
            self.required(section, "value").and_then(|value| self.watched_value(section, value, has_validation));
        let better = match section.get("better").map(|value| (value, value.as_str())) {
            None | Some((_, Some("lower"))) => Better::Lower,
            Some((_, Some("higher"))) => Better::Higher,
            Some((value, _)) => {
                self.wrong_kind(&["monitor", "better"], value, "lower or higher");
                Better::Lower
            }
        };
        let patience = section.get("patience").and_then(|value| self.count(section, "patience", value));
        let min_delta = section.get("min_delta").map_or(0.0, |value| {
            let number = value.as_f64().filter(|number| number.is_finite() && *number >= 0.0);
            number.unwrap_or_else(|| {
                self.wrong_kind(&["monitor", "min_delta"], value, "a finite number of at least 0");
                0.0
            })
        });
        let keep_best = match section.get("keep").map(|value| (value, value.as_str())) {
            None | Some((_, Some("best"))) => true,
            Some((_, Some("last"))) => false,
            Some((value, _)) => {
                self.wrong_kind(&["monitor", "keep"], value, "best or last");
                true
            }
        };
        let (part, name) = watched?;
        let span = Some(self.value_span(&["monitor", "value"]));
        Some(Monitor { part, name, span, better, min_delta, patience, keep_best })
    }

    /// `PART/NAME` taken apart.
    fn watched_value(&mut self, section: Section<'_>, value: &Value, has_validation: bool) -> Option<(String, String)> {
        let path = section.path_to("value");
        let parts = value.as_str().and_then(|text| text.split_once('/'));
        match parts {
            Some(("train", name)) => Some(("train".into(), name.into())),
            Some(("validation", name)) if has_validation => Some(("validation".into(), name.into())),
            Some(("validation", _)) => {
                let note = "expected: `data: { validation: { file: … } }`, or a value of `train`";
                self.mistake(&path, "there is no validation data to watch", "needs `data.validation`", note);
                None
            }
            Some(("test", _)) => {
                let note = "expected: a value of `validation` or `train`; rows that choose the model no longer test it";
                self.mistake(&path, "test data cannot decide a run", "a value of `test`", note);
                None
            }
            _ => {
                self.wrong_kind(&path, value, "PART/NAME, such as `validation/accuracy`");
                None
            }
        }
    }
}
