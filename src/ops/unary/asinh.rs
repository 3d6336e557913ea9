//! `y = asinh x`. Derivative: `1/√(1 + x²)`.

use super::Unary;
use crate::ir::{Builder, NodeId};
use crate::ops::{Element, Flow};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Asinh;

impl Unary for Asinh {
    const NAME: &'static str = "asinh";
    const FLOW: Flow = Flow::Differentiable;

    fn apply<T: Element>(x: T) -> T {
        x.asinh()
    }

    fn differential(b: &mut Builder<'_>, x: NodeId, _y: NodeId, v: NodeId) -> NodeId {
        let one = b.constant_like(1.0, x);
        let square = b.mul(x, x);
        let below = b.add2(one, square);
        let slope = b.emit(crate::ops::Rsqrt, &[below]);
        b.mul(v, slope)
    }
}
