//! A formula that loses its value in floats though a stable one says the same.
//!
//! `log` of `sigmoid(x)`, of `1 - sigmoid(x)` and of a softmax underflows to -inf; `log(sum(exp(x)))` overflows where x is
//! large, unless the largest x is taken out first. A logarithm of something held away from 0 is not meant.

use crate::analyse::study::Study;
use crate::diag::{Code, Diagnostic};
use crate::ir::{Graph, NodeId};
use crate::lower::Module;
use crate::ops::Op;

pub(super) fn run(module: &Module, _studies: &[Study]) -> Vec<Diagnostic> {
    let graph = &module.graph;
    let mut findings: Vec<Diagnostic> = Vec::new();
    let logarithms = graph.ids().filter(|id| matches!(graph.op(*id), Op::Log(_)));
    for (id, (what, instead)) in logarithms.filter_map(|id| Some((id, pattern(graph, graph.operands(id)[0])?))) {
        let span = graph.node(id).provenance.span;
        findings.push(
            Diagnostic::warning(Code::L0007, format!("{what} loses its value where floats end"))
                .at(span, "here")
                .with_help(format!("write {instead}: the same function, exact over the whole range")),
        );
    }
    findings
}

fn pattern(graph: &Graph, x: NodeId) -> Option<(&'static str, &'static str)> {
    let x = inner(graph, x);
    let operand = |id: NodeId, slot: usize| inner(graph, graph.operands(id)[slot]);
    let is_sigmoid = |id: NodeId| matches!(graph.op(id), Op::Sigmoid(_));
    let is_one = |id: NodeId| matches!(graph.op(id), Op::Constant(constant) if constant.value.0 == 1.0);
    match graph.op(x) {
        Op::Sigmoid(_) => Some(("`log(sigmoid(x))`", "`-softplus(-x)`")),
        Op::Sub(_) if is_one(operand(x, 0)) && is_sigmoid(operand(x, 1)) => {
            Some(("`log(1 - sigmoid(x))`", "`-softplus(x)`"))
        }
        Op::Softmax(_) => Some(("`log(softmax(x))`", "`log_softmax(x)`")),
        Op::Div(_) => {
            let (part, whole) = (operand(x, 0), operand(x, 1));
            let is_softmax = matches!(graph.op(part), Op::Exp(_))
                && matches!(graph.op(whole), Op::Sum(_))
                && operand(whole, 0) == part;
            is_softmax.then_some(("`log(softmax(x))`", "`log_softmax(x)`"))
        }
        Op::Sum(_) => {
            let exponential = operand(x, 0);
            let is_open = matches!(graph.op(exponential), Op::Exp(_)) && !is_shifted(graph, operand(exponential, 0));
            is_open.then_some(("`log(sum(exp(x)))`", "`logsumexp(x)`"))
        }
        _ => None,
    }
}

/// Behind what only changes the shape.
fn inner(graph: &Graph, mut id: NodeId) -> NodeId {
    while matches!(graph.op(id), Op::Reshape(_) | Op::Broadcast(_) | Op::StopGradient(_)) {
        id = graph.operands(id)[0];
    }
    id
}

/// `x - max(x)`
fn is_shifted(graph: &Graph, x: NodeId) -> bool {
    matches!(graph.op(x), Op::Sub(_)) && matches!(graph.op(inner(graph, graph.operands(x)[1])), Op::MaxReduce(_))
}
