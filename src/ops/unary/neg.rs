//! `y = -x`. Derivative: `-1`.

use super::Unary;
use crate::ir::{Builder, NodeId};
use crate::ops::{Element, Flow};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Neg;

impl Unary for Neg {
    const NAME: &'static str = "neg";
    const FLOW: Flow = Flow::Differentiable;

    fn apply<T: Element>(x: T) -> T {
        -x
    }

    fn differential(b: &mut Builder<'_>, _x: NodeId, _y: NodeId, v: NodeId) -> NodeId {
        b.neg(v)
    }
}
