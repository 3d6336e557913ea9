//! Forward mode: tangents from values to what is computed from them.

use super::derivative_provenance;
use crate::ir::{Builder, Graph, NodeId};
use crate::ops::{Flow, Op, Site};

/// The tangents of `ys` as new nodes, given those of some values as `(value, tangent)`; `None` where no differentiable path
/// leads from one to the other.
pub fn pushforward(graph: &mut Graph, seeds: &[(NodeId, NodeId)], ys: &[NodeId]) -> Vec<Option<NodeId>> {
    let last = ys.iter().max().copied();
    tangents(graph, seeds, ys, |id| Some(id) <= last)
}

/// As [`pushforward`], with tangents of those nodes alone that the sweep `enters`.
pub fn tangents(
    graph: &mut Graph,
    seeds: &[(NodeId, NodeId)],
    ys: &[NodeId],
    enters: impl Fn(NodeId) -> bool,
) -> Vec<Option<NodeId>> {
    let primal: Vec<NodeId> = graph.ids().collect();
    let mut tangents: Vec<Option<NodeId>> = vec![None; graph.len()];
    for (value, tangent) in seeds {
        tangents[value.index()] = Some(*tangent);
    }
    for id in primal.into_iter().filter(|id| enters(*id)) {
        let operands = graph.operands(id);
        let op = graph.op(id).clone();
        let mut b = Builder::new(graph, derivative_provenance(graph, id));
        if let Op::Concat(_) = op {
            // Whole, and not as a sum over its operands, so that a part of it is the tangent of that part alone.
            if operands.iter().all(|operand| tangents[operand.index()].is_none()) {
                continue;
            }
            let part = |operand: &NodeId| tangents[operand.index()].unwrap_or_else(|| b.zeros_like(*operand));
            let parts: Vec<NodeId> = operands.iter().map(part).collect();
            tangents[id.index()] = Some(b.emit(op, &parts));
            continue;
        }
        for (slot, operand) in operands.iter().enumerate() {
            let Some(tangent) = tangents[operand.index()].filter(|_| op.flow(slot) == Flow::Differentiable) else {
                continue;
            };
            let part = op.jvp(&mut b, Site { operands: &operands, result: id }, tangent, slot);
            let sum = tangents[id.index()].map_or(part, |others| b.add2(others, part));
            tangents[id.index()] = Some(sum);
        }
    }
    ys.iter().map(|y| tangents[y.index()]).collect()
}
