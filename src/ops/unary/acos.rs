//! `y = acos x` in [0, π]; NaN beyond ±1. Derivative: `-1/√((1 - x)(1 + x))`, exact near ±1; infinite there.

use super::Unary;
use crate::ir::{Builder, NodeId};
use crate::ops::{Element, Flow};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Acos;

impl Unary for Acos {
    const NAME: &'static str = "acos";
    const FLOW: Flow = Flow::Differentiable;

    fn apply<T: Element>(x: T) -> T {
        x.acos()
    }

    fn differential(b: &mut Builder<'_>, x: NodeId, y: NodeId, v: NodeId) -> NodeId {
        let slope = super::Asin::differential(b, x, y, v);
        b.neg(slope)
    }
}
