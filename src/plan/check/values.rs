//! The values that memory may hold, named by the graph.

use super::super::ConstantValue;
use crate::ir::{Graph, NodeId};
use crate::ops::{InputKind, Op};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A value, element by element in row-major order. Equal contents are equal numbers.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Content {
    /// the value of a node that does more than to look at another node's elements in their order
    Node(NodeId),
    /// one number repeated, by its bits
    Number(u64),
    /// positions along an axis: `index / inner % extent`
    Positions { extent: usize, inner: usize },
    /// no elements
    Nothing,
    /// what no node is called, such as the memory of a loop's body
    Scratch,
}

impl Content {
    pub fn of_constant(value: &ConstantValue) -> Self {
        match value {
            ConstantValue::Splat(number) => Self::Number(number.to_bits()),
            ConstantValue::Iota { extent, inner } => Self::Positions { extent: *extent, inner: *inner },
        }
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Node(node) => write!(f, "the value of {node:?}"),
            Self::Number(bits) => write!(f, "{:?}", f64::from_bits(*bits)),
            Self::Positions { extent, inner } => write!(f, "positions({extent} by {inner})"),
            Self::Nothing => f.write_str("nothing"),
            Self::Scratch => f.write_str("leavings"),
        }
    }
}

/// What the nodes of a graph are as contents of memory.
pub(super) struct Values<'g> {
    graph: &'g Graph,
    contents: Vec<Content>,
    counts: Vec<usize>,
    leaves: BTreeMap<(InputKind, Arc<str>), NodeId>,
}

impl<'g> Values<'g> {
    pub fn of(graph: &'g Graph) -> Self {
        let mut values = Self {
            graph,
            contents: Vec::with_capacity(graph.len()),
            counts: Vec::with_capacity(graph.len()),
            leaves: BTreeMap::new(),
        };
        for id in graph.ids() {
            let extents = || graph.ty(id).shape.iter().map(|dim| dim.as_known().unwrap_or(0));
            let content = match graph.op(id) {
                // The same elements in the same order.
                Op::Reshape(_) | Op::StopGradient(_) => values.contents[graph.operands(id)[0].index()],
                Op::Constant(constant) => Content::Number(constant.value.0.to_bits()),
                Op::Size(size) => Content::Number((size.dim.as_known().unwrap_or(0) as f64).to_bits()),
                Op::Iota(iota) => {
                    let extents: Vec<usize> = extents().collect();
                    let inner = extents.iter().skip(iota.axis + 1).product();
                    Content::Positions { extent: extents[iota.axis], inner }
                }
                Op::Input(input) => {
                    values.leaves.insert((input.kind, graph.node(id).provenance.name.clone()), id);
                    Content::Node(id)
                }
                _ => Content::Node(id),
            };
            let count = extents().product();
            let content = match graph.op(id) {
                // New axes of one element repeat nothing.
                Op::Broadcast(_) if values.counts[graph.operands(id)[0].index()] == count => {
                    values.contents[graph.operands(id)[0].index()]
                }
                _ => content,
            };
            values.contents.push(content);
            values.counts.push(count);
        }
        values
    }

    pub fn content(&self, id: NodeId) -> Content {
        self.contents[id.index()]
    }

    /// The node that computes a value, where one does.
    pub fn node(&self, id: NodeId) -> Option<NodeId> {
        match self.content(id) {
            Content::Node(node) => Some(node),
            Content::Number(_) | Content::Positions { .. } | Content::Nothing | Content::Scratch => None,
        }
    }

    /// The number of elements.
    pub fn count(&self, id: NodeId) -> usize {
        self.counts[id.index()]
    }

    pub fn leaf(&self, kind: InputKind, name: &Arc<str>) -> Option<NodeId> {
        self.leaves.get(&(kind, name.clone())).copied()
    }

    /// The number that a node is everywhere, through broadcasts too.
    pub fn number(&self, mut id: NodeId) -> Option<f64> {
        loop {
            match (self.content(id), self.graph.op(id)) {
                (Content::Number(bits), _) => return Some(f64::from_bits(bits)),
                (_, Op::Broadcast(_) | Op::Reshape(_) | Op::StopGradient(_)) => id = self.graph.operands(id)[0],
                _ => return None,
            }
        }
    }

    /// What a node is the larger of, beside 0.
    pub fn rectified(&self, id: NodeId) -> Option<NodeId> {
        let is_max = matches!(self.graph.op(id), Op::Max(_)) && self.graph.ty(id).is_float();
        match *self.graph.operands(id).as_slice() {
            [x, y] if is_max && self.number(x) == Some(0.0) => Some(y),
            [x, y] if is_max && self.number(y) == Some(0.0) => Some(x),
            _ => None,
        }
    }

    /// Whether a claim names a node of the graph.
    pub fn knows(&self, id: NodeId) -> Result<(), String> {
        if id.index() < self.contents.len() { Ok(()) } else { Err(format!("there is no node {id:?}")) }
    }
}
