//! Expressions to values.

use super::value::{Frame, Home, TensorValue, Value};
use super::{Lowered, Lowering, MAX_EVALUATIONS, builtins};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{BATCH, DType, Dim, TensorType, show_shape};
use crate::ops::{Concat, Constant, InputKind, Scalar};
use crate::syntax::ast::{self, BinaryOp, Expr, ExprKind, UnaryOp};
use std::sync::Arc;

/// Names that stand everywhere and that a spec may take for itself: the clock, the number of samples, two numbers.
const AMBIENT: [&str; 6] = ["step", "epoch", "epoch_end", BATCH, "pi", "inf"];

pub(super) fn is_ambient(name: &str) -> bool {
    AMBIENT.contains(&name)
}

impl Lowering {
    /// The value of an expression.
    pub(super) fn expr(&mut self, frame: &mut Frame, expr: &Expr) -> Lowered<Value> {
        let value = self.expr_value(frame, expr)?;
        // A list that is bound twice in the next is twice as long there: its copies are work and memory too.
        self.evaluations = self.evaluations.saturating_add(value.n_elements());
        if self.evaluations <= MAX_EVALUATIONS {
            return Ok(value);
        }
        let headline = format!("the spec takes more than {MAX_EVALUATIONS} evaluations to expand");
        Err(self.report(
            Diagnostic::error(Code::E0701, headline)
                .at(expr.span, "while expanding this")
                .with_help("definitions that call others twice double the work with every level"),
        ))
    }

    fn expr_value(&mut self, frame: &mut Frame, expr: &Expr) -> Lowered<Value> {
        match &expr.kind {
            ExprKind::Number { value, is_integer, .. } => Ok(Value::Number { value: *value, is_integer: *is_integer }),
            ExprKind::String(text) => Ok(Value::Text(text.clone())),
            ExprKind::Bool(value) => Ok(Value::Bool(*value)),
            ExprKind::None => Ok(Value::None),
            ExprKind::Name(name) => self.name(frame, name, expr.span),
            ExprKind::Field { base, field } => self.field(frame, base, field, expr.span),
            ExprKind::Call { callee, arguments } => self.call_expr(frame, callee, None, arguments, expr.span),
            ExprKind::Pipe { value, call } => {
                let piped = (self.expr(frame, value)?, value.span);
                match &call.kind {
                    ExprKind::Call { callee, arguments } => {
                        self.call_expr(frame, callee, Some(piped), arguments, call.span)
                    }
                    _ => self.call_expr(frame, call, Some(piped), &[], call.span),
                }
            }
            ExprKind::Unary { op, operand } => self.unary_expr(frame, *op, operand, expr.span),
            ExprKind::Binary { op: op @ (BinaryOp::And | BinaryOp::Or), left, right } => {
                self.logic_expr(frame, *op, left, right, expr.span)
            }
            ExprKind::Binary { op, left, right } => {
                let values = (self.expr(frame, left), self.expr(frame, right));
                self.binary(frame, *op, (values.0?, left.span), (values.1?, right.span), expr.span)
            }
            ExprKind::Index { base, items } => {
                let value = self.expr(frame, base)?;
                self.index(frame, value, base.span, items, expr.span)
            }
            ExprKind::List(items) => {
                let values: Vec<Value> = items.iter().map(|item| self.expr(frame, item)).collect::<Lowered<_>>()?;
                Ok(Value::List(values))
            }
            ExprKind::If { condition, then, otherwise } => {
                if self.condition(frame, condition)? {
                    self.expr(frame, then)
                } else {
                    self.expr(frame, otherwise)
                }
            }
        }
    }

    /// What a name stands for: local names, then the spec's, then the library's, then the built-in ones.
    pub(super) fn name(&mut self, frame: &Frame, name: &Arc<str>, span: Span) -> Lowered<Value> {
        self.named.insert(name.clone());
        let value = match self.find(frame, name) {
            Some(value) => value,
            None => match (&**name, self.pace) {
                ("step", Some(pace)) => Value::Tensor(pace.step),
                ("step", None) => {
                    Value::Tensor(self.leaf(InputKind::Step, "step", &TensorType::scalar(DType::I32), span))
                }
                ("epoch", _) => {
                    Value::Tensor(self.leaf(InputKind::Epoch, "epoch", &TensorType::scalar(DType::I32), span))
                }
                ("epoch_end", _) => Value::Tensor(self.epoch_end(frame, span)?),
                (BATCH, _) => Value::Dim(Dim::batch()),
                ("pi", _) => Value::number(std::f64::consts::PI),
                ("inf", _) => Value::number(f64::INFINITY),
                _ => return Err(self.unknown_name(frame, name, span)),
            },
        };
        match value {
            Value::Poison => Err(super::Reported),
            value => Ok(value),
        }
    }

    pub(super) fn find(&self, frame: &Frame, name: &str) -> Option<Value> {
        if let Some(binding) = frame.locals.as_ref().and_then(|locals| locals.get(name)) {
            return Some(binding.value.clone());
        }
        if frame.home == Home::Spec {
            if let Some(binding) = self.globals.get(name) {
                return Some(binding.value.clone());
            }
            if let Some((definition, _)) = self.definitions.get(name) {
                return Some(definition.clone());
            }
        }
        self.library.get(name).cloned().or_else(|| builtins::find(name).map(Value::Builtin))
    }

    pub(super) fn unknown_name(&mut self, frame: &Frame, name: &Arc<str>, span: Span) -> super::Reported {
        if let Some(later) = self.later_items.get(name).copied().filter(|_| frame.home == Home::Spec) {
            return self.report(
                Diagnostic::error(Code::E0203, format!("`{name}` is used before it is defined"))
                    .at(span, "used here")
                    .with_label(later, "defined here")
                    .with_help("items are read from top to bottom: move the definition above its first use"),
            );
        }
        let mut known: Vec<String> = frame.locals.iter().flatten().map(|(name, _)| name.to_string()).collect();
        if frame.home == Home::Spec {
            known.extend(self.globals.keys().chain(self.definitions.keys()).map(ToString::to_string));
        }
        known.extend(self.library_names.iter().map(ToString::to_string));
        known.extend(builtins::names().map(str::to_string));
        known.extend(AMBIENT.map(str::to_string));
        self.report(
            Diagnostic::error(Code::E0201, format!("unknown name `{name}`"))
                .at(span, "nothing in scope has this name")
                .with_suggestion(name, known.iter().map(String::as_str)),
        )
    }

    /// `enc.kernel`: a param or state by its path.
    fn field(&mut self, _frame: &mut Frame, base: &Expr, field: &ast::Ident, span: Span) -> Lowered<Value> {
        let Some(path) = dotted(base).map(|base| format!("{base}.{}", field.name)) else {
            return Err(self.error(
                Code::E0404,
                span,
                "only a path of names has fields",
                "write the path of a param, such as `enc.kernel`",
            ));
        };
        let param = self.module.params.get(path.as_str()).map(|param| param.node);
        match param.or_else(|| self.module.states.get(path.as_str()).map(|state| state.node)) {
            Some(node) => Ok(Value::Tensor(TensorValue { node, which: super::Which::Step })),
            None => {
                let known: Vec<String> = self.module.params.keys().map(ToString::to_string).collect();
                Err(self.report(
                    Diagnostic::error(Code::E0201, format!("no param or state is called `{path}`"))
                        .at(span, "unknown path")
                        .with_suggestion(&path, known.iter().map(String::as_str)),
                ))
            }
        }
    }

    fn unary_expr(&mut self, frame: &mut Frame, op: UnaryOp, operand: &Expr, span: Span) -> Lowered<Value> {
        let value = self.expr(frame, operand)?;
        match (op, value) {
            (UnaryOp::Negate, Value::Number { value, is_integer }) => Ok(Value::Number { value: -value, is_integer }),
            (UnaryOp::Negate, Value::Dim(dim)) => {
                let zero = Value::integer(0);
                self.binary(frame, BinaryOp::Subtract, (zero, span), (Value::Dim(dim), operand.span), span)
            }
            (UnaryOp::Negate, value) => {
                let tensor = self.to_tensor(frame, value, operand.span)?;
                self.add(frame, span, crate::ops::Neg, &[tensor]).map(Value::Tensor)
            }
            (UnaryOp::Not, Value::Bool(value)) => Ok(Value::Bool(!value)),
            (UnaryOp::Not, value) => {
                let tensor = self.to_tensor(frame, value, operand.span)?;
                self.add(frame, span, crate::ops::Not, &[tensor]).map(Value::Tensor)
            }
        }
    }

    /// `and`, `or`: on compile-time bools the right side is looked at only when it matters.
    fn logic_expr(&mut self, frame: &mut Frame, op: BinaryOp, left: &Expr, right: &Expr, span: Span) -> Lowered<Value> {
        let first = self.expr(frame, left)?;
        if let Value::Bool(value) = first
            && value == (op == BinaryOp::Or)
        {
            return Ok(Value::Bool(value));
        }
        let second = self.expr(frame, right)?;
        match (first, second) {
            (Value::Bool(_), Value::Bool(value)) => Ok(Value::Bool(value)),
            (first, second) => self.binary(frame, op, (first, left.span), (second, right.span), span),
        }
    }

    /// A condition that must be known at compile time.
    pub(super) fn condition(&mut self, frame: &mut Frame, condition: &Expr) -> Lowered<bool> {
        match self.expr(frame, condition)? {
            Value::Bool(value) => Ok(value),
            other => Err(self.report(
                Diagnostic::error(Code::E0307, "this condition is not known at compile time")
                    .at(condition.span, format!("{}, expected true or false", self.describe(&other)))
                    .with_help("for a choice by the values of a tensor use `where(mask, a, b)`"),
            )),
        }
    }

    /// A value as a tensor: numbers become constants, lists are stacked along a new first axis.
    #[allow(
        clippy::wrong_self_convention,
        reason = "the lowering converts, and notes what it finds; the value is the argument"
    )]
    pub(super) fn to_tensor(&mut self, frame: &mut Frame, value: Value, span: Span) -> Lowered<TensorValue> {
        match value {
            Value::Tensor(tensor) => self.in_current(tensor, span),
            Value::Number { value, .. } => Ok(self.constant(frame, span, value, &TensorType::scalar(DType::F32))),
            Value::Bool(value) => {
                Ok(self.constant(frame, span, f64::from(u8::from(value)), &TensorType::scalar(DType::Bool)))
            }
            Value::Dim(dim) => {
                let node = self.builder(frame, span).size(&dim);
                Ok(TensorValue { node, which: self.which })
            }
            Value::List(items) if !items.is_empty() => self.stack(frame, items, span),
            Value::Poison => Err(super::Reported),
            Value::Partial(partial) => Err(self.unfinished(&partial, span)),
            other => {
                let found = self.describe(&other);
                Err(self.error(Code::E0306, span, format!("expected a tensor, found {found}"), "not a tensor"))
            }
        }
    }

    /// Values of one shape along a new first axis.
    pub(super) fn stack(&mut self, frame: &mut Frame, items: Vec<Value>, span: Span) -> Lowered<TensorValue> {
        let mut rows = Vec::with_capacity(items.len());
        for item in items {
            let tensor = self.to_tensor(frame, item, span)?;
            let mut shape = self.ty(tensor).shape.clone();
            shape.insert(0, Dim::known(1));
            rows.push(self.add(frame, span, crate::ops::Reshape { shape }, &[tensor])?);
        }
        if rows.len() == 1 { Ok(rows[0]) } else { self.add(frame, span, Concat { axis: 0 }, &rows) }
    }

    pub(super) fn constant(&mut self, frame: &Frame, span: Span, value: f64, ty: &TensorType) -> TensorValue {
        let node = self.builder(frame, span).emit(Constant { value: Scalar(value), ty: ty.clone() }, &[]);
        TensorValue { node, which: self.which }
    }

    /// A value in a few words, with its type where it is a tensor.
    pub(super) fn describe(&self, value: &Value) -> String {
        match value {
            Value::Tensor(tensor) => self.ty(*tensor).to_string(),
            Value::Number { value, .. } => format!("the number {value}"),
            Value::Dim(dim) => format!("the run-time dim `{dim}`"),
            Value::Bool(value) => format!("`{value}`"),
            Value::Text(text) => format!("the text {text:?}"),
            Value::Definition(definition) => {
                format!("the {} `{}`", definition.definition.kind.keyword(), definition.definition.name.name)
            }
            Value::Builtin(builtin) => format!("the function `{}`", builtin.name),
            other => other.kind().to_string(),
        }
    }

    /// A shape for messages.
    pub(super) fn shape_text(&self, tensor: TensorValue) -> String {
        show_shape(&self.ty(tensor).shape)
    }
}

/// `a.b.c` as text, when the expression is that.
pub(super) fn dotted(expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Name(name) => Some(name.to_string()),
        ExprKind::Field { base, field } => Some(format!("{}.{}", dotted(base)?, field.name)),
        _ => None,
    }
}
