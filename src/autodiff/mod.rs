//! What differentiation is made of: where gradients reach, cotangents back, tangents forward.
//!
//! Works on a graph by the derivative rules of its ops and adds nodes to it. It stands beside `ops`: the walks ask each op for
//! its rule, and the rule of a loop asks for the walks, over the graph of its step. Which derivatives a program wants, and
//! whether it has a mistake in them, is said further up, by `passes` and `analyse`.
//! Nothing is built along a path that is stopped or not wanted: it is absent from the result, not a zero in it.

mod forward;
mod reach;
mod reverse;

pub use forward::{pushforward, tangents};
pub use reach::{barrier_span, downstream, gradient_path, gradient_reach};
pub use reverse::{cotangents, pullback};

use crate::ir::{Graph, NodeId, Provenance};

/// The provenance of nodes that compute the cotangent of `id`, or its tangent.
pub fn derivative_provenance(graph: &Graph, id: NodeId) -> Provenance {
    let primal = &graph.node(id).provenance;
    let name = if primal.name.starts_with("d.") { primal.name.clone() } else { format!("d.{}", primal.name).into() };
    Provenance { name, span: primal.span }
}
