//! `z = x + y`. Derivatives: 1, 1.

use super::Binary;
use crate::ir::{Builder, NodeId};
use crate::ops::Element;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Add;

impl Binary for Add {
    const NAME: &'static str = "add";

    fn apply<T: Element>(x: T, y: T) -> T {
        x + y
    }

    fn apply_int(x: i32, y: i32) -> i32 {
        x.wrapping_add(y)
    }

    fn differential(_b: &mut Builder<'_>, [_x, _y]: [NodeId; 2], _z: NodeId, v: NodeId, _slot: usize) -> NodeId {
        v
    }
}
