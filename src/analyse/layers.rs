//! A graph folded by layer: the boxes that a person would draw, and what flows between them.
//!
//! A node belongs to the innermost definition with params whose call it stands in, by its path: one at `trunk.conv2d.product` to
//! `trunk.conv2d` where `trunk.conv2d.kernel` is a param. Where no definition has params it belongs to its statement. A box is a run
//! of nodes of one owner in id order, which is a topological order, so that boxes make no circle; a layer that is called twice
//! is two boxes with the same params, and one with a `stop` inside is two. Params, states, the clock and constants are in no box.

use crate::ir::{Graph, NodeId};
use crate::ops::{InputKind, Op};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One box.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerBox {
    /// the path of the definition or statement; of a single operation without params the operation's own
    pub name: Arc<str>,
    /// in id order
    pub nodes: Vec<NodeId>,
    /// what it gives: the last of its nodes that something else reads
    pub result: NodeId,
    /// the params that its nodes read and that no box before it reads
    pub params: Vec<NodeId>,
    /// those that a box before it reads too
    pub params_again: Vec<NodeId>,
}

/// The boxes of a graph in topological order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayerGraph {
    pub boxes: Vec<LayerBox>,
    /// (from, to): a value of the first is read by the second; in order, each pair once
    pub edges: BTreeSet<(usize, usize)>,
    /// the box of each node
    pub of: BTreeMap<NodeId, usize>,
}

/// Folds what `roots` need; paths count to `depth` names.
pub fn layers(graph: &Graph, roots: &[NodeId], depth: usize) -> LayerGraph {
    let needed = graph.slice_back(roots.iter().copied());
    let is_param = |id: NodeId| matches!(graph.op(id), Op::Input(input) if input.kind == InputKind::Param);
    let ids = || graph.ids().filter(|id| needed[id.index()]);
    let scopes: BTreeSet<&str> =
        ids().filter(|id| is_param(*id)).flat_map(|id| ancestors(&graph.node(id).provenance.name)).collect();
    let mut folded = LayerGraph::default();
    let mut owner_before = None;
    for id in ids() {
        let name = &*graph.node(id).provenance.name;
        let owner = match graph.op(id) {
            Op::Input(input) if matches!(input.kind, InputKind::Input | InputKind::Target) => None,
            Op::Input(_) => continue,
            _ if graph.operands(id).is_empty() && !roots.contains(&id) => continue,
            _ => Some(owner(name, &scopes, depth)),
        };
        // An input is a box of its own, and a `stop` begins one, so that it stands between two.
        let is_stop = matches!(graph.op(id), Op::StopGradient(_));
        if owner.is_none() || owner != owner_before || (is_stop && folded.is_in_last(&graph.operands(id))) {
            let name = owner.unwrap_or(name).into();
            folded.boxes.push(LayerBox {
                name,
                nodes: Vec::new(),
                result: id,
                params: Vec::new(),
                params_again: Vec::new(),
            });
        }
        owner_before = owner;
        let at = folded.boxes.len() - 1;
        folded.boxes[at].nodes.push(id);
        folded.of.insert(id, at);
        for operand in graph.operands(id) {
            match folded.of.get(&operand) {
                Some(from) if *from != at => _ = folded.edges.insert((*from, at)),
                _ => {}
            }
        }
    }
    folded.finish(graph, roots, is_param);
    folded
}

impl LayerGraph {
    fn is_in_last(&self, nodes: &[NodeId]) -> bool {
        nodes.iter().any(|node| self.of.get(node).is_some_and(|at| at + 1 == self.boxes.len()))
    }

    /// Works out what each box gives and which params are its own.
    fn finish(&mut self, graph: &Graph, roots: &[NodeId], is_param: impl Fn(NodeId) -> bool) {
        let mut seen: BTreeSet<NodeId> = BTreeSet::new();
        for at in 0..self.boxes.len() {
            let is_read_elsewhere = |id: &&NodeId| {
                let is_other = |user: &(NodeId, usize)| self.of.get(&user.0).is_some_and(|other| *other != at);
                roots.contains(*id) || graph.users(**id).iter().any(is_other)
            };
            let nodes = &self.boxes[at].nodes;
            let result = nodes.iter().rev().find(is_read_elsewhere).or(nodes.last()).copied();
            let read: BTreeSet<NodeId> =
                nodes.iter().flat_map(|id| graph.operands(*id)).filter(|id| is_param(*id)).collect();
            let is_single = nodes.len() == 1 && read.is_empty() && !matches!(graph.op(nodes[0]), Op::Input(_));
            let one = &mut self.boxes[at];
            one.result = result.unwrap_or(one.result);
            if is_single {
                one.name = format!("{}.{}", graph.node(one.result).provenance.name, graph.op(one.result).name()).into();
            }
            (one.params_again, one.params) = read.into_iter().partition(|id| seen.contains(id));
            seen.extend(&one.params);
        }
    }
}

/// The innermost scope with params that a path lies in, or its first name; to `depth` names.
fn owner<'n>(path: &'n str, scopes: &BTreeSet<&str>, depth: usize) -> &'n str {
    let within = || ancestors(path).chain([path]);
    let inner = within().filter(|scope| scopes.contains(scope)).last();
    let owner = inner.or_else(|| within().next()).unwrap_or(path);
    ancestors(owner).nth(depth.max(1) - 1).unwrap_or(owner)
}

/// `a` and `a.b` of `a.b.c`, outermost first.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('.').map(|(end, _)| &path[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_the_innermost_definition_with_params() {
        let scopes = BTreeSet::from(["trunk", "trunk.conv2d"]);
        let cases = [
            ("trunk.conv2d.product.convolution", 9, "trunk.conv2d"),
            ("trunk.conv2d", 9, "trunk.conv2d"),
            ("trunk.conv2d", 1, "trunk"),
            ("trunk", 9, "trunk"),
            ("scores.logits", 9, "scores"),
            ("x", 9, "x"),
        ];
        for (name, depth, expected) in cases {
            assert_eq!(owner(name, &scopes, depth), expected, "{name}");
        }
    }
}
