//! What makes it a language for losses: `stop`, `grad`; and randomness.

use super::{Builtin, row};
use crate::autodiff::{barrier_span, gradient_path, gradient_reach};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{DType, Dim, Graph, NodeId, TensorType};
use crate::lower::arguments::{Arguments, Matched};
use crate::lower::value::{Frame, TensorValue, Value, Which};
use crate::lower::{DerivativeInfo, Direction, Lowered, Lowering};
use crate::ops::{self, Distribution, Flow, InputKind};
use crate::passes::{coordinates, forward_gradient, gradients};
use std::sync::Arc;

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
            l.add(frame, m.span, ops::ByMode, &aligned).map(Value::Tensor)
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
    row(
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
    if y.which == Which::Init || gradient_path(l.graph_of(y.which), y.node, x.node).is_none() {
        return Err(l.no_gradient(y, x, m.span));
    }
    let masks = [l.mask(y), l.mask(x)];
    let present = l.filled(frame, y, 0.0, m.span);
    let result = TensorValue { node: derivative(l, present, x.node, m.span), which: present.which };
    if let (Some(mask), true) = (masks[0].or(masks[1]), x_ty.shape.first().is_some_and(Dim::is_batch)) {
        l.set_mask(result, mask);
    }
    Ok(Value::Tensor(result))
}

/// Writes a derivative out, in the direction that was asked for as far as it can be taken. Inside a loop it is taken in reverse.
fn derivative(l: &mut Lowering, y: TensorValue, x: NodeId, span: Span) -> NodeId {
    if y.which != Which::Step {
        return gradients(l.current(), y.node, &[x])[0];
    }
    let wanted = l.directions.get(l.module.derivatives.len()).copied().unwrap_or_default();
    let coordinates = coordinates(&l.graph, y.node, x);
    let (direction, node) = match (wanted, coordinates) {
        (Direction::Forward, Some(coordinates)) => {
            (Direction::Forward, forward_gradient(&mut l.graph, y.node, x, coordinates))
        }
        _ => (Direction::Reverse, gradients(&mut l.graph, y.node, &[x])[0]),
    };
    l.module.derivatives.push(DerivativeInfo { span: l.user_span(span), direction, coordinates });
    node
}

/// Whether `y` is computed from `x`, by any path.
fn depends_on(graph: &Graph, y: NodeId, x: NodeId) -> bool {
    graph.slice_back([y])[x.index()]
}

fn repeat(l: &mut Lowering, frame: &mut Frame, m: &Matched) -> Lowered<Value> {
    let (Some((mut value, at)), Some((count, count_at)), Some((layer, layer_at))) =
        (m.get(0).cloned(), m.get(1).cloned(), m.get(2).cloned())
    else {
        return Err(crate::lower::Reported);
    };
    let count = l.count(&count, count_at)?;
    if count > MAX_REPEATS {
        return Err(l.error(
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

fn random(l: &mut Lowering, frame: &mut Frame, m: &Matched, distribution: Distribution) -> Lowered<Value> {
    let Some((value, at)) = m.get(0).cloned() else { return Err(crate::lower::Reported) };
    let shape = l.shape(&value, None, at)?;
    let scalar = TensorType::scalar(DType::I32);
    let seed = l.leaf(InputKind::Seed, "seed", &scalar, m.span);
    let step = match l.outermost() {
        Which::Init => l.constant(frame, m.span, 0.0, &scalar),
        _ => l.leaf(InputKind::Step, "step", &scalar, m.span),
    };
    let time = l.time(frame, m.span)?;
    let stream = l.stream(&frame.value_path.clone());
    let op = ops::Random { distribution, stream, ty: TensorType::f32(shape) };
    let operands: Vec<TensorValue> = [seed, step].into_iter().chain(time).collect();
    l.add(frame, m.span, op, &operands).map(Value::Tensor)
}

impl Lowering {
    /// Says why the gradient of `y` by `x` is nothing: no dependence, a `stop`, or an op that is flat everywhere.
    fn no_gradient(&mut self, y: TensorValue, x: TensorValue, span: Span) -> crate::lower::Reported {
        let graph = self.graph_of(y.which);
        let depends = y.which != Which::Init && x.which == y.which && depends_on(graph, y.node, x.node);
        if !depends {
            return self.report(
                Diagnostic::error(Code::E0505, "`grad(y, x)` where y does not depend on x")
                    .at(span, "the derivative is zero everywhere")
                    .with_help("x must be a value that y is computed from, not another one of the same kind"),
            );
        }
        let graph = self.graph_of(y.which);
        let reached = gradient_reach(graph, y.node);
        let mut above_x = vec![false; graph.len()];
        for id in graph.ids() {
            above_x[id.index()] = id == x.node || graph.operands(id).iter().any(|operand| above_x[operand.index()]);
        }
        let barrier = |flow: Flow| {
            graph.ids().rev().filter(|id| reached[id.index()]).find(|id| {
                let mut slots = graph.operands(*id).into_iter().enumerate();
                slots.any(|(slot, operand)| graph.op(*id).flow(slot) == flow && above_x[operand.index()])
            })
        };
        let place = |id: NodeId| barrier_span(graph, id);
        let finding = match (barrier(Flow::Stopped).map(place), barrier(Flow::Zero)) {
            (Some(stop), _) => Diagnostic::error(Code::E0505, "`grad(y, x)` where every path from y to x is stopped")
                .at(span, "the derivative is zero everywhere")
                .with_label(stop, "this `stop` closes the path"),
            (None, flat) => {
                let name = flat.map_or("an operation", |id| graph.op(id).name());
                let mut finding = Diagnostic::error(Code::E0504, format!("`{name}` has no derivative"))
                    .at(span, "this derivative would be zero everywhere");
                if let Some(id) = flat {
                    finding = finding.with_label(place(id), "y depends on x only through this");
                }
                finding.with_help(
                    "use a smooth function in its place, such as `softmax` for `argmax`, `sigmoid` for a comparison",
                )
            }
        };
        self.report(finding)
    }

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
