//! Statements of bodies, and what they share with items: params, states, updates, asserts.

use super::expr::dotted;
use super::module::{Constraint, Contract, Owner, ParamInfo, ParamPattern, StateInfo};
use super::value::{Binding, Frame, TensorValue, Value, Which};
use super::{Lowered, Lowering, Reported};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{BATCH, Dim, Role, Shape, TensorType};
use crate::ops::InputKind;
use crate::syntax::ast::{
    Assertion, Block, DefinitionKind, DimExpr, Expr, ExprKind, Ident, Statement, StatementKind, TypeExpr,
};
use std::sync::Arc;

impl Lowering {
    /// Lowers a body; gives what it returns, if it does.
    pub(super) fn block(&mut self, frame: &mut Frame, block: &Block) -> Lowered<Option<Value>> {
        for (i, statement) in block.statements.iter().enumerate() {
            if let Some(value) = self.statement(frame, statement)? {
                // After an `if` that returned, the rest is the other case.
                if let (StatementKind::Return { .. }, Some(after)) = (&statement.kind, block.statements.get(i + 1)) {
                    return Err(self.error(
                        Code::E0402,
                        after.span,
                        "this statement is never reached",
                        "the body returned before it",
                    ));
                }
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    fn statement(&mut self, frame: &mut Frame, statement: &Statement) -> Lowered<Option<Value>> {
        let span = statement.span;
        match &statement.kind {
            StatementKind::Return { value } => return self.expr(frame, value).map(Some),
            StatementKind::If { condition, then, otherwise } => {
                let taken = if self.condition(frame, condition)? { Some(then) } else { otherwise.as_ref() };
                return taken.map_or(Ok(None), |block| self.block(frame, block));
            }
            StatementKind::Let { name, value } => {
                let path = frame.child_path(&name.name);
                let outer = std::mem::replace(&mut frame.value_path, path);
                let value = self.expr(frame, value);
                frame.value_path = outer;
                let value = value?;
                self.declare(frame, name, value)?;
            }
            StatementKind::LayerBinding { name, value } => {
                let value = self.instance(frame, &name.name, value)?;
                self.declare(frame, name, value)?;
            }
            StatementKind::Param { name, ty, init, constraint } => {
                self.owned_here(frame, "param", span)?;
                self.param(frame, name, ty, init, constraint.as_ref())?;
            }
            StatementKind::State { name, ty, init } => {
                self.owned_here(frame, "state", span)?;
                self.state(frame, name, ty.as_ref(), init)?;
            }
            StatementKind::Update { name, value, every_epoch } => {
                self.update(frame, name, value, *every_epoch, span)?
            }
            StatementKind::Assert(assertion) => self.assertion(frame, assertion, span)?,
            StatementKind::Const { .. }
            | StatementKind::Input { .. }
            | StatementKind::Target { .. }
            | StatementKind::Output { .. }
            | StatementKind::Loss { .. }
            | StatementKind::Metric { .. }
            | StatementKind::Definition(_)
            | StatementKind::Train { .. }
            | StatementKind::Use { .. } => {
                return Err(self.only_at_file_level(span));
            }
        }
        Ok(None)
    }

    pub(super) fn only_at_file_level(&mut self, span: Span) -> Reported {
        self.report(
            Diagnostic::error(Code::E0402, "this statement stands at file level only")
                .at(span, "inside a body")
                .with_help("inside a body use `let`, `param`, `state`, `update`, `if`, `assert` and `return`"),
        )
    }

    fn owned_here(&mut self, frame: &Frame, what: &str, span: Span) -> Lowered<()> {
        match frame.kind {
            Some(kind @ (DefinitionKind::Fn | DefinitionKind::Initializer)) => Err(self.report(
                Diagnostic::error(Code::E0402, format!("a `{}` cannot own a {what}", kind.keyword()))
                    .at(span, "owned by nothing")
                    .with_help(
                        "make the definition a `layer` (or a `combiner`): each call is then an instance of its own",
                    ),
            )),
            Some(DefinitionKind::Optimizer) if what == "param" => {
                Err(self.error(Code::E0402, span, "an `optimizer` cannot own a param", "use `state`"))
            }
            _ => Ok(()),
        }
    }

    /// Gives a name a value in the innermost scope.
    pub(super) fn declare(&mut self, frame: &mut Frame, name: &Ident, value: Value) -> Lowered<()> {
        let first = match &frame.locals {
            Some(locals) => locals.get(&name.name).filter(|binding| !binding.is_parameter).map(|binding| binding.span),
            None => (self.globals.get(&name.name).map(|binding| binding.span))
                .or_else(|| self.definitions.get(&name.name).map(|(_, span)| *span)),
        };
        if let Some(first) = first {
            return Err(self.report(
                Diagnostic::error(Code::E0202, format!("`{}` is defined twice", name.name))
                    .at(name.span, "defined again here")
                    .with_label(first, "first defined here")
                    .with_help("every name means one thing: rename one of them"),
            ));
        }
        let binding = Binding::own(value, name.span);
        match &mut frame.locals {
            Some(locals) => locals.insert(name.name.clone(), binding),
            None => self.globals.insert(name.name.clone(), binding),
        };
        Ok(())
    }

    /// A written type: element type and shape.
    pub(super) fn type_expr(&mut self, frame: &mut Frame, ty: &TypeExpr) -> Lowered<TensorType> {
        let dtype = self.dtype(&ty.element)?;
        let mut shape: Shape = Vec::new();
        for dim in ty.dims.iter().flatten() {
            match dim {
                DimExpr::Rest(span) => {
                    return Err(self.error(
                        Code::E0404,
                        *span,
                        "`...` stands in a definition's signature only",
                        "write the extents out",
                    ));
                }
                DimExpr::Expr(expr) => shape.push(self.dim_expr(frame, expr)?),
            }
        }
        if crate::ir::element_count(&shape).is_none() {
            return Err(self.error(Code::E0701, ty.span, "this tensor has too many elements", "beyond the limits"));
        }
        Ok(TensorType::new(dtype, shape))
    }

    /// An extent: a number, a `const`, or else the name of a run-time dim.
    fn dim_expr(&mut self, frame: &mut Frame, expr: &Expr) -> Lowered<Dim> {
        if let ExprKind::Name(name) = &expr.kind {
            let known = frame.locals.as_ref().and_then(|locals| locals.get(name)).or_else(|| self.globals.get(name));
            match known.map(|binding| binding.value.clone()) {
                None if &**name == BATCH => return Ok(Dim::batch()),
                None => {
                    let span = self.user_span(expr.span);
                    self.module.dims.entry(name.clone()).or_default().push(span);
                    return Ok(Dim::symbol(name));
                }
                Some(Value::Poison) => return Err(Reported),
                Some(_) => {}
            }
        }
        match self.expr(frame, expr)? {
            Value::Dim(dim) => Ok(dim),
            value => self.count(&value, expr.span).map(Dim::known),
        }
    }

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
                return Err(self.report(
                    Diagnostic::error(Code::E0202, format!("two params are called `{path}`"))
                        .at(name.span, "second")
                        .with_label(first, "first"),
                ));
            }
            if known != ty {
                return Err(self.report(
                    Diagnostic::error(Code::E0301, format!("`{path}` is {known} in one call and {ty} in another"))
                        .at(ty_span, "the calls share their params, so the shapes must agree"),
                ));
            }
            return self.declare(frame, name, Value::Tensor(TensorValue { node, which: Which::Step }));
        }
        self.storable(&ty, "param", ty_span)?;
        if !ty.is_float() {
            return Err(self.error(
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
        let span = self.user_span(name.span);
        self.module.params.insert(path, ParamInfo { node: node.node, ty, owner, constraint, span });
        self.declare(frame, name, Value::Tensor(node))
    }

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
        let found = self.ty(initial).clone();
        if found != *ty {
            return Err(self.error(
                Code::E0301,
                init.span,
                format!("`{path}` is {ty}, its initial value {found}"),
                "must have the same type",
            ));
        }
        let node = self.leaf(kind, path, ty, self.user_span(span));
        self.init.add_output(role, path.clone(), initial.node);
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
        let outer = (self.which, frame.value_path.clone(), frame.init_shape.clone());
        self.which = Which::Init;
        frame.value_path = path.clone();
        frame.init_shape = ty.map(|ty| ty.shape.clone());
        let result = self.expr(frame, init).and_then(|value| {
            let value = match value {
                // An initializer's name alone is its call.
                Value::Definition(_) | Value::Partial(_) => {
                    self.call(frame, &value, super::arguments::Arguments::default(), init.span, init.span)?
                }
                value => value,
            };
            match (&value, ty) {
                (Value::Number { value, .. }, Some(ty)) => Ok(self.constant(frame, init.span, *value, ty)),
                _ => {
                    let tensor = self.to_tensor(frame, value, init.span)?;
                    match ty {
                        Some(ty) if self.ty(tensor).is_scalar() && !ty.is_scalar() => {
                            let node = self.builder(frame, init.span).splat(tensor.node, &ty.shape);
                            Ok(TensorValue { node, which: Which::Init })
                        }
                        _ => Ok(tensor),
                    }
                }
            }
        });
        (self.which, frame.value_path, frame.init_shape) = outer;
        result
    }

    /// `in [low, high]`, or `in f` with a function that projects.
    fn constraint(&mut self, frame: &mut Frame, path: &Arc<str>, expr: &Expr, init: &Expr) -> Lowered<Constraint> {
        match self.expr(frame, expr)? {
            Value::List(items) if items.len() == 2 => {
                let (low, high) = (self.number(&items[0], expr.span)?, self.number(&items[1], expr.span)?);
                if low >= high || low.is_nan() || high.is_nan() {
                    return Err(self.error(
                        Code::E0404,
                        expr.span,
                        format!("the interval [{low}, {high}] is empty"),
                        "here",
                    ));
                }
                if let ExprKind::Number { value, .. } = init.kind
                    && !(low..=high).contains(&value)
                {
                    return Err(self.error(
                        Code::E0404,
                        init.span,
                        format!("the initial value {value} of `{path}` is outside [{low}, {high}]"),
                        "must satisfy the constraint",
                    ));
                }
                Ok(Constraint::Interval(low, high))
            }
            function @ (Value::Definition(_) | Value::Builtin(_) | Value::Partial(_)) => {
                self.projections.insert(path.clone(), function);
                Ok(Constraint::Projection)
            }
            other => {
                let found = self.describe(&other);
                Err(self.report(
                    Diagnostic::error(Code::E0404, format!("{found} is not a constraint"))
                        .at(expr.span, "expected an interval `[low, high]` or a function that projects"),
                ))
            }
        }
    }

    fn state(&mut self, frame: &mut Frame, name: &Ident, ty: Option<&TypeExpr>, init: &Expr) -> Lowered<()> {
        let path = frame.child_path(&name.name);
        if let Some(state) = self.module.states.get(&path) {
            let (node, first) = (state.node, state.span);
            if !frame.reuse {
                return Err(self.report(
                    Diagnostic::error(Code::E0202, format!("two states are called `{path}`"))
                        .at(name.span, "second")
                        .with_label(first, "first"),
                ));
            }
            return self.declare(frame, name, Value::Tensor(TensorValue { node, which: Which::Step }));
        }
        let ty = match ty {
            Some(ty) => self.type_expr(frame, ty)?,
            None => {
                let initial = self.initial_value(frame, &path, None, init)?;
                self.ty(initial).clone()
            }
        };
        self.storable(&ty, "state", name.span)?;
        let node = self.carried(InputKind::State, Role::State, frame, &path, &ty, init, name.span)?;
        let span = self.user_span(name.span);
        self.module.states.insert(path, StateInfo { node: node.node, ty, span, next: None });
        self.declare(frame, name, Value::Tensor(node))
    }

    pub(super) fn update(
        &mut self,
        frame: &mut Frame,
        name: &Ident,
        value: &Expr,
        every_epoch: bool,
        span: Span,
    ) -> Lowered<()> {
        let target = self.name(frame, &name.name, name.span)?;
        let state = match target {
            Value::Tensor(tensor) => self.module.states.iter().find(|(_, state)| state.node == tensor.node),
            _ => None,
        };
        let Some((path, ty, taken)) = state.map(|(path, state)| (path.clone(), state.ty.clone(), state.next.is_some()))
        else {
            return Err(self.error(
                Code::E0404,
                name.span,
                format!("`{}` is not a state", name.name),
                "only states are updated",
            ));
        };
        if taken {
            return Err(self.error(
                Code::E0404,
                span,
                format!("`{path}` is updated twice"),
                "a state has one update a step",
            ));
        }
        let value_span = value.span;
        let value = self.expr(frame, value)?;
        let next = self.to_tensor(frame, value, value_span)?;
        let found = self.ty(next).clone();
        if found != ty {
            return Err(self.error(
                Code::E0301,
                value_span,
                format!("`{path}` is {ty}, its update {found}"),
                "must have the same type",
            ));
        }
        self.outside_loops("an update", span)?;
        let next = if every_epoch { self.at_epoch_end(frame, &path, next, span)? } else { next };
        let next = match (self.pace, self.module.states.get(&path)) {
            (Some(pace), Some(state)) => {
                let rest = TensorValue { node: state.node, which: Which::Step };
                self.when_due(frame, next, rest, pace, span)?
            }
            _ => next,
        };
        // No gradient passes from step to step, so none is asked of an update.
        if let Some(state) = self.module.states.get_mut(&path) {
            state.next = Some(next.node);
        }
        Ok(())
    }

    /// The next value on the last step of an epoch, the present one on every other.
    fn at_epoch_end(&mut self, frame: &Frame, path: &Arc<str>, next: TensorValue, span: Span) -> Lowered<TensorValue> {
        let Some(state) = self.module.states.get(path).map(|state| state.node) else { return Err(Reported) };
        let ended = self.epoch_end(frame, span)?;
        let shape = self.ty(next).shape.clone();
        let node = self.builder(frame, span).splat(ended.node, &shape);
        let ended = TensorValue { node, which: Which::Step };
        self.add(frame, span, crate::ops::Select, &[ended, next, TensorValue { node: state, which: Which::Step }])
    }

    pub(super) fn assertion(&mut self, frame: &mut Frame, assertion: &Assertion, span: Span) -> Lowered<()> {
        match assertion {
            Assertion::EveryParamTrained => {
                self.module.every_param_trained = Some(self.user_span(span));
                Ok(())
            }
            Assertion::Condition { condition } => match self.condition(frame, condition)? {
                true => Ok(()),
                false => {
                    Err(self.error(Code::E0506, condition.span, "an asserted condition does not hold", "this is false"))
                }
            },
            Assertion::Shape { subject, ty } => {
                let value = self.expr(frame, subject)?;
                let tensor = self.to_tensor(frame, value, subject.span)?;
                let expected = self.type_expr(frame, ty)?;
                let found = self.ty(tensor).clone();
                if found == expected {
                    return Ok(());
                }
                Err(self.report(
                    Diagnostic::error(
                        Code::E0506,
                        format!("an asserted shape does not hold: {found} is not {expected}"),
                    )
                    .at(subject.span, format!("this is {found}"))
                    .with_label(ty.span, "asserted here"),
                ))
            }
            Assertion::Trains { subject, mode, params } => {
                self.outside_loops("an assertion about gradients", span)?;
                let value = self.expr(frame, subject)?;
                let tensor = self.to_tensor(frame, value, subject.span)?;
                let mut patterns = Vec::with_capacity(params.len());
                for pattern in params {
                    patterns.push(self.pattern(frame, pattern));
                }
                self.module.contracts.push(Contract {
                    subject: tensor.node,
                    subject_text: dotted(subject).unwrap_or_else(|| "this value".to_string()).into(),
                    mode: *mode,
                    params: patterns,
                    span: self.user_span(span),
                });
                Ok(())
            }
        }
    }

    /// Makes a pattern absolute: a name of this scope's own stands for its path.
    pub(super) fn pattern(&mut self, frame: &Frame, pattern: &crate::syntax::ast::Pattern) -> ParamPattern {
        let local = frame.locals.as_ref().and_then(|locals| locals.get(&pattern.text)).map(|b| b.value.clone());
        let own = match local {
            Some(Value::Tensor(tensor)) => {
                self.module.params.iter().find(|(_, param)| param.node == tensor.node).map(|(path, _)| path.clone())
            }
            _ => None,
        };
        let relative: Arc<str> = frame.child_path(&pattern.text);
        let path = own.unwrap_or_else(|| {
            let below = |path: &Arc<str>| {
                let pattern = ParamPattern { text: pattern.text.clone(), path: path.clone(), span: pattern.span };
                self.module.params.keys().any(|param| pattern.matches(param))
            };
            if !frame.path.is_empty() && below(&relative) { relative.clone() } else { pattern.text.clone() }
        });
        ParamPattern { text: pattern.text.clone(), path, span: self.user_span(pattern.span) }
    }
}
