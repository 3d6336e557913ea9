//! `y = 1, 0, -1` for positive, zero, negative `x`. Derivative: zero. NaN stays NaN.

use super::Unary;
use crate::ir::{Builder, NodeId};
use crate::ops::{Element, Flow};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Sign;

impl Unary for Sign {
    const NAME: &'static str = "sign";
    const FLOW: Flow = Flow::Zero;

    fn apply<T: Element>(x: T) -> T {
        if x > T::zero() {
            T::one()
        } else if x < T::zero() {
            -T::one()
        } else {
            x * T::zero()
        }
    }

    fn differential(b: &mut Builder<'_>, _x: NodeId, _y: NodeId, v: NodeId) -> NodeId {
        b.zeros_like(v)
    }
}
