//! Puts sizes of run-time dims into a graph: after it every extent is a number.

use super::{Copier, DimSizes, Graph, Node, NodeId};
use crate::ops::{Op, OpError};

/// The graph with run-time sizes put in. Types are bound as they are; [`check_bound`] says whether the sizes are ones that
/// the ops take.
pub fn bind(graph: &Graph, sizes: &DimSizes) -> Graph {
    let mut copier = Copier::new(graph);
    for id in graph.ids() {
        let node = graph.node(id);
        let bound = Node { op: node.op.bind(sizes), ty: node.ty.bind(sizes), provenance: node.provenance.clone() };
        let operands = copier.operands(id);
        let copy = copier.target.push(bound, &operands);
        copier.set(id, copy);
    }
    copier.finish(|_| true)
}

/// Checks the rules that could not be known before sizes were: whether slices lie within their values, windows fit, and
/// extents are not negative.
///
/// # Errors
/// The first node that refuses the sizes, with its reason.
pub fn check_bound(graph: &Graph) -> Result<(), (NodeId, OpError)> {
    for id in graph.ids() {
        let node = graph.node(id);
        let operands = graph.operands(id);
        let types: Vec<_> = operands.iter().map(|operand| graph.ty(*operand)).collect();
        node.op.infer(&types).map_err(|error| (id, error))?;
        if let Op::Scan(scan) = &node.op {
            check_bound(scan.body.graph()).map_err(|(_, error)| (id, error))?;
        }
        if node.ty.known_shape().is_none() {
            return Err((id, OpError::constraint(format!("{} has no size", node.ty))));
        }
    }
    Ok(())
}
