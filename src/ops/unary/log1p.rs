//! `y = ln(1 + x)`, accurate near 0. Derivative: `1/(1 + x)`.

use super::Unary;
use crate::ir::{Builder, NodeId};
use crate::ops::{Element, Flow};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Log1p;

impl Unary for Log1p {
    const NAME: &'static str = "log1p";
    const FLOW: Flow = Flow::Differentiable;

    fn apply<T: Element>(x: T) -> T {
        x.ln_1p()
    }

    fn differential(b: &mut Builder<'_>, x: NodeId, _y: NodeId, v: NodeId) -> NodeId {
        let one = b.constant_like(1.0, x);
        let shifted = b.add2(x, one);
        b.div(v, shifted)
    }
}
