//! `scan`: a loop over time whose step is compiled once, however many steps there are.

use super::{Builtin, call_row};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Dim, NodeId, Provenance, TensorType};
use crate::lower::arguments::{Arguments, Matched, plural};
use crate::lower::body::OpenBody;
use crate::lower::emit::Emitter;
use crate::lower::value::{Frame, TensorValue, Value, Which};
use crate::lower::{Lowered, Lowering, Reported};
use crate::ops::scan::{Body, emit_loop};
use crate::ops::{LoopResult, Scan, Transpose};

pub(super) static ROWS: &[Builtin] = &[call_row(
    "scan",
    &["step", "x", "carry", "rest?", "reverse?"],
    "as `unroll`, for any number of steps: one loop, whose step is compiled once; `x` may be a list of sequences",
    scan,
)];

/// A sequence `[batch, time, ...]` as the loop reads it, `[time, batch, ...]`, and its mask.
struct Sequence {
    by_time: TensorValue,
    slice: TensorType,
    mask: Option<NodeId>,
}

fn scan(l: &mut Lowering, frame: &mut Frame, m: &Matched) -> Lowered<Value> {
    let Some((step, step_at)) = m.get(0).cloned() else { return Err(Reported) };
    let Some((x, x_at)) = m.get(1).cloned() else { return Err(Reported) };
    let (is_list, xs) = match x {
        Value::List(xs) => (true, xs),
        x => (false, vec![x]),
    };
    let Some((Value::List(carry), carry_at)) = m.get(2).cloned() else {
        return Err(l.findings.error(Code::E0304, m.span, "`carry` is a list of values", "write `[first]`"));
    };
    let rest = match m.get(3).cloned() {
        None => Vec::new(),
        Some((Value::List(rest), at)) => rest.into_iter().map(|value| (value, at)).collect(),
        Some(value) => vec![value],
    };
    let mut emit = l.emit();
    let reverse = emit.bool_argument(m, 4, false)?;
    if xs.is_empty() || carry.is_empty() {
        let at = if carry.is_empty() { carry_at } else { x_at };
        return Err(emit.error(Code::E0304, at, "a `scan` needs a sequence and a carry", "an empty list"));
    }
    let mut first = Vec::with_capacity(carry.len());
    for value in carry {
        first.push(emit.to_tensor(frame, value, carry_at)?);
    }
    let (sequences, length) = sequences(&mut emit, frame, xs, x_at)?;

    // A sample that is missing in one of them is missing in the whole loop.
    let mut masks: Vec<NodeId> = sequences.iter().filter_map(|sequence| sequence.mask).collect();
    masks.extend(first.iter().filter_map(|first| emit.mask(*first)));
    for (value, at) in &rest {
        if let Value::Tensor(tensor) = value {
            let tensor = emit.in_current(*tensor, *at)?;
            masks.extend(emit.mask(tensor));
        }
    }
    let mask = emit.all_of(frame, &masks, m.span).map(|node| TensorValue { node, which: emit.graphs.which });

    let times = emit.times(frame, &length, m.span);
    emit.graphs.open_body(masks.into_iter().chain(mask.map(|mask| mask.node)).collect());
    let next = step_body(l, frame, m, Step { step, step_at, carry_at, rest, is_list }, &first, &sequences, mask, times);
    let body = l.graphs.close_body();
    let (outputs, Some(body)) = (next?, body) else { return Err(Reported) };
    close(&mut l.emit(), frame, m, body, &outputs, (sequences.len() + 1, length, reverse), mask)
}

/// The sequences with time first, and the number of steps.
fn sequences(l: &mut Emitter<'_>, frame: &Frame, xs: Vec<Value>, at: Span) -> Lowered<(Vec<Sequence>, Dim)> {
    let mut sequences: Vec<Sequence> = Vec::with_capacity(xs.len());
    let mut length: Option<Dim> = None;
    for x in xs {
        let x = l.to_tensor(frame, x, at)?;
        let ty = l.ty(x).clone();
        let Some(steps) = ty.shape.get(1).cloned() else {
            return Err(l.report(
                Diagnostic::error(Code::E0301, format!("a recurrence over axis 1 of {ty}"))
                    .at(at, "has no axis 1")
                    .with_help("a sequence is `[batch, time, ...]`"),
            ));
        };
        match &length {
            Some(length) if *length != steps => {
                let lengths = format!("the sequences have {length} and {steps} steps");
                return Err(l.error(Code::E0301, at, lengths, "must be as long as each other"));
            }
            _ => length = Some(steps),
        }
        let permutation: Vec<usize> = [1, 0].into_iter().chain(2..ty.rank()).collect();
        let mask = l.mask(x);
        // Samples stay apart in it, though they no longer stand first.
        let node = l.builder(frame, at).emit(Transpose { permutation }, &[x.node]);
        let mut shape = ty.shape.clone();
        shape.remove(1);
        let by_time = TensorValue { node, which: x.which };
        sequences.push(Sequence { by_time, slice: TensorType::new(ty.dtype, shape), mask });
    }
    length.map(|length| (sequences, length)).ok_or(Reported)
}

/// The function that a loop repeats.
struct Step {
    step: Value,
    step_at: Span,
    carry_at: Span,
    rest: Vec<(Value, Span)>,
    is_list: bool,
}

/// Expands the step in the open body; gives the next carries.
#[allow(clippy::too_many_arguments)]
fn step_body(
    l: &mut Lowering,
    frame: &mut Frame,
    m: &Matched,
    step: Step,
    first: &[TensorValue],
    sequences: &[Sequence],
    mask: Option<TensorValue>,
    times: TensorValue,
) -> Lowered<Vec<TensorValue>> {
    let named = |name: &str| Provenance { name: name.into(), span: l.findings.user_span(m.span) };
    let (carry_name, slice_name, time_name) = (named("carry"), named("slice"), named("time"));
    let types: Vec<TensorType> = first.iter().map(|first| l.graphs.ty(*first).clone()).collect();
    let mut carries = Vec::with_capacity(first.len());
    for (first, ty) in first.iter().zip(&types) {
        carries.push(l.graphs.port(*first, ty, &carry_name));
    }
    let mut slices = Vec::with_capacity(sequences.len());
    for sequence in sequences {
        slices.push(l.graphs.port(sequence.by_time, &sequence.slice, &slice_name));
    }
    let scalar = TensorType::scalar(crate::ir::DType::I32);
    let time = l.graphs.port(times, &scalar, &time_name);
    l.graphs.set_time(time);
    if let Some(mask) = mask {
        let mask = l.emit().in_current(mask, m.span)?;
        for port in carries.iter().chain(&slices) {
            if l.graphs.ty(*port).shape.first().is_some_and(Dim::is_batch) {
                l.graphs.set_mask(*port, mask.node);
            }
        }
    }
    let list = |values: &[TensorValue]| Value::List(values.iter().copied().map(Value::Tensor).collect());
    let now = if step.is_list { list(&slices) } else { Value::Tensor(slices[0]) };
    let mut positional = vec![(now, m.span), (list(&carries), step.carry_at)];
    positional.extend(step.rest);
    let arguments = Arguments { positional, named: Vec::new() };
    let Value::List(next) = l.call(frame, &step.step, arguments, step.step_at, m.span)? else {
        return Err(l.findings.error(Code::E0304, step.step_at, "a step returns a list, the next carry", "not a list"));
    };
    if next.len() != types.len() {
        let counts = format!("a step is given {} and returns {}", plural(types.len(), "value"), next.len());
        return Err(l.findings.error(Code::E0304, step.step_at, counts, "must be as many"));
    }
    let mut outputs = Vec::with_capacity(next.len());
    for (i, (value, ty)) in next.into_iter().zip(&types).enumerate() {
        let value = l.emit().to_tensor(frame, value, step.step_at)?;
        let found = l.graphs.ty(value).clone();
        if found != *ty {
            return Err(l.findings.report(
                Diagnostic::error(Code::E0301, format!("carry {i} is {ty}, and {found} after a step"))
                    .at(step.step_at, "a step keeps the types of its carries")
                    .with_label(step.carry_at, format!("starts as {ty}"))
                    .with_help("what changes its shape from step to step is no carry"),
            ));
        }
        outputs.push(value);
    }
    Ok(outputs)
}

/// Closes the loop: its last carries, and the first of each carry along axis 1.
fn close(
    l: &mut Emitter<'_>,
    frame: &Frame,
    m: &Matched,
    body: OpenBody,
    outputs: &[TensorValue],
    (n_sequences, length, reverse): (usize, Dim, bool),
    mask: Option<TensorValue>,
) -> Lowered<Value> {
    let masked: Vec<bool> = outputs.iter().map(|output| body.masks.contains_key(&output.node)).collect();
    let mut graph = body.draft.graph;
    let n = outputs.len();
    for (i, output) in outputs.iter().chain(&outputs[..1]).enumerate() {
        graph.add_output(crate::ops::scan::output_role(n, i), i.to_string(), output.node);
    }
    let operands: Vec<NodeId> = body.operands.iter().map(|operand| operand.node).collect();
    let scan = Scan {
        body: Body::new(graph),
        carries: n,
        sequences: n_sequences,
        length,
        reverse,
        result: LoopResult::Carry(0),
    };
    let types: Vec<&TensorType> = operands.iter().map(|operand| l.graphs.of(l.graphs.which).ty(*operand)).collect();
    let checked = crate::ops::Op::from(scan.clone()).infer(&types);
    if let Err(error) = checked {
        return Err(l.findings.op_error(m.span, error));
    }
    let which = l.graphs.which;
    let results: Vec<LoopResult> = (0..n).map(LoopResult::Carry).chain([LoopResult::Stacked(0)]).collect();
    let mut nodes = emit_loop(&mut l.builder(frame, m.span), &scan, &operands, &results);
    let Some(stacked) = nodes.pop() else { return Err(Reported) };
    let rank = l.ty(TensorValue { node: stacked, which }).rank();
    let stacked = if rank < 2 {
        stacked
    } else {
        let permutation: Vec<usize> = [1, 0].into_iter().chain(2..rank).collect();
        l.builder(frame, m.span).emit(Transpose { permutation }, &[stacked])
    };
    let values: Vec<TensorValue> = nodes.into_iter().chain([stacked]).map(|node| TensorValue { node, which }).collect();
    for (value, masked) in values.iter().zip(masked.iter().chain(&masked[..1])) {
        if let (Some(mask), true) = (mask, *masked && which != Which::Init) {
            l.set_mask(*value, mask.node);
        }
    }
    let (stacked, carries) = values.split_last().ok_or(Reported)?;
    let carries = carries.iter().copied().map(Value::Tensor).collect();
    Ok(Value::List(vec![Value::List(carries), Value::Tensor(*stacked)]))
}
