//! A monitored loss whose value moves though the model does not: its weights are trained, or follow the clock.
//!
//! A run's config says what is watched; a spec's own comparisons, such as those of `reduce_on_plateau`, watch too.

use crate::analyse::study::{Study, at_prediction, reach};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{NodeId, Role};
use crate::lower::{Module, Owner, Watched};
use crate::ops::{InputKind, Op};
use std::collections::BTreeSet;

/// A warning when a run that stops early, or keeps its best params, by a loss or metric compares values that mean
/// different things at different times.
pub(super) fn find(module: &Module, studies: &[Study], watched: &Watched) -> Option<Diagnostic> {
    let name = watched.name.as_str();
    let (node, span) = match module.losses.get(name) {
        Some(loss) => *loss,
        None => {
            let node = module.graph.output(Role::Metric, name)?;
            (node, module.graph.node(node).provenance.span)
        }
    };
    let (place, why) = mover(module, studies, node)?;
    let finding = Diagnostic::warning(Code::L0011, format!("`{name}` is watched, but its weights move"))
        .at(span, "values of different steps do not compare")
        .with_label(place, why)
        .with_help("watch a loss of one branch or a metric");
    Some(match watched.span {
        Some(place) => finding.with_label(place, "watched here"),
        None => finding,
    })
}

/// A warning for each value of the spec that a comparison with a state holds against its earlier values.
pub(super) fn compared(module: &Module, studies: &[Study]) -> Vec<Diagnostic> {
    let graph = &module.graph;
    let is_comparison = |id: &NodeId| matches!(graph.op(*id), Op::Less(_) | Op::LessEqual(_));
    let updates: Vec<NodeId> = module.states.values().filter_map(|state| state.next).collect();
    let decides = graph.slice_back(updates);
    let mut findings: Vec<Diagnostic> = Vec::new();
    for id in graph.ids().filter(|id| decides[id.index()] && is_comparison(id)) {
        let sides = graph.operands(id);
        let reads_state = |side: NodeId| {
            let below = reach(graph, side, &[], true);
            module.states.values().any(|state| below[state.node.index()])
        };
        for (side, other) in [(sides[0], sides[1]), (sides[1], sides[0])] {
            if !graph.ty(side).is_scalar() || !reads_state(other) {
                continue;
            }
            let moving = moving_losses(module, studies);
            let leaves = leaf_losses(module);
            let below = reach(graph, side, &leaves, true);
            let total = moving.iter().find(|(node, ..)| below[node.index()]);
            let Some((_, name, place, why)) = total else { continue };
            let span = graph.node(id).provenance.span;
            if findings.iter().any(|other| other.primary.as_ref().is_some_and(|label| label.span == span)) {
                continue;
            }
            findings.push(
                Diagnostic::warning(Code::L0011, format!("`{name}` is watched, but its weights move"))
                    .at(span, "values of different steps are compared here")
                    .with_label(*place, why.clone())
                    .with_help("watch a loss of one branch or a metric"),
            );
        }
    }
    findings
}

/// The named losses whose weights move: node, name, and what moves them.
fn moving_losses(module: &Module, studies: &[Study]) -> Vec<(NodeId, String, Span, String)> {
    let moving = module.losses.iter().filter_map(|(name, (node, _))| {
        let (place, why) = mover(module, studies, *node)?;
        Some((*node, name.to_string(), place, why))
    });
    moving.collect()
}

/// What makes the value of a combination move though no loss does: a weight that is trained, a state, the clock.
fn mover(module: &Module, studies: &[Study], node: NodeId) -> Option<(Span, String)> {
    let graph = &module.graph;
    let weighing: BTreeSet<NodeId> = studies
        .iter()
        .flat_map(|study| &study.weights)
        .filter(|weight| !weight.weighs.is_empty())
        .map(|weight| weight.node)
        .collect();
    let is_weight = |param: &crate::lower::ParamInfo| param.owner == Owner::Combiner || weighing.contains(&param.node);
    let depends = reach(graph, node, &[], true);
    if let Some((path, param)) = module.params.iter().find(|(_, p)| depends[p.node.index()] && is_weight(p)) {
        return Some((param.span, format!("`{path}` is trained")));
    }
    // A loss that combines no other is what it is; what it reads of states and the clock is its model's.
    let leaves: Vec<NodeId> = leaf_losses(module).into_iter().filter(|leaf| *leaf != node).collect();
    let above = at_prediction(graph, node, &leaves);
    let combines = leaves.iter().any(|leaf| above[leaf.index()]);
    let state = module.states.iter().find(|(_, state)| combines && above[state.node.index()]);
    if let Some((path, state)) = state {
        return Some((state.span, format!("`{path}` moves")));
    }
    let is_clock = |id: &NodeId| {
        above[id.index()]
            && matches!(graph.op(*id), Op::Input(input) if matches!(input.kind, InputKind::Step | InputKind::Epoch))
    };
    graph.ids().find(is_clock).map(|clock| (graph.node(clock).provenance.span, "it follows the clock".to_string()))
}

/// The losses, named or given to a combiner, that combine no others.
fn leaf_losses(module: &Module) -> Vec<NodeId> {
    let all: BTreeSet<NodeId> = module.losses.values().chain(module.branches.values()).map(|(node, _)| *node).collect();
    let combines = |node: NodeId| {
        let below = reach(&module.graph, node, &[], true);
        all.iter().any(|other| *other != node && below[other.index()])
    };
    all.iter().copied().filter(|node| !combines(*node)).collect()
}
