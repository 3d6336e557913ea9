//! Items of a file.

use super::encode::Encoded;
use super::findings::Findings;
use super::module::DataInfo;
use super::scopes::UNUSED;
use super::value::{Frame, TensorValue, Value, Which};
use super::{Lowered, Lowering, Reported, Setting};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{DType, Role};
use crate::ops::InputKind;
use crate::syntax::ast::{self, Ident, SeveralKind, Statement, StatementKind, TypeExpr};

impl Lowering {
    /// Lowers one item. A name whose item is broken is poisoned.
    pub(super) fn item(&mut self, file: &mut Frame, statement: &Statement) -> Lowered<()> {
        let result = self.item_inner(file, statement);
        if result.is_err() {
            statement.kind.item_names().for_each(|name| self.scopes.poison(name));
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
                if &*name.name != UNUSED {
                    self.module.idle_values.insert(name.name.clone(), name.span);
                    if let Value::Tensor(TensorValue { node, which: Which::Step }) = &value {
                        self.module.values.insert(name.name.clone(), *node);
                    }
                }
                self.scopes.declare(&mut self.findings, file, name, value)
            }
            StatementKind::Several { kind, names, value } => self.several(file, *kind, names, value),
            StatementKind::LayerBinding { name, value } => {
                let value = self.instance(file, &name.name, value)?;
                self.scopes.declare(&mut self.findings, file, name, value)
            }
            StatementKind::Output { name, value } => self.output(&mut own(name), file, name, value),
            StatementKind::Loss { name, value } => self.loss(&mut own(name), file, name, value),
            StatementKind::Metric { name, value } => self.metric(&mut own(name), file, name, value),
            StatementKind::Train { entries } => self.train(file, entries, span),
            StatementKind::Use { .. } => Ok(()),
            StatementKind::Return { .. } | StatementKind::If { .. } => Err(self.findings.error(
                Code::E0402,
                span,
                "this statement stands in a definition's body only",
                "at file level",
            )),
        }
    }

    /// Lowers an item of a file that the spec uses: its constants. Definitions were collected before.
    pub(super) fn used_item(&mut self, file: &mut Frame, statement: &Statement) -> Lowered<()> {
        match &statement.kind {
            StatementKind::Definition(_) | StatementKind::Const { .. } | StatementKind::Use { .. } => {
                self.item(file, statement)
            }
            _ => Err(self.findings.report(
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
        if let Some(over) = self.scopes.setting(&name.name) {
            value = overridden(&mut self.findings, name, &value, over, span)?;
        }
        match &value {
            Value::Number { value, .. } => {
                self.module.constants.insert(name.name.clone(), *value);
            }
            Value::Bool(_) | Value::Text(_) | Value::List(_) => {}
            Value::Poison => return Err(Reported),
            Value::Tensor(_)
            | Value::Dim(_)
            | Value::Group(_)
            | Value::None
            | Value::Definition(_)
            | Value::Builtin(_)
            | Value::Instance(_)
            | Value::Partial(_) => {
                let found = self.graphs.describe(&value);
                return Err(self.findings.error(
                    Code::E0307,
                    span,
                    format!("a `const` is a compile-time value, found {found}"),
                    "use `let` for values of the graph",
                ));
            }
        }
        self.scopes.declare(&mut self.findings, file, name, value)
    }

    fn data(&mut self, file: &mut Frame, kind: InputKind, name: &Ident, ty: &TypeExpr) -> Lowered<()> {
        let optional = ty.optional;
        let tensor_ty = self.type_expr(file, ty)?;
        if optional && (kind == InputKind::Input || tensor_ty.dtype == DType::Bool) {
            let what = if kind == InputKind::Input { "an input is fed whole" } else { "a `bool` has no mark for it" };
            return Err(self.findings.report(
                Diagnostic::error(Code::E0404, format!("{} `{}` cannot be missing", kind.as_str(), name.name))
                    .at(ty.span, what)
                    .with_help("only a `target` of `f32` or `i32` may be missing; for an input feed a second one that says which are there"),
            ));
        }
        let batch_first = tensor_ty.shape.first().is_some_and(crate::ir::Dim::is_batch);
        let batch_later =
            tensor_ty.shape.iter().skip(1).any(|dim| dim.symbols().iter().any(|s| &**s == crate::ir::BATCH));
        let is_half =
            !batch_first && tensor_ty.shape.iter().any(|dim| dim.symbols().iter().any(|s| &**s == crate::ir::BATCH));
        if is_half || batch_later {
            return Err(self.findings.report(
                Diagnostic::error(
                    Code::E0404,
                    format!("{} `{}` needs `batch` as its first axis", kind.as_str(), name.name),
                )
                .at(ty.span, format!("this is {tensor_ty}"))
                .with_help(format!("write `{}[batch, …]`: the first axis counts samples", tensor_ty.dtype.as_str())),
            ));
        }
        if optional && !batch_first {
            return Err(self.findings.report(
                Diagnostic::error(Code::E0404, format!("target `{}` cannot be missing", name.name))
                    .at(ty.span, "it has no samples that could lack it")
                    .with_help("only a `target` whose first axis is `batch` may be missing"),
            ));
        }
        if let Some(encoding) = self.encodings.get(&*name.name).cloned() {
            return self.encoded_data(file, kind, name, &tensor_ty, optional, &encoding);
        }
        let node = self.emit().leaf(kind, &name.name, &tensor_ty, name.span);
        let ty = tensor_ty.clone();
        let info = DataInfo { node: node.node, ty: tensor_ty, declared: ty, optional, fills: false, span: name.span };
        let value = if optional {
            let own = Frame { value_path: name.name.clone(), ..Frame::file() };
            self.emit().fill_leaf(&own, node, name.span)
        } else {
            node
        };
        self.scopes.declare(&mut self.findings, file, name, Value::Tensor(value))?;
        let fields = if kind == InputKind::Target { &mut self.module.targets } else { &mut self.module.inputs };
        fields.insert(name.name.clone(), info);
        Ok(())
    }

    /// An input or target of which data holds something else than the spec.
    fn encoded_data(
        &mut self,
        file: &mut Frame,
        kind: InputKind,
        name: &Ident,
        ty: &crate::ir::TensorType,
        optional: bool,
        encoding: &super::Encoding,
    ) -> Lowered<()> {
        let Encoded { raw, leaf, value } = self.encoded(kind, name, ty, optional, encoding)?;
        let (fills, declared) = (encoding.fills(), ty.clone());
        let info = DataInfo { node: leaf.node, ty: raw, declared, optional, fills, span: name.span };
        self.scopes.declare(&mut self.findings, file, name, Value::Tensor(value))?;
        let fields = if kind == InputKind::Target { &mut self.module.targets } else { &mut self.module.inputs };
        fields.insert(name.name.clone(), info);
        Ok(())
    }

    /// Names for the elements of a list.
    fn several(&mut self, file: &mut Frame, kind: SeveralKind, names: &[Ident], value: &ast::Expr) -> Lowered<()> {
        let [first, ..] = names else { return Ok(()) };
        let span = value.span;
        let mut own = Frame { path: first.name.clone(), value_path: first.name.clone(), ..Frame::file() };
        let value = self.expr(&mut own, value)?;
        for (name, value) in names.iter().zip(self.elements(value, names, span)?) {
            own.value_path = name.name.clone();
            match kind {
                SeveralKind::Let => {
                    if &*name.name != UNUSED {
                        self.module.idle_values.insert(name.name.clone(), name.span);
                    }
                    self.scopes.declare(&mut self.findings, file, name, value)?;
                }
                SeveralKind::Output => self.output_of(&own, file, name, value, span)?,
                SeveralKind::Loss => self.loss_of(&own, file, name, value, span)?,
                SeveralKind::Metric => self.metric_of(&own, file, name, value, span)?,
            }
        }
        Ok(())
    }

    /// The elements of a list, one for each name.
    pub(super) fn elements(&mut self, value: Value, names: &[Ident], span: Span) -> Lowered<Vec<Value>> {
        let items = match value {
            Value::List(items) => items,
            Value::Group(group) => group.values(),
            other => {
                let found = self.graphs.describe(&other);
                return Err(self.findings.report(
                    Diagnostic::error(Code::E0304, format!("expected a list of {} values, found {found}", names.len()))
                        .at(span, "one for each name")
                        .with_help("`unstack(x, axis)` is the list of a tensor's slices along an axis"),
                ));
            }
        };
        if items.len() == names.len() {
            return Ok(items);
        }
        let headline = format!("{} names for a list of {}", names.len(), items.len());
        let at = names.last().map_or(span, |name| name.span);
        Err(self.findings.report(Diagnostic::error(Code::E0304, headline).at(at, "one name for each value")))
    }

    fn output(&mut self, own: &mut Frame, file: &mut Frame, name: &Ident, value: &ast::Expr) -> Lowered<()> {
        let span = value.span;
        let value = self.expr(own, value)?;
        self.output_of(own, file, name, value, span)
    }

    fn output_of(&mut self, own: &Frame, file: &mut Frame, name: &Ident, value: Value, span: Span) -> Lowered<()> {
        let tensor = self.emit().to_tensor(own, value, span)?;
        self.scopes.declare(&mut self.findings, file, name, Value::Tensor(tensor))?;
        let told = match self.decode.get(&*name.name).cloned() {
            Some(target) => self.decoded(own, tensor, &target, span)?,
            None => tensor,
        };
        self.graphs.step.add_output(Role::Output, name.name.clone(), told.node);
        Ok(())
    }

    fn loss(&mut self, own: &mut Frame, file: &mut Frame, name: &Ident, value: &ast::Expr) -> Lowered<()> {
        let span = value.span;
        let value = self.expr(own, value)?;
        self.loss_of(own, file, name, value, span)
    }

    fn loss_of(&mut self, own: &Frame, file: &mut Frame, name: &Ident, value: Value, span: Span) -> Lowered<()> {
        let tensor = self.emit().to_tensor(own, value, span)?;
        self.emit().check_loss(tensor, &name.name, span)?;
        self.scopes.declare(&mut self.findings, file, name, Value::Tensor(tensor))?;
        let mean = self.emit().batch_mean(own, tensor, span);
        self.graphs.step.add_output(Role::Loss, name.name.clone(), mean.node);
        if let Some(weight) = self.emit().sample_weight(own, tensor, span) {
            self.graphs.step.add_output(Role::Weight, name.name.clone(), weight);
        }
        self.module.losses.insert(name.name.clone(), (tensor.node, name.span));
        Ok(())
    }

    fn metric(&mut self, own: &mut Frame, file: &mut Frame, name: &Ident, value: &ast::Expr) -> Lowered<()> {
        let span = value.span;
        let value = self.expr(own, value)?;
        self.metric_of(own, file, name, value, span)
    }

    fn metric_of(&mut self, own: &Frame, file: &mut Frame, name: &Ident, value: Value, span: Span) -> Lowered<()> {
        let mut tensor = self.emit().to_tensor(own, value, span)?;
        if let Some((_, better)) = self.module.better_when.iter().rfind(|(node, _)| *node == tensor.node) {
            self.module.better.insert(name.name.clone(), *better);
        }
        if !self.graphs.ty(tensor).is_float() {
            tensor = self.emit().add(own, span, crate::ops::Cast { to: DType::F32 }, &[tensor])?;
        }
        let ty = self.graphs.ty(tensor).clone();
        if !ty.is_scalar() && !ty.is_per_sample() {
            let axes: Vec<usize> = (1..ty.rank()).collect();
            return Err(self.findings.report(
                Diagnostic::error(Code::E0405, format!("metric `{}` is {ty}", name.name))
                    .at(span, "expected `f32[batch]`, one number per sample, or `f32`")
                    .with_help(format!("reduce the other axes: `|> mean(axes={axes:?})`")),
            ));
        }
        self.scopes.declare(&mut self.findings, file, name, Value::Tensor(tensor))?;
        if ty.is_scalar() {
            self.module.batch_metrics.push(name.name.clone());
        }
        let mean = self.emit().batch_mean(own, tensor, span);
        // Reported, never differentiated.
        let stopped = self.emit().add(own, span, crate::ops::StopGradient, &[mean])?;
        self.graphs.step.add_output(Role::Metric, name.name.clone(), stopped.node);
        if let Some(weight) = self.emit().sample_weight(own, tensor, span) {
            self.graphs.step.add_output(Role::Weight, name.name.clone(), weight);
        }
        Ok(())
    }
}

/// The value of a `const` that `--set` gives another one of the same kind.
fn overridden(findings: &mut Findings, name: &Ident, value: &Value, over: &Setting, span: Span) -> Lowered<Value> {
    match (value, over) {
        (Value::Number { is_integer: true, .. }, Setting::Number(over)) if over.fract() != 0.0 => Err(findings.error(
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
            Err(findings.report(
                Diagnostic::error(Code::E0304, format!("`--set {}={over}`: `{}` is {kind}", name.name, name.name))
                    .at(span, "declared here")
                    .with_help("numbers, `true` and `false`, and texts can be set, each in place of its kind"),
            ))
        }
    }
}
