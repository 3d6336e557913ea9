//! Formulas replaced by ones that keep more digits or a wider range. Each use is reported.
//!
//! They are also applied before a derivative is taken ([`super::prepare`]): the derivative of `log(sigmoid(x))` as it is
//! written is 0 / 0 where the sigmoid is 0 in the machine, and that of `-softplus(-x)` is 1.
//! Nothing is moved across a clip: a bound that the user set on a probability holds.

use super::rewriter::is;
use super::{NodeView, Rewriter, Rule};
use crate::ir::NodeId;
use crate::ops::{self, Op};

pub(super) const RULES: &[Rule] = &[
    Rule { name: "log-sigmoid", doc: "log(sigmoid(x)) → -softplus(-x)", apply: log_sigmoid },
    Rule { name: "log-one-minus-sigmoid", doc: "log(1 - sigmoid(x)) → -softplus(x)", apply: log_one_minus_sigmoid },
    Rule {
        name: "log-exp-quotient",
        doc: "log(exp(x) / y) → x - log(y), as in log(softmax(x))",
        apply: log_exp_quotient,
    },
    Rule { name: "log-softmax", doc: "log(softmax(x)) → log_softmax(x)", apply: log_softmax },
    Rule {
        name: "log-sum-exp",
        doc: "log(sum(exp(x))) → log_sum_exp(x), also where the sum is reshaped or repeated before the logarithm",
        apply: log_sum_exp,
    },
    Rule {
        name: "minus-log-sum-exp",
        doc: "x - log_sum_exp(x) → log_softmax(x), the sum being of one axis and repeated along it",
        apply: minus_log_sum_exp,
    },
    Rule { name: "log1p-minus-sigmoid", doc: "log1p(-sigmoid(x)) → -softplus(x)", apply: log1p_minus_sigmoid },
    Rule { name: "log-exp", doc: "log(exp(x)) → x", apply: log_exp },
    Rule { name: "log-one-plus", doc: "log(1 + x) → log1p(x)", apply: log_one_plus },
    Rule { name: "log1p-exp", doc: "log1p(exp(x)) → softplus(x)", apply: log1p_exp },
    Rule { name: "log-cosh", doc: "log(cosh(x)) → x + softplus(-2 * x) - log(2)", apply: log_cosh },
    Rule {
        name: "sigmoid-quotient",
        doc: "1 / (1 + exp(-x)), exp(x) / (1 + exp(x)) → sigmoid(x)",
        apply: sigmoid_quotient,
    },
    Rule {
        name: "softmax-quotient",
        doc: "exp(x) / sum(exp(x)) → softmax(x), the sum being of one axis and repeated along it",
        apply: softmax_quotient,
    },
    Rule { name: "tanh-quotient", doc: "(exp(x) - exp(-x)) / (exp(x) + exp(-x)) → tanh(x)", apply: tanh_quotient },
    Rule { name: "exp-minus-one", doc: "exp(x) - 1 → expm1(x)", apply: exp_minus_one },
];

fn log_sigmoid(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [inner] = view.take(is!(Log))?;
    let [x] = rw.take(inner, is!(Sigmoid))?;
    let x = rw.neg(x);
    let y = rw.emit(ops::Softplus, &[x]);
    Some(rw.neg(y))
}

fn log_one_minus_sigmoid(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [inner] = view.take(is!(Log))?;
    let [one, inner] = rw.take(inner, is!(Sub))?;
    let [x] = rw.take(inner, is!(Sigmoid))?;
    if !rw.is_number(one, 1.0) {
        return None;
    }
    let y = rw.emit(ops::Softplus, &[x]);
    Some(rw.neg(y))
}

fn log_exp_quotient(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [inner] = view.take(is!(Log))?;
    let [inner, y] = rw.take(inner, is!(Div))?;
    let [x] = rw.take(inner, is!(Exp))?;
    let log = rw.emit(ops::Log, &[y]);
    Some(rw.emit(ops::Sub, &[x, log]))
}

fn log_softmax(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [inner] = view.take(is!(Log))?;
    let Op::Softmax(softmax) = rw.op(inner) else { return None };
    let axis = softmax.axis;
    let [x] = rw.take(inner, is!(Softmax))?;
    Some(rw.emit(ops::LogSoftmax { axis }, &[x]))
}

fn log_sum_exp(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [inner] = view.take(is!(Log))?;
    if let Some([x]) = rw.take(inner, is!(Reshape | Broadcast)) {
        // The logarithm goes below the layout, but for nothing less than this rule.
        let [sum] = rw.take(innermost(rw, x), is!(Sum))?;
        rw.take::<1>(sum, is!(Exp))?;
        let layout = rw.op(inner).clone();
        let log = rw.emit(ops::Log, &[x]);
        return Some(rw.emit(layout, &[log]));
    }
    let Op::Sum(sum) = rw.op(inner) else { return None };
    let axes = sum.axes.clone();
    let [exp] = rw.take(inner, is!(Sum))?;
    let [x] = rw.take(exp, is!(Exp))?;
    Some(rw.emit(ops::LogSumExp { axes }, &[x]))
}

fn minus_log_sum_exp(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [x, repeated] = view.take(is!(Sub))?;
    let (sum, axis) = repeated_along(rw, repeated)?;
    let fits = rw.take(sum, is!(LogSumExp)) == Some([x]);
    fits.then(|| rw.emit(ops::LogSoftmax { axis }, &[x]))
}

/// What is reduced along one axis of its operand and repeated along that axis again, and the axis.
fn repeated_along(rw: &Rewriter, repeated: NodeId) -> Option<(NodeId, usize)> {
    let Op::Broadcast(broadcast) = rw.op(repeated) else { return None };
    let new_axes = broadcast.new_axes();
    let [mut reduced] = rw.take(repeated, is!(Broadcast))?;
    let shape = rw.shape(reduced).to_vec();
    while let Some([inner]) = rw.take(reduced, is!(Reshape)) {
        reduced = inner;
    }
    let [axis] = (match rw.op(reduced) {
        Op::LogSumExp(op) => &op.axes,
        Op::Sum(op) => &op.axes,
        _ => return None,
    })[..] else {
        return None;
    };
    (new_axes == [axis] && rw.shape(reduced) == shape).then_some((reduced, axis))
}

/// What a value is, below reshapes and repeats.
fn innermost(rw: &Rewriter, mut id: NodeId) -> NodeId {
    while let Some([x]) = rw.take(id, is!(Reshape | Broadcast)) {
        id = x;
    }
    id
}

fn log1p_minus_sigmoid(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [inner] = view.take(is!(Log1p))?;
    let [inner] = rw.take(inner, is!(Neg))?;
    let [x] = rw.take(inner, is!(Sigmoid))?;
    let y = rw.emit(ops::Softplus, &[x]);
    Some(rw.neg(y))
}

fn log_exp(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [inner] = view.take(is!(Log))?;
    let [x] = rw.take(inner, is!(Exp))?;
    Some(x)
}

fn log_one_plus(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [inner] = view.take(is!(Log))?;
    let [one, x] = rw.take(inner, is!(Add))?;
    rw.is_number(one, 1.0).then(|| rw.emit(ops::Log1p, &[x]))
}

fn log1p_exp(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [inner] = view.take(is!(Log1p))?;
    let [x] = rw.take(inner, is!(Exp))?;
    Some(rw.emit(ops::Softplus, &[x]))
}

fn log_cosh(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [inner] = view.take(is!(Log))?;
    let [x] = rw.take(inner, is!(Cosh))?;
    let ty = rw.ty(x).clone();
    let two = rw.constant(-2.0, &ty);
    let twice = rw.mul(two, x);
    let tail = rw.emit(ops::Softplus, &[twice]);
    let sum = rw.emit(ops::Add, &[x, tail]);
    let offset = rw.constant(std::f64::consts::LN_2, &ty);
    Some(rw.emit(ops::Sub, &[sum, offset]))
}

fn sigmoid_quotient(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [part, whole] = view.take(is!(Div))?;
    let [a, b] = rw.take(whole, is!(Add))?;
    let (one, exp) = if rw.is_number(a, 1.0) { (a, b) } else { (b, a) };
    let [x] = rw.take(exp, is!(Exp))?;
    if !rw.is_number(one, 1.0) {
        return None;
    }
    if rw.is_number(part, 1.0) {
        let x = rw.neg(x);
        return Some(rw.emit(ops::Sigmoid, &[x]));
    }
    let [same] = rw.take(part, is!(Exp))?;
    (same == x).then(|| rw.emit(ops::Sigmoid, &[x]))
}

fn softmax_quotient(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [part, repeated] = view.take(is!(Div))?;
    let [x] = rw.take(part, is!(Exp))?;
    let (sum, axis) = repeated_along(rw, repeated)?;
    let [exp] = rw.take(sum, is!(Sum))?;
    let fits = rw.take(exp, is!(Exp)) == Some([x]);
    fits.then(|| rw.emit(ops::Softmax { axis }, &[x]))
}

fn tanh_quotient(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [difference, sum] = view.take(is!(Div))?;
    let ([a, b], [c, d]) = (rw.take(difference, is!(Sub))?, rw.take(sum, is!(Add))?);
    let exponent = |rw: &Rewriter, id: NodeId| rw.take::<1>(id, is!(Exp)).map(|[x]| x);
    let (x, minus) = (exponent(rw, a)?, exponent(rw, b)?);
    let (first, second) = (exponent(rw, c)?, exponent(rw, d)?);
    let is_negated = |rw: &Rewriter, a: NodeId, b: NodeId| rw.take(a, is!(Neg)) == Some([b]);
    let base = if is_negated(rw, minus, x) { x } else { minus };
    let is_pair = |rw: &Rewriter, a: NodeId, b: NodeId| a == base && is_negated(rw, b, base);
    let fits =
        (is_pair(rw, x, minus) || is_pair(rw, minus, x)) && (is_pair(rw, first, second) || is_pair(rw, second, first));
    if !fits {
        return None;
    }
    Some(rw.emit(ops::Tanh, &[x]))
}

fn exp_minus_one(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [inner, one] = view.take(is!(Sub))?;
    let [x] = rw.take(inner, is!(Exp))?;
    rw.is_number(one, 1.0).then(|| rw.emit(ops::Expm1, &[x]))
}
