//! An objective that falls without end once a loss reaches 0: its trained weights run away, or a logarithm does.

use crate::analyse::interval::{Interval, intervals};
use crate::analyse::points::{Domain, Question, elements};
use crate::analyse::study::Study;
use crate::diag::{Code, Diagnostic, Severity};
use crate::ir::NodeId;
use crate::lower::Module;

pub(super) fn run(_module: &Module, studies: &[Study]) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for study in studies.iter().filter(|study| !study.branches.is_empty()) {
        let is_bounded = |bounds: &[Interval]| bounds[study.node.index()].low.is_finite();
        if is_bounded(&study.at_zero) {
            continue;
        }
        let weight = study.weights.iter().find(|weight| !weight.weighs.is_empty());
        // Without weights, only what is unbounded because a loss is 0 counts: at 1 it is not.
        let at_one = study.branches.iter().map(|branch| (branch.node, Interval::point(1.0)));
        if weight.is_none() && !is_bounded(&intervals(&study.graph, &at_one.collect())) {
            continue;
        }
        if holds(study) {
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

/// How far weights are moved away from where they are, and below what an objective then has no bound.
const FAR: f64 = 1e150;
const BOTTOM: f64 = -100.0;

/// Points that are tried.
const POINTS: usize = 60;

/// Whether the objective stays above some number at all points that are tried: losses at 0, weights as far as they go. Bounds
/// do not see that `p ln p` has an end.
fn holds(study: &Study) -> bool {
    let mut domains = study.domains.clone();
    domains.extend(study.branches.iter().map(|branch| (branch.node, Domain::Number(Interval::ZERO))));
    let question = Question { graph: &study.graph, domains: &domains, bounds: &study.at_zero };
    let weights: Vec<NodeId> = study.weights.iter().map(|weight| weight.node).collect();
    let live: Vec<NodeId> = weights.iter().copied().chain(study.branches.iter().map(|branch| branch.node)).collect();
    let Some(formula) = question.formula(&[study.node], &live) else { return false };
    (0..POINTS).all(|number| {
        let mut point = formula.point(number);
        for weight in &weights {
            let within = study.at_zero[weight.index()];
            let Some(leaf) = formula.leaf(*weight).filter(|_| number % 3 > 0) else { continue };
            for x in point.numbers(leaf) {
                *x = (*x * FAR.powf(f64::from(number as u32 % 3) / 2.0)).clamp(within.low, within.high);
            }
        }
        elements(&formula.at(&point)[0]).into_iter().all(|value| value > BOTTOM)
    })
}
