//! Views: which value a chain of reshapes and broadcasts looks at, and by which map of indices.
//!
//! Takes the classes of all nodes; settles which broadcasts are written out because what reads them finds no affine map
//! to the value below ([`IndexMap::of`]), and gives for every view its source and its map. Whoever reads a view asks
//! here, and nowhere else, so that a chain of any length means one thing.

use super::index_map::IndexMap;
use super::order::Class;
use crate::ir::{Graph, NodeId};
use crate::ops::Op;

/// What views look at.
#[derive(Debug)]
pub(super) struct Views {
    /// the node whose buffer is read; a node that is no view is its own
    source: Vec<NodeId>,
    /// how an index of the view finds its element of the source; none where it is the element of that index
    map: Vec<Option<IndexMap>>,
}

impl Views {
    /// Settles `class`: a broadcast that must be written out becomes a kernel.
    pub fn settle(graph: &Graph, needed: &[bool], class: &mut [Class]) -> Self {
        loop {
            let mut views = Self { source: graph.ids().collect(), map: vec![None; graph.len()] };
            let mut written_out: Vec<NodeId> = Vec::new();
            for id in graph.ids().filter(|id| needed[id.index()] && class[id.index()] == Class::View) {
                written_out.extend(views.follow(graph, class, id));
            }
            // Where broadcasts are written out, what reads them composes less than before: the second round finds none.
            for id in &written_out {
                write_out(graph, class, *id);
            }
            if written_out.is_empty() {
                return views;
            }
        }
    }

    /// Looks one view further than its operand does. Gives the broadcast below that must be written out instead.
    fn follow(&mut self, graph: &Graph, class: &[Class], id: NodeId) -> Option<NodeId> {
        let operand = graph.operands(id)[0];
        let below = &self.map[operand.index()];
        let (source, map, written_out) = match graph.op(id) {
            Op::Broadcast(op) => {
                let outer = IndexMap::broadcast(op);
                let composed = match (&outer, below) {
                    (Some(outer), Some(below)) => outer.of(below),
                    (outer, _) => outer.clone(),
                };
                match composed {
                    Some(map) => (self.source[operand.index()], Some(map), None),
                    None => {
                        let nearest = nearest_broadcast(graph, class, operand);
                        (nearest.unwrap_or(operand), outer, nearest)
                    }
                }
            }
            Op::Reshape(_) | Op::StopGradient(_) => (self.source[operand.index()], below.clone(), None),
            op => unreachable!("internal: {} is no view", op.name()),
        };
        self.source[id.index()] = source;
        self.map[id.index()] = map;
        written_out
    }

    /// The node whose buffer is read for a value.
    pub fn source(&self, id: NodeId) -> NodeId {
        self.source[id.index()]
    }

    /// Whether a value's elements are those of its source in their order.
    pub fn is_plain(&self, id: NodeId) -> bool {
        self.map[id.index()].as_ref().is_none_or(IndexMap::is_identity)
    }

    /// How a reader of all of a value's elements finds them in the source.
    pub fn map(&self, id: NodeId, n: usize) -> IndexMap {
        self.map[id.index()].as_ref().map_or_else(|| IndexMap::identity(n), IndexMap::canonical)
    }
}

/// The first broadcast of a chain of views, from its reader's end.
fn nearest_broadcast(graph: &Graph, class: &[Class], mut id: NodeId) -> Option<NodeId> {
    while class[id.index()] == Class::View {
        if matches!(graph.op(id), Op::Broadcast(_)) {
            return Some(id);
        }
        id = graph.operands(id)[0];
    }
    None
}

/// Makes a broadcast a kernel. It reads a whole buffer, so the broadcasts below it are written out as well.
fn write_out(graph: &Graph, class: &mut [Class], broadcast: NodeId) {
    let mut next = Some(broadcast);
    while let Some(id) = next {
        class[id.index()] = Class::Kernel;
        next = nearest_broadcast(graph, class, graph.operands(id)[0]);
    }
}
