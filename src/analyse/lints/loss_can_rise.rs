//! A loss whose coefficient in the objective's gradient can be negative: training may raise it.
//!
//! Bounds prove that a coefficient is at least 0. Where they do not, it is evaluated at points; one where it is negative is
//! told. Where it cannot be evaluated, what is not proved is told too.

use crate::analyse::sign::{Sign, sign};
use crate::analyse::study::{Branch, Study};
use crate::analyse::threshold::threshold;
use crate::diag::{Code, Diagnostic};
use crate::lower::Module;

pub(super) fn run(_module: &Module, studies: &[Study]) -> Vec<Diagnostic> {
    let mut findings: Vec<Diagnostic> = Vec::new();
    for study in studies {
        let signs = study.branches.iter().filter(|branch| branch.trains).map(|branch| (branch, sign(study, branch)));
        let can_rise: Vec<(&Branch, Sign)> =
            signs.filter(|(_, sign)| matches!(sign, Sign::Negative { .. } | Sign::Unknown)).collect();
        let Some((first, sign)) = can_rise.first() else { continue };
        let bounds = study.at_any_size(first.coefficient);
        let range = if bounds.high <= 0.0 { "is never positive" } else { "can have either sign" };
        let names: Vec<String> = can_rise.iter().map(|(branch, _)| format!("`{}`", branch.name)).collect();
        let mut finding =
            Diagnostic::warning(Code::L0002, format!("minimizing `{}` may raise {}", study.name, names.join(" and ")))
                .at(study.span, format!("its derivative by `{}` {range}", first.name))
                .with_label(first.span, "this loss");
        if let Sign::Negative { .. } = sign {
            finding = finding.with_note(format!("found: the derivative is {sign}"));
        }
        if let Some(threshold) = threshold(study) {
            finding = finding.with_note(format!(
                "a loss is raised where {threshold}, for some losses, and at no other point that was tried"
            ));
        }
        let finding = finding.with_help("weigh losses by factors that are at least 0: a `param … in [0, 1]`, `softmax`, a constant or a schedule; stop losses inside the term that only trains the weights");
        // Params that several objectives train share what one of them alone also shows.
        if !findings.iter().any(|other| other.headline == finding.headline) {
            findings.push(finding);
        }
    }
    findings
}
