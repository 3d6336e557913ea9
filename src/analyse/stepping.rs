//! What an optimizer's step does to a param, with numbers put in: whether it goes up the gradient, and whether it draws the param
//! to 0 where the gradient is 0.
//!
//! The step is the graph's own, from the param, its gradient and the optimizer's states to the next value. States are at
//! their first values, and those that begin as the param are the param; the clock is anywhere. What a point shows is true
//! of the step there.

use super::facts::Facts;
use super::interval::{Interval, intervals};
use super::points::{Domain, Formula, Point, Question, elements};
use crate::ir::{Graph, NodeId, OutputsByName, Role};
use crate::lower::Module;
use crate::ops::Op;
use std::collections::BTreeMap;

/// Points that are tried, and the arithmetic spent on them.
const POINTS: usize = 24;
const BUDGET: f64 = 6e6;

/// Where a step goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Up,
    Nowhere,
}

/// The steps of a module's optimizers.
pub(super) struct Stepping<'m> {
    module: &'m Module,
    graph: &'m Graph,
    bounds: Vec<Interval>,
    domains: BTreeMap<NodeId, Domain>,
    gradients: Vec<NodeId>,
    /// the first values, and their bounds
    starts: OutputsByName<'m>,
    first: Vec<Interval>,
}

impl<'m> Stepping<'m> {
    pub fn of(module: &'m Module, facts: &Facts<'m>) -> Self {
        let graph = facts.graph;
        let is_gradient =
            |id: &NodeId| id.index() < module.graph.len() && matches!(module.graph.op(*id), Op::Gradient(_));
        let gradients: Vec<NodeId> = graph.ids().filter(is_gradient).collect();
        let mut domains: BTreeMap<NodeId, Domain> = BTreeMap::new();
        domains.extend(gradients.iter().map(|id| (*id, Domain::Number(Interval::ALL))));
        let bounds = vec![Interval::ALL; graph.len()];
        let first = intervals(&module.init, &BTreeMap::new());
        Self { module, graph, bounds, domains, gradients, starts: module.init.outputs_by_name(), first }
    }

    /// The bounds of the first value of a state.
    pub fn first_of(&self, state: &str) -> Option<Interval> {
        self.starts.get(Role::State, state).map(|start| self.first[start.index()])
    }

    /// The step of one param, `node` being its next value; `None` where it costs too much.
    pub fn step(&self, path: &str, node: NodeId) -> Option<OneStep> {
        let param = self.module.params[path].node;
        let states = self.module.states.values().map(|state| state.node);
        let live: Vec<NodeId> = [param].into_iter().chain(self.gradients.iter().copied()).chain(states).collect();
        let question = Question { graph: self.graph, domains: &self.domains, bounds: &self.bounds };
        let formula = question.formula(&[node], &live)?;
        let at = formula.leaf(param);
        let is_gradient = |leaf: &usize| self.gradients.contains(&formula.leaves[*leaf].node);
        let gradients: Vec<usize> = (0..formula.leaves.len()).filter(is_gradient).collect();
        // Clipping of all together reads those of other params.
        let is_own = |leaf: &usize| self.module.graph.operands(formula.leaves[*leaf].node)[1] == param;
        let own_gradients = gradients.iter().copied().filter(is_own).collect();
        let begins = |role: Role, path: &str| self.starts.get(role, path);
        let own = begins(Role::Param, path);
        let mut starts = Vec::new();
        for (name, state) in &self.module.states {
            let (Some(leaf), Some(start)) = (formula.leaf(state.node), begins(Role::State, name)) else { continue };
            let first = self.first[start.index()];
            if Some(start) == own {
                starts.push((leaf, Start::Param));
            } else if first.is_point() {
                starts.push((leaf, Start::Number(first.low)));
            }
        }
        let needed = self.graph.slice_back([node]);
        let is_noisy = self.graph.ids().any(|id| needed[id.index()] && matches!(self.graph.op(id), Op::Random(_)));
        Some(OneStep { formula, param: at, gradients, own_gradients, starts, is_noisy })
    }
}

/// What a state begins as.
#[derive(Clone, Copy, Debug)]
enum Start {
    Number(f64),
    Param,
}

/// The step of one param as a formula.
#[derive(Debug)]
pub(super) struct OneStep {
    formula: Formula,
    /// the leaves that the param and gradients are
    param: Option<usize>,
    gradients: Vec<usize>,
    /// those by the param itself, which are added up
    own_gradients: Vec<usize>,
    starts: Vec<(usize, Start)>,
    /// it draws random numbers
    is_noisy: bool,
}

impl OneStep {
    /// The next value where the param, or what a function makes of its draws, has a gradient.
    fn next(&self, point: &Point) -> Vec<f64> {
        elements(&self.formula.at(point)[0])
    }

    /// A point with the param and its gradient as functions of what is drawn for them.
    fn point(&self, number: usize, param: impl Fn(f64) -> f64, gradient: impl Fn(f64) -> f64) -> Point {
        let mut point = self.formula.point(number);
        for leaf in &self.gradients {
            point.numbers(*leaf).iter_mut().for_each(|x| *x = gradient(*x));
        }
        if let Some(leaf) = self.param {
            point.numbers(leaf).iter_mut().for_each(|x| *x = param(*x));
        }
        self.start(&mut point);
        point
    }

    /// Puts states at their first values.
    fn start(&self, point: &mut Point) {
        let own: Vec<f64> = self.param.map(|leaf| point.numbers(leaf).to_vec()).unwrap_or_default();
        for (leaf, start) in &self.starts {
            let numbers = point.numbers(*leaf);
            match start {
                Start::Number(first) => numbers.fill(*first),
                Start::Param if numbers.len() == own.len() => numbers.copy_from_slice(&own),
                Start::Param => {}
            }
        }
    }

    fn points(&self) -> std::ops::Range<usize> {
        0..self.formula.affordable(POINTS, BUDGET)
    }

    /// Whether a step from 0 goes up the gradient at a point, or at every point where it draws noise; or nowhere at any.
    pub fn direction(&self) -> Option<Direction> {
        let (mut up, mut asked, mut moved) = (0, 0, false);
        for number in self.points() {
            let mut point = self.point(number, |_| 0.0, |x| x);
            let next = self.next(&point);
            let mut gradient = vec![0.0; next.len()];
            for leaf in &self.own_gradients {
                gradient.iter_mut().zip(point.numbers(*leaf)).for_each(|(sum, x)| *sum += *x);
            }
            if self.own_gradients.is_empty() || !next.iter().all(|x| x.is_finite()) {
                continue;
            }
            let along: f64 = gradient.iter().zip(&next).map(|(g, x)| g * x).sum();
            let size: f64 = gradient.iter().zip(&next).map(|(g, x)| (g * x).abs()).sum();
            asked += 1;
            moved |= size > 0.0;
            up += usize::from(along > 1e-9 * size && size > 0.0);
        }
        let is_up = if self.is_noisy { up == asked } else { up > 0 };
        match asked > 0 {
            true if !moved => Some(Direction::Nowhere),
            true if is_up => Some(Direction::Up),
            _ => None,
        }
    }

    /// Whether a step without a gradient draws the param to 0: all of it nearer, and not at once. What a constraint puts back
    /// is put back first.
    pub fn decays(&self) -> bool {
        let Some(leaf) = self.param.filter(|_| !self.is_noisy) else { return false };
        self.points().any(|number| {
            let mut point = self.point(number, |x| x, |_| 0.0);
            let held = self.next(&point);
            if held.len() != point.numbers(leaf).len() {
                return false;
            }
            point.numbers(leaf).copy_from_slice(&held);
            self.start(&mut point);
            let next = self.next(&point);
            let rests = |(x, next): &(&f64, &f64)| **x == 0.0 && **next == 0.0;
            let mut moved = held.iter().zip(&next).filter(|pair| !rests(pair)).peekable();
            moved.peek().is_some() && moved.all(|(x, next)| (1e-6..1.0 - 1e-9).contains(&(next / x)))
        })
    }
}
