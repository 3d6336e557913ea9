//! The sign of a loss's coefficient: proved by bounds, or negative at a point.
//!
//! What data decide is the data's: a loss times an input, be it the weight of a sample or an advantage, is raised by an input
//! that says so and not by the way losses are combined. So where a coefficient reads inputs or targets as they are, it
//! counts as negative only if it is for all of several such values.

use super::points::{Formula, Point, Question, elements};
use super::study::{Branch, Study};
use crate::ir::NodeId;
use crate::ops::{Input, InputKind, Op};

/// What rounding in the bounds may amount to.
const ROUNDING: f64 = 1e-12;

/// Points at which a coefficient is evaluated, and the arithmetic spent on it.
const POINTS: usize = 600;
const BUDGET: f64 = 8e6;

/// What is known of a coefficient's sign.
#[derive(Clone, Debug, PartialEq)]
pub enum Sign {
    /// at least 0, by bounds
    Proved,
    /// negative at a point: its value there, and what was put in
    Negative {
        value: f64,
        at: Vec<(String, f64)>,
    },
    /// negative at none of so many points
    NotRefuted(usize),
    Unknown,
}

/// The sign of a branch's coefficient.
pub fn sign(study: &Study, branch: &Branch) -> Sign {
    if study.at_any_size(branch.coefficient).low >= -ROUNDING {
        return Sign::Proved;
    }
    let live: Vec<NodeId> =
        study.weights.iter().map(|weight| weight.node).chain(study.branches.iter().map(|b| b.node)).collect();
    let question = Question { graph: &study.graph, domains: &study.domains, bounds: &study.usual };
    let Some(formula) = question.formula(&[branch.coefficient], &live) else { return Sign::Unknown };
    let points = formula.affordable(POINTS, BUDGET);
    let read = Read::of(study, &formula);
    let asked: Vec<Option<Negative>> =
        read.settings().into_iter().map(|data| negative(&formula, &read, data, points)).collect();
    match asked.into_iter().collect::<Option<Vec<Negative>>>() {
        Some(found) => {
            let Negative { value, number, data } = found[found.len() - 1];
            Sign::Negative { value, at: numbers_of(study, &formula, &read.point(&formula, number, data)) }
        }
        None => Sign::NotRefuted(points),
    }
}

/// A point at which a coefficient is negative.
#[derive(Clone, Copy, Debug)]
struct Negative {
    value: f64,
    number: usize,
    data: Option<f64>,
}

/// The inputs and targets that a formula reads as they are.
struct Read {
    leaves: Vec<usize>,
}

impl Read {
    fn of(study: &Study, formula: &Formula) -> Self {
        let is_data = |node: NodeId| match study.graph.op(node) {
            Op::Input(Input { kind: InputKind::Input | InputKind::Target, ty }) => ty.is_float(),
            _ => false,
        };
        let leaves = formula.leaves.iter().enumerate().filter(|(_, leaf)| is_data(leaf.node));
        Self { leaves: leaves.map(|(at, _)| at).collect() }
    }

    /// What data are taken to be, one after the other.
    fn settings(&self) -> Vec<Option<f64>> {
        if self.leaves.is_empty() { vec![None] } else { vec![Some(1.0), Some(0.5)] }
    }

    fn point(&self, formula: &Formula, number: usize, data: Option<f64>) -> Point {
        let mut point = formula.point(number);
        for leaf in self.leaves.iter().filter(|_| data.is_some()) {
            point.numbers(*leaf).fill(data.unwrap_or_default());
        }
        point
    }
}

/// The first point at which a coefficient is negative, or one soon after it that shows more.
fn negative(formula: &Formula, read: &Read, data: Option<f64>, points: usize) -> Option<Negative> {
    let mut found: Option<(f64, usize)> = None;
    for number in 0..points {
        let values = elements(&formula.at(&read.point(formula, number, data))[0]);
        let size = values.iter().fold(0.0, |size: f64, x| size.max(x.abs()));
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let is_better = found.is_none_or(|(other, _)| least < other);
        if least < -1e-9 * size.max(1e-9) && least.is_finite() && is_better {
            found = Some((least, number));
        }
        if found.is_some_and(|(_, first)| number > first + 40) {
            break;
        }
    }
    found.map(|(value, number)| Negative { value, number, data })
}

/// What was put in at a point, in the spec's names: of long values the mean.
fn numbers_of(study: &Study, formula: &Formula, point: &Point) -> Vec<(String, f64)> {
    let mut point = point.clone();
    let mut found = Vec::new();
    for (at, leaf) in formula.leaves.iter().enumerate() {
        let numbers = point.numbers(at).to_vec();
        match (study.name_of(leaf.node), numbers.as_slice()) {
            (None, _) | (_, []) => {}
            (Some(name), [x]) => found.push((name, *x)),
            (Some(name), numbers) if numbers.len() > 4 || study.is_branch(leaf.node) => {
                found.push((format!("mean({name})"), numbers.iter().sum::<f64>() / numbers.len() as f64));
            }
            (Some(name), numbers) => {
                found.extend(numbers.iter().enumerate().map(|(i, x)| (format!("{name}[{i}]"), *x)));
            }
        }
    }
    found.truncate(8);
    found
}

impl std::fmt::Display for Sign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Proved => write!(f, "at least 0"),
            Self::Negative { value, at } => {
                let point: Vec<String> = at.iter().map(|(name, value)| format!("{name} = {}", short(*value))).collect();
                match point.is_empty() {
                    true => write!(f, "{}", short(*value)),
                    false => write!(f, "{} at {}", short(*value), point.join(", ")),
                }
            }
            Self::NotRefuted(points) => write!(f, "negative at none of {points} points"),
            Self::Unknown => write!(f, "unknown"),
        }
    }
}

/// Three digits, whatever the magnitude.
pub(super) fn short(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (1e-2..1e4).contains(&size) { format!("{value:.3}") } else { format!("{value:.2e}") }
}
