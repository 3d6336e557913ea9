//! Lints: what a spec says that its author will hardly have meant. One file each, one row in [`LINTS`].
//!
//! A lint reads the graph and its symbolic derivatives, never a definition's name or text. `@allow(NAME)` before a
//! statement that a finding points into silences it; `--deny NAME` makes it an error.

mod blocked_loss;
mod constant_weight;
mod decayed_weight;
mod loss_can_rise;
mod moving_monitor;
mod never_trained;
mod once_named_dim;
mod unbounded_below;
mod unstable;
mod unused;
mod weight_collapse;

pub use moving_monitor::moving_monitor;

use super::study::{Study, studies};
use crate::diag::{Code, Diagnostic, Severity, Span};
use crate::lower::Module;
use crate::syntax::ast::{self, Statement, StatementKind};
use indexmap::IndexMap;

/// Findings of lints shown in one run; of more, their number.
const MAX_FINDINGS: usize = 100;

/// A lint.
#[derive(Clone, Copy, Debug)]
pub struct Lint {
    pub name: &'static str,
    pub code: Code,
    run: fn(&Module, &[Study]) -> Vec<Diagnostic>,
}

/// All lints, in the order of their codes.
pub const LINTS: &[Lint] = &[
    Lint { name: "weight-collapse", code: Code::L0001, run: weight_collapse::run },
    Lint { name: "loss-can-rise", code: Code::L0002, run: loss_can_rise::run },
    Lint { name: "never-trained", code: Code::L0003, run: never_trained::run },
    Lint { name: "blocked-loss", code: Code::L0004, run: blocked_loss::run },
    Lint { name: "unused", code: Code::L0005, run: unused::run },
    Lint { name: "once-named-dim", code: Code::L0006, run: once_named_dim::run },
    Lint { name: "unstable", code: Code::L0007, run: unstable::run },
    Lint { name: "unbounded-below", code: Code::L0008, run: unbounded_below::run },
    Lint { name: "constant-weight", code: Code::L0009, run: constant_weight::run },
    Lint { name: "decayed-weight", code: Code::L0010, run: decayed_weight::run },
    // Which value a run watches is said by the run: `moving_monitor` is asked by it.
    Lint { name: "moving-monitor", code: Code::L0011, run: |_, _| Vec::new() },
];

/// The findings of all lints on a module; `files` are the trees it came from, for their `@allow`s.
pub fn lints(module: &Module, files: &[&ast::File], deny: &[String]) -> Vec<Diagnostic> {
    let mut findings: Vec<Diagnostic> = Vec::new();
    let names = || LINTS.iter().map(|lint| lint.name);
    for name in deny.iter().filter(|name| !names().any(|known| known == **name)) {
        findings.push(
            Diagnostic::error(Code::E0201, format!("`--deny {name}`: no lint has this name"))
                .with_suggestion(name, names()),
        );
    }
    let mut allowed = Allowances::new();
    let mut files = files.to_vec();
    files.sort_by_key(|file| file.span.source);
    for file in files {
        allowances(&file.statements, &mut allowed, &mut findings);
    }
    let studies = studies(module);
    for lint in LINTS {
        let is_denied = deny.iter().any(|name| name == lint.name);
        for mut finding in (lint.run)(module, &studies) {
            if is_allowed(&allowed, lint.name, &finding) {
                continue;
            }
            if is_denied {
                finding.severity = Severity::Error;
            }
            findings.push(
                finding.with_note(format!(
                    "lint: {}; `@allow({})` before the statement silences it",
                    lint.name, lint.name
                )),
            );
        }
    }
    shown(findings)
}

/// The first findings, and how many more there are. An error is never left out for a warning.
fn shown(mut findings: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let n_more = findings.len().saturating_sub(MAX_FINDINGS);
    if n_more > 0 {
        findings.sort_by_key(|finding| finding.severity);
        findings.truncate(MAX_FINDINGS);
        if let Some(last) = findings.pop() {
            findings.push(last.with_note(format!("{n_more} more findings are not shown")));
        }
    }
    findings
}

/// By lint, the statements that silence it: in the order of the text, none within another.
type Allowances = IndexMap<&'static str, Vec<Span>>;

fn is_within(inner: Span, outer: Span) -> bool {
    inner.source == outer.source && inner.start >= outer.start && inner.end <= outer.end
}

fn is_allowed(allowed: &Allowances, lint: &str, finding: &Diagnostic) -> bool {
    let Some(spans) = allowed.get(lint) else { return false };
    finding.primary.iter().chain(&finding.labels).any(|label| {
        let before = spans.partition_point(|span| (span.source, span.start) <= (label.span.source, label.span.start));
        spans[..before].last().is_some_and(|span| is_within(label.span, *span))
    })
}

/// The `@allow`s of statements and of those in their bodies.
fn allowances(statements: &[Statement], allowed: &mut Allowances, findings: &mut Vec<Diagnostic>) {
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
                        let spans = allowed.entry(lint.name).or_default();
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
            StatementKind::Definition(definition) => allowances(&definition.body.statements, allowed, findings),
            StatementKind::If { then, otherwise, .. } => {
                allowances(&then.statements, allowed, findings);
                if let Some(block) = otherwise {
                    allowances(&block.statements, allowed, findings);
                }
            }
            _ => {}
        }
    }
}
