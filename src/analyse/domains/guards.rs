//! What a spec's own guards say of a value besides its bounds: a `where` bounds the branch that it chooses, exponents less their
//! largest sum to 1 at least, and inner products of gradients are those of vectors.

use super::{ABOVE_ZERO, Domains, Reading, inner};
use crate::analyse::interval::Interval;
use crate::analyse::points::{self, Point, Question, elements};
use crate::analyse::study::reach;
use crate::ir::NodeId;
use crate::ops::{Domain, InputKind, Op};
use std::collections::BTreeMap;

/// Points at which a function of inner products is evaluated, and the arithmetic spent on them.
const POINTS: usize = 120;
const BUDGET: f64 = 2e6;

/// A value compared with a number: below, at or above it.
struct Comparison {
    number: f64,
    may_be_below: bool,
    may_be_equal: bool,
    may_be_above: bool,
}

/// What is known of nodes besides their ops' bounds.
impl Domains<'_> {
    pub(super) fn of_node(&self, id: NodeId, found: Interval, so_far: &[Interval], reading: Reading) -> Interval {
        let operands = self.graph.operands(id);
        let at_least = |low: f64| Interval::new(found.low.max(low), found.high.max(low));
        let is_mean = reading != Reading::Root && self.is_mean_loss[id.index()];
        if (self.is_named_loss[id.index()] || is_mean) && found.high > 0.0 {
            return at_least(ABOVE_ZERO);
        }
        let is_above = reading != Reading::Logarithm;
        match self.graph.op(id) {
            Op::Input(input) if input.kind == InputKind::State && found.low >= 0.0 => at_least(ABOVE_ZERO),
            Op::Exp(_) => at_least(ABOVE_ZERO),
            // A quotient comes to 0 where its divisor ends, and that is nowhere.
            Op::Div(_) if operands.iter().all(|operand| so_far[operand.index()].low > 0.0) => at_least(ABOVE_ZERO),
            Op::Softplus(_) if is_above => at_least(ABOVE_ZERO),
            Op::Sigmoid(_) | Op::Softmax(_) if is_above && found == Interval::UNIT => {
                Interval::new(ABOVE_ZERO, 1.0 - ABOVE_ZERO)
            }
            Op::Sub(_) if self.is_largest_of(operands[1], operands[0]) => found.min(Interval::ZERO),
            Op::Sum(_) if self.has_largest(operands[0]) => at_least(1.0),
            Op::Sum(_) if found.low == 0.0 && self.facts.by_param[id.index()] && !self.by_other[id.index()] => {
                at_least(ABOVE_ZERO)
            }
            Op::Select(_) => self.branch(&operands, 1, so_far).hull(self.branch(&operands, 2, so_far)),
            _ => found,
        }
    }

    /// Whether `b` is the largest of the elements of `a`.
    fn is_largest_of(&self, b: NodeId, a: NodeId) -> bool {
        let b = inner(self.graph, b);
        let a = inner(self.graph, a);
        matches!(self.graph.op(b), Op::MaxReduce(_))
            && self.intervals.are_same(inner(self.graph, self.graph.operands(b)[0]), a)
    }

    /// `exp(x - max(x))`, one of whose elements is 1.
    fn has_largest(&self, id: NodeId) -> bool {
        let id = inner(self.graph, id);
        let Op::Exp(_) = self.graph.op(id) else { return false };
        let shifted = inner(self.graph, self.graph.operands(id)[0]);
        let sides = self.graph.operands(shifted);
        matches!(self.graph.op(shifted), Op::Sub(_)) && self.is_largest_of(sides[1], sides[0])
    }

    /// The bounds of a branch of a `where`, as far as its mask says more.
    fn branch(&self, operands: &[NodeId], slot: usize, so_far: &[Interval]) -> Interval {
        let found = so_far[operands[slot].index()];
        let value = inner(self.graph, operands[slot]);
        let Some(comparison) = self.comparison(operands[0], slot == 1, value, so_far) else { return found };
        let number = comparison.number;
        // Next to 0, which a positive number is not.
        let next = |at: f64, step: f64| if at == 0.0 { step } else { at };
        let low = match (comparison.may_be_below, comparison.may_be_equal) {
            (true, _) => found.low,
            (false, true) => number,
            (false, false) => next(number, ABOVE_ZERO),
        };
        let high = match (comparison.may_be_above, comparison.may_be_equal) {
            (true, _) => found.high,
            (false, true) => number,
            (false, false) => next(number, -ABOVE_ZERO),
        };
        // What is at least 0, and not 0, is above it.
        let is_not = comparison.may_be_below && comparison.may_be_above && !comparison.may_be_equal;
        let low = if is_not && number == 0.0 && found.low == 0.0 { ABOVE_ZERO } else { low };
        Interval::new(found.low.max(low), found.high.min(high).max(found.low.max(low)))
    }

    /// What a mask says of a value where it holds, or where it does not.
    fn comparison(&self, mask: NodeId, holds: bool, of: NodeId, so_far: &[Interval]) -> Option<Comparison> {
        let mask = inner(self.graph, mask);
        let operands = self.graph.operands(mask);
        let (below, equal) = match self.graph.op(mask) {
            Op::Not(_) => return self.comparison(operands[0], !holds, of, so_far),
            Op::And(_) if holds => return operands.iter().find_map(|side| self.comparison(*side, holds, of, so_far)),
            Op::Or(_) if !holds => return operands.iter().find_map(|side| self.comparison(*side, holds, of, so_far)),
            Op::Less(_) => (true, false),
            Op::LessEqual(_) => (true, true),
            Op::Equal(_) => (false, true),
            _ => return None,
        };
        let above = false;
        let number = |id: NodeId| Some(so_far[id.index()]).filter(|bounds| bounds.is_point()).map(|bounds| bounds.low);
        let (value, number, is_mirrored) = match (number(operands[0]), number(operands[1])) {
            (None, Some(number)) => (operands[0], number, false),
            (Some(number), None) => (operands[1], number, true),
            _ => return None,
        };
        if !self.intervals.are_same(inner(self.graph, value), of) {
            return None;
        }
        let flip = |may: bool| may == holds;
        let (below, equal, above) = (flip(below), flip(equal), flip(above));
        let (below, above) = if is_mirrored { (above, below) } else { (below, above) };
        Some(Comparison { number, may_be_below: below, may_be_equal: equal, may_be_above: above })
    }

    /// Whether a node is never 0 for a reason that bounds do not hold.
    pub(super) fn is_known_nonzero(&self, id: NodeId) -> bool {
        let (operands, so_far) = (self.graph.operands(id), &self.is_nonzero);
        match self.graph.op(id) {
            Op::Reshape(_) | Op::Broadcast(_) | Op::StopGradient(_) | Op::Transpose(_) | Op::Neg(_) | Op::Abs(_) => {
                so_far[operands[0].index()]
            }
            Op::Mul(_) => so_far[operands[0].index()] && so_far[operands[1].index()],
            Op::Select(_) => [1, 2].into_iter().all(|slot| {
                let value = inner(self.graph, operands[slot]);
                let constant = matches!(self.graph.op(value), Op::Constant(constant) if constant.value.0 != 0.0);
                constant || so_far[operands[slot].index()] || self.excludes_zero(operands[0], slot == 1, value)
            }),
            _ => false,
        }
    }

    /// Whether a mask that holds, or does not, says that a value is not 0.
    fn excludes_zero(&self, mask: NodeId, holds: bool, value: NodeId) -> bool {
        let mask = inner(self.graph, mask);
        let operands = self.graph.operands(mask);
        let is_zero = |id: NodeId| matches!(self.graph.op(inner(self.graph, id)), Op::Constant(constant) if constant.value.0 == 0.0);
        let is_value = |id: NodeId| self.intervals.are_same(inner(self.graph, id), value);
        match self.graph.op(mask) {
            Op::Not(_) => self.excludes_zero(operands[0], !holds, value),
            // A condition made of the value, such as `abs(x) * y > 1e-6`, is there to keep it from 0.
            Op::Less(_) | Op::LessEqual(_) | Op::And(_) if holds => {
                let below = reach(self.graph, mask, &[], true);
                self.graph.ids().any(|id| below[id.index()] && self.intervals.are_same(id, value))
            }
            Op::Equal(_) if !holds => {
                (is_zero(operands[0]) && is_value(operands[1])) || (is_zero(operands[1]) && is_value(operands[0]))
            }
            _ => false,
        }
    }

    /// Whether an operand that is computed of inner products of gradients lies in a domain at all points that are tried: bounds
    /// of whole matrices do not see that a diagonal is at least 0.
    pub(super) fn is_inside_by_gramian(&self, domain: Domain, operand: NodeId) -> bool {
        if !self.by_gramian[operand.index()] {
            return false;
        }
        let domains: BTreeMap<NodeId, points::Domain> =
            self.gramians.iter().map(|gramian| (*gramian, points::Domain::Gramian)).collect();
        let bounds = &self.bounds[Reading::Divisor as usize];
        let question = Question { graph: self.graph, domains: &domains, bounds };
        let Some(formula) = question.formula(&[operand], &self.gramians) else { return false };
        let leaves: Vec<usize> = self.gramians.iter().filter_map(|gramian| formula.leaf(*gramian)).collect();
        // As losses are, a gradient's length is taken to be above 0.
        let is_usual = |point: &Point| {
            leaves.iter().all(|leaf| {
                let gram = elements(&point.values[*leaf]);
                let k = gram.len().isqrt();
                (0..k).all(|i| gram[i * k + i] > 0.0)
            })
        };
        let is_live = self.is_live[operand.index()];
        let lies_inside = |x: f64| self.is_inside(domain, operand, Interval::point(x), is_live);
        let mut points = (0..formula.affordable(POINTS, BUDGET)).map(|number| formula.point(number)).filter(is_usual);
        points.all(|point| elements(&formula.at(&point)[0]).into_iter().all(lies_inside))
    }
}
