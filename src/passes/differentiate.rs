//! Differentiation as a rewriting of the graph: replaces every `gradient(y, x)` node by the nodes that compute it.
//!
//! Takes a graph; gives one without gradient nodes. Reverse mode: one backward walk for all gradients of one `y`
//! together. The walk builds a cotangent only for nodes that lie on a differentiable path from a wanted `x` to `y`; it
//! does not enter `stop`, and nothing is built along unwanted paths, so a stopped path is *absent* from the result, not a
//! zero in it. Gradients of gradients come out by order: inner ones stand before outer ones and are expanded first.
//! Before the walk formulas that lose digits or overflow are replaced by stable ones, so that derivatives profit from them
//! too, and parts of joined values by the values ([`prepare`]).
//! The results of one loop are differentiated together: one loop back for all of them.
//! A cotangent node keeps the source span of the node it differentiates, under the name `d.NAME`.
//!
//! A gradient with no differentiable path is a constant zero; whether that is a mistake is `analyse`'s question.

use super::{Copier, simplify::prepare};
use crate::ir::{Builder, Graph, NodeId, Provenance};
use crate::ops::{self, Flow, LoopResult, Op, Scan, Site};
use std::collections::{BTreeMap, HashMap};

/// Replaces every gradient node.
pub fn differentiate(graph: &Graph) -> Graph {
    let mut wanted: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    for id in graph.ids() {
        if let Op::Gradient(_) = graph.op(id) {
            let operands = graph.operands(id);
            wanted.entry(operands[0]).or_default().push(operands[1]);
        }
    }
    let mut copier = Copier::new(graph);
    let mut done: BTreeMap<(NodeId, NodeId), NodeId> = BTreeMap::new();
    for id in graph.ids() {
        if !matches!(graph.op(id), Op::Gradient(_)) {
            copier.copy(id);
            continue;
        }
        let operands = graph.operands(id);
        let (y, x) = (operands[0], operands[1]);
        if !done.contains_key(&(y, x)) {
            // An `x` above this point cannot be upstream of `y`, but may not be copied yet: its gradient comes later.
            let ready: Vec<NodeId> = wanted[&y].iter().copied().filter(|x| copier.get(*x).is_some()).collect();
            let targets: Vec<NodeId> = ready.iter().filter_map(|x| copier.get(*x)).collect();
            let y_copy = copier.get(y).expect("internal: operands are copied first");
            let results = gradients(&mut copier.target, y_copy, &targets);
            done.extend(ready.into_iter().zip(results).map(|(x, gradient)| ((y, x), gradient)));
        }
        copier.set(id, done[&(y, x)]);
    }
    copier.finish(|_| true)
}

/// Marks the nodes that lie on a differentiable path from one of `xs`, those included.
pub(super) fn downstream(graph: &Graph, xs: &[NodeId]) -> Vec<bool> {
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

/// The gradients of the sum of `y` by each of `xs`, as new nodes.
pub fn gradients(graph: &mut Graph, y: NodeId, xs: &[NodeId]) -> Vec<NodeId> {
    let y = prepare(graph, y, xs);
    let active = downstream(graph, xs);
    let found = cotangents(graph, y, &active, |_| true);
    let zero = |graph: &mut Graph, x: NodeId| {
        let provenance = derivative_provenance(graph, x);
        Builder::new(graph, provenance).zeros_like(x)
    };
    xs.iter().map(|x| found[x.index()].unwrap_or_else(|| zero(graph, *x))).collect()
}

/// One backward walk from `y` over the active nodes: the cotangent of each that it met. It goes on to the operands of those
/// that it `enters`.
pub(super) fn cotangents(
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
        let mut first: HashMap<(Scan, Vec<NodeId>), NodeId> = HashMap::new();
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

/// The tangents of `ys` as new nodes, given those of some values as `(value, tangent)`; `None` where no differentiable path
/// leads from one to the other.
pub fn pushforward(graph: &mut Graph, seeds: &[(NodeId, NodeId)], ys: &[NodeId]) -> Vec<Option<NodeId>> {
    let primal: Vec<NodeId> = graph.ids().collect();
    let mut tangents: Vec<Option<NodeId>> = vec![None; graph.len()];
    for (value, tangent) in seeds {
        tangents[value.index()] = Some(*tangent);
    }
    for id in primal.into_iter().take_while(|id| ys.iter().any(|y| y >= id)) {
        let (operands, op) = (graph.operands(id), graph.op(id).clone());
        for (slot, operand) in operands.iter().enumerate() {
            let Some(tangent) = tangents[operand.index()].filter(|_| op.flow(slot) == Flow::Differentiable) else {
                continue;
            };
            let mut b = Builder::new(graph, derivative_provenance(graph, id));
            let part = op.jvp(&mut b, Site { operands: &operands, result: id }, tangent, slot);
            let sum = tangents[id.index()].map_or(part, |others| b.add2(others, part));
            tangents[id.index()] = Some(sum);
        }
    }
    ys.iter().map(|y| tangents[y.index()]).collect()
}

/// The provenance of nodes that compute the cotangent of `id`, or its tangent.
pub(super) fn derivative_provenance(graph: &Graph, id: NodeId) -> Provenance {
    let primal = &graph.node(id).provenance;
    let name = if primal.name.starts_with("d.") { primal.name.clone() } else { format!("d.{}", primal.name).into() };
    Provenance { name, span: primal.span }
}

/// Marks the nodes that a gradient of `from` reaches, `from` included.
pub fn gradient_reach(graph: &Graph, from: NodeId) -> Vec<bool> {
    let mut reached = vec![false; graph.len()];
    let mut stack = vec![from];
    while let Some(id) = stack.pop() {
        if std::mem::replace(&mut reached[id.index()], true) {
            continue;
        }
        let operands = graph.operands(id).into_iter().enumerate();
        let open = operands.filter(|(slot, _)| graph.op(id).flow(*slot) == Flow::Differentiable);
        stack.extend(open.map(|(_, operand)| operand));
    }
    reached
}

/// A shortest differentiable path from `from` back to `to`, both included, following operands; `None` when a gradient of
/// `from` never reaches `to`.
pub fn gradient_path(graph: &Graph, from: NodeId, to: NodeId) -> Option<Vec<NodeId>> {
    let open = |id: NodeId| {
        let operands = graph.operands(id).into_iter().enumerate();
        operands
            .filter(|(slot, _)| graph.op(id).flow(*slot) == Flow::Differentiable)
            .map(|(_, operand)| operand)
            .collect()
    };
    graph.path_back(from, |id| id == to, open)
}
