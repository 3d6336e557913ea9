//! The `monitor` key of a run config.

use super::fields::{Reader, Section};
use crate::train::monitor::{Better, Monitor};
use serde_yaml::Value;

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
        let is_better_said = section.get("better").is_some();
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
        Some(Monitor { part, name, span, better, is_better_said, min_delta, patience, keep_best })
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
