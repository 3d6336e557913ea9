//! Splitting by slicing: the prediction program is what the outputs need.
//!
//! A target in that slice is the user's mistake; [`Split::target_path`] is the way by which it got there.

use super::prune;
use crate::ir::{Graph, NodeId, Role};
use crate::ops::{InputKind, Op};

/// What splitting finds.
#[derive(Debug)]
pub struct Split {
    /// The prediction program.
    pub predict: Graph,
    /// For each output that depends on a target: the nodes from the output back to the target, in the original graph.
    pub target_paths: Vec<Vec<NodeId>>,
}

/// Slices the prediction program out of a lowered graph.
pub fn split(graph: &Graph) -> Split {
    let target_paths = graph
        .outputs
        .iter()
        .filter(|output| output.role == Role::Output)
        .filter_map(|output| path_to_target(graph, output.node))
        .collect();
    Split { predict: prune(graph, |output| output.role == Role::Output), target_paths }
}

/// A shortest path along operands from a node to a target leaf.
fn path_to_target(graph: &Graph, from: NodeId) -> Option<Vec<NodeId>> {
    let mut came_from: Vec<Option<NodeId>> = vec![None; graph.len()];
    let mut seen = vec![false; graph.len()];
    let mut queue = std::collections::VecDeque::from([from]);
    seen[from.index()] = true;
    while let Some(id) = queue.pop_front() {
        if matches!(graph.op(id), Op::Input(input) if input.kind == InputKind::Target) {
            let mut path: Vec<NodeId> = std::iter::successors(Some(id), |at| came_from[at.index()]).collect();
            path.reverse();
            return Some(path);
        }
        for operand in graph.operands(id) {
            if !std::mem::replace(&mut seen[operand.index()], true) {
                came_from[operand.index()] = Some(id);
                queue.push_back(operand);
            }
        }
    }
    None
}
