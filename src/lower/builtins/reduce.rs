//! Reductions. `axes` is one axis, a list, or all when left out; with `keep=true` reduced axes stay, with extent 1.

use super::{Builtin, row};
use crate::diag::Code;
use crate::ir::{DType, Dim};
use crate::lower::Lowered;
use crate::lower::arguments::Matched;
use crate::lower::emit::Emitter;
use crate::lower::value::{Frame, Group, TensorValue, Value};
use crate::ops;

pub(super) static ROWS: &[Builtin] =
    &[
        row("sum", &["x", "axes?", "keep?"], "the sum over axes", |l, frame, m| {
            reduce(
                l,
                frame,
                m,
                |l, frame, m, x, axes| {
                    if axes.is_empty() { Ok(x) } else { l.add(frame, m.span, ops::Sum { axes }, &[x]) }
                },
            )
        })
        .of_groups(),
        row("mean", &["x", "axes?", "keep?"], "the mean over axes", |l, frame, m| {
            if let (Some((Value::Group(group), _)), None, None) = (m.get(0).cloned(), m.get(1), m.get(2)) {
                return mean_of_group(l, frame, m, &group);
            }
            reduce(l, frame, m, |l, frame, m, x, axes| {
                if !l.ty(x).is_float() {
                    let found = l.ty(x).to_string();
                    return Err(l.error(
                        Code::E0302,
                        m.span,
                        format!("mean takes f32, found {found}"),
                        "convert with `f32(x)`",
                    ));
                }
                let x = l.in_current(x, m.span)?;
                Ok(l.mean(frame, x, &axes, m.span))
            })
        })
        .of_groups(),
        row("max", &["x", "axes?", "keep?"], "the largest over axes", |l, frame, m| {
            reduce(l, frame, m, |l, frame, m, x, axes| {
                if axes.is_empty() { Ok(x) } else { l.add(frame, m.span, ops::MaxReduce { axes }, &[x]) }
            })
        })
        .of_groups(),
        row("min", &["x", "axes?", "keep?"], "the smallest over axes", |l, frame, m| {
            reduce(l, frame, m, |l, frame, m, x, axes| {
                if axes.is_empty() {
                    return Ok(x);
                }
                let turned = turned(l, frame, m, x)?;
                let largest = l.add(frame, m.span, ops::MaxReduce { axes }, &[turned])?;
                self::turned(l, frame, m, largest)
            })
        })
        .of_groups(),
        row(
            "argmax",
            &["x", "axis?"],
            "the position of the largest along an axis (the last by default), as i32; the first at a tie",
            |l, frame, m| {
                let x = l.tensor_argument(frame, m, 0)?;
                position_of_largest(l, frame, m, x)
            },
        ),
        row(
            "argmin",
            &["x", "axis?"],
            "the position of the smallest along an axis (the last by default), as i32; the first at a tie",
            |l, frame, m| {
                let x = l.tensor_argument(frame, m, 0)?;
                let turned = turned(l, frame, m, x)?;
                position_of_largest(l, frame, m, turned)
            },
        ),
        row("any", &["x", "axes?", "keep?"], "whether any of x holds, over axes", |l, frame, m| {
            reduce(l, frame, m, |l, frame, m, x, axes| {
                let count = count_of(l, frame, m, x, axes)?;
                let zero = zeros(l, frame, m, count);
                l.add(frame, m.span, ops::Less, &[zero, count])
            })
        }),
        row("all", &["x", "axes?", "keep?"], "whether all of x hold, over axes", |l, frame, m| {
            reduce(l, frame, m, |l, frame, m, x, axes| {
                let x = truth(l, m, x)?;
                let others = l.add(frame, m.span, ops::Not, &[x])?;
                let count = count_of(l, frame, m, others, axes)?;
                let zero = zeros(l, frame, m, count);
                l.add(frame, m.span, ops::Equal, &[count, zero])
            })
        }),
    ];

/// The numbers in reverse order: -x, of ints -1 - x, which each of them has.
fn turned(l: &mut Emitter<'_>, frame: &Frame, m: &Matched, x: TensorValue) -> Lowered<TensorValue> {
    let ty = l.ty(x).clone();
    if ty.dtype != DType::I32 {
        return l.add(frame, m.span, ops::Neg, &[x]);
    }
    let ones = l.constant(frame, m.span, -1.0, &ty);
    l.add(frame, m.span, ops::Sub, &[ones, x])
}

fn position_of_largest(l: &mut Emitter<'_>, frame: &Frame, m: &Matched, x: TensorValue) -> Lowered<Value> {
    let rank = l.ty(x).rank();
    let axis = match m.get(1).cloned() {
        Some((value, at)) => l.axis(&value, rank, at)?,
        None => l.axis(&Value::Number { value: -1.0, is_integer: true }, rank, m.span)?,
    };
    l.add(frame, m.span, ops::ArgMax { axis }, &[x]).map(Value::Tensor)
}

/// A value of bools.
fn truth(l: &mut Emitter<'_>, m: &Matched, x: TensorValue) -> Lowered<TensorValue> {
    if l.ty(x).dtype == DType::Bool {
        return Ok(x);
    }
    let found = l.ty(x).to_string();
    Err(l.error(Code::E0302, m.span, format!("expected bool, found {found}"), "compare first, such as `x > 0`"))
}

/// How many hold, over axes.
fn count_of(l: &mut Emitter<'_>, frame: &Frame, m: &Matched, x: TensorValue, axes: Vec<usize>) -> Lowered<TensorValue> {
    let x = truth(l, m, x)?;
    let ints = l.add(frame, m.span, ops::Cast { to: DType::I32 }, &[x])?;
    if axes.is_empty() { Ok(ints) } else { l.add(frame, m.span, ops::Sum { axes }, &[ints]) }
}

fn zeros(l: &mut Emitter<'_>, frame: &Frame, m: &Matched, like: TensorValue) -> TensorValue {
    let ty = l.ty(like).clone();
    l.constant(frame, m.span, 0.0, &ty)
}

/// The product over axes.
pub(super) fn product(l: &mut Emitter<'_>, frame: &Frame, m: &Matched) -> Lowered<Value> {
    reduce(
        l,
        frame,
        m,
        |l, frame, m, x, axes| {
            if axes.is_empty() { Ok(x) } else { l.add(frame, m.span, ops::Product { axes }, &[x]) }
        },
    )
}

type Reduction = fn(&mut Emitter<'_>, &Frame, &Matched, TensorValue, Vec<usize>) -> Lowered<TensorValue>;

fn reduce(l: &mut Emitter<'_>, frame: &Frame, m: &Matched, reduction: Reduction) -> Lowered<Value> {
    if let Some((Value::Group(group), at)) = m.get(0).cloned() {
        return if m.get(1).is_some() || m.get(2).is_some() {
            let members = m.values.clone();
            l.each(frame, &members, m.span, |l, values| reduce(l, frame, &Matched { values, ..m.clone() }, reduction))
        } else {
            reduce_all(l, frame, m, (&group, at), reduction)
        };
    }
    let x = l.tensor_argument(frame, m, 0)?;
    let shape = l.ty(x).shape.clone();
    let axes = l.axes(m, 1, shape.len())?;
    let keep = l.bool_argument(m, 2, false)?;
    let reduced = reduction(l, frame, m, x, axes.clone())?;
    if !keep {
        return Ok(Value::Tensor(reduced));
    }
    let kept = |(axis, dim): (usize, Dim)| if axes.contains(&axis) { Dim::known(1) } else { dim };
    let shape = shape.into_iter().enumerate().map(kept).collect();
    l.add(frame, m.span, ops::Reshape { shape }, &[reduced]).map(Value::Tensor)
}

/// The reduction over all elements of all members: that of the members' own.
fn reduce_all(
    l: &mut Emitter<'_>,
    frame: &Frame,
    m: &Matched,
    group: (&Group, crate::diag::Span),
    reduction: Reduction,
) -> Lowered<Value> {
    let (group, at) = group;
    let one = |value: Value| {
        let mut values = vec![None; m.values.len()];
        values[0] = Some((value, at));
        Matched { values, ..m.clone() }
    };
    let mut parts = Vec::with_capacity(group.members.len());
    for (_, tensor) in &group.members {
        parts.push(reduce(l, frame, &one(Value::Tensor(*tensor)), reduction)?);
    }
    reduce(l, frame, &one(Value::List(parts)), reduction)
}

/// The mean over all elements of all members.
fn mean_of_group(l: &mut Emitter<'_>, frame: &Frame, m: &Matched, group: &Group) -> Lowered<Value> {
    let mut total: Option<TensorValue> = None;
    let mut count = Dim::known(0);
    for (_, tensor) in &group.members {
        let shape = l.ty(*tensor).shape.clone();
        let own = crate::ir::element_count(&shape).and_then(|own| count.add(&own));
        let Some(sum) = own else {
            return Err(l.error(Code::E0701, m.span, "too many elements for a mean", "beyond the limits"));
        };
        count = sum;
        let axes: Vec<usize> = (0..shape.len()).collect();
        let tensor = l.in_current(*tensor, m.span)?;
        let sum = if axes.is_empty() { tensor } else { l.add(frame, m.span, ops::Sum { axes }, &[tensor])? };
        total = Some(match total {
            Some(total) => l.add(frame, m.span, ops::Add, &[total, sum])?,
            None => sum,
        });
    }
    let Some(total) = total else { return Err(crate::lower::Reported) };
    let count = l.to_tensor(frame, Value::dim(&count), m.span)?;
    l.add(frame, m.span, ops::Div, &[total, count]).map(Value::Tensor)
}
