//! How steeply a weight of losses is pulled: the second derivative of the objective by each trained scalar weight.
//!
//! Plain descent on a weight w with step lr is stable while `lr * ∂²objective/∂w² < 2`; beyond that w jumps from bound to
//! bound. The derivative depends on the losses, so it is given as a program: a run evaluates it on a batch and says what
//! the largest safe step is.

use super::study::studies;
use crate::ir::{Graph, Role};
use crate::lower::Module;
use crate::passes::{gradient_path, gradients, prune};

/// A program with the metric `PATH` = ∂²objective/∂w² for each scalar weight whose slope depends on itself; `None` without
/// any.
pub fn weight_curvatures(module: &Module) -> Option<Graph> {
    // One objective's weights at a time: the first objective that has some.
    studies(module).into_iter().find_map(|study| {
        let mut graph = study.graph;
        let mut found = Vec::new();
        for weight in &study.weights {
            if graph.ty(weight.node).is_scalar() && gradient_path(&graph, weight.derivative, weight.node).is_some() {
                let second = gradients(&mut graph, weight.derivative, &[weight.node])[0];
                found.push((weight.path.clone(), second));
            }
        }
        if found.is_empty() {
            return None;
        }
        graph.outputs.clear();
        for (path, node) in found {
            graph.add_output(Role::Metric, path, node);
        }
        Some(prune(&graph, |_| true))
    })
}
