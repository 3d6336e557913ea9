//! `z = x / y`. Derivatives: `1/y`, `-z/y`. Ints round towards zero; division by 0 gives 0 there.

use super::Binary;
use crate::ir::{Builder, NodeId};
use crate::ops::Element;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Div;

impl Binary for Div {
    const NAME: &'static str = "div";

    fn apply<T: Element>(x: T, y: T) -> T {
        x / y
    }

    fn apply_int(x: i32, y: i32) -> i32 {
        x.checked_div(y).unwrap_or(0)
    }

    fn differential(b: &mut Builder<'_>, [_x, y]: [NodeId; 2], z: NodeId, v: NodeId, slot: usize) -> NodeId {
        if slot == 0 {
            return b.div(v, y);
        }
        let scaled = b.mul(v, z);
        let quotient = b.div(scaled, y);
        b.neg(quotient)
    }
}
