//! `z = x - y`. Derivatives: 1, -1.

use super::Binary;
use crate::ir::{Builder, NodeId};
use crate::ops::Element;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Sub;

impl Binary for Sub {
    const NAME: &'static str = "sub";

    fn apply<T: Element>(x: T, y: T) -> T {
        x - y
    }

    fn apply_int(x: i32, y: i32) -> i32 {
        x.wrapping_sub(y)
    }

    fn differential(b: &mut Builder<'_>, [_x, _y]: [NodeId; 2], _z: NodeId, v: NodeId, slot: usize) -> NodeId {
        if slot == 0 { v } else { b.neg(v) }
    }
}
