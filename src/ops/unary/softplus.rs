//! `y = ln(1 + e^x)`, computed as `max(x, 0) + log1p(e^-|x|)`. Derivative: `sigmoid(x)`.

use super::Unary;
use crate::ir::{Builder, NodeId};
use crate::ops::{Element, Flow};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Softplus;

impl Unary for Softplus {
    const NAME: &'static str = "softplus";
    const FLOW: Flow = Flow::Differentiable;

    fn apply<T: Element>(x: T) -> T {
        x.max(T::zero()) + (-x.abs()).exp().ln_1p()
    }

    fn differential(b: &mut Builder<'_>, x: NodeId, _y: NodeId, v: NodeId) -> NodeId {
        let slope = b.emit(crate::ops::Sigmoid, &[x]);
        b.mul(v, slope)
    }
}
