//! Reverse mode: cotangents from results back to what they are computed from.
//!
//! One backward walk serves all values that are wanted. It builds a cotangent only for nodes that lie on a differentiable path
//! to one of them. The results of one loop are differentiated together: one loop back for all of them. A cotangent node keeps
//! the source span of the node that it differentiates, under the name `d.NAME`.

use super::{derivative_provenance, downstream};
use crate::ir::{Builder, Graph, NodeId, Operands};
use crate::ops::{self, Flow, LoopResult, Op, Scan, Site};
use std::collections::HashMap;

/// One backward walk from `y` over the active nodes: the cotangent of each that it met. It goes on to the operands of those
/// that it `enters`.
pub fn cotangents(
    graph: &mut Graph,
    y: NodeId,
    active: &[bool],
    enters: impl Fn(NodeId) -> bool,
) -> Vec<Option<NodeId>> {
    if !active[y.index()] {
        return vec![None; graph.len()];
    }
    let provenance = derivative_provenance(graph, y);
    let ones = Builder::new(graph, provenance).constant_like(1.0, y);
    walk(graph, &[(y, ones)], active, enters)
}

/// The cotangents of `xs` as new nodes, given those of some values as `(value, cotangent)`; `None` where no differentiable
/// path leads from one to the other.
pub fn pullback(graph: &mut Graph, seeds: &[(NodeId, NodeId)], xs: &[NodeId]) -> Vec<Option<NodeId>> {
    let active = downstream(graph, xs);
    let found = walk(graph, seeds, &active, |_| true);
    xs.iter().map(|x| found[x.index()]).collect()
}

/// The backward walk: the cotangents of the active nodes that it met, given those of some values. It goes on to the operands
/// of those that it `enters`.
fn walk(
    graph: &mut Graph,
    seeds: &[(NodeId, NodeId)],
    active: &[bool],
    enters: impl Fn(NodeId) -> bool,
) -> Vec<Option<NodeId>> {
    let n_primal = seeds.iter().map(|(value, _)| value.index() + 1).max().unwrap_or(0);
    let primal: Vec<NodeId> = graph.ids().take(n_primal).collect();
    let mut cotangents = Cotangents { of: vec![None; graph.len()] };
    for (value, cotangent) in seeds.iter().filter(|(value, _)| active[value.index()]) {
        cotangents.add(graph, *value, *cotangent);
    }
    let loops = Loops::of(graph, &primal, active);
    for &id in primal.iter().rev().filter(|id| active[id.index()] && enters(**id)) {
        let operands = graph.operands(id);
        if let Op::Scan(_) = graph.op(id) {
            // What is known of a loop's results is complete at the first of its nodes: their readers stand behind it.
            if let Some(nodes) = loops.nodes.get(&id) {
                loop_cotangents(graph, nodes, &operands, active, &mut cotangents);
            }
            continue;
        }
        let Some(cotangent) = cotangents.of[id.index()] else { continue };
        let op = graph.op(id).clone();
        for (slot, &operand) in operands.iter().enumerate() {
            if !active[operand.index()] || op.flow(slot) != Flow::Differentiable {
                continue;
            }
            let mut b = Builder::new(graph, derivative_provenance(graph, operand));
            let part = op.vjp(&mut b, Site { operands: &operands, result: id }, cotangent, slot);
            cotangents.add(graph, operand, part);
        }
    }
    cotangents.of
}

/// The cotangents so far.
struct Cotangents {
    of: Vec<Option<NodeId>>,
}

impl Cotangents {
    fn add(&mut self, graph: &mut Graph, id: NodeId, part: NodeId) {
        let sum = match self.of[id.index()] {
            Some(others) => {
                let provenance = derivative_provenance(graph, id);
                Builder::new(graph, provenance).add2(others, part)
            }
            None => part,
        };
        self.of[id.index()] = Some(sum);
    }
}

/// The nodes of each loop, by the first of them. Only looked up, never walked.
struct Loops {
    nodes: HashMap<NodeId, Vec<NodeId>>,
}

impl Loops {
    fn of(graph: &Graph, ids: &[NodeId], active: &[bool]) -> Self {
        let mut first: HashMap<(Scan, Operands), NodeId> = HashMap::new();
        let mut nodes: HashMap<NodeId, Vec<NodeId>> = HashMap::new();
        for &id in ids.iter().filter(|id| active[id.index()]) {
            if let Op::Scan(scan) = graph.op(id) {
                let first = *first.entry((scan.loop_key(), graph.operands(id))).or_insert(id);
                nodes.entry(first).or_default().push(id);
            }
        }
        Self { nodes }
    }
}

/// The cotangents of a loop's operands, from those of all its results together.
fn loop_cotangents(
    graph: &mut Graph,
    nodes: &[NodeId],
    operands: &[NodeId],
    active: &[bool],
    cotangents: &mut Cotangents,
) {
    let mut given: Vec<(LoopResult, NodeId)> = Vec::new();
    let mut found: Option<Scan> = None;
    for node in nodes {
        if let (Op::Scan(scan), Some(cotangent)) = (graph.op(*node), cotangents.of[node.index()]) {
            given.push((scan.result, cotangent));
            found = Some(scan.clone());
        }
    }
    let Some(scan) = found else { return };
    let wanted: Vec<bool> = operands.iter().map(|operand| active[operand.index()]).collect();
    let provenance = derivative_provenance(graph, nodes[0]);
    let mut b = Builder::new(graph, provenance);
    let parts = ops::scan::derivative::pullback(&mut b, &scan, operands, &given, &wanted);
    for (operand, part) in operands.iter().zip(parts) {
        if let Some(part) = part {
            cotangents.add(graph, *operand, part);
        }
    }
}
