//! `y = ⌈x⌉`. Derivative: zero.

use super::Unary;
use crate::ir::{Builder, NodeId};
use crate::ops::{Element, Flow};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Ceil;

impl Unary for Ceil {
    const NAME: &'static str = "ceil";
    const FLOW: Flow = Flow::Zero;

    fn apply<T: Element>(x: T) -> T {
        x.ceil()
    }

    fn differential(b: &mut Builder<'_>, _x: NodeId, _y: NodeId, v: NodeId) -> NodeId {
        b.zeros_like(v)
    }
}
