//! `y = acosh x`; NaN below 1. Derivative: `1/√((x - 1)(x + 1))`, infinite at 1.

use super::Unary;
use crate::ir::{Builder, NodeId};
use crate::ops::{Element, Flow};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Acosh;

impl Unary for Acosh {
    const NAME: &'static str = "acosh";
    const FLOW: Flow = Flow::Differentiable;

    fn apply<T: Element>(x: T) -> T {
        x.acosh()
    }

    fn differential(b: &mut Builder<'_>, x: NodeId, _y: NodeId, v: NodeId) -> NodeId {
        let one = b.constant_like(1.0, x);
        let (below, above) = (b.sub(x, one), b.add2(x, one));
        // Two roots, since the product overflows where the slope is still a number.
        let roots = [below, above].map(|factor| b.emit(crate::ops::Rsqrt, &[factor]));
        let slope = b.mul(roots[0], roots[1]);
        b.mul(v, slope)
    }
}
