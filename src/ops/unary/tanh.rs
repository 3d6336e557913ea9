//! `y = tanh x`. Derivative: `1 - y²`, as `(1 - y)(1 + y)`: exact where `y` is near ±1.

use super::Unary;
use crate::ir::{Builder, NodeId};
use crate::ops::{Element, Flow};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Tanh;

impl Unary for Tanh {
    const NAME: &'static str = "tanh";
    const FLOW: Flow = Flow::Differentiable;

    fn apply<T: Element>(x: T) -> T {
        x.tanh()
    }

    fn differential(b: &mut Builder<'_>, _x: NodeId, y: NodeId, v: NodeId) -> NodeId {
        let one = b.constant_like(1.0, y);
        let (below, above) = (b.sub(one, y), b.add2(one, y));
        let slope = b.mul(below, above);
        b.mul(v, slope)
    }
}
