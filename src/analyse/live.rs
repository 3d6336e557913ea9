//! What objectives train in fact: a path of gradients is dead where a value on it is one number whatever its operands are, as
//! `0 * a`, where it cancels, as in `b - b` and `a + b - b`, or where the derivative by a loss is always 0.

use super::facts::Facts;
use super::interval::Intervals;
use super::linear::{Sums, first_equals};
use super::study::Study;
use crate::ir::{Dim, DimSizes, NodeId, Role, bind, check_bound};
use crate::ops::reference::evaluate;
use crate::ops::{Flow, Op, Tensor};
use crate::passes::prune;
use std::collections::BTreeMap;

/// What run-time dims are where constants are worked out.
const SOME_SIZE: usize = 8;

/// The nodes that a gradient of an objective reaches and is not always 0 at.
pub(super) struct Live {
    reached: Vec<bool>,
    /// for each node the first that computes the same
    equals: Vec<NodeId>,
}

impl Live {
    pub fn of(facts: &Facts<'_>, studies: &[Study]) -> Self {
        let graph = facts.graph;
        let objectives = || graph.outputs.iter().filter(|output| output.role == Role::Objective).map(|o| o.node);
        let asked = graph.slice_back(objectives());
        let bounds = Intervals::with_stops(graph, &asked).among(&facts.known, &asked);
        let equals = first_equals(graph);
        let mut counts: BTreeMap<NodeId, bool> = BTreeMap::new();
        for (study, branch) in studies.iter().flat_map(|study| study.branches.iter().map(move |branch| (study, branch)))
        {
            *counts.entry(equals[branch.node.index()]).or_default() |= !is_always_zero(study, branch.coefficient);
        }
        let sums = Sums { graph, equals, bounds };
        let is_live =
            |node: NodeId| !sums.bounds[node.index()].is_point() && counts.get(&node).is_none_or(|counts| *counts);
        let [mut reached, mut summed, mut passed] = [(); 3].map(|()| vec![false; graph.len()]);
        let mut open: Vec<NodeId> = objectives().collect();
        while let Some(id) = open.pop() {
            if std::mem::replace(&mut summed[sums.equals[id.index()].index()], true) {
                continue;
            }
            for part in sums.parts(id, is_live) {
                reached[part.node.index()] = true;
                if !part.is_term || std::mem::replace(&mut passed[part.node.index()], true) {
                    continue;
                }
                let operands = graph.operands(part.node);
                let passes = |slot: usize| graph.op(part.node).flow(slot) == Flow::Differentiable;
                open.extend((0..operands.len()).filter(|slot| passes(*slot)).map(|slot| operands[slot]));
            }
        }
        Self { reached, equals: sums.equals }
    }

    pub fn reaches(&self, id: NodeId) -> bool {
        self.reached[self.equals[id.index()].index()]
    }
}

/// Whether a derivative is 0 by its bounds, or made of constants alone that come to 0.
fn is_always_zero(study: &Study, derivative: NodeId) -> bool {
    if study.at_any_size(derivative).is_zero() {
        return true;
    }
    let graph = &study.graph;
    let needed = graph.slice_back([derivative]);
    let is_open = |id: NodeId| matches!(graph.op(id), Op::Input(_) | Op::Random(_) | Op::Gradient(_) | Op::Scan(_));
    if graph.ids().any(|id| needed[id.index()] && is_open(id)) {
        return false;
    }
    let mut constant = graph.clone();
    constant.outputs.clear();
    constant.add_output(Role::Loss, "derivative", derivative);
    let constant = prune(&constant, |_| true);
    let symbols = constant.ids().flat_map(|id| constant.ty(id).shape.iter().flat_map(Dim::symbols).collect::<Vec<_>>());
    let sizes: DimSizes = symbols.map(|symbol| (symbol, SOME_SIZE)).collect();
    let bound = bind(&constant, &sizes);
    if check_bound(&bound).is_err() {
        return false;
    }
    let values = evaluate::<f64>(&bound, |_| unreachable!("internal: no leaf is needed"));
    matches!(values.first(), Some(Tensor::Float(values)) if values.iter().all(|value| *value == 0.0))
}
