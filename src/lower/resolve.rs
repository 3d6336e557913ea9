//! Names in definitions, looked up before anything is called.
//!
//! A definition is lowered where it is called, so a body that nothing calls, or a branch that no call takes, would never
//! be looked at. This walks every body of the spec once. It evaluates nothing and knows no rule of its own: what a
//! name means, what declares one, which arguments a definition has and how each mistake is worded is asked of the
//! functions that lowering itself uses, with a frame whose values are poison. Where a call then meets the same mistake, it
//! is known already ([`Findings::report`]).
//!
//! Relies on the definitions and the names of items being noted. Says nothing about types, and nothing where only a call
//! could tell: a name bound in one branch counts as bound behind both.

use super::findings::Findings;
use super::scopes::{Scopes, UNUSED};
use super::value::{Binding, Frame, Home, Value};
use super::{Lowered, Reported, builtins};
use crate::diag::Span;
use crate::syntax::ast::{
    Argument, Assertion, Block, Definition, DefinitionKind, DimExpr, Expr, ExprKind, File, Ident, IndexItem,
    SeveralKind, Statement, StatementKind, TypeExpr,
};
use indexmap::IndexMap;
use std::sync::Arc;

/// What is being called, as far as its name says.
enum Callee {
    Definition(Arc<super::value::DefinitionValue>),
    Builtin(&'static builtins::Builtin),
    /// A parameter, a layer's instance, a broken name.
    Unknown,
}

/// Looks names up: the names that there are, and what is said of one that there is not.
pub(super) struct Resolver<'a> {
    pub scopes: &'a mut Scopes,
    pub findings: &'a mut Findings,
}

impl Resolver<'_> {
    /// Looks up the names in a file's definitions.
    pub(super) fn definitions(&mut self, file: &File) {
        for statement in &file.statements {
            if let StatementKind::Definition(definition) = &statement.kind {
                self.definition(definition);
            }
            if self.findings.has_enough() {
                return;
            }
        }
    }

    fn definition(&mut self, definition: &Definition) {
        let mut frame =
            Frame { locals: Some(IndexMap::new()), kind: Some(definition.kind), home: Home::Spec, ..Frame::file() };
        if definition.kind == DefinitionKind::Initializer {
            bind(&mut frame, &"shape".into(), definition.name.span);
        }
        for parameter in &definition.parameters {
            if let Some(ty) = &parameter.ty {
                let _ = self.parameter_type(&mut frame, ty);
            }
            if let Some(default) = &parameter.default {
                let _ = self.expr(&frame, default);
            }
            if parameter.variadic {
                bind(&mut frame, &"K".into(), parameter.span);
            }
            bind(&mut frame, &parameter.name.name, parameter.name.span);
        }
        self.block(&mut frame, &definition.body);
    }

    /// The names of a pattern are bound, not looked up; arithmetic on them is looked up.
    fn parameter_type(&mut self, frame: &mut Frame, ty: &TypeExpr) -> Lowered<()> {
        if !matches!((&*ty.element.name, &ty.dims), ("int" | "number" | "text", None)) {
            self.findings.dtype(&ty.element)?;
        }
        for dim in ty.dims.iter().flatten() {
            match dim {
                DimExpr::Expr(Expr { kind: ExprKind::Name(name), span }) => bind(frame, name, *span),
                DimExpr::Expr(expr) => self.expr(frame, expr)?,
                DimExpr::Rest(_) => {}
            }
        }
        Ok(())
    }

    fn block(&mut self, frame: &mut Frame, block: &Block) {
        for statement in &block.statements {
            // One broken statement does not hide the next: what it declares is bound all the same.
            let _ = self.statement(frame, statement);
        }
    }

    fn statement(&mut self, frame: &mut Frame, statement: &Statement) -> Lowered<()> {
        match &statement.kind {
            StatementKind::Let { name, value } => {
                let found = self.expr(frame, value);
                self.scopes.declare(self.findings, frame, name, Value::Poison)?;
                found
            }
            StatementKind::Several { kind: SeveralKind::Let, names, value } => {
                let found = self.expr(frame, value);
                for name in names {
                    self.scopes.declare(self.findings, frame, name, Value::Poison)?;
                }
                found
            }
            StatementKind::LayerBinding { name, value } => {
                // Settings alone, however many: the inputs come when the layer is called.
                let found = match &value.kind {
                    ExprKind::Call { callee, arguments } => {
                        self.exprs(frame, arguments.iter().map(|argument| &argument.value).chain([&**callee]))
                    }
                    _ => self.expr(frame, value),
                };
                self.scopes.declare(self.findings, frame, name, Value::Poison)?;
                found
            }
            StatementKind::Param { name, ty, init, constraint } => {
                let found = [self.ty(frame, ty), self.expr(frame, init)];
                let constraint = constraint.as_ref().map_or(Ok(()), |constraint| self.expr(frame, constraint));
                self.scopes.declare(self.findings, frame, name, Value::Poison)?;
                all(found).and(constraint)
            }
            StatementKind::State { name, ty, init } => {
                let ty = ty.as_ref().map_or(Ok(()), |ty| self.ty(frame, ty));
                let init = self.expr(frame, init);
                self.scopes.declare(self.findings, frame, name, Value::Poison)?;
                ty.and(init)
            }
            StatementKind::Update { name, value, .. } => match is_place(name) {
                true => self.expr_with(frame, &"it".into(), name.span, value),
                false => all([
                    self.name(frame, &name.name, name.span),
                    self.expr_with(frame, &"it".into(), name.span, value),
                ]),
            },
            StatementKind::Return { value } => self.expr(frame, value),
            StatementKind::If { condition, then, otherwise } => {
                let _ = self.expr(frame, condition);
                self.branches(frame, [Some(then), otherwise.as_ref()]);
                Ok(())
            }
            StatementKind::Assert(assertion) => match assertion {
                Assertion::EveryParamTrained | Assertion::Predict(_) => Ok(()),
                Assertion::Condition { condition } => self.expr(frame, condition),
                Assertion::Trains { subject, .. } => self.expr(frame, subject),
                Assertion::Shape { subject, ty } => all([self.expr(frame, subject), self.ty(frame, ty)]),
            },
            StatementKind::Const { .. }
            | StatementKind::Input { .. }
            | StatementKind::Target { .. }
            | StatementKind::Several { .. }
            | StatementKind::Output { .. }
            | StatementKind::Loss { .. }
            | StatementKind::Metric { .. }
            | StatementKind::Definition(_)
            | StatementKind::Train { .. }
            | StatementKind::Use { .. } => Err(self.findings.only_at_file_level(statement.span)),
        }
    }

    /// Each branch sees what stood before; behind them stands what any of them bound, for only a call knows which is taken.
    fn branches(&mut self, frame: &mut Frame, branches: [Option<&Block>; 2]) {
        let before = frame.locals.clone();
        let mut bound: Vec<(Arc<str>, Span)> = Vec::new();
        for block in branches.into_iter().flatten() {
            self.block(frame, block);
            let locals = std::mem::replace(&mut frame.locals, before.clone()).unwrap_or_default();
            let n_before = before.as_ref().map_or(0, IndexMap::len);
            bound.extend(locals.into_iter().skip(n_before).map(|(name, binding)| (name, binding.span)));
        }
        for (name, span) in bound {
            bind(frame, &name, span);
        }
    }

    fn ty(&mut self, frame: &Frame, ty: &TypeExpr) -> Lowered<()> {
        self.findings.dtype(&ty.element)?;
        // A name that nothing bears is that of a run-time dim.
        let arithmetic = ty.dims.iter().flatten().filter_map(|dim| match dim {
            DimExpr::Expr(expr) if expr.as_name().is_none() => Some(expr),
            _ => None,
        });
        self.exprs(frame, arithmetic)
    }

    fn exprs<'e>(&mut self, frame: &Frame, exprs: impl IntoIterator<Item = &'e Expr>) -> Lowered<()> {
        // Every expression is looked at, also after one that fails: each tells its own mistakes.
        let mut found = Ok(());
        for expr in exprs {
            found = self.expr(frame, expr).and(found);
        }
        found
    }

    /// Looks up the names in an expression.
    fn expr(&mut self, frame: &Frame, expr: &Expr) -> Lowered<()> {
        match &expr.kind {
            ExprKind::Number { .. } | ExprKind::String(_) | ExprKind::Bool(_) | ExprKind::None => Ok(()),
            ExprKind::Name(name) => self.name(frame, name, expr.span),
            // Params, which the call makes.
            ExprKind::Field { .. } | ExprKind::Wildcard(_) => Ok(()),
            ExprKind::ListOf { element, name, source } => {
                let source = self.expr(frame, source);
                self.expr_with(frame, &name.name, name.span, element).and(source)
            }
            ExprKind::Call { callee, arguments } => self.call(frame, callee, None, arguments, expr.span),
            ExprKind::Pipe { value, call } => match &call.kind {
                ExprKind::Call { callee, arguments } => self.call(frame, callee, Some(value), arguments, call.span),
                _ => self.call(frame, call, Some(value), &[], call.span),
            },
            ExprKind::Unary { operand, .. } => self.expr(frame, operand),
            ExprKind::Binary { left, right, .. } => self.exprs(frame, [&**left, &**right]),
            ExprKind::Index { base, items } => {
                let bounds = items.iter().flat_map(|item| match item {
                    IndexItem::Single(at) => [Some(at), None, None],
                    IndexItem::Range { start, stop, step, .. } => [start.as_ref(), stop.as_ref(), step.as_ref()],
                    IndexItem::Rest(_) => [None, None, None],
                });
                self.exprs(frame, [&**base].into_iter().chain(bounds.flatten()))
            }
            ExprKind::List(items) => self.exprs(frame, items),
            ExprKind::If { condition, then, otherwise } => self.exprs(frame, [&**condition, &**then, &**otherwise]),
        }
    }

    /// Looks up the names in an expression in which another one is bound.
    fn expr_with(&mut self, frame: &Frame, name: &Arc<str>, span: Span, expr: &Expr) -> Lowered<()> {
        let mut inner = frame.clone();
        bind(&mut inner, name, span);
        self.expr(&inner, expr)
    }

    fn name(&mut self, frame: &Frame, name: &Arc<str>, span: Span) -> Lowered<()> {
        // Items are read one after the other, and where a body is called they may all be there.
        let known =
            self.scopes.find(frame, name).is_some() || super::expr::is_ambient(name) || self.scopes.is_item(name);
        if known { Ok(()) } else { Err(self.scopes.unknown_name(self.findings, frame, name, span)) }
    }

    fn call(
        &mut self,
        frame: &Frame,
        callee: &Expr,
        piped: Option<&Expr>,
        arguments: &[Argument],
        span: Span,
    ) -> Lowered<()> {
        if let Callee::Builtin(builtin) = self.callee(frame, callee)
            && builtin.is_form()
        {
            // What is replaced may be a pattern, and in what takes its place `it` is it; `validation` is no name.
            let is_data = |argument: &&Argument| builtin.name != "on" || argument.value.as_name() != Some("validation");
            let found = piped.map_or(Ok(()), |value| self.expr(frame, value));
            return arguments.iter().filter(is_data).fold(found, |found, argument| match &argument.name {
                Some(name) => self.expr_with(frame, &"it".into(), name.span, &argument.value).and(found),
                None => self.expr(frame, &argument.value).and(found),
            });
        }
        let values = piped.into_iter().chain(arguments.iter().map(|argument| &argument.value));
        let found = self.exprs(frame, [callee].into_iter().chain(values));
        found?;
        let names: Vec<&Ident> = arguments.iter().filter_map(|argument| argument.name.as_ref()).collect();
        let positional: Vec<Span> = (piped.map(|value| value.span).into_iter())
            .chain(arguments.iter().filter(|argument| argument.name.is_none()).map(|argument| argument.value.span))
            .collect();
        let spread = arguments.iter().any(|argument| argument.spread);
        match self.callee(frame, callee) {
            Callee::Builtin(builtin) => {
                self.findings.check_builtin_names(builtin.name, builtin.parameters, names.iter().copied())?;
                if spread {
                    Ok(())
                } else {
                    self.findings.check_builtin_count(builtin.name, builtin.parameters, &positional)
                }
            }
            Callee::Definition(definition) => {
                let definition = &definition.definition;
                self.findings.check_argument_names(definition, names.iter().copied())?;
                // How many go into a spread list, and what optimizers and initializers are given besides, is seen at the call.
                let is_plain = !matches!(definition.kind, DefinitionKind::Optimizer | DefinitionKind::Initializer);
                if spread || !is_plain {
                    return Ok(());
                }
                self.findings.check_argument_count(definition, &positional)?;
                let is_unfinished = positional.is_empty() && !names.is_empty();
                if is_unfinished && definition.kind != DefinitionKind::Combiner {
                    return Ok(());
                }
                let open = definition.parameters.iter().skip(positional.len());
                let mut open = open.filter(|parameter| !names.iter().any(|name| name.name == parameter.name.name));
                match open.find(|parameter| parameter.default.is_none() && !parameter.variadic) {
                    Some(parameter) if !definition.parameters.iter().any(|parameter| parameter.variadic) => {
                        Err(self.findings.missing_argument(definition, parameter, callee.span.to(span)))
                    }
                    _ => Ok(()),
                }
            }
            Callee::Unknown => Ok(()),
        }
    }

    fn callee(&self, frame: &Frame, callee: &Expr) -> Callee {
        let Some(name) = callee.as_name() else { return Callee::Unknown };
        match self.scopes.find(frame, name) {
            // An item of the file takes the place of what the library calls so.
            Some(_) if self.scopes.is_item(name) && !self.scopes.is_definition(name) => Callee::Unknown,
            Some(Value::Definition(definition)) => Callee::Definition(definition),
            Some(Value::Builtin(builtin)) => Callee::Builtin(builtin),
            _ => Callee::Unknown,
        }
    }
}

/// Whether an update is of what a path or pattern names.
fn is_place(name: &Ident) -> bool {
    name.name.contains(['.', '*'])
}

/// Binds a name to nothing in particular; a body may declare it again, as it may a parameter.
fn bind(frame: &mut Frame, name: &Arc<str>, span: Span) {
    if &**name != UNUSED {
        frame.locals.get_or_insert_default().insert(name.clone(), Binding::parameter(Value::Poison, span));
    }
}

fn all<const N: usize>(found: [Lowered<()>; N]) -> Lowered<()> {
    if found.iter().any(Result::is_err) { Err(Reported) } else { Ok(()) }
}
