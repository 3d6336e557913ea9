//! What becomes of a lint's findings: `@allow(LINT)` before a statement silences them, `--deny LINT` makes them errors.

use super::{LINTS, Lint};
use crate::diag::{Code, Diagnostic, Severity, Span};
use crate::syntax::ast::{self, Statement, StatementKind};
use indexmap::IndexMap;

/// The `@allow`s of a spec's files and the lints that are denied.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// By lint, the statements that silence it: in the order of the text, none within another.
    allowed: IndexMap<&'static str, Vec<Span>>,
    denied: Vec<&'static str>,
}

impl Policy {
    /// Reads it off the trees and the names that the command line denies, with findings on what is misspelt.
    pub fn read(files: &[&ast::File], deny: &[String]) -> (Self, Vec<Diagnostic>) {
        let mut policy = Self::default();
        let mut findings = Vec::new();
        for name in deny {
            match LINTS.iter().find(|lint| lint.name == name) {
                Some(lint) => policy.denied.push(lint.name),
                None => findings.push(
                    Diagnostic::error(Code::E0201, format!("`--deny {name}`: no lint has this name"))
                        .with_suggestion(name, LINTS.iter().map(|lint| lint.name)),
                ),
            }
        }
        let mut files = files.to_vec();
        files.sort_by_key(|file| file.span.source);
        for file in files {
            policy.add_allowances(&file.statements, &mut findings);
        }
        (policy, findings)
    }

    /// The finding as it is to be told: not at all, or with a hint how to silence it, perhaps as an error.
    pub fn apply(&self, lint: &Lint, mut finding: Diagnostic) -> Option<Diagnostic> {
        if self.is_allowed(lint.name, &finding) {
            return None;
        }
        if self.denied.contains(&lint.name) {
            finding.severity = Severity::Error;
        }
        let name = lint.name;
        Some(finding.with_note(format!("lint: {name}; `@allow({name})` before the statement silences it")))
    }

    fn is_allowed(&self, lint: &str, finding: &Diagnostic) -> bool {
        let Some(spans) = self.allowed.get(lint) else { return false };
        finding.primary.iter().chain(&finding.labels).any(|label| {
            let starts = |span: &Span| (span.source, span.start) <= (label.span.source, label.span.start);
            let before = spans.partition_point(starts);
            spans[..before].last().is_some_and(|span| is_within(label.span, *span))
        })
    }

    /// The `@allow`s of statements and of those in their bodies.
    fn add_allowances(&mut self, statements: &[Statement], findings: &mut Vec<Diagnostic>) {
        for statement in statements {
            for annotation in &statement.annotations {
                if &*annotation.name.name != "allow" {
                    findings.push(
                        Diagnostic::error(Code::E0201, format!("unknown annotation `@{}`", annotation.name.name))
                            .at(annotation.name.span, "expected `@allow(LINT)`"),
                    );
                    continue;
                }
                for argument in &annotation.arguments {
                    match LINTS.iter().find(|lint| lint.name == &*argument.name) {
                        Some(lint) => {
                            let spans = self.allowed.entry(lint.name).or_default();
                            if spans.last().is_none_or(|last| !is_within(statement.span, *last)) {
                                spans.push(statement.span);
                            }
                        }
                        None => findings.push(
                            Diagnostic::error(Code::E0201, format!("no lint is called `{}`", argument.name))
                                .at(argument.span, "unknown lint")
                                .with_suggestion(&argument.name, LINTS.iter().map(|lint| lint.name)),
                        ),
                    }
                }
            }
            match &statement.kind {
                StatementKind::Definition(definition) => {
                    self.add_allowances(&definition.body.statements, findings);
                }
                StatementKind::If { then, otherwise, .. } => {
                    self.add_allowances(&then.statements, findings);
                    if let Some(block) = otherwise {
                        self.add_allowances(&block.statements, findings);
                    }
                }
                _ => {}
            }
        }
    }
}

fn is_within(inner: Span, outer: Span) -> bool {
    inner.source == outer.source && inner.start >= outer.start && inner.end <= outer.end
}
