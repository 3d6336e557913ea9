//! The graph: petgraph under a thin type that speaks of operands, users and outputs.
//!
//! Append-only: a pass builds a new graph instead of editing one, so ids are dense and an operand's id is always
//! below its user's. Id order is therefore a topological order, the same on every run. Operand order is data on the
//! edges (the slot), since petgraph keeps edges unordered. No other file sees petgraph.

use super::types::TensorType;
use crate::diag::Span;
use crate::ops::Op;
use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::Arc;

/// A node of one graph. Ids of different graphs must not be mixed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// Position in id order, for side tables of length [`Graph::len`].
    pub fn index(self) -> usize {
        self.0 as usize
    }

    fn raw(self) -> NodeIndex {
        NodeIndex::new(self.0 as usize)
    }
}

impl std::fmt::Debug for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "%{}", self.0)
    }
}

/// Where a node comes from: the human path of the value it computes (or helps to compute) and its source text.
#[derive(Clone, Debug, PartialEq)]
pub struct Provenance {
    pub name: Arc<str>,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub op: Op,
    pub ty: TensorType,
    pub provenance: Provenance,
}

/// What an output of a graph is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// `output`: what the prediction program returns
    Output,
    /// `loss`: the batch mean
    Loss,
    /// `metric`: the batch mean
    Metric,
    /// the number of samples that a loss or metric of the same name is the mean of, where some may be missing
    Weight,
    /// a sum over the samples of a batch that metrics of an epoch are made of
    Sum,
    /// the value that training minimises
    Objective,
    /// what a loss has of a total that is made of losses, `term/TOTAL/LOSS`
    Term,
    /// a param's next value (in the initial program: its first)
    Param,
    /// a state's next value (in the initial program: its first)
    State,
    /// a gradient kept visible for inspection
    Gradient,
    /// what a run asks to see of a training step: the weight of a loss, the length of its gradient
    Observed,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::Loss => "loss",
            Self::Metric => "metric",
            Self::Weight => "weight",
            Self::Sum => "sum",
            Self::Objective => "objective",
            Self::Term => "term",
            Self::Param => "param",
            Self::State => "state",
            Self::Gradient => "gradient",
            Self::Observed => "observed",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    pub role: Role,
    pub name: Arc<str>,
    pub node: NodeId,
}

/// The outputs of a graph by role and name.
#[derive(Clone, Debug)]
pub struct OutputsByName<'g>(FxHashMap<(Role, &'g str), NodeId>);

impl OutputsByName<'_> {
    pub fn get(&self, role: Role, name: &str) -> Option<NodeId> {
        self.0.get(&(role, name)).copied()
    }
}

/// The operands of a node, by slot. Few nodes have more than four, and analyses ask for those of every node many times.
pub type Operands = SmallVec<[NodeId; 4]>;

/// A program as a graph of primitive ops.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: DiGraph<Node, u32>,
    pub outputs: Vec<Output>,
}

impl Graph {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn len(&self) -> usize {
        self.nodes.node_count()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a node whose type was checked by the builder. Only `ir` and the passes' copy loops call this.
    pub(crate) fn push(&mut self, node: Node, operands: &[NodeId]) -> NodeId {
        let index = self.nodes.add_node(node);
        for (slot, operand) in operands.iter().enumerate() {
            self.nodes.add_edge(operand.raw(), index, slot as u32);
        }
        NodeId(index.index() as u32)
    }

    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.raw()]
    }

    pub fn op(&self, id: NodeId) -> &Op {
        &self.node(id).op
    }

    pub fn ty(&self, id: NodeId) -> &TensorType {
        &self.node(id).ty
    }

    /// All outputs by role and name, for who looks up many. See [`Self::output`].
    pub fn outputs_by_name(&self) -> OutputsByName<'_> {
        OutputsByName(self.outputs.iter().map(|output| ((output.role, &*output.name), output.node)).collect())
    }

    /// The operands of a node, by slot.
    pub fn operands(&self, id: NodeId) -> Operands {
        // The edges of a node come from the last slot to the first, so this makes room once.
        let mut operands = Operands::new();
        for edge in self.nodes.edges_directed(id.raw(), Direction::Incoming) {
            let (slot, operand) = (*edge.weight() as usize, NodeId(edge.source().index() as u32));
            if operands.len() <= slot {
                operands.resize(slot + 1, operand);
            }
            operands[slot] = operand;
        }
        operands
    }

    /// The users of a node with the slot they read it by, in id order.
    pub fn users(&self, id: NodeId) -> Vec<(NodeId, usize)> {
        let mut users: Vec<(NodeId, usize)> = self
            .nodes
            .edges_directed(id.raw(), Direction::Outgoing)
            .map(|edge| (NodeId(edge.target().index() as u32), *edge.weight() as usize))
            .collect();
        users.sort_unstable();
        users
    }

    /// All nodes, operands before users.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
        (0..self.len() as u32).map(NodeId)
    }

    /// The node of an output.
    pub fn output(&self, role: Role, name: &str) -> Option<NodeId> {
        self.outputs.iter().find(|o| o.role == role && &*o.name == name).map(|o| o.node)
    }

    pub fn add_output(&mut self, role: Role, name: impl Into<Arc<str>>, node: NodeId) {
        self.outputs.push(Output { role, name: name.into(), node });
    }

    /// A shortest path from a node back to one that `ends` accepts, both included, along the operands that `follow` gives.
    pub fn path_back(
        &self,
        from: NodeId,
        ends: impl Fn(NodeId) -> bool,
        follow: impl Fn(NodeId) -> Operands,
    ) -> Option<Vec<NodeId>> {
        let mut came_from: Vec<Option<NodeId>> = vec![None; self.len()];
        let mut seen = vec![false; self.len()];
        let mut queue = VecDeque::from([from]);
        seen[from.index()] = true;
        while let Some(id) = queue.pop_front() {
            if ends(id) {
                let mut path: Vec<NodeId> = std::iter::successors(Some(id), |at| came_from[at.index()]).collect();
                path.reverse();
                return Some(path);
            }
            for operand in follow(id) {
                if !std::mem::replace(&mut seen[operand.index()], true) {
                    came_from[operand.index()] = Some(id);
                    queue.push_back(operand);
                }
            }
        }
        None
    }

    /// Marks what the given nodes need, themselves included: the slice back from them.
    pub fn slice_back(&self, from: impl IntoIterator<Item = NodeId>) -> Vec<bool> {
        let mut needed = vec![false; self.len()];
        let mut stack: Vec<NodeId> = from.into_iter().collect();
        while let Some(id) = stack.pop() {
            if !std::mem::replace(&mut needed[id.index()], true) {
                stack.extend(self.operands(id));
            }
        }
        needed
    }

    /// As [`Graph::slice_back`], but of a loop only what the result depends on.
    pub fn needed_by(&self, from: impl IntoIterator<Item = NodeId>) -> Vec<bool> {
        let mut needed = vec![false; self.len()];
        let mut stack: Vec<NodeId> = from.into_iter().collect();
        while let Some(id) = stack.pop() {
            if !std::mem::replace(&mut needed[id.index()], true) {
                stack.extend(self.read_by(id));
            }
        }
        needed
    }

    /// The operands that a node's value depends on.
    pub fn read_by(&self, id: NodeId) -> Operands {
        let operands = self.operands(id);
        match self.op(id) {
            Op::Scan(scan) => (0..operands.len()).filter(|slot| scan.reads(*slot)).map(|slot| operands[slot]).collect(),
            _ => operands,
        }
    }
}
