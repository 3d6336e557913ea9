//! Assertions of a spec, and the patterns that name params in them and in `train` blocks.

use super::expr::dotted;
use super::findings::Findings;
use super::module::{Contract, Module, ParamPattern};
use super::value::{Frame, Home, Value};
use super::{Lowered, Lowering, Reported};
use crate::diag::{Code, Diagnostic, Span};
use crate::syntax::ast::{Assertion, Expr, ExprKind, Pattern};
use std::sync::Arc;

impl Lowering {
    pub(super) fn assertion(&mut self, frame: &mut Frame, assertion: &Assertion, span: Span) -> Lowered<()> {
        match assertion {
            Assertion::EveryParamTrained => {
                self.module.every_param_trained = Some(self.findings.user_span(span));
                Ok(())
            }
            Assertion::Predict(mode) => {
                self.module.predict_contracts.push((*mode, self.findings.user_span(span)));
                Ok(())
            }
            Assertion::Condition { condition } => match self.expr(frame, condition)? {
                Value::Bool(true) => Ok(()),
                Value::Bool(false) => Err(self.broken(frame, condition)),
                // A definition of the library asserts of an option what it can: a schedule is known in the run.
                Value::Tensor(_) if frame.home == Home::Library => Ok(()),
                _ => self.condition(frame, condition).map(|_| ()),
            },
            Assertion::Shape { subject, ty } => {
                let value = self.expr(frame, subject)?;
                let tensor = self.emit().to_tensor(frame, value, subject.span)?;
                let expected = self.type_expr(frame, ty)?;
                let found = self.graphs.ty(tensor).clone();
                if found == expected {
                    return Ok(());
                }
                Err(self.findings.report(
                    Diagnostic::error(
                        Code::E0506,
                        format!("an asserted shape does not hold: {found} is not {expected}"),
                    )
                    .at(subject.span, format!("this is {found}"))
                    .with_label(ty.span, "asserted here"),
                ))
            }
            Assertion::Trains { subject, mode, params } => {
                self.emit().outside_loops("an assertion about gradients", span)?;
                let value = self.expr(frame, subject)?;
                let tensor = self.emit().to_tensor(frame, value, subject.span)?;
                let params = params.iter().map(|pattern| self.module.pattern(&self.findings, frame, pattern)).collect();
                self.module.contracts.push(Contract {
                    subject: tensor.node,
                    subject_text: dotted(subject).unwrap_or_else(|| "this value".to_string()).into(),
                    mode: *mode,
                    params,
                    span: self.findings.user_span(span),
                });
                Ok(())
            }
        }
    }
}

impl Lowering {
    /// A condition that does not hold: of an option that a call gives, at the call's argument.
    fn broken(&mut self, frame: &Frame, condition: &Expr) -> Reported {
        let parameter = |name: &Arc<str>| {
            let binding = frame.locals.as_ref()?.get(name).filter(|binding| binding.is_parameter)?;
            Some((name.clone(), binding.clone()))
        };
        let given = names(condition).iter().find_map(parameter);
        match (given, frame.home, self.findings.own_call()) {
            (Some((name, binding)), Home::Library, Some(by)) => {
                let found = self.graphs.describe(&binding.value);
                let place = self.findings.argument_span(binding.span);
                self.findings.report(
                    Diagnostic::error(Code::E0506, format!("`{name}` of `{by}` is {found}"))
                        .at(place, format!("expected `{}`", text(condition))),
                )
            }
            _ => {
                self.findings.error(Code::E0506, condition.span, "an asserted condition does not hold", "this is false")
            }
        }
    }
}

impl Module {
    /// Makes a pattern absolute: a name of this scope's own stands for its path.
    pub(super) fn pattern(&self, findings: &Findings, frame: &Frame, pattern: &Pattern) -> ParamPattern {
        let local = frame.locals.as_ref().and_then(|locals| locals.get(&pattern.text)).map(|binding| &binding.value);
        let own = match local {
            Some(Value::Tensor(tensor)) => {
                self.params.iter().find(|(_, param)| param.node == tensor.node).map(|(path, _)| path.clone())
            }
            _ => None,
        };
        let relative: Arc<str> = frame.child_path(&pattern.text);
        let path = own.unwrap_or_else(|| {
            let below = |path: &Arc<str>| {
                let pattern = ParamPattern { text: pattern.text.clone(), path: path.clone(), span: pattern.span };
                self.params.keys().any(|param| pattern.matches(param))
            };
            if !frame.path.is_empty() && below(&relative) { relative.clone() } else { pattern.text.clone() }
        });
        ParamPattern { text: pattern.text.clone(), path, span: findings.user_span(pattern.span) }
    }
}

/// The names in a condition, in order.
fn names(condition: &Expr) -> Vec<Arc<str>> {
    match &condition.kind {
        ExprKind::Name(name) => vec![name.clone()],
        ExprKind::Binary { left, right, .. } => [names(left), names(right)].concat(),
        ExprKind::Unary { operand, .. } => names(operand),
        ExprKind::Call { arguments, .. } => arguments.iter().flat_map(|argument| names(&argument.value)).collect(),
        _ => Vec::new(),
    }
}

/// A condition of names and numbers as it is written.
fn text(condition: &Expr) -> String {
    match &condition.kind {
        ExprKind::Name(name) => name.to_string(),
        ExprKind::Number { text, .. } => text.to_string(),
        ExprKind::String(text) => format!("{text:?}"),
        ExprKind::Call { callee, arguments } => {
            let arguments: Vec<String> = arguments.iter().map(|argument| text(&argument.value)).collect();
            format!("{}({})", text(callee), arguments.join(", "))
        }
        ExprKind::Binary { op, left, right } => format!("{} {} {}", text(left), op.symbol(), text(right)),
        _ => "…".to_string(),
    }
}
