//! Weights of samples times a loss that is one number for the batch already: every sample gets the mean of all.
//!
//! A product of a value of each row that no param has a part in, or a choice by one, and of one number, the same for all
//! rows, that is a sum over the batch along an open path from params.

use crate::analyse::study::reach;
use crate::diag::{Code, Diagnostic};
use crate::ir::{Dim, Graph, NodeId, Role};
use crate::lower::Module;
use crate::ops::Op;

pub(super) fn run(module: &Module) -> Vec<Diagnostic> {
    let graph = &module.graph;
    let objectives: Vec<NodeId> =
        graph.outputs.iter().filter(|output| output.role == Role::Objective).map(|output| output.node).collect();
    let mut trained = vec![false; graph.len()];
    for objective in objectives {
        let reached = reach(graph, objective, &[], false);
        trained.iter_mut().zip(reached).for_each(|(any, one)| *any |= one);
    }
    let params: Vec<NodeId> = module.params.values().map(|param| param.node).collect();
    let data: Vec<NodeId> = module.inputs.values().chain(module.targets.values()).map(|data| data.node).collect();
    let mut findings: Vec<Diagnostic> = Vec::new();
    for id in graph.ids().filter(|id| trained[id.index()] && graph.ty(*id).is_per_sample()) {
        for (weight, loss) in weighed(graph, id) {
            let Some(scalar) = repeated(graph, loss) else { continue };
            let Some(mean) = mean_of_batch(graph, scalar) else { continue };
            let below = |node: NodeId, any: bool| reach(graph, node, &[], any);
            let of_weight = below(weight, true);
            let is_weight = data.iter().any(|node| of_weight[node.index()])
                && !params.iter().any(|node| of_weight[node.index()])
                && repeated(graph, weight).is_none();
            let of_mean = below(mean, false);
            if !is_weight || !params.iter().any(|node| of_mean[node.index()]) {
                continue;
            }
            let span = graph.node(id).provenance.span;
            let finding = Diagnostic::warning(Code::L0024, "the weights of samples meet a loss that is averaged already")
                .at(span, "one number for the whole batch times one a sample")
                .with_label(graph.node(mean).provenance.span, "the mean over the batch is taken here")
                .with_help("weigh before the mean: a loss of `f32[batch]` values is their mean over the batch, as that is their last axis; give them an axis of their own, `t[:, none]` and `p[:, none]`, or write `w * square(t - p)`");
            if !findings.iter().any(|other| other.primary == finding.primary) {
                findings.push(finding);
            }
        }
    }
    findings
}

/// What weighs, and what is weighed by it: the sides of a product or quotient, the mask and what it leaves.
fn weighed(graph: &Graph, id: NodeId) -> Vec<(NodeId, NodeId)> {
    let operands = graph.operands(id);
    match (graph.op(id), operands.as_slice()) {
        (Op::Mul(_), [x, y]) => vec![(*x, *y), (*y, *x)],
        (Op::Div(_), [x, y]) => vec![(*y, *x)],
        (Op::Select(_), [mask, x, y]) if is_zero(graph, *y) => vec![(*mask, *x)],
        (Op::Select(_), [mask, x, y]) if is_zero(graph, *x) => vec![(*mask, *y)],
        _ => Vec::new(),
    }
}

fn is_zero(graph: &Graph, id: NodeId) -> bool {
    let id = repeated(graph, id).unwrap_or(id);
    matches!(graph.op(id), Op::Constant(constant) if constant.value.0 == 0.0)
}

/// The number that a value repeats.
fn repeated(graph: &Graph, mut id: NodeId) -> Option<NodeId> {
    while !graph.ty(id).is_scalar() {
        match graph.op(id) {
            Op::Broadcast(_) | Op::Reshape(_) | Op::StopGradient(_) => id = graph.operands(id)[0],
            _ => return None,
        }
    }
    Some(id)
}

/// The sum over the batch that a number is, up to a factor.
fn mean_of_batch(graph: &Graph, mut id: NodeId) -> Option<NodeId> {
    loop {
        let operands = graph.operands(id);
        match graph.op(id) {
            Op::Sum(sum) => {
                let shape = &graph.ty(operands[0]).shape;
                return sum.axes.iter().any(|axis| shape[*axis] == Dim::batch()).then_some(id);
            }
            Op::Div(_) | Op::Neg(_) | Op::Reshape(_) | Op::Sqrt(_) => id = operands[0],
            // The square root of the library has no gradient at 0.
            Op::Select(_) if matches!(graph.op(operands[2]), Op::Constant(_)) => id = operands[1],
            Op::Mul(_) if matches!(graph.op(operands[0]), Op::Constant(_)) => id = operands[1],
            Op::Mul(_) if matches!(graph.op(operands[1]), Op::Constant(_)) => id = operands[0],
            _ => return None,
        }
    }
}
