//! Where gradients reach: the differentiable paths of a graph.

use crate::diag::Span;
use crate::ir::{Graph, NodeId, Operands};
use crate::ops::{Flow, Op};

/// Marks the nodes that lie on a differentiable path from one of `xs`, those included.
pub fn downstream(graph: &Graph, xs: &[NodeId]) -> Vec<bool> {
    let mut active = vec![false; graph.len()];
    for x in xs {
        active[x.index()] = true;
    }
    for id in graph.ids() {
        if active[id.index()] {
            continue;
        }
        let reaches = |(slot, operand): (usize, NodeId)| {
            active[operand.index()] && graph.op(id).flow(slot) == Flow::Differentiable
        };
        active[id.index()] = graph.operands(id).into_iter().enumerate().any(reaches);
    }
    active
}

/// Marks the nodes that a gradient of `from` reaches, `from` included.
pub fn gradient_reach(graph: &Graph, from: NodeId) -> Vec<bool> {
    let mut reached = vec![false; graph.len()];
    let mut stack = vec![from];
    while let Some(id) = stack.pop() {
        if std::mem::replace(&mut reached[id.index()], true) {
            continue;
        }
        stack.extend(open_operands(graph, id));
    }
    reached
}

/// A shortest differentiable path from `from` back to `to`, both included, following operands; `None` when a gradient of
/// `from` never reaches `to`.
pub fn gradient_path(graph: &Graph, from: NodeId, to: NodeId) -> Option<Vec<NodeId>> {
    graph.path_back(from, |id| id == to, |id| open_operands(graph, id))
}

/// The operands that a gradient of a node goes on to.
fn open_operands(graph: &Graph, id: NodeId) -> Operands {
    let operands = graph.operands(id).into_iter().enumerate();
    operands.filter(|(slot, _)| graph.op(id).flow(*slot) == Flow::Differentiable).map(|(_, operand)| operand).collect()
}

/// Where a node closes the way of a gradient: its place, or that of the `stop` in the step of a loop.
pub fn barrier_span(graph: &Graph, id: NodeId) -> Span {
    let inside = match graph.op(id) {
        Op::Scan(scan) => scan.body.stop().map(|stop| barrier_span(scan.body.graph(), stop)),
        _ => None,
    };
    inside.unwrap_or(graph.node(id).provenance.span)
}
