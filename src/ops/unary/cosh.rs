//! `y = cosh x`. Derivative: `sinh x`.

use super::Unary;
use crate::ir::{Builder, NodeId};
use crate::ops::{Element, Flow};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Cosh;

impl Unary for Cosh {
    const NAME: &'static str = "cosh";
    const FLOW: Flow = Flow::Differentiable;

    fn apply<T: Element>(x: T) -> T {
        x.cosh()
    }

    fn differential(b: &mut Builder<'_>, x: NodeId, _y: NodeId, v: NodeId) -> NodeId {
        let slope = b.emit(crate::ops::Sinh, &[x]);
        b.mul(v, slope)
    }
}
