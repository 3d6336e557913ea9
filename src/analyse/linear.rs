//! Sums of sums as multiples of their terms, so that what cancels is seen wherever it stands: `(h + m) - m` is `h`.

use super::interval::Interval;
use crate::ir::{Graph, NodeId, Operands};
use crate::ops::Op;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// Terms beyond which a sum is not taken apart further.
const TERMS: usize = 64;

/// Multiples this near to 0, against the largest that were added, are 0: `0.1 + 0.2 - 0.3`.
const ROUNDING: f64 = 1e-12;

/// For each node the first one that computes the same: the same op of the same operands. Outputs stand for themselves: a loss is
/// another loss than one with the same formula.
pub(super) fn first_equals(graph: &Graph) -> Vec<NodeId> {
    let mut is_itself = vec![false; graph.len()];
    graph.outputs.iter().for_each(|output| is_itself[output.node.index()] = true);
    let mut first: Vec<NodeId> = Vec::with_capacity(graph.len());
    let mut known: FxHashMap<(&Op, Operands), NodeId> = FxHashMap::default();
    for id in graph.ids() {
        let operands: Operands = graph.operands(id).iter().map(|operand| first[operand.index()]).collect();
        // Two inputs of one type are two values. A bias that is added to two scores is gone from their difference by design, as
        // in a critic: each use of it counts.
        let is_leaf = |id: NodeId| matches!(graph.op(id), Op::Input(_));
        let is_use =
            matches!(graph.op(id), Op::Broadcast(_) | Op::Reshape(_)) && operands.iter().all(|id| is_leaf(*id));
        let is_alone = is_itself[id.index()] || is_leaf(id) || is_use;
        first.push(if is_alone { id } else { *known.entry((graph.op(id), operands)).or_insert(id) });
    }
    first
}

/// What is known of a graph before its sums are taken apart.
pub(super) struct Sums<'g> {
    pub graph: &'g Graph,
    pub equals: Vec<NodeId>,
    pub bounds: Vec<Interval>,
}

impl Sums<'_> {
    /// The terms of the sum that ends at `whole`, and the sums within it, but for what cancels; `whole` itself is the first. Only
    /// what is `live` is looked into.
    pub fn parts(&self, whole: NodeId, live: impl Fn(NodeId) -> bool) -> Vec<Part> {
        // The latest is next: all that reads it has been seen. Beside each multiple stands the size of what was added to it.
        let mut open: BTreeMap<NodeId, (f64, f64)> = BTreeMap::from([(self.equals[whole.index()], (1.0, 1.0))]);
        let mut found = Vec::new();
        while let Some((node, (multiple, size))) = open.pop_last() {
            if multiple.abs() <= ROUNDING * size || !live(node) {
                continue;
            }
            let addends = if found.len() < TERMS { self.addends(node) } else { Vec::new() };
            found.push(Part { node, is_term: addends.is_empty() });
            for (operand, factor) in addends {
                let entry = open.entry(self.equals[operand.index()]).or_default();
                entry.0 += factor * multiple;
                entry.1 += (factor * multiple).abs();
            }
        }
        found
    }

    /// What a node adds up, each with its factor; nothing where it is no sum.
    fn addends(&self, node: NodeId) -> Vec<(NodeId, f64)> {
        let operands = self.graph.operands(node);
        let number =
            |id: NodeId| Some(self.bounds[id.index()]).filter(|bounds| bounds.is_point()).map(|bounds| bounds.low);
        match (self.graph.op(node), operands.as_slice()) {
            (Op::Add(_), [x, y]) => vec![(*x, 1.0), (*y, 1.0)],
            (Op::Sub(_), [x, y]) => vec![(*x, 1.0), (*y, -1.0)],
            (Op::Neg(_), [x]) => vec![(*x, -1.0)],
            (Op::Mul(_), [x, y]) => match (number(*x), number(*y)) {
                (Some(factor), None) => vec![(*y, factor)],
                (None, Some(factor)) => vec![(*x, factor)],
                _ => Vec::new(),
            },
            (Op::Div(_), [x, y]) => match number(*y) {
                Some(divisor) if divisor != 0.0 => vec![(*x, 1.0 / divisor)],
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }
}

/// A part of a sum: a term of it, or a sum within it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part {
    pub node: NodeId,
    pub is_term: bool,
}
