//! An optimizer that moves a param up its gradient, or not at all: a learning rate that is negative or 0, a wrong sign.
//!
//! Decided at points: with the states at their first values and the param at 0, where no decay pulls, a step up is one along
//! the gradient. Where a step costs too much to evaluate, by bounds of the next value: where the gradient is at least 0, a
//! step up is one that ends at the param or above it. With the param at 1 nothing may gainsay it.

use crate::analyse::facts::{Facts, Step};
use crate::analyse::interval::Interval;
use crate::analyse::stepping::{Direction, Stepping};
use crate::analyse::study::reach;
use crate::diag::{Code, Diagnostic};
use crate::ir::NodeId;
use crate::lower::{Constraint, Module};
use crate::ops::Op;
use std::cell::LazyCell;
use std::collections::BTreeMap;

pub(super) fn run(module: &Module, facts: &Facts<'_>, stepping: &Stepping<'_>) -> Vec<Diagnostic> {
    let graph = facts.graph;
    let first_of = |path: &str| stepping.first_of(path);
    let states: Vec<(NodeId, Interval)> =
        module.states.iter().filter_map(|(path, state)| Some((state.node, first_of(path)?))).collect();
    let gradients: Vec<NodeId> =
        module.graph.ids().filter(|id| matches!(module.graph.op(*id), Op::Gradient(_))).collect();
    let asked = LazyCell::new(|| graph.slice_back(facts.steps.iter().map(|step| step.node)));
    let bounds = |place: f64, gradient: Interval| {
        let mut known: BTreeMap<NodeId, Interval> = states.iter().copied().collect();
        known.extend(facts.steps.iter().map(|step| (step.param.node, Interval::point(place))));
        known.extend(gradients.iter().map(|id| (*id, gradient)));
        facts.intervals.among(&known, &asked)
    };
    let up = Interval::NOT_NEGATIVE;
    let cases = [(0.0, up), (1.0, up), (0.0, -up), (1.0, -up)];
    let cases = LazyCell::new(|| cases.map(|(place, gradient)| bounds(place, gradient)));
    let mut findings: Vec<Diagnostic> = Vec::new();
    for Step { path, param, node, span } in &facts.steps {
        // What a function puts back need not end along the step.
        let is_put_back = param.constraint == Some(Constraint::Projection);
        let direction = match stepping.step(path, *node).filter(|_| !is_put_back) {
            Some(step) => step.direction(),
            None => {
                let of = |case: usize, place: f64| cases[case][node.index()] - Interval::point(place);
                by_bounds([of(0, 0.0), of(1, 1.0), of(2, 0.0), of(3, 1.0)])
            }
        };
        let Some(direction) = direction else { continue };
        let is_told = |other: &Diagnostic| other.primary.as_ref().is_some_and(|label| label.span == *span);
        if findings.iter().any(is_told) {
            continue;
        }
        let depends = reach(graph, *node, &[], true);
        if !gradients.iter().any(|id| depends[id.index()]) {
            continue;
        }
        let (headline, help) = match direction {
            Direction::Up => (
                format!("this optimizer moves `{path}` up its gradient"),
                "what is minimized rises: the learning rate is above 0, and a step is `param - lr * grad`; to ascend on purpose, `minimize -x over …`",
            ),
            Direction::Nowhere => (
                format!("this optimizer leaves `{path}` where it is"),
                "the learning rate is above 0; a param that is to rest is left out by `over`, or is a `const`",
            ),
        };
        findings.push(
            Diagnostic::warning(Code::L0020, headline)
                .at(*span, "here")
                .with_label(param.span, "this param")
                .with_help(help),
        );
    }
    findings
}

/// Where a step goes by the bounds of what it moves, with the gradient at least 0 from 0 and from 1, and at most 0 from 0 and from 1.
fn by_bounds(moved: [Interval; 4]) -> Option<Direction> {
    let goes = |moved: Interval| moved.low >= 0.0 && moved.high > 0.0;
    match moved {
        _ if moved.iter().all(|moved| moved.is_zero()) => Some(Direction::Nowhere),
        [from_0, from_1, down_from_0, down_from_1] => {
            let is_up = goes(from_0) && goes(-down_from_0) && !goes(-from_1) && !goes(down_from_1);
            is_up.then_some(Direction::Up)
        }
    }
}
