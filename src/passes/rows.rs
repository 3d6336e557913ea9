//! Which values keep the samples apart: row `i` of the value depends on row `i` of the sources and on no other.
//!
//! Takes a graph and source nodes whose axis 0 counts rows; gives for each node whether it depends on them, and along which
//! axis its rows lie. Where rows go each op says itself ([`Locality`]); what an op does not know to stay apart is mixed, which
//! costs a chance and never a right result.

use crate::ir::{Dim, Graph, NodeId, TensorType};
use crate::ops::{Along, Flow, Types};

/// How a value depends on the rows of the sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// it does not
    Apart,
    /// Position `i` along this axis depends on row `i` alone; where the axis is `n` times as long as the sources', on row
    /// `floor(i / n)`.
    Along(usize),
    /// rows meet, as far as is known
    Mixed,
}

/// Which paths count as a dependence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paths {
    All,
    /// those that derivatives pass along
    Differentiable,
}

/// The rows of every node. All sources have the same extent on axis 0.
pub fn rows(graph: &Graph, sources: &[NodeId], paths: Paths) -> Vec<Rows> {
    let mut known: Vec<Rows> = Vec::with_capacity(graph.len());
    let extent = sources.first().and_then(|source| graph.ty(*source).shape.first().cloned());
    for id in graph.ids() {
        if sources.contains(&id) {
            known.push(Rows::Along(0));
            continue;
        }
        let op = graph.op(id);
        let operands = graph.operands(id);
        let counts = |slot: usize| paths == Paths::All || op.flow(slot) == Flow::Differentiable;
        let of_slot = |(slot, operand): (usize, &NodeId)| {
            if counts(slot) { known[operand.index()] } else { Rows::Apart }
        };
        let operand_rows: Vec<Rows> = operands.iter().enumerate().map(of_slot).collect();
        let found = match &extent {
            _ if operand_rows.iter().all(|rows| *rows == Rows::Apart) => Rows::Apart,
            Some(extent) => {
                let operands: Vec<&TensorType> = operands.iter().map(|operand| graph.ty(*operand)).collect();
                let types = Types { operands: &operands, result: graph.ty(id) };
                let locality = op.locality(types);
                let along = |slot: usize, axis: usize| locality.along(slot, axis);
                meeting(&operand_rows, along, &types.result.shape, extent).map_or(Rows::Mixed, Rows::Along)
            }
            None => Rows::Mixed,
        };
        known.push(found);
    }
    known
}

/// The axis that the rows of all operands end on; `None` where they meet.
fn meeting(operands: &[Rows], along: impl Fn(usize, usize) -> Along, shape: &[Dim], extent: &Dim) -> Option<usize> {
    let mut found = None;
    for (slot, rows) in operands.iter().enumerate() {
        let axis = match rows {
            Rows::Apart => continue,
            Rows::Along(axis) => *axis,
            Rows::Mixed => return None,
        };
        match along(slot, axis) {
            Along::Apart(to) if found.is_none_or(|found| found == to) => found = Some(to),
            Along::Apart(_) | Along::Added | Along::Mixed => return None,
        }
    }
    // Rows are parts of the axis that are equally long.
    found.filter(|to| shape[*to].div_exact(extent).is_some_and(|times| times.as_known() != Some(0)))
}
