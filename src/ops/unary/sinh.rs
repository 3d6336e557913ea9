//! `y = sinh x`. Derivative: `cosh x`.

use super::Unary;
use crate::ir::{Builder, NodeId};
use crate::ops::{Element, Flow};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Sinh;

impl Unary for Sinh {
    const NAME: &'static str = "sinh";
    const FLOW: Flow = Flow::Differentiable;

    fn apply<T: Element>(x: T) -> T {
        x.sinh()
    }

    fn differential(b: &mut Builder<'_>, x: NodeId, _y: NodeId, v: NodeId) -> NodeId {
        let slope = b.emit(crate::ops::Cosh, &[x]);
        b.mul(v, slope)
    }
}
