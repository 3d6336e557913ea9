//! An objective laid open for the lints: its branch losses with their coefficients, the params that weigh them, and the
//! bounds of all values.
//!
//! Takes a lowered module; gives one [`Study`] for each set of params that the same objectives train: the step's graph with the
//! derivatives of their sum by its branch losses and weights appended. Losses are taken to be at least 0 where nothing else is known of them, which holds
//! for distances and likelihoods of classes; params lie within their constraints, states within what their first value and
//! their update allow. Everything is read off the graph, so names, the order of terms and the way a weight is written do
//! not matter.

use super::interval::{Interval, Intervals, OTHER_SIZES, intervals};
use super::points::{Domain, domains};
use crate::diag::Span;
use crate::ir::{Builder, Copier, Graph, Node, NodeId, Role};
use crate::lower::{Constraint, Module, ObjectiveInfo, Owner};
use crate::ops::{ByMode, Directed, Flow, Input, InputKind, Op, Reshape};
use crate::passes::gradients;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A loss that the objective combines with others and that is made of no other loss.
#[derive(Clone, Debug)]
pub struct Branch {
    pub name: Arc<str>,
    pub node: NodeId,
    pub span: Span,
    /// the node of ∂ objective / ∂ loss
    pub coefficient: NodeId,
    /// whether a param that the objective trains is moved by it
    pub trains: bool,
    /// its own bounds, nothing being assumed of losses
    pub own: Interval,
}

/// A trained param that the objective depends on other than through a branch loss.
#[derive(Clone, Debug)]
pub struct Weight {
    pub path: Arc<str>,
    pub node: NodeId,
    pub span: Span,
    pub owner: Owner,
    pub constraint: Option<Constraint>,
    /// the node of ∂ objective / ∂ param
    pub derivative: NodeId,
    /// the branches whose coefficient it enters, by position, with the gradient open
    pub weighs: Vec<usize>,
}

/// What is minimised for some params: an objective, or the sum of those that train them all.
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
    /// what numbers leaves may hold: Gramians, shares, branch losses
    pub domains: BTreeMap<NodeId, Domain>,
    /// the params that are moved by it
    trained: Vec<NodeId>,
}

/// A study of what each param is trained by: params that the same objectives train share one.
pub fn studies(module: &Module) -> Vec<Study> {
    Base::of(module).studies()
}

/// The params that are trained by the same objectives, by these.
fn groups(module: &Module) -> BTreeMap<Vec<usize>, Vec<Arc<str>>> {
    let mut groups: BTreeMap<Vec<usize>, Vec<Arc<str>>> = BTreeMap::new();
    for path in module.params.keys() {
        let trains = |at: &usize| module.objectives[*at].trained.contains(path);
        let by: Vec<usize> = (0..module.objectives.len()).filter(trains).collect();
        if !by.is_empty() {
            groups.entry(by).or_default().push(path.clone());
        }
    }
    groups
}

/// As [`studies`], by the losses that objectives combine first, of what is trained by losses of losses: behind `loss total =
/// unweighted(mixed, extra)` the branches are `mixed` and `extra`, whatever `mixed` is made of.
pub fn outer_studies(module: &Module) -> Vec<Study> {
    let groups = groups(module);
    let by_level = |by: &[usize], level| {
        let objectives: Vec<_> = by.iter().map(|at| &module.objectives[*at]).collect();
        let parts = parts(module, &module.graph, &objectives, level);
        parts.into_iter().map(|(_, node, _)| node).collect::<BTreeSet<_>>()
    };
    let has_both = |by: &[usize]| by_level(by, Level::Leaves) != by_level(by, Level::Outermost);
    let nested: Vec<_> = groups.iter().filter(|(by, _)| has_both(by)).collect();
    if nested.is_empty() {
        return Vec::new();
    }
    let base = Base::of(module);
    nested.into_iter().map(|(by, trained)| base.study(by, trained, Level::Outermost)).collect()
}

/// A study of each objective by itself.
pub fn objective_studies(module: &Module) -> Vec<Study> {
    let base = Base::of(module);
    module
        .objectives
        .iter()
        .enumerate()
        .map(|(at, objective)| base.study(&[at], &objective.trained, Level::Leaves))
        .collect()
}

/// What the studies of a module share.
pub struct Base<'m> {
    module: &'m Module,
    /// that of the module, without gradients
    pub graph: Graph,
    /// bounds of params and states
    pub known: BTreeMap<NodeId, Interval>,
    /// bounds of all but the steps of params and states, nothing being assumed of losses
    bounds: Vec<Interval>,
    domains: BTreeMap<NodeId, Domain>,
}

impl<'m> Base<'m> {
    pub fn of(module: &'m Module) -> Self {
        let graph = without_gradients(module);
        let known = leaf_bounds(module, &graph);
        let domains = domains(module, &known);
        let asked = graph.slice_back(kept_outputs(&graph).chain(all_losses(module)));
        let bounds = Intervals::of_asked(&graph, &asked).among(&known, &asked);
        Self { module, graph, known, bounds, domains }
    }

    /// See [`studies`].
    pub fn studies(&self) -> Vec<Study> {
        groups(self.module).iter().map(|(by, trained)| self.study(by, trained, Level::Leaves)).collect()
    }

    /// The sum of some objectives, for the params that they train.
    fn study(&self, by: &[usize], trained: &[Arc<str>], level: Level) -> Study {
        let Self { module, graph: base, known, .. } = self;
        let objectives: Vec<_> = by.iter().map(|at| &module.objectives[*at]).collect();
        let names: Vec<&str> = objectives.iter().map(|objective| &*objective.name).collect();
        let mut graph = base.clone();
        let provenance = base.node(objectives[0].node).provenance.clone();
        let mut node = objectives[0].node;
        for objective in &objectives[1..] {
            node = Builder::new(&mut graph, provenance.clone()).add2(node, objective.node);
        }
        let parts = parts(module, base, &objectives, level);
        let losses: Vec<NodeId> = parts.iter().map(|(_, node, _)| *node).collect();
        let direct = reach(&graph, node, &losses, false);
        let is_bounded = |constraint: Option<Constraint>| matches!(constraint, Some(Constraint::Interval(..)));
        let params: Vec<_> = module
            .params
            .iter()
            .filter(|(path, param)| trained.contains(path) && direct[param.node.index()])
            .filter(|(_, param)| !losses.is_empty() || is_bounded(param.constraint) || param.owner != Owner::Layer)
            .collect();
        let wanted: Vec<NodeId> = losses.iter().copied().chain(params.iter().map(|(_, param)| param.node)).collect();
        let derivatives = gradients(&mut graph, node, &wanted);
        let trained: Vec<NodeId> = trained.iter().map(|path| module.params[path].node).collect();
        let branches: Vec<Branch> = parts
            .into_iter()
            .zip(&derivatives)
            .map(|((name, node, span), coefficient)| {
                let below = reach(base, node, &[], false);
                let trains = trained.iter().any(|param| below[param.index()]);
                Branch { name, node, span, coefficient: *coefficient, trains, own: self.bounds[node.index()] }
            })
            .collect();
        let enters: Vec<Vec<bool>> =
            branches.iter().map(|branch| reach(&graph, branch.coefficient, &losses, false)).collect();
        let weights = params.iter().zip(&derivatives[losses.len()..]).map(|((path, param), derivative)| Weight {
            path: (*path).clone(),
            node: param.node,
            span: param.span,
            owner: param.owner,
            constraint: param.constraint,
            derivative: *derivative,
            weighs: (0..branches.len()).filter(|i| enters[*i][param.node.index()]).collect(),
        });
        let weights = weights.collect();
        let Bounds { usual, usual_at_other_sizes, at_zero } =
            Bounds::of(&graph, known, &losses, derivatives.iter().copied().chain([node]));
        let mut domains = self.domains.clone();
        domains.extend(losses.iter().map(|loss| (*loss, Domain::Loss(usual[loss.index()]))));
        let loss_span = |name: &str| module.losses.get(name).map(|(_, span)| *span);
        let span = names.iter().find_map(|name| loss_span(name)).unwrap_or(provenance.span);
        let name = names.join(" + ").into();
        Study { name, node, span, graph, branches, weights, usual, usual_at_other_sizes, at_zero, domains, trained }
    }
}

/// The bounds of a study's nodes.
struct Bounds {
    usual: Vec<Interval>,
    usual_at_other_sizes: Vec<Vec<Interval>>,
    at_zero: Vec<Interval>,
}

impl Bounds {
    /// Of what a study asks about: all but the steps of params and states.
    fn of(
        graph: &Graph,
        known: &BTreeMap<NodeId, Interval>,
        losses: &[NodeId],
        wanted: impl Iterator<Item = NodeId>,
    ) -> Self {
        let asked = graph.slice_back(kept_outputs(graph).chain(losses.iter().copied()).chain(wanted));
        let below = graph.slice_back(losses.iter().copied());
        let bounds = |intervals: &Intervals<'_>, of_loss: &dyn Fn(Interval) -> Interval| {
            let own = intervals.among(known, &below);
            let mut known = known.clone();
            known.extend(losses.iter().map(|loss| (*loss, of_loss(own[loss.index()]))));
            intervals.among(&known, &asked)
        };
        let mut intervals = Intervals::of_asked(graph, &asked);
        let usual = bounds(&intervals, &not_negative);
        let at_zero = bounds(&intervals, &|_| Interval::ZERO);
        let mut usual_at_other_sizes = Vec::new();
        for size in OTHER_SIZES {
            intervals = intervals.of_size(size);
            usual_at_other_sizes.push(bounds(&intervals, &not_negative));
        }
        Self { usual, usual_at_other_sizes, at_zero }
    }
}

/// The outputs other than steps of params and states.
fn kept_outputs(graph: &Graph) -> impl Iterator<Item = NodeId> + '_ {
    let is_step = |role: Role| matches!(role, Role::Param | Role::State);
    graph.outputs.iter().filter(move |output| !is_step(output.role)).map(|output| output.node)
}

/// A loss is taken to be at least 0, unless it never is.
fn not_negative(found: Interval) -> Interval {
    if found.high > 0.0 { Interval::new(found.low.max(0.0), found.high) } else { found }
}

/// Which of the losses that are made of one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// those that are made of no other
    Leaves,
    /// those that no other is made of
    Outermost,
}

/// The losses that objectives combine: named ones and what combiners were given, each once, of one level.
fn parts(module: &Module, base: &Graph, objectives: &[&ObjectiveInfo], level: Level) -> Vec<(Arc<str>, NodeId, Span)> {
    let reached: Vec<Vec<bool>> = objectives.iter().map(|objective| reach(base, objective.node, &[], false)).collect();
    // The one loss that is the objective itself, up to its batch mean, is not one of its parts.
    let own: Vec<NodeId> = match objectives {
        [one] => module.losses.get(&one.name).map(|(node, _)| *node).into_iter().chain([one.node]).collect(),
        _ => Vec::new(),
    };
    let named = module.losses.iter().chain(&module.branches);
    let named = named.map(|(name, (node, span))| (name.clone(), *node, *span));
    let mut parts: Vec<(Arc<str>, NodeId, Span)> = Vec::new();
    for part in named.filter(|(_, part, _)| !own.contains(part) && reached.iter().any(|marks| marks[part.index()])) {
        if !parts.iter().any(|(_, node, _)| *node == part.1) {
            parts.push(part);
        }
    }
    let nodes: Vec<NodeId> = parts.iter().map(|(_, node, _)| *node).collect();
    let below: Vec<Vec<bool>> = nodes.iter().map(|part| reach(base, *part, &[], false)).collect();
    let is_made_of = |one: usize, other: usize| one != other && below[one][nodes[other].index()];
    let counts = |at: usize| match level {
        Level::Leaves => !(0..nodes.len()).any(|other| is_made_of(at, other)),
        Level::Outermost => !(0..nodes.len()).any(|other| is_made_of(other, at)),
    };
    parts.into_iter().enumerate().filter(|(at, _)| counts(*at)).map(|(_, part)| part).collect()
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

/// What a value depends on where the model predicts, without passing through `barriers`: dropout draws nothing there.
pub fn at_prediction(graph: &Graph, from: NodeId, barriers: &[NodeId]) -> Vec<bool> {
    let mut seen = vec![false; graph.len()];
    let mut open = vec![from];
    while let Some(id) = open.pop() {
        if std::mem::replace(&mut seen[id.index()], true) || (barriers.contains(&id) && id != from) {
            continue;
        }
        match graph.op(id) {
            Op::ByMode(_) => open.push(graph.operands(id)[ByMode::PREDICTION]),
            _ => open.extend(graph.operands(id)),
        }
    }
    seen
}

/// The graph with a leaf in place of each gradient that is still to be written out, and with the loss that a direction
/// reports in the direction's place. Ids stay as they are.
pub fn without_gradients(module: &Module) -> Graph {
    let graph = &module.graph;
    let mut copier = Copier::new(graph);
    for id in graph.ids() {
        let node = graph.node(id);
        let (op, operands): (Op, Vec<NodeId>) = match graph.op(id) {
            Op::Gradient(_) => (Input { kind: InputKind::State, ty: node.ty.clone() }.into(), Vec::new()),
            Op::Directed(_) => (unchanged(node), copier.operands(id)[..=Directed::VALUE].to_vec()),
            Op::StopGradient(_) if module.directions.iter().any(|info| info.reported == id) => {
                (unchanged(node), copier.operands(id))
            }
            _ => {
                copier.copy(id);
                continue;
            }
        };
        let node = Node { op, ty: node.ty.clone(), provenance: node.provenance.clone() };
        let copy = copier.target.push(node, &operands);
        copier.set(id, copy);
    }
    copier.finish(|_| true)
}

/// What gives a node's one operand as it is.
fn unchanged(node: &Node) -> Op {
    Reshape { shape: node.ty.shape.clone() }.into()
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
    /// Whether a param is moved by it.
    pub fn trains(&self, param: NodeId) -> bool {
        self.trained.contains(&param)
    }

    pub fn is_branch(&self, id: NodeId) -> bool {
        self.branches.iter().any(|branch| branch.node == id)
    }

    /// What the spec calls a branch loss, a weight or a leaf.
    pub fn name_of(&self, id: NodeId) -> Option<String> {
        let branch = self.branches.iter().find(|branch| branch.node == id).map(|branch| branch.name.to_string());
        branch.or_else(|| {
            matches!(self.graph.op(id), Op::Input(_)).then(|| self.graph.node(id).provenance.name.to_string())
        })
    }

    /// The bounds of a node whatever the sizes of run-time dims.
    pub fn at_any_size(&self, id: NodeId) -> Interval {
        let others = self.usual_at_other_sizes.iter().map(|bounds| bounds[id.index()]);
        others.fold(self.usual[id.index()], Interval::hull)
    }
}

/// The losses of a module, whatever they are made of.
fn all_losses(module: &Module) -> impl Iterator<Item = NodeId> + '_ {
    module.losses.values().chain(module.branches.values()).map(|(node, _)| *node)
}

/// The losses of a module that are made of no other.
fn whole_losses(module: &Module, graph: &Graph) -> Vec<NodeId> {
    let all: Vec<NodeId> = all_losses(module).collect();
    let is_whole = |loss: &NodeId| {
        let below = reach(graph, *loss, &[], false);
        !all.iter().any(|other| other != loss && below[other.index()])
    };
    all.iter().copied().filter(is_whole).collect()
}

/// The bounds of params and states: constraints, and for states and projected params what their updates keep.
pub(super) fn leaf_bounds(module: &Module, graph: &Graph) -> BTreeMap<NodeId, Interval> {
    let first = intervals(&module.init, &BTreeMap::new());
    let (starts, ends) = (module.init.outputs_by_name(), graph.outputs_by_name());
    let initial = |role: Role, name: &str| starts.get(role, name).map_or(Interval::ALL, |id| first[id.index()]);
    let mut known: BTreeMap<NodeId, Interval> = BTreeMap::new();
    // (leaf, its next value, bounds so far)
    let mut moving: Vec<(NodeId, NodeId)> = Vec::new();
    for (path, param) in &module.params {
        match (param.constraint, ends.get(Role::Param, path)) {
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
    if moving.is_empty() {
        return known;
    }
    let steps = graph.slice_back(moving.iter().map(|(_, next)| *next));
    let whole = whole_losses(module, graph);
    let needed = graph.slice_back(moving.iter().map(|(_, next)| *next).chain(whole.iter().copied()));
    let intervals = Intervals::of_asked(graph, &needed);
    // What is carried from step to step follows losses, which are not negative whatever is carried.
    let mut free = known.clone();
    free.extend(moving.iter().map(|(leaf, _)| (*leaf, Interval::ALL)));
    let of_any = intervals.among(&free, &graph.slice_back(whole.iter().copied()));
    let losses: Vec<(NodeId, Interval)> =
        whole.into_iter().map(|loss| (loss, not_negative(of_any[loss.index()]))).collect();
    loop {
        let mut assumed = known.clone();
        assumed.extend(losses.iter().copied());
        let bounds = intervals.among(&assumed, &steps);
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
