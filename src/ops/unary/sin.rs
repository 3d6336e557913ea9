//! `y = sin x`, radians. Derivative: `cos x`.

use super::Unary;
use crate::ir::{Builder, NodeId};
use crate::ops::{Element, Flow};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Sin;

impl Unary for Sin {
    const NAME: &'static str = "sin";
    const FLOW: Flow = Flow::Differentiable;

    fn apply<T: Element>(x: T) -> T {
        x.sin()
    }

    fn differential(b: &mut Builder<'_>, x: NodeId, _y: NodeId, v: NodeId) -> NodeId {
        let slope = b.emit(crate::ops::Cos, &[x]);
        b.mul(v, slope)
    }
}
