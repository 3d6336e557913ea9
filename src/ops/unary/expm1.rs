//! `y = e^x - 1`, accurate near 0. Derivative: `y + 1`.

use super::Unary;
use crate::ir::{Builder, NodeId};
use crate::ops::{Element, Flow};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Expm1;

impl Unary for Expm1 {
    const NAME: &'static str = "expm1";
    const FLOW: Flow = Flow::Differentiable;

    fn apply<T: Element>(x: T) -> T {
        x.exp_m1()
    }

    fn differential(b: &mut Builder<'_>, _x: NodeId, y: NodeId, v: NodeId) -> NodeId {
        let one = b.constant_like(1.0, y);
        let slope = b.add2(y, one);
        b.mul(v, slope)
    }
}
