//! Expressions to values.

use super::counterparts::is_foreign_module;
use super::value::{Frame, TensorValue, Value, Which};
use super::{Lowered, Lowering, Reported};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{BATCH, DType, Dim, TensorType};
use crate::ops::InputKind;
use crate::syntax::ast::{self, BinaryOp, Expr, ExprKind, UnaryOp};
use std::sync::Arc;

/// Names that stand everywhere and that a spec may take for itself: the clock, the number of samples, two numbers.
pub(super) const AMBIENT: [&str; 9] =
    ["step", "epoch", "epoch_end", "epochs", "steps_per_epoch", "total_steps", BATCH, "pi", "inf"];

pub(super) fn is_ambient(name: &str) -> bool {
    AMBIENT.contains(&name)
}

impl Lowering {
    /// The value of an expression.
    pub(super) fn expr(&mut self, frame: &mut Frame, expr: &Expr) -> Lowered<Value> {
        let value = self.expr_value(frame, expr)?;
        self.findings.count_evaluation(&value, expr.span)?;
        Ok(value)
    }

    fn expr_value(&mut self, frame: &mut Frame, expr: &Expr) -> Lowered<Value> {
        match &expr.kind {
            ExprKind::Number { value, is_integer, .. } => Ok(Value::Number { value: *value, is_integer: *is_integer }),
            ExprKind::String(text) => Ok(Value::Text(text.clone())),
            ExprKind::Bool(value) => Ok(Value::Bool(*value)),
            ExprKind::None => Ok(Value::None),
            ExprKind::Name(name) => self.name(frame, name, expr.span),
            ExprKind::Wildcard(pattern) => self.wildcard(frame, pattern, expr.span),
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
                self.emit().binary(frame, *op, (values.0?, left.span), (values.1?, right.span), expr.span)
            }
            ExprKind::Index { base, items } => {
                let value = self.expr(frame, base)?;
                self.index(frame, value, base.span, items, expr.span)
            }
            ExprKind::List(items) => {
                let values: Vec<Value> = items.iter().map(|item| self.expr(frame, item)).collect::<Lowered<_>>()?;
                Ok(Value::List(values))
            }
            ExprKind::ListOf { element, name, source } => self.list_of(frame, element, name, source),
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
        self.scopes.note_use(name);
        let value = match self.scopes.find(frame, name) {
            Some(value) => value,
            None => match (&**name, self.training.pace) {
                ("step", Some(pace)) => Value::Tensor(pace.step),
                ("step", None) => Value::Tensor(self.emit().step_clock(span)),
                ("epoch", _) => {
                    Value::Tensor(self.emit().leaf(InputKind::Epoch, "epoch", &TensorType::scalar(DType::I32), span))
                }
                ("epochs", _) => self.clock(InputKind::Epochs, name, span),
                ("steps_per_epoch", _) => self.clock(InputKind::StepsPerEpoch, name, span),
                ("total_steps", _) => self.clock(InputKind::TotalSteps, name, span),
                ("epoch_end", _) => Value::Tensor(self.emit().epoch_end(frame, span)?),
                (BATCH, _) => Value::Dim(Dim::batch()),
                ("pi", _) => Value::number(std::f64::consts::PI),
                ("inf", _) => Value::number(f64::INFINITY),
                _ => return Err(self.scopes.unknown_name(&mut self.findings, frame, name, span)),
            },
        };
        match value {
            Value::Poison => Err(Reported),
            value => Ok(value),
        }
    }

    /// A whole number that the run has.
    fn clock(&mut self, kind: InputKind, name: &str, span: Span) -> Value {
        Value::Tensor(self.emit().leaf(kind, name, &TensorType::scalar(DType::I32), span))
    }

    /// `enc.kernel`: a param or state by its path.
    fn field(&mut self, frame: &mut Frame, base: &Expr, field: &ast::Ident, span: Span) -> Lowered<Value> {
        let Some(path) = dotted(base).map(|base| format!("{base}.{}", field.name)) else {
            return Err(self.findings.error(
                Code::E0404,
                span,
                "only a path of names has fields",
                "write the path of a param, such as `enc.kernel`",
            ));
        };
        let param = self.module.params.get(path.as_str()).map(|param| param.node);
        match param.or_else(|| self.module.states.get(path.as_str()).map(|state| state.node)) {
            Some(node) => Ok(Value::Tensor(TensorValue { node, which: Which::Step })),
            None => Err(self.unknown_path(frame, &path, span)),
        }
    }

    /// A path that no param or state has. What other languages write with a dot is a call or an operator here.
    fn unknown_path(&mut self, frame: &Frame, path: &str, span: Span) -> Reported {
        let finding =
            Diagnostic::error(Code::E0201, format!("no param or state is called `{path}`")).at(span, "unknown path");
        let (owner, member) = path.rsplit_once('.').unwrap_or(("", path));
        let is_value = self.scopes.find(frame, owner).is_some_and(|value| !matches!(value, Value::Instance(_)));
        let known: Vec<String> = self.module.params.keys().map(ToString::to_string).collect();
        let finding = if is_value {
            self.scopes.method(frame, owner, member, finding)
        } else if is_foreign_module(owner) {
            self.scopes.of_module(frame, member, finding)
        } else {
            finding.with_suggestion(path, known.iter().map(String::as_str))
        };
        self.findings.report(finding)
    }

    fn unary_expr(&mut self, frame: &mut Frame, op: UnaryOp, operand: &Expr, span: Span) -> Lowered<Value> {
        let value = self.expr(frame, operand)?;
        match (op, value) {
            (UnaryOp::Negate, Value::Number { value, is_integer }) => Ok(Value::Number { value: -value, is_integer }),
            (UnaryOp::Negate, Value::Dim(dim)) => {
                let zero = Value::integer(0);
                self.emit().binary(frame, BinaryOp::Subtract, (zero, span), (Value::Dim(dim), operand.span), span)
            }
            (op, Value::Group(group)) => {
                let group = Some((Value::Group(group), operand.span));
                let op: crate::ops::Op = match op {
                    UnaryOp::Negate => crate::ops::Neg.into(),
                    UnaryOp::Not => crate::ops::Not.into(),
                };
                self.emit().each(frame, &[group], span, |emit, mut values| {
                    let Some((value, at)) = values.pop().flatten() else { return Err(Reported) };
                    let tensor = emit.to_tensor(frame, value, at)?;
                    emit.add(frame, span, op.clone(), &[tensor]).map(Value::Tensor)
                })
            }
            (UnaryOp::Negate, value) => {
                let tensor = self.emit().to_tensor(frame, value, operand.span)?;
                self.emit().add(frame, span, crate::ops::Neg, &[tensor]).map(Value::Tensor)
            }
            (UnaryOp::Not, Value::Bool(value)) => Ok(Value::Bool(!value)),
            (UnaryOp::Not, value) => {
                let tensor = self.emit().to_tensor(frame, value, operand.span)?;
                self.emit().add(frame, span, crate::ops::Not, &[tensor]).map(Value::Tensor)
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
            (first, second) => self.emit().binary(frame, op, (first, left.span), (second, right.span), span),
        }
    }

    /// A condition that must be known at compile time.
    pub(super) fn condition(&mut self, frame: &mut Frame, condition: &Expr) -> Lowered<bool> {
        match self.expr(frame, condition)? {
            Value::Bool(value) => Ok(value),
            other => Err(self.findings.report(
                Diagnostic::error(Code::E0307, "this condition is not known at compile time")
                    .at(condition.span, format!("{}, expected true or false", self.graphs.describe(&other)))
                    .with_help("for a choice by the values of a tensor use `where(mask, a, b)`"),
            )),
        }
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
