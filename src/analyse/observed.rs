//! What a run may see of how losses are combined, as further outputs of the training step.
//!
//! Takes a lowered module and what is asked for. Gives the step's graph with an output of role [`Role::Observed`] for each number:
//! `weight/TOTAL/LOSS`, `norm/OBJECTIVE/LOSS`, `cosine/OBJECTIVE/LOSS/LOSS`, the latter two also with `/LAYER` behind. A weight is the
//! node that is applied: the derivative of the total by the loss, or the number that a direction's gradients are combined by.
//! Gradients are those of batch means by the params that at least two of the objective's losses reach; written out as
//! combiners write them, they are theirs once the graph is simplified. Nothing that is not asked for is added.

use crate::autodiff::{cotangents, downstream, gradient_reach};
use crate::ir::{Builder, Graph, NodeId, Provenance, Role};
use crate::lower::{Copies, DirectionInfo, Module, ObjectiveInfo, Observe, copy_slice};
use crate::ops::{self, Directed, Flow, InputKind, Op};
use crate::passes::gradients;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Pairs of more losses are a table that nobody reads.
const MOST_LOSSES: usize = 64;

/// The graph of the training step with what is asked for.
pub fn observed(module: &Module, asked: Observe) -> Cow<'_, Graph> {
    if asked == Observe::default() || module.objectives.is_empty() {
        return Cow::Borrowed(&module.graph);
    }
    let watched = Watched::of(module);
    let mut graph = module.graph.clone();
    if asked.weights {
        watched.weights(&mut graph, asked);
    }
    if asked.norms || asked.cosines {
        for objective in &module.objectives {
            watched.gradients(&mut graph, objective, asked);
        }
    }
    Cow::Owned(graph)
}

/// A value that counts as a loss.
#[derive(Clone, Debug)]
struct Loss {
    name: Arc<str>,
    /// as written, per sample or scalar
    node: NodeId,
    /// its batch mean, where the graph has it
    mean: Option<NodeId>,
}

/// A module's losses: the named ones, and what combiners were given that is made of none of them.
struct Watched<'m> {
    module: &'m Module,
    losses: Vec<Loss>,
    /// the `stop`s around what directions report
    reported: BTreeSet<NodeId>,
}

impl<'m> Watched<'m> {
    fn of(module: &'m Module) -> Self {
        let reported = module.directions.iter().map(|info| info.reported).collect();
        let mut watched = Self { module, losses: Vec::new(), reported };
        for (name, (node, _)) in &module.losses {
            let mean = module.graph.output(Role::Loss, name);
            watched.note(Loss { name: name.clone(), node: *node, mean });
        }
        let named: BTreeSet<NodeId> = watched.losses.iter().map(|loss| loss.node).collect();
        for (name, (node, _)) in &module.branches {
            let is_made_of_named = watched.below(*node, &BTreeSet::new()).iter().any(|id| named.contains(id));
            if !is_made_of_named {
                watched.note(Loss { name: name.clone(), node: *node, mean: None });
            }
        }
        watched
    }

    fn note(&mut self, loss: Loss) {
        if !self.losses.iter().any(|other| other.node == loss.node) {
            self.losses.push(loss);
        }
    }

    /// What a value is made of, along open gradients and through what directions report. What lies behind a `barrier` is not.
    fn below(&self, from: NodeId, barriers: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
        let graph = &self.module.graph;
        let mut seen = BTreeSet::new();
        let mut stack = vec![from];
        while let Some(id) = stack.pop() {
            if !seen.insert(id) || (barriers.contains(&id) && id != from) {
                continue;
            }
            let operands = graph.operands(id);
            match graph.op(id) {
                Op::Directed(_) => stack.push(operands[Directed::VALUE]),
                Op::StopGradient(_) if self.reported.contains(&id) => stack.extend(operands),
                op => {
                    let open = operands.iter().enumerate().filter(|(slot, _)| op.flow(*slot) == Flow::Differentiable);
                    stack.extend(open.map(|(_, operand)| *operand));
                }
            }
        }
        seen
    }

    /// The totals that objectives are made of, those included: name, value as written, batch mean.
    fn totals(&self) -> Vec<Loss> {
        let of_objective = |objective: &ObjectiveInfo| {
            let named = self.losses.iter().find(|loss| *loss.name == *objective.name);
            named.cloned().unwrap_or(Loss {
                name: objective.name.clone(),
                node: objective.node,
                mean: Some(objective.node),
            })
        };
        let objectives: Vec<Loss> = self.module.objectives.iter().map(of_objective).collect();
        let below: Vec<_> = objectives.iter().map(|total| self.below(total.node, &BTreeSet::new())).collect();
        let is_reached = |loss: &&Loss| below.iter().any(|below| below.contains(&loss.node));
        let inner = self.losses.iter().filter(is_reached).cloned();
        let mut totals: Vec<Loss> = Vec::new();
        for total in objectives.into_iter().chain(inner) {
            if !totals.iter().any(|other| other.node == total.node) {
                totals.push(total);
            }
        }
        totals
    }

    /// The losses that a total combines: those that are reached without passing through another.
    fn parts(&self, total: &Loss) -> Vec<&Loss> {
        let barriers: BTreeSet<NodeId> =
            self.losses.iter().map(|loss| loss.node).filter(|node| *node != total.node).collect();
        let below = self.below(total.node, &barriers);
        self.losses.iter().filter(|loss| loss.node != total.node && below.contains(&loss.node)).collect()
    }

    /// Adds by how much each loss counts in each total, where that is no fixed number or those are asked for too.
    fn weights(&self, graph: &mut Graph, asked: Observe) {
        for total in self.totals() {
            let parts = self.parts(&total);
            if parts.len() < 2 {
                continue;
            }
            let direction = self.module.directions.iter().find(|info| info.node == total.node);
            let weights = match direction {
                Some(info) => self.applied(info, &parts),
                None => self.derivatives(graph, &total, &parts),
            };
            if !asked.fixed && weights.iter().all(|(_, weight)| is_fixed(graph, *weight)) {
                continue;
            }
            for (name, weight) in weights {
                graph.add_output(Role::Observed, format!("weight/{}/{name}", total.name), weight);
            }
        }
    }

    /// The numbers that the gradients of a direction are combined by. A direction that is no such combination has none.
    fn applied(&self, info: &DirectionInfo, parts: &[&Loss]) -> Vec<(Arc<str>, NodeId)> {
        let barriers: BTreeSet<NodeId> = parts.iter().map(|part| part.node).collect();
        let name_of = |(at, loss): (usize, &NodeId)| -> Arc<str> {
            let below = self.below(*loss, &barriers);
            let mut own = parts.iter().filter(|part| below.contains(&part.node));
            match (own.next(), own.next()) {
                (Some(part), None) => part.name.clone(),
                _ => format!("{}", at + 1).into(),
            }
        };
        let Some(weights) = &info.weights else { return Vec::new() };
        let names = info.losses.iter().enumerate().map(name_of);
        names.zip(weights.iter().copied()).collect()
    }

    /// ∂ total / ∂ loss, of losses per sample the sum over samples.
    fn derivatives(&self, graph: &mut Graph, total: &Loss, parts: &[&Loss]) -> Vec<(Arc<str>, NodeId)> {
        let root = total.mean.unwrap_or(total.node);
        // A direction counts by what it reports.
        let inside = |info: &DirectionInfo| (info.node, graph.operands(info.reported)[0]);
        let is_part = |node: &NodeId| parts.iter().any(|part| part.node == *node);
        let replaced: Copies = self.module.directions.iter().map(inside).filter(|(node, _)| !is_part(node)).collect();
        let copies = copy_slice(graph, &[root], &replaced);
        let root = copies.get(&root).copied().unwrap_or(root);
        let nodes: Vec<NodeId> =
            parts.iter().map(|part| copies.get(&part.node).copied().unwrap_or(part.node)).collect();
        let active = downstream(graph, &nodes);
        let found = cotangents(graph, root, &active, |id| !nodes.contains(&id));
        let mut weights = Vec::new();
        for (part, node) in parts.iter().zip(nodes) {
            let Some(cotangent) = found[node.index()] else { continue };
            let mut b = builder(graph, root, &part.name);
            let axes: Vec<usize> = (0..b.shape(cotangent).len()).collect();
            weights.push((part.name.clone(), b.sum(cotangent, &axes)));
        }
        weights
    }

    /// Adds the lengths and cosines of the gradients of an objective's losses.
    fn gradients(&self, graph: &mut Graph, objective: &ObjectiveInfo, asked: Observe) {
        let below = self.below(objective.node, &BTreeSet::new());
        let all: Vec<&Loss> = self.losses.iter().filter(|loss| below.contains(&loss.node)).collect();
        let is_made_of_another = |loss: &Loss| {
            let below = self.below(loss.node, &BTreeSet::new());
            all.iter().any(|other| other.node != loss.node && below.contains(&other.node))
        };
        let losses: Vec<&Loss> = all.iter().copied().filter(|loss| !is_made_of_another(loss)).collect();
        if losses.len() < 2 || losses.len() > MOST_LOSSES {
            return;
        }
        let means: Vec<NodeId> = losses.iter().map(|loss| mean(graph, loss)).collect();
        let reached: Vec<Vec<bool>> = means.iter().map(|mean| gradient_reach(graph, *mean)).collect();
        let n_reaching = |node: NodeId| reached.iter().filter(|reached| reached[node.index()]).count();
        let shared: Vec<(&Arc<str>, NodeId)> = objective
            .trained
            .iter()
            .filter_map(|path| Some((path, self.module.params.get(path)?.node)))
            .filter(|(_, node)| n_reaching(*node) >= 2)
            .collect();
        if shared.is_empty() {
            return;
        }
        let places: Vec<NodeId> = shared.iter().map(|(_, node)| *node).collect();
        let found: Vec<Vec<NodeId>> = means.iter().map(|mean| gradients(graph, *mean, &places)).collect();
        let mut layers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, (path, _)) in shared.iter().enumerate() {
            layers.entry(layer_of(path)).or_default().push(at);
        }
        let mut groups: Vec<(String, Vec<usize>)> = vec![(String::new(), (0..places.len()).collect())];
        if asked.layers {
            groups.extend(layers.into_iter().map(|(layer, members)| (format!("/{layer}"), members)));
        }
        let names: Vec<&str> = losses.iter().map(|loss| &*loss.name).collect();
        for (suffix, members) in groups {
            let of_group = |loss: usize| members.iter().map(|at| found[loss][*at]).collect::<Vec<NodeId>>();
            let gradients: Vec<Vec<NodeId>> = (0..losses.len()).map(of_group).collect();
            let mut b = builder(graph, objective.node, "observed");
            for (name, node) in measured(&mut b, &names, &gradients, asked) {
                let (kind, losses) = name;
                graph.add_output(Role::Observed, format!("{kind}/{}/{losses}{suffix}", objective.name), node);
            }
        }
    }
}

/// The lengths and cosines of some gradients, each given by its parts: kind and losses, with the node.
fn measured(
    b: &mut Builder<'_>,
    names: &[&str],
    gradients: &[Vec<NodeId>],
    asked: Observe,
) -> Vec<((&'static str, String), NodeId)> {
    let mut found = Vec::new();
    let lengths: Vec<NodeId> = gradients
        .iter()
        .map(|own| {
            let square = inner(b, own, own);
            b.emit(ops::Sqrt, &[square])
        })
        .collect();
    if asked.norms {
        found.extend(names.iter().zip(&lengths).map(|(name, length)| (("norm", (*name).to_string()), *length)));
    }
    if asked.cosines {
        for (i, one) in gradients.iter().enumerate() {
            for (j, other) in gradients.iter().enumerate().skip(i + 1) {
                let product = inner(b, one, other);
                // 0 where one of them is 0.
                let scale = b.mul(lengths[i], lengths[j]);
                let least = b.constant_like(f64::from(f32::MIN_POSITIVE), scale);
                let scale = b.emit(ops::Max, &[scale, least]);
                found.push((("cosine", format!("{}/{}", names[i], names[j])), b.div(product, scale)));
            }
        }
    }
    found
}

fn inner(b: &mut Builder<'_>, one: &[NodeId], other: &[NodeId]) -> NodeId {
    let mut sum: Option<NodeId> = None;
    for (x, y) in one.iter().zip(other) {
        let product = b.mul(*x, *y);
        let axes: Vec<usize> = (0..b.shape(product).len()).collect();
        let part = b.sum(product, &axes);
        sum = Some(sum.map_or(part, |sum| b.add2(sum, part)));
    }
    sum.expect("internal: a group of params has a member")
}

/// The batch mean of a loss.
fn mean(graph: &mut Graph, loss: &Loss) -> NodeId {
    loss.mean.unwrap_or_else(|| {
        let mut b = builder(graph, loss.node, &loss.name);
        let axes: Vec<usize> = (0..b.shape(loss.node).len()).collect();
        b.mean(loss.node, &axes)
    })
}

/// The layer that a param is of: its path without its own name. A param of the file stands for itself.
fn layer_of(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(layer, _)| layer)
}

fn builder<'g>(graph: &'g mut Graph, at: NodeId, name: &str) -> Builder<'g> {
    let span = graph.node(at).provenance.span;
    Builder::new(graph, Provenance { name: name.into(), span })
}

/// Whether a number is the same at each step: made of constants and sizes alone.
fn is_fixed(graph: &Graph, id: NodeId) -> bool {
    let needed = graph.slice_back([id]);
    graph.ids().filter(|id| needed[id.index()]).all(|id| match graph.op(id) {
        Op::Input(input) => matches!(input.kind, InputKind::Port(_)),
        Op::Random(_) | Op::Gradient(_) => false,
        _ => true,
    })
}
