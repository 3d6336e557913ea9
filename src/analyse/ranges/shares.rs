//! Which targets a loss takes for probabilities, read off its formula.
//!
//! Three forms say so: `t ln p + (1 - t) ln q` and `softplus(z) - z t`, whose `t` is the probability of one of two outcomes, and
//! `Σ t l` along an axis of classes whose logarithms of probabilities `l` are, so that the `t` of a row are shares of 1. `t`
//! may be a target's linear function, as with smoothed labels.

use super::value::Along;
use super::{Leaf, Walk, leaves};
use crate::analyse::interval::intervals;
use crate::diag::Span;
use crate::ir::{Graph, NodeId};
use crate::ops::{InputKind, Op};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A target that a loss takes for a probability.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    pub field: Arc<str>,
    /// between which numbers it lies
    pub low: f64,
    pub high: f64,
    /// the axis of a row along which it has a sum, and the sum
    pub total: Option<(usize, f64)>,
    /// the value that is computed with it
    pub by: Arc<str>,
    pub span: Span,
}

/// The targets of a graph that are taken for probabilities. `optional` are the fields whose values may be missing.
pub fn shares(graph: &Graph, optional: &dyn Fn(&str) -> bool) -> Vec<Share> {
    let targets = leaves(graph, optional, |input| input.kind == InputKind::Target);
    if targets.is_empty() {
        return Vec::new();
    }
    let bounds = intervals(graph, &BTreeMap::new());
    let is_log = |id: NodeId, axis: usize| match graph.op(id) {
        Op::LogSoftmax(op) => op.axis == axis,
        Op::Log(_) => bounds[graph.operands(id)[0].index()].high <= 1.0,
        _ => false,
    };
    let walk = Walk::new(graph, &targets, None);
    let mut found: Vec<Share> = Vec::new();
    for id in graph.ids() {
        let operands = graph.operands(id);
        let share = match graph.op(id) {
            Op::Sum(sum) => match sum.axes.as_slice() {
                [axis] => {
                    let factors = factors(graph, operands[0]);
                    let has_log = factors.iter().any(|factor| is_log(*factor, *axis));
                    let along = |line: &Line| match line.axes[*axis] {
                        Along::Leaf(of_leaf) if of_leaf > 0 => Some(of_leaf - 1),
                        _ => None,
                    };
                    let lines = factors.iter().filter_map(|factor| line(&walk, &targets, *factor));
                    let mut lines = lines.filter(|line| line.slope > 0.0 && has_log && along(line).is_some());
                    let n = graph.ty(operands[0]).shape[*axis].as_known();
                    lines.next().map(|line| {
                        let total = |n: usize| (1.0 - n as f64 * line.offset) / line.slope;
                        let total = along(&line).zip(n.map(total));
                        line.share(graph, id, total)
                    })
                }
                _ => None,
            },
            Op::Sub(_) => of_logit(&walk, &targets, id, &operands),
            Op::Add(_) => of_both_outcomes(&walk, &targets, id, &operands),
            _ => None,
        };
        found.extend(share.filter(|share| !found.iter().any(|other| other.same(share))));
    }
    found
}

impl Share {
    fn same(&self, other: &Self) -> bool {
        self.field == other.field && self.total.is_some() == other.total.is_some()
    }
}

/// `slope * t + offset` of a target.
#[derive(Clone, Debug)]
struct Line {
    field: Arc<str>,
    axes: Vec<Along>,
    slope: f64,
    offset: f64,
}

impl Line {
    /// The target for which the line lies between 0 and 1.
    fn share(self, graph: &Graph, id: NodeId, total: Option<(usize, f64)>) -> Share {
        let ends = [-self.offset / self.slope, (1.0 - self.offset) / self.slope];
        let provenance = &graph.node(id).provenance;
        Share {
            field: self.field,
            low: ends[0].min(ends[1]),
            high: ends[0].max(ends[1]),
            total,
            by: provenance.name.clone(),
            span: provenance.span,
        }
    }
}

fn line(walk: &Walk<'_>, targets: &[Leaf], id: NodeId) -> Option<Line> {
    let known = walk.values[id.index()].single()?;
    let source = known.source.as_ref()?;
    let (slope, offset) = known.function.as_line().filter(|(slope, _)| *slope != 0.0)?;
    if source.region.iter().any(Option::is_some) {
        return None;
    }
    Some(Line { field: targets[source.leaf].name.clone(), axes: source.axes.clone(), slope, offset })
}

/// The factors of a product of products.
fn factors(graph: &Graph, id: NodeId) -> Vec<NodeId> {
    let mut found = Vec::new();
    let mut open = vec![id];
    while let Some(id) = open.pop() {
        match graph.op(id) {
            Op::Mul(_) => open.extend(graph.operands(id)),
            Op::Neg(_) => open.push(graph.operands(id)[0]),
            _ => found.push(id),
        }
    }
    found
}

/// `softplus(z) - z t`
fn of_logit(walk: &Walk<'_>, targets: &[Leaf], id: NodeId, operands: &[NodeId]) -> Option<Share> {
    let graph = walk.graph;
    if !matches!(graph.op(operands[0]), Op::Softplus(_)) {
        return None;
    }
    let logit = graph.operands(operands[0])[0];
    let factors = factors(graph, operands[1]);
    let line = factors.iter().find_map(|factor| line(walk, targets, *factor))?;
    factors.contains(&logit).then(|| line.share(graph, id, None))
}

/// `t ln p + (1 - t) ln q`
fn of_both_outcomes(walk: &Walk<'_>, targets: &[Leaf], id: NodeId, operands: &[NodeId]) -> Option<Share> {
    let graph = walk.graph;
    let side = |id: NodeId| {
        let factors = factors(graph, id);
        let has_log = factors.iter().any(|factor| matches!(graph.op(*factor), Op::Log(_) | Op::LogSoftmax(_)));
        factors.iter().find_map(|factor| line(walk, targets, *factor)).filter(|_| has_log)
    };
    let (a, b) = (side(operands[0])?, side(operands[1])?);
    let is_rest = a.field == b.field && a.slope == -b.slope && (a.offset + b.offset - 1.0).abs() < 1e-9;
    is_rest.then(|| a.share(graph, id, None))
}
