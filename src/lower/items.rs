//! Items of a file.

use super::module::DataInfo;
use super::value::{Binding, Frame, TensorValue, Value};
use super::{Lowered, Lowering, Setting};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{DType, Role};
use crate::ops::InputKind;
use crate::syntax::ast::{self, Ident, Statement, StatementKind, TypeExpr};
use std::sync::Arc;

impl Lowering {
    /// Notes where each name of the file is defined, to tell a name used too early from an unknown one.
    pub(super) fn note_items(&mut self, file: &ast::File) {
        for statement in &file.statements {
            if let Some(name) = item_name(&statement.kind) {
                self.later_items.entry(name.name.clone()).or_insert(name.span);
            }
        }
    }

    /// Lowers one item. A name whose item is broken is poisoned.
    pub(super) fn item(&mut self, file: &mut Frame, statement: &Statement) -> Lowered<()> {
        let result = self.item_inner(file, statement);
        if result.is_err()
            && let Some(name) = item_name(&statement.kind)
            && !self.globals.contains_key(&name.name)
        {
            self.globals.insert(name.name.clone(), Binding::own(Value::Poison, name.span));
        }
        result
    }

    fn item_inner(&mut self, file: &mut Frame, statement: &Statement) -> Lowered<()> {
        let span = statement.span;
        // A value's item is the scope of the layers called in it: `box.conv2d.kernel`.
        let own = |name: &Ident| Frame { path: name.name.clone(), value_path: name.name.clone(), ..Frame::file() };
        match &statement.kind {
            StatementKind::Definition(_) => Ok(()),
            StatementKind::Const { name, value } => self.constant_item(file, name, value),
            StatementKind::Input { name, ty } => self.data(file, InputKind::Input, name, ty),
            StatementKind::Target { name, ty } => self.data(file, InputKind::Target, name, ty),
            StatementKind::Param { name, ty, init, constraint } => {
                self.param(file, name, ty, init, constraint.as_ref())
            }
            StatementKind::State { .. } | StatementKind::Assert(_) | StatementKind::Update { .. } => {
                self.file_statement(file, statement)
            }
            StatementKind::Let { name, value } => {
                let value = self.expr(&mut own(name), value)?;
                self.module.idle_values.insert(name.name.clone(), name.span);
                self.declare(file, name, value)
            }
            StatementKind::LayerBinding { name, value } => {
                let value = self.instance(file, &name.name, value)?;
                self.declare(file, name, value)
            }
            StatementKind::Output { name, value } => self.output(&mut own(name), file, name, value),
            StatementKind::Loss { name, value } => self.loss(&mut own(name), file, name, value),
            StatementKind::Metric { name, value } => self.metric(&mut own(name), file, name, value),
            StatementKind::Train { entries } => self.train(file, entries, span),
            StatementKind::Use { .. } => Ok(()),
            StatementKind::Return { .. } | StatementKind::If { .. } => {
                Err(self.error(Code::E0402, span, "this statement stands in a definition's body only", "at file level"))
            }
        }
    }

    /// Lowers an item of a file that the spec uses: its constants. Definitions were collected before.
    pub(super) fn used_item(&mut self, file: &mut Frame, statement: &Statement) -> Lowered<()> {
        match &statement.kind {
            StatementKind::Definition(_) | StatementKind::Const { .. } | StatementKind::Use { .. } => {
                self.item(file, statement)
            }
            _ => Err(self.report(
                Diagnostic::error(Code::E0402, "a file that is used holds definitions and constants only")
                    .at(statement.span, "belongs to a spec")
                    .with_help("move it into the spec, or make it part of a `layer` or `fn`"),
            )),
        }
    }

    fn file_statement(&mut self, file: &mut Frame, statement: &Statement) -> Lowered<()> {
        let block = ast::Block { statements: vec![statement.clone()], span: statement.span };
        self.block(file, &block).map(|_| ())
    }

    fn constant_item(&mut self, file: &mut Frame, name: &Ident, value: &ast::Expr) -> Lowered<()> {
        let span = value.span;
        let mut value = self.expr(file, value)?;
        if let Some(over) = self.options.overrides.get(&*name.name).cloned() {
            value = self.overridden(name, &value, &over, span)?;
        }
        match &value {
            Value::Number { value, .. } => {
                self.module.constants.insert(name.name.clone(), *value);
            }
            Value::Bool(_) | Value::Text(_) | Value::List(_) => {
                self.other_constants.insert(name.name.clone());
            }
            other => {
                let found = self.describe(other);
                return Err(self.error(
                    Code::E0307,
                    span,
                    format!("a `const` is a compile-time value, found {found}"),
                    "use `let` for values of the graph",
                ));
            }
        }
        self.declare(file, name, value)
    }

    /// The value of a `const` that `--set` gives another one of the same kind.
    fn overridden(&mut self, name: &Ident, value: &Value, over: &Setting, span: Span) -> Lowered<Value> {
        match (value, over) {
            (Value::Number { is_integer: true, .. }, Setting::Number(over)) if over.fract() != 0.0 => Err(self.error(
                Code::E0304,
                span,
                format!("`--set {}={over}`: `{}` is an int", name.name, name.name),
                "declared as an int here",
            )),
            (Value::Number { is_integer, .. }, Setting::Number(over)) => {
                Ok(Value::Number { value: *over, is_integer: *is_integer })
            }
            (Value::Bool(_), Setting::Bool(over)) => Ok(Value::Bool(*over)),
            (Value::Text(_), Setting::Text(over)) => Ok(Value::Text(over.as_str().into())),
            (Value::Text(_), Setting::Number(_) | Setting::Bool(_)) => Ok(Value::Text(over.to_string().into())),
            (value, over) => {
                let kind = value.kind();
                Err(self.report(
                    Diagnostic::error(Code::E0304, format!("`--set {}={over}`: `{}` is {kind}", name.name, name.name))
                        .at(span, "declared here")
                        .with_help("numbers, `true` and `false`, and texts can be set, each in place of its kind"),
                ))
            }
        }
    }

    fn data(&mut self, file: &mut Frame, kind: InputKind, name: &Ident, ty: &TypeExpr) -> Lowered<()> {
        let optional = ty.optional;
        let tensor_ty = self.type_expr(file, ty)?;
        if optional && (kind == InputKind::Input || tensor_ty.dtype == DType::Bool) {
            let what = if kind == InputKind::Input { "an input is fed whole" } else { "a `bool` has no mark for it" };
            return Err(self.report(
                Diagnostic::error(Code::E0404, format!("{} `{}` cannot be missing", kind.as_str(), name.name))
                    .at(ty.span, what)
                    .with_help("only a `target` of `f32` or `i32` may be missing; for an input feed a second one that says which are there"),
            ));
        }
        let batch_first = tensor_ty.shape.first().is_some_and(crate::ir::Dim::is_batch);
        let batch_later =
            tensor_ty.shape.iter().skip(1).any(|dim| dim.symbols().iter().any(|s| &**s == crate::ir::BATCH));
        if !batch_first || batch_later {
            return Err(self.report(
                Diagnostic::error(
                    Code::E0404,
                    format!("{} `{}` needs `batch` as its first axis", kind.as_str(), name.name),
                )
                .at(ty.span, format!("this is {tensor_ty}"))
                .with_help(format!("write `{}[batch, …]`: the first axis counts samples", tensor_ty.dtype.as_str())),
            ));
        }
        let node = self.leaf(kind, &name.name, &tensor_ty, name.span);
        let info = DataInfo { node: node.node, ty: tensor_ty, optional, span: name.span };
        let value = if optional {
            let own = Frame { value_path: name.name.clone(), ..Frame::file() };
            self.fill_leaf(&own, node, name.span)
        } else {
            node
        };
        self.declare(file, name, Value::Tensor(value))?;
        match kind {
            InputKind::Target => self.module.targets.insert(name.name.clone(), info),
            _ => self.module.inputs.insert(name.name.clone(), info),
        };
        Ok(())
    }

    fn output(&mut self, own: &mut Frame, file: &mut Frame, name: &Ident, value: &ast::Expr) -> Lowered<()> {
        let span = value.span;
        let value = self.expr(own, value)?;
        let tensor = self.to_tensor(own, value, span)?;
        self.declare(file, name, Value::Tensor(tensor))?;
        self.graph.add_output(Role::Output, name.name.clone(), tensor.node);
        Ok(())
    }

    fn loss(&mut self, own: &mut Frame, file: &mut Frame, name: &Ident, value: &ast::Expr) -> Lowered<()> {
        let span = value.span;
        let value = self.expr(own, value)?;
        let tensor = self.to_tensor(own, value, span)?;
        self.check_loss(tensor, &name.name, span)?;
        self.declare(file, name, Value::Tensor(tensor))?;
        let mean = self.batch_mean(own, tensor, span);
        self.graph.add_output(Role::Loss, name.name.clone(), mean.node);
        if let Some(weight) = self.sample_weight(own, tensor, span) {
            self.graph.add_output(Role::Weight, name.name.clone(), weight);
        }
        self.module.losses.insert(name.name.clone(), (tensor.node, name.span));
        Ok(())
    }

    /// A loss is one number per sample or one number.
    pub(super) fn check_loss(&mut self, tensor: TensorValue, name: &Arc<str>, span: Span) -> Lowered<()> {
        let ty = self.ty(tensor).clone();
        if !ty.is_float() {
            return Err(self.report(
                Diagnostic::error(Code::E0405, format!("loss `{name}` is {ty}, not f32"))
                    .at(span, "a loss is a number")
                    .with_help("convert with `f32(x)`; `i32` and `bool` have no gradient"),
            ));
        }
        if ty.is_scalar() || ty.is_per_sample() {
            return Ok(());
        }
        let mut finding = Diagnostic::error(Code::E0405, format!("loss `{name}` is {ty}"))
            .at(span, "expected `f32[batch]`, one number per sample, or `f32`");
        finding = if ty.shape.first().is_some_and(crate::ir::Dim::is_batch) {
            let axes: Vec<usize> = (1..ty.rank()).collect();
            finding.with_help(format!("reduce the other axes: `|> mean(axes={axes:?})` or `|> sum(axes={axes:?})`"))
        } else {
            finding.with_help("reduce all axes: `|> mean()` or `|> sum()`")
        };
        Err(self.report(finding))
    }

    pub(super) fn batch_mean(&mut self, frame: &Frame, tensor: TensorValue, span: Span) -> TensorValue {
        if self.ty(tensor).is_scalar() {
            return tensor;
        }
        self.mean(frame, tensor, &[0], span)
    }

    fn metric(&mut self, own: &mut Frame, file: &mut Frame, name: &Ident, value: &ast::Expr) -> Lowered<()> {
        let span = value.span;
        let value = self.expr(own, value)?;
        let mut tensor = self.to_tensor(own, value, span)?;
        if !self.ty(tensor).is_float() {
            tensor = self.add(own, span, crate::ops::Cast { to: DType::F32 }, &[tensor])?;
        }
        let ty = self.ty(tensor).clone();
        if !ty.is_scalar() && !ty.is_per_sample() {
            let axes: Vec<usize> = (1..ty.rank()).collect();
            return Err(self.report(
                Diagnostic::error(Code::E0405, format!("metric `{}` is {ty}", name.name))
                    .at(span, "expected `f32[batch]`, one number per sample, or `f32`")
                    .with_help(format!("reduce the other axes: `|> mean(axes={axes:?})`")),
            ));
        }
        self.declare(file, name, Value::Tensor(tensor))?;
        if ty.is_scalar() {
            self.module.batch_metrics.push(name.name.clone());
        }
        let mean = self.batch_mean(own, tensor, span);
        // Reported, never differentiated.
        let stopped = self.add(own, span, crate::ops::StopGradient, &[mean])?;
        self.graph.add_output(Role::Metric, name.name.clone(), stopped.node);
        if let Some(weight) = self.sample_weight(own, tensor, span) {
            self.graph.add_output(Role::Weight, name.name.clone(), weight);
        }
        Ok(())
    }
}

/// The name an item gives to something.
fn item_name(kind: &StatementKind) -> Option<&Ident> {
    match kind {
        StatementKind::Const { name, .. }
        | StatementKind::Input { name, .. }
        | StatementKind::Target { name, .. }
        | StatementKind::Param { name, .. }
        | StatementKind::State { name, .. }
        | StatementKind::Let { name, .. }
        | StatementKind::LayerBinding { name, .. }
        | StatementKind::Output { name, .. }
        | StatementKind::Loss { name, .. }
        | StatementKind::Metric { name, .. } => Some(name),
        _ => None,
    }
}
