//! `y = tan x`, radians. Derivative: `1 + y²`.

use super::Unary;
use crate::ir::{Builder, NodeId};
use crate::ops::{Element, Flow};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Tan;

impl Unary for Tan {
    const NAME: &'static str = "tan";
    const FLOW: Flow = Flow::Differentiable;

    fn apply<T: Element>(x: T) -> T {
        x.tan()
    }

    fn differential(b: &mut Builder<'_>, _x: NodeId, y: NodeId, v: NodeId) -> NodeId {
        let one = b.constant_like(1.0, y);
        let square = b.mul(y, y);
        let slope = b.add2(one, square);
        b.mul(v, slope)
    }
}
