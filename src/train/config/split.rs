//! `data: { file: …, split: … }`: one file whose rows are parted.

use super::fields::{Reader, Section, scalar_text};
use crate::data::DataSource;
use crate::train::split::{By, Parting, Split};
use serde_yaml::{Mapping, Value};

const KEYS: &[&str] = &["train", "validation", "test", "folds", "fold", "seed", "stratify", "group", "time"];
const PARTS: [&str; 3] = ["train", "validation", "test"];

impl Reader {
    /// The parts of one file, whose rows are picked when it is read.
    pub(super) fn split(&mut self, data: Section<'_>, shared: &DataSource, seed: u64) -> Option<Split> {
        let value = data.get("split")?;
        let path = data.path_to("split");
        for part in PARTS.iter().filter(|part| data.get(part).is_some()) {
            let expected = "expected: `file` with `split`, or `train`, `validation` and `test`";
            self.mistake(&path, &format!("`split` and `{part}` both say what is trained on"), "one of them", expected);
        }
        let file = self.required(data, "file").and_then(|value| self.text(data, "file", value))?;
        let prefix = data.get("prefix").and_then(|value| self.text(data, "prefix", value));
        let rows = data.get("rows").and_then(|value| self.rows(data, value));
        let Some(map) = value.as_mapping() else {
            self.wrong_kind(&path, value, "a mapping, `{ train: 0.8, test: 0.2 }` or `{ folds: 5 }`");
            return None;
        };
        let section = Section { map, path: &path };
        self.known_keys(section, KEYS);
        let own_seed = match section.get("seed") {
            None => seed,
            Some(value) => value.as_u64().unwrap_or_else(|| {
                self.wrong_kind(&section.path_to("seed"), value, "an int from 0 to 2^64 - 1");
                0
            }),
        };
        let parting = self.parting(section)?;
        let by = self.by(section, &parting);
        let span = Some(self.value_span(&data.path_to("file")));
        let source = DataSource { path: file.into(), prefix, rows, span, ..shared.clone() };
        Some(Split { source, parting, by, seed: own_seed, span: Some(self.key_span(&path)) })
    }

    fn parting(&mut self, section: Section<'_>) -> Option<Parting> {
        if let Some(value) = section.get("folds") {
            let count = self.count(section, "folds", value)?;
            let fold = section.get("fold").and_then(|value| self.whole(section, "fold", value));
            let has_shares = PARTS.iter().any(|part| section.get(part).is_some());
            if has_shares || count < 2 || fold.is_some_and(|fold| fold >= count) {
                let expected =
                    "expected: two folds or more and no shares, `{ folds: 5 }`; one of them is `fold: 0` to `fold: 4`";
                self.mistake(section.path, "these are no folds", "as it stands", expected);
                return None;
            }
            return Some(Parting::Folds { count, fold });
        }
        let shares = PARTS.map(|part| match section.get(part) {
            None => Some(0.0),
            Some(value) => value.as_f64().filter(|share| (0.0..=1.0).contains(share)),
        });
        let sum: f64 = shares.iter().map(|share| share.unwrap_or(f64::NAN)).sum();
        match shares {
            [Some(train), Some(validation), Some(test)] if train > 0.0 && sum <= 1.0 + 1e-9 => {
                Some(Parting::Shares([train, validation, test]))
            }
            _ => {
                let expected = "expected: shares from 0 to 1 that come to 1 at most, some of it for training: `{ train: 0.8, test: 0.2 }`";
                self.mistake(section.path, "these are no shares of the rows", "as it stands", expected);
                None
            }
        }
    }

    fn by(&mut self, section: Section<'_>, parting: &Parting) -> By {
        let mut found = Vec::new();
        for (key, by) in By::KEYS {
            let Some(value) = section.get(key) else { continue };
            match scalar_text(value) {
                Some(column) => found.push(by(column)),
                None => self.wrong_kind(&section.path_to(key), value, "the name of a column"),
            }
        }
        let is_wrong =
            found.len() > 1 || (matches!((parting, found.first()), (Parting::Folds { .. }, Some(By::Time(_)))));
        if is_wrong {
            let expected = "expected: one of `stratify`, `group` and `time`; folds have no order in time";
            self.mistake(section.path, "the split goes by more than it can", "as it stands", expected);
        }
        found.into_iter().next().unwrap_or(By::Chance)
    }
}

/// As it is written.
pub(super) fn written(split: &Split) -> Mapping {
    let mut map = Mapping::new();
    let mut put = |key: &str, value: Value| {
        map.insert(key.into(), value);
    };
    match split.parting {
        Parting::Shares(shares) => {
            for (part, share) in PARTS.iter().zip(shares).filter(|(_, share)| *share > 0.0) {
                put(part, share.into());
            }
        }
        Parting::Folds { count, fold } => {
            put("folds", count.into());
            if let Some(fold) = fold {
                put("fold", fold.into());
            }
        }
    }
    if let Some((key, column)) = split.by.key() {
        put(key, column.into());
    }
    put("seed", split.seed.into());
    map
}
