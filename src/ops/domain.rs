//! Where an op's value, or its derivative, is no finite number.

/// The values of an operand for which an op is defined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Domain {
    /// Between two numbers. At the ends themselves the derivative is infinite, and the value too unless `has_ends`.
    Within { low: f64, high: f64, has_ends: bool },
    /// Any number but 0.
    NonZero,
}

impl Domain {
    pub const POSITIVE: Self = Self::Within { low: 0.0, high: f64::INFINITY, has_ends: false };
    pub const NOT_NEGATIVE: Self = Self::Within { low: 0.0, high: f64::INFINITY, has_ends: true };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{self, Interval, Op};

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
