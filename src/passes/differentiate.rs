//! Differentiation as a rewriting of the graph: replaces every `gradient(y, x)` node by the nodes that compute it.
//!
//! Takes a graph; gives one without gradient nodes. One backward walk ([`autodiff::cotangents`]) serves all gradients of one
//! `y` together. Gradients of gradients come out by order: inner ones stand before outer ones and are expanded first.
//! Before the walk formulas that lose digits or overflow are replaced by stable ones, so that derivatives profit from them
//! too, and parts of joined values by the values ([`prepare`]).
//!
//! A gradient with no differentiable path is a constant zero; whether that is a mistake is `analyse`'s question.

use super::simplify::prepare;
use crate::autodiff::{self, derivative_provenance, downstream};
use crate::ir::{Builder, Copier, Graph, NodeId};
use crate::ops::Op;
use std::collections::BTreeMap;

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

/// The gradients of the sum of `y` by each of `xs`, as new nodes.
pub fn gradients(graph: &mut Graph, y: NodeId, xs: &[NodeId]) -> Vec<NodeId> {
    let y = prepare(graph, y, xs);
    let active = downstream(graph, xs);
    let found = autodiff::cotangents(graph, y, &active, |_| true);
    let zero = |graph: &mut Graph, x: NodeId| {
        let provenance = derivative_provenance(graph, x);
        Builder::new(graph, provenance).zeros_like(x)
    };
    xs.iter().map(|x| found[x.index()].unwrap_or_else(|| zero(graph, *x))).collect()
}
