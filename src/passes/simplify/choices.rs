//! Choices by a mask, larger and smaller of two, and bools.

use super::rewriter::is;
use super::{NodeView, Rewriter, Rule};
use crate::ir::NodeId;
use crate::ops;

pub(super) const RULES: &[Rule] = &[
    Rule { name: "where-constant", doc: "where(true, x, y) → x; where(false, x, y) → y", apply: where_constant },
    Rule { name: "where-same", doc: "where(m, x, x) → x", apply: where_same },
    Rule { name: "where-not", doc: "where(not m, x, y) → where(m, y, x)", apply: where_not },
    Rule {
        name: "where-where",
        doc: "where(m, where(m, x, y), z) → where(m, x, z), and likewise for z",
        apply: where_where,
    },
    Rule { name: "not-not", doc: "not not m → m", apply: not_not },
    Rule { name: "and-constant", doc: "true and m → m; false and m → false", apply: and_constant },
    Rule { name: "or-constant", doc: "false or m → m; true or m → true", apply: or_constant },
    Rule { name: "same-operands", doc: "max, min, and, or of x and x → x", apply: same_operands },
    Rule { name: "max-max", doc: "max(c1, max(c2, x)) → max(larger, x), and likewise for min", apply: max_max },
    Rule { name: "less-same", doc: "x < x → false", apply: less_same },
];

fn where_constant(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [mask, x, y] = view.take(is!(Select))?;
    rw.number(mask).map(|value| if value != 0.0 { x } else { y })
}

fn where_same(_: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [_, x, y] = view.take(is!(Select))?;
    (x == y).then_some(x)
}

fn where_not(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [mask, x, y] = view.take(is!(Select))?;
    let [mask] = rw.take(mask, is!(Not))?;
    Some(rw.emit(ops::Select, &[mask, y, x]))
}

fn where_where(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [mask, x, y] = view.take(is!(Select))?;
    if let Some([inner, chosen, _]) = rw.take(x, is!(Select))
        && inner == mask
    {
        return Some(rw.emit(ops::Select, &[mask, chosen, y]));
    }
    let [inner, _, other] = rw.take(y, is!(Select))?;
    if inner != mask {
        return None;
    }
    Some(rw.emit(ops::Select, &[mask, x, other]))
}

fn not_not(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [x] = view.take(is!(Not))?;
    let [x] = rw.take(x, is!(Not))?;
    Some(x)
}

fn and_constant(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [c, x] = view.take(is!(And))?;
    rw.number(c).map(|value| if value != 0.0 { x } else { c })
}

fn or_constant(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [c, x] = view.take(is!(Or))?;
    rw.number(c).map(|value| if value != 0.0 { c } else { x })
}

fn same_operands(_: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [x, y] = view.take(|_| true)?;
    (x == y && view.op.algebra().is_idempotent).then_some(x)
}

fn max_max(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [c, inner] = view.take(is!(Max | Min))?;
    let [d, x] = rw.take(inner, is!(Max | Min)).filter(|_| rw.op(inner) == view.op)?;
    rw.number(c).and(rw.number(d))?;
    let bound = rw.emit(view.op.clone(), &[c, d]);
    Some(rw.emit(view.op.clone(), &[bound, x]))
}

fn less_same(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [x, y] = view.take(is!(Less))?;
    (x == y).then(|| rw.constant(0.0, view.ty))
}
