//! A choice among one: the largest of a single score is always the first, the softmax of a single score always 1.

use crate::diag::{Code, Diagnostic};
use crate::lower::Module;
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
        let finding =
            Diagnostic::warning(Code::L0023, what).at(span, format!("of {ty}, along axis {axis}")).with_help(help);
        if !findings.iter().any(|other| other.primary == finding.primary) {
            findings.push(finding);
        }
    }
    findings
}
