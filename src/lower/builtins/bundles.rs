//! Gradients of single losses as values. A bundle is what one loss's gradient is: a [`Group`] with a member for each shared
//! value, which is what the losses' gradients are taken by. Operators and functions work on bundles as on the params of a
//! pattern; a list of them holds one for each loss.

use super::{Builtin, call_row, module_row, row};
use crate::autodiff::gradient_reach;
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Dim, Graph, NodeId};
use crate::lower::arguments::{Arguments, Matched};
use crate::lower::elsewhere::copy_slice;
use crate::lower::emit::Emitter;
use crate::lower::graphs::Combined;
use crate::lower::value::{Frame, Group, TensorValue, Value, Which};
use crate::lower::{DirectionInfo, Lowered, Lowering, Module, Reported};
use crate::ops::{self, Flow};
use crate::passes;
use std::collections::BTreeSet;
use std::sync::Arc;

/// K×K programs are solved densely.
const MAX_LOSSES: usize = 64;

pub(super) static ROWS: &[Builtin] = &[
    module_row(
        "gram",
        &["losses", "over?"],
        "the K×K inner products of the losses' gradients over the params that at least two of them reach, or over those that are given, or of bundles; a constant for gradients",
        gram,
    )
    .of_groups(),
    module_row(
        "gradients",
        &["losses", "over?"],
        "for each loss, its gradients by the params that at least two of the losses reach, or by those that are given: a list of bundles",
        gradients,
    )
    .of_groups(),
    row("combine", &["bundles", "weights"], "Σ weights[i] * bundles[i]", combine).of_groups(),
    call_row("each", &["function", "bundle"], "a function of one value applied to each member of a bundle", each).of_groups(),
    module_row(
        "direction",
        &["bundle", "losses", "weights?", "reported?"],
        "a loss whose gradient by the values of the bundle is the bundle, and by every other param Σ weights[i] times (or once) that of losses[i]; its value is `reported`, or Σ losses",
        direction,
    )
    .of_groups(),
    module_row(
        "weights_of",
        &["total", "losses"],
        "by how much each of the losses counts in a total of them, that is the total's derivative by each; a constant for gradients",
        weights_of,
    )
    .of_lists(),
];

/// What gradients of losses are taken by: names and nodes.
type Places = Vec<(Arc<str>, NodeId)>;

/// The batch means of the losses that an argument lists.
fn means(l: &mut Emitter<'_>, frame: &Frame, m: &Matched, slot: usize) -> Lowered<Vec<NodeId>> {
    let name = m.parameters[slot];
    let items = match m.get(slot).cloned() {
        Some((Value::List(items), _)) => items,
        Some((Value::Group(group), _)) => group.values(),
        Some((other, at)) => {
            let found = l.describe(&other);
            let finding = Diagnostic::error(Code::E0304, format!("`{name}` is {found}, expected a list of losses"));
            return Err(l.report(finding.at(at, "write `[a, b]`")));
        }
        None => return Err(Reported),
    };
    if items.len() < 2 || items.len() > MAX_LOSSES {
        return Err(l.error(
            Code::E0303,
            m.span,
            format!("gradients of {} losses", items.len()),
            format!("takes from 2 to {MAX_LOSSES}"),
        ));
    }
    let mut losses = Vec::with_capacity(items.len());
    for item in items {
        let tensor = l.to_tensor(frame, item, m.span)?;
        l.check_loss(tensor, &"whose gradient is taken".into(), m.span)?;
        losses.push(l.batch_mean(frame, tensor, m.span).node);
    }
    Ok(losses)
}

/// The values that the losses' gradients are taken by: what `over` gives, or the params that at least two of the losses reach.
fn shared(
    l: &mut Emitter<'_>,
    module: &Module,
    frame: &Frame,
    over: Option<(Value, Span)>,
    losses: &[NodeId],
    span: Span,
) -> Lowered<Places> {
    let is_given = over.is_some();
    let places: Places = match over {
        Some((Value::Group(group), _)) => {
            group.members.iter().map(|(path, tensor)| (path.clone(), tensor.node)).collect()
        }
        Some((Value::List(items), at)) => {
            let named = |item| {
                let node = l.to_tensor(frame, item, at)?.node;
                Ok((named(l, node), node))
            };
            items.into_iter().map(named).collect::<Lowered<_>>()?
        }
        Some((value, at)) => {
            let node = l.to_tensor(frame, value, at)?.node;
            vec![(named(l, node), node)]
        }
        None => module.params.iter().map(|(path, param)| (path.clone(), param.node)).collect(),
    };
    let reached: Vec<Vec<bool>> = losses.iter().map(|loss| gradient_reach(&l.graphs.step, *loss)).collect();
    let least = if is_given { 1 } else { 2 };
    let n_reaching = |node: NodeId| reached.iter().filter(|reached| reached[node.index()]).count();
    let shared: Places = places.into_iter().filter(|(_, node)| n_reaching(*node) >= least).collect();
    if shared.is_empty() {
        return Err(l.report(
            Diagnostic::error(Code::E0505, "the losses share no params")
                .at(span, "no param is reached by two of them")
                .with_help("weighting by gradients needs a trunk that the losses train together"),
        ));
    }
    Ok(shared)
}

/// The name of a member whose value is no param.
fn named(l: &Emitter<'_>, node: NodeId) -> Arc<str> {
    l.graphs.step.node(node).provenance.name.clone()
}

/// The gradients of each loss by all of the places, written out.
fn each_gradient(l: &mut Emitter<'_>, losses: &[NodeId], places: &[NodeId]) -> Vec<Vec<NodeId>> {
    losses.iter().map(|loss| passes::gradients(&mut l.graphs.step, *loss, places)).collect()
}

fn gradients(l: &mut Emitter<'_>, module: &mut Module, frame: &Frame, m: &Matched) -> Lowered<Value> {
    l.outside_loops("`gradients`", m.span)?;
    let losses = means(l, frame, m, 0)?;
    let mut places = shared(l, module, frame, m.get(1).cloned(), &losses, m.span)?;
    for (name, node) in &mut places {
        let taken = |l: &Emitter<'_>, name: &Arc<str>| l.graphs.places.get(name).is_some_and(|other| other != node);
        let plain = name.clone();
        let mut count = 1;
        while taken(l, name) {
            count += 1;
            *name = format!("{plain}_{count}").into();
        }
        l.graphs.places.insert(name.clone(), *node);
    }
    let nodes: Vec<NodeId> = places.iter().map(|(_, node)| *node).collect();
    let found = each_gradient(l, &losses, &nodes);
    for (of, nodes) in found.iter().enumerate() {
        l.graphs.loss_of_gradient.extend(nodes.iter().map(|node| (*node, of)));
    }
    let bundle = |nodes: Vec<NodeId>| {
        let tensors = nodes.into_iter().map(|node| TensorValue { node, which: Which::Step });
        Value::Group(Arc::new(Group { members: places.iter().map(|(name, _)| name.clone()).zip(tensors).collect() }))
    };
    Ok(Value::List(found.into_iter().map(bundle).collect()))
}

/// The bundles that an argument lists, all with the same members; `None` where it lists something else.
fn bundles(l: &mut Emitter<'_>, argument: &(Value, Span)) -> Lowered<Option<Vec<Arc<Group>>>> {
    let (Value::List(items), at) = argument else { return Ok(None) };
    let mut found: Vec<Arc<Group>> = Vec::with_capacity(items.len());
    for item in items {
        let Value::Group(group) = item else { return Ok(None) };
        let names = |group: &Group| group.members.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        if found.first().is_some_and(|first| names(first) != names(group)) {
            return Err(l.error(Code::E0301, *at, "bundles of different params", "must have the same members"));
        }
        found.push(group.clone());
    }
    Ok((!found.is_empty()).then_some(found))
}

fn gram(l: &mut Emitter<'_>, module: &mut Module, frame: &Frame, m: &Matched) -> Lowered<Value> {
    l.outside_loops("`gram`", m.span)?;
    let Some(first) = m.get(0).cloned() else { return Err(Reported) };
    let by_loss: Vec<Vec<NodeId>> = match bundles(l, &first)? {
        Some(bundles) => {
            if let Some((_, at)) = m.get(1) {
                return Err(l.error(Code::E0401, *at, "bundles have their params already", "leave `over` out"));
            }
            bundles.iter().map(|bundle| bundle.members.iter().map(|(_, tensor)| tensor.node).collect()).collect()
        }
        None => {
            let losses = means(l, frame, m, 0)?;
            let places = shared(l, module, frame, m.get(1).cloned(), &losses, m.span)?;
            let nodes: Vec<NodeId> = places.into_iter().map(|(_, node)| node).collect();
            each_gradient(l, &losses, &nodes)
        }
    };
    let mut b = l.builder(frame, m.span);
    let mut inner = |left: &[NodeId], right: &[NodeId]| {
        let products = left.iter().zip(right).map(|(x, y)| {
            let product = b.mul(*x, *y);
            let axes: Vec<usize> = (0..b.shape(product).len()).collect();
            b.sum(product, &axes)
        });
        let products: Vec<NodeId> = products.collect();
        products.into_iter().reduce(|sum, product| b.add2(sum, product))
    };
    let mut entries: Vec<Vec<NodeId>> = Vec::new();
    for (i, left) in by_loss.iter().enumerate() {
        let row = (0..by_loss.len()).filter_map(|j| if j < i { Some(entries[j][i]) } else { inner(left, &by_loss[j]) });
        let row = row.collect();
        entries.push(row);
    }
    let k = Dim::known(by_loss.len());
    let flat: Vec<NodeId> = entries.concat().into_iter().map(|entry| b.reshape(entry, vec![Dim::known(1)])).collect();
    let flat = b.emit(ops::Concat { axis: 0 }, &flat);
    let matrix = b.reshape(flat, vec![k.clone(), k]);
    let node = b.emit(ops::StopGradient, &[matrix]);
    module.gramians.push(node);
    Ok(Value::Tensor(TensorValue { node, which: Which::Step }))
}

/// The numbers that K losses or bundles are weighed by.
fn weights(l: &mut Emitter<'_>, frame: &Frame, argument: (Value, Span), k: usize) -> Lowered<Vec<TensorValue>> {
    let (value, at) = argument;
    let items = match value {
        Value::List(items) => items,
        value => {
            let tensor = l.to_tensor(frame, value, at)?;
            let shape = l.ty(tensor).shape.clone();
            let [count] = &shape[..] else {
                let found = l.ty(tensor).to_string();
                return Err(l.error(Code::E0301, at, format!("weights are {found}"), format!("expected f32[{k}]")));
            };
            let count = count.as_known().unwrap_or(0);
            let mut items = Vec::with_capacity(count);
            for at_row in 0..count.min(MAX_LOSSES) {
                let starts = vec![Dim::known(at_row)];
                let part = ops::Slice { starts, extents: vec![Dim::known(1)], strides: vec![1] };
                let part = l.add(frame, at, part, &[tensor])?;
                items.push(Value::Tensor(l.add(frame, at, ops::Reshape { shape: Vec::new() }, &[part])?));
            }
            items
        }
    };
    if items.len() != k {
        let headline = format!("{} weights of {k}", items.len());
        return Err(l.error(Code::E0301, at, headline, "one for each"));
    }
    let mut found = Vec::with_capacity(k);
    for item in items {
        let weight = l.to_tensor(frame, item, at)?;
        if !l.ty(weight).is_scalar() || !l.ty(weight).is_float() {
            let ty = l.ty(weight).to_string();
            return Err(l.error(Code::E0301, at, format!("a weight is {ty}"), "expected f32"));
        }
        found.push(weight);
    }
    Ok(found)
}

/// `Σ weights[i] * values[i]` of values of one shape.
fn weighted_sum(
    l: &mut Emitter<'_>,
    frame: &Frame,
    span: Span,
    weights: &[TensorValue],
    values: &[TensorValue],
) -> Lowered<TensorValue> {
    let mut sum: Option<TensorValue> = None;
    for (weight, value) in weights.iter().zip(values) {
        let shape = l.ty(*value).shape.clone();
        let node = l.builder(frame, span).splat(weight.node, &shape);
        let part = l.add(frame, span, ops::Mul, &[TensorValue { node, which: weight.which }, *value])?;
        sum = Some(match sum {
            None => part,
            Some(sum) => l.add(frame, span, ops::Add, &[sum, part])?,
        });
    }
    sum.ok_or(Reported)
}

fn combine(l: &mut Emitter<'_>, frame: &Frame, m: &Matched) -> Lowered<Value> {
    let (Some(listed), Some(by)) = (m.get(0).cloned(), m.get(1).cloned()) else { return Err(Reported) };
    let Some(bundles) = bundles(l, &listed)? else {
        let found = l.describe(&listed.0);
        let finding = Diagnostic::error(Code::E0304, format!("`combine` of {found}"));
        return Err(l.report(
            finding.at(listed.1, "expected a list of bundles").with_help("`gradients(losses)` gives one for each loss"),
        ));
    };
    let weights = weights(l, frame, by, bundles.len())?;
    let mut members = Vec::with_capacity(bundles[0].members.len());
    for (at, (name, _)) in bundles[0].members.iter().enumerate() {
        let values: Vec<TensorValue> = bundles.iter().map(|bundle| bundle.members[at].1).collect();
        members.push((name.clone(), weighted_sum(l, frame, m.span, &weights, &values)?));
    }
    let nodes = |bundle: &[(Arc<str>, TensorValue)]| bundle.iter().map(|(_, tensor)| tensor.node).collect();
    l.graphs.combined.push(Combined {
        members: nodes(&members),
        bundles: bundles.iter().map(|bundle| nodes(&bundle.members)).collect(),
        weights: weights.iter().map(|weight| weight.node).collect(),
    });
    Ok(Value::Group(Arc::new(Group { members })))
}

/// The weights of a sum of bundles, each of which is made of the gradient of one loss, the i-th of the i-th.
fn weights_by_loss(l: &Emitter<'_>, members: &[NodeId], n_losses: usize) -> Option<Vec<NodeId>> {
    let graphs = &*l.graphs;
    let combined = graphs.combined.iter().rev().find(|combined| combined.members == members)?;
    let is_of = |(at, bundle): (usize, &Vec<NodeId>)| {
        let mut seen = BTreeSet::new();
        let mut stack = bundle.clone();
        while let Some(id) = stack.pop() {
            if !seen.insert(id) {
                continue;
            }
            match graphs.loss_of_gradient.get(&id) {
                Some(of) if *of != at => return false,
                Some(_) => {}
                None => stack.extend(graphs.step.operands(id)),
            }
        }
        true
    };
    let is_one_each = combined.bundles.len() == n_losses && combined.bundles.iter().enumerate().all(is_of);
    is_one_each.then(|| combined.weights.clone())
}

fn each(l: &mut Lowering, frame: &mut Frame, m: &Matched) -> Lowered<Value> {
    let (Some((function, function_at)), Some((value, at))) = (m.get(0).cloned(), m.get(1).cloned()) else {
        return Err(Reported);
    };
    let Value::Group(bundle) = value else {
        let found = l.graphs.describe(&value);
        let headline = format!("`each` is of a bundle or the params of a pattern, found {found}");
        return Err(l.findings.error(Code::E0304, at, headline, "has no members"));
    };
    let mut members = Vec::with_capacity(bundle.members.len());
    for (name, tensor) in &bundle.members {
        let arguments = Arguments { positional: vec![(Value::Tensor(*tensor), at)], named: Vec::new() };
        let result = l.call(frame, &function, arguments, function_at, m.span)?;
        members.push((name.clone(), l.emit().to_tensor(frame, result, m.span)?));
    }
    Ok(Value::Group(Arc::new(Group { members })))
}

fn direction(l: &mut Emitter<'_>, module: &mut Module, frame: &Frame, m: &Matched) -> Lowered<Value> {
    l.outside_loops("`direction`", m.span)?;
    let Some((Value::Group(bundle), at)) = m.get(0).cloned() else {
        let at = m.get(0).map_or(m.span, |(_, at)| *at);
        let finding = Diagnostic::error(Code::E0304, "`direction` is along a bundle").at(at, "not a bundle");
        return Err(
            l.report(finding.with_help("`gradients(losses)` gives one for each loss, `combine` makes one of them"))
        );
    };
    let losses = means(l, frame, m, 1)?;
    let mut along: Vec<(NodeId, NodeId)> = Vec::with_capacity(bundle.members.len());
    for (name, tensor) in &bundle.members {
        let known = l.graphs.places.get(name).copied().or_else(|| module.params.get(name).map(|param| param.node));
        let Some(place) = known.filter(|place| l.graphs.step.ty(*place).shape == l.ty(*tensor).shape) else {
            let headline = format!("the bundle's `{name}` is no direction for a value that gradients were taken by");
            return Err(l.error(Code::E0301, at, headline, "must have the shapes of the params"));
        };
        along.push((place, tensor.node));
    }
    let members: Vec<NodeId> = along.iter().map(|(_, direction)| *direction).collect();
    let weights = weights_by_loss(l, &members, losses.len());
    along.extend(heads(l, module, frame, m, &losses, &along)?);
    let reported = match m.get(3).cloned() {
        Some((value, at)) => {
            let value = l.to_tensor(frame, value, at)?;
            l.check_loss(value, &"that is reported".into(), at)?;
            l.batch_mean(frame, value, at).node
        }
        None => {
            let mut b = l.builder(frame, m.span);
            losses.iter().copied().reduce(|sum, loss| b.add2(sum, loss)).ok_or(Reported)?
        }
    };
    let mut b = l.builder(frame, m.span);
    let stop = b.emit(ops::StopGradient, &[reported]);
    let node = along.into_iter().fold(stop, |node, (x, d)| b.emit(ops::Directed, &[node, x, d]));
    module.directions.push(DirectionInfo { node, reported: stop, losses, weights });
    Ok(Value::Tensor(TensorValue { node, which: Which::Step }))
}

/// The params that the losses reach and the bundle has no say in, each with Σ weights[i] times (or once) the gradient of
/// losses[i].
fn heads(
    l: &mut Emitter<'_>,
    module: &Module,
    frame: &Frame,
    m: &Matched,
    losses: &[NodeId],
    along: &[(NodeId, NodeId)],
) -> Lowered<Vec<(NodeId, NodeId)>> {
    let weights = match m.get(2).cloned() {
        None | Some((Value::None, _)) => None,
        Some(argument) => Some(weights(l, frame, argument, losses.len())?),
    };
    let places: Vec<NodeId> = along.iter().map(|(place, _)| *place).collect();
    // What a value of the bundle is computed from follows it.
    let below = l.graphs.step.slice_back(places.iter().copied());
    let around: Vec<Vec<bool>> = losses.iter().map(|loss| reach_around(&l.graphs.step, *loss, &places)).collect();
    let mut own = Vec::new();
    for (path, param) in &module.params {
        if places.contains(&param.node) || !around.iter().any(|reached| reached[param.node.index()]) {
            continue;
        }
        if below[param.node.index()] {
            return Err(l.report(
                Diagnostic::error(Code::E0505, format!("`{path}` trains a loss by way of the bundle and on another"))
                    .at(m.span, "its gradient would count in part")
                    .with_help("take the gradients by values that every loss passes through, or by the params"),
            ));
        }
        own.push(param.node);
    }
    let wanted: Vec<NodeId> = places.iter().chain(&own).copied().collect();
    // By the places too: one walk back for each loss gives what the bundle is made of as well.
    let found = each_gradient(l, losses, &wanted);
    let mut result = Vec::with_capacity(own.len());
    for (at, param) in own.iter().enumerate() {
        let reaching: Vec<usize> = (0..losses.len()).filter(|i| around[*i][param.index()]).collect();
        let values: Vec<TensorValue> =
            reaching.iter().map(|i| TensorValue { node: found[*i][places.len() + at], which: Which::Step }).collect();
        let sum = match &weights {
            Some(weights) => {
                let weights: Vec<TensorValue> = reaching.iter().map(|i| weights[*i]).collect();
                weighted_sum(l, frame, m.span, &weights, &values)?.node
            }
            None => {
                let mut b = l.builder(frame, m.span);
                let nodes = values.iter().map(|value| value.node);
                nodes.reduce(|sum, value| b.add2(sum, value)).ok_or(Reported)?
            }
        };
        result.push((*param, sum));
    }
    Ok(result)
}

fn weights_of(l: &mut Emitter<'_>, module: &mut Module, frame: &Frame, m: &Matched) -> Lowered<Value> {
    l.outside_loops("`weights_of`", m.span)?;
    let total = l.tensor_argument(frame, m, 0)?;
    l.check_loss(total, &"total".into(), m.span)?;
    let total = l.batch_mean(frame, total, m.span).node;
    let losses = means(l, frame, m, 1)?;
    let graph = &mut l.graphs.step;
    // A direction counts by what it reports.
    let reported = |info: &DirectionInfo| (info.node, graph.operands(info.reported)[0]);
    let replaced = module.directions.iter().map(reported).collect();
    let copies = copy_slice(graph, &[total], &replaced);
    let total = copies.get(&total).copied().unwrap_or(total);
    let found = passes::gradients(graph, total, &losses);
    l.check_size(m.span)?;
    let mut b = l.builder(frame, m.span);
    let rows: Vec<NodeId> = found.into_iter().map(|weight| b.reshape(weight, vec![Dim::known(1)])).collect();
    let weights = b.emit(ops::Concat { axis: 0 }, &rows);
    let node = b.emit(ops::StopGradient, &[weights]);
    Ok(Value::Tensor(TensorValue { node, which: Which::Step }))
}

/// What a gradient of `from` reaches without passing through any of the places.
fn reach_around(graph: &Graph, from: NodeId, places: &[NodeId]) -> Vec<bool> {
    let places: BTreeSet<NodeId> = places.iter().copied().collect();
    let mut reached = vec![false; graph.len()];
    let mut stack = vec![from];
    while let Some(id) = stack.pop() {
        if std::mem::replace(&mut reached[id.index()], true) || places.contains(&id) {
            continue;
        }
        let operands = graph.operands(id).into_iter().enumerate();
        let open = operands.filter(|(slot, _)| graph.op(id).flow(*slot) == Flow::Differentiable);
        stack.extend(open.map(|(_, operand)| operand));
    }
    reached
}
