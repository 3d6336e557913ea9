//! Functions along one axis, and elements by index. `axis` counts from the end when negative; it is the last by default.

use super::layout::axis_or_last;
use super::{Builtin, row};
use crate::diag::{Code, Diagnostic};
use crate::ir::{DType, Dim, TensorType};
use crate::lower::arguments::Matched;
use crate::lower::emit::Emitter;
use crate::lower::value::{Frame, TensorValue, Value};
use crate::lower::{Lowered, Reported};
use crate::ops::{self, Op, Scalar};

pub(super) static ROWS: &[Builtin] = &[
    row("softmax", &["x", "axis?"], "e^x over its sum along an axis", |l, frame, m| {
        along(l, frame, m, |axis| ops::Softmax { axis }.into())
    }),
    row("log_softmax", &["x", "axis?"], "the logarithm of softmax, without loss of digits", |l, frame, m| {
        along(l, frame, m, |axis| ops::LogSoftmax { axis }.into())
    }),
    row("logsumexp", &["x", "axes?"], "ln Σ e^x over axes, without overflow", |l, frame, m| {
        let x = l.tensor_argument(frame, m, 0)?;
        let rank = l.ty(x).rank();
        let axes = l.axes(m, 1, rank)?;
        l.add(frame, m.span, ops::LogSumExp { axes }, &[x]).map(Value::Tensor)
    }),
    row(
        "cumulative_sum",
        &["x", "axis?", "reverse?", "exclusive?"],
        "sums of each element and all before it",
        |l, frame, m| {
            let (reverse, exclusive) = (l.bool_argument(m, 2, false)?, l.bool_argument(m, 3, false)?);
            let x = l.tensor_argument(frame, m, 0)?;
            let rank = l.ty(x).rank();
            let axis = axis_or_last(l, m, rank)?;
            l.add(frame, m.span, ops::CumulativeSum { axis, reverse, exclusive }, &[x]).map(Value::Tensor)
        },
    ),
    row(
        "cumulative_product",
        &["x", "axis?", "reverse?"],
        "products of each element and all before it",
        |l, frame, m| {
            let reverse = l.bool_argument(m, 2, false)?;
            let x = l.tensor_argument(frame, m, 0)?;
            let rank = l.ty(x).rank();
            let axis = axis_or_last(l, m, rank)?;
            cumulative_product(l, frame, m, x, (axis, reverse)).map(Value::Tensor)
        },
    ),
    row("sort", &["x", "axis?", "descending?"], "the elements in order along an axis", |l, frame, m| {
        let descending = l.bool_argument(m, 2, false)?;
        let x = l.tensor_argument(frame, m, 0)?;
        let rank = l.ty(x).rank();
        let axis = axis_or_last(l, m, rank)?;
        l.add(frame, m.span, ops::Sort { axis, descending }, &[x]).map(Value::Tensor)
    }),
    row("argsort", &["x", "axis?", "descending?"], "the positions that sort an axis, as i32", |l, frame, m| {
        let descending = l.bool_argument(m, 2, false)?;
        let x = l.tensor_argument(frame, m, 0)?;
        let rank = l.ty(x).rank();
        let axis = axis_or_last(l, m, rank)?;
        l.add(frame, m.span, ops::ArgSort { axis, descending }, &[x]).map(Value::Tensor)
    }),
    row("reverse", &["x", "axes?"], "the elements in reverse order along axes", |l, frame, m| {
        let x = l.tensor_argument(frame, m, 0)?;
        let rank = l.ty(x).rank();
        let axes = l.axes(m, 1, rank)?;
        l.add(frame, m.span, ops::Reverse { axes }, &[x]).map(Value::Tensor)
    }),
    row("gather", &["table", "indices"], "rows of a table by i32 indices; NaN for an index outside", |l, frame, m| {
        let table = l.tensor_argument(frame, m, 0)?;
        let indices = l.int_tensor_argument(frame, m, 1)?;
        l.add(frame, m.span, ops::Gather { fill: Scalar(f64::NAN) }, &[table, indices]).map(Value::Tensor)
    }),
    row(
        "scatter_add",
        &["indices", "values", "rows"],
        "a table of `rows` rows: `values` added up in the rows that i32 indices say; data with an index outside are refused",
        |l, frame, m| {
            let indices = l.int_tensor_argument(frame, m, 0)?;
            let values = l.tensor_argument(frame, m, 1)?;
            let rows = match m.get(2).cloned() {
                Some((Value::Dim(dim), _)) => dim,
                Some((value, at)) => Dim::known(l.count(&value, at)?),
                None => return Err(Reported),
            };
            l.add(frame, m.span, ops::ScatterAdd { rows }, &[indices, values]).map(Value::Tensor)
        },
    ),
    row(
        "put_along",
        &["indices", "values", "extent", "axis?"],
        "values added up along an axis of `extent` places, where i32 indices in their shape say: the transpose of `take_along`",
        |l, frame, m| {
            let indices = l.int_tensor_argument(frame, m, 0)?;
            let values = l.tensor_argument(frame, m, 1)?;
            let extent = match m.get(2).cloned() {
                Some((Value::Dim(dim), _)) => dim,
                Some((value, at)) => Dim::known(l.count(&value, at)?),
                None => return Err(Reported),
            };
            let rank = l.ty(values).rank();
            let axis = axis_at(l, m, 3, rank)?;
            l.add(frame, m.span, ops::PutAlong { axis, extent }, &[indices, values]).map(Value::Tensor)
        },
    ),
    row(
        "linear_recurrence",
        &["factors", "summands", "axis?", "reverse?"],
        "y[i] = factors[i] y[i - 1] + summands[i] along an axis, from 0: moving averages, discounted sums",
        |l, frame, m| {
            let reverse = l.bool_argument(m, 3, false)?;
            let (factors, summands) = (l.tensor_argument(frame, m, 0)?, l.tensor_argument(frame, m, 1)?);
            let rank = l.ty(summands).rank();
            let axis = axis_at(l, m, 2, rank)?;
            l.add(frame, m.span, ops::LinearRecurrence { axis, reverse }, &[factors, summands]).map(Value::Tensor)
        },
    ),
    row(
        "take_along",
        &["x", "indices", "axis?"],
        "elements along an axis by i32 indices of as many axes",
        |l, frame, m| {
            let x = l.tensor_argument(frame, m, 0)?;
            let indices = l.int_tensor_argument(frame, m, 1)?;
            let rank = l.ty(x).rank();
            let axis = match m.get(2).cloned() {
                Some((value, at)) => l.axis(&value, rank, at)?,
                None => rank.saturating_sub(1),
            };
            l.add(frame, m.span, ops::TakeAlong { axis, fill: Scalar(f64::NAN) }, &[x, indices]).map(Value::Tensor)
        },
    ),
    row("pick", &["x", "indices"], "one element of each row of the last axis, by i32 index", |l, frame, m| {
        let x = l.tensor_argument(frame, m, 0)?;
        let indices = l.int_tensor_argument(frame, m, 1)?;
        let shape = l.ty(indices).shape.clone();
        let x_shape = l.ty(x).shape.clone();
        if x_shape.split_last().is_none_or(|(_, rows)| rows != shape) {
            return Err(wrong_indices(l, x, indices, m));
        }
        // By ops that tell of missing values: the label of a row may be one.
        let column = [shape.as_slice(), &[Dim::known(1)]].concat();
        let column = l.add(frame, m.span, ops::Reshape { shape: column }, &[indices])?;
        let axis = l.ty(x).rank().saturating_sub(1);
        let take = ops::TakeAlong { axis, fill: Scalar(f64::NAN) };
        let picked = l.add(frame, m.span, take, &[x, column])?;
        l.add(frame, m.span, ops::Reshape { shape }, &[picked]).map(Value::Tensor)
    }),
];

fn along(l: &mut Emitter<'_>, frame: &Frame, m: &Matched, op: fn(usize) -> Op) -> Lowered<Value> {
    let x = l.tensor_argument(frame, m, 0)?;
    let rank = l.ty(x).rank();
    let axis = axis_or_last(l, m, rank)?;
    l.add(frame, m.span, op(axis), &[x]).map(Value::Tensor)
}

/// The axis that an argument names, the last without.
fn axis_at(l: &mut Emitter<'_>, m: &Matched, slot: usize, rank: usize) -> Lowered<usize> {
    match m.get(slot).cloned() {
        Some((value, at)) => l.axis(&value, rank, at),
        None => l.axis(&Value::integer(0), rank, m.span).map(|_| rank - 1),
    }
}

/// y[i] = x[i] y[i - 1], which begins as x does: a recurrence, so that zeros are no special case of the gradient.
fn cumulative_product(
    l: &mut Emitter<'_>,
    frame: &Frame,
    m: &Matched,
    x: TensorValue,
    (axis, reverse): (usize, bool),
) -> Lowered<TensorValue> {
    let turn = |l: &mut Emitter<'_>, x| l.add(frame, m.span, ops::Reverse { axes: vec![axis] }, &[x]);
    let factors = if reverse { turn(l, x)? } else { x };
    let ty = l.ty(x).clone();
    let places = TensorType::new(DType::I32, ty.shape.clone());
    let place = l.add(frame, m.span, ops::Iota { axis, ty: places.clone() }, &[])?;
    let zero = l.constant(frame, m.span, 0.0, &places);
    let is_first = l.add(frame, m.span, ops::Equal, &[place, zero])?;
    let nothing = l.constant(frame, m.span, 0.0, &ty);
    let start = l.add(frame, m.span, ops::Select, &[is_first, factors, nothing])?;
    let product = l.add(frame, m.span, ops::LinearRecurrence { axis, reverse: false }, &[factors, start])?;
    if reverse { turn(l, product) } else { Ok(product) }
}

/// One index a row is asked for; a column of labels is the usual mistake.
fn wrong_indices(l: &mut Emitter<'_>, x: TensorValue, indices: TensorValue, m: &Matched) -> Reported {
    let (x_ty, ty) = (l.ty(x).clone(), l.ty(indices).clone());
    let at = m.get(1).map_or(m.span, |(_, at)| *at);
    let mut finding = Diagnostic::error(Code::E0301, format!("one index for each row of {x_ty} is taken, found {ty}"))
        .at(at, "a row is the last axis");
    if let (Some((last, rows)), Some((_, x_rows))) = (ty.shape.split_last(), x_ty.shape.split_last())
        && last.is_one()
        && rows == x_rows
    {
        let part = if rows.len() == 1 { "[:, 0]" } else { "[..., 0]" };
        let own = TensorType::new(ty.dtype, rows.to_vec());
        finding = finding.with_help(match l.graphs.data_name(indices) {
            Some((kind, name)) => {
                format!("labels are `{own}`: write `{name}{part}`, or declare `{} {name}: {own}`", kind.as_str())
            }
            None => format!("labels are `{own}`: write `{part}` behind the value"),
        });
    }
    l.report(finding)
}
