//! Simplification (placeholder body until the rules below).

use super::prune;
use crate::ir::Graph;

/// The graph without what its outputs do not need.
pub fn simplify(graph: &Graph) -> Graph {
    prune(graph, |_| true)
}
