//! What combiners need to know about losses: what they are meant as, and which samples are there.

use super::{Builtin, module_row, row};
use crate::diag::{Code, Diagnostic};
use crate::lower::arguments::Matched;
use crate::lower::emit::Emitter;
use crate::lower::value::{Frame, TensorValue, Value, Which};
use crate::lower::{Better, Lowered, Meaning, MeantAs, Module};

pub(super) static ROWS: &[Builtin] = &[
    module_row(
        "meant_as",
        &["x", "meaning", "of?"],
        "x, noted to be a prediction that is meant as \"numbers\", \"logits\", \"probabilities\" or \"shares\" (at least 0, divided by their sum), beside the label `of`: lints hold what is passed against it",
        meant_as,
    ),
    module_row(
        "better_when",
        &["x", "than"],
        "x, noted to be a value of which the \"higher\" or the \"lower\" is the better: what a run that watches such a metric goes by",
        better_when,
    ),
    row("present", &["x"], "for each sample, whether its value is there: `bool[batch]`", |l, frame, m| {
        let x = l.tensor_argument(frame, m, 0)?;
        match l.mask(x) {
            Some(node) => Ok(Value::Tensor(TensorValue { node, which: Which::Step })),
            None => Err(l.report(
                Diagnostic::error(Code::E0404, "this value is never missing")
                    .at(m.span, "depends on no target that may be missing")
                    .with_help("such a target is declared with `?`: `target age: f32[batch]?`"),
            )),
        }
    }),
    row("fill_missing", &["x", "value"], "x, and where it is missing the value", |l, frame, m| {
        let x = l.tensor_argument(frame, m, 0)?;
        let Some((value, at)) = m.get(1).cloned() else { return Err(crate::lower::Reported) };
        let value = l.number(&value, at)?;
        Ok(Value::Tensor(l.filled(frame, x, value, m.span)))
    }),
];

fn meant_as(l: &mut Emitter<'_>, module: &mut Module, frame: &Frame, m: &Matched) -> Lowered<Value> {
    let (Some((value, _)), Some((meaning, meaning_at))) = (m.get(0).cloned(), m.get(1).cloned()) else {
        return Err(crate::lower::Reported);
    };
    let names = || Meaning::NAMES.iter().map(|(name, _)| *name);
    let known = |text: &str| Meaning::NAMES.iter().find(|(name, _)| *name == text).map(|(_, meaning)| *meaning);
    let text = match &meaning {
        Value::Text(text) => text.to_string(),
        other => l.describe(other),
    };
    let Some(meaning) = known(&text) else {
        let expected = names().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
        let finding = Diagnostic::error(Code::E0304, format!("`meant_as` knows no meaning {text:?}"));
        return Err(l.report(finding.at(meaning_at, format!("expected {expected}")).with_suggestion(&text, names())));
    };
    // Only values of the step are looked at: constants and the bodies of loops are as they are.
    if let Value::Tensor(TensorValue { node, which: Which::Step }) = value {
        let label = match m.get(2) {
            Some((Value::Tensor(TensorValue { node, which: Which::Step }), _)) => Some(*node),
            _ => None,
        };
        let span = l.findings.user_span(m.span);
        let by = l.findings.user_call().unwrap_or_else(|| frame.value_path.clone());
        module.meant.push(MeantAs { value: node, label, meaning, by, span });
    }
    Ok(value)
}

fn better_when(l: &mut Emitter<'_>, module: &mut Module, _: &Frame, m: &Matched) -> Lowered<Value> {
    let (Some((value, _)), Some((than, than_at))) = (m.get(0).cloned(), m.get(1).cloned()) else {
        return Err(crate::lower::Reported);
    };
    let text = match &than {
        Value::Text(text) => text.to_string(),
        other => l.describe(other),
    };
    let Some((_, better)) = Better::NAMES.iter().find(|(name, _)| *name == text) else {
        let names = || Better::NAMES.iter().map(|(name, _)| *name);
        let expected = names().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(" or ");
        let finding = Diagnostic::error(Code::E0304, format!("nothing is better when {text:?}"));
        return Err(l.report(finding.at(than_at, format!("expected {expected}")).with_suggestion(&text, names())));
    };
    if let Value::Tensor(TensorValue { node, which: Which::Step }) = value {
        module.better_when.push((node, *better));
    }
    Ok(value)
}
