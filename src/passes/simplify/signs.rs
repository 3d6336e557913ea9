//! Negations: moved outwards, absorbed by sums, constants and other negations.

use super::rewriter::is;
use super::{NodeView, Rewriter, Rule};
use crate::ir::NodeId;
use crate::ops::{self, Parity};

pub(super) const RULES: &[Rule] = &[
    Rule { name: "neg-neg", doc: "-(-x) → x", apply: neg_neg },
    Rule { name: "neg-sub", doc: "-(x - y) → y - x", apply: neg_sub },
    Rule {
        name: "neg-scaled",
        doc: "-(c * x) → (-c) * x; -(x / c) → x / (-c); -(c / x) → (-c) / x",
        apply: neg_scaled,
    },
    Rule { name: "add-neg", doc: "x + (-y) → x - y", apply: add_neg },
    Rule { name: "sub-neg", doc: "x - (-y) → x + y", apply: sub_neg },
    Rule { name: "neg-sub-left", doc: "(-x) - y → -(x + y); (-x) - c → (-c) - x", apply: neg_sub_left },
    Rule {
        name: "scaled-neg",
        doc: "c * (-x) → (-c) * x; (-x) / c → x / (-c); c / (-x) → (-c) / x",
        apply: scaled_neg,
    },
    Rule { name: "product-neg", doc: "x * (-y) → -(x * y), and likewise for quotients", apply: product_neg },
    Rule { name: "even-neg", doc: "f(-x) → f(x) for even f, such as abs and cos", apply: even_neg },
    Rule { name: "odd-neg", doc: "f(-x) → -f(x) for odd f, such as sin and tanh", apply: odd_neg },
    Rule { name: "idempotent", doc: "f(f(x)) → f(x) for idempotent f, such as abs and floor", apply: idempotent },
];

fn negated(rw: &Rewriter, x: NodeId) -> Option<NodeId> {
    rw.take(x, is!(Neg)).map(|[x]| x)
}

fn neg_neg(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [x] = view.take(is!(Neg))?;
    negated(rw, x)
}

fn neg_sub(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [inner] = view.take(is!(Neg))?;
    let [x, y] = rw.take(inner, is!(Sub))?;
    Some(rw.emit(ops::Sub, &[y, x]))
}

fn neg_scaled(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [inner] = view.take(is!(Neg))?;
    let [x, y] = rw.take(inner, is!(Mul | Div)).filter(|_| rw.is_read_once(inner))?;
    let op = rw.op(inner).clone();
    let (first, second) = (rw.number(x), rw.number(y));
    if let Some(c) = first {
        let c = rw.constant(-c, view.ty);
        return Some(rw.emit(op, &[c, y]));
    }
    let c = rw.constant(-second?, view.ty);
    Some(rw.emit(op, &[x, c]))
}

fn add_neg(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [x, y] = view.take(is!(Add))?;
    if let Some(y) = negated(rw, y) {
        return Some(rw.emit(ops::Sub, &[x, y]));
    }
    let x = negated(rw, x)?;
    Some(rw.emit(ops::Sub, &[y, x]))
}

fn sub_neg(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [x, y] = view.take(is!(Sub))?;
    let y = negated(rw, y)?;
    Some(rw.emit(ops::Add, &[x, y]))
}

fn neg_sub_left(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [x, y] = view.take(is!(Sub))?;
    let x = negated(rw, x)?;
    if let Some(c) = rw.number(y) {
        let c = rw.constant(-c, view.ty);
        return Some(rw.emit(ops::Sub, &[c, x]));
    }
    let sum = rw.emit(ops::Add, &[x, y]);
    Some(rw.neg(sum))
}

fn scaled_neg(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [x, y] = view.take(is!(Mul | Div))?;
    if let (Some(c), Some(y)) = (rw.number(x), negated(rw, y)) {
        let c = rw.constant(-c, view.ty);
        return Some(rw.emit(view.op.clone(), &[c, y]));
    }
    let (x, c) = (negated(rw, x)?, rw.number(y)?);
    let c = rw.constant(-c, view.ty);
    Some(rw.emit(view.op.clone(), &[x, c]))
}

fn product_neg(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [x, y] = view.take(is!(Mul | Div))?;
    let product = match (negated(rw, x), negated(rw, y)) {
        (None, None) => return None,
        (Some(x), Some(y)) => return Some(rw.emit(view.op.clone(), &[x, y])),
        (Some(x), None) => rw.emit(view.op.clone(), &[x, y]),
        (None, Some(y)) => rw.emit(view.op.clone(), &[x, y]),
    };
    Some(rw.neg(product))
}

/// The operand of a negated operand of a function that has the parity.
fn within_negation(rw: &Rewriter, view: NodeView<'_>, parity: Parity) -> Option<NodeId> {
    let [x] = view.take(|_| true)?;
    if view.op.algebra().parity != Some(parity) {
        return None;
    }
    negated(rw, x)
}

fn even_neg(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let x = within_negation(rw, view, Parity::Even)?;
    Some(rw.emit(view.op.clone(), &[x]))
}

fn odd_neg(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let x = within_negation(rw, view, Parity::Odd)?;
    let y = rw.emit(view.op.clone(), &[x]);
    Some(rw.neg(y))
}

fn idempotent(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [x] = view.take(|_| true)?;
    (view.op.algebra().is_idempotent && rw.op(x) == view.op).then_some(x)
}
