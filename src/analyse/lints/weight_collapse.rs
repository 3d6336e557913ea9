//! A trained weight that only multiplies losses: descent lowers the objective by weighing down the largest loss.
//!
//! Let c = ∂objective/∂loss. A param w collapses when it enters some c with its gradient open, those c do not depend on the
//! losses, and ∂objective/∂w vanishes where the losses do: nothing holds against the losses' pull. Where losses have no
//! names to take derivatives by, a param held in an interval collapses when ∂objective/∂w does not depend on w.

use crate::analyse::study::{Study, Weight, reach};
use crate::diag::{Code, Diagnostic};
use crate::lower::Module;

pub(super) fn run(_module: &Module, studies: &[Study]) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for (i, study) in studies.iter().enumerate() {
        for weight in study.weights.iter().filter(|weight| collapses(study, weight)) {
            // Another objective may hold the weight up.
            let held = |other: &Study| other.weights.iter().any(|w| w.node == weight.node && !collapses(other, w));
            if studies.iter().enumerate().any(|(j, other)| j != i && held(other)) {
                continue;
            }
            let names: Vec<String> = weight.weighs.iter().map(|i| format!("`{}`", study.branches[*i].name)).collect();
            let pull = if names.is_empty() { "the losses".to_string() } else { names.join(", ") };
            findings.push(
                Diagnostic::warning(Code::L0001, format!("training `{}` switches a loss off", weight.path))
                    .at(weight.span, format!("nothing but {pull} pulls at this weight"))
                    .with_label(study.span, "minimized here")
                    .with_note(format!(
                        "`{}` enters the objective as a plain factor of losses, so descent moves it to where the larger loss counts least and leaves it there",
                        weight.path
                    ))
                    .with_help("stop the weight in the weighted sum and train it by a loss of its own, as `balanced` does, or give it a counterweight, as `uncertainty` does"),
            );
        }
    }
    findings
}

fn collapses(study: &Study, weight: &Weight) -> bool {
    if study.branches.is_empty() {
        let depends = reach(&study.graph, weight.derivative, &[], true);
        return weight.is_bounded && !depends[weight.node.index()] && !study.usual[weight.derivative.index()].is_zero();
    }
    let is_plain_factor = |branch: &usize| {
        let depends = reach(&study.graph, study.branches[*branch].coefficient, &[], true);
        !study.branches.iter().any(|other| depends[other.node.index()])
    };
    !weight.weighs.is_empty()
        && weight.weighs.iter().all(is_plain_factor)
        && study.at_zero[weight.derivative.index()].is_zero()
        && !study.usual[weight.derivative.index()].is_zero()
}
