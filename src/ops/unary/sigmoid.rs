//! `y = 1/(1 + e^-x)`, without overflow on either side. Derivative: `y(1 - y)`.

use super::Unary;
use crate::ir::{Builder, NodeId};
use crate::ops::{Element, Flow};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Sigmoid;

impl Unary for Sigmoid {
    const NAME: &'static str = "sigmoid";
    const FLOW: Flow = Flow::Differentiable;

    fn apply<T: Element>(x: T) -> T {
        let e = (-x.abs()).exp();
        if x >= T::zero() { (T::one() + e).recip() } else { e / (T::one() + e) }
    }

    fn differential(b: &mut Builder<'_>, _x: NodeId, y: NodeId, v: NodeId) -> NodeId {
        let one = b.constant_like(1.0, y);
        let rest = b.sub(one, y);
        let slope = b.mul(y, rest);
        b.mul(v, slope)
    }
}
