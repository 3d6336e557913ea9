//! Forward mode: the derivative of `y` by the few coordinates of `x`, one sweep of tangents a coordinate.
//!
//! Where row `i` of a value depends on row `i` of `x` alone, one sweep serves all rows: the tangent 1 in a coordinate of
//! every row gives each row its own derivative. Sweeps go that far; from the values where rows first meet, such as a sum
//! over them, to `y` cotangents are taken as in reverse mode, and the two are multiplied row by row. Where all of `x` has few
//! elements the sweeps go to `y` itself. Tangents run along the same paths as cotangents do: a `stop` ends them, and
//! nothing is built beside the way from `x` to `y`.

use super::rows::{Paths, Rows, rows};
use super::simplify::prepare;
use crate::autodiff::{cotangents, derivative_provenance, downstream, tangents};
use crate::ir::{Builder, Dim, Graph, NodeId, TensorType};
use crate::ops;

/// More coordinates than this are never swept one by one.
pub const MOST_COORDINATES: usize = 8;

/// How `y` may be differentiated forward by `x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coordinates {
    /// so many in each row, and the rows keep apart
    ARow(usize),
    /// so many in all
    InAll(usize),
}

impl Coordinates {
    pub fn count(self) -> usize {
        match self {
            Self::ARow(count) | Self::InAll(count) => count,
        }
    }
}

/// The coordinates that forward mode would sweep over; `None` when they are too many or not known.
pub fn coordinates(graph: &Graph, y: NodeId, x: NodeId) -> Option<Coordinates> {
    let known = |dims: &[Dim]| {
        let extents = dims.iter().map(Dim::as_known).collect::<Option<Vec<usize>>>()?;
        let count = extents.iter().try_fold(1usize, |product, extent| product.checked_mul(*extent))?;
        (1..=MOST_COORDINATES).contains(&count).then_some(count)
    };
    let shape = &graph.ty(x).shape;
    if let Some(count) = known(shape) {
        return Some(Coordinates::InAll(count));
    }
    let count = known(shape.get(1..)?)?;
    Way::of(graph, y, x).ends(graph, y).iter().all(|end| end.is_row_for_row).then_some(Coordinates::ARow(count))
}

/// The derivative of the sum of `y` by `x`, by sweeps over the coordinates that [`coordinates`] gave.
pub fn forward_gradient(graph: &mut Graph, y: NodeId, x: NodeId, coordinates: Coordinates) -> NodeId {
    let y = prepare(graph, y, &[x]);
    let shape = graph.ty(x).shape.clone();
    let provenance = derivative_provenance(graph, x);
    let way = Way::of(graph, y, x);
    let n_outer = if let Coordinates::ARow(_) = coordinates { 1 } else { 0 };
    // What the sweeps end at: the value, the axis of its rows, its cotangent.
    let ends: Vec<(NodeId, Option<usize>, NodeId)> = match coordinates {
        Coordinates::ARow(_) => {
            let ends = way.ends(graph, y);
            let found = cotangents(graph, y, &way.active, |id| way.rows[id.index()] == Rows::Mixed);
            ends.iter().filter_map(|end| Some((end.node, Some(end.axis), found[end.node.index()]?))).collect()
        }
        Coordinates::InAll(_) => {
            let ones = Builder::new(graph, derivative_provenance(graph, y)).constant_like(1.0, y);
            vec![(y, None, ones)]
        }
    };
    let nodes: Vec<NodeId> = ends.iter().map(|(node, ..)| *node).collect();
    let mut columns = Vec::with_capacity(coordinates.count());
    for at in 0..coordinates.count() {
        let seed = seed(&mut Builder::new(graph, provenance.clone()), &shape, n_outer, at);
        let tangents = sweep(graph, &way.active, &nodes, x, seed);
        let mut b = Builder::new(graph, provenance.clone());
        let mut column = None;
        for ((node, axis, cotangent), tangent) in ends.iter().zip(tangents) {
            let Some(tangent) = tangent else { continue };
            let product = b.mul(*cotangent, tangent);
            let axes: Vec<usize> = (0..b.shape(*node).len()).filter(|other| Some(*other) != *axis).collect();
            let part = b.sum(product, &axes);
            column = Some(column.map_or(part, |others| b.add2(others, part)));
        }
        columns.push(match column {
            Some(column) => column,
            None => b.constant(0.0, &TensorType::f32(shape[..n_outer].to_vec())),
        });
    }
    assemble(&mut Builder::new(graph, provenance), &columns, &shape, n_outer)
}

/// One value a coordinate, put together in the shape of `x`.
fn assemble(b: &mut Builder<'_>, columns: &[NodeId], shape: &[Dim], n_outer: usize) -> NodeId {
    if shape.len() == n_outer {
        return columns[0];
    }
    let column_shape = [&shape[..n_outer], &[Dim::known(1)]].concat();
    let columns: Vec<NodeId> = columns.iter().map(|column| b.reshape(*column, column_shape.clone())).collect();
    let joined = if columns.len() == 1 { columns[0] } else { b.emit(ops::Concat { axis: n_outer }, &columns) };
    b.reshape(joined, shape.to_vec())
}

/// What lies between `x` and `y`.
struct Way {
    /// on a differentiable path from `x`
    active: Vec<bool>,
    rows: Vec<Rows>,
    extent: Option<Dim>,
}

/// A value at which rows are last apart.
struct End {
    node: NodeId,
    axis: usize,
    /// as many rows as `x`
    is_row_for_row: bool,
}

impl Way {
    fn of(graph: &Graph, y: NodeId, x: NodeId) -> Self {
        let needed = graph.slice_back([y]);
        let active = downstream(graph, &[x]).into_iter().zip(needed).map(|(active, needed)| active && needed).collect();
        let extent = graph.ty(x).shape.first().cloned();
        Self { active, rows: rows(graph, &[x], Paths::Differentiable), extent }
    }

    /// The values with rows apart that `y`, or a value where rows meet, reads.
    fn ends(&self, graph: &Graph, y: NodeId) -> Vec<End> {
        let mut is_end = vec![false; graph.len()];
        is_end[y.index()] = true;
        for id in graph.ids().filter(|id| self.active[id.index()] && self.rows[id.index()] == Rows::Mixed) {
            graph.operands(id).iter().for_each(|operand| is_end[operand.index()] = true);
        }
        let end = |id: NodeId| match self.rows[id.index()] {
            Rows::Along(axis) if is_end[id.index()] && self.active[id.index()] => {
                let is_row_for_row = graph.ty(id).shape.get(axis) == self.extent.as_ref();
                Some(End { node: id, axis, is_row_for_row })
            }
            _ => None,
        };
        graph.ids().filter_map(end).collect()
    }
}

/// 1 in the coordinate `at` of the axes behind the first `n_outer`, and 0 in all others.
fn seed(b: &mut Builder<'_>, shape: &[Dim], n_outer: usize, at: usize) -> NodeId {
    let inner = &shape[n_outer..];
    let ones = b.constant(1.0, &TensorType::f32(vec![Dim::known(1); inner.len()]));
    let mut rest = at;
    let mut starts = vec![Dim::known(0); inner.len()];
    for (axis, dim) in inner.iter().enumerate().rev() {
        let extent = dim.as_known().unwrap_or(1);
        starts[axis] = Dim::known(rest % extent);
        rest /= extent;
    }
    let hot = b.emit(ops::Pad { starts, strides: vec![1; inner.len()], shape: inner.to_vec() }, &[ones]);
    let axes: Vec<usize> = (n_outer..shape.len()).collect();
    b.broadcast(hot, shape, &axes)
}

/// The tangents of the ends where that of `x` is `seed`; `None` where no differentiable path leads from `x`.
fn sweep(graph: &mut Graph, active: &[bool], ends: &[NodeId], x: NodeId, seed: NodeId) -> Vec<Option<NodeId>> {
    let needed = graph.slice_back(ends.iter().copied());
    let is_on_the_way = |id: NodeId| id > x && id.index() < active.len() && active[id.index()] && needed[id.index()];
    tangents(graph, &[(x, seed)], ends, is_on_the_way)
}
