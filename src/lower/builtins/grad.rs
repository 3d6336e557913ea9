//! `grad(y, x)`: derivatives written out where they stand, and why one would be nothing.

use crate::autodiff::{barrier_span, gradient_path, gradient_reach};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Dim, Graph, NodeId};
use crate::lower::arguments::Matched;
use crate::lower::elsewhere::After;
use crate::lower::emit::Emitter;
use crate::lower::value::{Frame, Group, TensorValue, Value, Which};
use crate::lower::{DerivativeInfo, Direction, Lowered, Module, Reported};
use crate::ops::{self, Flow};
use crate::passes::{coordinates, forward_gradient, gradients};
use std::sync::Arc;

pub(super) fn grad(l: &mut Emitter<'_>, module: &mut Module, frame: &Frame, m: &Matched) -> Lowered<Value> {
    let y = l.tensor_argument(frame, m, 0)?;
    let xs = match m.get(1).cloned() {
        Some((Value::Group(group), _)) => {
            let tensors: Vec<TensorValue> = group.members.iter().map(|(_, tensor)| *tensor).collect();
            let found = of_each(l, module, frame, y, &tensors, m.span)?;
            let paths = group.members.iter().map(|(path, _)| path.clone());
            return Ok(Value::Group(Arc::new(Group { members: paths.zip(found).collect() })));
        }
        Some((Value::List(items), at)) if !items.is_empty() => {
            items.into_iter().map(|item| l.to_tensor(frame, item, at)).collect::<Lowered<Vec<_>>>()?
        }
        _ => {
            let x = l.tensor_argument(frame, m, 1)?;
            // One of the values that `it` stands for: its gradient is taken with those of the others.
            if y.which == Which::Step && l.graphs.siblings.contains(&x.node) {
                return of_sibling(l, module, frame, y, x, m.span).map(Value::Tensor);
            }
            return of_one(l, module, frame, y, x, m.span).map(Value::Tensor);
        }
    };
    let found = of_each(l, module, frame, y, &xs, m.span)?;
    Ok(Value::List(found.into_iter().map(Value::Tensor).collect()))
}

/// The derivatives by several values, taken together in reverse. Where y depends on one of them but not on another, that
/// one's is zero.
fn of_each(
    l: &mut Emitter<'_>,
    module: &mut Module,
    frame: &Frame,
    y: TensorValue,
    xs: &[TensorValue],
    span: Span,
) -> Lowered<Vec<TensorValue>> {
    let mut own = Vec::with_capacity(xs.len());
    for x in xs {
        check_types(l, y, *x, span)?;
        own.push(l.in_current(*x, span)?);
    }
    let is_reached = |x: &TensorValue| gradient_path(l.graphs.of(y.which), y.node, x.node).is_some();
    let Some(first) = own.first().copied() else { return Err(Reported) };
    if y.which == Which::Init || !own.iter().any(is_reached) {
        return Err(l.no_gradient(y, first, span));
    }
    let present = l.filled(frame, y, 0.0, span);
    let nodes: Vec<NodeId> = own.iter().map(|x| x.node).collect();
    let found = gradients(l.current(), present.node, &nodes);
    if y.which == Which::Step {
        let (span, direction) = (l.findings.user_span(span), Direction::Reverse);
        module.derivatives.push(DerivativeInfo {
            span,
            of: present.node,
            nodes: found.clone(),
            direction,
            coordinates: None,
        });
    }
    let mask = l.mask(y);
    for (x, node) in own.iter().zip(&found) {
        if let (Some(mask), true) = (mask.or(l.mask(*x)), l.ty(*x).shape.first().is_some_and(Dim::is_batch)) {
            l.set_mask(TensorValue { node: *node, which: y.which }, mask);
        }
    }
    Ok(found.into_iter().map(|node| TensorValue { node, which: y.which }).collect())
}

/// The derivative by one of several values in whose place others are put.
fn of_sibling(
    l: &mut Emitter<'_>,
    module: &mut Module,
    frame: &Frame,
    y: TensorValue,
    x: TensorValue,
    span: Span,
) -> Lowered<TensorValue> {
    let which = Which::Step;
    if !l.graphs.taken.contains_key(&(y.node, x.node)) {
        let siblings: Vec<TensorValue> =
            l.graphs.siblings.iter().map(|node| TensorValue { node: *node, which }).collect();
        let found = of_each(l, module, frame, y, &siblings, span)?;
        let pairs = siblings.iter().zip(&found).map(|(x, found)| ((y.node, x.node), found.node));
        l.graphs.taken.extend(pairs);
    }
    Ok(TensorValue { node: l.graphs.taken[&(y.node, x.node)], which })
}

/// Only numbers per sample, or one number, are differentiated, and only by floats.
fn check_types(l: &mut Emitter<'_>, y: TensorValue, x: TensorValue, span: Span) -> Lowered<()> {
    let (y_ty, x_ty) = (l.ty(y).clone(), l.ty(x).clone());
    if !y_ty.is_float() || !x_ty.is_float() {
        return Err(l.error(Code::E0302, span, format!("grad of {y_ty} by {x_ty}"), "both must be f32"));
    }
    if !y_ty.is_scalar() && !y_ty.is_per_sample() {
        return Err(l.report(
            Diagnostic::error(Code::E0303, format!("grad of {y_ty}"))
                .at(span, "y must be `f32[batch]` or `f32`")
                .with_help("reduce y first, or take one component: `y[:, 0]`"),
        ));
    }
    Ok(())
}

fn of_one(
    l: &mut Emitter<'_>,
    module: &mut Module,
    frame: &Frame,
    y: TensorValue,
    x: TensorValue,
    span: Span,
) -> Lowered<TensorValue> {
    check_types(l, y, x, span)?;
    let after = l.graphs.afters.iter().find(|after| y.which == Which::Step && after.place == y.node).copied();
    if let Some(after) = after {
        return of_next(l, frame, after, x, span);
    }
    if y.which == Which::Init || gradient_path(l.graphs.of(y.which), y.node, x.node).is_none() {
        return Err(l.no_gradient(y, x, span));
    }
    let masks = [l.mask(y), l.mask(x)];
    let present = l.filled(frame, y, 0.0, span);
    let result = TensorValue { node: derivative(l, module, present, x.node, span), which: present.which };
    if let (Some(mask), true) = (masks[0].or(masks[1]), l.ty(x).shape.first().is_some_and(Dim::is_batch)) {
        l.set_mask(result, mask);
    }
    Ok(result)
}

/// The derivative of a value at the next params: it is written out when these are known, and until then a node stands for it.
fn of_next(l: &mut Emitter<'_>, frame: &Frame, after: After, x: TensorValue, span: Span) -> Lowered<TensorValue> {
    let place = l.add(frame, span, ops::StopGradient, &[x])?;
    let span = l.findings.user_span(span);
    l.graphs.afters.push(After { place: place.node, by: Some(x.node), span, ..after });
    Ok(place)
}

/// Writes a derivative out, in the direction that was asked for as far as it can be taken. Inside a loop it is taken in reverse.
fn derivative(l: &mut Emitter<'_>, module: &mut Module, y: TensorValue, x: NodeId, span: Span) -> NodeId {
    if y.which != Which::Step {
        return gradients(l.current(), y.node, &[x])[0];
    }
    let wanted = l.graphs.directions.get(module.derivatives.len()).copied().unwrap_or_default();
    let coordinates = coordinates(&l.graphs.step, y.node, x);
    let (direction, node) = match (wanted, coordinates) {
        (Direction::Forward, Some(coordinates)) => {
            (Direction::Forward, forward_gradient(&mut l.graphs.step, y.node, x, coordinates))
        }
        (Direction::Forward, None) | (Direction::Reverse, _) => {
            (Direction::Reverse, gradients(&mut l.graphs.step, y.node, &[x])[0])
        }
    };
    let span = l.findings.user_span(span);
    module.derivatives.push(DerivativeInfo { span, of: y.node, nodes: vec![node], direction, coordinates });
    node
}

/// Whether `y` is computed from `x`, by any path.
fn depends_on(graph: &Graph, y: NodeId, x: NodeId) -> bool {
    graph.slice_back([y])[x.index()]
}

impl Emitter<'_> {
    /// Says why the gradient of `y` by `x` is nothing: no dependence, a `stop`, or an op that is flat everywhere.
    fn no_gradient(&mut self, y: TensorValue, x: TensorValue, span: Span) -> Reported {
        let graph = self.graphs.of(y.which);
        let depends = y.which != Which::Init && x.which == y.which && depends_on(graph, y.node, x.node);
        if !depends {
            return self.report(
                Diagnostic::error(Code::E0505, "`grad(y, x)` where y does not depend on x")
                    .at(span, "the derivative is zero everywhere")
                    .with_help("x must be a value that y is computed from, not another one of the same kind"),
            );
        }
        let graph = self.graphs.of(y.which);
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
}
