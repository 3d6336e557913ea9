//! A param that keeps its first value: no objective reaches it.

use crate::analyse::live::Live;
use crate::analyse::study::Study;
use crate::analyse::study::reach;
use crate::diag::{Code, Diagnostic};
use crate::ir::Role;
use crate::lower::{Module, Owner};

pub(super) fn run<'a>(module: &Module, studies: &[Study], live: impl Fn() -> &'a Live) -> Vec<Diagnostic> {
    if studies.is_empty() {
        return Vec::new();
    }
    let objectives = module.objectives.iter().map(|objective| objective.node);
    let reached: Vec<Vec<bool>> = objectives.map(|node| reach(&module.graph, node, &[], false)).collect();
    let live = live();
    let ends = module.graph.outputs_by_name();
    let mut findings: Vec<Diagnostic> = Vec::new();
    for (path, param) in &module.params {
        let has_step = ends.get(Role::Param, path).is_some();
        if (has_step && live.reaches(param.node)) || module.frozen.contains(path) {
            continue;
        }
        let is_reached = reached.iter().any(|reached| reached[param.node.index()]);
        // Leaving a layer out of every `over` is a decision; leaving a weight of losses out is a slip.
        if !has_step && is_reached && param.owner != Owner::Combiner {
            continue;
        }
        let why = if has_step {
            "its gradient is always 0"
        } else if is_reached {
            "left out by every `over`"
        } else {
            "no gradient of an objective reaches it"
        };
        let same = |finding: &&mut Diagnostic| finding.primary.as_ref().is_some_and(|label| label.span == param.span);
        if let Some(finding) = findings.iter_mut().find(same) {
            finding.notes.push(format!("nor does `{path}`"));
            continue;
        }
        findings.push(
            Diagnostic::warning(Code::L0003, format!("`{path}` never changes"))
                .at(param.span, why)
                .with_help("if it is meant to be fixed, make it a `const` or `stop` it where it is used; else check for a `stop` on every path from the objective"),
        );
    }
    findings
}
