//! `y` = the integer nearest to `x`; a half goes to the even one (IEEE 754). Derivative: zero.

use super::Unary;
use crate::ir::{Builder, NodeId};
use crate::ops::{Element, Flow};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Round;

impl Unary for Round {
    const NAME: &'static str = "round";
    const FLOW: Flow = Flow::Zero;

    fn apply<T: Element>(x: T) -> T {
        // `Float::round` takes halves away from zero; half of such an `x` is no half itself.
        let is_half = x.fract().abs() == T::of(0.5);
        if is_half { T::of(2.0) * (x * T::of(0.5)).round() } else { x.round() }
    }

    fn differential(b: &mut Builder<'_>, _x: NodeId, _y: NodeId, v: NodeId) -> NodeId {
        b.zeros_like(v)
    }
}
