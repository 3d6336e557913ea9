//! Values elsewhere: `at(value, params = …)`, `after(value)`, `on(validation, value)`. Each is a copy of the part of the graph
//! that the value is computed by, with some leaves replaced; what does not depend on those is shared with the original.
//!
//! The next params that `after` reads are known when the whole spec is lowered, so until then a node stands for its value,
//! and [`resolve_after`] puts the copy in its place.

use super::findings::Findings;
use super::graphs::Graphs;
use super::module::Module;
use super::value::{Frame, Group, TensorValue, Value, Which};
use super::{Lowered, Lowering, Reported};
use crate::autodiff::gradient_reach;
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Builder, Copier, Graph, NodeId, Provenance, Role};
use crate::ops::{self, Input, InputKind, Op};
use crate::syntax::ast::{Argument, Expr, Ident};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What stands before the name of a field of the validation data in a program that reads a batch of it.
pub const VALIDATION_PREFIX: &str = "validation.";

/// A value that stands for another one at the next params, or for that one's derivative.
#[derive(Clone, Copy, Debug)]
pub(crate) struct After {
    pub place: NodeId,
    pub value: NodeId,
    /// what the derivative is by: a value that the step is computed from
    pub by: Option<NodeId>,
    pub span: Span,
}

/// What became of nodes.
pub(crate) type Copies = BTreeMap<NodeId, NodeId>;

pub(super) fn at(
    l: &mut Lowering,
    frame: &mut Frame,
    piped: Option<(Value, Span)>,
    arguments: &[Argument],
    span: Span,
) -> Lowered<Value> {
    l.emit().outside_loops("`at`", span)?;
    let (value, replacements) = one_value(l, frame, "at", piped, arguments, span)?;
    if replacements.is_empty() {
        return Err(l.findings.report(
            Diagnostic::error(Code::E0401, "`at` replaces nothing")
                .at(span, "expected `PARAMS = value` behind the value")
                .with_help("for example `at(test, trunk.* = it - 0.01 * grad(train, it))`, where `it` is the param"),
        ));
    }
    let mut replaced = Copies::new();
    for argument in replacements {
        let Some(name) = &argument.name else { continue };
        for (node, next) in l.replacements(frame, name, &argument.value)? {
            if replaced.insert(node, next).is_some() {
                return Err(l.findings.error(Code::E0401, name.span, "a value is replaced twice", "again here"));
            }
        }
    }
    let copied = l.copied(value, span, &replaced)?;
    match copied {
        Some(value) => Ok(value),
        None => Err(l.findings.report(
            Diagnostic::error(Code::E0505, "`at(value, …)` where the value does not depend on what is replaced")
                .at(span, "the result would be the value itself")
                .with_help("the value must be computed from the params that are replaced"),
        )),
    }
}

pub(super) fn on(
    l: &mut Lowering,
    frame: &mut Frame,
    piped: Option<(Value, Span)>,
    arguments: &[Argument],
    span: Span,
) -> Lowered<Value> {
    l.emit().outside_loops("`on`", span)?;
    let (None, [part, value]) = (&piped, arguments) else {
        return Err(l.findings.error(Code::E0401, span, "`on` takes data and a value", "`on(validation, value)`"));
    };
    if part.value.as_name() != Some("validation") {
        return Err(l.findings.report(
            Diagnostic::error(Code::E0404, "the first argument of `on` says which data")
                .at(part.value.span, "expected `validation`")
                .with_help("`on(validation, value)` is the value on a batch of the validation data"),
        ));
    }
    let at = value.value.span;
    let value = l.expr(frame, &value.value)?;
    let value = tensors(l, frame, value, at)?;
    let fed: Vec<NodeId> = l.graphs.step.ids().filter(|id| is_rows(&l.graphs.step, *id)).collect();
    let needed = l.graphs.step.slice_back(l.roots(&value));
    let mut replaced = Copies::new();
    for id in fed.into_iter().filter(|id| needed[id.index()]) {
        let (node, name) = (l.graphs.step.node(id).clone(), l.graphs.step.node(id).provenance.name.clone());
        // A batch of the validation data is read at its own place already.
        if name.starts_with(VALIDATION_PREFIX) {
            continue;
        }
        let Op::Input(Input { kind, .. }) = node.op else { continue };
        let name: Arc<str> = format!("{VALIDATION_PREFIX}{name}").into();
        let provenance = Provenance { name: name.clone(), span: node.provenance.span };
        replaced.insert(id, l.graphs.leaf(kind, &name, &node.ty, provenance).node);
    }
    let copied = l.copied(value.clone(), span, &replaced)?;
    let Some(copied) = copied else {
        return Err(l.findings.report(
            Diagnostic::error(Code::E0505, "`on(validation, value)` where the value does not depend on the data")
                .at(span, "the result would be the value itself"),
        ));
    };
    by_mode(l, frame, copied, value, span)
}

pub(super) fn after(
    l: &mut Lowering,
    frame: &mut Frame,
    piped: Option<(Value, Span)>,
    arguments: &[Argument],
    span: Span,
) -> Lowered<Value> {
    l.emit().outside_loops("`after`", span)?;
    let (value, rest) = one_value(l, frame, "after", piped, arguments, span)?;
    if let Some(argument) = rest.first() {
        return Err(l.findings.error(Code::E0401, argument.span, "`after` takes one value", "one too many"));
    }
    let frame = frame.clone();
    each_tensor(&value, &mut |tensor| {
        let place = l.emit().add(&frame, span, ops::StopGradient, &[tensor])?;
        let span = l.findings.user_span(span);
        l.graphs.afters.push(After { place: place.node, value: tensor.node, by: None, span });
        Ok(place)
    })
}

impl Lowering {
    /// The values that take the place of those that a name, path or pattern names, by node.
    fn replacements(&mut self, frame: &mut Frame, name: &Ident, value: &Expr) -> Lowered<Vec<(NodeId, NodeId)>> {
        let own = self.scopes.find(frame, &name.name);
        let places = match own {
            // Any value that has a name: `at(loss, x = it + step)`.
            Some(Value::Tensor(tensor)) if tensor.which == Which::Step => {
                self.scopes.note_use(&name.name);
                vec![(tensor.node, Vec::new())]
            }
            Some(Value::Poison) => return Err(Reported),
            _ => self.places(frame, name)?.into_iter().map(|place| (place.node, place.captures)).collect(),
        };
        let nodes = places.iter().map(|(node, _)| *node).collect();
        let around = std::mem::replace(&mut self.graphs.siblings, nodes);
        let each = places.iter().map(|(node, captures)| {
            let next = self.next_of(frame, *node, captures, name.span, value)?;
            Ok((*node, next.node))
        });
        let result = each.collect();
        self.graphs.siblings = around;
        result
    }

    /// An expression in which `it` is a value, as a value of its type: a scalar fills it.
    pub(super) fn next_of(
        &mut self,
        frame: &mut Frame,
        node: NodeId,
        captures: &[Arc<str>],
        named: Span,
        expr: &Expr,
    ) -> Lowered<TensorValue> {
        let present = TensorValue { node, which: Which::Step };
        let it = Ident { name: "it".into(), span: named };
        let value = self.expr_with(frame, &it, Value::Tensor(present), captures, expr)?;
        let ty = self.graphs.ty(present).clone();
        let next = self.emit().to_tensor_of(frame, value, ty.dtype, expr.span)?;
        let found = self.graphs.ty(next).clone();
        if found.is_scalar() && found.dtype == ty.dtype && !ty.is_scalar() {
            let node = self.emit().builder(frame, expr.span).splat(next.node, &ty.shape);
            return Ok(TensorValue { node, which: Which::Step });
        }
        if found != ty {
            let path = self.graphs.step.node(node).provenance.name.clone();
            return Err(self.findings.report(
                Diagnostic::error(Code::E0301, format!("`{path}` is {ty}, what takes its place {found}"))
                    .at(expr.span, "must have the same type")
                    .with_label(named, "in the place of this"),
            ));
        }
        Ok(next)
    }

    /// The nodes that a value is, and those of its masks.
    fn roots(&self, value: &Value) -> Vec<NodeId> {
        let mut roots = Vec::new();
        let _ = each_tensor(value, &mut |tensor| {
            roots.push(tensor.node);
            roots.extend(self.graphs.mask(tensor));
            Ok(tensor)
        });
        roots
    }

    /// A value with some nodes replaced; `None` where it depends on none of them.
    fn copied(&mut self, value: Value, span: Span, replaced: &Copies) -> Lowered<Option<Value>> {
        let roots = self.roots(&value);
        let copies = copy_slice(&mut self.graphs.step, &roots, replaced);
        self.emit().check_size(span)?;
        if !roots.iter().any(|root| copies.contains_key(root)) {
            return Ok(None);
        }
        each_tensor(&value, &mut |tensor| {
            let of = |node: NodeId| copies.get(&node).copied().unwrap_or(node);
            let copy = TensorValue { node: of(tensor.node), which: tensor.which };
            if let Some(mask) = self.graphs.mask(tensor) {
                self.graphs.set_mask(copy, of(mask));
            }
            Ok(copy)
        })
        .map(Some)
    }
}

/// The one value of a call, and its named arguments.
fn one_value<'a>(
    l: &mut Lowering,
    frame: &mut Frame,
    name: &str,
    piped: Option<(Value, Span)>,
    arguments: &'a [Argument],
    span: Span,
) -> Lowered<(Value, &'a [Argument])> {
    let (value, at, rest) = match (piped, arguments) {
        (Some((value, at)), rest) => (value, at, rest),
        (None, [first, rest @ ..]) if first.name.is_none() => (l.expr(frame, &first.value)?, first.value.span, rest),
        _ => {
            return Err(l.findings.error(Code::E0401, span, format!("`{name}` lacks its value"), "needed here"));
        }
    };
    if let Some(argument) = rest.iter().find(|argument| argument.name.is_none()) {
        let headline = format!("`{name}` takes one value");
        return Err(l.findings.error(Code::E0401, argument.span, headline, "one too many"));
    }
    Ok((tensors(l, frame, value, at)?, rest))
}

/// A value all of whose parts are tensors of the training step.
fn tensors(l: &mut Lowering, frame: &Frame, value: Value, span: Span) -> Lowered<Value> {
    let value = match value {
        Value::List(items) => {
            return items
                .into_iter()
                .map(|item| tensors(l, frame, item, span))
                .collect::<Lowered<_>>()
                .map(Value::List);
        }
        Value::Group(_) => value,
        value => Value::Tensor(l.emit().to_tensor(frame, value, span)?),
    };
    if l.graphs.which == Which::Init {
        let headline = "an initial value reads a value of the run";
        return Err(l.findings.error(Code::E0404, span, headline, "known only when a batch is"));
    }
    Ok(value)
}

/// A value with each of its tensors replaced.
fn each_tensor(value: &Value, function: &mut impl FnMut(TensorValue) -> Lowered<TensorValue>) -> Lowered<Value> {
    match value {
        Value::Tensor(tensor) => function(*tensor).map(Value::Tensor),
        Value::List(items) => {
            items.iter().map(|item| each_tensor(item, function)).collect::<Lowered<_>>().map(Value::List)
        }
        Value::Group(group) => {
            let members = group.members.iter().map(|(path, tensor)| Ok((path.clone(), function(*tensor)?)));
            members.collect::<Lowered<_>>().map(|members| Value::Group(Arc::new(Group { members })))
        }
        value => Ok(value.clone()),
    }
}

/// One value at training, the other at prediction.
fn by_mode(l: &mut Lowering, frame: &Frame, training: Value, prediction: Value, span: Span) -> Lowered<Value> {
    let mut others = Vec::new();
    let _ = each_tensor(&prediction, &mut |tensor| {
        others.push(tensor);
        Ok(tensor)
    });
    let mut others = others.into_iter();
    each_tensor(&training, &mut |tensor| {
        let Some(other) = others.next() else { return Err(Reported) };
        let result = l.emit().add_plain(frame, span, ops::ByMode, &[tensor, other])?;
        if let (Some(mask), Some(other)) = (l.graphs.mask(tensor), l.graphs.mask(other)) {
            let own = |node| TensorValue { node, which: Which::Step };
            let mask = l.emit().add_plain(frame, span, ops::ByMode, &[own(mask), own(other)])?;
            l.graphs.set_mask(result, mask.node);
        }
        Ok(result)
    })
}

/// An input or target with a value for each row of the data.
fn is_rows(graph: &Graph, id: NodeId) -> bool {
    let is_data =
        matches!(graph.op(id), Op::Input(input) if matches!(input.kind, InputKind::Input | InputKind::Target));
    is_data && graph.ty(id).shape.first().is_some_and(crate::ir::Dim::is_batch)
}

/// Copies what `roots` are computed by as far as it depends on replaced nodes. Gives what became of the nodes that do.
pub(crate) fn copy_slice(graph: &mut Graph, roots: &[NodeId], replaced: &Copies) -> Copies {
    let needed = graph.slice_back(roots.iter().copied());
    let ids: Vec<NodeId> = graph.ids().filter(|id| needed[id.index()]).collect();
    let mut copies = Copies::new();
    for id in ids {
        if let Some(other) = replaced.get(&id) {
            copies.insert(id, *other);
            continue;
        }
        let operands = graph.operands(id);
        if operands.iter().any(|operand| copies.contains_key(operand)) {
            let operands: Vec<NodeId> =
                operands.iter().map(|operand| copies.get(operand).copied().unwrap_or(*operand)).collect();
            let node = graph.node(id).clone();
            copies.insert(id, graph.push(node, &operands));
        }
    }
    copies
}

/// Puts the values at the next params in the place of the nodes that stand for them.
///
/// # Errors
/// E0404 where the next params depend on such a value, or the value on no param that changes.
pub(super) fn resolve_after(graphs: &mut Graphs, module: &mut Module, findings: &mut Findings) -> Lowered<()> {
    let afters = std::mem::take(&mut graphs.afters);
    if afters.is_empty() {
        return Ok(());
    }
    let graph = &graphs.step;
    let next: Copies = (module.params.iter())
        .filter_map(|(path, param)| Some((param.node, graph.output(Role::Param, path)?)))
        .filter(|(param, next)| param != next)
        .collect();
    check_after(graph, &afters, &next, findings)?;
    let mut is_late = vec![false; graph.len()];
    for id in graph.ids() {
        is_late[id.index()] = afters.iter().any(|after| after.place == id)
            || graph.operands(id).iter().any(|operand| is_late[operand.index()]);
    }
    let mut copier = Copier::new(graph);
    for id in graph.ids().filter(|id| !is_late[id.index()]) {
        copier.copy(id);
    }
    for after in &afters {
        let of = |id: NodeId| copier.get(id).expect("internal: what is not late is copied first");
        let replaced: Copies = next.iter().map(|(param, next)| (of(*param), of(*next))).collect();
        let (value, by) = (of(after.value), after.by.map(of));
        let copies = copy_slice(&mut copier.target, &[value], &replaced);
        let late = copies.get(&value).copied().unwrap_or(value);
        let found = match by {
            None => late,
            Some(by) => {
                // Through the whole step: the gradients in it are written out before this one.
                let provenance = graph.node(after.place).provenance.clone();
                Builder::new(&mut copier.target, provenance).emit(ops::Gradient, &[late, by])
            }
        };
        copier.set(after.place, found);
    }
    for id in graph.ids().filter(|id| is_late[id.index()]) {
        if copier.get(id).is_none() {
            copier.copy(id);
        }
    }
    let moved: Vec<Option<NodeId>> = graph.ids().map(|id| copier.get(id)).collect();
    graphs.step = copier.finish(|_| true);
    module.renumber(|id| moved[id.index()].unwrap_or(id));
    Ok(())
}

fn check_after(graph: &Graph, afters: &[After], next: &Copies, findings: &mut Findings) -> Lowered<()> {
    let stepping = graph.slice_back(next.values().copied());
    for after in afters {
        if stepping[after.place.index()] {
            return Err(findings.report(
                Diagnostic::error(Code::E0404, "a step depends on a value after it")
                    .at(after.span, "the next params are computed from this")
                    .with_help("read `after(…)` in an `update` or a `metric`; an objective takes a state that an `update` sets"),
            ));
        }
        let needed = graph.slice_back([after.value].into_iter().chain(after.by));
        if let Some(inner) = afters.iter().find(|inner| needed[inner.place.index()]) {
            return Err(findings.report(
                Diagnostic::error(Code::E0404, "`after` of a value that is after the step already")
                    .at(after.span, "around the other")
                    .with_label(inner.span, "the inner one"),
            ));
        }
        if let Some(by) = after.by
            && !next.iter().any(|(param, next)| needed[param.index()] && gradient_reach(graph, *next)[by.index()])
        {
            return Err(findings.report(
                Diagnostic::error(Code::E0505, "`grad(after(value), x)` where the step does not depend on x")
                    .at(after.span, "the derivative is zero everywhere")
                    .with_help("x must take part in what is minimized, and not behind a `stop`"),
            ));
        }
        if !next.keys().any(|param| needed[param.index()]) {
            return Err(findings.report(
                Diagnostic::error(Code::E0505, "`after(value)` where the value depends on no param that is trained")
                    .at(after.span, "the result would be the value itself")
                    .with_help("it is the value at the params that this step's optimizers give"),
            ));
        }
    }
    Ok(())
}
