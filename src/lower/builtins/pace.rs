//! What steps once in several steps: `step_every`, an optimizer within an optimizer, and `call_every`, a combiner within a
//! combiner. And `predicted_by`, by which an optimizer says what prediction reads in the param's place.

use super::{Builtin, call_row, module_row};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{DType, TensorType};
use crate::lower::arguments::{Arguments, Matched};
use crate::lower::emit::Emitter;
use crate::lower::value::{Frame, TensorValue, Value};
use crate::lower::{Lowered, Lowering, Module, Reported};
use crate::ops;
use crate::syntax::ast::DefinitionKind;

pub(super) static ROWS: &[Builtin] = &[
    call_row(
        "step_every",
        &["count", "optimizer", "param", "grad"],
        "in an optimizer's body, the param's next value by another optimizer that steps on the last of each `count` steps: on the others the param and its states stay, and its `step` counts the steps it takes",
        step_every,
    ),
    call_row(
        "call_every",
        &["count", "combiner", "losses"],
        "in a combiner's body, what another combiner makes of the losses, which takes part in the first of each `count` steps: on the others its states stay, and its `step` counts the steps it takes part in",
        call_every,
    ),
    module_row(
        "predicted_by",
        &["param", "state", "next"],
        "in an optimizer's body, `next`, the param's next value; prediction and evaluation read `state`, a state of the optimizer, in the param's place",
        predicted_by,
    ),
];

/// The steps that an optimizer takes part in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// whether this step is one of them
    pub due: TensorValue,
    /// how many of them were before
    pub step: TensorValue,
}

fn step_every(l: &mut Lowering, frame: &mut Frame, m: &Matched) -> Lowered<Value> {
    if frame.kind != Some(DefinitionKind::Optimizer) {
        return Err(l.findings.report(
            Diagnostic::error(Code::E0402, "`step_every` stands in an optimizer's body only")
                .at(m.span, "not in the body of an `optimizer`")
                .with_help("a spec says `optimizer accumulated(adam(lr=0.001), every=4)`"),
        ));
    }
    let Some((count, count_at)) = m.get(0).cloned() else { return Err(Reported) };
    let count = steps(l, &count, count_at)?;
    let Some((optimizer, optimizer_at)) = m.get(1).cloned() else { return Err(Reported) };
    let optimizer = l.as_optimizer(frame, optimizer, optimizer_at)?;
    let (param, gradient) = (l.emit().tensor_argument(frame, m, 2)?, l.emit().tensor_argument(frame, m, 3)?);
    let around = l.training.pace;
    let pace = pace(&mut l.emit(), frame, around, (count, count - 1), m.span)?;
    let name = optimizer.definition.definition.name.name.clone();
    let path = frame.instance_path(&name);
    l.training.pace = Some(pace);
    let next = l.optimizer_step(path, &optimizer, param, gradient, m.span);
    l.training.pace = around;
    let next = next?;
    let mut emit = l.emit();
    emit.same_type(param, next, &name, m.span)?;
    emit.choose(frame, pace.due, next, param, m.span).map(Value::Tensor)
}

fn steps(l: &mut Lowering, count: &Value, at: Span) -> Lowered<usize> {
    match l.emit().count(count, at)? {
        0 => Err(l.findings.error(Code::E0304, at, "expected at least 1 step, found 0", "out of range")),
        count => Ok(count),
    }
}

fn call_every(l: &mut Lowering, frame: &mut Frame, m: &Matched) -> Lowered<Value> {
    if frame.kind != Some(DefinitionKind::Combiner) {
        return Err(l.findings.report(
            Diagnostic::error(Code::E0402, "`call_every` stands in a combiner's body only")
                .at(m.span, "not in the body of a `combiner`")
                .with_help("a spec says `loss total = amortised(a, b, inner=upgrad, every=10)`"),
        ));
    }
    let (Some((count, count_at)), Some((combiner, combiner_at))) = (m.get(0).cloned(), m.get(1).cloned()) else {
        return Err(Reported);
    };
    let count = steps(l, &count, count_at)?;
    let Some((Value::List(losses), at)) = m.get(2).cloned() else {
        return Err(l.findings.error(Code::E0304, m.span, "`call_every` takes a list of losses", "write `[a, b]`"));
    };
    let around = l.training.pace;
    let pace = pace(&mut l.emit(), frame, around, (count, 0), m.span)?;
    l.training.pace = Some(pace);
    let positional = losses.into_iter().map(|loss| (loss, at)).collect();
    let total = l.call(frame, &combiner, Arguments { positional, named: Vec::new() }, combiner_at, m.span);
    l.training.pace = around;
    total
}

fn predicted_by(l: &mut Emitter<'_>, module: &mut Module, frame: &Frame, m: &Matched) -> Lowered<Value> {
    if frame.kind != Some(DefinitionKind::Optimizer) {
        return Err(l.report(
            Diagnostic::error(Code::E0402, "`predicted_by` stands in an optimizer's body only")
                .at(m.span, "not in the body of an `optimizer`")
                .with_help("a spec says `optimizer averaging(adam(lr=0.001))`; a layer says `by_mode(w, average)`"),
        ));
    }
    let (param, state) = (l.tensor_argument(frame, m, 0)?, l.tensor_argument(frame, m, 1)?);
    let next = l.tensor_argument(frame, m, 2)?;
    let (param_ty, state_ty) = (l.ty(param).clone(), l.ty(state).clone());
    let is_param = module.params.values().any(|info| info.node == param.node);
    let is_state = module.states.values().any(|info| info.node == state.node);
    if !is_param || !is_state || param_ty != state_ty {
        return Err(l.report(
            Diagnostic::error(Code::E0402, "only a state of the param's type can be read in its place")
                .at(m.span, format!("found {param_ty} and {state_ty}"))
                .with_help("`predicted_by(param, average, next)`, where `state average = param` is the optimizer's"),
        ));
    }
    module.stand_ins.insert(param.node, state.node);
    Ok(Value::Tensor(next))
}

/// One step in `count` of those that are counted here, at a place among them.
fn pace(
    l: &mut Emitter<'_>,
    frame: &Frame,
    around: Option<Pace>,
    (count, place): (usize, usize),
    span: Span,
) -> Lowered<Pace> {
    let step = match around {
        Some(pace) => pace.step,
        None => l.step_clock(span),
    };
    let whole = TensorType::scalar(DType::I32);
    let [every, wanted] = [count, place].map(|number| l.constant(frame, span, number as f64, &whole));
    let place = l.add(frame, span, ops::Rem, &[step, every])?;
    let own = l.add(frame, span, ops::Equal, &[place, wanted])?;
    let due = match around {
        Some(pace) => l.add(frame, span, ops::And, &[pace.due, own])?,
        None => own,
    };
    Ok(Pace { due, step: l.add(frame, span, ops::Div, &[step, every])? })
}
