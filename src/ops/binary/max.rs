//! `z = max(x, y)`. The derivative goes to the larger operand, at a tie to the second: `max(x, 0)` has slope 0 at 0. NaN wins.

use super::Binary;
use crate::ir::{Builder, NodeId};
use crate::ops::Element;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Max;

impl Binary for Max {
    const NAME: &'static str = "max";

    fn apply<T: Element>(x: T, y: T) -> T {
        if x > y || x.is_nan() { x } else { y }
    }

    fn apply_int(x: i32, y: i32) -> i32 {
        x.max(y)
    }

    fn differential(b: &mut Builder<'_>, [x, y]: [NodeId; 2], _z: NodeId, v: NodeId, slot: usize) -> NodeId {
        let first = b.emit(crate::ops::Less, &[y, x]);
        let zero = b.zeros_like(v);
        if slot == 0 { b.select(first, v, zero) } else { b.select(first, zero, v) }
    }
}
