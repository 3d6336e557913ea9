//! What is known of an objective as a way to combine losses: five questions, each proved, refuted with numbers, or open.
//!
//! Proofs are by bounds and by the absence of a path; refutations are points ([`super::points`]). What neither settles is open,
//! with the number of points that refuted nothing.

use super::points::{Formula, Point, Question, elements, gramian};
use super::rest::{Rest, rest};
use super::sign::{Sign, sign};
use super::study::{Study, studies};
use crate::ir::NodeId;
use crate::lower::Module;
use crate::ops::Tensor;
use std::sync::Arc;

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Proved,
    /// the numbers that refute it
    Refuted(String),
    /// not refuted at so many points
    Open(usize),
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Proved => write!(f, "proved"),
            Self::Refuted(numbers) => write!(f, "no: {numbers}"),
            Self::Open(0) => write!(f, "unknown"),
            Self::Open(points) => write!(f, "at none of {points} points refuted"),
        }
    }
}

/// Whether an objective has properties that a way to combine losses may have.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdicts {
    pub objective: Arc<str>,
    /// no coefficient of a loss is negative
    pub raises_none: Answer,
    /// no trained weight switches a loss off
    pub keeps_all: Answer,
    /// the objective has a lower bound
    pub is_bounded: Answer,
    /// a loss a thousand times as large has a coefficient a thousand times as small, and no other changes against the others
    pub is_free_of_scale: Answer,
    /// the step raises no loss, to first order
    pub conflicts_with_none: Answer,
}

const POINTS: usize = 400;
const BUDGET: f64 = 1e7;

impl Verdicts {
    /// The questions with their answers, in words.
    pub fn answers(&self) -> [(&'static str, &Answer); 5] {
        [
            ("raises no loss", &self.raises_none),
            ("switches none off", &self.keeps_all),
            ("has a lower bound", &self.is_bounded),
            ("is free of scale", &self.is_free_of_scale),
            ("conflicts with none", &self.conflicts_with_none),
        ]
    }
}

/// The verdicts on what is minimised for each set of params, where it combines losses.
pub fn verdicts(module: &Module) -> Vec<Verdicts> {
    studies(module).iter().filter(|study| !study.branches.is_empty()).map(|study| of(module, study)).collect()
}

fn of(module: &Module, study: &Study) -> Verdicts {
    let asked = Asked::of(module, study);
    Verdicts {
        objective: study.name.clone(),
        raises_none: raises_none(study),
        keeps_all: keeps_all(study),
        is_bounded: is_bounded(study, asked.as_ref()),
        is_free_of_scale: asked.as_ref().map_or(Answer::Open(0), Asked::scale),
        conflicts_with_none: asked.as_ref().map_or(Answer::Open(0), Asked::conflicts),
    }
}

fn raises_none(study: &Study) -> Answer {
    let mut points = usize::MAX;
    for branch in study.branches.iter().filter(|branch| branch.trains) {
        match sign(study, branch) {
            Sign::Proved => {}
            Sign::NotRefuted(tried) => points = points.min(tried),
            Sign::Unknown => points = 0,
            negative @ Sign::Negative { .. } => return Answer::Refuted(negative.to_string()),
        }
    }
    if points == usize::MAX { Answer::Proved } else { Answer::Open(points) }
}

fn keeps_all(study: &Study) -> Answer {
    let weighing: Vec<_> = study.weights.iter().filter(|weight| !weight.weighs.is_empty()).collect();
    let rests: Vec<Rest> = weighing.iter().map(|weight| rest(study, weight)).collect();
    match rests.iter().position(|rest| *rest == Rest::Nowhere) {
        Some(at) => Answer::Refuted(format!("`{}` rests nowhere", weighing[at].path)),
        None if rests.iter().all(|rest| *rest == Rest::Inside) => Answer::Proved,
        None => Answer::Open(0),
    }
}

fn is_bounded(study: &Study, asked: Option<&Asked>) -> Answer {
    if study.usual[study.node.index()].low.is_finite() {
        return Answer::Proved;
    }
    let Some(asked) = asked else { return Answer::Open(0) };
    let points = asked.formula.affordable(POINTS, BUDGET);
    let value = |number: usize| elements(&asked.formula.at(&asked.formula.point(number))[0])[0];
    let least = (0..points).map(value).filter(|value| value.is_finite()).fold(f64::INFINITY, f64::min);
    if least < -100.0 { Answer::Refuted(format!("{least:.0} at a point")) } else { Answer::Open(points) }
}

/// The objective and its coefficients as functions of the losses, weights, states and the Gramian.
struct Asked {
    formula: Formula,
    /// the leaves that the losses are
    losses: Vec<usize>,
    /// the leaf that the Gramian is
    gramian: Option<usize>,
}

impl Asked {
    fn of(module: &Module, study: &Study) -> Option<Self> {
        let losses: Vec<NodeId> = study.branches.iter().map(|branch| branch.node).collect();
        let wanted: Vec<NodeId> = [study.node]
            .into_iter()
            .chain(study.branches.iter().map(|branch| branch.coefficient))
            .chain(losses.clone())
            .collect();
        let live: Vec<NodeId> = study.weights.iter().map(|weight| weight.node).chain(losses.iter().copied()).collect();
        let question = Question { graph: &study.graph, domains: &study.domains, bounds: &study.usual };
        let formula = question.formula(&wanted, &live)?;
        let leaves = losses.iter().map(|loss| formula.leaf(*loss)).collect::<Option<Vec<usize>>>()?;
        let gramian = module.gramians.iter().find_map(|gramian| formula.leaf(*gramian));
        Some(Self { formula, losses: leaves, gramian })
    }

    /// The mean coefficient of each loss, times what its mean is spread over.
    fn coefficients(&self, point: &Point) -> Vec<f64> {
        let values = self.formula.at(point);
        values[1..=self.losses.len()].iter().map(|value| elements(value).iter().sum()).collect()
    }

    fn points(&self) -> impl Iterator<Item = usize> {
        0..self.formula.affordable(POINTS, BUDGET)
    }

    /// Whether each loss and each gradient counts, and no gradient is made of others: elsewhere methods say what they do by rules
    /// of their own.
    fn is_usual(&self, point: &Point) -> bool {
        let k = self.losses.len();
        let mean = |leaf: &usize| {
            let values = elements(&point.values[*leaf]);
            values.iter().sum::<f64>() / values.len().max(1) as f64
        };
        let is_independent =
            self.gramian.is_none_or(|gramian| independence(&elements(&point.values[gramian]), k) > 1e-3);
        is_independent && self.losses.iter().all(|leaf| mean(leaf).abs() > 1e-2)
    }

    fn scale(&self) -> Answer {
        let mut points = 0;
        for point in self.points().map(|number| self.formula.point(number)).filter(|point| self.is_usual(point)) {
            let mut larger = point.clone();
            larger.numbers(self.losses[0]).iter_mut().for_each(|x| *x *= 1000.0);
            if let Some(gramian) = self.gramian {
                scale_gramian(&mut larger.values[gramian], 1000.0);
            }
            let (before, after) = (self.coefficients(&point), self.coefficients(&larger));
            let is_usable = |x: &f64| x.is_finite() && x.abs() > 1e-9;
            if !before.iter().all(is_usable) || !after.iter().all(is_usable) {
                continue;
            }
            points += 1;
            let ratio = (after[0] * 1000.0 / after[1]) / (before[0] / before[1]);
            if (ratio - 1.0).abs() > 1e-3 {
                return Answer::Refuted(format!("its share becomes {} times as large", rough(ratio)));
            }
        }
        Answer::Open(points)
    }

    fn conflicts(&self) -> Answer {
        let mut points = 0;
        for number in self.points() {
            let point = self.formula.point(number);
            let k = self.losses.len();
            let gram = match self.gramian {
                Some(gramian) => elements(&point.values[gramian]),
                None => gramian(number, k),
            };
            let weights = self.coefficients(&point);
            if !weights.iter().all(|x| x.is_finite()) {
                continue;
            }
            points += 1;
            // The loss's step is against its gradient by Σ w_j g_i · g_j.
            for i in 0..k {
                let terms: Vec<f64> = (0..k).map(|j| gram[i * k + j] * weights[j]).collect();
                let (sum, size) = (terms.iter().sum::<f64>(), terms.iter().map(|x| x.abs()).sum::<f64>());
                // Weights that are found by iteration are so only roughly.
                if sum < -5e-3 * size && size > 0.0 {
                    let share = -sum / size;
                    return Answer::Refuted(format!("a loss rises, by {} of what pulls at it", percent(share)));
                }
            }
        }
        Answer::Open(points)
    }
}

/// The determinant of the cosines of `k` vectors, from their inner products: 1 of those at right angles, 0 of those of which one is
/// made of the others, or is 0. By elimination.
fn independence(gram: &[f64], k: usize) -> f64 {
    let lengths: Vec<f64> = (0..k).map(|i| gram[i * k + i].max(0.0).sqrt()).collect();
    if lengths.contains(&0.0) {
        return 0.0;
    }
    let mut cosines: Vec<f64> = (0..k * k).map(|at| gram[at] / (lengths[at / k] * lengths[at % k])).collect();
    let mut determinant = 1.0;
    for i in 0..k {
        let pivot = cosines[i * k + i];
        determinant *= pivot;
        if pivot.abs() < 1e-12 {
            return 0.0;
        }
        for row in i + 1..k {
            let factor = cosines[row * k + i] / pivot;
            for column in i..k {
                cosines[row * k + column] -= factor * cosines[i * k + column];
            }
        }
    }
    determinant
}

fn scale_gramian(value: &mut Tensor<f64>, factor: f64) {
    if let Tensor::Float(gram) = value {
        for (at, x) in gram.indexed_iter_mut() {
            let times = usize::from(at[0] == 0) + usize::from(at[1] == 0);
            *x *= factor.powi(times as i32);
        }
    }
}

/// Two digits: enough for a table.
fn rough(x: f64) -> String {
    if (0.1..1e4).contains(&x.abs()) { format!("{x:.1}") } else { format!("{x:.0e}") }
}

fn percent(x: f64) -> String {
    format!("{:.0} %", 100.0 * x)
}
