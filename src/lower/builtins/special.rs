//! What makes it a language for losses: `stop`, `grad`; small matrices; and randomness.

use super::grad::grad;
use super::{Builtin, call_row, module_row, row};
use crate::diag::Code;
use crate::ir::{DType, Dim, TensorType};
use crate::lower::arguments::{Arguments, Matched};
use crate::lower::emit::Emitter;
use crate::lower::value::{Frame, TensorValue, Value, Which};
use crate::lower::{Lowered, Lowering};
use crate::ops::{self, Distribution, InputKind, Scalar};

/// Deeper stacks than this are no model.
const MAX_REPEATS: usize = 1000;

pub(super) static ROWS: &[Builtin] = &[
    row("stop", &["x"], "the value of x, and no gradient through it", |l, frame, m| match m.get(0).cloned() {
        Some((value @ (Value::Number { .. } | Value::Dim(_)), _)) => Ok(value),
        _ => {
            let x = l.tensor_argument(frame, m, 0)?;
            l.add(frame, m.span, ops::StopGradient, &[x]).map(Value::Tensor)
        }
    }),
    module_row(
        "grad",
        &["y", "x"],
        "the derivative of a scalar or per-sample y by x, itself differentiable; by a list or a pattern, that of each",
        grad,
    )
    .of_groups(),
    row(
        "by_mode",
        &["training", "prediction"],
        "one value in the training program, another in the prediction program",
        |l, frame, m| {
            let (Some(training), Some(prediction)) = (m.get(0).cloned(), m.get(1).cloned()) else {
                return Err(crate::lower::Reported);
            };
            let aligned = l.align(frame, "choose between", vec![training, prediction], m.span)?;
            l.add(frame, m.span, ops::ByMode, &aligned).map(Value::Tensor)
        },
    ),
    row("solve", &["matrix", "values"], "x with matrix x = values", |l, frame, m| {
        let (a, b) = (l.tensor_argument(frame, m, 0)?, l.tensor_argument(frame, m, 1)?);
        l.add(frame, m.span, ops::Solve { transpose: false }, &[a, b]).map(Value::Tensor)
    }),
    row(
        "eigh",
        &["matrix"],
        "of a symmetric matrix the eigenvalues, ascending, and the eigenvectors in columns: a list of the two",
        eigh,
    ),
    row(
        "pinv",
        &["matrix", "tolerance?"],
        "the pseudo-inverse of a symmetric matrix; eigenvalues up to `tolerance` (1e-6) times the largest count as 0",
        |l, frame, m| {
            let matrix = l.tensor_argument(frame, m, 0)?;
            let tolerance = match m.get(1).cloned() {
                Some((value, at)) => l.number(&value, at)?,
                None => 1e-6,
            };
            l.add(frame, m.span, ops::Pinv { tolerance: Scalar(tolerance) }, &[matrix]).map(Value::Tensor)
        },
    ),
    row(
        "simplex_qp",
        &["gram", "linear?"],
        "the weights w on the simplex with the least ½ wᵀ G w + cᵀ w, c = `linear` or 0; no gradient",
        |l, frame, m| {
            let mut operands = vec![l.tensor_argument(frame, m, 0)?];
            if m.get(1).is_some() {
                operands.push(l.tensor_argument(frame, m, 1)?);
            }
            l.add(frame, m.span, ops::SimplexQp, &operands).map(Value::Tensor)
        },
    ),
    row("nonneg_qp", &["gram", "bound"], "v ≥ bound with the least vᵀ G v; no gradient", |l, frame, m| {
        let (gram, bound) = (l.tensor_argument(frame, m, 0)?, l.tensor_argument(frame, m, 1)?);
        l.add(frame, m.span, ops::NonnegQp, &[gram, bound]).map(Value::Tensor)
    }),
    call_row(
        "repeat",
        &["x", "count", "layer"],
        "a layer applied `count` times, each time a new instance; a named layer shares its params with itself",
        repeat,
    ),
    row("random_uniform", &["shape"], "uniform on [0, 1), new each step", |l, frame, m| {
        random(l, frame, m, Distribution::Uniform)
    }),
    row("random_normal", &["shape"], "standard normal, new each step", |l, frame, m| {
        random(l, frame, m, Distribution::Normal)
    }),
];

fn eigh(l: &mut Emitter<'_>, frame: &Frame, m: &Matched) -> Lowered<Value> {
    let matrix = l.tensor_argument(frame, m, 0)?;
    let both = l.add(frame, m.span, ops::Eigh, &[matrix])?;
    let n = l.ty(matrix).shape[0].clone();
    let rows = |l: &mut Emitter<'_>, start: usize, count: Dim| {
        let starts = vec![Dim::known(start), Dim::known(0)];
        let part = ops::Slice { starts, extents: vec![count, n.clone()], strides: vec![1, 1] };
        l.add(frame, m.span, part, &[both])
    };
    let values = rows(l, 0, Dim::known(1))?;
    let values = l.add(frame, m.span, ops::Reshape { shape: vec![n.clone()] }, &[values])?;
    let vectors = rows(l, 1, n.clone())?;
    Ok(Value::List(vec![Value::Tensor(values), Value::Tensor(vectors)]))
}

fn repeat(l: &mut Lowering, frame: &mut Frame, m: &Matched) -> Lowered<Value> {
    let (Some((mut value, at)), Some((count, count_at)), Some((layer, layer_at))) =
        (m.get(0).cloned(), m.get(1).cloned(), m.get(2).cloned())
    else {
        return Err(crate::lower::Reported);
    };
    let count = l.emit().count(&count, count_at)?;
    if count > MAX_REPEATS {
        return Err(l.findings.error(
            Code::E0701,
            count_at,
            format!("{count} repetitions"),
            format!("at most {MAX_REPEATS} are expanded"),
        ));
    }
    for _ in 0..count {
        let arguments = Arguments { positional: vec![(value, at)], named: Vec::new() };
        value = l.call(frame, &layer, arguments, layer_at, m.span)?;
    }
    Ok(value)
}

fn random(l: &mut Emitter<'_>, frame: &Frame, m: &Matched, distribution: Distribution) -> Lowered<Value> {
    let Some((value, at)) = m.get(0).cloned() else { return Err(crate::lower::Reported) };
    let shape = l.shape(&value, None, at)?;
    let scalar = TensorType::scalar(DType::I32);
    let seed = l.leaf(InputKind::Seed, "seed", &scalar, m.span);
    let step = match l.graphs.outermost() {
        Which::Init => l.constant(frame, m.span, 0.0, &scalar),
        Which::Step | Which::Body(_) => l.step_clock(m.span),
    };
    let time = l.time(frame, m.span)?;
    let stream = l.graphs.stream(&frame.value_path);
    let op = ops::Random { distribution, stream, ty: TensorType::f32(shape) };
    let operands: Vec<TensorValue> = [seed, step].into_iter().chain(time).collect();
    l.add(frame, m.span, op, &operands).map(Value::Tensor)
}
