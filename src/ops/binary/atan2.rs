//! `z = atan2(y, x)`, the angle of the point `(x, y)` in [-π, π]. Derivatives: `x/(x² + y²)`, `-y/(x² + y²)`; NaN at the origin.
//! Of floats only.

use super::Binary;
use crate::ir::{Builder, NodeId};
use crate::ops::Element;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Atan2;

impl Binary for Atan2 {
    const NAME: &'static str = "atan2";
    const TAKES_INTS: bool = false;

    fn apply<T: Element>(y: T, x: T) -> T {
        y.atan2(x)
    }

    fn apply_int(_y: i32, _x: i32) -> i32 {
        0
    }

    fn differential(b: &mut Builder<'_>, [y, x]: [NodeId; 2], _z: NodeId, v: NodeId, slot: usize) -> NodeId {
        let squares = [x, y].map(|side| b.mul(side, side));
        let radius = b.add2(squares[0], squares[1]);
        let side = if slot == 0 { x } else { b.neg(y) };
        let product = b.mul(v, side);
        b.div(product, radius)
    }
}
