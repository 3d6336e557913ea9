//! A graph as plain data that reads back: nodes in id order, operands by position.
//!
//! Reading goes through the [`Builder`], so every shape rule runs again, and through a verifier. A form says each node's type
//! for its readers; reading holds it against the rule's. Source spans are not kept.

use super::{Builder, Dim, Graph, NodeId, Provenance, Role};
use crate::diag::Span;
use crate::ops::Op;
use serde::{Deserialize, Serialize};

/// A graph as plain data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphForm {
    pub nodes: Vec<NodeForm>,
    pub outputs: Vec<OutputForm>,
}

/// A node. Operands are positions in the list of nodes, all below the node's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeForm {
    pub id: usize,
    pub name: String,
    pub op: Op,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operands: Vec<usize>,
    #[serde(rename = "type")]
    pub ty: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputForm {
    pub role: Role,
    pub name: String,
    pub node: usize,
}

impl GraphForm {
    pub fn of(graph: &Graph) -> Self {
        let node = |id: NodeId| {
            let node = graph.node(id);
            NodeForm {
                id: id.index(),
                name: node.provenance.name.to_string(),
                op: node.op.clone(),
                operands: graph.operands(id).into_iter().map(NodeId::index).collect(),
                ty: node.ty.to_string(),
            }
        };
        let output = |output: &super::Output| OutputForm {
            role: output.role,
            name: output.name.to_string(),
            node: output.node.index(),
        };
        Self { nodes: graph.ids().map(node).collect(), outputs: graph.outputs.iter().map(output).collect() }
    }

    /// The graph of the form; `span` becomes the place of every node. `laws` is what the graph must satisfy.
    ///
    /// # Errors
    /// What does not make a graph, in words.
    pub fn graph(&self, span: Span, laws: fn(&Graph) -> Result<(), String>) -> Result<Graph, String> {
        let mut graph = Graph::new();
        let mut ids: Vec<NodeId> = Vec::with_capacity(self.nodes.len());
        for (position, form) in self.nodes.iter().enumerate() {
            let node = |reason: String| format!("node {position} (`{}`): {reason}", form.name);
            if form.id != position {
                return Err(node(format!("it has the id {}", form.id)));
            }
            let operand = |operand: &usize| ids.get(*operand).copied().ok_or(*operand);
            let operands: Result<Vec<NodeId>, usize> = form.operands.iter().map(operand).collect();
            let operands =
                operands.map_err(|operand| node(format!("it reads node {operand}, which is not above it")))?;
            let provenance = Provenance { name: form.name.as_str().into(), span };
            let added = Builder::new(&mut graph, provenance).add(form.op.clone(), &operands);
            let id = added.map_err(|error| node(error.to_string()))?;
            if graph.ty(id).shape.iter().any(Dim::is_negative) {
                return Err(node(format!("it has the type {}", graph.ty(id))));
            }
            if graph.ty(id).to_string() != form.ty {
                return Err(node(format!("it says `{}`, its rule gives `{}`", form.ty, graph.ty(id))));
            }
            ids.push(id);
        }
        for output in &self.outputs {
            let missing = || format!("output `{}` is node {}, which is not there", output.name, output.node);
            let node = ids.get(output.node).copied().ok_or_else(missing)?;
            graph.add_output(output.role, output.name.as_str(), node);
        }
        laws(&graph)?;
        Ok(graph)
    }
}
