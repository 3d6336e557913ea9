//! Graphs in other forms: a document that reads back ([`program`]), all programs of a spec ([`programs`]), YAML, and DOT for
//! drawing.
//!
//! Writers take any graph that satisfies [`verify`](crate::ir::verify) and change nothing; the same graph gives the
//! same bytes.

mod dot;
pub mod interface;
pub mod onnx;
pub mod program;
pub mod programs;
pub mod xla;

pub use dot::dot;
pub use programs::Programs;

use crate::ir::Graph;

/// The graph as YAML: the form that `program::read` reads, for people and for other tools.
pub fn yaml(graph: &Graph) -> String {
    // Writing to a string fails on no value of these types.
    serde_yaml::to_string(&program::Document::of(graph)).unwrap_or_default()
}
