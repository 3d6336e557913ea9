//! What makes it a language for losses: `stop`, `grad`; and randomness.

use super::{Builtin, row};
use crate::diag::{Code, Diagnostic};
use crate::ir::{DType, TensorType};
use crate::lower::arguments::Matched;
use crate::lower::value::{Frame, TensorValue, Value, Which};
use crate::lower::{Lowered, Lowering};
use crate::ops::{self, Distribution, InputKind};
use crate::passes::{gradient_path, gradients};
use std::sync::Arc;

pub(super) static ROWS: &[Builtin] = &[
    row("stop", &["x"], "the value of x, and no gradient through it", |l, frame, m| match m.get(0).cloned() {
        Some((value @ (Value::Number { .. } | Value::Dim(_)), _)) => Ok(value),
        _ => {
            let x = l.tensor_argument(frame, m, 0)?;
            l.add(frame, m.span, ops::StopGradient, &[x]).map(Value::Tensor)
        }
    }),
    row("grad", &["y", "x"], "the derivative of a scalar or per-sample y by x, itself differentiable", grad),
    row(
        "by_mode",
        &["training", "prediction"],
        "one value in the training program, another in the prediction program",
        |l, frame, m| {
            let (Some(training), Some(prediction)) = (m.get(0).cloned(), m.get(1).cloned()) else {
                return Err(crate::lower::Reported);
            };
            let aligned = l.align(frame, "choose between", vec![training, prediction], m.span)?;
            l.add(frame, m.span, ops::Mode, &aligned).map(Value::Tensor)
        },
    ),
    row("solve", &["matrix", "values"], "x with matrix x = values", |l, frame, m| {
        let (a, b) = (l.tensor_argument(frame, m, 0)?, l.tensor_argument(frame, m, 1)?);
        l.add(frame, m.span, ops::Solve { transpose: false }, &[a, b]).map(Value::Tensor)
    }),
    row("simplex_qp", &["gram"], "the weights on the simplex with the least wᵀ G w; no gradient", |l, frame, m| {
        let gram = l.tensor_argument(frame, m, 0)?;
        l.add(frame, m.span, ops::SimplexQp, &[gram]).map(Value::Tensor)
    }),
    row("nonneg_qp", &["gram", "bound"], "v ≥ bound with the least vᵀ G v; no gradient", |l, frame, m| {
        let (gram, bound) = (l.tensor_argument(frame, m, 0)?, l.tensor_argument(frame, m, 1)?);
        l.add(frame, m.span, ops::NonnegQp, &[gram, bound]).map(Value::Tensor)
    }),
    row("random_uniform", &["shape"], "uniform on [0, 1), new each step", |l, frame, m| {
        random(l, frame, m, Distribution::Uniform)
    }),
    row("random_normal", &["shape"], "standard normal, new each step", |l, frame, m| {
        random(l, frame, m, Distribution::Normal)
    }),
];

fn grad(l: &mut Lowering, frame: &mut Frame, m: &Matched) -> Lowered<Value> {
    let y = l.tensor_argument(frame, m, 0)?;
    let x = l.tensor_argument(frame, m, 1)?;
    let (y_ty, x_ty) = (l.ty(y).clone(), l.ty(x).clone());
    if !y_ty.is_float() || !x_ty.is_float() {
        return Err(l.error(Code::E0302, m.span, format!("grad of {y_ty} by {x_ty}"), "both must be f32"));
    }
    if !y_ty.is_scalar() && !y_ty.is_per_sample() {
        return Err(l.report(
            Diagnostic::error(Code::E0303, format!("grad of {y_ty}"))
                .at(m.span, "y must be `f32[batch]` or `f32`")
                .with_help("reduce y first, or take one component: `y[:, 0]`"),
        ));
    }
    if y.which == Which::Init || gradient_path(&l.graph, y.node, x.node).is_none() {
        return Err(l.report(
            Diagnostic::error(Code::E0505, "y does not depend on x by any differentiable path")
                .at(m.span, "the derivative is zero everywhere")
                .with_help("check for a `stop` on the way, or for x being a copy that y does not use"),
        ));
    }
    let node = gradients(&mut l.graph, y.node, &[x.node])[0];
    let _ = frame;
    Ok(Value::Tensor(TensorValue { node, which: Which::Step }))
}

fn random(l: &mut Lowering, frame: &mut Frame, m: &Matched, distribution: Distribution) -> Lowered<Value> {
    let Some((value, at)) = m.get(0).cloned() else { return Err(crate::lower::Reported) };
    let shape = l.shape(&value, None, at)?;
    let scalar = TensorType::scalar(DType::I32);
    let seed = l.leaf(InputKind::Seed, "seed", &scalar, m.span);
    let step = match l.which {
        Which::Step => l.leaf(InputKind::Step, "step", &scalar, m.span),
        Which::Init => l.constant(frame, m.span, 0.0, &scalar),
    };
    let stream = l.stream(&frame.value_path.clone());
    let op = ops::Random { distribution, stream, ty: TensorType::f32(shape) };
    l.add(frame, m.span, op, &[seed, step]).map(Value::Tensor)
}

impl Lowering {
    /// A stream number that depends on the path and on how many draws it made, not on the rest of the spec: a change
    /// elsewhere leaves a param's initial values as they are.
    fn stream(&mut self, path: &Arc<str>) -> u32 {
        let count = self.streams.entry(path.clone()).or_insert(0);
        *count += 1;
        // FNV-1a, 32 bits.
        let bytes = path.bytes().chain(count.to_le_bytes());
        bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
    }
}
