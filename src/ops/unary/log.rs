//! `y = ln x`, natural. Derivative: `1/x`. `x = 0` gives `-inf`, `x < 0` NaN.

use super::Unary;
use crate::ir::{Builder, NodeId};
use crate::ops::{Element, Flow};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Log;

impl Unary for Log {
    const NAME: &'static str = "log";
    const FLOW: Flow = Flow::Differentiable;

    fn apply<T: Element>(x: T) -> T {
        x.ln()
    }

    fn differential(b: &mut Builder<'_>, x: NodeId, _y: NodeId, v: NodeId) -> NodeId {
        b.div(v, x)
    }
}
