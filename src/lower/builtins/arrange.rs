//! Elements put elsewhere: padding, repetition, and the transpose of a convolution.

use super::window::padding as padding_of;
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
        &["x", "kernel", "strides?", "padding?", "dilation?", "groups?", "output_padding?"],
        "x [batch, S..., F] by a kernel [K..., C/groups, F]: the transpose of the convolution from C to F channels",
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
/// the stride times those of x. With `output_padding`, or with a padding in numbers, (n - 1) stride + reach - padding + output_padding.
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
    let groups = match m.get(5).cloned() {
        Some((value, at)) => l.count(&value, at)?,
        None => 1,
    };
    let reach: Vec<usize> =
        window.iter().zip(&dilation).map(|(k, d)| k.saturating_sub(1).saturating_mul(*d) + 1).collect();
    let (padding, extra) = transposed_windows(l, m, &reach, &strides)?;
    let mut shape: Shape = vec![x_ty.shape[0].clone()];
    for axis in 0..n {
        let grown = x_ty.shape[axis + 1].mul(&Dim::known(strides[axis])).and_then(|dim| dim.offset(extra[axis]));
        let Some(extent) = grown else {
            return Err(l.error(Code::E0701, m.span, "this tensor has too many elements", "beyond the limits"));
        };
        shape.push(extent);
    }
    let Some(channels) = kernel_ty.shape[n].mul(&Dim::known(groups)) else {
        return Err(l.error(Code::E0701, m.span, "this tensor has too many channels", "beyond the limits"));
    };
    shape.push(channels);
    let padding = match padding {
        Some(padding) => padding,
        None => padding_of(l, m, 3, &shape[1..=n], &reach, &strides)?,
    };
    let attributes = ConvolutionAttributes { windows: Windows { strides, dilation, padding }, groups };
    l.add(frame, m.span, ops::ConvolutionInputGradient { attributes, shape }, &[x, kernel]).map(Value::Tensor)
}

/// Zeros before and after each axis; `None` where what the result's extents ask for is taken.
type Padding = Option<Vec<(usize, usize)>>;

/// The padding, and how much longer each axis of the result is than the stride times that of x.
fn transposed_windows(
    l: &mut Emitter<'_>,
    m: &Matched,
    reach: &[usize],
    strides: &[usize],
) -> Lowered<(Padding, Vec<i64>)> {
    let n = reach.len();
    let is_text = |wanted: &str| matches!(m.get(3), Some((Value::Text(text), _)) if &**text == wanted);
    let more = match m.get(6) {
        None | Some((Value::None, _)) => None,
        Some(_) => Some(l.counts(m, 6, n, 0)?),
    };
    let is_named = m.get(3).is_none() || matches!(m.get(3), Some((Value::Text(_), _)));
    if is_named && more.is_none() {
        let extra = |axis: usize| if is_text("same") { 0 } else { reach[axis].saturating_sub(strides[axis]) as i64 };
        return Ok((None, (0..n).map(extra).collect()));
    }
    let more = more.unwrap_or_else(|| vec![0; n]);
    if let Some(axis) = (0..n).find(|axis| more[*axis] >= strides[*axis]) {
        let at = m.get(6).map_or(m.span, |(_, at)| *at);
        let headline = format!("an output padding of {} for a stride of {}", more[axis], strides[axis]);
        return Err(l.error(Code::E0303, at, headline, "expected less than the stride"));
    }
    let padding = if is_text("same") {
        reach.iter().map(|reach| (reach / 2, reach / 2)).collect()
    } else {
        padding_of(l, m, 3, &vec![Dim::known(1); n], reach, strides)?
    };
    let extra = |axis: usize| {
        let (low, high) = padding[axis];
        (reach[axis] + more[axis]) as i64 - (strides[axis] + low + high) as i64
    };
    let extra = (0..n).map(extra).collect();
    Ok((Some(padding), extra))
}
