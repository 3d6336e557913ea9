//! The `checkpoint` key of a run config.

use super::fields::{Reader, Section};
use crate::train::checkpointing::Checkpointing;

const EVERY: &str = "a number of epochs, steps or minutes, `5 epochs`";

impl Reader {
    pub(super) fn checkpointing(&mut self, top: Section<'_>) -> Checkpointing {
        let mut found = Checkpointing::default();
        let Some(value) = top.get("checkpoint") else { return found };
        let path = ["checkpoint"];
        let Some(map) = value.as_mapping() else {
            match value.as_str().and_then(|text| text.parse().ok()) {
                Some(every) => found.every = every,
                None => {
                    self.wrong_kind(&path, value, &format!("{EVERY}, or a mapping, `{{ every: 5 epochs, keep: 2 }}`"))
                }
            }
            return found;
        };
        let section = Section { map, path: &path };
        self.known_keys(section, &["every", "keep", "on_full"]);
        if let Some(value) = section.get("every") {
            match value.as_str().and_then(|text| text.parse().ok()) {
                Some(every) => found.every = every,
                None => self.wrong_kind(&section.path_to("every"), value, EVERY),
            }
        }
        if let Some(keep) = section.get("keep").and_then(|value| self.count(section, "keep", value)) {
            found.keep = keep;
        }
        match section.get("on_full").map(|value| (value, value.as_str())) {
            None | Some((_, Some("stop"))) => {}
            Some((_, Some("keep-training"))) => found.keep_training_when_full = true,
            Some((value, _)) => self.wrong_kind(&section.path_to("on_full"), value, "stop or keep-training"),
        }
        found
    }
}
