//! Lists worked out at compile time, and recurrence over a known time axis.

use super::{Builtin, call_row, row};
use crate::diag::{Code, Diagnostic};
use crate::ir::Dim;
use crate::lower::arguments::{Arguments, Matched};
use crate::lower::emit::Emitter;
use crate::lower::value::{Frame, TensorValue, Value};
use crate::lower::{Lowered, Lowering, Reported};
use crate::ops;

/// A longer list or sequence is a mistake, not a model.
const MAX_LENGTH: usize = 10_000;

pub(super) static ROWS: &[Builtin] = &[
    row(
        "range",
        &["start", "stop?", "step?"],
        "the integers from start to below stop, as a list; from 0 with one number",
        range,
    ),
    call_row(
        "unroll",
        &["step", "x", "carry", "rest?", "reverse?"],
        "`carry = step(x[:, t], carry, rest...)` over axis 1: the last carry, and the first of each carry along axis 1",
        unroll,
    ),
];

fn range(l: &mut Emitter<'_>, _: &Frame, m: &Matched) -> Lowered<Value> {
    let mut bound = |slot: usize| m.get(slot).cloned().map(|(value, at)| l.integer(&value, at)).transpose();
    let (Some(first), second, step) = (bound(0)?, bound(1)?, bound(2)?) else { return Err(Reported) };
    let (start, stop) = second.map_or((0, first), |stop| (first, stop));
    let step = step.unwrap_or(1);
    if step == 0 {
        let at = m.get(2).map_or(m.span, |(_, at)| *at);
        return Err(l.error(Code::E0304, at, "a step of 0", "never gets to the end"));
    }
    let span = if step > 0 { stop.saturating_sub(start) } else { start.saturating_sub(stop) };
    let length = span.max(0).unsigned_abs().div_ceil(step.unsigned_abs());
    if length > MAX_LENGTH as u64 {
        return Err(l.error(Code::E0701, m.span, "this list is too long", format!("at most {MAX_LENGTH} numbers")));
    }
    let number = |at: i64| Value::Number { value: (start + at * step) as f64, is_integer: true };
    Ok(Value::List((0..length as i64).map(number).collect()))
}

fn unroll(l: &mut Lowering, frame: &mut Frame, m: &Matched) -> Lowered<Value> {
    let Some((step, step_at)) = m.get(0).cloned() else { return Err(Reported) };
    let x = l.emit().tensor_argument(frame, m, 1)?;
    let Some((Value::List(mut carry), carry_at)) = m.get(2).cloned() else {
        return Err(l.findings.error(Code::E0304, m.span, "`carry` is a list of values", "write `[first]`"));
    };
    let rest = match m.get(3).cloned() {
        None => Vec::new(),
        Some((Value::List(rest), at)) => rest.into_iter().map(|value| (value, at)).collect(),
        Some(value) => vec![value],
    };
    let reverse = l.emit().bool_argument(m, 4, false)?;
    let length = time_steps(&mut l.emit(), m, x)?;
    let times: Vec<usize> = if reverse { (0..length).rev().collect() } else { (0..length).collect() };
    let mut outputs = Vec::with_capacity(length);
    for time in times {
        let now = at_time(&mut l.emit(), frame, m, x, time)?;
        let mut positional = vec![(Value::Tensor(now), m.span), (Value::List(carry), carry_at)];
        positional.extend(rest.iter().cloned());
        let arguments = Arguments { positional, named: Vec::new() };
        let Value::List(next) = l.call(frame, &step, arguments, step_at, m.span)? else {
            return Err(l.findings.error(Code::E0304, step_at, "a step returns a list, the next carry", "not a list"));
        };
        let Some(first) = next.first().cloned() else {
            return Err(l.findings.error(Code::E0304, step_at, "a step returns an empty carry", "at least one value"));
        };
        let first = l.emit().to_tensor(frame, first, step_at)?;
        let mut shape = l.graphs.ty(first).shape.clone();
        shape.insert(shape.len().min(1), Dim::known(1));
        outputs.push(l.emit().add(frame, m.span, ops::Reshape { shape }, &[first])?);
        carry = next;
    }
    if reverse {
        outputs.reverse();
    }
    let outputs = l.emit().add(frame, m.span, ops::Concat { axis: 1 }, &outputs)?;
    Ok(Value::List(vec![Value::List(carry), Value::Tensor(outputs)]))
}

fn time_steps(l: &mut Emitter<'_>, m: &Matched, x: TensorValue) -> Lowered<usize> {
    let ty = l.ty(x).clone();
    match ty.shape.get(1).map(Dim::as_known) {
        Some(Some(length)) if (1..=MAX_LENGTH).contains(&length) => Ok(length),
        _ => Err(l.report(
            Diagnostic::error(Code::E0305, format!("a recurrence over axis 1 of {ty}"))
                .at(m.span, format!("needs a number of steps from 1 to {MAX_LENGTH}, known at compile time"))
                .with_help("give the time axis a number or the name of a `const` in the input's type"),
        )),
    }
}

/// `x[:, time]`
fn at_time(l: &mut Emitter<'_>, frame: &Frame, m: &Matched, x: TensorValue, time: usize) -> Lowered<TensorValue> {
    let mut extents = l.ty(x).shape.clone();
    let mut starts = vec![Dim::known(0); extents.len()];
    (starts[1], extents[1]) = (Dim::known(time), Dim::known(1));
    let strides = vec![1; extents.len()];
    let mut shape = extents.clone();
    shape.remove(1);
    let slice = l.add(frame, m.span, ops::Slice { starts, extents, strides }, &[x])?;
    l.add(frame, m.span, ops::Reshape { shape }, &[slice])
}
