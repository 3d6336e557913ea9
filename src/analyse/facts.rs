//! What several lints ask of a module's graph, worked out once.

use super::interval::{Interval, Intervals};
use super::study::{leaf_bounds, unclamped};
use crate::diag::Span;
use crate::ir::{Graph, NodeId, Role};
use crate::lower::{Module, ParamInfo};
use crate::ops::{InputKind, Op};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A param's step by its optimizer.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub path: Arc<str>,
    pub param: ParamInfo,
    /// the next value before it is put back into an interval
    pub node: NodeId,
    pub span: Span,
}

/// A module's graph without gradients, and what is known of it.
pub(super) struct Facts<'g> {
    pub graph: &'g Graph,
    /// bounds of params and states
    pub known: BTreeMap<NodeId, Interval>,
    pub intervals: Intervals<'g>,
    /// the first step of each optimizer: what it does to one param it does to all
    pub steps: Vec<Step>,
    /// what is needed but for the steps of further params
    pub is_asked: Vec<bool>,
    /// the value depends on a param
    pub by_param: Vec<bool>,
}

impl<'g> Facts<'g> {
    /// Of a module and its graph without gradients.
    pub fn of(module: &Module, graph: &'g Graph) -> Self {
        let mut seen = BTreeSet::new();
        let mut steps = Vec::new();
        for (path, param) in &module.params {
            let Some(next) = graph.output(Role::Param, path) else { continue };
            let node = unclamped(graph, next);
            let span = graph.node(node).provenance.span;
            if seen.insert((span.source, span.start, span.end)) {
                steps.push(Step { path: path.clone(), param: param.clone(), node, span });
            }
        }
        let mut by_gradient = vec![false; graph.len()];
        for id in graph.ids() {
            let is_gradient = matches!(module.graph.op(id), Op::Gradient(_));
            by_gradient[id.index()] = is_gradient || graph.operands(id).iter().any(|id| by_gradient[id.index()]);
        }
        let needed = graph.outputs.iter().filter(|output| match output.role {
            Role::Metric | Role::Param => false,
            _ => !by_gradient[output.node.index()],
        });
        let roots = needed.map(|output| output.node).chain(steps.iter().map(|step| step.node));
        let is_asked = graph.slice_back(roots);
        let mut by_param = vec![false; graph.len()];
        for id in graph.ids() {
            let is_param = matches!(graph.op(id), Op::Input(input) if input.kind == InputKind::Param);
            by_param[id.index()] = is_param || graph.operands(id).iter().any(|operand| by_param[operand.index()]);
        }
        Self { graph, known: leaf_bounds(module, graph), intervals: Intervals::new(graph), steps, is_asked, by_param }
    }

    /// The bounds of what is asked about.
    pub fn bounds(&self) -> Vec<Interval> {
        self.intervals.refined(&self.known, Some(&self.is_asked), |_, found, _| found)
    }
}
