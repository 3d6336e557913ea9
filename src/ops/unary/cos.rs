//! `y = cos x`, radians. Derivative: `-sin x`.

use super::Unary;
use crate::ir::{Builder, NodeId};
use crate::ops::{Element, Flow};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Cos;

impl Unary for Cos {
    const NAME: &'static str = "cos";
    const FLOW: Flow = Flow::Differentiable;

    fn apply<T: Element>(x: T) -> T {
        x.cos()
    }

    fn differential(b: &mut Builder<'_>, x: NodeId, _y: NodeId, v: NodeId) -> NodeId {
        let sin = b.emit(crate::ops::Sin, &[x]);
        let slope = b.neg(sin);
        b.mul(v, slope)
    }
}
