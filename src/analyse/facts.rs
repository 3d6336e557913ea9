//! What several lints ask of a module's graph, worked out once.

use super::interval::{Interval, Intervals};
use super::opened::OpenLoop;
use super::study::unclamped;
use crate::diag::Span;
use crate::ir::{Graph, NodeId, Role, element_count};
use crate::lower::{Constraint, Module, ParamInfo};
use crate::ops::{InputKind, Op};
use std::collections::BTreeMap;
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
    /// with a step of each loop behind it
    pub graph: &'g Graph,
    pub loops: &'g [OpenLoop],
    /// bounds of params and states
    pub known: BTreeMap<NodeId, Interval>,
    pub intervals: Intervals<'g>,
    /// a step of each optimizer for each rank of params, of the smallest: what it does to one param it does to all
    pub steps: Vec<Step>,
    /// what is needed but for the steps of further params
    pub is_asked: Vec<bool>,
    /// the value depends on a param
    pub by_param: Vec<bool>,
}

impl<'g> Facts<'g> {
    /// Of a module, the bounds of its params and states, and its graph without gradients, whose loops are laid open.
    pub fn of(module: &Module, known: BTreeMap<NodeId, Interval>, graph: &'g Graph, loops: &'g [OpenLoop]) -> Self {
        let steps = steps(module, graph);
        let mut by_gradient = vec![false; graph.len()];
        for id in graph.ids() {
            let is_gradient = id.index() < module.graph.len() && matches!(module.graph.op(id), Op::Gradient(_));
            by_gradient[id.index()] = is_gradient || graph.operands(id).iter().any(|id| by_gradient[id.index()]);
        }
        let needed = graph.outputs.iter().filter(|output| match output.role {
            Role::Metric | Role::Param => false,
            _ => !by_gradient[output.node.index()],
        });
        let roots = needed.map(|output| output.node).chain(steps.iter().map(|step| step.node));
        let mut is_asked = graph.slice_back(roots);
        for one in loops {
            if one.results.iter().any(|result| is_asked[result.index()]) {
                let inside = graph.slice_back(one.ends.iter().copied());
                is_asked.iter_mut().zip(inside).for_each(|(asked, inside)| *asked |= inside);
            }
        }
        let mut by_param = vec![false; graph.len()];
        for id in graph.ids() {
            let is_param = matches!(graph.op(id), Op::Input(input) if input.kind == InputKind::Param);
            by_param[id.index()] = is_param || graph.operands(id).iter().any(|operand| by_param[operand.index()]);
        }
        Self { graph, loops, known, intervals: Intervals::of_asked(graph, &is_asked), steps, is_asked, by_param }
    }

    /// The bounds of what is asked about.
    pub fn bounds(&self) -> Vec<Interval> {
        self.intervals.among(&self.known, &self.is_asked)
    }
}

/// For each optimizer and each rank of params the step of the smallest, in the order of paths.
fn steps(module: &Module, graph: &Graph) -> Vec<Step> {
    let mut least: BTreeMap<_, (usize, Step)> = BTreeMap::new();
    let ends = graph.outputs_by_name();
    for (path, param) in &module.params {
        let Some(next) = ends.get(Role::Param, path) else { continue };
        let node = unclamped(graph, next);
        let span = graph.node(node).provenance.span;
        let is_free = param.constraint != Some(Constraint::Projection);
        let size = element_count(&param.ty.shape).and_then(|count| count.as_known()).filter(|_| is_free);
        let size = size.unwrap_or(usize::MAX);
        let step = Step { path: path.clone(), param: param.clone(), node, span };
        let entry = least.entry((span.source, span.start, span.end, param.ty.rank())).or_insert((size, step.clone()));
        if size < entry.0 {
            *entry = (size, step);
        }
    }
    let mut steps: Vec<Step> = least.into_values().map(|(_, step)| step).collect();
    steps.sort_by(|one, other| one.path.cmp(&other.path));
    steps
}
