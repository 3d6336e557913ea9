//! How steeply a weight of losses is pulled, and whether its own update then overshoots.
//!
//! Near where it is, a weight w moves from step to step as its update's derivative says: w' - w* ≈ m (w - w*) with
//! m = ∂ next / ∂ w = 1 - lr ∂² objective / ∂w² for plain descent. Below -1 each step overshoots by more than the last,
//! and w jumps from bound to bound. The derivative depends on the losses, so it is given as a program: a run evaluates it
//! on its data.

use super::study::{studies, unclamped};
use crate::autodiff::gradient_path;
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Builder, Graph, NodeId, Provenance, Role};
use crate::lower::Module;
use crate::ops::{InputKind, Op};
use crate::passes::{differentiate, gradients, prune, resolve_training, simplify};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The program that watches the updates of scalar loss weights.
#[derive(Clone, Debug)]
pub struct WeightSteps {
    /// For each weight the metrics `PATH.curvature`, `PATH.step` and `PATH.multiplier`, in the order of `weights`:
    /// ∂² objective / ∂w², -∂ next / ∂ gradient (the learning rate of plain descent) and ∂ next / ∂w.
    pub graph: Graph,
    pub weights: Vec<WatchedWeight>,
}

/// A weight whose updates are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedWeight {
    pub path: Arc<str>,
    pub span: Span,
    /// The place of the objective that trains it.
    pub objective: Span,
}

/// What [`WeightSteps::graph`] says of one weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WeightStep {
    pub curvature: f64,
    pub step: f64,
    pub multiplier: f64,
}

impl WeightStep {
    /// The metrics of one weight, in their order.
    pub fn of(values: &[f64]) -> Option<Self> {
        let [curvature, step, multiplier] = *values else { return None };
        Some(Self { curvature, step, multiplier })
    }

    /// Whether each update overshoots by more than the last.
    pub fn overshoots(&self) -> bool {
        self.multiplier < -1.0 && self.curvature > 0.0
    }

    /// The learning rate of plain descent up to which updates come to rest.
    pub fn largest_safe_step(&self) -> f64 {
        2.0 / self.curvature
    }
}

/// The program of the weights whose slope depends on themselves; `None` without any.
pub fn weight_steps(module: &Module) -> Option<WeightSteps> {
    let mut weights: BTreeMap<Arc<str>, WatchedWeight> = BTreeMap::new();
    for study in studies(module) {
        let scalar = study.weights.iter().filter(|weight| study.graph.ty(weight.node).is_scalar());
        let moving = scalar.filter(|weight| gradient_path(&study.graph, weight.derivative, weight.node).is_some());
        weights.extend(moving.map(|weight| {
            let watched = WatchedWeight { path: weight.path.clone(), span: weight.span, objective: study.span };
            (weight.path.clone(), watched)
        }));
    }
    if weights.is_empty() {
        return None;
    }
    let mut graph = differentiate(&resolve_training(&module.graph));
    let mut found: Vec<(WatchedWeight, [NodeId; 3])> = Vec::new();
    for (path, watched) in weights {
        let (Some(weight), Some(gradient), Some(next)) =
            (param(&graph, &path), graph.output(Role::Gradient, &path), graph.output(Role::Param, &path))
        else {
            continue;
        };
        let next = unclamped(&graph, next);
        let curvature = gradients(&mut graph, gradient, &[weight])[0];
        let step = gradients(&mut graph, next, &[gradient])[0];
        let step = Builder::new(&mut graph, Provenance { name: path.clone(), span: watched.span }).neg(step);
        let multiplier = gradients(&mut graph, next, &[weight])[0];
        found.push((watched, [curvature, step, multiplier]));
    }
    graph.outputs.clear();
    let mut weights = Vec::new();
    for (watched, nodes) in found {
        for (name, node) in ["curvature", "step", "multiplier"].into_iter().zip(nodes) {
            graph.add_output(Role::Metric, format!("{}.{name}", watched.path), node);
        }
        weights.push(watched);
    }
    Some(WeightSteps { graph: simplify(&prune(&graph, |_| true)), weights })
}

fn param(graph: &Graph, path: &str) -> Option<NodeId> {
    graph.ids().find(
        |id| matches!(graph.op(*id), Op::Input(input) if input.kind == InputKind::Param && *graph.node(*id).provenance.name == *path),
    )
}

/// What a run says of a weight that overshoots; `place` is where in the run.
pub fn overshooting(weight: &WatchedWeight, found: &WeightStep, place: &str) -> Diagnostic {
    let path = &weight.path;
    Diagnostic::warning(Code::L0012, format!("`{path}` overshoots: each of its updates is larger than the last"))
        .at(weight.span, "this weight of losses jumps to and fro")
        .with_label(weight.objective, "by the slope of this objective")
        .with_note(format!(
            "found: {place}, a learning rate of {:.3e} and a second derivative of {:.3e}",
            found.step, found.curvature
        ))
        .with_note(format!("expected: a learning rate below 2 / {:.3e}", found.curvature))
        .with_help(format!(
            "take `lr={:.1e}` or less for it: `optimizer sgd(lr=…) for {path}`; or divide its loss by the losses' scale",
            found.largest_safe_step() / 2.0
        ))
}
