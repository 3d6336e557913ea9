//! `z = x^y`. Derivatives: `y x^(y-1)` (0 where `y = 0`, at `x = 0` too), `z ln x` (0 where `x ≤ 0`).

use super::Binary;
use crate::ir::{Builder, NodeId};
use crate::ops::Element;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
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
            let (zero, one) = (b.zeros_like(y), b.constant_like(1.0, y));
            let lower = b.sub(y, one);
            // 0 * 0^-1 is no number; with any exponent that stays finite the product is 0.
            let is_flat = b.emit(crate::ops::Equal, &[zero, y]);
            let lower = b.select(is_flat, one, lower);
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
