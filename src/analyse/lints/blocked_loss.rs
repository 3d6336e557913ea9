//! A loss that trains nothing: no objective passes a gradient to it, or it passes none on.

use crate::analyse::live::Live;
use crate::analyse::stops;
use crate::analyse::study::{Study, reach};
use crate::autodiff::barrier_span;
use crate::diag::{Code, Diagnostic};
use crate::ir::{NodeId, Role};
use crate::lower::Module;

pub(super) fn run<'a>(module: &Module, studies: &[Study], live: impl Fn() -> &'a Live) -> Vec<Diagnostic> {
    if studies.is_empty() {
        return Vec::new();
    }
    let graph = &module.graph;
    let objectives = || module.objectives.iter().map(|objective| objective.node);
    let open: Vec<Vec<bool>> = objectives().map(|node| reach(graph, node, &[], false)).collect();
    let any: Vec<Vec<bool>> = objectives().map(|node| reach(graph, node, &[], true)).collect();
    let differentiated = differentiated(module);
    let live = live();
    let mut findings = Vec::new();
    for (name, (node, span)) in &module.losses {
        let below = reach(graph, *node, &[], false);
        let trains = module.params.values().any(|param| below[param.node.index()]);
        let is_reached = open.iter().any(|open| open[node.index()]);
        // `at(loss, …)` is a copy of it.
        let is_copy = |id: NodeId| {
            let (one, other) = (graph.node(id), graph.node(*node));
            one.op == other.op && one.provenance == other.provenance && live.reaches(id)
        };
        let is_live = || live.reaches(*node) || graph.ids().any(is_copy);
        if trains && (is_live() || differentiated.iter().any(|below| below[node.index()])) {
            continue;
        }
        let (why, help) = if !trains {
            (
                "no gradient passes from it to any param",
                "check for a `stop`, a comparison or a rounding on every path to the params",
            )
        } else if is_reached {
            (
                "in every objective its derivative is always 0",
                "it is multiplied by 0 or cancels: give it a weight above 0, or make it a `metric`",
            )
        } else if any.iter().any(|any| any[node.index()]) {
            (
                "every path from the objectives to it is stopped",
                "leave the `stop` off where the loss is to train the model",
            )
        } else {
            ("no objective contains it", "add it to what is minimized, or make it a `metric`")
        };
        let mut finding = Diagnostic::warning(Code::L0004, format!("loss `{name}` trains nothing")).at(*span, why);
        let is_stop = |id: &crate::ir::NodeId| below[id.index()] && stops(graph, *id, |_| true);
        if !trains && let Some(stop) = graph.ids().find(is_stop) {
            finding = finding.with_label(barrier_span(graph, stop), "this `stop` closes a path");
        }
        findings.push(finding.with_help(help));
    }
    findings
}

/// For each derivative that objectives or updates are made of, what it is the derivative of depends on: losses whose gradients a
/// spec puts together itself.
fn differentiated(module: &Module) -> Vec<Vec<bool>> {
    let graph = &module.graph;
    let moves = |role: Role| matches!(role, Role::Objective | Role::Param | Role::State);
    let used = graph.slice_back(graph.outputs.iter().filter(|output| moves(output.role)).map(|output| output.node));
    let derivatives = module.derivatives.iter();
    let derivatives = derivatives.filter(|derivative| derivative.nodes.iter().any(|node| used[node.index()]));
    let directed = module.directions.iter().filter(|info| used[info.reported.index()]);
    let losses =
        derivatives.map(|derivative| derivative.of).chain(directed.flat_map(|info| info.losses.iter().copied()));
    losses.map(|loss| reach(graph, loss, &[], false)).collect()
}
