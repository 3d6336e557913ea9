//! Between which bounds the elements of every node lie: forward interval arithmetic over a graph.
//!
//! Takes a graph and the bounds of chosen nodes (params by their constraints, losses by what is assumed of them); gives
//! bounds for all. What bounds an op keeps it says itself ([`Op::bounds`]); this is the fold over a graph. Two operands known to
//! be the same value are seen as such, so `x * x` is not negative and `x / x` is 1; a sum over an axis of extent 1 is its
//! operand.

use crate::ir::{Graph, NodeId, Operands, TensorType};
use crate::ops::{Op, Ranges, Types};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// What a run-time dim is taken to be where nothing else is said. A number keeps terms comparable that are divided by the same
/// size: `1/n - w/n` is seen to be at least 0 for w up to 1. Where a sign may depend on the size, ask for [`OTHER_SIZES`] too.
/// Powers of two, so that quotients are exact.
const SOME_SIZE: usize = 8;

/// The ends of what sizes run-time dims have.
pub const OTHER_SIZES: [usize; 2] = [1, 1 << 24];

pub use crate::ops::Interval;

/// The bounds of every node. `known` gives those of leaves, and of other nodes where more is known than follows.
pub fn intervals(graph: &Graph, known: &BTreeMap<NodeId, Interval>) -> Vec<Interval> {
    Intervals::new(graph).given(known)
}

/// The bounds of one graph's nodes under several assumptions.
#[derive(Debug)]
pub struct Intervals<'g> {
    graph: &'g Graph,
    /// what a run-time dim is taken to be
    size: usize,
    /// for each node the first that has the same values
    same: Vec<NodeId>,
}

impl<'g> Intervals<'g> {
    pub fn new(graph: &'g Graph) -> Self {
        Self { graph, size: SOME_SIZE, same: same_values(graph, true, None) }
    }

    /// As [`Self::new`], of the nodes that are `asked` about.
    pub fn of_asked(graph: &'g Graph, asked: &[bool]) -> Self {
        Self { graph, size: SOME_SIZE, same: same_values(graph, true, Some(asked)) }
    }

    /// As [`Self::new`], with a stopped value told apart from the value: they are equal, and their derivatives are not.
    /// Of the nodes that are `asked` about.
    pub fn with_stops(graph: &'g Graph, asked: &[bool]) -> Self {
        Self { graph, size: SOME_SIZE, same: same_values(graph, false, Some(asked)) }
    }

    /// The same with run-time dims of another size.
    pub fn of_size(self, size: usize) -> Self {
        Self { size, ..self }
    }

    /// The bounds of every node where some are `known`.
    pub fn given(&self, known: &BTreeMap<NodeId, Interval>) -> Vec<Interval> {
        self.refined(known, None, |_, found, _| found)
    }

    /// As [`Self::given`], of the nodes that are `asked` about alone.
    pub fn among(&self, known: &BTreeMap<NodeId, Interval>, asked: &[bool]) -> Vec<Interval> {
        self.refined(known, Some(asked), |_, found, _| found)
    }

    /// As [`Self::given`], where `refine` says more of a node than its op does: of the node, by what the op says and by the
    /// bounds of the nodes before it. Nodes that are not `asked` about, which no other may need, are left out.
    pub fn refined(
        &self,
        known: &BTreeMap<NodeId, Interval>,
        asked: Option<&[bool]>,
        mut refine: impl FnMut(NodeId, Interval, &[Interval]) -> Interval,
    ) -> Vec<Interval> {
        let mut bounds: Vec<Interval> = Vec::with_capacity(self.graph.len());
        for id in self.graph.ids() {
            if asked.is_some_and(|asked| !asked[id.index()]) {
                bounds.push(Interval::ALL);
                continue;
            }
            let found = match known.get(&id) {
                Some(interval) => *interval,
                None => self.of_node(id, &bounds),
            };
            let interval = refine(id, found, &bounds);
            bounds.push(interval);
        }
        bounds
    }

    /// The first node that has the same elements in the same order, as far as that is seen.
    pub fn first_same(&self, id: NodeId) -> NodeId {
        self.same[id.index()]
    }

    /// Whether two nodes have the same elements in the same order, as far as that is seen.
    pub fn are_same(&self, a: NodeId, b: NodeId) -> bool {
        self.same[a.index()] == self.same[b.index()]
    }

    fn of_node(&self, id: NodeId, bounds: &[Interval]) -> Interval {
        let operands = self.graph.operands(id);
        let intervals: Vec<Interval> = operands.iter().map(|operand| bounds[operand.index()]).collect();
        let types: Vec<&TensorType> = operands.iter().map(|operand| self.graph.ty(*operand)).collect();
        let are_twins = operands.len() >= 2 && self.same[operands[0].index()] == self.same[operands[1].index()];
        self.graph.op(id).bounds(&Ranges {
            operands: &intervals,
            types: Types { operands: &types, result: self.graph.ty(id) },
            are_twins,
            nominal: self.size,
        })
    }
}

/// For each node the first node that has the same elements in the same order.
fn same_values(graph: &Graph, past_stops: bool, asked: Option<&[bool]>) -> Vec<NodeId> {
    let mut first: Vec<NodeId> = Vec::with_capacity(graph.len());
    let mut seen: FxHashMap<(&Op, &TensorType, Operands), NodeId> = FxHashMap::default();
    for id in graph.ids() {
        if asked.is_some_and(|asked| !asked[id.index()]) {
            first.push(id);
            continue;
        }
        let operands: Operands = graph.operands(id).into_iter().map(|operand| first[operand.index()]).collect();
        let elements = |id: NodeId| crate::ir::element_count(&graph.ty(id).shape);
        let op = graph.op(id);
        let passes = match op {
            Op::StopGradient(_) => past_stops,
            Op::Reshape(_) => true,
            Op::Sum(_) | Op::Broadcast(_) | Op::Concat(_) => {
                operands.len() == 1 && elements(id) == elements(graph.operands(id)[0])
            }
            Op::Div(_) => matches!(graph.op(operands[1]), Op::Constant(constant) if constant.value.0 == 1.0),
            _ => false,
        };
        let is_leaf = matches!(op, Op::Input(_) | Op::Random(_) | Op::Gradient(_));
        first.push(if passes {
            operands[0]
        } else if is_leaf {
            id
        } else {
            *seen.entry((op, graph.ty(id), operands)).or_insert(id)
        });
    }
    first
}
