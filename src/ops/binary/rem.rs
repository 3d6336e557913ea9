//! `z = x - y ⌊x/y⌋`, the floored modulo: the sign of `y`. Derivatives: `1`, `-⌊x/y⌋`. Ints: modulo 0 is 0.

use super::Binary;
use crate::ir::{Builder, NodeId};
use crate::ops::{Element, Round};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Rem;

impl Binary for Rem {
    const NAME: &'static str = "rem";

    fn apply<T: Element>(x: T, y: T) -> T {
        let truncated = x % y;
        if truncated != T::zero() && (truncated < T::zero()) != (y < T::zero()) { truncated + y } else { truncated }
    }

    fn apply_int(x: i32, y: i32) -> i32 {
        let truncated = x.checked_rem(y).unwrap_or(0);
        if truncated != 0 && (truncated < 0) != (y < 0) { truncated + y } else { truncated }
    }

    fn differential(b: &mut Builder<'_>, [x, y]: [NodeId; 2], z: NodeId, v: NodeId, slot: usize) -> NodeId {
        if slot == 0 {
            return v;
        }
        // `⌊x/y⌋` from the result itself: a quotient rounded up to an integer would be off by one.
        let whole = b.sub(x, z);
        let quotient = b.div(whole, y);
        let quotient = b.emit(Round, &[quotient]);
        let product = b.mul(v, quotient);
        b.neg(product)
    }
}
