//! `y = asin x` in [-π/2, π/2]; NaN beyond ±1. Derivative: `1/√((1 - x)(1 + x))`, exact near ±1; infinite there.

use super::Unary;
use crate::ir::{Builder, NodeId};
use crate::ops::{Element, Flow};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Asin;

impl Unary for Asin {
    const NAME: &'static str = "asin";
    const FLOW: Flow = Flow::Differentiable;

    fn apply<T: Element>(x: T) -> T {
        x.asin()
    }

    fn differential(b: &mut Builder<'_>, x: NodeId, _y: NodeId, v: NodeId) -> NodeId {
        let one = b.constant_like(1.0, x);
        let (below, above) = (b.sub(one, x), b.add2(one, x));
        let product = b.mul(below, above);
        let slope = b.emit(crate::ops::Rsqrt, &[product]);
        b.mul(v, slope)
    }
}
