//! Where a graph may leave the numbers: each op's operands, by their bounds, against the domain in which the op and its
//! derivative are finite ([`crate::ops::Domain`]).
//!
//! Takes a module; answers for each node of its graph. Bounds are those of [`super::interval`], with what a spec's own guards
//! say besides: a `where` bounds the branch that it chooses, and exponents less their largest sum to 1 at least.
//!
//! What is assumed: losses and states that are never negative are above 0 (a combiner divides by them on purpose), and so are
//! sums of what params alone decide; what only data decide lies in the domain unless it is made to reach its end, such as a
//! count; functions that are above 0 for every number, as `exp`, are above 0, except under a logarithm, where their underflow
//! counts. A divisor of either sign counts as 0 somewhere when it surely takes all numbers ([`super::free`]). A target is 0 or 1
//! where that is enough.

mod guards;

use super::facts::Facts;
use super::free::Free;
use super::interval::{Interval, Intervals};
use super::study::reach;
use crate::ir::{Dim, Graph, NodeId, Role};
use crate::lower::Module;
use crate::ops::{Domain, Flow, InputKind, Op};
use std::cell::OnceCell;
use std::collections::BTreeMap;

/// A number that is taken to be above 0 is taken to be this.
const ABOVE_ZERO: f64 = 1e-6;
/// The least number that f32 holds with all digits; what lies below counts as 0.
const LEAST: f64 = f32::MIN_POSITIVE as f64;
/// Beyond this exponent an exponential is infinite in f32.
const LARGEST_EXPONENT: f64 = 88.0;

/// What is wrong with a node.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Trouble {
    Domain(Outside),
    /// an infinite exponential over another
    Overflow,
    /// the sum of a weighted value over the sum of its weights
    MaskedMean,
}

/// An operand that is not shown to lie in its domain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Outside {
    pub bounds: Interval,
    /// a `where` leaves the value out, too late for the derivative
    pub is_guarded_late: bool,
}

/// In which operation bounds are asked for: what they assume differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// functions that underflow may be 0
    Logarithm,
    Root,
    /// means over the batch that depend on a target are losses too
    Divisor,
}

const READINGS: [Reading; 3] = [Reading::Logarithm, Reading::Root, Reading::Divisor];

type Bounds = [Vec<Interval>; 3];

/// What is known of a module's nodes.
pub(super) struct Domains<'g> {
    graph: &'g Graph,
    facts: &'g Facts<'g>,
    intervals: &'g Intervals<'g>,
    users: Vec<Vec<(NodeId, usize)>>,
    is_named_loss: Vec<bool>,
    is_mean_loss: Vec<bool>,
    by_target: Vec<bool>,
    /// the value depends on inputs, targets, states, the clock or draws
    by_other: Vec<bool>,
    /// by [`Reading`]
    bounds: Bounds,
    /// the same with targets at 0 or 1
    labelled: OnceCell<Bounds>,
    /// known not to be 0, for a reason that bounds do not hold
    is_nonzero: Vec<bool>,
    /// a gradient passes through it to a param
    is_live: Vec<bool>,
    /// the inner products of the losses' gradients
    gramians: Vec<NodeId>,
    /// the value is computed of these and of no other value that data or params decide
    by_gramian: Vec<bool>,
    /// an exponential makes it infinite
    overflows: Vec<bool>,
}

impl<'g> Domains<'g> {
    pub fn of(module: &Module, facts: &'g Facts<'g>) -> Self {
        let graph = facts.graph;
        let none = || vec![false; graph.len()];
        let mut domains = Self {
            graph,
            facts,
            intervals: &facts.intervals,
            users: vec![Vec::new(); graph.len()],
            is_named_loss: none(),
            is_mean_loss: none(),
            by_target: none(),
            by_other: none(),
            bounds: Bounds::default(),
            labelled: OnceCell::new(),
            is_nonzero: none(),
            is_live: none(),
            gramians: module.gramians.clone(),
            by_gramian: none(),
            overflows: none(),
        };
        for (node, _) in module.losses.values().chain(module.branches.values()) {
            domains.is_named_loss[node.index()] = true;
        }
        domains.follow_leaves();
        domains.follow_gramians();
        domains.bounds = READINGS.map(|reading| domains.refined(&facts.known, reading));
        domains.follow_values();
        domains.follow_gradients(module);
        domains
    }

    /// Notes users, and what leaves values depend on.
    fn follow_leaves(&mut self) {
        let graph = self.graph;
        for id in graph.ids() {
            let operands = graph.operands(id);
            for (slot, operand) in operands.iter().enumerate() {
                self.users[operand.index()].push((id, slot));
            }
            let kind = match graph.op(id) {
                Op::Input(input) => Some(input.kind),
                _ => None,
            };
            let is_leaf = operands.is_empty();
            let constant = matches!(graph.op(id), Op::Constant(_) | Op::Size(_) | Op::Iota(_));
            let any = |marks: &[bool]| operands.iter().any(|operand| marks[operand.index()]);
            self.by_target[id.index()] = kind == Some(InputKind::Target) || any(&self.by_target);
            self.by_other[id.index()] = (is_leaf && !constant && kind != Some(InputKind::Param)) || any(&self.by_other);
            if let Op::Sum(sum) = graph.op(id) {
                let shape = &graph.ty(operands[0]).shape;
                let sums_batch = sum.axes.iter().any(|axis| shape[*axis] == Dim::batch());
                self.is_mean_loss[id.index()] = sums_batch
                    && graph.ty(id).is_scalar()
                    && self.by_target[id.index()]
                    && self.facts.by_param[id.index()];
            }
        }
    }

    /// Notes what is computed of inner products of gradients alone.
    fn follow_gramians(&mut self) {
        let graph = self.graph;
        let mut is_other = vec![false; graph.len()];
        for id in graph.ids().filter(|_| !self.gramians.is_empty()) {
            let operands = graph.operands(id);
            let any = |marks: &[bool]| operands.iter().any(|operand| marks[operand.index()]);
            let is_gramian = self.gramians.contains(&id);
            let is_source = match graph.op(id) {
                Op::Input(input) => {
                    matches!(input.kind, InputKind::Input | InputKind::Target | InputKind::Param) && input.ty.is_float()
                }
                Op::Random(_) => true,
                _ => false,
            };
            is_other[id.index()] = !is_gramian && (is_source || any(&is_other));
            self.by_gramian[id.index()] = is_gramian || (!is_other[id.index()] && any(&self.by_gramian));
        }
    }

    /// Notes what overflows and what is not 0.
    fn follow_values(&mut self) {
        let graph = self.graph;
        let plain = &self.bounds[Reading::Logarithm as usize];
        for id in graph.ids() {
            let operands = graph.operands(id);
            let grows = |operand: &NodeId| self.overflows[operand.index()];
            let from = |operand: &NodeId| plain[operand.index()];
            let bounds: Vec<Interval> = operands.iter().map(from).collect();
            let is_large = match graph.op(id) {
                op if op.exponent(&bounds).is_some() => op.exponent(&bounds) > Some(LARGEST_EXPONENT),
                Op::Div(_) => grows(&operands[0]) && !grows(&operands[1]),
                Op::Add(_)
                | Op::Sub(_)
                | Op::Mul(_)
                | Op::Neg(_)
                | Op::Sum(_)
                | Op::Reshape(_)
                | Op::Broadcast(_)
                | Op::Transpose(_)
                | Op::Slice(_)
                | Op::Concat(_)
                | Op::StopGradient(_) => operands.iter().any(grows),
                _ => false,
            };
            self.overflows[id.index()] = is_large && plain[id.index()].abs().high > f64::from(f32::MAX);
            self.is_nonzero[id.index()] = self.is_known_nonzero(id);
        }
    }

    /// Notes through what a gradient passes to a param.
    fn follow_gradients(&mut self, module: &Module) {
        let graph = self.graph;
        let mut trains = vec![false; graph.len()];
        for id in graph.ids() {
            let operands = graph.operands(id);
            let is_param = matches!(graph.op(id), Op::Input(input) if input.kind == InputKind::Param);
            let open = |slot: usize| graph.op(id).flow(slot) == Flow::Differentiable && trains[operands[slot].index()];
            trains[id.index()] = is_param || (0..operands.len()).any(open);
        }
        let objectives: Vec<NodeId> =
            graph.outputs.iter().filter(|output| output.role == Role::Objective).map(|output| output.node).collect();
        let losses = || module.losses.values().map(|(node, _)| *node).collect();
        let roots: Vec<NodeId> = if objectives.is_empty() { losses() } else { objectives };
        for root in roots {
            for (id, reached) in graph.ids().zip(reach(graph, root, &[], false)) {
                self.is_live[id.index()] |= reached && trains[id.index()];
            }
        }
        for one in self.facts.loops {
            if !one.results.iter().any(|result| self.is_live[result.index()]) {
                continue;
            }
            for end in &one.ends {
                let reached = reach(graph, *end, &[], false);
                for id in graph.ids().skip(one.first) {
                    self.is_live[id.index()] |= reached[id.index()] && trains[id.index()];
                }
            }
        }
    }

    fn refined(&self, known: &BTreeMap<NodeId, Interval>, reading: Reading) -> Vec<Interval> {
        let refine = |id: NodeId, found: Interval, so_far: &[Interval]| self.of_node(id, found, so_far, reading);
        self.intervals.refined(known, Some(&self.facts.is_asked), refine)
    }

    /// The bounds where every target is 0 or 1.
    fn labelled(&self) -> &Bounds {
        self.labelled.get_or_init(|| {
            let at = |label: f64, reading: Reading| {
                let mut known = self.facts.known.clone();
                let is_target = |id: &NodeId| {
                    matches!(self.graph.op(*id), Op::Input(input) if input.kind == InputKind::Target)
                        && self.graph.ty(*id).is_float()
                };
                known.extend(self.graph.ids().filter(is_target).map(|id| (id, Interval::point(label))));
                self.refined(&known, reading)
            };
            READINGS.map(|reading| {
                at(0.0, reading).into_iter().zip(at(1.0, reading)).map(|(no, yes)| no.hull(yes)).collect()
            })
        })
    }

    /// What is wrong with a node, if anything.
    pub fn trouble(&self, id: NodeId) -> Option<Trouble> {
        if !self.facts.is_asked[id.index()] || !self.graph.ty(id).is_float() {
            return None;
        }
        if self.is_overflow(id) {
            return Some(Trouble::Overflow);
        }
        if self.is_masked_mean(id) {
            return Some(Trouble::MaskedMean);
        }
        let reading = match self.graph.op(id) {
            Op::Log(_) | Op::Log1p(_) => Reading::Logarithm,
            Op::Div(_) => Reading::Divisor,
            _ => Reading::Root,
        };
        let bounds = &self.bounds[reading as usize];
        let operands = self.graph.operands(id);
        let all: Vec<Interval> = operands.iter().map(|operand| bounds[operand.index()]).collect();
        (0..operands.len()).find_map(|slot| {
            let domain = self.graph.op(id).domain(slot, &all)?;
            let outside = self.outside(id, operands[slot], domain, reading)?;
            Some(Trouble::Domain(outside))
        })
    }

    /// An operand that is not shown to lie in its domain.
    fn outside(&self, id: NodeId, operand: NodeId, domain: Domain, reading: Reading) -> Option<Outside> {
        let bounds = &self.bounds[reading as usize];
        let found = bounds[operand.index()];
        let inside = |found: Interval| self.is_inside(domain, operand, found, self.is_live[operand.index()]);
        if inside(found) {
            return None;
        }
        // Numbers that come as data are the data's matter, unless they are made to end at the domain's end.
        let ends = match domain {
            Domain::Within { low, high, .. } => (low, high),
            Domain::NonZero => (0.0, 0.0),
        };
        let is_made = found.low == ends.0 || found.high == ends.1 && ends.1.is_finite();
        let crosses = domain == Domain::NonZero && found.low < 0.0 && found.high > 0.0;
        if !is_made && !self.facts.by_param[operand.index()] {
            return None;
        }
        if crosses && !Free::new(self.facts, bounds).is_free(operand) {
            return None;
        }
        // A weight that a divisor squares is driven away from 0 by what it divides.
        if domain == Domain::NonZero && !crosses && !self.by_other[operand.index()] {
            return None;
        }
        if self.by_target[operand.index()] && inside(self.labelled()[reading as usize][operand.index()]) {
            return None;
        }
        if self.is_inside_by_gramian(domain, operand) {
            return None;
        }
        let is_guarded_late = self.is_chosen(id, operand);
        if is_guarded_late && !self.is_live[id.index()] {
            return None;
        }
        Some(Outside { bounds: found, is_guarded_late })
    }

    fn is_inside(&self, domain: Domain, operand: NodeId, found: Interval, is_live: bool) -> bool {
        match domain {
            Domain::NonZero => found.low >= LEAST || found.high <= -LEAST || self.is_nonzero[operand.index()],
            Domain::Within { low, high, has_ends } => {
                let ends_count = !has_ends || is_live;
                let margin = |end: f64| if end == 0.0 { LEAST } else { f64::from(f32::EPSILON) * end.abs() / 4.0 };
                let above = if ends_count { found.low >= low + margin(low) } else { found.low >= low };
                let below = if high.is_infinite() || !ends_count {
                    found.high <= high
                } else {
                    found.high <= high - margin(high)
                };
                above && below
            }
        }
    }

    /// An infinite exponential in a quotient or under a logarithm where a finite value is meant.
    fn is_overflow(&self, id: NodeId) -> bool {
        let operands = self.graph.operands(id);
        let grows = |id: NodeId| self.overflows[id.index()];
        match self.graph.op(id) {
            Op::Div(_) => grows(operands[1]) && (grows(operands[0]) || self.is_one_and_more(operands[1])),
            Op::Log(_) => {
                let x = self.inner(operands[0]);
                grows(x)
                    && match self.graph.op(x) {
                        Op::Add(_) => self.is_one_and_more(x) || self.graph.operands(x).into_iter().all(grows),
                        Op::Sum(_) | Op::Cosh(_) | Op::Div(_) => true,
                        _ => false,
                    }
            }
            _ => false,
        }
    }

    /// `1 + …`
    fn is_one_and_more(&self, id: NodeId) -> bool {
        let id = self.inner(id);
        matches!(self.graph.op(id), Op::Add(_))
            && self
                .graph
                .operands(id)
                .into_iter()
                .any(|term| self.bounds[Reading::Logarithm as usize][term.index()] == Interval::point(1.0))
    }

    /// `sum(x * m) / sum(m)` of weights `m` that come as data.
    fn is_masked_mean(&self, id: NodeId) -> bool {
        let Op::Div(_) = self.graph.op(id) else { return false };
        let operands = self.graph.operands(id);
        let [Some(part), Some(whole)] = [operands[0], operands[1]].map(|side| self.summed(side)) else { return false };
        if self.facts.by_param[whole.index()]
            || self.bounds[Reading::Logarithm as usize][operands[1].index()].low >= LEAST
        {
            return false;
        }
        let weight = self.inner(whole);
        let mut open = vec![self.inner(part)];
        while let Some(id) = open.pop() {
            if self.intervals.are_same(id, weight) && self.is_data(id) {
                return true;
            }
            if let Op::Mul(_) | Op::Neg(_) = self.graph.op(id) {
                open.extend(self.graph.operands(id).into_iter().map(|operand| self.inner(operand)));
            }
        }
        false
    }

    fn is_data(&self, id: NodeId) -> bool {
        let is_constant = self.bounds[Reading::Logarithm as usize][id.index()].is_point();
        !is_constant && !self.facts.by_param[id.index()]
    }

    /// What a sum or a mean is of.
    fn summed(&self, id: NodeId) -> Option<NodeId> {
        let id = self.inner(id);
        let operands = self.graph.operands(id);
        match self.graph.op(id) {
            Op::Sum(_) => Some(self.summed(operands[0]).unwrap_or(operands[0])),
            Op::Div(_) if matches!(self.graph.op(self.inner(operands[1])), Op::Size(_) | Op::Constant(_)) => {
                self.summed(operands[0])
            }
            _ => None,
        }
    }

    /// Whether all that reads a node chooses it by a `where` that asks for the operand.
    fn is_chosen(&self, id: NodeId, operand: NodeId) -> bool {
        let users = &self.users[id.index()];
        let chooses = |user: NodeId, slot: usize| {
            matches!(self.graph.op(user), Op::Select(_)) && slot > 0 && {
                let mask = self.graph.operands(user)[0];
                let below = reach(self.graph, mask, &[], true);
                let root = self.inner(operand);
                self.graph.ids().any(|id| below[id.index()] && self.intervals.are_same(id, root))
            }
        };
        !users.is_empty() && users.iter().all(|(user, slot)| chooses(*user, *slot))
    }

    fn inner(&self, id: NodeId) -> NodeId {
        inner(self.graph, id)
    }
}

/// Behind what only changes the shape.
fn inner(graph: &Graph, mut id: NodeId) -> NodeId {
    while matches!(graph.op(id), Op::Reshape(_) | Op::Broadcast(_) | Op::StopGradient(_) | Op::Transpose(_)) {
        id = graph.operands(id)[0];
    }
    id
}
