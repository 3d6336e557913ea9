//! Weight decay or joint clipping that reaches the weights of losses: it pulls them to 0, or lets the model's gradients
//! decide how far they move.
//!
//! Decay: with the gradient held fixed, the derivative of the next value by the present one is less than 1. Joint clipping:
//! the next value reads gradients of other params.

use crate::analyse::interval::intervals;
use crate::analyse::study::{Study, reach, unclamped, without_gradients};
use crate::diag::{Code, Diagnostic};
use crate::ir::{NodeId, Role};
use crate::lower::{Module, Owner};
use crate::ops::Op;
use crate::passes::gradients;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn run(module: &Module, studies: &[Study]) -> Vec<Diagnostic> {
    let weighs = studies.iter().flat_map(|study| &study.weights).filter(|weight| !weight.weighs.is_empty());
    let weighing: BTreeSet<_> = weighs.map(|weight| weight.node).collect();
    let is_weight = |param: &crate::lower::ParamInfo| param.owner == Owner::Combiner || weighing.contains(&param.node);
    let mut findings = Vec::new();
    for (path, param) in module.params.iter().filter(|(_, param)| is_weight(param)) {
        let Some(next) = module.graph.output(Role::Param, path) else { continue };
        let step = unclamped(&module.graph, next);
        let mut graph = without_gradients(&module.graph);
        let slope = gradients(&mut graph, step, &[param.node])[0];
        let kept = intervals(&graph, &BTreeMap::new())[slope.index()].high;
        let depends = reach(&graph, next, &[], true);
        let is_other = |id: &NodeId| {
            matches!(module.graph.op(*id), Op::Gradient(_)) && module.graph.operands(*id)[1] != param.node
        };
        let others = module.graph.ids().filter(|id| depends[id.index()] && is_other(id)).count();
        let (headline, why) = if kept < 1.0 {
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
    findings
}
