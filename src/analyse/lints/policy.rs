//! What becomes of a lint's findings: `@allow(LINT)` before a statement silences them, `--deny LINT` makes them errors.

use super::{LINTS, Lint};
use crate::diag::{Code, Diagnostic, Severity, Span};
use crate::syntax::ast::{self, Statement, StatementKind};

/// The `@allow`s of a spec's files and the lints that are denied.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    allowed: Vec<(Span, &'static str)>,
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
        for file in files {
            policy.add_allowances(&file.statements, &mut findings);
        }
        (policy, findings)
    }

    /// The finding as it is to be told: not at all, or with a hint how to silence it, perhaps as an error.
    pub fn apply(&self, lint: &Lint, mut finding: Diagnostic) -> Option<Diagnostic> {
        if self.allowed.iter().any(|(span, name)| *name == lint.name && points_into(&finding, *span)) {
            return None;
        }
        if self.denied.contains(&lint.name) {
            finding.severity = Severity::Error;
        }
        let name = lint.name;
        Some(finding.with_note(format!("lint: {name}; `@allow({name})` before the statement silences it")))
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
                        Some(lint) => self.allowed.push((statement.span, lint.name)),
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

fn points_into(finding: &Diagnostic, span: Span) -> bool {
    let mut labels = finding.primary.iter().chain(&finding.labels);
    labels.any(|label| label.span.source == span.source && label.span.start >= span.start && label.span.end <= span.end)
}
