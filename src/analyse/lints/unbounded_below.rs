//! An objective that falls without end once a loss reaches 0: its trained weights run away, or a logarithm does.

use crate::analyse::interval::intervals;
use crate::analyse::study::Study;
use crate::diag::{Code, Diagnostic, Severity};
use crate::lower::Module;

pub(super) fn run(_module: &Module, studies: &[Study]) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for study in studies.iter().filter(|study| !study.branches.is_empty()) {
        let is_bounded = |bounds: &[crate::analyse::interval::Interval]| bounds[study.node.index()].low.is_finite();
        if is_bounded(&study.at_zero) {
            continue;
        }
        let weight = study.weights.iter().find(|weight| !weight.weighs.is_empty());
        // Without weights, only what is unbounded because a loss is 0 counts: at 1 it is not.
        let at_one = study.branches.iter().map(|branch| (branch.node, super::super::interval::Interval::point(1.0)));
        if weight.is_none() && !is_bounded(&intervals(&study.graph, &at_one.collect())) {
            continue;
        }
        let mut finding = Diagnostic::new(
            Code::L0008,
            Severity::Note,
            format!("`{}` has no lower bound where a loss reaches 0", study.name),
        )
        .at(study.span, "minimized here");
        finding = match weight {
            Some(weight) => finding
                .with_label(weight.span, "follows the loss without end")
                .with_help("hold the weight in an interval, `param … in [-20, 20]`, or use `revised_uncertainty`, which is never negative"),
            None => finding.with_help("add a small number to the loss before its logarithm, as `log_sum` does"),
        };
        findings.push(finding);
    }
    findings
}
