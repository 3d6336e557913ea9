//! `y = atan x` in [-π/2, π/2]. Derivative: `1/(1 + x²)`.

use super::Unary;
use crate::ir::{Builder, NodeId};
use crate::ops::{Element, Flow};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Atan;

impl Unary for Atan {
    const NAME: &'static str = "atan";
    const FLOW: Flow = Flow::Differentiable;

    fn apply<T: Element>(x: T) -> T {
        x.atan()
    }

    fn differential(b: &mut Builder<'_>, x: NodeId, _y: NodeId, v: NodeId) -> NodeId {
        let one = b.constant_like(1.0, x);
        let square = b.mul(x, x);
        let below = b.add2(one, square);
        b.div(v, below)
    }
}
