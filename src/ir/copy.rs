//! Copying nodes of a graph into a new one: what every pass does between its own steps.

use super::{Graph, NodeId, Output};

/// Copies nodes of a source graph, remembering what became of each.
#[derive(Debug)]
pub struct Copier<'s> {
    source: &'s Graph,
    pub target: Graph,
    map: Vec<Option<NodeId>>,
}

impl<'s> Copier<'s> {
    pub fn new(source: &'s Graph) -> Self {
        Self { source, target: Graph::new(), map: vec![None; source.len()] }
    }

    /// The graph that is copied from.
    pub fn source(&self) -> &'s Graph {
        self.source
    }

    /// What a source node became.
    pub fn get(&self, id: NodeId) -> Option<NodeId> {
        self.map[id.index()]
    }

    /// Says that a source node became a given target node.
    pub fn set(&mut self, id: NodeId, target: NodeId) {
        self.map[id.index()] = Some(target);
    }

    /// The operands of a source node, in the target.
    ///
    /// # Panics
    /// When one was not copied: callers go in id order.
    pub fn operands(&self, id: NodeId) -> Vec<NodeId> {
        let operands = self.source.operands(id).into_iter();
        operands.map(|operand| self.map[operand.index()].expect("internal: operands are copied first")).collect()
    }

    /// Copies one node as it is; its operands must have been copied.
    pub fn copy(&mut self, id: NodeId) -> NodeId {
        let operands = self.operands(id);
        let copy = self.target.push(self.source.node(id).clone(), &operands);
        self.set(id, copy);
        copy
    }

    /// Ends the copying: the outputs that `keep` accepts move over.
    ///
    /// # Panics
    /// When the node of a kept output was not copied.
    pub fn finish(mut self, keep: impl Fn(&Output) -> bool) -> Graph {
        for output in self.source.outputs.iter().filter(|output| keep(output)) {
            let node = self.map[output.node.index()].expect("internal: a kept output is copied");
            self.target.add_output(output.role, output.name.clone(), node);
        }
        self.target
    }
}
