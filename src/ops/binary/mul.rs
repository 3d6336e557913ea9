//! `z = x y`. Derivatives: `y`, `x`.

use super::Binary;
use crate::ir::{Builder, NodeId};
use crate::ops::Element;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Mul;

impl Binary for Mul {
    const NAME: &'static str = "mul";

    fn apply<T: Element>(x: T, y: T) -> T {
        x * y
    }

    fn apply_int(x: i32, y: i32) -> i32 {
        x.wrapping_mul(y)
    }

    fn differential(b: &mut Builder<'_>, [x, y]: [NodeId; 2], _z: NodeId, v: NodeId, slot: usize) -> NodeId {
        b.mul(v, if slot == 0 { y } else { x })
    }
}
