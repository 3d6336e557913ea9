//! Convolution and pooling over 1 to 3 spatial axes, channels last.
//!
//! `padding` is `"valid"` (none), `"same"` (as TensorFlow pads: the output has ceil(n / stride) positions, the odd zero comes
//! after), `"causal"` (all before), or a list of `[before, after]`, one an axis.

use super::{Builtin, row};
use crate::diag::{Code, Span};
use crate::ir::Dim;
use crate::lower::Lowered;
use crate::lower::arguments::Matched;
use crate::lower::emit::Emitter;
use crate::lower::value::{Frame, Value};
use crate::ops::convolution::{ConvolutionAttributes, Windows};
use crate::ops::windows::PoolAttributes;
use crate::ops::{self, Op};

pub(super) static ROWS: &[Builtin] = &[
    row(
        "convolution",
        &["x", "kernel", "strides?", "padding?", "dilation?", "groups?"],
        "x [batch, S..., C] under a kernel [K..., C/groups, F]",
        convolution,
    ),
    row(
        "max_pool",
        &["x", "window", "strides?", "padding?", "dilation?", "ceil?"],
        "the largest of each window; strides default to the window; with `ceil` also of a last one that is not full",
        |l, frame, m| pool(l, frame, m, |attributes| ops::MaxPool { attributes }.into()),
    ),
    row(
        "average_pool",
        &["x", "window", "strides?", "padding?", "dilation?", "ceil?"],
        "the mean of each window's real elements; strides default to the window; with `ceil` also of a last one that is not full",
        |l, frame, m| pool(l, frame, m, |attributes| ops::AveragePool { attributes }.into()),
    ),
];

fn convolution(l: &mut Emitter<'_>, frame: &Frame, m: &Matched) -> Lowered<Value> {
    let x = l.tensor_argument(frame, m, 0)?;
    let kernel = l.tensor_argument(frame, m, 1)?;
    let (x_ty, kernel_ty) = (l.ty(x).clone(), l.ty(kernel).clone());
    let n = x_ty.rank().saturating_sub(2);
    if kernel_ty.rank() != x_ty.rank() || n == 0 {
        return Err(l.error(
            Code::E0301,
            m.span,
            format!("a convolution of {x_ty} by a kernel {kernel_ty}"),
            "x is [batch, S..., C] and the kernel [K..., C, F] with as many axes",
        ));
    }
    let window: Option<Vec<usize>> = kernel_ty.shape[..n].iter().map(Dim::as_known).collect();
    let Some(window) = window else {
        return Err(l.error(Code::E0305, m.span, "the kernel's extents are not known at compile time", "here"));
    };
    let strides = l.counts(m, 2, n, 1)?;
    let dilation = l.counts(m, 4, n, 1)?;
    let groups = match m.get(5).cloned() {
        Some((value, at)) => l.count(&value, at)?,
        None => 1,
    };
    let reach: Vec<usize> =
        window.iter().zip(&dilation).map(|(k, d)| (k.saturating_sub(1)).saturating_mul(*d) + 1).collect();
    let padding = padding(l, m, 3, &x_ty.shape[1..=n], &reach, &strides)?;
    let windows = Windows { strides, dilation, padding };
    let op = ops::Convolution { attributes: ConvolutionAttributes { windows, groups } };
    l.add(frame, m.span, op, &[x, kernel]).map(Value::Tensor)
}

fn pool(l: &mut Emitter<'_>, frame: &Frame, m: &Matched, op: fn(PoolAttributes) -> Op) -> Lowered<Value> {
    let x = l.tensor_argument(frame, m, 0)?;
    let ty = l.ty(x).clone();
    let n = ty.rank().saturating_sub(2);
    if n == 0 {
        return Err(l.error(Code::E0301, m.span, format!("cannot pool {ty}"), "x is [batch, S..., C]"));
    }
    let window = l.counts(m, 1, n, 1)?;
    let strides = if m.get(2).is_some_and(|(value, _)| !matches!(value, Value::None)) {
        l.counts(m, 2, n, 1)?
    } else {
        window.clone()
    };
    let dilation = l.counts(m, 4, n, 1)?;
    let reach: Vec<usize> =
        window.iter().zip(&dilation).map(|(k, d)| k.saturating_sub(1).saturating_mul(*d) + 1).collect();
    let mut padding = padding(l, m, 3, &ty.shape[1..=n], &reach, &strides)?;
    if l.bool_argument(m, 5, false)? {
        for axis in 0..n {
            padding[axis].1 += last_window(l, m, &ty.shape[axis + 1], padding[axis], reach[axis], strides[axis])?;
        }
    }
    let windows = Windows { strides, dilation, padding };
    l.add(frame, m.span, op(PoolAttributes { window, windows }), &[x]).map(Value::Tensor)
}

/// What a last window, one that begins within the elements or before them but is not full, lacks behind the padding.
fn last_window(
    l: &mut Emitter<'_>,
    m: &Matched,
    extent: &Dim,
    (low, high): (usize, usize),
    reach: usize,
    stride: usize,
) -> Lowered<usize> {
    let Some(n) = extent.as_known() else {
        let headline = format!("`ceil` needs the extent `{extent}` at compile time");
        return Err(l.error(Code::E0305, m.span, headline, "write the padding out"));
    };
    let total = n.saturating_add(low).saturating_add(high);
    let Some(rest) = total.checked_sub(reach).filter(|_| stride > 0) else { return Ok(0) };
    let start = rest.div_ceil(stride) * stride;
    Ok(if rest % stride == 0 || start >= n + low { 0 } else { start + reach - total })
}

/// Zeros before and after each axis.
pub(super) fn padding(
    l: &mut Emitter<'_>,
    m: &Matched,
    slot: usize,
    spatial: &[Dim],
    reach: &[usize],
    strides: &[usize],
) -> Lowered<Vec<(usize, usize)>> {
    let n = spatial.len();
    match m.get(slot).cloned() {
        None => Ok(vec![(0, 0); n]),
        Some((Value::Text(text), at)) => match &*text {
            "valid" => Ok(vec![(0, 0); n]),
            "causal" => Ok(reach.iter().map(|reach| (reach - 1, 0)).collect()),
            "same" => (0..n).map(|axis| same(l, &spatial[axis], reach[axis], strides[axis], at)).collect(),
            other => Err(l.report(
                crate::diag::Diagnostic::error(Code::E0304, format!("unknown padding {other:?}"))
                    .at(at, "expected \"valid\", \"same\", \"causal\" or a list of [before, after]")
                    .with_suggestion(other, ["valid", "same", "causal"]),
            )),
        },
        Some((Value::List(items), at)) if items.len() == n => items.iter().map(|item| pair(l, item, at)).collect(),
        Some((Value::Number { .. }, at)) => {
            let Some((value, _)) = m.get(slot).cloned() else { return Ok(Vec::new()) };
            let count = l.count(&value, at)?;
            Ok(vec![(count, count); n])
        }
        Some((_, at)) => Err(l.error(
            Code::E0304,
            at,
            format!("the padding of {n} axes"),
            "expected \"valid\", \"same\", \"causal\", a number, or a list of [before, after], one an axis",
        )),
    }
}

fn pair(l: &mut Emitter<'_>, item: &Value, at: Span) -> Lowered<(usize, usize)> {
    match item {
        Value::List(pair) if pair.len() == 2 => Ok((l.count(&pair[0], at)?, l.count(&pair[1], at)?)),
        value => {
            let count = l.count(value, at)?;
            Ok((count, count))
        }
    }
}

fn same(l: &mut Emitter<'_>, extent: &Dim, reach: usize, stride: usize, at: Span) -> Lowered<(usize, usize)> {
    let total = if stride == 1 {
        reach - 1
    } else {
        let Some(n) = extent.as_known() else {
            return Err(l.error(
                Code::E0305,
                at,
                format!("\"same\" with a stride needs the extent `{extent}` at compile time"),
                "write the padding out",
            ));
        };
        (n.div_ceil(stride.max(1)).saturating_sub(1) * stride + reach).saturating_sub(n)
    };
    Ok((total / 2, total - total / 2))
}
