//! A graph as a document that reads back: the saved form of a program.
//!
//! Takes a graph; gives a [`Document`] of plain data that serde writes as JSON or YAML. [`Document::graph`] goes the other
//! way through the builder and the verifier, so a file that breaks a law of graphs is an error.
//!
//! Source spans are not kept: the reader gives the one that findings about the program point at.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Graph, GraphForm, NodeForm, OutputForm, verify};
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

impl Document {
    pub fn of(graph: &Graph) -> Self {
        let GraphForm { nodes, outputs } = GraphForm::of(graph);
        Self { version: VERSION, nodes, outputs }
    }

    /// The graph of the document; `span` becomes the place of every node.
    ///
    /// # Errors
    /// E0608 when the version is another one, or the nodes do not make a graph.
    pub fn graph(&self, span: Span) -> Result<Graph, Diagnostic> {
        if self.version != VERSION {
            return Err(broken(format!("version {}; this is a reader of version {VERSION}", self.version)));
        }
        let form = GraphForm { nodes: self.nodes.clone(), outputs: self.outputs.clone() };
        form.graph(span, verify).map_err(broken)
    }
}

pub(super) fn broken(reason: String) -> Diagnostic {
    Diagnostic::error(Code::E0608, "the saved program is not valid").with_note(format!("found: {reason}"))
}
