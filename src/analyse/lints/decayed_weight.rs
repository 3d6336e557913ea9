//! Weight decay or joint clipping that reaches the weights of losses: it pulls them to 0, or lets the model's gradients
//! decide how far they move.
//!
//! Decay: with the gradient held fixed, the derivative of the next value by the present one is less than 1, or, at a point, a
//! step without a gradient draws the param to 0. Joint clipping:
//! the next value reads gradients of other params.

use crate::analyse::interval::{Interval, Intervals};
use crate::analyse::stepping::Stepping;
use crate::analyse::study::{Study, reach, unclamped, without_gradients};
use crate::diag::{Code, Diagnostic};
use crate::ir::{Graph, NodeId, Role};
use crate::lower::{Module, Owner};
use crate::ops::Op;
use crate::passes::gradients;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn run(module: &Module, studies: &[Study], stepping: &Stepping<'_>) -> Vec<Diagnostic> {
    let weighs = studies.iter().flat_map(|study| &study.weights).filter(|weight| !weight.weighs.is_empty());
    let weighing: BTreeSet<_> = weighs.map(|weight| weight.node).collect();
    let is_weight = |param: &crate::lower::ParamInfo| param.owner == Owner::Combiner || weighing.contains(&param.node);
    let mut findings = Vec::new();
    for (path, param) in module.params.iter().filter(|(_, param)| is_weight(param)) {
        let Some(next) = module.graph.output(Role::Param, path) else { continue };
        let step = taken(&module.graph, unclamped(&module.graph, next), param.node);
        let mut graph = without_gradients(module);
        let slope = gradients(&mut graph, step, &[param.node])[0];
        let asked = graph.slice_back([slope]);
        let bounds = Intervals::of_asked(&graph, &asked);
        let kept = bounds.among(&BTreeMap::new(), &asked)[slope.index()];
        // An optimizer that rests on some steps keeps all of the weight there, and a schedule some more than at other steps.
        let decays = kept.high < 1.0
            || (kept.high == 1.0 && kept.low < 1.0 && kept.low.is_finite())
            || stepping.step(path, next).is_some_and(|step| step.decays());
        let depends = reach(&graph, next, &[], true);
        let is_other = |id: &NodeId| {
            matches!(module.graph.op(*id), Op::Gradient(_)) && module.graph.operands(*id)[1] != param.node
        };
        let others = module.graph.ids().filter(|id| depends[id.index()] && is_other(id)).count();
        let (headline, why) = if decays {
            (format!("weight decay reaches `{path}`"), "decay pulls this weight of losses to 0")
        } else if others > 0 {
            (format!("clipping reaches `{path}`"), "its step depends on the size of the model's gradients")
        } else {
            continue;
        };
        findings.push(
            Diagnostic::warning(Code::L0010, headline)
                .at(param.span, why)
                .with_label(module.graph.node(step).provenance.span, "by this optimizer")
                .with_help(format!("give it an optimizer of its own: `optimizer sgd(lr=0.01) for {path}`; clip by `value` or `norm`, which look at one param alone")),
        );
    }
    findings.extend(penalties(module, studies, &weighing));
    findings
}

/// The step that is taken, where the param stays as it is on others.
fn taken(graph: &Graph, mut step: NodeId, param: NodeId) -> NodeId {
    while let (Op::Select(_), [_, then, otherwise]) = (graph.op(step), graph.operands(step).as_slice()) {
        step = match (*then == param, *otherwise == param) {
            (false, true) => *then,
            (true, false) => *otherwise,
            _ => return step,
        };
    }
    step
}

/// Terms of an objective that pull a weight of losses to 0 whatever the losses are, as `0.01 * square(w)` and `abs(w)` do: in
/// the objective's derivative, terms in proportion to the weight or to its sign. A term that holds against the losses'
/// pull is another, such as the 1 of `log_var`.
fn penalties(module: &Module, studies: &[Study], weighing: &BTreeSet<NodeId>) -> Vec<Diagnostic> {
    let mut findings: Vec<Diagnostic> = Vec::new();
    for study in studies {
        let mut graph = study.graph.clone();
        let reached = reach(&graph, study.node, &[], false);
        let is_weight = |param: &crate::lower::ParamInfo| {
            reached[param.node.index()] && (param.owner == Owner::Combiner || weighing.contains(&param.node))
        };
        let weights: Vec<_> = module.params.iter().filter(|(_, param)| is_weight(param)).collect();
        let nodes: Vec<NodeId> = weights.iter().map(|(_, param)| param.node).collect();
        if nodes.is_empty() {
            continue;
        }
        // Losses at 0, and what is made of them, are none of these terms.
        let is_of_losses = |loss: NodeId| {
            let below = reach(&study.graph, loss, &[], true);
            study.branches.iter().any(|branch| below[branch.node.index()])
        };
        let all = module.losses.values().chain(module.branches.values()).map(|(loss, _)| *loss);
        let losses: Vec<NodeId> = all.filter(|loss| is_of_losses(*loss)).collect();
        let slopes = gradients(&mut graph, study.node, &nodes);
        let bounds = Intervals::new(&graph);
        let asked = graph.slice_back(slopes.iter().copied());
        for ((path, param), slope) in weights.iter().zip(slopes) {
            let at = |weight: Interval| {
                let mut known: BTreeMap<NodeId, Interval> = losses.iter().map(|loss| (*loss, Interval::ZERO)).collect();
                known.insert(param.node, weight);
                bounds.among(&known, &asked)
            };
            let [one, two, none, minus] = [1.0, 2.0, 0.0, -1.0].map(|place| at(Interval::point(place)));
            let pulls = |term: &NodeId| {
                let [one, two, none, minus] = [&one, &two, &none, &minus].map(|bounds| bounds[term.index()]);
                let is_odd = one.is_point() && none.is_zero() && minus == -one && one.low > 0.0;
                is_odd && (two == one || two == one + one)
            };
            let Some(term) = terms(&graph, slope).into_iter().find(pulls) else { continue };
            let place = graph.node(term).provenance.span;
            findings.push(
                Diagnostic::warning(Code::L0010, format!("a penalty pulls `{path}` to 0"))
                    .at(param.span, "decay pulls this weight of losses to 0")
                    .with_label(place, "by a term of this objective")
                    .with_help(
                        "penalise the params of the model alone, and leave the weights of losses to their combiner",
                    ),
            );
        }
    }
    findings
}

/// The terms of a sum of sums, behind what only changes shapes.
fn terms(graph: &Graph, id: NodeId) -> Vec<NodeId> {
    let mut found = Vec::new();
    let mut open = vec![id];
    while let Some(id) = open.pop() {
        match graph.op(id) {
            Op::Add(_) | Op::Reshape(_) | Op::Broadcast(_) => open.extend(graph.operands(id)),
            _ => found.push(id),
        }
    }
    found
}
