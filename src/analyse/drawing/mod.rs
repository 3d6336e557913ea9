//! A model as a drawing: layers as boxes with their shapes, what flows between them, and on each way the gradients of the losses
//! that pass it, with a bar where a `stop` closes it.

mod layout;
mod svg;

use super::flow::flow;
use super::layers::{LayerGraph, layers};
use crate::autodiff::gradient_reach;
use crate::ir::{Graph, NodeId, Role, element_count};
use crate::lower::Module;
use crate::ops::{Flow, InputKind, Op};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Boxes beyond which layers are drawn as what they are part of.
const BOXES: usize = 28;

/// What a box is; of several the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Layer,
    Input,
    Output,
    Target,
    Loss,
    Objective,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Layer => "layer",
            Self::Input => "input",
            Self::Output => "output",
            Self::Target => "target",
            Self::Loss => "loss",
            Self::Objective => "objective",
        }
    }
}

/// A box as it is written.
#[derive(Clone, Debug)]
struct Label {
    kind: Kind,
    name: String,
    shape: String,
    /// `1024 params`, or nothing
    params: String,
    /// only training needs it
    is_training_only: bool,
}

/// What passes between two boxes.
#[derive(Clone, Debug, Default)]
struct Passage {
    /// the losses, by number, whose gradients pass
    passing: BTreeSet<usize>,
    /// those whose gradients a `stop` ends on this way
    stopped: BTreeSet<usize>,
}

/// What is drawn.
#[derive(Clone, Debug)]
struct Picture {
    labels: Vec<Label>,
    passages: BTreeMap<(usize, usize), Passage>,
    losses: Vec<Arc<str>>,
}

/// The drawing of a module as the text of an SVG image.
pub fn model_svg(module: &Module) -> String {
    svg::image(&picture(module))
}

/// The drawing as a page of its own, which needs no other file.
pub fn model_html(module: &Module, title: &str) -> String {
    svg::page(&picture(module), title)
}

fn picture(module: &Module) -> Picture {
    let graph = &module.graph;
    let outputs = of_roles(graph, &[Role::Output]);
    let objectives = of_roles(graph, &[Role::Objective]);
    let losses: Vec<(Arc<str>, NodeId)> = module.losses.iter().map(|(name, (node, _))| (name.clone(), *node)).collect();
    let roots: Vec<NodeId> =
        outputs.iter().copied().chain(losses.iter().map(|loss| loss.1)).chain(objectives.iter().copied()).collect();
    let folded = folded(graph, &roots);
    let coloured = coloured(module, &losses);
    let predicts = graph.slice_back(outputs.iter().copied());
    let kind = |nodes: &[NodeId]| {
        let holds = |of: &[NodeId]| nodes.iter().any(|node| of.contains(node));
        match graph.op(nodes[0]) {
            Op::Input(input) if input.kind == InputKind::Target => Kind::Target,
            Op::Input(_) => Kind::Input,
            _ if holds(&objectives) => Kind::Objective,
            _ if losses.iter().any(|(_, loss)| nodes.contains(loss)) => Kind::Loss,
            _ if holds(&outputs) => Kind::Output,
            _ => Kind::Layer,
        }
    };
    let labels = folded.boxes.iter().map(|one| {
        let count = |id: &NodeId| element_count(&graph.ty(*id).shape).and_then(|count| count.as_known()).unwrap_or(0);
        let n_params: usize = one.params.iter().map(count).sum();
        Label {
            kind: kind(&one.nodes),
            name: one.name.to_string(),
            shape: graph.ty(one.result).to_string(),
            params: match (n_params, one.params_again.is_empty()) {
                (0, true) => String::new(),
                (0, false) => "params as above".to_string(),
                (n_params, _) => format!("{n_params} params"),
            },
            is_training_only: !one.nodes.iter().any(|node| predicts[node.index()]),
        }
    });
    Picture {
        labels: labels.collect(),
        passages: passages(graph, &folded, &coloured, &objectives),
        losses: coloured.into_iter().map(|(name, _)| name).collect(),
    }
}

fn of_roles(graph: &Graph, roles: &[Role]) -> Vec<NodeId> {
    graph.outputs.iter().filter(|output| roles.contains(&output.role)).map(|output| output.node).collect()
}

/// The layers, to the depth at which there are few enough to look at.
fn folded(graph: &Graph, roots: &[NodeId]) -> LayerGraph {
    let names = |id: NodeId| graph.node(id).provenance.name.split('.').count();
    let deepest = graph.ids().map(names).max().unwrap_or(1);
    let mut folded = layers(graph, roots, deepest);
    for depth in (1..deepest).rev() {
        if folded.boxes.len() <= BOXES {
            break;
        }
        folded = layers(graph, roots, depth);
    }
    folded
}

/// The losses whose gradients are shown: those that the objectives are made of, or all where there is no objective.
fn coloured(module: &Module, losses: &[(Arc<str>, NodeId)]) -> Vec<(Arc<str>, NodeId)> {
    let of_objectives: BTreeSet<Arc<str>> = flow(module).coefficients.into_iter().map(|own| own.loss).collect();
    let branches = module.branches.iter().map(|(name, (node, _))| (name.clone(), *node));
    let known: Vec<(Arc<str>, NodeId)> = losses.iter().cloned().chain(branches).collect();
    let mut shown: Vec<(Arc<str>, NodeId)> = Vec::new();
    for (name, node) in known {
        if of_objectives.contains(&name) && !shown.iter().any(|(_, other)| *other == node) {
            shown.push((name, node));
        }
    }
    if shown.is_empty() { losses.to_vec() } else { shown }
}

/// What passes between boxes, by the edges between their nodes.
fn passages(
    graph: &Graph,
    folded: &LayerGraph,
    losses: &[(Arc<str>, NodeId)],
    objectives: &[NodeId],
) -> BTreeMap<(usize, usize), Passage> {
    let mut passages: BTreeMap<(usize, usize), Passage> =
        folded.edges.iter().map(|edge| (*edge, Passage::default())).collect();
    let ways: Vec<Ways> = losses.iter().map(|(_, node)| Ways::of(graph, *node, objectives)).collect();
    let by_param = by_param(graph);
    for (reader, to) in &folded.of {
        for (slot, operand) in graph.operands(*reader).into_iter().enumerate() {
            let Some(passage) = folded.of.get(&operand).and_then(|from| passages.get_mut(&(*from, *to))) else {
                continue;
            };
            // A gradient by data trains nothing.
            if !by_param[operand.index()] {
                continue;
            }
            for (loss, ways) in ways.iter().enumerate() {
                match graph.op(*reader).flow(slot) {
                    Flow::Differentiable if ways.passes(*reader, operand) => _ = passage.passing.insert(loss),
                    Flow::Stopped if ways.arrives(*reader, operand) => _ = passage.stopped.insert(loss),
                    Flow::Differentiable | Flow::Stopped | Flow::Zero => {}
                }
            }
        }
    }
    passages
}

/// Where the gradient of one loss goes: from an objective to the loss, and from the loss on.
struct Ways {
    /// what a gradient of the loss reaches
    behind: Vec<bool>,
    /// what a gradient of an objective reaches
    before: Vec<bool>,
    /// what reads the loss, and what reads it by ways that gradients take
    reads: Vec<bool>,
    leads: Vec<bool>,
}

impl Ways {
    fn of(graph: &Graph, loss: NodeId, objectives: &[NodeId]) -> Self {
        let mut before = vec![false; graph.len()];
        for objective in objectives.iter().filter(|objective| **objective != loss) {
            let reached = gradient_reach(graph, *objective);
            before.iter_mut().zip(reached).for_each(|(before, reached)| *before |= reached);
        }
        let (mut reads, mut leads) = (vec![false; graph.len()], vec![false; graph.len()]);
        (reads[loss.index()], leads[loss.index()]) = (true, true);
        for id in graph.ids().filter(|id| *id > loss) {
            for (slot, operand) in graph.operands(id).into_iter().enumerate() {
                reads[id.index()] |= reads[operand.index()];
                leads[id.index()] |= leads[operand.index()] && graph.op(id).flow(slot) == Flow::Differentiable;
            }
        }
        Self { behind: gradient_reach(graph, loss), before, reads, leads }
    }

    fn passes(&self, reader: NodeId, operand: NodeId) -> bool {
        (self.behind[reader.index()] && self.behind[operand.index()])
            || (self.before[reader.index()] && self.leads[operand.index()])
    }

    /// Whether the gradient comes as far as the reader.
    fn arrives(&self, reader: NodeId, operand: NodeId) -> bool {
        self.behind[reader.index()] || (self.before[reader.index()] && self.reads[operand.index()])
    }
}

/// The nodes that depend on a param.
fn by_param(graph: &Graph) -> Vec<bool> {
    let mut by_param = vec![false; graph.len()];
    for id in graph.ids() {
        let is_param = matches!(graph.op(id), Op::Input(input) if input.kind == InputKind::Param);
        by_param[id.index()] = is_param || graph.operands(id).iter().any(|operand| by_param[operand.index()]);
    }
    by_param
}
