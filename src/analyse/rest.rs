//! Whether a trained weight of losses comes to rest between its ends, or is pulled to one of them whatever the losses are.
//!
//! Along one coordinate of a weight, everything else held, the objective has a resting point inside where its slope turns from
//! negative to positive and the weighed losses still count. An objective that is monotone, affine or concave in the weight
//! has none: descent moves the weight to an end, which switches a loss off. The slope is a graph, so this is asked at points:
//! losses of all magnitudes, equal, small, 0; positions of the weight over its whole domain.

use super::interval::Interval;
use super::points::{Domain, Formula, Point, Question, data_domains, elements};
use super::study::{Branch, Study, Weight, reach};
use crate::ir::NodeId;
use crate::lower::{Constraint, Module, Owner};
use crate::ops::{Op, Tensor};
use crate::passes::gradients;
use std::collections::BTreeMap;

/// Arithmetic spent on one weight.
const BUDGET: f64 = 4e6;

/// Draws of losses, beyond which nothing new is expected.
const DRAWS: usize = 24;

/// Coordinates of a weight that are tried.
const COORDINATES: usize = 3;

/// What is known of a weight that multiplies losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// for some losses it rests inside
    Inside,
    /// at no point does it
    Nowhere,
    /// it is no weight of losses: descent by it raises them, or moves it as a model's param
    Other,
    /// it cannot be told
    Unknown,
}

/// Where a weight comes to rest that enters the coefficients of branch losses.
pub fn rest(study: &Study, weight: &Weight) -> Rest {
    rest_where(Question { graph: &study.graph, domains: &study.domains, bounds: &study.usual }, study, weight)
}

/// As [`rest`], with losses that are never positive taken to be at least 0 instead.
pub fn rest_of_turned(study: &Study, weight: &Weight) -> Rest {
    let mut domains = study.domains.clone();
    let mut bounds = study.usual.clone();
    for branch in study.branches.iter().filter(|branch| branch.own.high <= 0.0) {
        domains.insert(branch.node, Domain::Loss(Interval::NOT_NEGATIVE));
        bounds[branch.node.index()] = Interval::NOT_NEGATIVE;
    }
    rest_where(Question { graph: &study.graph, domains: &domains, bounds: &bounds }, study, weight)
}

fn rest_where(question: Question<'_>, study: &Study, weight: &Weight) -> Rest {
    let coefficients: Vec<NodeId> = weight.weighs.iter().map(|at| study.branches[*at].coefficient).collect();
    let leaves: Vec<NodeId> = weight.weighs.iter().map(|at| study.branches[*at].node).collect();
    let live: Vec<NodeId> = [weight.node].into_iter().chain(study.branches.iter().map(|branch| branch.node)).collect();
    let wanted: Vec<NodeId> = [weight.derivative].into_iter().chain(coefficients).collect();
    let Some(formula) = question.formula(&wanted, &live) else { return Rest::Unknown };
    let Some(leaf) = formula.leaf(weight.node) else { return Rest::Other };
    let bounds = study.usual[weight.node.index()];
    let slope = Slope { formula: &formula, leaf, bounds, is_shared: is_shared(weight.constraint) };
    let signs = vec![1.0; leaves.len()];
    let found = slope.rest(&signs, false);
    if found == Rest::Nowhere && compete(&formula, &leaves) { Rest::Inside } else { found }
}

/// Where a weight comes to rest by its slope alone, whatever it weighs: with losses as a question takes them.
pub fn rest_of_slope(question: Question<'_>, weight: &Weight, branches: &[Branch]) -> Rest {
    let live: Vec<NodeId> = [weight.node].into_iter().chain(branches.iter().map(|branch| branch.node)).collect();
    let Some(formula) = question.formula(&[weight.derivative], &live) else { return Rest::Unknown };
    let Some(leaf) = formula.leaf(weight.node) else { return Rest::Other };
    let bounds = question.bounds[weight.node.index()];
    Slope { formula: &formula, leaf, bounds, is_shared: is_shared(weight.constraint) }.rest(&[], false)
}

/// As [`rest`], of a param that multiplies values without a name, each at least 0 or at most 0, that train others.
pub fn rest_of_unnamed(module: &Module, study: &Study, path: &str) -> Rest {
    let param = &module.params[path];
    let Some(losses) = weighed_values(module, study, param.node) else { return Rest::Other };
    let mut graph = study.graph.clone();
    let wanted: Vec<NodeId> = [param.node].into_iter().chain(losses.iter().copied()).collect();
    let derivatives = gradients(&mut graph, study.node, &wanted);
    let mut bounds = study.usual.clone();
    bounds.resize(graph.len(), Interval::ALL);
    let mut domains: BTreeMap<NodeId, Domain> = study.domains.clone();
    let [data, _] = data_domains(module, &study.graph, &study.usual);
    domains.extend(data);
    domains
        .retain(|id, domain| !matches!(domain, Domain::Loss(_)) || !reach(&graph, *id, &[], false)[param.node.index()]);
    let question = Question { graph: &graph, domains: &domains, bounds: &bounds };
    let live: Vec<NodeId> = [param.node].into_iter().chain(losses.iter().copied()).collect();
    let Some(formula) = question.formula(&derivatives, &live) else { return Rest::Unknown };
    let Some(leaf) = formula.leaf(param.node) else { return Rest::Other };
    let signs: Vec<f64> = losses.iter().map(|id| if study.usual[id.index()].low >= 0.0 { 1.0 } else { -1.0 }).collect();
    let own = study.usual[param.node.index()];
    let slope = Slope { formula: &formula, leaf, bounds: own, is_shared: is_shared(param.constraint) };
    slope.rest(&signs, true)
}

/// Where the constraint is a function, elements are moved against each other: it may keep their sum.
fn is_shared(constraint: Option<Constraint>) -> bool {
    constraint == Some(Constraint::Projection)
}

/// The values that meet what a param makes, do not depend on it, and train other params; `None` unless all are of one sign.
fn weighed_values(module: &Module, study: &Study, param: NodeId) -> Option<Vec<NodeId>> {
    let graph = &study.graph;
    let open = reach(graph, study.node, &[], false);
    let mut depends = vec![false; graph.len()];
    let mut trains = vec![false; graph.len()];
    depends[param.index()] = true;
    for other in module.params.values().filter(|other| other.node != param && other.owner == Owner::Layer) {
        trains[other.node.index()] = true;
    }
    let mut found: Vec<NodeId> = Vec::new();
    for id in graph.ids().filter(|id| open[id.index()]) {
        let operands = graph.operands(id);
        let is_open = |slot: &usize| graph.op(id).flow(*slot) == crate::ops::Flow::Differentiable;
        let slots: Vec<usize> = (0..operands.len()).filter(is_open).collect();
        let any = |marks: &[bool]| slots.iter().any(|slot| marks[operands[*slot].index()]);
        let index = id.index();
        let (is_ours, is_theirs) = (depends[index] || any(&depends), trains[index] || any(&trains));
        depends[index] = is_ours;
        trains[index] = is_theirs;
        // A sum of terms weighs none of them.
        if is_ours && !matches!(graph.op(id), Op::Add(_) | Op::Sub(_)) {
            let met = slots.iter().map(|slot| operands[*slot]);
            found.extend(met.filter(|met| !depends[met.index()] && trains[met.index()]));
        }
    }
    found.sort_unstable();
    found.dedup();
    let is_signed = |id: &NodeId| {
        let within = study.usual[id.index()];
        within.low >= 0.0 || within.high <= 0.0
    };
    (!found.is_empty() && found.iter().all(is_signed)).then_some(found)
}

/// The slope of an objective by a weight, then its derivatives by what is weighed.
struct Slope<'f> {
    formula: &'f Formula,
    leaf: usize,
    bounds: Interval,
    /// moved in pairs that keep their sum
    is_shared: bool,
}

/// One coordinate's slope and the coefficients of what is weighed, at one position.
struct Position {
    at: f64,
    slope: f64,
    /// empty where nothing is said to be weighed: then everything counts
    coefficients: Vec<f64>,
}

impl Position {
    /// The least and the largest of the coefficients that are `weighed`.
    fn span(&self, weighed: &[bool]) -> (f64, f64) {
        let chosen = self.coefficients.iter().zip(weighed).filter(|(_, weighed)| **weighed).map(|(x, _)| *x);
        let span = chosen.fold(None, |span: Option<(f64, f64)>, x| {
            Some(span.map_or((x, x), |(least, most)| (least.min(x), most.max(x))))
        });
        span.unwrap_or((1.0, 1.0))
    }

    fn span_of_all(&self) -> (f64, f64) {
        self.span(&vec![true; self.coefficients.len()])
    }
}

/// The coefficients that a coordinate moves. Those of other losses say nothing of where it rests: at a point they may be any.
fn moved(line: &[Position]) -> Vec<bool> {
    let Some(first) = line.first() else { return Vec::new() };
    let moves = |at: usize| {
        let differ = |pair: &[Position]| {
            let [one, other] = [&pair[0], &pair[1]].map(|position| position.coefficients[at]);
            (one - other).abs() > 1e-12 * one.abs().max(other.abs())
        };
        line.windows(2).any(differ)
    };
    (0..first.coefficients.len()).map(moves).collect()
}

impl Slope<'_> {
    fn rest(&self, signs: &[f64], is_strict: bool) -> Rest {
        let mut first = self.formula.point(0);
        let count = first.numbers(self.leaf).len();
        if count == 0 {
            return Rest::Unknown;
        }
        let grid = self.grid();
        let draws = self.formula.affordable(DRAWS, BUDGET / (grid.len() * COORDINATES) as f64);
        let mut is_pulled = false;
        let mut is_weight = false;
        let last = count - 1;
        for coordinate in [0, last, count / 2].into_iter().take(COORDINATES.min(count)) {
            let mut found = Rest::Nowhere;
            let mut moves = false;
            // A class that no draw has is weighed by nothing, so what pulls at its weight is no answer.
            let mut weighs = signs.is_empty();
            for draw in 0..draws {
                let point = self.formula.point(draw);
                let line: Vec<Position> =
                    grid.iter().filter_map(|at| self.position(&point, coordinate, *at, signs)).collect();
                let spans: Vec<(f64, f64)> = line.iter().map(Position::span_of_all).collect();
                if is_strict && spans.iter().any(|(least, most)| *least < -1e-9 * most.abs().max(1.0)) {
                    return Rest::Other;
                }
                is_weight |= spans.iter().any(|(_, most)| *most > 0.0);
                let size = spans.iter().map(|(_, most)| most.abs()).fold(0.0, f64::max);
                moves |= line.iter().any(|position| position.slope.abs() > 1e-9 * size);
                let weighed = moved(&line);
                weighs |= weighed.contains(&true);
                if self.turns(&point, coordinate, &line, (signs, &weighed)) {
                    found = Rest::Inside;
                    break;
                }
            }
            is_pulled |= moves;
            if moves && weighs && found == Rest::Nowhere && is_weight {
                return Rest::Nowhere;
            }
        }
        if is_pulled && is_weight { Rest::Inside } else { Rest::Other }
    }

    /// Positions over the domain, its ends left out.
    fn grid(&self) -> Vec<f64> {
        let Interval { low, high } = self.bounds;
        if self.is_shared {
            return vec![0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98];
        }
        match (low.is_finite(), high.is_finite()) {
            (true, true) => {
                [0.003, 0.03, 0.15, 0.35, 0.5, 0.65, 0.85, 0.97, 0.997].iter().map(|f| low + (high - low) * f).collect()
            }
            (true, false) => [0.01, 0.1, 0.5, 1.0, 3.0, 10.0, 100.0].iter().map(|x| low + x).collect(),
            (false, true) => [100.0, 10.0, 3.0, 1.0, 0.5, 0.1, 0.01].iter().map(|x| high - x).collect(),
            (false, false) => vec![-9.0, -5.0, -2.0, -0.8, -0.2, 0.2, 0.8, 2.0, 5.0, 9.0],
        }
    }

    /// The slope where one coordinate has a value; `None` where it is no number.
    fn position(&self, point: &Point, coordinate: usize, at: f64, signs: &[f64]) -> Option<Position> {
        let mut point = point.clone();
        let numbers = point.numbers(self.leaf);
        let other = (self.is_shared && numbers.len() > 1).then(|| (coordinate + 1) % numbers.len());
        match other {
            Some(other) => {
                let sum = numbers[coordinate] + numbers[other];
                let sum = if sum > 0.0 { sum } else { 1.0 };
                numbers[coordinate] = sum * at;
                numbers[other] = sum * (1.0 - at);
            }
            None => numbers[coordinate] = at,
        }
        let values = self.formula.at(&point);
        let slopes = elements(&values[0]);
        let slope = slopes[coordinate] - other.map_or(0.0, |other| slopes[other]);
        let signed =
            |(value, sign): (&Tensor<f64>, &f64)| elements(value).into_iter().map(|x| x * sign).collect::<Vec<_>>();
        let coefficients: Vec<f64> = values[1..].iter().zip(signs).flat_map(signed).collect();
        let is_finite = slope.is_finite() && coefficients.iter().all(|x| x.is_finite());
        is_finite.then_some(Position { at, slope, coefficients })
    }

    /// Whether the slope turns from negative to positive where the weighed losses count.
    fn turns(&self, point: &Point, coordinate: usize, line: &[Position], (signs, weighed): (&[f64], &[bool])) -> bool {
        let scale = line.iter().map(|position| position.slope.abs()).fold(0.0, f64::max);
        // What counts is told by where the losses count least without resting: exponentials span many magnitudes.
        let most = |position: &Position| position.span(weighed).1.abs();
        let size = line.iter().map(most).filter(|x| *x > 0.0).fold(f64::INFINITY, f64::min);
        let is_steep = |position: &&Position| position.slope.abs() > 1e-9 * position.span_of_all().1.abs();
        let steep: Vec<&Position> = line.iter().filter(is_steep).collect();
        // Where coefficients have either sign, as those of a distance, resting is where they vanish.
        let is_either = |(least, most): (f64, f64)| least < -1e-9 * most.abs();
        let is_signed = line.iter().any(|position| is_either(position.span_of_all()));
        steep.windows(2).any(|pair| {
            if !(pair[0].slope < 0.0 && pair[1].slope > 0.0) {
                return false;
            }
            let (mut low, mut high) = (pair[0].at, pair[1].at);
            for _ in 0..40 {
                let middle = 0.5 * (low + high);
                match self.position(point, coordinate, middle, signs) {
                    Some(position) if position.slope < 0.0 => low = middle,
                    Some(_) => high = middle,
                    None => return false,
                }
            }
            // Losses that are switched off where it rests do not count; nor does a pole.
            let sides = [low, high].map(|at| self.position(point, coordinate, at, signs));
            sides.iter().flatten().all(|side| {
                let (least, most) = side.span(weighed);
                let counts = is_signed || (most.abs() > 1e-7 * size && least.abs() > 1e-9 * size);
                counts && side.slope.abs() <= scale * 1e3
            })
        })
    }
}

/// Whether the coefficients share themselves out by the losses, as the parts of a mixture do: each rises with the other
/// losses. What holds such a weight are the samples, whose losses differ.
fn compete(formula: &Formula, losses: &[NodeId]) -> bool {
    let leaves: Vec<usize> = losses.iter().filter_map(|loss| formula.leaf(*loss)).collect();
    let [one, .., other] = leaves.as_slice() else { return false };
    let coefficient = |point: &Point| elements(&formula.at(point)[1]).first().copied().unwrap_or(0.0);
    let mut asked = 0;
    for number in 0..16 {
        let mut point = formula.point(number);
        let before = coefficient(&point);
        point.numbers(*other).iter_mut().for_each(|x| *x += 0.5);
        let behind = coefficient(&point);
        point.numbers(*one).iter_mut().for_each(|x| *x += 0.5);
        let both = coefficient(&point);
        if before > 1e-6 && before < 1e6 {
            asked += 1;
            // Raising both alike changes nothing: shares, not a mean of powers.
            if behind <= before * (1.0 + 1e-9) || (both - before).abs() > 1e-6 * before {
                return false;
            }
        }
    }
    asked > 3
}
