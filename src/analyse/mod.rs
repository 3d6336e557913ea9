//! Questions about graphs: which loss trains which param, whether contracts hold. Reads graphs, returns findings.

mod contracts;
mod curvature;
mod domains;
mod drawing;
mod expression;
mod facts;
mod flow;
mod free;
pub mod interval;
mod layers;
mod leaks;
mod linear;
mod lints;
mod live;
mod observed;
mod opened;
mod points;
pub mod ranges;
mod rest;
mod sign;
mod statistics;
mod stepping;
mod study;
mod summary;
mod threshold;
mod verdicts;

pub use contracts::{contracts, idle_training};
pub use curvature::{WatchedWeight, WeightStep, WeightSteps, overshooting, weight_steps};
pub use drawing::{model_html, model_svg};
pub use flow::{Cell, Coefficient, FlowRow, FlowTable, flow};
pub use layers::{LayerBox, LayerGraph, layers};
pub use leaks::target_leaks;
pub use lints::{LINTS, Lint, Policy, lint, lints};
pub use observed::observed;
pub use statistics::{RunningValue, running_values, single_row, unsettled};
pub use summary::{LossSummary, Summary, SummaryRow, summary};
pub use verdicts::{Answer, Verdicts, verdicts};

use crate::diag::Span;
use crate::ir::{Graph, NodeId};
use crate::ops::Flow;

/// The places along a path of nodes, in order, without repetitions, with the names of the values there.
fn steps(graph: &Graph, path: &[NodeId]) -> Vec<(Span, String)> {
    let mut steps: Vec<(Span, String)> = Vec::new();
    for id in path {
        let provenance = &graph.node(*id).provenance;
        if steps.last().is_none_or(|(span, name)| *span != provenance.span || *name != *provenance.name) {
            steps.push((provenance.span, provenance.name.to_string()));
        }
    }
    steps
}

/// Whether a node is a `stop`, or a loop with one in its step, for an operand that `below` holds for.
fn stops(graph: &Graph, id: NodeId, below: impl Fn(NodeId) -> bool) -> bool {
    let mut operands = graph.operands(id).into_iter().enumerate();
    operands.any(|(slot, operand)| graph.op(id).flow(slot) == Flow::Stopped && below(operand))
}

/// `alpha ← alpha_loss ← total` as text: the names of the values on a path.
fn path_text(graph: &Graph, path: &[NodeId], arrow: &str) -> String {
    let mut names: Vec<String> = Vec::new();
    for id in path {
        let name = graph.node(*id).provenance.name.to_string();
        if names.last() != Some(&name) {
            names.push(name);
        }
    }
    names.join(arrow)
}
