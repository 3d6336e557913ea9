//! `z = x^y`. Derivatives: `y x^(y-1)`, `z ln x` (0 where `x ≤ 0`).

use super::Binary;
use crate::ir::{Builder, NodeId};
use crate::ops::Element;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Pow;

impl Binary for Pow {
    const NAME: &'static str = "pow";

    fn apply<T: Element>(x: T, y: T) -> T {
        x.powf(y)
    }

    fn apply_int(x: i32, y: i32) -> i32 {
        u32::try_from(y).map_or(0, |y| x.wrapping_pow(y))
    }

    fn differential(b: &mut Builder<'_>, [x, y]: [NodeId; 2], z: NodeId, v: NodeId, slot: usize) -> NodeId {
        if slot == 0 {
            let one = b.constant_like(1.0, y);
            let lower = b.sub(y, one);
            let power = b.emit(Pow, &[x, lower]);
            let slope = b.mul(y, power);
            return b.mul(v, slope);
        }
        let zero = b.zeros_like(x);
        let positive = b.emit(crate::ops::Less, &[zero, x]);
        let one = b.constant_like(1.0, x);
        let safe = b.select(positive, x, one);
        let log = b.emit(crate::ops::Log, &[safe]);
        let slope = b.mul(z, log);
        b.mul(v, slope)
    }
}
