//! Identities of arithmetic, and factors joined.
//!
//! The operands of `add` and `mul` come with constants first.

use super::rewriter::is;
use super::{NodeView, Rewriter, Rule};
use crate::ir::NodeId;
use crate::ops::{self, Op};

pub(super) const RULES: &[Rule] = &[
    Rule { name: "add-zero", doc: "0 + x → x", apply: add_zero },
    Rule { name: "add-same", doc: "x + x → 2 * x", apply: add_same },
    Rule { name: "sub-zero", doc: "x - 0 → x", apply: sub_zero },
    Rule { name: "zero-sub", doc: "0 - x → -x", apply: zero_sub },
    Rule { name: "mul-one", doc: "1 * x → x", apply: mul_one },
    Rule { name: "mul-minus-one", doc: "-1 * x → -x", apply: mul_minus_one },
    Rule { name: "mul-mul", doc: "c1 * (c2 * x) → (c1 * c2) * x", apply: mul_mul },
    Rule { name: "div-one", doc: "x / 1 → x", apply: div_one },
    Rule { name: "div-minus-one", doc: "x / -1 → -x", apply: div_minus_one },
    Rule { name: "div-power-of-two", doc: "x / 2^k → 2^-k * x", apply: div_power_of_two },
    Rule { name: "div-div", doc: "(x / c1) / c2 → x / (c1 * c2)", apply: div_div },
    Rule { name: "reciprocal-sqrt", doc: "1 / sqrt(x) → rsqrt(x)", apply: reciprocal_sqrt },
    Rule { name: "pow-zero", doc: "x^0 → 1", apply: pow_zero },
    Rule { name: "pow-one", doc: "x^1 → x", apply: pow_one },
    Rule { name: "pow-two", doc: "x^2 → x * x", apply: pow_two },
    Rule { name: "pow-three", doc: "x^3 → x * x * x", apply: pow_three },
    Rule { name: "pow-half", doc: "x^0.5 → sqrt(x)", apply: pow_half },
    Rule { name: "pow-minus-one", doc: "x^-1 → 1 / x", apply: pow_minus_one },
    Rule { name: "cast-same", doc: "x cast to its own type → x", apply: cast_same },
    Rule { name: "cast-cast", doc: "a bool cast twice → cast once", apply: cast_cast },
    Rule { name: "stop", doc: "stop(x) → x, as all derivatives are written out", apply: stop },
    Rule { name: "directed", doc: "directed(y, x, d) → y, for the same reason", apply: directed },
];

/// The other operand, when the first is the constant.
fn beside_number(rw: &Rewriter, view: NodeView<'_>, is: fn(&Op) -> bool, value: f64) -> Option<NodeId> {
    let [c, x] = view.take(is)?;
    rw.is_number(c, value).then_some(x)
}

/// The first operand, when the second is the constant.
fn before_number(rw: &Rewriter, view: NodeView<'_>, is: fn(&Op) -> bool, value: f64) -> Option<NodeId> {
    let [x, c] = view.take(is)?;
    rw.is_number(c, value).then_some(x)
}

/// Constants that may be joined: their product is as far from overflow in f32 as they are.
fn is_moderate(value: f64) -> bool {
    (2f64.powi(-100)..2f64.powi(100)).contains(&value.abs())
}

fn add_zero(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    beside_number(rw, view, is!(Add), 0.0)
}

fn add_same(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [x, y] = view.take(is!(Add))?;
    if x != y {
        return None;
    }
    let two = rw.constant(2.0, view.ty);
    Some(rw.mul(two, x))
}

fn sub_zero(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    before_number(rw, view, is!(Sub), 0.0)
}

fn zero_sub(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let x = beside_number(rw, view, is!(Sub), 0.0).filter(|_| view.ty.is_float())?;
    Some(rw.neg(x))
}

fn mul_one(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    beside_number(rw, view, is!(Mul), 1.0)
}

fn mul_minus_one(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let x = beside_number(rw, view, is!(Mul), -1.0).filter(|_| view.ty.is_float())?;
    Some(rw.neg(x))
}

fn mul_mul(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [c, inner] = view.take(is!(Mul))?;
    let [d, x] = rw.take(inner, is!(Mul))?;
    let (c, d) = (rw.number(c)?, rw.number(d)?);
    if !view.ty.is_float() || ![c, d, c * d].into_iter().all(is_moderate) {
        return None;
    }
    let factor = rw.constant(c * d, view.ty);
    Some(rw.mul(factor, x))
}

fn div_one(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    before_number(rw, view, is!(Div), 1.0)
}

fn div_minus_one(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let x = before_number(rw, view, is!(Div), -1.0).filter(|_| view.ty.is_float())?;
    Some(rw.neg(x))
}

/// Exact, unlike the product by any other reciprocal.
fn div_power_of_two(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [x, c] = view.take(is!(Div))?;
    let c = rw.number(c)?;
    const MANTISSA: u64 = (1 << 52) - 1;
    if !view.ty.is_float() || !is_moderate(c) || c.to_bits() & MANTISSA != 0 {
        return None;
    }
    let factor = rw.constant(1.0 / c, view.ty);
    Some(rw.mul(factor, x))
}

fn div_div(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [inner, c] = view.take(is!(Div))?;
    let [x, d] = rw.take(inner, is!(Div))?;
    let (c, d) = (rw.number(c)?, rw.number(d)?);
    if !view.ty.is_float() || ![c, d, c * d].into_iter().all(is_moderate) {
        return None;
    }
    let divisor = rw.constant(c * d, view.ty);
    Some(rw.emit(ops::Div, &[x, divisor]))
}

fn reciprocal_sqrt(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let root = beside_number(rw, view, is!(Div), 1.0)?;
    let [x] = rw.take(root, is!(Sqrt))?;
    Some(rw.emit(ops::Rsqrt, &[x]))
}

fn pow_zero(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    before_number(rw, view, is!(Pow), 0.0)?;
    Some(rw.constant(1.0, view.ty))
}

fn pow_one(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    before_number(rw, view, is!(Pow), 1.0)
}

fn pow_two(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let x = before_number(rw, view, is!(Pow), 2.0)?;
    Some(rw.mul(x, x))
}

fn pow_three(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let x = before_number(rw, view, is!(Pow), 3.0)?;
    let square = rw.mul(x, x);
    Some(rw.mul(square, x))
}

fn pow_half(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let x = before_number(rw, view, is!(Pow), 0.5).filter(|_| view.ty.is_float())?;
    Some(rw.emit(ops::Sqrt, &[x]))
}

fn pow_minus_one(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let x = before_number(rw, view, is!(Pow), -1.0).filter(|_| view.ty.is_float())?;
    let one = rw.constant(1.0, view.ty);
    Some(rw.emit(ops::Div, &[one, x]))
}

fn cast_same(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [x] = view.take(is!(Cast))?;
    (rw.ty(x) == view.ty).then_some(x)
}

fn cast_cast(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [inner] = view.take(is!(Cast))?;
    let [x] = rw.take(inner, is!(Cast))?;
    // 0 and 1 pass through every type; other numbers may not.
    if rw.ty(x).dtype != crate::ir::DType::Bool {
        return None;
    }
    Some(rw.emit(view.op.clone(), &[x]))
}

fn stop(_: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [x] = view.take(is!(StopGradient))?;
    Some(x)
}

fn directed(_: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [y, _, _] = view.take(is!(Directed))?;
    Some(y)
}
