//! An objective laid open for the lints: its branch losses with their coefficients, the params that weigh them, and the
//! bounds of all values.
//!
//! Takes a lowered module; gives one [`Study`] an objective: the step's graph with the derivatives of the objective by its
//! branch losses and weights appended. Losses are taken to be at least 0 where nothing else is known of them, which holds
//! for distances and likelihoods of classes; params lie within their constraints, states within what their first value and
//! their update allow. Everything is read off the graph, so names, the order of terms and the way a weight is written do
//! not matter.

use super::interval::{Interval, Intervals, OTHER_SIZES, intervals};
use crate::diag::Span;
use crate::ir::{Copier, Graph, Node, NodeId, Role};
use crate::lower::{Constraint, Module};
use crate::ops::{Flow, Input, InputKind, Op};
use crate::passes::gradients;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A loss that the objective combines with others.
#[derive(Clone, Debug)]
pub struct Branch {
    pub name: Arc<str>,
    pub node: NodeId,
    pub span: Span,
    /// the node of ∂ objective / ∂ loss
    pub coefficient: NodeId,
}

/// A param that the objective depends on other than through a branch loss.
#[derive(Clone, Debug)]
pub struct Weight {
    pub path: Arc<str>,
    pub node: NodeId,
    pub span: Span,
    pub is_bounded: bool,
    /// the node of ∂ objective / ∂ param
    pub derivative: NodeId,
    /// the branches whose coefficient it enters, by position, with the gradient open
    pub weighs: Vec<usize>,
}

/// One objective.
#[derive(Clone, Debug)]
pub struct Study {
    pub name: Arc<str>,
    pub node: NodeId,
    pub span: Span,
    /// Node ids of the module's graph are valid in it.
    pub graph: Graph,
    pub branches: Vec<Branch>,
    pub weights: Vec<Weight>,
    /// bounds with losses not negative
    pub usual: Vec<Interval>,
    /// those where run-time dims are small, and where they are large
    pub usual_at_other_sizes: Vec<Vec<Interval>>,
    /// bounds where every branch loss is 0
    pub at_zero: Vec<Interval>,
}

/// A study of each objective of a module.
pub fn studies(module: &Module) -> Vec<Study> {
    let graph = without_gradients(&module.graph);
    let known = leaf_bounds(module, &graph);
    let objectives = module.graph.outputs.iter().filter(|output| output.role == Role::Objective);
    objectives.map(|output| study(module, &graph, &known, output.name.clone(), output.node)).collect()
}

fn study(module: &Module, base: &Graph, known: &BTreeMap<NodeId, Interval>, name: Arc<str>, node: NodeId) -> Study {
    let branches = parts(module, base, &name, node);
    let losses: Vec<NodeId> = branches.iter().map(|(_, node, _)| *node).collect();
    let direct = reach(base, node, &losses, false);
    let is_bounded = |constraint: Option<Constraint>| matches!(constraint, Some(Constraint::Interval(..)));
    let params: Vec<_> = module
        .params
        .iter()
        .filter(|(_, param)| direct[param.node.index()] && (!losses.is_empty() || is_bounded(param.constraint)))
        .collect();
    let mut graph = base.clone();
    let wanted: Vec<NodeId> = losses.iter().copied().chain(params.iter().map(|(_, param)| param.node)).collect();
    let derivatives = gradients(&mut graph, node, &wanted);
    let branches: Vec<Branch> = branches
        .into_iter()
        .zip(&derivatives)
        .map(|((name, node, span), coefficient)| Branch { name, node, span, coefficient: *coefficient })
        .collect();
    let enters: Vec<Vec<bool>> =
        branches.iter().map(|branch| reach(&graph, branch.coefficient, &losses, false)).collect();
    let weights = params.iter().zip(&derivatives[losses.len()..]).map(|((path, param), derivative)| Weight {
        path: (*path).clone(),
        node: param.node,
        span: param.span,
        is_bounded: is_bounded(param.constraint),
        derivative: *derivative,
        weighs: (0..branches.len()).filter(|i| enters[*i][param.node.index()]).collect(),
    });
    let weights = weights.collect();
    let bounds = |intervals: &Intervals<'_>, of_loss: &dyn Fn(Interval) -> Interval| {
        let base_bounds = intervals.given(known);
        let mut known = known.clone();
        known.extend(losses.iter().map(|loss| (*loss, of_loss(base_bounds[loss.index()]))));
        intervals.given(&known)
    };
    let not_negative =
        |found: Interval| if found.high > 0.0 { Interval::new(found.low.max(0.0), found.high) } else { found };
    let mut intervals = Intervals::new(&graph);
    let usual = bounds(&intervals, &not_negative);
    let at_zero = bounds(&intervals, &|_| Interval::ZERO);
    let mut usual_at_other_sizes = Vec::new();
    for size in OTHER_SIZES {
        intervals = intervals.of_size(size);
        usual_at_other_sizes.push(bounds(&intervals, &not_negative));
    }
    let span = module.losses.get(&name).map_or(module.graph.node(node).provenance.span, |(_, span)| *span);
    Study { name, node, span, graph, branches, weights, usual, usual_at_other_sizes, at_zero }
}

/// The losses that an objective combines: named ones and what combiners were given, each once.
fn parts(module: &Module, base: &Graph, name: &str, node: NodeId) -> Vec<(Arc<str>, NodeId, Span)> {
    let reached = reach(base, node, &[], false);
    // The loss that is the objective itself, up to its batch mean, is not one of its parts.
    let own = module.losses.get(name).map(|(node, _)| *node);
    let parts = module.losses.iter().map(|(name, (node, span))| (name.clone(), *node, *span));
    let parts: Vec<_> = parts
        .chain(module.branches.iter().map(|(name, (node, span))| (name.clone(), *node, *span)))
        .filter(|(_, part, _)| *part != node && Some(*part) != own && reached[part.index()])
        .collect();
    let mut branches: Vec<(Arc<str>, NodeId, Span)> = Vec::new();
    for part in parts {
        if !branches.iter().any(|(_, node, _)| *node == part.1) {
            branches.push(part);
        }
    }
    branches
}

/// Marks what a node depends on without passing through `barriers`: along open gradients, or with `any` along everything.
pub fn reach(graph: &Graph, from: NodeId, barriers: &[NodeId], any: bool) -> Vec<bool> {
    let mut seen = vec![false; graph.len()];
    let mut stack = vec![from];
    while let Some(id) = stack.pop() {
        if std::mem::replace(&mut seen[id.index()], true) || (barriers.contains(&id) && id != from) {
            continue;
        }
        let open = |slot: usize| any || graph.op(id).flow(slot) == Flow::Differentiable;
        stack.extend(graph.operands(id).into_iter().enumerate().filter(|(slot, _)| open(*slot)).map(|(_, id)| id));
    }
    seen
}

/// The graph with a leaf in place of each gradient that is still to be written out. Ids stay as they are.
pub fn without_gradients(graph: &Graph) -> Graph {
    let mut copier = Copier::new(graph);
    for id in graph.ids() {
        if let Op::Gradient(_) = graph.op(id) {
            let node = graph.node(id);
            let op = Input { kind: InputKind::State, ty: node.ty.clone() }.into();
            let copy = copier.target.push(Node { op, ty: node.ty.clone(), provenance: node.provenance.clone() }, &[]);
            copier.set(id, copy);
        } else {
            copier.copy(id);
        }
    }
    copier.finish(|_| true)
}

/// The next value before it is put back into an interval.
pub(super) fn unclamped(graph: &Graph, mut next: NodeId) -> NodeId {
    while let Op::Min(_) | Op::Max(_) = graph.op(next)
        && let [value, bound] = graph.operands(next)[..]
        && matches!(graph.op(bound), Op::Constant(_))
    {
        next = value;
    }
    next
}

impl Study {
    /// The bounds of a node whatever the sizes of run-time dims.
    pub fn at_any_size(&self, id: NodeId) -> Interval {
        let others = self.usual_at_other_sizes.iter().map(|bounds| bounds[id.index()]);
        others.fold(self.usual[id.index()], Interval::hull)
    }
}

/// The bounds of params and states: constraints, and for states and projected params what their updates keep.
pub(super) fn leaf_bounds(module: &Module, graph: &Graph) -> BTreeMap<NodeId, Interval> {
    let first = intervals(&module.init, &BTreeMap::new());
    let initial = |role: Role, name: &str| module.init.output(role, name).map_or(Interval::ALL, |id| first[id.index()]);
    let mut known: BTreeMap<NodeId, Interval> = BTreeMap::new();
    // (leaf, its next value, bounds so far)
    let mut moving: Vec<(NodeId, NodeId)> = Vec::new();
    for (path, param) in &module.params {
        match (param.constraint, graph.output(Role::Param, path)) {
            (Some(Constraint::Interval(low, high)), _) => {
                known.insert(param.node, Interval::new(low, high));
            }
            (Some(Constraint::Projection), Some(next)) => {
                known.insert(param.node, initial(Role::Param, path));
                moving.push((param.node, next));
            }
            _ => {
                known.insert(param.node, Interval::ALL);
            }
        }
    }
    for (path, state) in &module.states {
        known.insert(state.node, initial(Role::State, path));
        moving.extend(state.next.map(|next| (state.node, next)));
    }
    let intervals = Intervals::new(graph);
    loop {
        let bounds = intervals.given(&known);
        let mut changed = false;
        for (leaf, next) in &moving {
            let now = known.get(leaf).copied().unwrap_or(Interval::ALL);
            let next = bounds[next.index()];
            // A bound that moves once may move for ever: it goes to 0 or to infinity at once, so this ends.
            let low = match next.low < now.low {
                true if next.low >= 0.0 => 0.0,
                true => f64::NEG_INFINITY,
                false => now.low,
            };
            let high = if next.high > now.high { f64::INFINITY } else { now.high };
            let wider = Interval::new(low, high);
            changed |= wider != now;
            known.insert(*leaf, wider);
        }
        if !changed {
            return known;
        }
    }
}
