//! Items of a file.

use super::module::DataInfo;
use super::value::{Binding, Frame, TensorValue, Value, Which};
use super::{Lowered, Lowering};
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
            StatementKind::Use { path, path_span } => Err(self.report(
                Diagnostic::error(Code::E0407, format!("`use {path:?}` is not part of this version's language"))
                    .at(*path_span, "definitions of other files are not read")
                    .with_help("put the definitions into the spec itself"),
            )),
            StatementKind::Return { .. } | StatementKind::If { .. } => {
                Err(self.error(Code::E0402, span, "this statement stands in a definition's body only", "at file level"))
            }
        }
    }

    fn file_statement(&mut self, file: &mut Frame, statement: &Statement) -> Lowered<()> {
        let block = ast::Block { statements: vec![statement.clone()], span: statement.span };
        self.block(file, &block).map(|_| ())
    }

    fn constant_item(&mut self, file: &mut Frame, name: &Ident, value: &ast::Expr) -> Lowered<()> {
        let span = value.span;
        let mut value = self.expr(file, value)?;
        if let Value::Number { is_integer, .. } = &value
            && let Some(&over) = self.options.overrides.get(&*name.name)
        {
            if *is_integer && over.fract() != 0.0 {
                return Err(self.error(
                    Code::E0304,
                    span,
                    format!("`--set {}={over}`: `{}` is a whole number", name.name, name.name),
                    "declared whole here",
                ));
            }
            value = Value::Number { value: over, is_integer: *is_integer };
        }
        match &value {
            Value::Number { value, .. } => {
                self.module.constants.insert(name.name.clone(), *value);
            }
            Value::Bool(_) | Value::Text(_) | Value::List(_) => {}
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

    fn data(&mut self, file: &mut Frame, kind: InputKind, name: &Ident, ty: &TypeExpr) -> Lowered<()> {
        let optional = ty.optional;
        if optional {
            return Err(self.report(
                Diagnostic::error(Code::E0404, "values that may be missing are not part of this version's language")
                    .at(ty.span, "without the `?`"),
            ));
        }
        let tensor_ty = self.type_expr(file, ty)?;
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
        self.declare(file, name, Value::Tensor(node))?;
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
                    .with_help("convert with `f32(x)`; whole numbers and truth values have no gradient"),
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
        let node = self.builder(frame, span).mean(tensor.node, &[0]);
        TensorValue { node, which: Which::Step }
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
        let mean = self.batch_mean(own, tensor, span);
        // Reported, never differentiated.
        let stopped = self.add(own, span, crate::ops::StopGradient, &[mean])?;
        self.graph.add_output(Role::Metric, name.name.clone(), stopped.node);
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
