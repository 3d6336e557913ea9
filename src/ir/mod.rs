//! The intermediate representation: a graph of typed primitive ops with symbolic dims.
//!
//! Nodes are plain data. [`Builder`] is the only way to add one: it runs the op's shape rule. `verify` states and
//! checks every law of a graph; [`print`] shows it.

mod bind;
mod builder;
mod copy;
mod dim;
mod form;
mod graph;
mod print;
mod types;
mod verify;

pub use bind::{bind, check_bound};
pub use builder::Builder;
pub use copy::Copier;
pub use dim::{BATCH, Dim, DimSizes, MAX_EXTENT};
pub use form::{GraphForm, NodeForm, OutputForm};
pub use graph::{Graph, Node, NodeId, Operands, Output, OutputsByName, Provenance, Role};
pub use print::{Names, print};
pub use types::{DType, MISSING_INT, Shape, TensorType, element_count, show_shape};
pub use verify::{verify, verify_body};
