//! What stands in the bodies of optimizers alone: `step_every`, an optimizer within an optimizer that steps once in several
//! steps, and `predicted_by`, which says what prediction reads in the param's place.

use super::{Builtin, row};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{DType, TensorType};
use crate::lower::arguments::{Arguments, Matched};
use crate::lower::value::{Frame, Partial, TensorValue, Value};
use crate::lower::{Lowered, Lowering, Reported};
use crate::ops;
use crate::syntax::ast::DefinitionKind;
use std::sync::Arc;

pub(super) static ROWS: &[Builtin] = &[
    row(
        "step_every",
        &["count", "optimizer", "param", "grad"],
        "in an optimizer's body, the param's next value by another optimizer that steps on the last of each `count` steps: on the others the param and its states stay, and its `step` counts the steps it takes",
        step_every,
    ),
    row(
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
        return Err(l.report(
            Diagnostic::error(Code::E0402, "`step_every` stands in an optimizer's body only")
                .at(m.span, "not in the body of an `optimizer`")
                .with_help("a spec says `optimizer accumulated(adam(lr=0.001), every=4)`"),
        ));
    }
    let Some((count, count_at)) = m.get(0).cloned() else { return Err(Reported) };
    let count = l.count(&count, count_at)?;
    if count == 0 {
        return Err(l.error(Code::E0304, count_at, "expected at least 1 step, found 0", "out of range"));
    }
    let Some((optimizer, optimizer_at)) = m.get(1).cloned() else { return Err(Reported) };
    let optimizer = l.as_optimizer(frame, optimizer, optimizer_at)?;
    let (param, gradient) = (l.tensor_argument(frame, m, 2)?, l.tensor_argument(frame, m, 3)?);
    let pace = pace(l, frame, count, m.span)?;
    let name = optimizer.definition.definition.name.name.clone();
    let path = frame.instance_path(&name);
    let outer = l.pace.replace(pace);
    let next = l.optimizer_step(path, &optimizer, param, gradient, m.span);
    l.pace = outer;
    let next = next?;
    l.same_type(param, next, &name, m.span)?;
    l.when_due(frame, next, param, pace, m.span).map(Value::Tensor)
}

fn predicted_by(l: &mut Lowering, frame: &mut Frame, m: &Matched) -> Lowered<Value> {
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
    let is_param = l.module.params.values().any(|info| info.node == param.node);
    let is_state = l.module.states.values().any(|info| info.node == state.node);
    if !is_param || !is_state || param_ty != state_ty {
        return Err(l.report(
            Diagnostic::error(Code::E0402, "only a state of the param's type can be read in its place")
                .at(m.span, format!("found {param_ty} and {state_ty}"))
                .with_help("`predicted_by(param, average, next)`, where `state average = param` is the optimizer's"),
        ));
    }
    l.module.stand_ins.insert(param.node, state.node);
    Ok(Value::Tensor(next))
}

/// One step in `count` of those that are counted here.
fn pace(l: &mut Lowering, frame: &Frame, count: usize, span: Span) -> Lowered<Pace> {
    let step = match l.pace {
        Some(pace) => pace.step,
        None => l.leaf(ops::InputKind::Step, "step", &TensorType::scalar(DType::I32), span),
    };
    let whole = TensorType::scalar(DType::I32);
    let [every, last] = [count as f64, count as f64 - 1.0].map(|number| l.constant(frame, span, number, &whole));
    let place = l.add(frame, span, ops::Rem, &[step, every])?;
    let own = l.add(frame, span, ops::Equal, &[place, last])?;
    let due = match l.pace {
        Some(pace) => l.add(frame, span, ops::And, &[pace.due, own])?,
        None => own,
    };
    Ok(Pace { due, step: l.add(frame, span, ops::Div, &[step, every])? })
}

impl Lowering {
    /// `next` on the steps of a pace, else `rest`.
    pub(in crate::lower) fn when_due(
        &mut self,
        frame: &Frame,
        next: TensorValue,
        rest: TensorValue,
        pace: Pace,
        span: Span,
    ) -> Lowered<TensorValue> {
        let shape = self.ty(next).shape.clone();
        let node = self.builder(frame, span).splat(pace.due.node, &shape);
        self.add(frame, span, ops::Select, &[TensorValue { node, which: next.which }, next, rest])
    }

    /// An optimizer as it is written: by its name alone, with its defaults, or with some of its arguments.
    pub(in crate::lower) fn as_optimizer(
        &mut self,
        frame: &mut Frame,
        value: Value,
        span: Span,
    ) -> Lowered<Arc<Partial>> {
        let value = match value {
            value @ Value::Definition(_) => {
                if !matches!(&value, Value::Definition(d) if d.definition.kind == DefinitionKind::Optimizer) {
                    return Err(self.no_optimizer(&value, span));
                }
                self.call(frame, &value, Arguments::default(), span, span)?
            }
            value => value,
        };
        match value {
            Value::Partial(partial) if partial.definition.definition.kind == DefinitionKind::Optimizer => Ok(partial),
            other => Err(self.no_optimizer(&other, span)),
        }
    }

    fn no_optimizer(&mut self, found: &Value, span: Span) -> Reported {
        let found = self.describe(found);
        self.error(Code::E0406, span, format!("{found} is not an optimizer"), "expected an optimizer")
    }
}
