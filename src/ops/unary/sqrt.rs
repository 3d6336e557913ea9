//! `y = √x`. Derivative: `1/(2y)`; infinite at 0.

use super::Unary;
use crate::ir::{Builder, NodeId};
use crate::ops::{Element, Flow};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Sqrt;

impl Unary for Sqrt {
    const NAME: &'static str = "sqrt";
    const FLOW: Flow = Flow::Differentiable;

    fn apply<T: Element>(x: T) -> T {
        x.sqrt()
    }

    fn differential(b: &mut Builder<'_>, _x: NodeId, y: NodeId, v: NodeId) -> NodeId {
        let half = b.scale(0.5, v);
        b.div(half, y)
    }
}
