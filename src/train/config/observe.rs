//! The key `observe` of a run config: what is reported of how losses are combined.

use super::fields::{Reader, Section};
use crate::diag::{Code, Diagnostic};
use crate::lower::Observe;
use serde_yaml::Value;

impl Reader {
    /// A list of names, or one; the weights of losses unless said.
    pub(super) fn observe(&mut self, top: Section<'_>) -> Observe {
        let Some(value) = top.get("observe") else { return Observe::WEIGHTS };
        let items: Vec<(Vec<String>, &Value)> = match value {
            Value::Sequence(items) => {
                items.iter().enumerate().map(|(at, item)| (vec!["observe".into(), at.to_string()], item)).collect()
            }
            one => vec![(vec!["observe".into()], one)],
        };
        let mut observe = Observe::default();
        for (path, item) in items {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let Some(name) = item.as_str() else {
                self.wrong_kind(&path, item, "a list of `weights`, `norms`, `cosines` and `layers`");
                continue;
            };
            let mut named = observe.named();
            match named.iter_mut().find(|(known, _)| *known == name) {
                Some((_, is_asked)) => **is_asked = true,
                None => {
                    let known = named.map(|(name, _)| name);
                    let finding = Diagnostic::error(Code::E0602, format!("`observe` knows no `{name}`"))
                        .at(self.value_span(&path), "nothing of this name can be observed")
                        .with_note(format!("expected: {}", known.join(", ")))
                        .with_suggestion(name, known);
                    self.report(finding);
                }
            }
        }
        if observe.layers && !observe.norms && !observe.cosines {
            let finding = Diagnostic::error(Code::E0602, "`layers` of nothing")
                .at(self.value_span(&["observe"]), "has neither `norms` nor `cosines`")
                .with_help("`observe: [norms, cosines, layers]`");
            self.report(finding);
        }
        observe
    }
}
