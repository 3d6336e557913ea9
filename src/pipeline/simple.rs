//! A program that is simplified when it is first asked for.

use super::check;
use crate::ir::Graph;
use crate::passes::simplify;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// A simplified graph. Most users of a compiled spec need two or three of its programs, and simplifying is the longest
/// stage of the compiler: each is simplified at its first use, once for all clones.
#[derive(Clone, Debug)]
pub struct Simple(Arc<Stages>);

#[derive(Debug)]
struct Stages {
    source: Graph,
    simple: OnceLock<Graph>,
}

impl Simple {
    /// What `source` becomes when it is simplified.
    pub fn of(source: Graph) -> Self {
        Self(Arc::new(Stages { source, simple: OnceLock::new() }))
    }
}

/// A graph that needs no simplification.
impl From<Graph> for Simple {
    fn from(graph: Graph) -> Self {
        Self(Arc::new(Stages { source: Graph::new(), simple: OnceLock::from(graph) }))
    }
}

impl Deref for Simple {
    type Target = Graph;

    fn deref(&self) -> &Graph {
        self.0.simple.get_or_init(|| {
            let simple = simplify(&self.0.source);
            check(&simple, "simplify");
            simple
        })
    }
}
