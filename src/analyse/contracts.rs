//! `assert … trains …`, checked by reachability along differentiable paths.

use super::study::{at_prediction, studies};
use super::{path_text, steps, stops};
use crate::autodiff::{barrier_span, gradient_path};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Graph, NodeId, Role};
use crate::lower::{Contract, Module, Owner, ParamInfo};
use crate::ops::Op;
use crate::syntax::ast::{PredictMode, TrainsMode};
use std::sync::Arc;

/// An error for each contract that does not hold.
pub fn contracts(module: &Module) -> Vec<Diagnostic> {
    let mut findings: Vec<Diagnostic> = Vec::new();
    for contract in &module.contracts {
        findings.extend(check(module, contract));
    }
    findings.extend(module.predict_contracts.iter().filter_map(|(mode, span)| predict_contract(module, *mode, *span)));
    if let Some(span) = module.every_param_trained {
        let untrained: Vec<_> = module.params.iter().filter(|(path, _)| !is_trained(&module.graph, path)).collect();
        if let Some((path, param)) = untrained.first() {
            let others: Vec<String> = untrained[1..].iter().map(|(path, _)| format!("`{path}`")).collect();
            let mut finding = Diagnostic::error(Code::E0503, format!("the param `{path}` is not trained"))
                .at(span, "asserted here")
                .with_label(param.span, "no objective reaches this param");
            if let Some(stop) = stop_before(&module.graph, param.node) {
                finding = finding.with_label(barrier_span(&module.graph, stop), "this `stop` closes the path");
            }
            if !others.is_empty() {
                finding = finding.with_note(format!("the same holds for {}", others.join(", ")));
            }
            findings.push(finding.with_help("check the `over` patterns, and for a `stop` on every path to it"));
        }
    }
    findings
}

/// An error where the prediction program draws a random number, or reads a param that weighs losses, and is not to.
fn predict_contract(module: &Module, mode: PredictMode, span: Span) -> Option<Diagnostic> {
    let graph = &module.graph;
    let outputs = graph.outputs.iter().filter(|output| output.role == Role::Output);
    let (output, below) = outputs
        .map(|output| (output, at_prediction(graph, output.node, &[])))
        .find(|(_, below)| breaking(module, mode, below).is_some())?;
    let (place, what) = breaking(module, mode, &below)?;
    let (headline, help) = match mode {
        PredictMode::DrawsNothing => (
            format!("prediction draws random numbers: `{}` depends on {what}", output.name),
            "noise that is for training alone is taken `by_mode`, as in `dropout`",
        ),
        PredictMode::ReadsNoLossWeight => (
            format!("prediction reads a weight of losses: `{}` depends on {what}", output.name),
            "a param of its own for what is predicted leaves the weights of losses to training",
        ),
    };
    Some(Diagnostic::error(Code::E0506, headline).at(span, "asserted here").with_label(place, what).with_help(help))
}

/// Where, and by what, a contract on prediction is broken among marked nodes.
fn breaking(module: &Module, mode: PredictMode, below: &[bool]) -> Option<(Span, String)> {
    let graph = &module.graph;
    match mode {
        PredictMode::DrawsNothing => {
            let is_draw = |id: &NodeId| match graph.op(*id) {
                Op::Random(_) => true,
                Op::Scan(scan) => scan.body.graph().ids().any(|id| matches!(scan.body.graph().op(id), Op::Random(_))),
                _ => false,
            };
            let draw = graph.ids().filter(|id| below[id.index()]).find(is_draw)?;
            Some((graph.node(draw).provenance.span, "this draw".to_string()))
        }
        PredictMode::ReadsNoLossWeight => {
            let weighing: Vec<NodeId> = studies(module)
                .iter()
                .flat_map(|study| &study.weights)
                .filter(|weight| !weight.weighs.is_empty())
                .map(|weight| weight.node)
                .collect();
            let is_weight = |param: &ParamInfo| param.owner == Owner::Combiner || weighing.contains(&param.node);
            let (path, param) =
                module.params.iter().find(|(_, param)| below[param.node.index()] && is_weight(param))?;
            Some((param.span, format!("`{path}`")))
        }
    }
}

/// An error for a `train` block whose objectives reach no param.
pub fn idle_training(module: &Module) -> Option<Diagnostic> {
    let span = module.idle_training?;
    Some(
        Diagnostic::error(Code::E0406, "no objective reaches any param")
            .at(span, "nothing to train")
            .with_help("minimize a loss that depends on a `param` by a path that no `stop` closes"),
    )
}

/// A `stop` that lies between the objectives and a param.
fn stop_before(graph: &Graph, param: NodeId) -> Option<NodeId> {
    let objectives = graph.outputs.iter().filter(|output| output.role == crate::ir::Role::Objective);
    let needed = graph.slice_back(objectives.map(|output| output.node));
    graph.ids().find(|id| needed[id.index()] && stops(graph, *id, |below| graph.slice_back([below])[param.index()]))
}

fn is_trained(graph: &Graph, path: &str) -> bool {
    graph.output(crate::ir::Role::Param, path).is_some()
}

fn check(module: &Module, contract: &Contract) -> Vec<Diagnostic> {
    let named = |path: &str| contract.params.iter().any(|pattern| pattern.matches(path));
    let mut findings = Vec::new();
    for pattern in &contract.params {
        if !module.params.keys().any(|path| pattern.matches(path)) {
            let known: Vec<&str> = module.params.keys().map(|path| &**path).collect();
            findings.push(
                Diagnostic::error(Code::E0201, format!("`{}` names no param", pattern.text))
                    .at(pattern.span, "matches nothing")
                    .with_suggestion(&pattern.text, known.iter().copied()),
            );
        }
    }
    if !findings.is_empty() {
        return findings;
    }
    for (path, param) in &module.params {
        let route = gradient_path(&module.graph, contract.subject, param.node);
        match (contract.mode, named(path), route) {
            (TrainsMode::Only, false, Some(route)) => findings.push(leak(module, contract, path, param, &route)),
            (TrainsMode::Never, true, Some(route)) => findings.push(leak(module, contract, path, param, &route)),
            (TrainsMode::Only | TrainsMode::Trains, true, None) => {
                findings.push(missing(module, contract, path, param));
            }
            _ => {}
        }
    }
    // One contract that leaks to a whole trunk is one mistake: the first param and the number of the others say it.
    if findings.len() > 1 {
        let others = findings.len() - 1;
        findings.truncate(1);
        if let Some(first) = findings.first_mut() {
            first.notes.push(match others {
                1 => "1 more param breaks this contract".to_string(),
                others => format!("{others} more params break this contract"),
            });
        }
    }
    findings
}

/// The gradient reaches a param that it must not.
fn leak(module: &Module, contract: &Contract, path: &Arc<str>, param: &ParamInfo, route: &[NodeId]) -> Diagnostic {
    let graph = &module.graph;
    let rule = match contract.mode {
        TrainsMode::Never => "never trains",
        _ => "trains only",
    };
    let names: Vec<&str> = contract.params.iter().map(|pattern| &*pattern.text).collect();
    let mut finding = Diagnostic::error(
        Code::E0502,
        format!("`{}` trains `{path}`, against `{rule} {}`", contract.subject_text, names.join(", ")),
    )
    .at(contract.span, "this contract is broken")
    .with_note(format!("the gradient flows: {}", path_text(graph, route, " → ")));
    if let Some((span, name)) = closing_place(module, route) {
        finding = finding
            .with_label(span, "the gradient leaks here")
            .with_help(format!("wrap what brings `{name}` here in `stop(…)`: that closes the path"));
    }
    finding.with_label(param.span, "and reaches this param")
}

/// Where a `stop` closes the path with the least said: the first value of the route that another scope owns.
fn closing_place(module: &Module, route: &[NodeId]) -> Option<(crate::diag::Span, String)> {
    let graph = &module.graph;
    let own = scope(&graph.node(route[0]).provenance.name);
    let mut last = route[0];
    for id in &route[1..] {
        let provenance = &graph.node(*id).provenance;
        let is_leaf = matches!(graph.op(*id), Op::Input(_));
        if is_leaf || scope(&provenance.name) != own {
            let name = provenance.name.rsplit('.').next().unwrap_or(&provenance.name).to_string();
            return Some((graph.node(last).provenance.span, name));
        }
        last = *id;
    }
    steps(graph, route).first().map(|(span, name)| (*span, name.clone()))
}

/// `total.alpha_loss` belongs to the scope `total`.
fn scope(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(scope, _)| scope)
}

/// The gradient does not reach a param that it must.
fn missing(module: &Module, contract: &Contract, path: &Arc<str>, param: &ParamInfo) -> Diagnostic {
    let graph = &module.graph;
    let mut finding = Diagnostic::error(Code::E0502, format!("`{}` does not train `{path}`", contract.subject_text))
        .at(contract.span, "this contract is broken")
        .with_label(param.span, "no gradient reaches this param");
    let needed = graph.needed_by([contract.subject]);
    let is_below = |below: NodeId| graph.slice_back([below])[param.node.index()];
    let stop = graph.ids().find(|id| needed[id.index()] && stops(graph, *id, is_below));
    if let Some(stop) = stop {
        finding = finding.with_label(barrier_span(graph, stop), "this `stop` closes the path");
    } else if !needed[param.node.index()] {
        finding = finding.with_note(format!("`{}` does not depend on `{path}` at all", contract.subject_text));
    }
    finding
}
