//! Elements put elsewhere: padding, repetition, and the transpose of a convolution.

use super::window::padding;
use super::{Builtin, row};
use crate::diag::Code;
use crate::ir::{Dim, Shape};
use crate::lower::arguments::Matched;
use crate::lower::emit::Emitter;
use crate::lower::value::{Frame, Value};
use crate::lower::{Lowered, Reported};
use crate::ops;
use crate::ops::convolution::{ConvolutionAttributes, Windows};

pub(super) static ROWS: &[Builtin] = &[
    row("pad", &["x", "amounts"], "zeros around x: a list of [before, after], one an axis", pad),
    row(
        "repeat_elements",
        &["x", "times", "axis?"],
        "each element along an axis (the last by default) several times in a row",
        repeat_elements,
    ),
    row(
        "convolution_transpose",
        &["x", "kernel", "strides?", "padding?", "dilation?"],
        "x [batch, S..., F] by a kernel [K..., C, F]: the transpose of the convolution from C to F channels",
        convolution_transpose,
    ),
];

fn pad(l: &mut Emitter<'_>, frame: &Frame, m: &Matched) -> Lowered<Value> {
    let x = l.tensor_argument(frame, m, 0)?;
    let extents = l.ty(x).shape.clone();
    let (items, at) = match m.get(1).cloned() {
        Some((Value::List(items), at)) if items.len() == extents.len() => (items, at),
        _ => {
            let n_axes = extents.len();
            return Err(l.error(
                Code::E0304,
                m.span,
                format!("the padding of {n_axes} axes"),
                "one [before, after] an axis",
            ));
        }
    };
    let (mut starts, mut shape): (Vec<Dim>, Shape) = (Vec::new(), Vec::new());
    for (item, extent) in items.iter().zip(&extents) {
        let (before, after) = match item {
            Value::List(pair) if pair.len() == 2 => (l.count(&pair[0], at)?, l.count(&pair[1], at)?),
            value => {
                let count = l.count(value, at)?;
                (count, count)
            }
        };
        let total = extent.offset((before + after) as i64);
        let Some(total) = total else {
            return Err(l.error(Code::E0701, at, "this padding is beyond the limits", "too large"));
        };
        starts.push(Dim::known(before));
        shape.push(total);
    }
    let strides = vec![1; extents.len()];
    l.add(frame, m.span, ops::Pad { starts, strides, shape }, &[x]).map(Value::Tensor)
}

fn repeat_elements(l: &mut Emitter<'_>, frame: &Frame, m: &Matched) -> Lowered<Value> {
    let x = l.tensor_argument(frame, m, 0)?;
    let Some((times, at)) = m.get(1).cloned() else { return Err(Reported) };
    let times = l.count(&times, at)?;
    let shape = l.ty(x).shape.clone();
    let axis = match m.get(2).cloned() {
        Some((value, at)) => l.axis(&value, shape.len(), at)?,
        None => l.axis(&Value::Number { value: -1.0, is_integer: true }, shape.len(), m.span)?,
    };
    let mut wide = shape.clone();
    wide.insert(axis + 1, Dim::known(times));
    let axes = (0..wide.len()).filter(|other| *other != axis + 1).collect();
    let mut result = shape;
    let Some(total) = result[axis].mul(&Dim::known(times)) else {
        return Err(l.error(Code::E0701, at, "this many repetitions are beyond the limits", "too many"));
    };
    result[axis] = total;
    let wide = l.add(frame, m.span, ops::Broadcast { shape: wide, axes }, &[x])?;
    l.add(frame, m.span, ops::Reshape { shape: result }, &[wide]).map(Value::Tensor)
}

/// The result has the extents that the convolution would be applied to: with "valid" the least that yield x, with "same"
/// the stride times those of x.
fn convolution_transpose(l: &mut Emitter<'_>, frame: &Frame, m: &Matched) -> Lowered<Value> {
    let x = l.tensor_argument(frame, m, 0)?;
    let kernel = l.tensor_argument(frame, m, 1)?;
    let (x_ty, kernel_ty) = (l.ty(x).clone(), l.ty(kernel).clone());
    let n = x_ty.rank().saturating_sub(2);
    let window: Option<Vec<usize>> = kernel_ty.shape.iter().take(n).map(Dim::as_known).collect();
    let Some(window) = window.filter(|_| n > 0 && kernel_ty.rank() == x_ty.rank()) else {
        return Err(l.error(
            Code::E0301,
            m.span,
            format!("a transposed convolution of {x_ty} by a kernel {kernel_ty}"),
            "x is [batch, S..., F] and the kernel [K..., C, F], its extents known",
        ));
    };
    let strides = l.counts(m, 2, n, 1)?;
    let dilation = l.counts(m, 4, n, 1)?;
    let is_same = matches!(m.get(3), Some((Value::Text(text), _)) if &**text == "same");
    let mut shape: Shape = vec![x_ty.shape[0].clone()];
    let mut reach = Vec::with_capacity(n);
    for axis in 0..n {
        let span = window[axis].saturating_sub(1).saturating_mul(dilation[axis]) + 1;
        let grown = x_ty.shape[axis + 1].mul(&Dim::known(strides[axis]));
        let extra = if is_same { 0 } else { span.saturating_sub(strides[axis]) };
        let Some(extent) = grown.and_then(|dim| dim.offset(extra as i64)) else {
            return Err(l.error(Code::E0701, m.span, "this tensor has too many elements", "beyond the limits"));
        };
        reach.push(span);
        shape.push(extent);
    }
    let padding = padding(l, m, 3, &shape[1..], &reach, &strides)?;
    shape.push(kernel_ty.shape[n].clone());
    let attributes = ConvolutionAttributes { windows: Windows { strides, dilation, padding }, groups: 1 };
    l.add(frame, m.span, ops::ConvolutionInputGradient { attributes, shape }, &[x, kernel]).map(Value::Tensor)
}
