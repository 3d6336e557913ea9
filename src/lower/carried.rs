//! What is carried from step to step: params and states, their initial values, constraints and updates.

use super::arguments::Arguments;
use super::emit::Emitter;
use super::findings::Findings;
use super::module::{Constraint, Owner, ParamInfo, StateInfo};
use super::patterns::{Place, filled_in};
use super::value::{Frame, Group, TensorValue, Value, Which};
use super::{Lowered, Lowering, Reported};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{DType, Role, TensorType};
use crate::ops::InputKind;
use crate::syntax::ast::{DefinitionKind, Expr, ExprKind, Ident, TypeExpr};
use std::sync::Arc;

impl Lowering {
    pub(super) fn param(
        &mut self,
        frame: &mut Frame,
        name: &Ident,
        ty: &TypeExpr,
        init: &Expr,
        constraint: Option<&Expr>,
    ) -> Lowered<()> {
        let ty_span = ty.span;
        let ty = self.type_expr(frame, ty)?;
        let path = frame.child_path(&name.name);
        if let Some(param) = self.module.params.get(&path) {
            let (node, known, first) = (param.node, param.ty.clone(), param.span);
            if !frame.reuse {
                return Err(self.findings.report(
                    Diagnostic::error(Code::E0202, format!("two params are called `{path}`"))
                        .at(name.span, "second")
                        .with_label(first, "first"),
                ));
            }
            if known != ty {
                return Err(self.findings.report(
                    Diagnostic::error(Code::E0301, format!("`{path}` is {known} in one call and {ty} in another"))
                        .at(ty_span, "the calls share their params, so the shapes must agree"),
                ));
            }
            return self.scopes.declare(
                &mut self.findings,
                frame,
                name,
                Value::Tensor(TensorValue { node, which: Which::Step }),
            );
        }
        self.findings.storable(&ty, "param", ty_span)?;
        if !ty.is_float() {
            return Err(self.findings.error(
                Code::E0302,
                ty_span,
                format!("a param is trained, so it is f32, not {ty}"),
                "here",
            ));
        }
        let node = self.carried(InputKind::Param, Role::Param, frame, &path, &ty, init, name.span)?;
        let constraint = match constraint {
            Some(expr) => Some(self.constraint(frame, &path, expr, init)?),
            None => None,
        };
        let owner = match frame.kind {
            Some(DefinitionKind::Combiner) => Owner::Combiner,
            Some(_) => Owner::Layer,
            None => Owner::File,
        };
        let span = self.findings.user_span(name.span);
        self.module.params.insert(path, ParamInfo { node: node.node, ty, owner, constraint, span });
        self.scopes.declare(&mut self.findings, frame, name, Value::Tensor(node))
    }

    /// A leaf that is carried from step to step, and its initial value.
    #[allow(clippy::too_many_arguments)]
    fn carried(
        &mut self,
        kind: InputKind,
        role: Role,
        frame: &mut Frame,
        path: &Arc<str>,
        ty: &TensorType,
        init: &Expr,
        span: Span,
    ) -> Lowered<TensorValue> {
        let initial = self.initial_value(frame, path, Some(ty), init)?;
        let found = self.graphs.ty(initial).clone();
        if found != *ty {
            return Err(self.findings.error(
                Code::E0301,
                init.span,
                format!("`{path}` is {ty}, its initial value {found}"),
                "must have the same type",
            ));
        }
        let span = self.findings.user_span(span);
        let node = self.emit().leaf(kind, path, ty, span);
        self.graphs.init.add_output(role, path.clone(), initial.node);
        Ok(node)
    }

    /// Evaluates an initial value in the graph of initial values; a scalar fills the whole shape.
    fn initial_value(
        &mut self,
        frame: &mut Frame,
        path: &Arc<str>,
        ty: Option<&TensorType>,
        init: &Expr,
    ) -> Lowered<TensorValue> {
        let outer = (self.graphs.which, frame.value_path.clone(), frame.init_shape.clone());
        self.graphs.which = Which::Init;
        frame.value_path = path.clone();
        frame.init_shape = ty.map(|ty| ty.shape.clone());
        let result = self.expr(frame, init).and_then(|value| {
            let value = match value {
                // An initializer's name alone is its call.
                Value::Definition(_) | Value::Partial(_) => {
                    self.call(frame, &value, Arguments::default(), init.span, init.span)?
                }
                value => value,
            };
            match (&value, ty) {
                (Value::Number { value, .. }, Some(ty)) => Ok(self.emit().constant(frame, init.span, *value, ty)),
                _ => {
                    let wanted = ty.map_or(DType::F32, |ty| ty.dtype);
                    let tensor = self.emit().to_tensor_of(frame, value, wanted, init.span)?;
                    match ty {
                        Some(ty) if self.graphs.ty(tensor).is_scalar() && !ty.is_scalar() => {
                            let node = self.emit().builder(frame, init.span).splat(tensor.node, &ty.shape);
                            Ok(TensorValue { node, which: Which::Init })
                        }
                        _ => Ok(tensor),
                    }
                }
            }
        });
        (self.graphs.which, frame.value_path, frame.init_shape) = outer;
        result
    }

    /// `in [low, high]`, or `in f` with a function that projects.
    fn constraint(&mut self, frame: &mut Frame, path: &Arc<str>, expr: &Expr, init: &Expr) -> Lowered<Constraint> {
        match self.expr(frame, expr)? {
            Value::List(items) if items.len() == 2 => {
                let (low, high) =
                    (self.emit().number(&items[0], expr.span)?, self.emit().number(&items[1], expr.span)?);
                if low >= high || low.is_nan() || high.is_nan() {
                    return Err(self.findings.error(
                        Code::E0404,
                        expr.span,
                        format!("the interval [{low}, {high}] is empty"),
                        "here",
                    ));
                }
                if let ExprKind::Number { value, .. } = init.kind
                    && !(low..=high).contains(&value)
                {
                    return Err(self.findings.error(
                        Code::E0404,
                        init.span,
                        format!("the initial value {value} of `{path}` is outside [{low}, {high}]"),
                        "must satisfy the constraint",
                    ));
                }
                Ok(Constraint::Interval(low, high))
            }
            function @ (Value::Definition(_) | Value::Builtin(_) | Value::Partial(_)) => {
                self.training.projections.insert(path.clone(), function);
                Ok(Constraint::Projection)
            }
            other => {
                let found = self.graphs.describe(&other);
                Err(self.findings.report(
                    Diagnostic::error(Code::E0404, format!("{found} is not a constraint"))
                        .at(expr.span, "expected an interval `[low, high]` or a function that projects"),
                ))
            }
        }
    }

    pub(super) fn state(&mut self, frame: &mut Frame, name: &Ident, ty: Option<&TypeExpr>, init: &Expr) -> Lowered<()> {
        if name.name.contains(['.', '*']) {
            return self.states_of(frame, name, ty, init);
        }
        let path = frame.child_path(&name.name);
        if let Some(state) = self.module.states.get(&path) {
            let (node, first) = (state.node, state.span);
            if !frame.reuse {
                return Err(self.findings.report(
                    Diagnostic::error(Code::E0202, format!("two states are called `{path}`"))
                        .at(name.span, "second")
                        .with_label(first, "first"),
                ));
            }
            return self.scopes.declare(
                &mut self.findings,
                frame,
                name,
                Value::Tensor(TensorValue { node, which: Which::Step }),
            );
        }
        let ty = match ty {
            Some(ty) => self.type_expr(frame, ty)?,
            None => match self.initial_bundles(frame, &path, init)? {
                Some(bundles) => {
                    let states = self.states_like(frame, &path, bundles, name.span)?;
                    return self.scopes.declare(&mut self.findings, frame, name, states);
                }
                None => {
                    let initial = self.initial_value(frame, &path, None, init)?;
                    self.graphs.ty(initial).clone()
                }
            },
        };
        self.findings.storable(&ty, "state", name.span)?;
        let node = self.carried(InputKind::State, Role::State, frame, &path, &ty, init, name.span)?;
        let span = self.findings.user_span(name.span);
        self.module.states.insert(path, StateInfo { node: node.node, ty, span, next: None });
        self.scopes.declare(&mut self.findings, frame, name, Value::Tensor(node))
    }

    /// `state slow.* = fast.*`: a state for each that the right side names, which begins as it does.
    fn states_of(&mut self, frame: &mut Frame, name: &Ident, ty: Option<&TypeExpr>, init: &Expr) -> Lowered<()> {
        let (None, ExprKind::Wildcard(source), None) = (ty, &init.kind, &frame.kind) else {
            return Err(self.findings.report(
                Diagnostic::error(Code::E0404, "states by a pattern begin as what another pattern names")
                    .at(init.span, "expected a pattern with as many `*`, and no type")
                    .with_help("at file level, for example `state slow.* = fast.*`"),
            ));
        };
        let places = self.places(frame, &Ident { name: source.clone(), span: init.span })?;
        for place in places {
            let Some(path) = filled_in(&name.name, &place.captures) else {
                let headline = format!("`{}` and `{source}` have different numbers of `*`", name.name);
                return Err(self.findings.error(Code::E0404, name.span, headline, "one `*` for each"));
            };
            let path: Arc<str> = path.into();
            if self.module.carried_node(&path).is_some() {
                let headline = format!("two params or states are called `{path}`");
                return Err(self.findings.error(Code::E0202, name.span, headline, "second"));
            }
            let ty = self.graphs.step.ty(place.node).clone();
            let outer = std::mem::replace(&mut self.graphs.which, Which::Init);
            let initial = self.emit().in_current(TensorValue { node: place.node, which: Which::Step }, init.span);
            self.graphs.which = outer;
            let span = self.findings.user_span(name.span);
            let node = self.emit().leaf(InputKind::State, &path, &ty, span);
            self.graphs.init.add_output(Role::State, path.clone(), initial?.node);
            self.module.states.insert(path, StateInfo { node: node.node, ty, span, next: None });
        }
        Ok(())
    }

    /// An initial value that is a bundle, or a list of them.
    fn initial_bundles(&mut self, frame: &mut Frame, path: &Arc<str>, init: &Expr) -> Lowered<Option<Value>> {
        fn has_bundle(value: &Value) -> bool {
            match value {
                Value::Group(_) => true,
                Value::List(items) => items.iter().any(has_bundle),
                _ => false,
            }
        }
        let outer = (self.graphs.which, frame.value_path.clone());
        self.graphs.which = Which::Init;
        frame.value_path = path.clone();
        let value = self.expr(frame, init);
        (self.graphs.which, frame.value_path) = outer;
        Ok(Some(value?).filter(has_bundle))
    }

    /// A state for each member of bundles, called `path.MEMBER`, in a list `path.0.MEMBER`.
    fn states_like(&mut self, frame: &mut Frame, path: &Arc<str>, initial: Value, span: Span) -> Lowered<Value> {
        match initial {
            Value::List(items) => {
                let each = items.into_iter().enumerate();
                let each = each.map(|(at, item)| self.states_like(frame, &format!("{path}.{at}").into(), item, span));
                each.collect::<Lowered<_>>().map(Value::List)
            }
            Value::Group(group) => {
                let mut members = Vec::with_capacity(group.members.len());
                for (name, tensor) in &group.members {
                    let own: Arc<str> = format!("{path}.{name}").into();
                    members.push((name.clone(), self.state_from(frame, &own, *tensor, span)?));
                }
                Ok(Value::Group(Arc::new(Group { members })))
            }
            other => {
                let outer = std::mem::replace(&mut self.graphs.which, Which::Init);
                let tensor = self.emit().to_tensor(frame, other, span);
                self.graphs.which = outer;
                self.state_from(frame, path, tensor?, span).map(Value::Tensor)
            }
        }
    }

    /// A state that begins as a value of the initial program.
    pub(super) fn state_from(
        &mut self,
        frame: &Frame,
        path: &Arc<str>,
        initial: TensorValue,
        at: Span,
    ) -> Lowered<TensorValue> {
        let ty = self.graphs.ty(initial).clone();
        if let Some(state) = self.module.states.get(path) {
            if frame.reuse && state.ty == ty {
                return Ok(TensorValue { node: state.node, which: Which::Step });
            }
            let headline = format!("two states are called `{path}`");
            return Err(self.findings.error(Code::E0202, at, headline, "second"));
        }
        self.findings.storable(&ty, "state", at)?;
        let outer = std::mem::replace(&mut self.graphs.which, Which::Init);
        let initial = self.emit().in_current(initial, at);
        self.graphs.which = outer;
        let span = self.findings.user_span(at);
        let node = self.emit().leaf(InputKind::State, path, &ty, span);
        self.graphs.init.add_output(Role::State, path.clone(), initial?.node);
        self.module.states.insert(path.clone(), StateInfo { node: node.node, ty, span, next: None });
        Ok(node)
    }

    /// `update m = 0.9 * it + 0.1 * gradient` of states that are bundles, or lists of them.
    fn update_bundles(
        &mut self,
        frame: &mut Frame,
        name: &Ident,
        present: Value,
        value: &Expr,
        every_epoch: bool,
        span: Span,
    ) -> Lowered<()> {
        let it = Ident { name: "it".into(), span: name.span };
        let next = self.expr_with(frame, &it, present.clone(), &[], value)?;
        let mut pairs = Vec::new();
        if !pair_up(present, next, &mut pairs) {
            let headline = format!("`{}` and its update are made of different parts", name.name);
            return Err(self.findings.error(Code::E0301, value.span, headline, "one value for each"));
        }
        for (present, next) in pairs {
            let state = self.module.states.iter().find(|(_, state)| state.node == present.node);
            let Some((path, ty)) = state.map(|(path, state)| (path.clone(), state.ty.clone())) else {
                let headline = format!("`{}` is not a state", name.name);
                return Err(self.findings.error(Code::E0404, name.span, headline, "only states are updated"));
            };
            let next = self.emit().to_tensor(frame, next, value.span)?;
            let found = self.graphs.ty(next).clone();
            if found != ty {
                let headline = format!("`{path}` is {ty}, its update {found}");
                return Err(self.findings.error(Code::E0301, value.span, headline, "must have the same type"));
            }
            self.set_next(frame, &path, next, every_epoch, span)?;
        }
        Ok(())
    }

    /// `update slow.* = 0.995 * it + 0.005 * fast.*`: the next value of each, where `it` is it and patterns follow it.
    fn update_each(
        &mut self,
        frame: &mut Frame,
        name: &Ident,
        value: &Expr,
        every_epoch: bool,
        span: Span,
    ) -> Lowered<()> {
        let places = self.places(frame, name)?;
        let around = std::mem::replace(&mut self.graphs.siblings, places.iter().map(|place| place.node).collect());
        let mut updated = Ok(());
        for place in places {
            updated = self.next_of(frame, place.node, &place.captures, name.span, value).and_then(|next| {
                if self.module.states.contains_key(&place.path) {
                    self.set_next(frame, &place.path, next, every_epoch, span)
                } else {
                    self.assign(frame, &place, next, every_epoch, span)
                }
            });
            if updated.is_err() {
                break;
            }
        }
        self.graphs.siblings = around;
        updated
    }

    /// A param that no objective trains is given its next value.
    fn assign(
        &mut self,
        frame: &Frame,
        place: &Place,
        mut next: TensorValue,
        every_epoch: bool,
        span: Span,
    ) -> Lowered<()> {
        self.emit().outside_loops("an update", span)?;
        let path = &place.path;
        if self.graphs.step.output(Role::Param, path).is_some() {
            let headline = format!("`{path}` has a next value already");
            return Err(self.findings.report(
                Diagnostic::error(Code::E0404, headline).at(span, "updated here").with_help(
                    "an optimizer or another `update` gives it one; a copy that follows it is `state slow.* = fast.*`",
                ),
            ));
        }
        if every_epoch {
            let present = TensorValue { node: place.node, which: Which::Step };
            let ended = self.emit().epoch_end(frame, span)?;
            next = self.emit().choose(frame, ended, next, present, span)?;
        }
        self.training.assigned.insert(path.clone(), self.findings.user_span(span));
        self.graphs.step.add_output(Role::Param, path.clone(), next.node);
        Ok(())
    }

    pub(super) fn update(
        &mut self,
        frame: &mut Frame,
        name: &Ident,
        value: &Expr,
        every_epoch: bool,
        span: Span,
    ) -> Lowered<()> {
        if name.name.contains(['.', '*']) {
            return self.update_each(frame, name, value, every_epoch, span);
        }
        let target = self.name(frame, &name.name, name.span)?;
        if let Value::Group(_) | Value::List(_) = target {
            return self.update_bundles(frame, name, target, value, every_epoch, span);
        }
        let state = match target {
            Value::Tensor(tensor) => self.module.states.iter().find(|(_, state)| state.node == tensor.node),
            _ => None,
        };
        let Some((path, ty, node)) = state.map(|(path, state)| (path.clone(), state.ty.clone(), state.node)) else {
            return Err(self.findings.error(
                Code::E0404,
                name.span,
                format!("`{}` is not a state", name.name),
                "only states are updated",
            ));
        };
        let value_span = value.span;
        let it = Ident { name: "it".into(), span: name.span };
        let present = Value::Tensor(TensorValue { node, which: Which::Step });
        let value = self.expr_with(frame, &it, present, &[], value)?;
        let next = self.emit().to_tensor(frame, value, value_span)?;
        let found = self.graphs.ty(next).clone();
        if found != ty {
            return Err(self.findings.error(
                Code::E0301,
                value_span,
                format!("`{path}` is {ty}, its update {found}"),
                "must have the same type",
            ));
        }
        self.set_next(frame, &path, next, every_epoch, span)
    }

    /// Gives a state its next value.
    fn set_next(
        &mut self,
        frame: &Frame,
        path: &Arc<str>,
        next: TensorValue,
        every_epoch: bool,
        span: Span,
    ) -> Lowered<()> {
        if self.module.states.get(path).is_some_and(|state| state.next.is_some()) {
            return Err(self.findings.error(
                Code::E0404,
                span,
                format!("`{path}` is updated twice"),
                "a state has one update a step",
            ));
        }
        self.emit().outside_loops("an update", span)?;
        let mut emit = Emitter { graphs: &mut self.graphs, findings: &mut self.findings };
        let Some(state) = self.module.states.get_mut(path) else { return Err(Reported) };
        let present = TensorValue { node: state.node, which: Which::Step };
        let mut next = next;
        if every_epoch {
            let ended = emit.epoch_end(frame, span)?;
            next = emit.choose(frame, ended, next, present, span)?;
        }
        if let Some(pace) = self.training.pace {
            next = emit.choose(frame, pace.due, next, present, span)?;
        }
        // No gradient passes from step to step, so none is asked of an update.
        state.next = Some(next.node);
        Ok(())
    }
}

/// The tensors of a value, each with what stands in its place in another value of the same make.
fn pair_up(present: Value, next: Value, pairs: &mut Vec<(TensorValue, Value)>) -> bool {
    match (present, next) {
        (Value::Tensor(present), next) => {
            pairs.push((present, next));
            true
        }
        (Value::Group(present), Value::Group(next)) => {
            let is_same = present.members.len() == next.members.len();
            let members = present.members.iter().zip(&next.members);
            pairs.extend(members.map(|((_, present), (_, next))| (*present, Value::Tensor(*next))));
            is_same
        }
        (Value::List(present), Value::List(next)) => {
            present.len() == next.len()
                && present.into_iter().zip(next).all(|(present, next)| pair_up(present, next, pairs))
        }
        _ => false,
    }
}

impl Findings {
    /// Params and states are kept between steps, so their size is fixed when the spec is compiled.
    fn storable(&mut self, ty: &TensorType, what: &str, span: Span) -> Lowered<()> {
        match ty.shape.iter().find(|dim| dim.as_known().is_none()) {
            None => Ok(()),
            Some(dim) => Err(self.report(
                Diagnostic::error(Code::E0305, format!("the size of this {what} is not known at compile time"))
                    .at(span, format!("`{dim}` is a run-time dim"))
                    .with_help(
                        "a param's extents are numbers or names of `const`s; slices and reductions fix run-time axes",
                    ),
            )),
        }
    }
}
