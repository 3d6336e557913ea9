//! `y = e^x`. Derivative: `y`.

use super::Unary;
use crate::ir::{Builder, NodeId};
use crate::ops::{Element, Flow};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Exp;

impl Unary for Exp {
    const NAME: &'static str = "exp";
    const FLOW: Flow = Flow::Differentiable;

    fn apply<T: Element>(x: T) -> T {
        x.exp()
    }

    fn differential(b: &mut Builder<'_>, _x: NodeId, y: NodeId, v: NodeId) -> NodeId {
        b.mul(v, y)
    }
}
