//! Formulas replaced by ones that keep more digits or a wider range. Each use is reported.
//!
//! Nothing is moved across a clip: a bound that the user set on a probability holds.

use super::rewriter::is;
use super::{NodeView, Rewriter, Rule};
use crate::ir::NodeId;
use crate::ops;

pub(super) const RULES: &[Rule] = &[
    Rule { name: "log-sigmoid", doc: "log(sigmoid(x)) → -softplus(-x)", apply: log_sigmoid },
    Rule { name: "log-one-minus-sigmoid", doc: "log(1 - sigmoid(x)) → -softplus(x)", apply: log_one_minus_sigmoid },
    Rule {
        name: "log-exp-quotient",
        doc: "log(exp(x) / y) → x - log(y), as in log(softmax(x))",
        apply: log_exp_quotient,
    },
    Rule { name: "log-exp", doc: "log(exp(x)) → x", apply: log_exp },
    Rule { name: "log-one-plus", doc: "log(1 + x) → log1p(x)", apply: log_one_plus },
    Rule { name: "log1p-exp", doc: "log1p(exp(x)) → softplus(x)", apply: log1p_exp },
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

fn exp_minus_one(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [inner, one] = view.take(is!(Sub))?;
    let [x] = rw.take(inner, is!(Exp))?;
    rw.is_number(one, 1.0).then(|| rw.emit(ops::Expm1, &[x]))
}
