//! The keys `params` and `frozen` of a run config: what a run begins with, and what stays so.

use super::fields::{Reader, Section, scalar_text};
use crate::data::params::ParamsSource;
use crate::lower::Frozen;
use crate::train::layout::Layout;
use crate::train::start_from::StartSource;
use indexmap::IndexMap;
use serde_yaml::Value;

const KEYS: [&str; 8] = ["file", "run", "prefix", "names", "map", "only", "states", "layout"];

impl Reader {
    /// A file or folder, or a mapping that says more.
    pub(super) fn params(&mut self, top: Section<'_>, value: &Value) -> Option<StartSource> {
        let path = top.path_to("params");
        if let Some(file) = value.as_str() {
            let source = ParamsSource { span: Some(self.value_span(&path)), ..ParamsSource::new(file) };
            return Some(StartSource::from(source));
        }
        let Some(map) = value.as_mapping() else {
            self.wrong_kind(&path, value, "a file or the folder of a run, or `{ run: …, only: …, map: { … } }`");
            return None;
        };
        let section = Section { map, path: &path };
        self.known_keys(section, &KEYS);
        let key = if section.get("run").is_some() { "run" } else { "file" };
        if let (Some(_), Some(_)) = (section.get("run"), section.get("file")) {
            let note = "expected: `run`, the folder of a run, or `file`, a file of tensors";
            self.mistake(&section.path_to("file"), "`params` names a run and a file", "beside `run`", note);
        }
        let file = self.required(section, key).and_then(|value| self.text(section, key, value));
        let prefix = section.get("prefix").and_then(|value| self.text(section, "prefix", value));
        let mut names = self.renamed(section, "names");
        names.extend(self.renamed(section, "map"));
        let only = section.get("only").map(|value| self.patterns(section, "only", value)).unwrap_or_default();
        let states = section.get("states").map(|_| self.flag(section, "states", false));
        let layout = match section.get("layout").map(|value| (value, value.as_str())) {
            None => Layout::Own,
            Some((_, Some("pytorch"))) => Layout::PyTorch,
            Some((_, Some("keras"))) => Layout::Keras,
            Some((value, _)) => {
                self.wrong_kind(&section.path_to("layout"), value, "pytorch or keras");
                Layout::Own
            }
        };
        let span = Some(self.value_span(&section.path_to(key)));
        let file = ParamsSource { prefix, names, span, ..ParamsSource::new(file?) };
        Some(StartSource { file, is_run: key == "run", only, states, layout })
    }

    /// `{ name_in_file: name.in.program }`
    fn renamed(&mut self, section: Section<'_>, key: &str) -> IndexMap<String, String> {
        let mut names = IndexMap::new();
        let Some(value) = section.get(key) else { return names };
        let path = section.path_to(key);
        let Some(map) = value.as_mapping() else {
            self.wrong_kind(&path, value, "a mapping, `{ name_in_file: name.in.program }`");
            return names;
        };
        let section = Section { map, path: &path };
        for (key, value) in map {
            let key = scalar_text(key).unwrap_or_default();
            if let Some(name) = self.text(section, &key, value) {
                names.insert(key, name);
            }
        }
        names
    }

    /// A pattern of param paths, or a list of them.
    fn patterns(&mut self, section: Section<'_>, key: &str, value: &Value) -> Vec<String> {
        let patterns: Option<Vec<String>> = match value {
            Value::Sequence(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
            Value::String(pattern) => Some(vec![pattern.clone()]),
            _ => None,
        };
        patterns.filter(|patterns| patterns.iter().all(|pattern| !pattern.is_empty())).unwrap_or_else(|| {
            self.wrong_kind(
                &section.path_to(key),
                value,
                "a pattern of param paths, such as `trunk` or `*.bias`, or a list of them",
            );
            Vec::new()
        })
    }

    /// The params that are not trained.
    pub(super) fn frozen(&mut self, top: Section<'_>) -> Vec<Frozen> {
        let Some(value) = top.get("frozen") else { return Vec::new() };
        let span = Some(self.value_span(&["frozen"]));
        self.patterns(top, "frozen", value).into_iter().map(|pattern| Frozen { pattern, span }).collect()
    }
}
