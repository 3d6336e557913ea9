//! A loss that can be negative by its own formula, in an objective that holds only for losses that are not.
//!
//! Two questions. Does the sign matter: with the loss negative, is the objective no longer a number, a coefficient negative, or
//! does a trained weight that rested come to rest nowhere? And can it be negative: do its bounds allow it, and is it at some
//! point of its formula, with targets as the formula takes them?

use crate::analyse::interval::Interval;
use crate::analyse::points::{Domain, Formula, Question, data_domains, elements};
use crate::analyse::rest::{Rest, rest_of_slope};
use crate::analyse::sign::{Sign, sign};
use crate::analyse::study::{Branch, Study, outer_studies};
use crate::diag::{Code, Diagnostic};
use crate::ir::{DType, NodeId};
use crate::lower::{Module, Owner};
use crate::ops::{Input, InputKind, Op};
use std::collections::BTreeMap;

/// Points at which a formula is evaluated, and the arithmetic spent on it.
const POINTS: usize = 400;
const BUDGET: f64 = 8e6;

/// Less than this is rounding, or what probabilities are held away from 0 by.
const ROUNDING: f64 = 1e-4;

pub(super) fn run(module: &Module, studies: &[Study]) -> Vec<Diagnostic> {
    let mut findings: Vec<Diagnostic> = Vec::new();
    // A loss of losses may be negative where none of these is: `log(a)`, an inner `uncertainty`.
    let is_sound =
        |study: &Study| study.branches.iter().all(|branch| !matches!(sign(study, branch), Sign::Negative { .. }));
    let outer = outer_studies(module);
    let outer = if outer.is_empty() || !studies.iter().all(is_sound) { Vec::new() } else { outer };
    let leaf = |branch: &Branch, study: &Study| (branch.node, Domain::Loss(study.usual[branch.node.index()]));
    let leaves: BTreeMap<NodeId, Domain> =
        studies.iter().flat_map(|study| study.branches.iter().map(move |branch| leaf(branch, study))).collect();
    for study in studies.iter().chain(&outer) {
        for branch in study.branches.iter().filter(|branch| branch.trains && branch.own.low < 0.0) {
            let Some(harm) = harm(study, branch) else { continue };
            let Some(least) = least(module, study, branch, &leaves) else { continue };
            let finding = Diagnostic::warning(
                Code::L0014,
                format!("`{}` may be negative, which `{}` is not made for", branch.name, study.name),
            )
            .at(branch.span, "this loss")
            .with_label(study.span, harm)
            .with_note(format!("found: its formula is {least:.3} at a point"))
            .with_help("add what makes it at least 0, as in `1 + cosine_distance(…)`, or combine by `weighted` or `upgrad`, which do not look at a loss's sign");
            if !findings.iter().any(|other| other.headline == finding.headline) {
                findings.push(finding);
            }
        }
    }
    findings
}

/// What becomes of the objective where the loss is negative; `None` where nothing does.
fn harm(study: &Study, branch: &Branch) -> Option<String> {
    let mut domains = study.domains.clone();
    domains.insert(branch.node, Domain::Loss(Interval::new(f64::NEG_INFINITY, 0.0)));
    let mut bounds = study.usual.clone();
    bounds[branch.node.index()] = Interval::ALL;
    let mut not_negative = study.domains.clone();
    not_negative.insert(branch.node, Domain::Loss(Interval::NOT_NEGATIVE));
    let usual = Question { graph: &study.graph, domains: &not_negative, bounds: &study.usual };
    let below = Question { graph: &study.graph, domains: &domains, bounds: &bounds };
    let live: Vec<NodeId> =
        study.weights.iter().map(|weight| weight.node).chain(study.branches.iter().map(|b| b.node)).collect();
    let trained: Vec<_> = study.weights.iter().filter(|weight| weight.owner != Owner::Layer).collect();
    let wanted: Vec<NodeId> = [study.node]
        .into_iter()
        .chain(trained.iter().map(|weight| weight.derivative))
        .chain(study.branches.iter().map(|b| b.coefficient))
        .collect();
    let (usual_values, values) = (usual.formula(&wanted, &live)?, below.formula(&wanted, &live)?);
    if is_finite(&usual_values, POINTS / 8) && !is_finite(&values, POINTS / 8) {
        return Some("this is no number where it is negative".to_string());
    }
    for weight in trained {
        let rests = |question: Question<'_>| rest_of_slope(question, weight, &study.branches);
        if rests(usual) == Rest::Inside && rests(below) == Rest::Nowhere {
            return Some(format!("where it is negative, `{}` is pulled to its bound", weight.path));
        }
    }
    let coefficients = 1 + values_before_coefficients(study);
    let is_raised = |formula: &Formula| {
        (0..formula.affordable(POINTS / 4, BUDGET)).any(|number| {
            let values = formula.at(&formula.point(number));
            values[coefficients..].iter().flat_map(elements).any(|x| x < -ROUNDING)
        })
    };
    let is_sound = study.branches.iter().all(|branch| !matches!(sign(study, branch), Sign::Negative { .. }));
    (is_sound && is_raised(&values)).then(|| "where it is negative, a loss is raised".to_string())
}

fn values_before_coefficients(study: &Study) -> usize {
    study.weights.iter().filter(|weight| weight.owner != Owner::Layer).count()
}

fn is_finite(formula: &Formula, points: usize) -> bool {
    (0..formula.affordable(points, BUDGET))
        .all(|number| formula.at(&formula.point(number)).iter().flat_map(elements).all(f64::is_finite))
}

/// The least value that the loss's formula was found to have, where that is negative for each way to take the data. Losses
/// that it is made of are losses.
fn least(module: &Module, study: &Study, branch: &Branch, leaves: &BTreeMap<NodeId, Domain>) -> Option<f64> {
    let mut found = f64::NEG_INFINITY;
    // Labels of any class, and all of one: a blank between labels is no label of `ctc`.
    let ones = |id: &NodeId| matches!(study.graph.op(*id), Op::Input(Input { kind: InputKind::Input | InputKind::Target, ty }) if ty.dtype == DType::I32);
    let ones: Vec<(NodeId, Domain)> = study.graph.ids().filter(ones).map(|id| (id, Domain::Whole(1, 1))).collect();
    let mut ways: Vec<BTreeMap<NodeId, Domain>> = data_domains(module, &study.graph, &study.usual).into();
    if let (false, Some(first)) = (ones.is_empty(), ways.first().cloned()) {
        ways.push(first.into_iter().chain(ones).collect());
    }
    for data in ways {
        let domains: BTreeMap<NodeId, Domain> = study
            .domains
            .iter()
            .filter(|(_, domain)| !matches!(domain, Domain::Loss(_)))
            .map(|(id, domain)| (*id, domain.clone()))
            .chain(data)
            .chain(leaves.iter().filter(|(id, _)| **id != branch.node).map(|(id, domain)| (*id, domain.clone())))
            .collect();
        let question = Question { graph: &study.graph, domains: &domains, bounds: &study.usual };
        // What a target is put to is computed; the model before it is cut where it is dear.
        let is_target = |id: &NodeId| matches!(study.graph.op(*id), Op::Input(Input { kind: InputKind::Target, .. }));
        let live: Vec<NodeId> = study.graph.ids().filter(is_target).collect();
        let formula = question.formula(&[branch.node], &live)?;
        let points = 0..formula.affordable(POINTS, BUDGET);
        let values = points.flat_map(|number| elements(&formula.at(&formula.point(number))[0]));
        let least = values.filter(|x| x.is_finite()).fold(f64::INFINITY, f64::min);
        if least >= -ROUNDING {
            return None;
        }
        found = found.max(least);
    }
    found.is_finite().then_some(found)
}
