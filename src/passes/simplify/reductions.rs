//! Sums and maxima over axes: merged, and taken of less.

use super::constants::times_extents;
use super::layout::match_axes;
use super::rewriter::is;
use super::{NodeView, Rewriter, Rule};
use crate::ir::{Dim, NodeId};
use crate::ops::{self, Op};

pub(super) const RULES: &[Rule] = &[
    Rule { name: "sum-nothing", doc: "sum over no axes → x, and likewise for max", apply: over_nothing },
    Rule { name: "sum-empty", doc: "sum over no elements → 0", apply: sum_empty },
    Rule {
        name: "sum-ones", doc: "sum over axes of one element → reshape(x), and likewise for max", apply: over_ones
    },
    Rule { name: "sum-broadcast", doc: "sum of n repeats of x → n * x", apply: sum_broadcast },
    Rule { name: "sum-sum", doc: "sum(sum(x)) → sum(x), and likewise for max", apply: merge },
    Rule {
        name: "sum-reshape",
        doc: "sum(reshape(x)) → reshape(sum(x)), where axes of one element come or go",
        apply: past_reshape,
    },
    Rule {
        name: "sum-transpose",
        doc: "sum(transpose(x)) → transpose(sum(x)), and likewise for max",
        apply: past_transpose,
    },
    Rule { name: "sum-neg", doc: "sum(-x) → -sum(x)", apply: sum_neg },
    Rule {
        name: "sum-scaled",
        doc: "sum(c * x) → c * sum(x); sum(x / c) → sum(x) / c; c repeated along the summed axes",
        apply: sum_scaled,
    },
];

/// The axes of a sum or maximum.
fn reduced_axes(op: &Op) -> Option<&[usize]> {
    match op {
        Op::Sum(sum) => Some(&sum.axes),
        Op::MaxReduce(max) => Some(&max.axes),
        _ => None,
    }
}

/// The same reduction over other axes.
fn over(op: &Op, axes: Vec<usize>) -> Op {
    if let Op::Sum(_) = op { ops::Sum { axes }.into() } else { ops::MaxReduce { axes }.into() }
}

fn over_nothing(_: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    reduced_axes(view.op)?.is_empty().then_some(view.operands[0])
}

fn sum_empty(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let Op::Sum(sum) = view.op else { return None };
    let shape = rw.shape(view.operands[0]);
    sum.axes.iter().any(|axis| shape[*axis].is_zero()).then(|| rw.constant(0.0, view.ty))
}

fn over_ones(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let axes = reduced_axes(view.op)?;
    let x = view.operands[0];
    let many: Vec<usize> = axes.iter().copied().filter(|axis| !rw.shape(x)[*axis].is_one()).collect();
    if many.len() == axes.len() {
        return None;
    }
    let reduced = if many.is_empty() { x } else { rw.emit(over(view.op, many), &[x]) };
    Some(rw.reshape(reduced, view.ty.shape.clone()))
}

fn sum_broadcast(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let Op::Sum(sum) = view.op else { return None };
    let Op::Broadcast(broadcast) = rw.op(view.operands[0]).clone() else { return None };
    let [x] = rw.take(view.operands[0], is!(Broadcast))?;
    let is_new = |axis: &usize| !broadcast.axes.contains(axis);
    let repeats: Vec<Dim> =
        sum.axes.iter().filter(|axis| is_new(axis)).map(|axis| broadcast.shape[*axis].clone()).collect();
    if repeats.is_empty() || !view.ty.is_float() {
        return None;
    }
    let axes = (0..broadcast.axes.len()).filter(|i| sum.axes.contains(&broadcast.axes[*i])).collect();
    let small = rw.emit(ops::Sum { axes }, &[x]);
    let small = times_extents(rw, small, &repeats);
    let remaining: Vec<usize> = (0..broadcast.shape.len()).filter(|axis| !sum.axes.contains(axis)).collect();
    let kept = broadcast.axes.iter().filter_map(|axis| remaining.iter().position(|r| r == axis)).collect::<Vec<_>>();
    Some(rw.broadcast(small, &view.ty.shape, &kept))
}

fn merge(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let outer = reduced_axes(view.op)?;
    let inner = view.operands[0];
    let is_alike = std::mem::discriminant(rw.op(inner)) == std::mem::discriminant(view.op);
    if !is_alike || !rw.is_read_once(inner) {
        return None;
    }
    let mut axes = reduced_axes(rw.op(inner))?.to_vec();
    let x = rw.operands(inner)[0];
    let remaining: Vec<usize> = (0..rw.shape(x).len()).filter(|axis| !axes.contains(axis)).collect();
    axes.extend(outer.iter().map(|axis| remaining[*axis]));
    axes.sort_unstable();
    Some(rw.emit(over(view.op, axes), &[x]))
}

fn past_reshape(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let axes = reduced_axes(view.op)?;
    let [x] = rw.take(view.operands[0], is!(Reshape))?;
    let map = match_axes(rw.shape(view.operands[0]), rw.shape(x))?;
    let mut inner: Vec<usize> = axes.iter().filter_map(|axis| map[*axis]).collect();
    inner.sort_unstable();
    let reduced = rw.emit(over(view.op, inner), &[x]);
    Some(rw.reshape(reduced, view.ty.shape.clone()))
}

fn past_transpose(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let axes = reduced_axes(view.op)?;
    let Op::Transpose(transpose) = rw.op(view.operands[0]) else { return None };
    let mut inner: Vec<usize> = axes.iter().map(|axis| transpose.permutation[*axis]).collect();
    inner.sort_unstable();
    let kept = transpose.permutation.iter().filter(|axis| !inner.contains(axis));
    // An axis of x that stays moves down by the number of axes below it that go.
    let permutation = kept.map(|axis| axis - inner.iter().filter(|gone| *gone < axis).count()).collect();
    let [x] = rw.take(view.operands[0], is!(Transpose))?;
    let reduced = rw.emit(over(view.op, inner), &[x]);
    Some(rw.emit(ops::Transpose { permutation }, &[reduced]))
}

fn sum_neg(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [inner] = view.take(is!(Sum))?;
    let [x] = rw.take(inner, is!(Neg))?;
    let sum = rw.emit(view.op.clone(), &[x]);
    Some(rw.neg(sum))
}

/// The factor in the shape that summing leaves, when it is the same along the summed axes.
fn factor_outside(rw: &mut Rewriter, factor: NodeId, view: NodeView<'_>, summed: &[usize]) -> Option<NodeId> {
    if let Some(value) = rw.number(factor) {
        return Some(rw.constant(value, view.ty));
    }
    let Op::Broadcast(broadcast) = rw.op(factor) else { return None };
    if broadcast.axes.iter().any(|axis| summed.contains(axis)) {
        return None;
    }
    let below = |axis: &usize| summed.iter().filter(|gone| *gone < axis).count();
    let axes: Vec<usize> = broadcast.axes.iter().map(|axis| axis - below(axis)).collect();
    let x = rw.operands(factor)[0];
    Some(rw.broadcast(x, &view.ty.shape, &axes))
}

fn sum_scaled(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let Op::Sum(sum) = view.op else { return None };
    let scaled = view.operands[0];
    let [x, y] = rw.take(scaled, is!(Mul | Div))?;
    if !view.ty.is_float() || !rw.is_read_once(scaled) {
        return None;
    }
    let op = rw.op(scaled).clone();
    if let Some(factor) = factor_outside(rw, y, view, &sum.axes) {
        let sum = rw.emit(view.op.clone(), &[x]);
        return Some(rw.emit(op, &[sum, factor]));
    }
    let is_product = matches!(op, Op::Mul(_));
    let factor = factor_outside(rw, x, view, &sum.axes).filter(|_| is_product)?;
    let sum = rw.emit(view.op.clone(), &[y]);
    Some(rw.mul(factor, sum))
}
