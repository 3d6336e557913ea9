//! What numbers the leaves of formulas may hold, as far as the spec shows.
//!
//! A param lies within its constraint, a state within what its updates keep. Of data a formula itself shows what it takes: a
//! target that is blended with its rest (`t x + (1 - t) y`) or multiplied with a probability is one; one whose sum divides is
//! not negative.

use super::super::interval::Interval;
use super::super::ranges::shares;
use crate::ir::{DType, Graph, NodeId, TensorType};
use crate::lower::{Constraint, Module};
use crate::ops::{Input, InputKind, Op};
use std::collections::BTreeMap;

/// Which numbers a leaf may hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Domain {
    /// losses, whose magnitudes belong together
    Loss(Interval),
    Number(Interval),
    /// numbers that sum to 1
    Shares(Interval),
    /// numbers from `low` that sum to `total` along an axis
    Rows {
        axis: usize,
        low: f64,
        total: f64,
    },
    /// steps or epochs
    Clock,
    Whole(i64, i64),
    /// inner products of vectors
    Gramian,
}

impl Domain {
    pub(super) fn of_leaf(input: &Input, bounds: Interval) -> Self {
        match input.kind {
            InputKind::Step | InputKind::Epoch => Self::Clock,
            _ => Self::of_type(&input.ty, bounds),
        }
    }

    pub(super) fn of_type(ty: &TensorType, bounds: Interval) -> Self {
        match ty.dtype {
            DType::F32 => Self::Number(bounds),
            DType::Bool => Self::Whole(0, 1),
            // Classes, positions: nothing says how many there are, but there are two.
            DType::I32 => Self::Whole(bounds.low.clamp(0.0, 1e6) as i64, bounds.high.clamp(0.0, 1.0) as i64),
        }
    }
}

/// The domains of a module's leaves that their bounds alone do not tell: params that sum to 1, Gramians.
pub fn domains(module: &Module, bounds: &BTreeMap<NodeId, Interval>) -> BTreeMap<NodeId, Domain> {
    let mut domains: BTreeMap<NodeId, Domain> =
        module.gramians.iter().map(|gramian| (*gramian, Domain::Gramian)).collect();
    for param in module.params.values() {
        let Some(within) = bounds.get(&param.node).copied() else { continue };
        let is_share = within.low >= 0.0 && within.high.is_finite() && param.ty.rank() > 0;
        if param.constraint == Some(Constraint::Projection) && is_share {
            domains.insert(param.node, Domain::Shares(within));
        }
    }
    domains
}

/// The domains of data that the formulas of losses show, and where a probability may be one of a row that sums to 1 or
/// one by itself, both.
pub fn data_domains(module: &Module, graph: &Graph, bounds: &[Interval]) -> [BTreeMap<NodeId, Domain>; 2] {
    let optional = |name: &str| module.targets.get(name).is_some_and(|target| target.optional);
    let mut domains = [BTreeMap::new(), BTreeMap::new()];
    let data = module.inputs.values().chain(module.targets.values()).filter(|data| data.ty.is_float());
    for data in data {
        let last = data.ty.rank().saturating_sub(1);
        let is_row = last > 0 && data.ty.shape[last].as_known().is_some_and(|extent| extent > 1);
        let unit = Domain::Number(Interval::UNIT);
        match Seen::of(graph, bounds, data.node) {
            Seen { probability: true, .. } => {
                let rows = Domain::Rows { axis: last, low: 0.0, total: 1.0 };
                domains[0].insert(data.node, if is_row { rows } else { unit.clone() });
                domains[1].insert(data.node, unit);
            }
            Seen { divides: true, .. } => domains.iter_mut().for_each(|domains| {
                domains.insert(data.node, Domain::Number(Interval::NOT_NEGATIVE));
            }),
            _ => {}
        }
    }
    for share in shares(graph, &optional) {
        let Some(target) = module.targets.get(&share.field) else { continue };
        let domain = match share.total {
            Some((axis, total)) => Domain::Rows { axis: axis + 1, low: share.low, total },
            None => Domain::Number(Interval::new(share.low, share.high)),
        };
        for domains in &mut domains {
            domains.insert(target.node, domain.clone());
        }
    }
    domains
}

/// What formulas show of a value of data.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    probability: bool,
    divides: bool,
}

impl Seen {
    fn of(graph: &Graph, bounds: &[Interval], data: NodeId) -> Self {
        let mut seen = Self::default();
        // The value itself, and 1 less the value; as they are, or moved and clipped.
        let mut own = vec![false; graph.len()];
        let mut rest = vec![false; graph.len()];
        // sums of the value that may come to divide
        let mut sums = vec![false; graph.len()];
        let is_constant = |id: NodeId| matches!(graph.op(id), Op::Constant(_));
        for id in graph.ids() {
            let operands = graph.operands(id);
            let any = |marks: &[bool]| operands.iter().any(|operand| marks[operand.index()]);
            let index = id.index();
            let has_constant =
                operands.iter().any(|operand| is_constant(*operand) || bounds[operand.index()].is_point());
            match graph.op(id) {
                _ if id == data => own[index] = true,
                Op::Reshape(_) | Op::Broadcast(_) | Op::Transpose(_) | Op::Slice(_) => {
                    (own[index], rest[index], sums[index]) = (any(&own), any(&rest), any(&sums));
                }
                Op::Max(_) | Op::Min(_) if has_constant => {
                    (own[index], rest[index], sums[index]) = (any(&own), any(&rest), any(&sums));
                }
                Op::Sum(_) => sums[index] = any(&own) || any(&sums),
                Op::Add(_) => {
                    let part =
                        |at: usize, marks: &[bool]| factors(graph, operands[at]).iter().any(|f| marks[f.index()]);
                    let is_blend = (part(0, &own) && part(1, &rest)) || (part(1, &own) && part(0, &rest));
                    seen.probability |= is_blend;
                    sums[index] = any(&sums);
                }
                Op::Sub(_) => {
                    let is_one = bounds[operands[0].index()] == Interval::point(1.0);
                    rest[index] = is_one && own[operands[1].index()];
                    own[index] = is_one && rest[operands[1].index()];
                }
                Op::Div(_) => seen.divides |= sums[operands[1].index()],
                Op::Mul(_) if any(&sums) => {
                    let is_normaliser = |id: &NodeId| matches!(graph.op(*id), Op::LogSumExp(_));
                    seen.divides |= operands.iter().any(|operand| behind(graph, *operand, is_normaliser));
                }
                _ => {}
            }
            if let (Op::Mul(_) | Op::Div(_), [x, y]) = (graph.op(id), operands.as_slice()) {
                let is_ours = |id: &NodeId| own[id.index()] || rest[id.index()];
                let is_probability = |id: &NodeId| {
                    let within = bounds[id.index()];
                    within.low >= 0.0 && within.high <= 1.0 && !within.is_point() && !is_ours(id)
                };
                seen.probability |= (is_ours(x) && is_probability(y)) || (is_ours(y) && is_probability(x));
            }
        }
        seen
    }
}

/// Whether a value is, behind shapes, sums and additions, of some kind.
fn behind(graph: &Graph, id: NodeId, is_kind: impl Fn(&NodeId) -> bool + Copy) -> bool {
    is_kind(&id)
        || (matches!(graph.op(id), Op::Reshape(_) | Op::Broadcast(_) | Op::Add(_) | Op::Sub(_))
            && graph.operands(id).into_iter().any(|operand| behind(graph, operand, is_kind)))
}

/// The factors of a product of products, behind signs and shapes.
fn factors(graph: &Graph, id: NodeId) -> Vec<NodeId> {
    let mut found = Vec::new();
    let mut open = vec![id];
    while let Some(id) = open.pop() {
        found.push(id);
        if let Op::Mul(_) | Op::Neg(_) = graph.op(id) {
            open.extend(graph.operands(id));
        }
    }
    found
}
