//! What combiners need to know about losses: their gradients' inner products, and which samples are there.

use super::{Builtin, module_row, row};
use crate::autodiff::gradient_reach;
use crate::diag::{Code, Diagnostic};
use crate::ir::{Dim, NodeId};
use crate::lower::arguments::Matched;
use crate::lower::emit::Emitter;
use crate::lower::value::{Frame, TensorValue, Value, Which};
use crate::lower::{Lowered, Meaning, MeantAs, Module};
use crate::ops;
use crate::passes::gradients;

/// K×K programs are solved densely.
const MAX_LOSSES: usize = 64;

pub(super) static ROWS: &[Builtin] = &[
    module_row(
        "gram",
        &["losses", "over?"],
        "the K×K inner products of the losses' gradients over the params that at least two of them reach, or over those that are given; a constant for gradients",
        gram,
    )
    .of_lists(),
    module_row(
        "meant_as",
        &["x", "meaning", "of?"],
        "x, noted to be a prediction that is meant as \"numbers\", \"logits\", \"probabilities\" or \"shares\" (at least 0, divided by their sum), beside the label `of`: lints hold what is passed against it",
        meant_as,
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

fn gram(l: &mut Emitter<'_>, module: &mut Module, frame: &Frame, m: &Matched) -> Lowered<Value> {
    l.outside_loops("`gram`", m.span)?;
    let items = super::layout::list(l, m)?;
    if items.len() < 2 || items.len() > MAX_LOSSES {
        return Err(l.error(
            Code::E0303,
            m.span,
            format!("gram of {} losses", items.len()),
            format!("takes from 2 to {MAX_LOSSES}"),
        ));
    }
    let mut losses = Vec::with_capacity(items.len());
    for item in items {
        let tensor = l.to_tensor(frame, item, m.span)?;
        l.check_loss(tensor, &"of gram".into(), m.span)?;
        losses.push(l.batch_mean(frame, tensor, m.span).node);
    }
    let over = match m.get(1).cloned() {
        None => None,
        Some((Value::List(items), at)) => {
            Some(items.into_iter().map(|item| l.to_tensor(frame, item, at)).collect::<Lowered<Vec<_>>>()?)
        }
        Some((value, at)) => Some(vec![l.to_tensor(frame, value, at)?]),
    };
    let is_given = over.is_some();
    let params: Vec<NodeId> = match over {
        Some(over) => over.into_iter().map(|tensor| tensor.node).collect(),
        None => module.params.values().map(|param| param.node).collect(),
    };
    let reached: Vec<Vec<bool>> = losses.iter().map(|loss| gradient_reach(&l.graphs.step, *loss)).collect();
    let least = if is_given { 1 } else { 2 };
    let is_shared = |param: &NodeId| reached.iter().filter(|reached| reached[param.index()]).count() >= least;
    let shared: Vec<NodeId> = params.into_iter().filter(is_shared).collect();
    if shared.is_empty() {
        return Err(l.report(
            Diagnostic::error(Code::E0505, "the losses of `gram` share no params")
                .at(m.span, "no param is reached by two of them")
                .with_help("weighting by gradients needs a trunk that the losses train together"),
        ));
    }
    let by_loss: Vec<Vec<NodeId>> = losses.iter().map(|loss| gradients(&mut l.graphs.step, *loss, &shared)).collect();
    let mut b = l.builder(frame, m.span);
    let mut inner = |left: &[NodeId], right: &[NodeId]| {
        let products = left.iter().zip(right).map(|(x, y)| {
            let product = b.mul(*x, *y);
            let axes: Vec<usize> = (0..b.shape(product).len()).collect();
            b.sum(product, &axes)
        });
        let products: Vec<NodeId> = products.collect();
        products.into_iter().reduce(|sum, product| b.add2(sum, product))
    };
    let mut entries: Vec<Vec<NodeId>> = Vec::new();
    for (i, left) in by_loss.iter().enumerate() {
        let row = (0..by_loss.len()).filter_map(|j| if j < i { Some(entries[j][i]) } else { inner(left, &by_loss[j]) });
        let row = row.collect();
        entries.push(row);
    }
    let k = Dim::known(by_loss.len());
    let flat: Vec<NodeId> = entries.concat().into_iter().map(|entry| b.reshape(entry, vec![Dim::known(1)])).collect();
    let flat = b.emit(ops::Concat { axis: 0 }, &flat);
    let matrix = b.reshape(flat, vec![k.clone(), k]);
    let node = b.emit(ops::StopGradient, &[matrix]);
    module.gramians.push(node);
    Ok(Value::Tensor(TensorValue { node, which: Which::Step }))
}
