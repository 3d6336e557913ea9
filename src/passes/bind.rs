//! Puts sizes of run-time dims into a graph: after it every extent is a number.

use super::Copier;
use crate::ir::{DimSizes, Graph, Node};

/// The graph with run-time sizes put in. Types are bound as they are: shape rules hold for all sizes of the dims.
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
