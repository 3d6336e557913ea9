//! A choice among one: the largest of a single score is always the first, the softmax of a single score, and its share of
//! itself, always 1.

use crate::diag::{Code, Diagnostic};
use crate::ir::{DType, Dim};
use crate::lower::{Meaning, Module};
use crate::ops::Op;

pub(super) fn run(module: &Module) -> Vec<Diagnostic> {
    let graph = &module.graph;
    let needed = graph.slice_back(graph.outputs.iter().map(|output| output.node));
    let mut findings: Vec<Diagnostic> = Vec::new();
    for id in graph.ids().filter(|id| needed[id.index()]) {
        let (axis, what, help) = match graph.op(id) {
            Op::ArgMax(op) => (
                op.axis,
                "the largest of one score is always the first",
                "for a probability `[batch, 1]` take `binary_accuracy(t, p)`; `accuracy` chooses among the scores of all classes",
            ),
            Op::Softmax(op) => {
                (op.axis, "the softmax of one score is always 1", "`sigmoid` is the probability of one of two outcomes")
            }
            Op::LogSoftmax(op) => {
                (op.axis, "the softmax of one score is always 1", "`sigmoid` is the probability of one of two outcomes")
            }
            _ => continue,
        };
        let ty = graph.ty(graph.operands(id)[0]);
        if !ty.shape[axis].is_one() {
            continue;
        }
        let span = graph.node(id).provenance.span;
        add(
            &mut findings,
            Diagnostic::warning(Code::L0023, what).at(span, format!("of {ty}, along axis {axis}")).with_help(help),
        );
    }
    for meant in &module.meant {
        let (ty, label) = (graph.ty(meant.value), meant.label.map(|label| graph.ty(label)));
        let is_single = ty.shape.last().is_some_and(Dim::is_one);
        // A class is chosen among the scores of the last axis.
        let is_choice = label.is_some_and(|label| label.dtype == DType::I32 && label.rank() + 1 == ty.rank());
        if !is_single || !(is_choice || meant.meaning == Meaning::Shares) {
            continue;
        }
        let what = format!("`{}` chooses among classes and is given the score of one", meant.by);
        add(
            &mut findings,
            Diagnostic::warning(Code::L0023, what)
                .at(meant.span, format!("of {ty}, along its last axis"))
                .with_help("of a probability `[batch, 1]` take `binary_crossentropy` and `binary_accuracy`"),
        );
    }
    findings
}

/// One finding a place.
fn add(findings: &mut Vec<Diagnostic>, finding: Diagnostic) {
    if !findings
        .iter()
        .any(|other| other.primary.as_ref().map(|at| at.span) == finding.primary.as_ref().map(|at| at.span))
    {
        findings.push(finding);
    }
}
