//! `z = x^y`. Derivatives: `y x^(y-1)`, `z ln x` (0 where `x ≤ 0`).
//!
//! `0^0` is 1, and its derivative by `x` is 0. A constant exponent is lowered by one as a constant, so the derivatives of
//! a whole power end where the calculus says: the third of `x²` is zero at 0 too, not `0 · 0^-1`.

use super::BinaryCode;
use super::binary::{Binary, binary_primitive};
use crate::ops::prelude::*;
use crate::ops::{And, Equal, Op};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Pow;

impl Binary for Pow {
    const NAME: &'static str = "pow";
    const INTEGERS: Option<fn(i32, i32) -> i32> = Some(|x, y| u32::try_from(y).map_or(0, |y| x.wrapping_pow(y)));
    const POINTWISE: Option<Pointwise> = Some(Pointwise::binary(BinaryCode::Pow));
    const ALGEBRA: Algebra = Algebra::NONE;
    const WEIGHT: f64 = super::weight::TRANSCENDENTAL;

    fn apply<T: Element>(x: T, y: T) -> T {
        x.powf(y)
    }

    fn bounds(ranges: &Ranges<'_>) -> Interval {
        let (base, exponent) = (ranges.of(0), ranges.of(1));
        if ranges.types.result.is_float() {
            return base.pow(exponent);
        }
        // Whole numbers: 0 for a negative exponent, and what leaves their range says nothing.
        let size = base.abs().max(Interval::point(1.0)).high.powf(exponent.high.max(0.0));
        let low = if base.low >= 0.0 { 0.0 } else { -size };
        Interval::new(low, size)
    }

    fn domain(slot: usize, operands: &[Interval]) -> Option<Domain> {
        if slot == 0 { of_base(operands[1]) } else { None }
    }

    fn differential(b: &mut Builder<'_>, [x, y]: [NodeId; 2], z: NodeId, v: NodeId, slot: usize) -> NodeId {
        if slot == 0 {
            return match constant_value(b, y) {
                Some(exponent) => constant_power(b, x, exponent, v),
                None => power(b, x, y, v),
            };
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

binary_primitive!(Pow);

/// `x^e`: whole powers take any number, negative ones any but 0; a root is steep without bound at 0.
fn of_base(exponent: Interval) -> Option<Domain> {
    if !exponent.is_point() {
        return Some(Domain::POSITIVE);
    }
    match exponent.low {
        e if e.fract() == 0.0 => (e < 0.0).then_some(Domain::NonZero),
        e if e < 0.0 => Some(Domain::POSITIVE),
        e if e < 1.0 => Some(Domain::NOT_NEGATIVE),
        // At 0 value and derivative are 0; below there is no number.
        _ => Some(Domain::Within { low: -f64::MIN_POSITIVE, high: f64::INFINITY, has_ends: true }),
    }
}

/// The value of a node that is one constant repeated.
fn constant_value(b: &Builder<'_>, id: NodeId) -> Option<f64> {
    match b.graph().op(id) {
        Op::Constant(constant) => Some(constant.value.0),
        Op::Broadcast(_) => constant_value(b, b.graph().operands(id)[0]),
        _ => None,
    }
}

/// `v · y x^(y-1)` for a constant `y`.
fn constant_power(b: &mut Builder<'_>, x: NodeId, exponent: f64, v: NodeId) -> NodeId {
    if exponent == 0.0 {
        return b.zeros_like(v);
    }
    if exponent == 1.0 {
        return v;
    }
    let power = if exponent == 2.0 {
        x
    } else {
        let lower = b.constant_like(exponent - 1.0, x);
        b.emit(Pow, &[x, lower])
    };
    let slope = b.scale(exponent, power);
    b.mul(v, slope)
}

/// `v · y x^(y-1)`, 0 where both are 0: there `x` is replaced before the power, since masking an infinite result
/// afterwards would leave `0 · ∞` to further derivatives.
fn power(b: &mut Builder<'_>, x: NodeId, y: NodeId, v: NodeId) -> NodeId {
    let (zero, one) = (b.zeros_like(x), b.constant_like(1.0, x));
    let (no_base, no_exponent) = (b.emit(Equal, &[x, zero]), b.emit(Equal, &[y, zero]));
    let neither = b.emit(And, &[no_base, no_exponent]);
    let base = b.select(neither, one, x);
    let lower = b.sub(y, one);
    let power = b.emit(Pow, &[base, lower]);
    let slope = b.mul(y, power);
    b.mul(v, slope)
}
