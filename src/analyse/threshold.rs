//! From which value of what a loss can be raised.
//!
//! Where a coefficient can be negative for some weights only, the condition is often a threshold of one number that the
//! spec computes, such as the sum of the weights: `w L / stop(Σw) + λ Σ |w_i L_i - w_{i+1} L_{i+1}|` of three losses raises one
//! iff Σw > 1 / (2λ). Such a number does not depend on the losses. It is looked for among the values that coefficients are
//! made of: for weights drawn at random, from the low end of their domain to the whole of it, it is asked whether some losses
//! make a coefficient negative, and a value that separates the two kinds of weights is the condition. Where it lies is found
//! by halving between two draws. Losses are drawn too, and each of them is tried a thousand times as small and as large:
//! which coefficient is negative is often a matter of which loss is the least.

use super::expression::expression;
use super::points::{Formula, Point, Question, elements};
use super::study::Study;
use crate::ir::NodeId;
use crate::ops::Op;
use std::collections::BTreeMap;

/// Draws of weights, and of losses for each.
const WEIGHTS: usize = 48;
const LOSSES: usize = 8;

/// What a loss is multiplied by beside what was drawn.
const FACTORS: [f64; 3] = [1.0, 1e-3, 1e3];

/// How far draws of weights go from the low end of their domain, as a share, or below 0 where it has none.
const REACHES: [(f64, f64); 6] = [(1.0, 0.0), (0.2, 1.0), (0.05, 2.0), (0.01, 4.0), (0.002, 6.0), (0.4, 0.5)];

/// Arithmetic beyond which no threshold is looked for.
const BUDGET: f64 = 6e7;

/// Values tried as conditions.
const CANDIDATES: usize = 6;

/// A loss can be raised only where a quantity is above (or below) a number, and there it can be.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// as an expression of the spec
    pub quantity: String,
    pub is_above: bool,
    pub at: f64,
}

impl std::fmt::Display for Threshold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let side = if self.is_above { ">" } else { "<" };
        write!(f, "{} {side} {}", self.quantity, self.at)
    }
}

/// The condition on the weights under which a branch loss can be raised, where it is a threshold of one number.
pub fn threshold(study: &Study) -> Option<Threshold> {
    let losses: Vec<NodeId> = study.branches.iter().map(|branch| branch.node).collect();
    let coefficients: Vec<NodeId> =
        study.branches.iter().filter(|branch| branch.trains).map(|branch| branch.coefficient).collect();
    let candidates = candidates(study, &losses, &coefficients);
    let wanted: Vec<NodeId> = candidates.iter().chain(&coefficients).copied().collect();
    let live: Vec<NodeId> = study.weights.iter().map(|weight| weight.node).chain(losses.iter().copied()).collect();
    let question = Question { graph: &study.graph, domains: &study.domains, bounds: &study.usual };
    let formula = question.formula(&wanted, &live)?;
    let evaluations = WEIGHTS * LOSSES * FACTORS.len() * losses.len();
    if candidates.is_empty() || formula.work * evaluations as f64 > BUDGET {
        return None;
    }
    let search = Search { formula: &formula, losses: &losses, n_candidates: candidates.len() };
    let draws: Vec<(Point, bool, Vec<f64>)> = (0..WEIGHTS)
        .map(|number| {
            let point = weights_drawn(study, &formula, number);
            let (rises, quantities) = search.ask(&point);
            (point, rises, quantities)
        })
        .collect();
    let found = (0..candidates.len()).find_map(|at| search.separates(&draws, at).map(|found| (at, found)));
    let (at, (is_above, value)) = found?;
    let names = study.branches.iter().map(|branch| (branch.node, branch.name.clone())).collect::<BTreeMap<_, _>>();
    Some(Threshold { quantity: expression(&study.graph, candidates[at], &names), is_above, at: value })
}

/// The weights of one draw.
fn weights_drawn(study: &Study, formula: &Formula, number: usize) -> Point {
    let mut point = formula.point(2 * number);
    let (share, below) = REACHES[number % REACHES.len()];
    for weight in &study.weights {
        let low = study.usual[weight.node.index()].low;
        if let Some(leaf) = formula.leaf(weight.node) {
            // At its very end a weight may do nothing.
            let near = |x: f64| if low.is_finite() { low + share * (x - low).max(0.01) } else { x - below };
            point.numbers(leaf).iter_mut().for_each(|x| *x = near(*x));
        }
    }
    point
}

/// The scalars that coefficients are made of and that losses have no part in, the latest first: they say most.
fn candidates(study: &Study, losses: &[NodeId], coefficients: &[NodeId]) -> Vec<NodeId> {
    let graph = &study.graph;
    let needed = graph.slice_back(coefficients.iter().copied());
    let mut by_loss = vec![false; graph.len()];
    let mut by_weight = vec![false; graph.len()];
    for id in graph.ids() {
        let operands = graph.operands(id);
        let any = |marks: &[bool]| operands.iter().any(|operand| marks[operand.index()]);
        by_loss[id.index()] = losses.contains(&id) || any(&by_loss);
        let is_weight = study.weights.iter().any(|weight| weight.node == id);
        by_weight[id.index()] = is_weight || any(&by_weight);
    }
    let is_scalar = |id: &NodeId| graph.ty(*id).is_scalar() && graph.ty(*id).is_float();
    let is_own = |id: &NodeId| needed[id.index()] && by_weight[id.index()] && !by_loss[id.index()];
    // A sum or a leaf is named by what it is; what is computed from it says the same in more words.
    let is_plain = |id: &NodeId| matches!(graph.op(*id), Op::Sum(_) | Op::Input(_) | Op::Sigmoid(_) | Op::Exp(_));
    let sums = graph.ids().rev().filter(|id| is_scalar(id) && is_own(id) && is_plain(id));
    sums.take(CANDIDATES).collect()
}

struct Search<'f> {
    formula: &'f Formula,
    losses: &'f [NodeId],
    n_candidates: usize,
}

impl Search<'_> {
    /// Whether some losses make a coefficient negative at a point's weights, and the candidates' values there.
    fn ask(&self, point: &Point) -> (bool, Vec<f64>) {
        let leaves: Vec<usize> = self.losses.iter().filter_map(|loss| self.formula.leaf(*loss)).collect();
        let mut rises = false;
        let mut quantities = Vec::new();
        let variants = (0..LOSSES).flat_map(|number| {
            leaves.iter().flat_map(move |one| FACTORS.into_iter().map(move |factor| (number, *one, factor)))
        });
        for (number, one, factor) in variants {
            let mut point = point.clone();
            // Of the same sizes: an even number.
            let other = self.formula.point(2 * (number + 1000));
            for leaf in &leaves {
                point.values[*leaf] = other.values[*leaf].clone();
            }
            point.numbers(one).iter_mut().for_each(|x| *x *= factor);
            let values = self.formula.at(&point);
            quantities = values[..self.n_candidates].iter().map(|value| elements(value)[0]).collect();
            let coefficients: Vec<f64> = values[self.n_candidates..].iter().flat_map(elements).collect();
            let size = coefficients.iter().fold(0.0, |size: f64, x| size.max(x.abs()));
            rises |= coefficients.iter().any(|x| *x < -1e-9 * size);
            if rises {
                break;
            }
        }
        (rises, quantities)
    }

    /// Whether a candidate tells the weights that can raise a loss from those that cannot: on which side, and from where.
    fn separates(&self, draws: &[(Point, bool, Vec<f64>)], at: usize) -> Option<(bool, f64)> {
        let values = |side: bool| draws.iter().filter(move |(_, rises, _)| *rises == side).map(move |(.., q)| q[at]);
        let least = |side: bool| values(side).fold(f64::INFINITY, f64::min);
        let most = |side: bool| values(side).fold(f64::NEG_INFINITY, f64::max);
        if values(true).count() < 3 || values(false).count() < 3 {
            return None;
        }
        let is_above = most(false) <= least(true);
        if !is_above && most(true) > least(false) {
            return None;
        }
        let nearest = |side: bool, value: f64| draws.iter().find(|(_, rises, q)| *rises == side && q[at] == value);
        let (quiet, rising) = match is_above {
            true => (nearest(false, most(false))?, nearest(true, least(true))?),
            false => (nearest(false, least(false))?, nearest(true, most(true))?),
        };
        let value = self.between(&quiet.0, &rising.0, at);
        Some((is_above, rounded(value)))
    }

    /// The candidate's value where the weights of one point, moved towards those of another, begin to raise a loss.
    fn between(&self, quiet: &Point, rising: &Point, at: usize) -> f64 {
        let (mut low, mut high) = (0.0, 1.0);
        let mix = |share: f64| {
            let mut point = quiet.clone();
            for leaf in 0..point.values.len() {
                let mut target = rising.clone();
                let ends: Vec<f64> = target.numbers(leaf).to_vec();
                point.numbers(leaf).iter_mut().zip(ends).for_each(|(x, end)| *x += share * (end - *x));
            }
            point
        };
        let mut value = f64::NAN;
        for _ in 0..30 {
            let middle = 0.5 * (low + high);
            let (rises, quantities) = self.ask(&mix(middle));
            value = quantities[at];
            if rises { high = middle } else { low = middle }
        }
        value
    }
}

/// To four digits: halving finds no more.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10f64.powi(3 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}
