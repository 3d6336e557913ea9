//! What each channel of a convolution is multiplied by and moved by, as a batch norm does in predictions.
//!
//! A factor that is the same for all rows goes into the kernel, which has fewer elements than the result; what is added before
//! and after becomes one bias, which the convolution's own kernel adds. In training a batch norm's factor depends on the
//! rows, and the result of the convolution is read more than once, so nothing changes there.

use super::rewriter::is;
use super::{NodeView, Rewriter, Rule};
use crate::ir::{Dim, NodeId};
use crate::ops::{self, InputKind, Op};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "convolution-scaled",
        doc: "s * (convolution(x, k) + b) → convolution(x, s * k) + s * b, a number of s and b for each channel, the same for all rows",
        apply: scaled,
    },
    Rule {
        name: "convolution-biases",
        doc: "(convolution(x, k) - a) + b → convolution(x, k) + (b - a), a number of a and b for each channel",
        apply: joined_biases,
    },
];

/// How far back the factor of a channel may reach.
const REACH: usize = 24;

/// `convolution + bias`, or minus it.
struct Moved {
    convolution: NodeId,
    /// one number a channel, and whether it is taken away
    bias: Option<(NodeId, bool)>,
}

/// One number for each channel of a result, from its repetition along all other axes.
fn channels(rw: &Rewriter, id: NodeId) -> Option<NodeId> {
    let Op::Broadcast(broadcast) = rw.op(id) else { return None };
    let last = broadcast.shape.len() - 1;
    let [vector] = rw.take(id, is!(Broadcast))?;
    (broadcast.axes == [last] && rw.shape(vector).len() == 1 && rw.ty(id).is_float()).then_some(vector)
}

/// A convolution with what is added to it, if nobody reads what comes before.
fn moved(rw: &Rewriter, id: NodeId) -> Option<Moved> {
    if !rw.is_read_once(id) {
        return None;
    }
    let is_convolution = |id: NodeId| matches!(rw.op(id), Op::Convolution(_)) && rw.is_read_once(id);
    let is_taken_away = match rw.op(id) {
        Op::Convolution(_) => return Some(Moved { convolution: id, bias: None }),
        Op::Add(_) => false,
        Op::Sub(_) => true,
        _ => return None,
    };
    let [first, second] = rw.take(id, is!(Add | Sub))?;
    if is_convolution(first) {
        return channels(rw, second).map(|bias| Moved { convolution: first, bias: Some((bias, is_taken_away)) });
    }
    let is_second = is_convolution(second) && !is_taken_away;
    channels(rw, first).filter(|_| is_second).map(|bias| Moved { convolution: second, bias: Some((bias, false)) })
}

/// Whether a value depends on nothing but params, states and constants.
fn is_fixed(rw: &Rewriter, id: NodeId) -> bool {
    let (mut open, mut seen) = (vec![id], 0);
    while let Some(id) = open.pop() {
        seen += 1;
        match rw.op(id) {
            Op::Input(input) if !matches!(input.kind, InputKind::Param | InputKind::State) => return false,
            _ if seen > REACH => return false,
            _ => open.extend(rw.operands(id)),
        }
    }
    true
}

fn add_bias(rw: &mut Rewriter, sum: NodeId, bias: NodeId, is_taken_away: bool) -> NodeId {
    let shape: Vec<Dim> = rw.shape(sum).to_vec();
    let bias = rw.broadcast(bias, &shape, &[shape.len() - 1]);
    if is_taken_away { rw.emit(ops::Sub, &[sum, bias]) } else { rw.emit(ops::Add, &[sum, bias]) }
}

fn scaled(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [x, y] = view.take(is!(Mul))?;
    let (factor, it) = match (channels(rw, x), channels(rw, y)) {
        (Some(factor), None) => (factor, moved(rw, y)?),
        (None, Some(factor)) => (factor, moved(rw, x)?),
        _ => return None,
    };
    let [image, kernel] = rw.take(it.convolution, is!(Convolution))?;
    if !is_fixed(rw, factor) || !is_fixed(rw, kernel) {
        return None;
    }
    let shape: Vec<Dim> = rw.shape(kernel).to_vec();
    let spread = rw.broadcast(factor, &shape, &[shape.len() - 1]);
    let kernel = rw.mul(kernel, spread);
    let op = rw.op(it.convolution).clone();
    let product = rw.emit(op, &[image, kernel]);
    let Some((bias, is_taken_away)) = it.bias else { return Some(product) };
    let bias = rw.mul(bias, factor);
    Some(add_bias(rw, product, bias, is_taken_away))
}

fn joined_biases(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let is_taken_away = matches!(view.op, Op::Sub(_));
    let [x, y] = view.take(is!(Add | Sub))?;
    let (it, bias) = match (channels(rw, x), channels(rw, y)) {
        (Some(bias), None) if !is_taken_away => (moved(rw, y)?, bias),
        (None, Some(bias)) => (moved(rw, x)?, bias),
        _ => return None,
    };
    let (first, is_first_taken_away) = it.bias?;
    let (joined, is_taken_away) = match (is_first_taken_away, is_taken_away) {
        (false, false) => (rw.emit(ops::Add, &[first, bias]), false),
        (true, true) => (rw.emit(ops::Add, &[first, bias]), true),
        (true, false) => (rw.emit(ops::Sub, &[bias, first]), false),
        (false, true) => (rw.emit(ops::Sub, &[first, bias]), false),
    };
    Some(add_bias(rw, it.convolution, joined, is_taken_away))
}
