//! A graph as a document that reads back: the saved form of a program.
//!
//! Takes a graph; gives a [`Document`] of plain data that serde writes as JSON or YAML. [`Document::graph`] goes the other
//! way through the [`Builder`], so every shape rule runs again, and through [`verify`], so a file that breaks a law of graphs
//! is an error. A document says each node's type for its readers; reading holds it against the rule's.
//!
//! Source spans are not kept: the reader gives the one that findings about the program point at.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Builder, Graph, NodeId, Provenance, Role, verify};
use crate::ops::Op;
use serde::{Deserialize, Serialize};

/// The version of the form. A reader refuses any other.
pub const VERSION: u32 = 1;

/// A graph as plain data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    pub version: u32,
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

impl Document {
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
        let output = |output: &crate::ir::Output| OutputForm {
            role: output.role,
            name: output.name.to_string(),
            node: output.node.index(),
        };
        Self {
            version: VERSION,
            nodes: graph.ids().map(node).collect(),
            outputs: graph.outputs.iter().map(output).collect(),
        }
    }

    /// The graph of the document; `span` becomes the place of every node.
    ///
    /// # Errors
    /// E0608 when the version is another one, or the nodes do not make a graph.
    pub fn graph(&self, span: Span) -> Result<Graph, Diagnostic> {
        if self.version != VERSION {
            return Err(broken(format!("version {}; this is a reader of version {VERSION}", self.version)));
        }
        let mut graph = Graph::new();
        let mut ids: Vec<NodeId> = Vec::with_capacity(self.nodes.len());
        for (position, form) in self.nodes.iter().enumerate() {
            let node = |reason: String| broken(format!("node {position} (`{}`): {reason}", form.name));
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
            if graph.ty(id).shape.iter().any(crate::ir::Dim::is_negative) {
                return Err(node(format!("it has the type {}", graph.ty(id))));
            }
            if graph.ty(id).to_string() != form.ty {
                return Err(node(format!("it says `{}`, its rule gives `{}`", form.ty, graph.ty(id))));
            }
            ids.push(id);
        }
        for output in &self.outputs {
            let missing = || broken(format!("output `{}` is node {}, which is not there", output.name, output.node));
            let node = ids.get(output.node).copied().ok_or_else(missing)?;
            graph.add_output(output.role, output.name.as_str(), node);
        }
        verify(&graph).map_err(broken)?;
        Ok(graph)
    }
}

fn broken(reason: String) -> Diagnostic {
    Diagnostic::error(Code::E0608, "the saved program is not valid").with_note(format!("found: {reason}"))
}
