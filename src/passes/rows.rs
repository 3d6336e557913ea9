//! Which values keep the samples apart: row `i` of the value depends on row `i` of the sources and on no other.
//!
//! Takes a graph and source nodes whose axis 0 counts rows; gives for each node whether it depends on them, and along which
//! axis its rows lie. Each op that is known to keep rows apart has a rule here; any other mixes them, so an op without a
//! rule costs a chance and never a right result.

use crate::ir::{Dim, Graph, NodeId};
use crate::ops::{Flow, Op};

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
            Some(extent) if !operand_rows.contains(&Rows::Mixed) => {
                let shapes: Vec<&[Dim]> = operands.iter().map(|operand| graph.ty(*operand).shape.as_slice()).collect();
                let site = Operands { rows: &operand_rows, shapes: &shapes, extent };
                site.result(op, &graph.ty(id).shape).map_or(Rows::Mixed, Rows::Along)
            }
            _ => Rows::Mixed,
        };
        known.push(found);
    }
    known
}

/// Operands of one node, at least one of which has rows, and none of which mixes them.
struct Operands<'a> {
    rows: &'a [Rows],
    shapes: &'a [&'a [Dim]],
    /// of the sources' axis 0
    extent: &'a Dim,
}

impl Operands<'_> {
    /// The axis of an operand's rows.
    fn axis(&self, slot: usize) -> Option<usize> {
        match self.rows.get(slot) {
            Some(Rows::Along(axis)) => Some(*axis),
            _ => None,
        }
    }

    fn is_apart(&self, slots: impl IntoIterator<Item = usize>) -> bool {
        slots.into_iter().all(|slot| self.rows.get(slot) != Some(&Rows::Mixed) && self.axis(slot).is_none())
    }

    /// The axis of the rows of an operand that is the only one with rows.
    fn only(&self, slot: usize) -> Option<usize> {
        let axis = self.axis(slot)?;
        self.is_apart((0..self.rows.len()).filter(|other| *other != slot)).then_some(axis)
    }

    /// The axis that all operands with rows have them along.
    fn common(&self) -> Option<usize> {
        let mut axes = (0..self.rows.len()).filter_map(|slot| self.axis(slot));
        let first = axes.next()?;
        axes.all(|axis| axis == first).then_some(first)
    }

    fn result(&self, op: &Op, shape: &[Dim]) -> Option<usize> {
        let unless = |meets: bool, axis: usize| (!meets).then_some(axis);
        match op {
            Op::Sum(op) => reduced(self.only(0)?, &op.axes),
            Op::Product(op) => reduced(self.only(0)?, &op.axes),
            Op::MaxReduce(op) => reduced(self.only(0)?, &op.axes),
            Op::LogSumExp(op) => reduced(self.only(0)?, &op.axes),
            Op::ArgMax(op) => reduced(self.only(0)?, &[op.axis]),
            Op::Softmax(op) => self.only(0).and_then(|axis| unless(axis == op.axis, axis)),
            Op::LogSoftmax(op) => self.only(0).and_then(|axis| unless(axis == op.axis, axis)),
            Op::CumulativeSum(op) => self.only(0).and_then(|axis| unless(axis == op.axis, axis)),
            Op::Sort(op) => self.only(0).and_then(|axis| unless(axis == op.axis, axis)),
            Op::ArgSort(op) => self.only(0).and_then(|axis| unless(axis == op.axis, axis)),
            Op::LinearRecurrence(op) => self.common().and_then(|axis| unless(axis == op.axis, axis)),
            Op::TakeAlong(op) => self.aligned(shape).and_then(|axis| unless(axis == op.axis, axis)),
            Op::Concat(op) => self.common().and_then(|axis| unless(axis == op.axis, axis)),
            Op::Reverse(op) => self.only(0).and_then(|axis| unless(op.axes.contains(&axis), axis)),
            Op::Transpose(op) => op.permutation.iter().position(|axis| Some(*axis) == self.only(0)),
            Op::Broadcast(op) => op.axes.get(self.only(0)?).copied(),
            Op::Slice(op) => {
                let axis = self.only(0)?;
                let is_whole =
                    op.starts[axis].is_zero() && op.strides[axis] == 1 && op.extents[axis] == self.shapes[0][axis];
                unless(!is_whole, axis)
            }
            Op::Pad(op) => {
                let axis = self.only(0)?;
                let is_whole =
                    op.starts[axis].is_zero() && op.strides[axis] == 1 && op.shape[axis] == self.shapes[0][axis];
                unless(!is_whole, axis)
            }
            Op::Reshape(_) => self.reshaped(self.only(0)?, shape),
            Op::MatMul(op) => self.product(op.transpose_x, op.transpose_y),
            Op::Convolution(_) => self.only(0).filter(|axis| *axis == 0),
            Op::ConvolutionInputGradient(_) => self.only(0).filter(|axis| *axis == 0),
            Op::MaxPool(_) | Op::AveragePool(_) | Op::AveragePoolScatter(_) => self.only(0).filter(|axis| *axis == 0),
            Op::MaxPoolScatter(_) | Op::MaxPoolSelect(_) => self.common().filter(|axis| *axis == 0),
            // Rows of a table by the samples' own indices.
            Op::Gather(_) if self.is_apart([0]) => self.only(1),
            op if is_elementwise(op) => self.aligned(shape),
            _ => None,
        }
    }

    /// The common axis of operands that all have the result's shape.
    fn aligned(&self, shape: &[Dim]) -> Option<usize> {
        let axis = self.common()?;
        let fits = |other: &&[Dim]| other.len() == shape.len() && other.get(axis) == shape.get(axis);
        self.shapes.iter().all(fits).then_some(axis)
    }

    /// Where rows stand after a reshape: on an axis that begins where they began, and is a multiple of them long.
    fn reshaped(&self, axis: usize, shape: &[Dim]) -> Option<usize> {
        let before = product(&self.shapes[0][..axis])?;
        (0..shape.len()).find(|to| {
            let is_multiple = shape[*to].div_exact(self.extent).is_some_and(|times| times.as_known() != Some(0));
            // What lies behind follows from the equal number of elements.
            is_multiple
                && shape[*to].div_exact(&self.shapes[0][axis]).is_some()
                && product(&shape[..*to]).as_ref() == Some(&before)
        })
    }

    /// Rows on a side of a product that is not summed over, or on a leading axis.
    fn product(&self, transpose_x: bool, transpose_y: bool) -> Option<usize> {
        let rank = self.shapes[0].len();
        let (rows_x, columns_y) =
            (if transpose_x { rank - 1 } else { rank - 2 }, if transpose_y { rank - 2 } else { rank - 1 });
        match (self.axis(0), self.axis(1)) {
            (Some(x), Some(y)) => (x == y && x < rank - 2).then_some(x),
            (Some(x), None) if x == rows_x => Some(rank - 2),
            (None, Some(y)) if y == columns_y => Some(rank - 1),
            (Some(axis), None) | (None, Some(axis)) => (axis < rank - 2).then_some(axis),
            (None, None) => None,
        }
    }
}

/// Where an axis is after others were reduced away.
fn reduced(axis: usize, axes: &[usize]) -> Option<usize> {
    (!axes.contains(&axis)).then(|| axis - axes.iter().filter(|other| **other < axis).count())
}

fn product(dims: &[Dim]) -> Option<Dim> {
    dims.iter().try_fold(Dim::known(1), |product, dim| product.mul(dim))
}

/// Ops whose result at a position depends on their operands at that position alone.
pub(super) fn is_elementwise(op: &Op) -> bool {
    #[rustfmt::skip]
    let is = matches!(
        op,
        Op::Neg(_) | Op::Abs(_) | Op::Sign(_) | Op::Exp(_) | Op::Expm1(_) | Op::Log(_) | Op::Log1p(_) | Op::Sqrt(_)
            | Op::Rsqrt(_) | Op::Sin(_) | Op::Cos(_) | Op::Tan(_) | Op::Asin(_) | Op::Acos(_) | Op::Atan(_)
            | Op::Sinh(_) | Op::Cosh(_) | Op::Tanh(_) | Op::Asinh(_) | Op::Acosh(_) | Op::Atanh(_) | Op::Sigmoid(_)
            | Op::Softplus(_) | Op::Erf(_) | Op::Floor(_) | Op::Ceil(_) | Op::Round(_)
            | Op::Add(_) | Op::Sub(_) | Op::Mul(_) | Op::Div(_) | Op::Rem(_) | Op::Pow(_) | Op::Max(_) | Op::Min(_)
            | Op::Atan2(_) | Op::Less(_) | Op::LessEqual(_) | Op::Equal(_) | Op::IsNan(_) | Op::And(_) | Op::Or(_)
            | Op::Not(_) | Op::Select(_) | Op::Cast(_) | Op::StopGradient(_) | Op::ByMode(_)
    );
    is
}
