//! The `train` block: objectives, gradients, optimizer instances, next params. All nodes of the one training step.

use super::arguments::Arguments;
use super::builtins::pace::Pace;
use super::emit::Emitter;
use super::findings::Findings;
use super::module::{Constraint, Module, ObjectiveInfo, ParamPattern, glob};
use super::patterns::nothing_named;
use super::value::{Frame, Home, Partial, TensorValue, Value, Which};
use super::{Frozen, Lowered, Lowering};
use crate::autodiff::gradient_reach;
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Builder, NodeId, Role};
use crate::ops::{self, Gradient};
use crate::syntax::ast::{Argument, DefinitionKind, Expr, Pattern, TrainEntry, TrainEntryKind};
use indexmap::IndexMap;
use std::sync::Arc;

/// What one `minimize` asks for.
#[derive(Clone, Debug)]
pub(super) struct Objective {
    name: Arc<str>,
    /// the scalar that is minimised
    node: NodeId,
    over: Vec<ParamPattern>,
}

/// One `optimizer` entry.
struct Group {
    partial: Arc<Partial>,
    /// whether each objective has states of its own
    per_objective: bool,
    params: Vec<ParamPattern>,
    span: Span,
}

/// A gradient that an optimizer steps by.
struct Pull {
    path: Arc<str>,
    /// the one objective that it is of; of all where none is named
    objective: Option<Arc<str>>,
    gradient: TensorValue,
    group: usize,
}

/// What the `train` block asks for, and the constraints that its steps keep.
#[derive(Default)]
pub(crate) struct Training {
    /// the `train` block
    span: Option<Span>,
    /// what the run keeps as it begins
    pub frozen: Vec<Frozen>,
    objectives: Vec<Objective>,
    /// params that an `update` gives their next values, and where
    pub assigned: IndexMap<Arc<str>, Span>,
    /// constraints that are functions, by param
    pub projections: IndexMap<Arc<str>, Value>,
    /// of the optimizer that is being expanded, where it does not take part in every step
    pub pace: Option<Pace>,
}

impl Lowering {
    pub(super) fn train(&mut self, file: &mut Frame, entries: &[TrainEntry], span: Span) -> Lowered<()> {
        if let Some(first) = self.training.span.replace(span) {
            return Err(self.findings.report(
                Diagnostic::error(Code::E0202, "a spec has one `train` block")
                    .at(span, "second")
                    .with_label(first, "first"),
            ));
        }
        let (mut groups, mut clips) = (Vec::new(), Vec::new());
        for entry in entries {
            match &entry.kind {
                TrainEntryKind::Minimize { objective, over } => self.minimize(file, objective, over)?,
                TrainEntryKind::Optimizer { call, per_objective, params } => {
                    groups.push(Group { per_objective: *per_objective, ..self.group(file, call, params)? });
                }
                TrainEntryKind::Clip { arguments } => clips.push((arguments, entry.span)),
            }
        }
        if self.training.objectives.is_empty() {
            return Err(self.findings.report(
                Diagnostic::error(Code::E0406, "the `train` block minimizes nothing")
                    .at(span, "no objective")
                    .with_help("add `minimize NAME_OF_A_LOSS`"),
            ));
        }
        self.freeze()?;
        let mut emit = Emitter { graphs: &mut self.graphs, findings: &mut self.findings };
        let parts = gradients(&mut emit, &mut self.module, &self.training.objectives, file, span);
        let mut gradients: IndexMap<Arc<str>, TensorValue> = IndexMap::new();
        for (path, parts) in &parts {
            let frame = Frame { value_path: path.clone(), ..file.clone() };
            let mut b = emit.builder(&frame, span);
            let sum = parts.iter().map(|(_, part)| part.node).reduce(|sum, part| b.add2(sum, part));
            gradients.extend(sum.map(|node| (path.clone(), TensorValue { node, which: Which::Step })));
        }
        if gradients.is_empty() {
            self.module.idle_training = Some(span);
            return Ok(());
        }
        for (path, gradient) in &gradients {
            self.graphs.step.add_output(Role::Gradient, path.clone(), gradient.node);
        }
        if let Some((path, at)) = self.training.assigned.iter().find(|(path, _)| gradients.contains_key(*path)) {
            let finding = Diagnostic::error(Code::E0404, format!("`{path}` is trained, and has an `update`"))
                .at(*at, "updated here")
                .with_label(span, "trained here")
                .with_help("leave it out of the gradients with `stop` or `minimize … over`; a copy that follows it is `state slow.* = fast.*`");
            return Err(self.findings.report(finding));
        }
        // Every param is claimed before any is stepped: one mistake in the groups is one message, not one a param.
        let mut pulls: Vec<Pull> = Vec::with_capacity(gradients.len());
        for (path, gradient) in gradients {
            let group = group_of(&mut self.findings, &path, &groups, span)?;
            if groups[group].per_objective {
                let of_one = |(objective, gradient): &(Arc<str>, TensorValue)| Pull {
                    path: path.clone(),
                    objective: Some(objective.clone()),
                    gradient: *gradient,
                    group,
                };
                pulls.extend(parts[&path].iter().map(of_one));
            } else {
                pulls.push(Pull { path, objective: None, gradient, group });
            }
        }
        for (arguments, at) in clips {
            self.clip(file, &mut pulls, arguments, at)?;
        }
        while let Some(path) = pulls.first().map(|pull| pull.path.clone()) {
            let own: Vec<Pull> = pulls.extract_if(.., |pull| pull.path == path).collect();
            self.step(&path, &own, &groups)?;
        }
        Ok(())
    }

    /// Finds the params that the run keeps as they begin.
    fn freeze(&mut self) -> Lowered<()> {
        for Frozen { pattern, span } in &self.training.frozen {
            let paths: Vec<Arc<str>> = self.module.params.keys().filter(|path| glob(pattern, path)).cloned().collect();
            if paths.is_empty() {
                let known: Vec<&str> = self.module.params.keys().map(|path| &**path).collect();
                let finding = Diagnostic::error(Code::E0201, format!("`frozen`: `{pattern}` names no param"))
                    .with_note(format!("params: {}", known.join(", ")))
                    .with_suggestion(pattern, known.iter().copied());
                return Err(self.findings.report(match span {
                    Some(span) => finding.at(*span, "matches nothing"),
                    None => finding,
                }));
            }
            self.module.frozen.extend(paths);
        }
        Ok(())
    }

    fn minimize(&mut self, file: &mut Frame, objective: &Expr, over: &[Pattern]) -> Lowered<()> {
        let name: Arc<str> = match objective.as_name() {
            Some(name) => name.into(),
            None => format!("objective_{}", self.training.objectives.len() + 1).into(),
        };
        let mut own = Frame { path: name.clone(), value_path: name.clone(), ..Frame::file() };
        let value = self.expr(&mut own, objective)?;
        let tensor = self.emit().to_tensor(&own, value, objective.span)?;
        self.emit().check_loss(tensor, &name, objective.span)?;
        let mean = self.emit().batch_mean(&own, tensor, objective.span);
        if self.graphs.step.output(Role::Objective, &name).is_some() {
            return Err(self.findings.error(
                Code::E0406,
                objective.span,
                format!("`{name}` is minimized twice"),
                "again here",
            ));
        }
        self.graphs.step.add_output(Role::Objective, name.clone(), mean.node);
        let objective_name = name;
        let over: Vec<ParamPattern> =
            over.iter().map(|pattern| self.module.pattern(&self.findings, file, pattern)).collect();
        for pattern in &over {
            pattern_names_params(&mut self.findings, &self.module, pattern)?;
        }
        self.training.objectives.push(Objective { name: objective_name, node: mean.node, over });
        Ok(())
    }

    fn group(&mut self, file: &mut Frame, call: &Expr, params: &[Pattern]) -> Lowered<Group> {
        let mut own = Frame { path: "train".into(), value_path: "train".into(), ..Frame::file() };
        let value = self.expr(&mut own, call)?;
        let partial = self.as_optimizer(&mut own, value, call.span)?;
        let params: Vec<ParamPattern> =
            params.iter().map(|pattern| self.module.pattern(&self.findings, file, pattern)).collect();
        for pattern in &params {
            pattern_names_params(&mut self.findings, &self.module, pattern)?;
        }
        Ok(Group { partial, per_objective: false, params, span: call.span })
    }

    /// `clip global_norm=c`, `clip norm=c`, `clip value=c`
    fn clip(&mut self, file: &mut Frame, pulls: &mut [Pull], arguments: &[Argument], span: Span) -> Lowered<()> {
        // Gradients that are added before any step are limited together, those of one objective by themselves.
        let mut objectives: Vec<Option<Arc<str>>> = pulls.iter().map(|pull| pull.objective.clone()).collect();
        objectives.sort();
        objectives.dedup();
        for argument in arguments {
            let Some(name) = argument.name.as_ref().map(|name| name.name.to_string()) else {
                return Err(self.findings.error(
                    Code::E0406,
                    argument.span,
                    "a limit without its kind",
                    "expected `value=…`, `norm=…` or `global_norm=…`",
                ));
            };
            let limit = self.expr(file, &argument.value)?;
            let limit = self.emit().number(&limit, argument.value.span)?;
            if limit <= 0.0 || limit.is_nan() {
                return Err(self.findings.error(
                    Code::E0406,
                    argument.value.span,
                    format!("a clip limit of {limit}"),
                    "must be positive",
                ));
            }
            let mut emit = Emitter { graphs: &mut self.graphs, findings: &mut self.findings };
            let frame = Frame { value_path: "clip".into(), ..file.clone() };
            for objective in &objectives {
                let mut own: Vec<&mut Pull> = pulls.iter_mut().filter(|pull| pull.objective == *objective).collect();
                let nodes: Vec<NodeId> = own.iter().map(|pull| pull.gradient.node).collect();
                let clipped = clipped(&mut emit.builder(&frame, span), &name, &nodes, limit);
                let Some(clipped) = clipped else {
                    return Err(self.findings.report(
                        Diagnostic::error(Code::E0406, format!("unknown kind of clipping `{name}`"))
                            .at(argument.span, "expected `value`, `norm` or `global_norm`")
                            .with_suggestion(&name, ["value", "norm", "global_norm"]),
                    ));
                };
                for (pull, node) in own.iter_mut().zip(clipped) {
                    pull.gradient.node = node;
                }
            }
        }
        Ok(())
    }

    /// Lowers a param's optimizer and constraint: its next value. Where objectives step by themselves, what each adds is added.
    fn step(&mut self, path: &Arc<str>, pulls: &[Pull], groups: &[Group]) -> Lowered<()> {
        let Some(param) = self.module.params.get(path).cloned() else { return Ok(()) };
        let Some(group) = pulls.first().map(|pull| &groups[pull.group]) else { return Ok(()) };
        let name = group.partial.definition.definition.name.name.clone();
        let before = TensorValue { node: param.node, which: Which::Step };
        let mut next: Option<TensorValue> = None;
        for pull in pulls {
            let own: Arc<str> = match &pull.objective {
                None => format!("{path}.{name}").into(),
                Some(objective) => format!("{path}.{objective}.{name}").into(),
            };
            let stepped = self.optimizer_step(own, &group.partial, before, pull.gradient, group.span)?;
            next = Some(match next {
                None => stepped,
                Some(next) => {
                    self.emit().same_type(before, stepped, &name, group.span)?;
                    let frame = Frame { value_path: path.clone(), ..Frame::file() };
                    let mut emit = self.emit();
                    let change = emit.add(&frame, group.span, ops::Sub, &[stepped, before])?;
                    emit.add(&frame, group.span, ops::Add, &[next, change])?
                }
            });
        }
        let Some(next) = next else { return Ok(()) };
        // The constraint is the spec's own, so what is wrong with it is said at the param.
        let mut own = Frame { value_path: path.clone(), ..Frame::file() };
        let next = self.project(&mut own, path, next, param.constraint, param.span)?;
        self.emit().same_type(before, next, &name, group.span)?;
        self.graphs.step.add_output(Role::Param, path.clone(), next.node);
        Ok(())
    }

    /// Expands an optimizer whose states live below `path`: the param's next value.
    pub(super) fn optimizer_step(
        &mut self,
        path: Arc<str>,
        optimizer: &Partial,
        param: TensorValue,
        gradient: TensorValue,
        span: Span,
    ) -> Lowered<TensorValue> {
        let definition = optimizer.definition.clone();
        let mut frame = Frame {
            locals: Some(IndexMap::new()),
            path: path.clone(),
            value_path: path,
            home: definition.home,
            kind: Some(DefinitionKind::Optimizer),
            ..Frame::file()
        };
        let ident = |name: &str| crate::syntax::ast::Ident { name: name.into(), span };
        let mut arguments = Arguments::default();
        arguments.named.push((ident("param"), Value::Tensor(param), span));
        arguments.named.push((ident("grad"), Value::Tensor(gradient), span));
        for (name, value) in &optimizer.arguments {
            arguments.named.push((ident(name), value.clone(), span));
        }
        self.findings.enter(&definition.definition.name.name, definition.home, Home::Spec, span)?;
        let next = self.optimizer_body(&mut frame, &definition.definition, arguments, span);
        self.findings.leave();
        next
    }

    fn optimizer_body(
        &mut self,
        frame: &mut Frame,
        definition: &crate::syntax::ast::Definition,
        arguments: Arguments,
        span: Span,
    ) -> Lowered<TensorValue> {
        self.bind(frame, definition, arguments, span)?;
        match self.block(frame, &definition.body)? {
            Some(value) => self.emit().to_tensor(frame, value, span),
            None => Err(self.findings.error(
                Code::E0403,
                definition.name.span,
                format!("`{}` ends without `return`", definition.name.name),
                "an optimizer returns the param's next value",
            )),
        }
    }

    /// Puts a next value back into its constraint.
    fn project(
        &mut self,
        frame: &mut Frame,
        path: &Arc<str>,
        next: TensorValue,
        constraint: Option<Constraint>,
        span: Span,
    ) -> Lowered<TensorValue> {
        match constraint {
            None => Ok(next),
            Some(Constraint::Interval(low, high)) => {
                let mut emit = self.emit();
                let mut b = emit.builder(frame, span);
                let mut node = next.node;
                if low.is_finite() {
                    let low = b.constant_like(low, node);
                    node = b.emit(ops::Max, &[node, low]);
                }
                if high.is_finite() {
                    let high = b.constant_like(high, node);
                    node = b.emit(ops::Min, &[node, high]);
                }
                Ok(TensorValue { node, which: Which::Step })
            }
            Some(Constraint::Projection) => {
                let Some(function) = self.training.projections.get(path).cloned() else { return Ok(next) };
                let arguments = Arguments { positional: vec![(Value::Tensor(next), span)], named: Vec::new() };
                let value = self.call(frame, &function, arguments, span, span)?;
                self.emit().to_tensor(frame, value, span)
            }
        }
    }
}

impl Emitter<'_> {
    /// An optimizer's result has the type of the param.
    pub(super) fn same_type(&mut self, param: TensorValue, next: TensorValue, name: &str, span: Span) -> Lowered<()> {
        let (wanted, found) = (self.ty(param).clone(), self.ty(next).clone());
        if found == wanted {
            return Ok(());
        }
        let path = self.graphs.step.node(param.node).provenance.name.clone();
        Err(self.error(
            Code::E0301,
            span,
            format!("optimizer `{name}` gives {found} for the param `{path}`, which is {wanted}"),
            "must keep the type",
        ))
    }
}

fn pattern_names_params(findings: &mut Findings, module: &Module, pattern: &ParamPattern) -> Lowered<()> {
    let is_named = module.params.keys().any(|path| pattern.matches(path));
    if is_named { Ok(()) } else { Err(findings.report(nothing_named(module, pattern))) }
}

/// The gradients of each trained param, by the objectives that train it.
fn gradients(
    emit: &mut Emitter<'_>,
    module: &mut Module,
    objectives: &[Objective],
    file: &Frame,
    span: Span,
) -> IndexMap<Arc<str>, Vec<(Arc<str>, TensorValue)>> {
    let trained = module.params.iter().filter(|(path, _)| !module.frozen.contains(*path));
    let params: Vec<(Arc<str>, NodeId)> = trained.map(|(path, param)| (path.clone(), param.node)).collect();
    let mut gradients: IndexMap<Arc<str>, Vec<(Arc<str>, TensorValue)>> = IndexMap::new();
    for objective in objectives {
        let wanted = |path: &str| objective.over.is_empty() || objective.over.iter().any(|p| p.matches(path));
        let reached = gradient_reach(&emit.graphs.step, objective.node);
        let trained: Vec<_> = params.iter().filter(|(path, param)| wanted(path) && reached[param.index()]).collect();
        module.objectives.push(ObjectiveInfo {
            name: objective.name.clone(),
            node: objective.node,
            trained: trained.iter().map(|(path, _)| path.clone()).collect(),
        });
        for (path, param) in trained {
            let frame = Frame { value_path: path.clone(), ..file.clone() };
            let mut b = emit.builder(&frame, span);
            let part = b.emit(Gradient, &[objective.node, *param]);
            let part = (objective.name.clone(), TensorValue { node: part, which: Which::Step });
            gradients.entry(path.clone()).or_default().push(part);
        }
    }
    gradients
}

/// The number of the group that trains a param.
fn group_of(findings: &mut Findings, path: &str, groups: &[Group], span: Span) -> Lowered<usize> {
    let numbered = || groups.iter().enumerate();
    let mut named = numbered().filter(|(_, group)| group.params.iter().any(|pattern| pattern.matches(path)));
    let (first, second) = (named.next(), named.next());
    if let (Some((_, first)), Some((_, second))) = (first, second) {
        return Err(findings.report(
            Diagnostic::error(Code::E0406, format!("two optimizers claim the param `{path}`"))
                .at(second.span, "second")
                .with_label(first.span, "first"),
        ));
    }
    let mut general = numbered().filter(|(_, group)| group.params.is_empty());
    let (default, other) = (general.next(), general.next());
    if let Some((_, other)) = other {
        return Err(findings.error(
            Code::E0406,
            other.span,
            "two optimizers without `for`",
            "each would train every param",
        ));
    }
    first.or(default).map(|(at, _)| at).ok_or_else(|| {
        findings.report(
            Diagnostic::error(Code::E0406, format!("no optimizer for the param `{path}`"))
                .at(span, "it is trained, but by nothing")
                .with_help("add an `optimizer` without `for`, which takes all other params"),
        )
    })
}

/// Gradients within a limit, by the kind of clipping; `None` for a kind that there is not.
fn clipped(b: &mut Builder<'_>, kind: &str, gradients: &[NodeId], limit: f64) -> Option<Vec<NodeId>> {
    match kind {
        "value" => {
            let clamp = |node: &NodeId| {
                let (low, high) = (b.constant_like(-limit, *node), b.constant_like(limit, *node));
                let above = b.emit(ops::Max, &[*node, low]);
                b.emit(ops::Min, &[above, high])
            };
            Some(gradients.iter().map(clamp).collect())
        }
        "norm" => Some(gradients.iter().flat_map(|node| scale_to_norm(b, &[*node], limit)).collect()),
        "global_norm" => Some(scale_to_norm(b, gradients, limit)),
        _ => None,
    }
}

/// Values scaled together so that their joint Euclidean norm is at most `limit`.
fn scale_to_norm(b: &mut Builder<'_>, values: &[NodeId], limit: f64) -> Vec<NodeId> {
    let mut total = None;
    for value in values {
        let square = b.mul(*value, *value);
        let axes: Vec<usize> = (0..b.shape(square).len()).collect();
        let sum = b.sum(square, &axes);
        total = Some(total.map_or(sum, |total| b.add2(total, sum)));
    }
    let Some(total) = total else { return Vec::new() };
    let norm = b.emit(ops::Sqrt, &[total]);
    let limit = b.constant_like(limit, norm);
    // limit / max(norm, limit): 1 for gradients within the limit, and no division by zero.
    let larger = b.emit(ops::Max, &[norm, limit]);
    let scale = b.div(limit, larger);
    values
        .iter()
        .map(|value| {
            let shape = b.shape(*value).to_vec();
            let scale = b.splat(scale, &shape);
            b.mul(*value, scale)
        })
        .collect()
}
