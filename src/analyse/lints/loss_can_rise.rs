//! A loss whose coefficient in the objective's gradient is not provably at least 0: training may raise it.

use crate::analyse::study::Study;
use crate::diag::{Code, Diagnostic};
use crate::lower::Module;

/// What rounding in the bounds may amount to.
const ROUNDING: f64 = 1e-12;

pub(super) fn run(_module: &Module, studies: &[Study]) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for study in studies {
        let can_rise: Vec<_> =
            study.branches.iter().filter(|branch| study.at_any_size(branch.coefficient).low < -ROUNDING).collect();
        let Some(first) = can_rise.first() else { continue };
        let bounds = study.at_any_size(first.coefficient);
        let range = if bounds.high <= 0.0 { "is never positive" } else { "can have either sign" };
        let names: Vec<String> = can_rise.iter().map(|branch| format!("`{}`", branch.name)).collect();
        findings.push(
            Diagnostic::warning(Code::L0002, format!("minimizing `{}` may raise {}", study.name, names.join(" and ")))
                .at(study.span, format!("its derivative by `{}` {range}", first.name))
                .with_label(first.span, "this loss")
                .with_help("weigh losses by factors that are at least 0: a `param … in [0, 1]`, `softmax`, a constant or a schedule; stop losses inside the term that only trains the weights"),
        );
    }
    findings
}
