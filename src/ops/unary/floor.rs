//! `y = ⌊x⌋`. Derivative: zero.

use super::Unary;
use crate::ir::{Builder, NodeId};
use crate::ops::{Element, Flow};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Floor;

impl Unary for Floor {
    const NAME: &'static str = "floor";
    const FLOW: Flow = Flow::Zero;

    fn apply<T: Element>(x: T) -> T {
        x.floor()
    }

    fn differential(b: &mut Builder<'_>, _x: NodeId, _y: NodeId, v: NodeId) -> NodeId {
        b.zeros_like(v)
    }
}
