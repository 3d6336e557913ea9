//! Layout: steps merged, those that change nothing dropped, broadcasts moved behind elementwise ops.

use super::rewriter::is;
use super::{NodeView, Rewriter, Rule};
use crate::ir::{Dim, NodeId, TensorType};
use crate::ops::{self, Op};

pub(super) const RULES: &[Rule] = &[
    Rule { name: "reshape-same", doc: "reshape to the same shape → x", apply: reshape_same },
    Rule { name: "reshape-reshape", doc: "reshape(reshape(x)) → reshape(x)", apply: reshape_reshape },
    Rule {
        name: "reshape-broadcast",
        doc: "reshape(broadcast(x)), adding or dropping axes of one element → broadcast(x)",
        apply: reshape_broadcast,
    },
    Rule { name: "transpose-same", doc: "transpose to the same order → x", apply: transpose_same },
    Rule {
        name: "transpose-ones",
        doc: "transpose that moves only axes of one element → reshape(x)",
        apply: transpose_ones,
    },
    Rule { name: "transpose-transpose", doc: "transpose(transpose(x)) → transpose(x)", apply: transpose_transpose },
    Rule { name: "transpose-matmul", doc: "transpose(matmul(x, y)) → matmul(yᵀ, xᵀ)", apply: transpose_matmul },
    Rule { name: "matmul-transpose", doc: "matmul(transpose(x), y) → matmul(xᵀ, y)", apply: matmul_transpose },
    Rule {
        name: "matmul-broadcast",
        doc: "matmul(x repeated along rows, y) → matmul(x, y) repeated along rows, and likewise for columns of y",
        apply: matmul_broadcast,
    },
    Rule { name: "broadcast-same", doc: "broadcast to the same shape → x", apply: broadcast_same },
    Rule { name: "broadcast-broadcast", doc: "broadcast(broadcast(x)) → broadcast(x)", apply: broadcast_broadcast },
    Rule { name: "broadcast-ones", doc: "broadcast along axes of one element → reshape(x)", apply: broadcast_ones },
    Rule {
        name: "broadcast-late",
        doc: "f(broadcast(x), broadcast(y), c) → broadcast(f(x, y, c)) for elementwise f",
        apply: broadcast_late,
    },
    Rule { name: "concat-one", doc: "concat(x) → x", apply: concat_one },
    SLICE_WHOLE,
    SLICE_SLICE,
    SLICE_CONCAT,
    Rule { name: "pad-nothing", doc: "pad to the same shape → x", apply: pad_nothing },
];

const SLICE_WHOLE: Rule = Rule { name: "slice-whole", doc: "slice of the whole of x → x", apply: slice_whole };
const SLICE_SLICE: Rule = Rule { name: "slice-slice", doc: "slice(slice(x)) → slice(x)", apply: slice_slice };
const SLICE_CONCAT: Rule =
    Rule { name: "slice-concat", doc: "slice of concat(x, y) within x → slice(x)", apply: slice_concat };

/// Those that find the one operand that a part of a joined value comes from.
pub(super) const PARTS: &[Rule] = &[SLICE_WHOLE, SLICE_SLICE, SLICE_CONCAT];

fn reshape_same(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [x] = view.take(is!(Reshape))?;
    (rw.ty(x) == view.ty).then_some(x)
}

fn reshape_reshape(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [inner] = view.take(is!(Reshape))?;
    let [x] = rw.take(inner, is!(Reshape))?;
    Some(rw.emit(view.op.clone(), &[x]))
}

/// For each axis of `from` the axis of `to` that it becomes, when a reshape only adds or drops axes of one element;
/// `None` for those dropped.
pub(super) fn match_axes(from: &[Dim], to: &[Dim]) -> Option<Vec<Option<usize>>> {
    let mut targets = (0..to.len()).filter(|axis| !to[*axis].is_one());
    let mut axes = Vec::with_capacity(from.len());
    for dim in from {
        if dim.is_one() {
            axes.push(None);
            continue;
        }
        let target = targets.next().filter(|target| to[*target] == *dim)?;
        axes.push(Some(target));
    }
    targets.next().is_none().then_some(axes)
}

fn reshape_broadcast(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [inner] = view.take(is!(Reshape))?;
    let Op::Broadcast(broadcast) = rw.op(inner) else { return None };
    let map = match_axes(&broadcast.shape, &view.ty.shape)?;
    let axes: Vec<usize> = broadcast.axes.iter().map(|axis| map[*axis]).collect::<Option<_>>()?;
    let x = rw.operands(inner)[0];
    Some(rw.broadcast(x, &view.ty.shape, &axes))
}

fn transpose_same(_: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let Op::Transpose(transpose) = view.op else { return None };
    transpose.permutation.iter().enumerate().all(|(i, axis)| i == *axis).then_some(view.operands[0])
}

fn transpose_ones(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let Op::Transpose(transpose) = view.op else { return None };
    let x = view.operands[0];
    let kept: Vec<usize> = transpose.permutation.iter().copied().filter(|axis| !rw.shape(x)[*axis].is_one()).collect();
    kept.is_sorted().then(|| rw.reshape(x, view.ty.shape.clone()))
}

fn transpose_transpose(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let Op::Transpose(outer) = view.op else { return None };
    let Op::Transpose(inner) = rw.op(view.operands[0]) else { return None };
    let permutation = outer.permutation.iter().map(|axis| inner.permutation[*axis]).collect();
    let [x] = rw.take(view.operands[0], is!(Transpose))?;
    Some(rw.emit(ops::Transpose { permutation }, &[x]))
}

/// Whether a permutation swaps the last two axes and nothing else.
fn swaps_matrix_axes(permutation: &[usize]) -> bool {
    let n_axes = permutation.len();
    n_axes >= 2
        && permutation[n_axes - 2..] == [n_axes - 1, n_axes - 2]
        && permutation[..n_axes - 2].iter().enumerate().all(|(i, axis)| i == *axis)
}

fn transpose_matmul(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let Op::Transpose(transpose) = view.op else { return None };
    let product = view.operands[0];
    let Op::MatMul(matmul) = rw.op(product) else { return None };
    if !swaps_matrix_axes(&transpose.permutation) || !rw.is_read_once(product) {
        return None;
    }
    let swapped = ops::MatMul { transpose_x: !matmul.transpose_y, transpose_y: !matmul.transpose_x };
    let [x, y] = rw.take(product, is!(MatMul))?;
    Some(rw.emit(swapped, &[y, x]))
}

fn matmul_transpose(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let Op::MatMul(matmul) = view.op else { return None };
    let untransposed = |x: NodeId| match rw.op(x) {
        Op::Transpose(transpose) if swaps_matrix_axes(&transpose.permutation) => Some(rw.operands(x)[0]),
        _ => None,
    };
    let (x, y) = (view.operands[0], view.operands[1]);
    let (left, right) = (untransposed(x), untransposed(y));
    left.or(right)?;
    let op = ops::MatMul {
        transpose_x: matmul.transpose_x != left.is_some(),
        transpose_y: matmul.transpose_y != right.is_some(),
    };
    Some(rw.emit(op, &[left.unwrap_or(x), right.unwrap_or(y)]))
}

/// Equal rows are multiplied once. So are equal columns of the second operand.
fn matmul_broadcast(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let Op::MatMul(matmul) = view.op else { return None };
    let rank = view.ty.rank();
    let outer =
        [if matmul.transpose_x { rank - 1 } else { rank - 2 }, if matmul.transpose_y { rank - 2 } else { rank - 1 }];
    let is_repeated = |slot: usize| match rw.op(view.operands[slot]) {
        Op::Broadcast(broadcast) => !broadcast.axes.contains(&outer[slot]) && !broadcast.shape[outer[slot]].is_one(),
        _ => false,
    };
    let slot = (0..2).find(|slot| is_repeated(*slot))?;
    let Op::Broadcast(broadcast) = rw.op(view.operands[slot]).clone() else { return None };
    let mut shape = broadcast.shape.clone();
    shape[outer[slot]] = Dim::known(1);
    let x = rw.operands(view.operands[slot])[0];
    let mut operands = [view.operands[0], view.operands[1]];
    operands[slot] = rw.broadcast(x, &shape, &broadcast.axes);
    let once = rw.emit(view.op.clone(), &operands);
    let kept: Vec<usize> = (0..rank).filter(|axis| *axis != rank - 2 + slot).collect();
    let dropped: Vec<Dim> = kept.iter().map(|axis| view.ty.shape[*axis].clone()).collect();
    let once = rw.reshape(once, dropped);
    Some(rw.broadcast(once, &view.ty.shape, &kept))
}

fn broadcast_same(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [x] = view.take(is!(Broadcast))?;
    (rw.ty(x) == view.ty).then_some(x)
}

fn broadcast_broadcast(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let Op::Broadcast(outer) = view.op else { return None };
    let Op::Broadcast(inner) = rw.op(view.operands[0]) else { return None };
    let axes: Vec<usize> = inner.axes.iter().map(|axis| outer.axes[*axis]).collect();
    let [x] = rw.take(view.operands[0], is!(Broadcast))?;
    Some(rw.broadcast(x, &outer.shape, &axes))
}

fn broadcast_ones(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let Op::Broadcast(broadcast) = view.op else { return None };
    if !broadcast.new_axes().iter().all(|axis| broadcast.shape[*axis].is_one()) {
        return None;
    }
    Some(rw.reshape(view.operands[0], broadcast.shape.clone()))
}

/// Computes on the axes that some operand really varies along, and repeats the result.
fn broadcast_late(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let is_repeated = |id: &NodeId| matches!(rw.op(*id), Op::Broadcast(_));
    if !view.operands.iter().any(is_repeated) || !rw.is_pointwise(view) {
        return None;
    }
    let mut varies = vec![false; view.ty.rank()];
    for &operand in view.operands {
        match rw.op(operand) {
            Op::Constant(_) => {}
            Op::Broadcast(broadcast) => broadcast.axes.iter().for_each(|axis| varies[*axis] = true),
            _ => return None,
        }
    }
    let kept: Vec<usize> = (0..varies.len()).filter(|axis| varies[*axis]).collect();
    if kept.len() == varies.len() {
        return None;
    }
    let shape: Vec<Dim> = kept.iter().map(|axis| view.ty.shape[*axis].clone()).collect();
    let mut operands = Vec::with_capacity(view.operands.len());
    for &operand in view.operands {
        operands.push(match rw.op(operand).clone() {
            Op::Constant(constant) => rw.constant(constant.value.0, &TensorType::new(constant.ty.dtype, shape.clone())),
            Op::Broadcast(broadcast) => {
                let place = |axis: &usize| kept.iter().position(|kept| kept == axis);
                let axes: Vec<usize> = broadcast.axes.iter().filter_map(place).collect();
                let x = rw.operands(operand)[0];
                rw.broadcast(x, &shape, &axes)
            }
            _ => return None,
        });
    }
    let small = rw.emit(view.op.clone(), &operands);
    Some(rw.broadcast(small, &view.ty.shape, &kept))
}

fn concat_one(_: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [x] = view.take(is!(Concat))?;
    Some(x)
}

fn slice_whole(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let Op::Slice(slice) = view.op else { return None };
    let [x] = view.take(is!(Slice))?;
    let is_plain = slice.starts.iter().all(Dim::is_zero) && slice.strides.iter().all(|stride| *stride == 1);
    (is_plain && rw.ty(x) == view.ty).then_some(x)
}

fn slice_slice(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let Op::Slice(outer) = view.op else { return None };
    let Op::Slice(inner) = rw.op(view.operands[0]) else { return None };
    let start = |axis: usize| {
        let (from, stride, extent) = (&outer.starts[axis], inner.strides[axis], &outer.extents[axis]);
        // An empty part may start one stride behind the last element, which can lie outside of the operand.
        if extent.is_zero() {
            return Some(Dim::known(0));
        }
        if stride > 1 && !from.is_zero() && extent.as_known().is_none() {
            return None;
        }
        inner.starts[axis].add(&from.mul(&Dim::known(stride))?)
    };
    let starts = (0..outer.starts.len()).map(start).collect::<Option<_>>()?;
    let strides: Option<_> = inner.strides.iter().zip(&outer.strides).map(|(a, b)| a.checked_mul(*b)).collect();
    let merged = ops::Slice { starts, extents: outer.extents.clone(), strides: strides? };
    let [x] = rw.take(view.operands[0], is!(Slice))?;
    Some(rw.emit(merged, &[x]))
}

fn slice_concat(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let Op::Slice(slice) = view.op else { return None };
    let Op::Concat(concat) = rw.op(view.operands[0]) else { return None };
    let axis = concat.axis;
    let (start, extent) = (slice.starts[axis].as_known()?, slice.extents[axis].as_known()?);
    if extent == 0 {
        return None;
    }
    let last = start + (extent - 1) * slice.strides[axis];
    let mut before = 0;
    for part in rw.operands(view.operands[0]) {
        let end = before + rw.shape(*part)[axis].as_known()?;
        if start >= before && last < end {
            let mut within = slice.clone();
            within.starts[axis] = Dim::known(start - before);
            let part = *part;
            return Some(rw.emit(within, &[part]));
        }
        before = end;
    }
    None
}

fn pad_nothing(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [x] = view.take(is!(Pad))?;
    (rw.ty(x) == view.ty).then_some(x)
}
