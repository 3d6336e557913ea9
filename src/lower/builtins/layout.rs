//! Shapes: what they are, and values under other ones.

use super::{Builtin, row};
use crate::diag::Code;
use crate::ir::{DType, Dim, Shape, TensorType, element_count};
use crate::lower::arguments::Matched;
use crate::lower::emit::Emitter;
use crate::lower::value::{Frame, Group, TensorValue, Value};
use crate::lower::{Lowered, Reported};
use crate::ops;
use std::sync::Arc;

pub(super) static ROWS: &[Builtin] = &[
    row("shape", &["x"], "the extents, as a list", |l, frame, m| {
        let x = l.tensor_argument(frame, m, 0)?;
        Ok(Value::List(l.ty(x).shape.iter().map(Value::dim).collect()))
    }),
    row("rank", &["x"], "the number of axes", |l, frame, m| {
        let x = l.tensor_argument(frame, m, 0)?;
        Ok(Value::integer(l.ty(x).rank()))
    }),
    row("len", &["list"], "the number of elements of a list", |l, _, m| match m.get(0).cloned() {
        Some((Value::List(items), _)) => Ok(Value::integer(items.len())),
        Some((other, at)) => {
            let found = l.describe(&other);
            Err(l.error(Code::E0304, at, format!("expected a list, found {found}"), "not a list"))
        }
        None => Err(crate::lower::Reported),
    })
    .of_lists(),
    row("is_list", &["value"], "whether a value is a list, at compile time", |_, _, m| {
        Ok(Value::Bool(matches!(m.get(0), Some((Value::List(_), _)))))
    })
    .of_lists(),
    row(
        "product",
        &["x", "axes?", "keep?"],
        "the product over axes, or of a list of numbers or extents",
        |l, frame, m| {
            let Some((Value::List(items), at)) = m.get(0).cloned() else { return super::reduce::product(l, frame, m) };
            let mut product = Value::integer(1);
            for item in items {
                product = l.binary(frame, crate::syntax::ast::BinaryOp::Multiply, (product, at), (item, at), m.span)?;
            }
            Ok(product)
        },
    )
    .of_groups(),
    row("reshape", &["x", "shape"], "the same elements under another shape; one extent may be -1", |l, frame, m| {
        let x = l.tensor_argument(frame, m, 0)?;
        let total = element_count(&l.ty(x).shape);
        let Some((value, at)) = m.get(1).cloned() else { return Err(crate::lower::Reported) };
        let shape = l.shape(&value, total.as_ref(), at)?;
        reshaped(l, frame, m, x, shape)
    }),
    row("squeeze", &["x", "axes?"], "x without axes of extent 1: all of them by default", squeeze),
    row("unsqueeze", &["x", "axis"], "x with a new axis of extent 1, at this place of the result", unsqueeze),
    row("transpose", &["x", "axes?"], "the axes in another order (reversed by default)", |l, frame, m| {
        let x = l.tensor_argument(frame, m, 0)?;
        let rank = l.ty(x).rank();
        let permutation = match m.get(1).cloned() {
            None => (0..rank).rev().collect(),
            Some((Value::List(items), at)) => {
                items.iter().map(|item| l.axis(item, rank, at)).collect::<Lowered<Vec<usize>>>()?
            }
            Some((_, at)) => return Err(l.error(Code::E0304, at, "the order of axes is a list", "not a list")),
        };
        l.add(frame, m.span, ops::Transpose { permutation }, &[x]).map(Value::Tensor)
    }),
    row(
        "broadcast",
        &["x", "shape"],
        "the value repeated to a shape whose trailing axes are its own",
        |l, frame, m| {
            let x = l.tensor_argument(frame, m, 0)?;
            let Some((value, at)) = m.get(1).cloned() else { return Err(crate::lower::Reported) };
            let shape = l.shape(&value, None, at)?;
            let rank = l.ty(x).rank();
            if rank > shape.len() {
                return Err(l.error(
                    Code::E0301,
                    at,
                    format!("a value with {rank} axes does not fit {} axes", shape.len()),
                    "too few",
                ));
            }
            let axes = (shape.len() - rank..shape.len()).collect();
            l.add(frame, m.span, ops::Broadcast { shape, axes }, &[x]).map(Value::Tensor)
        },
    ),
    row(
        "concat",
        &["values", "axis?"],
        "values one after another along an axis (the last by default)",
        |l, frame, m| {
            let values = list(l, m)?;
            let mut tensors = Vec::with_capacity(values.len());
            for value in values {
                tensors.push(l.to_tensor(frame, value, m.span)?);
            }
            let Some(first) = tensors.first() else {
                return Err(l.error(Code::E0303, m.span, "`concat` needs at least one value", "an empty list"));
            };
            let rank = l.ty(*first).rank();
            let axis = axis_or_last(l, m, rank)?;
            l.add(frame, m.span, ops::Concat { axis }, &tensors).map(Value::Tensor)
        },
    )
    .of_lists(),
    row("stack", &["values", "axis?"], "values of one shape along a new axis, the first by default", stack).of_groups(),
    row("unstack", &["x", "axis?"], "the slices of x along an axis (the first by default), as a list", unstack)
        .of_groups(),
    row("full", &["shape", "value"], "a tensor of one value", |l, frame, m| {
        let (Some((shape, at)), Some((value, value_at))) = (m.get(0).cloned(), m.get(1).cloned()) else {
            return Err(crate::lower::Reported);
        };
        let shape = l.shape(&shape, None, at)?;
        let value = l.number(&value, value_at)?;
        if element_count(&shape).is_none() {
            return Err(l.error(Code::E0701, at, "this tensor has too many elements", "beyond the limits"));
        }
        Ok(Value::Tensor(l.constant(frame, m.span, value, &TensorType::f32(shape))))
    }),
    row("zeros_like", &["x"], "zeros in the shape of x", |l, frame, m| like(l, frame, m, 0.0)),
    row("ones_like", &["x"], "ones in the shape of x", |l, frame, m| like(l, frame, m, 1.0)),
    row("positions", &["n"], "0, 1, …, n - 1, as i32", |l, frame, m| {
        let dim = match m.get(0).cloned() {
            Some((Value::Dim(dim), _)) => dim,
            Some((value, at)) => Dim::known(l.count(&value, at)?),
            None => return Err(crate::lower::Reported),
        };
        let ty = TensorType::new(DType::I32, vec![dim]);
        l.add(frame, m.span, ops::Iota { axis: 0, ty }, &[]).map(Value::Tensor)
    }),
];

fn stack(l: &mut Emitter<'_>, frame: &Frame, m: &Matched) -> Lowered<Value> {
    let values = match m.get(0).cloned() {
        Some((Value::Group(group), _)) => group.values(),
        _ => list(l, m)?,
    };
    // Bundles are stacked member by member.
    if values.iter().any(|value| matches!(value, Value::Group(_))) {
        let values: Vec<_> = values.into_iter().map(|value| Some((value, m.span))).collect();
        return l.each(frame, &values, m.span, |l, own| {
            let own = own.into_iter().flatten().map(|(value, _)| value).collect();
            let mut values = m.values.clone();
            values[0] = Some((Value::List(own), m.span));
            stack(l, frame, &Matched { values, ..m.clone() })
        });
    }
    let stacked = l.to_tensor(frame, Value::List(values), m.span)?;
    let rank = l.ty(stacked).rank();
    let axis = match m.get(1).cloned() {
        Some((value, at)) => l.axis(&value, rank, at)?,
        None => 0,
    };
    if axis == 0 {
        return Ok(Value::Tensor(stacked));
    }
    let permutation = (1..=axis).chain([0]).chain(axis + 1..rank).collect();
    l.add(frame, m.span, ops::Transpose { permutation }, &[stacked]).map(Value::Tensor)
}

/// A longer list is a mistake, not a model.
const MAX_SLICES: usize = 10_000;

/// The slices of each member of a bundle: a list of bundles.
fn unstack_bundle(l: &mut Emitter<'_>, frame: &Frame, m: &Matched, group: &Group) -> Lowered<Value> {
    let mut bundles: Vec<Vec<(Arc<str>, TensorValue)>> = Vec::new();
    for (at, (name, tensor)) in group.members.iter().enumerate() {
        let mut values = m.values.clone();
        values[0] = Some((Value::Tensor(*tensor), m.span));
        let Value::List(slices) = unstack(l, frame, &Matched { values, ..m.clone() })? else { return Err(Reported) };
        if at == 0 {
            bundles.resize_with(slices.len(), Vec::new);
        }
        if slices.len() != bundles.len() {
            let headline =
                format!("`unstack` gives {} slices of `{name}` and {} of others", slices.len(), bundles.len());
            return Err(l.error(Code::E0301, m.span, headline, "must be equally many"));
        }
        for (bundle, slice) in bundles.iter_mut().zip(slices) {
            bundle.push((name.clone(), l.to_tensor(frame, slice, m.span)?));
        }
    }
    Ok(Value::List(bundles.into_iter().map(|members| Value::Group(Arc::new(Group { members }))).collect()))
}

fn unstack(l: &mut Emitter<'_>, frame: &Frame, m: &Matched) -> Lowered<Value> {
    if let Some((Value::Group(group), _)) = m.get(0) {
        return unstack_bundle(l, frame, m, &group.clone());
    }
    let x = l.tensor_argument(frame, m, 0)?;
    let extents = l.ty(x).shape.clone();
    let axis = match m.get(1).cloned() {
        Some((value, at)) => l.axis(&value, extents.len(), at)?,
        None => l.axis(&Value::integer(0), extents.len(), m.span)?,
    };
    let count = match extents[axis].as_known() {
        Some(count) if count <= MAX_SLICES => count,
        Some(count) => {
            let headline = format!("a list of {count} slices");
            return Err(l.error(Code::E0701, m.span, headline, format!("at most {MAX_SLICES}")));
        }
        None => {
            let headline = format!("`unstack` along `{}`, a run-time dim", extents[axis]);
            return Err(l.error(Code::E0305, m.span, headline, "a list has a length that is known at compile time"));
        }
    };
    let mut shape = extents.clone();
    shape.remove(axis);
    let mut slices = Vec::with_capacity(count);
    for at in 0..count {
        let (mut starts, mut extents) = (vec![Dim::known(0); extents.len()], extents.clone());
        (starts[axis], extents[axis]) = (Dim::known(at), Dim::known(1));
        let strides = vec![1; extents.len()];
        let slice = l.add(frame, m.span, ops::Slice { starts, extents, strides }, &[x])?;
        slices.push(Value::Tensor(l.add(frame, m.span, ops::Reshape { shape: shape.clone() }, &[slice])?));
    }
    Ok(Value::List(slices))
}

fn squeeze(l: &mut Emitter<'_>, frame: &Frame, m: &Matched) -> Lowered<Value> {
    let x = l.tensor_argument(frame, m, 0)?;
    let ty = l.ty(x).clone();
    let axes = if m.get(1).is_none_or(|(value, _)| matches!(value, Value::None)) {
        (0..ty.rank()).filter(|axis| ty.shape[*axis].is_one()).collect()
    } else {
        l.axes(m, 1, ty.rank())?
    };
    if let Some(axis) = axes.iter().find(|axis| !ty.shape[**axis].is_one()) {
        let at = m.get(1).map_or(m.span, |(_, at)| *at);
        let headline = format!("axis {axis} of {ty} has more than one element");
        return Err(l.error(Code::E0303, at, headline, "only an axis of extent 1 can go"));
    }
    let kept = (0..ty.rank()).filter(|axis| !axes.contains(axis)).map(|axis| ty.shape[axis].clone());
    reshaped(l, frame, m, x, kept.collect())
}

fn unsqueeze(l: &mut Emitter<'_>, frame: &Frame, m: &Matched) -> Lowered<Value> {
    let x = l.tensor_argument(frame, m, 0)?;
    let Some((axis, at)) = m.get(1).cloned() else { return Err(crate::lower::Reported) };
    let mut shape = l.ty(x).shape.clone();
    let axis = l.axis(&axis, shape.len() + 1, at)?;
    shape.insert(axis, Dim::known(1));
    reshaped(l, frame, m, x, shape)
}

fn reshaped(l: &mut Emitter<'_>, frame: &Frame, m: &Matched, x: TensorValue, shape: Shape) -> Lowered<Value> {
    if l.ty(x).shape == shape {
        return Ok(Value::Tensor(x));
    }
    l.add(frame, m.span, ops::Reshape { shape }, &[x]).map(Value::Tensor)
}

pub(super) fn list(l: &mut Emitter<'_>, m: &Matched) -> Lowered<Vec<Value>> {
    match m.get(0).cloned() {
        Some((Value::List(items), _)) => Ok(items),
        Some((other, at)) => {
            let found = l.describe(&other);
            Err(l.error(Code::E0304, at, format!("expected a list of values, found {found}"), "write `[a, b]`"))
        }
        None => Err(crate::lower::Reported),
    }
}

pub(super) fn axis_or_last(l: &mut Emitter<'_>, m: &Matched, rank: usize) -> Lowered<usize> {
    match m.get(1).cloned() {
        Some((value, at)) => l.axis(&value, rank, at),
        None => l.axis(&Value::Number { value: -1.0, is_integer: true }, rank, m.span),
    }
}

/// Only the type of the operand counts, so it may belong to another graph.
fn like(l: &mut Emitter<'_>, frame: &Frame, m: &Matched, value: f64) -> Lowered<Value> {
    let ty = match m.get(0).cloned() {
        Some((Value::Tensor(tensor), _)) => l.ty(tensor).clone(),
        Some((other, at)) => {
            let tensor = l.to_tensor(frame, other, at)?;
            l.ty(tensor).clone()
        }
        None => return Err(crate::lower::Reported),
    };
    Ok(Value::Tensor(l.constant(frame, m.span, value, &ty)))
}
