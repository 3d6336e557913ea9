//! Constants: ops on them are done at compile time. A constant stays one number and a type, however large it is.

use super::rewriter::is;
use super::{NodeView, Rewriter, Rule};
use crate::ir::{DType, Dim, NodeId, TensorType};
use crate::ops::{Op, Tensor};

pub(super) const RULES: &[Rule] = &[
    Rule { name: "constant-elementwise", doc: "f(c1, c2) → the constant f(c1, c2)", apply: elementwise },
    Rule {
        name: "constant-layout",
        doc: "reshape, transpose, broadcast, slice of c → c in the new shape",
        apply: layout,
    },
    Rule { name: "constant-pad", doc: "pad(0) → 0 in the new shape", apply: pad },
    Rule { name: "constant-concat", doc: "concat(c, c) → c in the new shape", apply: concat },
    Rule { name: "constant-sum", doc: "sum(c) over n elements → c * n", apply: sum },
    Rule { name: "constant-max", doc: "max(c) over at least one element → c", apply: max },
    Rule { name: "constant-size", doc: "size of a known dim → the number", apply: size },
    Rule { name: "constant-iota", doc: "positions along an axis of one element → 0", apply: iota },
];

fn elementwise(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let is_known = view.operands.iter().all(|operand| rw.number(*operand).is_some());
    if !is_known || !rw.is_pointwise(view) {
        return None;
    }
    let scalar = |id: &NodeId| Some(Tensor::full(&TensorType::scalar(rw.ty(*id).dtype), rw.number(*id)?));
    let operands: Vec<Tensor<f64>> = view.operands.iter().map(scalar).collect::<Option<_>>()?;
    let operands: Vec<&Tensor<f64>> = operands.iter().collect();
    let value = match view.op.evaluate(&operands, &TensorType::scalar(view.ty.dtype)) {
        Tensor::Float(value) => *value.first()?,
        Tensor::Int(value) => f64::from(*value.first()?),
        Tensor::Bool(value) => f64::from(u8::from(*value.first()?)),
    };
    Some(rw.constant(value, view.ty))
}

fn layout(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [x] = view.take(is!(Reshape | Transpose | Broadcast | Slice))?;
    let value = rw.number(x)?;
    Some(rw.constant(value, view.ty))
}

fn pad(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [x] = view.take(is!(Pad))?;
    if !rw.is_number(x, 0.0) {
        return None;
    }
    Some(rw.constant(0.0, view.ty))
}

fn concat(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let Op::Concat(_) = view.op else { return None };
    let value = rw.number(*view.operands.first()?)?;
    let is_equal = view.operands.iter().all(|operand| rw.is_number(*operand, value));
    is_equal.then(|| rw.constant(value, view.ty))
}

fn sum(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let Op::Sum(sum) = view.op else { return None };
    let x = view.operands[0];
    let value = rw.number(x)?;
    if view.ty.dtype != DType::F32 {
        return None;
    }
    let extents: Vec<Dim> = sum.axes.iter().map(|axis| rw.shape(x)[*axis].clone()).collect();
    let term = rw.constant(value, view.ty);
    Some(times_extents(rw, term, &extents))
}

/// `x` times the product of the extents; those that are open become `size` nodes.
pub(super) fn times_extents(rw: &mut Rewriter, x: NodeId, extents: &[Dim]) -> NodeId {
    let ty = rw.ty(x).clone();
    let known: f64 = extents.iter().filter_map(Dim::as_known).map(|extent| extent as f64).product();
    let factor = rw.constant(known, &ty);
    let mut product = rw.mul(factor, x);
    for dim in extents.iter().filter(|dim| dim.as_known().is_none()) {
        let size = rw.emit(crate::ops::Size { dim: dim.clone() }, &[]);
        let size = rw.broadcast(size, &ty.shape, &[]);
        product = rw.mul(size, product);
    }
    product
}

fn max(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let Op::MaxReduce(max) = view.op else { return None };
    let x = view.operands[0];
    let value = rw.number(x)?;
    let some = |axis: &usize| rw.shape(x)[*axis].as_known().is_some_and(|extent| extent > 0);
    max.axes.iter().all(some).then(|| rw.constant(value, view.ty))
}

fn size(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let Op::Size(size) = view.op else { return None };
    let extent = size.dim.as_known()?;
    Some(rw.constant(extent as f64, view.ty))
}

fn iota(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let Op::Iota(iota) = view.op else { return None };
    if !iota.ty.shape[iota.axis].is_one() {
        return None;
    }
    Some(rw.constant(0.0, view.ty))
}
