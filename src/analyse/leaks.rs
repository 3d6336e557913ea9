//! An output must be computable when no target is known.

use super::{path_text, steps};
use crate::diag::{Code, Diagnostic};
use crate::ir::Role;
use crate::lower::Module;
use crate::passes::Split;

/// An error for each output that depends on a target, with the way by which the target reaches it.
pub fn target_leaks(module: &Module, split: &Split) -> Vec<Diagnostic> {
    let graph = &module.graph;
    split
        .target_paths
        .iter()
        .map(|path| {
            let (output, target) = (path[0], path[path.len() - 1]);
            let target_name = graph.node(target).provenance.name.clone();
            let written = graph.outputs.iter().find(|other| other.role == Role::Output && other.node == output);
            let output_name = written.map_or_else(|| graph.node(output).provenance.name.clone(), |o| o.name.clone());
            let places = steps(graph, path);
            let mut finding =
                Diagnostic::error(Code::E0501, format!("output `{output_name}` depends on the target `{target_name}`"));
            // The use of the target itself is where the mistake stands.
            let using = places.iter().rev().nth(1).or(places.first());
            if let Some((span, _)) = using {
                finding = finding.at(*span, format!("`{target_name}` enters here"));
            }
            if let Some(info) = module.targets.get(&target_name) {
                finding = finding.with_label(info.span, "known at training only");
            }
            finding.with_note(format!("path: {}", path_text(graph, path, " ← "))).with_help(
                "compute the output from inputs alone; a value that needs the target belongs to a `loss` or `metric`",
            )
        })
        .collect()
}
