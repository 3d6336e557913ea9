//! Assertions of a spec, and the patterns that name params in them and in `train` blocks.

use super::expr::dotted;
use super::findings::Findings;
use super::module::{Contract, Module, ParamPattern};
use super::value::{Frame, Value};
use super::{Lowered, Lowering};
use crate::diag::{Code, Diagnostic, Span};
use crate::syntax::ast::{Assertion, Pattern};
use std::sync::Arc;

impl Lowering {
    pub(super) fn assertion(&mut self, frame: &mut Frame, assertion: &Assertion, span: Span) -> Lowered<()> {
        match assertion {
            Assertion::EveryParamTrained => {
                self.module.every_param_trained = Some(self.findings.user_span(span));
                Ok(())
            }
            Assertion::Condition { condition } => match self.condition(frame, condition)? {
                true => Ok(()),
                false => Err(self.findings.error(
                    Code::E0506,
                    condition.span,
                    "an asserted condition does not hold",
                    "this is false",
                )),
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
