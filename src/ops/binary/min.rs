//! `z = min(x, y)`. The derivative goes to the smaller operand, at a tie to the second. NaN wins.

use super::Binary;
use crate::ir::{Builder, NodeId};
use crate::ops::Element;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Min;

impl Binary for Min {
    const NAME: &'static str = "min";

    fn apply<T: Element>(x: T, y: T) -> T {
        if x < y || x.is_nan() { x } else { y }
    }

    fn apply_int(x: i32, y: i32) -> i32 {
        x.min(y)
    }

    fn differential(b: &mut Builder<'_>, [x, y]: [NodeId; 2], _z: NodeId, v: NodeId, slot: usize) -> NodeId {
        let first = b.emit(crate::ops::Less, &[x, y]);
        let zero = b.zeros_like(v);
        if slot == 0 { b.select(first, v, zero) } else { b.select(first, zero, v) }
    }
}
