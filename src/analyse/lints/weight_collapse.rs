//! A trained weight that losses alone pull at: descent lowers the objective by weighing down the largest loss.
//!
//! A param collapses when it enters the coefficient of a loss with its gradient open and rests nowhere inside its domain,
//! whatever the losses are ([`rest`]). Where that cannot be asked: when those coefficients do not depend on the losses and the
//! pull vanishes where the losses do.

use crate::analyse::rest::{Rest, rest, rest_of_turned, rest_of_unnamed};
use crate::analyse::study::{Study, Weight, reach};
use crate::diag::{Code, Diagnostic, Span};
use crate::lower::{Module, Owner};
use std::sync::Arc;

/// Params of a file beyond which those that weigh no named loss are not asked about.
const MOST_UNNAMED: usize = 16;

pub(super) fn run(module: &Module, studies: &[Study]) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for study in studies {
        for weight in study.weights.iter().filter(|weight| collapses(study, weight)) {
            let mut names: Vec<String> =
                weight.weighs.iter().map(|at| format!("`{}`", study.branches[*at].name)).collect();
            names.dedup();
            findings.push(finding(study, &weight.path, weight.span, &names.join(", ")));
        }
        for (path, span) in unnamed(module, study) {
            findings.push(finding(study, &path, span, "the losses"));
        }
    }
    findings
}

fn finding(study: &Study, path: &str, span: Span, pull: &str) -> Diagnostic {
    Diagnostic::warning(Code::L0001, format!("training `{path}` switches a loss off"))
        .at(span, format!("nothing but {pull} pulls at this weight"))
        .with_label(study.span, "minimized here")
        .with_note(format!(
            "whatever the losses are, `{path}` rests nowhere inside its domain: descent moves it to where the larger loss counts least and leaves it there"
        ))
        .with_help("stop the weight in the weighted sum and train it by a loss of its own, as `balanced` does, or give it a counterweight, as `uncertainty` does")
}

fn collapses(study: &Study, weight: &Weight) -> bool {
    if weight.weighs.is_empty() || study.usual[weight.derivative.index()].is_zero() {
        return false;
    }
    match rest(study, weight) {
        // A loss that is never positive where one that is at least 0 is meant: `loss-may-be-negative` tells.
        Rest::Nowhere => {
            let is_negative = weight.weighs.iter().any(|at| study.branches[*at].own.high <= 0.0);
            !(is_negative && rest_of_turned(study, weight) == Rest::Inside)
        }
        Rest::Inside | Rest::Other => false,
        Rest::Unknown => is_plain_factor(study, weight),
    }
}

/// Whether a weight only multiplies losses and nothing else pulls at it.
fn is_plain_factor(study: &Study, weight: &Weight) -> bool {
    let is_free_of_losses = |branch: &usize| {
        let depends = reach(&study.graph, study.branches[*branch].coefficient, &[], true);
        !study.branches.iter().any(|other| depends[other.node.index()])
    };
    weight.weighs.iter().all(is_free_of_losses) && study.at_zero[weight.derivative.index()].is_zero()
}

/// The params that collapse by weighing values without a name.
fn unnamed(module: &Module, study: &Study) -> Vec<(Arc<str>, Span)> {
    let is_weighing = |path: &Arc<str>| study.weights.iter().any(|w| w.path == *path && !w.weighs.is_empty());
    let depends = reach(&study.graph, study.node, &[], false);
    let asked = module.params.iter().filter(|(path, param)| {
        param.owner != Owner::Layer && depends[param.node.index()] && study.trains(param.node) && !is_weighing(path)
    });
    let nowhere = |path: &str| rest_of_unnamed(module, study, path) == Rest::Nowhere;
    let asked = asked.take(MOST_UNNAMED).filter(|(path, _)| nowhere(path));
    asked.map(|(path, param)| (path.clone(), param.span)).collect()
}
