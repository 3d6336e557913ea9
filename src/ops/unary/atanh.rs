//! `y = atanh x`; infinite at ±1, NaN beyond. Derivative: `1/((1 - x)(1 + x))`.

use super::Unary;
use crate::ir::{Builder, NodeId};
use crate::ops::{Element, Flow};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Atanh;

impl Unary for Atanh {
    const NAME: &'static str = "atanh";
    const FLOW: Flow = Flow::Differentiable;

    fn apply<T: Element>(x: T) -> T {
        x.atanh()
    }

    fn differential(b: &mut Builder<'_>, x: NodeId, _y: NodeId, v: NodeId) -> NodeId {
        let one = b.constant_like(1.0, x);
        let (below, above) = (b.sub(one, x), b.add2(one, x));
        let product = b.mul(below, above);
        b.div(v, product)
    }
}
