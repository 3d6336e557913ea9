//! What is reported, where, and how often; and how much a spec may cost before it is refused.
//!
//! Knows the calls that are being expanded: inside the standard library the place to show is the user's call, not the
//! library's text. A finding is recorded once, however often the definition it stands in is called.

use super::value::{Call, Frame, Home, Value};
use super::{Lowered, Reported};
use crate::diag::{Code, Diagnostic, Diagnostics, SourceId, Span};
use crate::ir::{Provenance, TensorType};
use crate::ops::{OpError, OpErrorKind};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Findings reported in one run.
const MAX_FINDINGS: usize = 20;
/// Expressions evaluated while definitions are expanded, a list counting as its elements. Calls that call twice each double
/// with every level, whether or not they add an operation.
const MAX_EVALUATIONS: usize = 5_000_000;
/// Definitions that call definitions, at most this deep.
const MAX_CALL_DEPTH: usize = 100;
/// Labels that say nothing once the place they point at is not shown.
const GENERIC_LABELS: &[&str] = &["", "here", "in this call"];

/// The findings of one lowering.
#[derive(Default)]
pub(crate) struct Findings {
    all: Vec<Diagnostic>,
    /// calls being expanded, outermost first
    calls: Vec<Call>,
    library_texts: BTreeSet<SourceId>,
    /// expressions evaluated so far
    evaluations: usize,
}

impl Findings {
    /// Findings in this text are shown at the spec's call.
    pub(super) fn note_library_text(&mut self, source: SourceId) {
        self.library_texts.insert(source);
    }

    /// The warnings.
    ///
    /// # Errors
    /// All findings, when one of them is an error.
    pub(super) fn finish(mut self) -> Result<Vec<Diagnostic>, Diagnostics> {
        self.all.truncate(MAX_FINDINGS);
        if self.all.iter().any(Diagnostic::is_error) { Err(Diagnostics(self.all)) } else { Ok(self.all) }
    }

    /// Whether as many errors are found as are reported.
    pub(super) fn has_enough(&self) -> bool {
        self.all.iter().filter(|finding| finding.is_error()).count() >= MAX_FINDINGS
    }

    /// Records a finding, once: a definition may be called many times, and its names were looked up before.
    pub(crate) fn report(&mut self, mut finding: Diagnostic) -> Reported {
        let in_library = |span: Span| self.library_texts.contains(&span.source);
        let inside = finding.primary.as_ref().is_some_and(|label| in_library(label.span));
        finding.labels.retain(|label| !in_library(label.span));
        if let (true, Some(call)) = (inside, self.library_call()) {
            let said = finding.primary.take().map_or_else(String::new, |label| label.message);
            let name = self.calls.last().map_or_else(String::new, |call| call.name.to_string());
            let place = format!("inside `{name}` of the standard library");
            let note = if GENERIC_LABELS.contains(&said.as_str()) { place } else { format!("{place}: {said}") };
            finding.notes.insert(0, note);
            let operands = self.calls.last().map_or(&[][..], |call| &call.operands);
            if !operands.is_empty() {
                let operands = operands.iter().map(|(name, ty)| format!("`{name}` is {ty}"));
                finding.notes.insert(1, operands.collect::<Vec<_>>().join(", "));
            }
            finding = finding.at(call, "in this call");
        }
        let place = |finding: &Diagnostic| finding.primary.as_ref().map(|label| label.span);
        let is_known = |known: &Diagnostic| {
            known.code == finding.code && known.headline == finding.headline && place(known) == place(&finding)
        };
        if place(&finding).is_none() || !self.all.iter().any(is_known) {
            self.all.push(finding);
        }
        Reported
    }

    /// Records an error at a place.
    pub(crate) fn error(
        &mut self,
        code: Code,
        span: Span,
        headline: impl Into<String>,
        label: impl Into<String>,
    ) -> Reported {
        self.report(Diagnostic::error(code, headline).at(span, label))
    }

    /// Records what an op's shape rule says against its operands.
    pub(super) fn op_error(&mut self, span: Span, error: OpError) -> Reported {
        let code = match error.kind {
            OpErrorKind::Shape => Code::E0301,
            OpErrorKind::DType => Code::E0302,
            OpErrorKind::Constraint => Code::E0303,
            OpErrorKind::Limit => Code::E0701,
        };
        let mut finding = Diagnostic::error(code, without_rule_number(&error.message)).at(span, "here");
        finding = match error.help {
            Some(help) => finding.with_help(help),
            None if code == Code::E0302 => finding.with_help("`f32(x)` and `i32(x)` convert one into the other"),
            None => finding,
        };
        self.report(finding)
    }

    /// Counts the evaluation of an expression; refuses one too many. A list that is bound twice in the next is twice as
    /// long there: its copies are work and memory too.
    pub(super) fn count_evaluation(&mut self, value: &Value, span: Span) -> Lowered<()> {
        self.evaluations = self.evaluations.saturating_add(value.n_elements());
        if self.evaluations <= MAX_EVALUATIONS {
            return Ok(());
        }
        let headline = format!("the spec takes more than {MAX_EVALUATIONS} evaluations to expand");
        Err(self.report(
            Diagnostic::error(Code::E0701, headline)
                .at(span, "while expanding this")
                .with_help("definitions that call others twice double the work with every level"),
        ))
    }

    /// Notes a call on the stack; refuses recursion.
    pub(super) fn enter(&mut self, name: &Arc<str>, home: Home, from: Home, span: Span) -> Lowered<()> {
        let recursive = self.calls.iter().any(|call| call.name == *name && call.home == home);
        if recursive || self.calls.len() >= MAX_CALL_DEPTH {
            let (code, headline) = if recursive {
                (Code::E0205, format!("`{name}` calls itself"))
            } else {
                (Code::E0701, format!("definitions call each other more than {MAX_CALL_DEPTH} deep"))
            };
            let chain: Vec<String> = self.calls.iter().map(|call| call.name.to_string()).collect();
            return Err(self.report(
                Diagnostic::error(code, headline)
                    .at(span, "this call would be expanded without end")
                    .with_note(format!("calls so far: {} → {name}", chain.join(" → ")))
                    .with_help(
                        "definitions are expanded where they are called; unroll a fixed number of steps instead",
                    ),
            ));
        }
        self.calls.push(Call { name: name.clone(), span, home, from, operands: Vec::new() });
        Ok(())
    }

    /// Notes what tensors the innermost call was given.
    pub(super) fn note_operands(&mut self, operands: Vec<(Arc<str>, TensorType)>) {
        if let Some(call) = self.calls.last_mut() {
            call.operands = operands;
        }
    }

    /// Takes the innermost call off the stack.
    pub(super) fn leave(&mut self) {
        self.calls.pop();
    }

    /// The user's innermost call, when the code being lowered is the library's.
    fn library_call(&self) -> Option<Span> {
        match self.calls.last() {
            Some(call) if call.home == Home::Library => {
                self.calls.iter().rev().find(|call| call.from == Home::Spec).map(|call| call.span)
            }
            _ => None,
        }
    }

    /// The definition that the user's innermost call names.
    pub(crate) fn user_call(&self) -> Option<Arc<str>> {
        self.calls.iter().rev().find(|call| call.from == Home::Spec).map(|call| call.name.clone())
    }

    /// The definition whose body is being lowered.
    pub(super) fn own_call(&self) -> Option<Arc<str>> {
        self.calls.last().map(|call| call.name.clone())
    }

    /// Where an argument of the call that is being lowered stands, or, of a call within the library, the user's call.
    pub(super) fn argument_span(&self, span: Span) -> Span {
        match self.calls.last() {
            Some(call) if call.from == Home::Spec => span,
            _ => self.user_span(span),
        }
    }

    /// The span that nodes and findings get for library or user code at `span`.
    pub(crate) fn user_span(&self, span: Span) -> Span {
        self.library_call().unwrap_or(span)
    }

    /// Where a node that is created in this frame comes from.
    pub(super) fn provenance(&self, frame: &Frame, span: Span) -> Provenance {
        Provenance { name: frame.value_path.clone(), span: self.user_span(span) }
    }
}

/// A message of a shape rule without the number that the rule has in the op's source, such as ` (C2)`: the words say it.
fn without_rule_number(message: &str) -> String {
    let mut parts = message.split(" (C");
    let mut words = parts.next().unwrap_or_default().to_string();
    for part in parts {
        match part.split_once(')') {
            Some((number, rest)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
                words.push_str(rest);
            }
            _ => words.extend([" (C", part]),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::without_rule_number;

    #[test]
    fn numbers_of_rules_are_left_out() {
        assert_eq!(without_rule_number("axes [1, 0] must be in order (C1)"), "axes [1, 0] must be in order");
        assert_eq!(without_rule_number("is 3 (C2), not 4 (C)"), "is 3, not 4 (C)");
        assert_eq!(without_rule_number("a (C1"), "a (C1");
    }
}
