//! `y = |x|`. Derivative: `sign(x)`, 0 at the kink.

use super::Unary;
use crate::ir::{Builder, NodeId};
use crate::ops::{Element, Flow};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Abs;

impl Unary for Abs {
    const NAME: &'static str = "abs";
    const FLOW: Flow = Flow::Differentiable;

    fn apply<T: Element>(x: T) -> T {
        x.abs()
    }

    fn differential(b: &mut Builder<'_>, x: NodeId, _y: NodeId, v: NodeId) -> NodeId {
        let sign = b.emit(crate::ops::Sign, &[x]);
        b.mul(v, sign)
    }
}
