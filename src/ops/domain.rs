//! Where an op's value, or its derivative, is no finite number.

use super::{Interval, Op};

/// The values of an operand for which an op is defined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Domain {
    /// Between two numbers. At the ends themselves the derivative is infinite, and the value too unless `has_ends`.
    Within { low: f64, high: f64, has_ends: bool },
    /// Any number but 0.
    NonZero,
}

impl Domain {
    const POSITIVE: Self = Self::Within { low: 0.0, high: f64::INFINITY, has_ends: false };
    const NOT_NEGATIVE: Self = Self::Within { low: 0.0, high: f64::INFINITY, has_ends: true };
}

impl Op {
    /// What the operand at `slot` has to be for the op's value and derivative to be finite numbers; `None` when it may be
    /// anything. Overflow is not counted. `operands` are the bounds of all of them.
    pub fn domain(&self, slot: usize, operands: &[Interval]) -> Option<Domain> {
        match (self, slot) {
            (Op::Log(_) | Op::Rsqrt(_), 0) => Some(Domain::POSITIVE),
            (Op::Log1p(_), 0) => Some(Domain::Within { low: -1.0, high: f64::INFINITY, has_ends: false }),
            (Op::Sqrt(_), 0) => Some(Domain::NOT_NEGATIVE),
            (Op::Asin(_) | Op::Acos(_), 0) => Some(Domain::Within { low: -1.0, high: 1.0, has_ends: true }),
            (Op::Atanh(_), 0) => Some(Domain::Within { low: -1.0, high: 1.0, has_ends: false }),
            (Op::Acosh(_), 0) => Some(Domain::Within { low: 1.0, high: f64::INFINITY, has_ends: true }),
            (Op::Div(_), 1) => Some(Domain::NonZero),
            (Op::Pow(_), 0) => of_base(operands[1]),
            _ => None,
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops;

    #[test]
    fn ops_say_where_they_are_finite() {
        let none: &[Interval] = &[];
        assert_eq!(Op::from(ops::Log).domain(0, none), Some(Domain::POSITIVE));
        assert_eq!(Op::from(ops::Exp).domain(0, none), None);
        assert_eq!(Op::from(ops::Div).domain(0, none), None);
        assert_eq!(Op::from(ops::Div).domain(1, none), Some(Domain::NonZero));
        let power = |exponent: Interval| Op::from(ops::Pow).domain(0, &[Interval::ALL, exponent]);
        assert_eq!(power(Interval::point(2.0)), None);
        assert_eq!(power(Interval::point(-2.0)), Some(Domain::NonZero));
        assert_eq!(power(Interval::point(0.5)), Some(Domain::NOT_NEGATIVE));
        assert_eq!(power(Interval::UNIT), Some(Domain::POSITIVE));
    }
}
