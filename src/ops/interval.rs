//! Closed bounds of numbers, and what arithmetic does to them.
//!
//! Bounds are of real arithmetic: rounding in the run's precision is not counted, and a number beyond the precision counts as
//! infinite. They hold for elements that are numbers: NaN lies in no interval, and ops say nothing of it. The two zeros are
//! one number, so what only a negative zero reaches (`1/-0`) is not counted either.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// The largest and the least integer of an `i32` tensor.
const WHOLE: Interval = Interval { low: i32::MIN as f64, high: i32::MAX as f64 };

/// Closed bounds; infinite where unknown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

impl Interval {
    pub const ALL: Self = Self { low: f64::NEG_INFINITY, high: f64::INFINITY };
    pub const NOT_NEGATIVE: Self = Self { low: 0.0, high: f64::INFINITY };
    pub const UNIT: Self = Self { low: 0.0, high: 1.0 };
    pub const ZERO: Self = Self { low: 0.0, high: 0.0 };
    /// -1 to 1
    pub const SIGNED_UNIT: Self = Self { low: -1.0, high: 1.0 };

    /// Bounds in order; what is not a number becomes unknown.
    pub fn new(low: f64, high: f64) -> Self {
        Self {
            low: if low.is_nan() { f64::NEG_INFINITY } else { low },
            high: if high.is_nan() { f64::INFINITY } else { high },
        }
    }

    pub fn point(value: f64) -> Self {
        Self::new(value, value)
    }

    pub fn is_point(self) -> bool {
        self.low == self.high && self.low.is_finite()
    }

    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// Whether a number lies within; NaN lies in none.
    pub fn contains(self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    pub fn hull(self, other: Self) -> Self {
        Self::new(self.low.min(other.low), self.high.max(other.high))
    }

    /// `1/0` is infinite, so what reaches 0 from below has no bound above.
    pub fn reciprocal(self) -> Self {
        if self.low >= 0.0 {
            Self::new(1.0 / self.high, if self.low == 0.0 { f64::INFINITY } else { 1.0 / self.low })
        } else if self.high < 0.0 {
            -(-self).reciprocal()
        } else {
            Self::ALL
        }
    }

    pub fn abs(self) -> Self {
        let (low, high) = (self.low.abs(), self.high.abs());
        Self::new(if self.contains(0.0) { 0.0 } else { low.min(high) }, low.max(high))
    }

    pub fn square(self) -> Self {
        let size = self.abs();
        size * size
    }

    pub fn max(self, other: Self) -> Self {
        Self::new(self.low.max(other.low), self.high.max(other.high))
    }

    pub fn min(self, other: Self) -> Self {
        Self::new(self.low.min(other.low), self.high.min(other.high))
    }

    /// What of it lies within other bounds; their nearer end where nothing does.
    pub fn clamp(self, other: Self) -> Self {
        Self::new(self.low.clamp(other.low, other.high), self.high.clamp(other.low, other.high))
    }

    /// The bounds of an increasing function.
    pub fn increasing(self, f: impl Fn(f64) -> f64) -> Self {
        Self::new(f(self.low), f(self.high))
    }

    /// The bounds of a decreasing function.
    pub fn decreasing(self, f: impl Fn(f64) -> f64) -> Self {
        Self::new(f(self.high), f(self.low))
    }

    pub fn pow(self, exponent: Self) -> Self {
        if !exponent.is_point() {
            return if self.low >= 0.0 { self.power_of_any(exponent) } else { Self::ALL };
        }
        let e = exponent.low;
        match e {
            0.0 => Self::point(1.0),
            e if e < 0.0 => self.pow(Self::point(-e)).reciprocal(),
            e if e % 2.0 == 0.0 => self.abs().increasing(|x| x.powf(e)),
            e if self.low >= 0.0 || e % 2.0 == 1.0 => self.increasing(|x| x.powf(e)),
            // No number where the base is negative.
            _ => self.clamp(Self::NOT_NEGATIVE).increasing(|x| x.powf(e)),
        }
    }

    /// Powers of numbers that are not negative, which rise or fall all along base and exponent.
    fn power_of_any(self, exponent: Self) -> Self {
        let ends = [
            (self.low, exponent.low),
            (self.low, exponent.high),
            (self.high, exponent.low),
            (self.high, exponent.high),
        ];
        let corners = ends.map(|(base, exponent)| base.powf(exponent));
        if corners.iter().any(|corner| corner.is_nan()) {
            return Self::NOT_NEGATIVE;
        }
        // Where a base of 1 or an exponent of 0 lies within, so does 1.
        let one = (self.contains(1.0) || exponent.contains(0.0)).then_some(1.0);
        let all = || corners.iter().copied().chain(one);
        Self::new(all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max))
    }

    /// The sum of so many elements.
    pub fn sum(self, count: usize) -> Self {
        self * Self::point(count as f64)
    }

    /// Sums of elements in any number from `least`.
    pub fn sums_from(self, least: usize) -> Self {
        let many = self * Self::new(least.max(1) as f64, f64::INFINITY);
        if least == 0 { many.hull(Self::ZERO) } else { many }
    }

    /// What tensors of ints hold: arithmetic wraps, so bounds that leave the range say nothing.
    pub fn whole(self) -> Self {
        let fits = WHOLE.contains(self.low) && WHOLE.contains(self.high);
        if fits { self } else { WHOLE }
    }

    /// Rounded to integers that saturate at the ends of their range.
    pub fn truncated(self) -> Self {
        self.increasing(f64::trunc).clamp(WHOLE)
    }
}

impl Add for Interval {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::new(self.low + other.low, self.high + other.high)
    }
}

impl Neg for Interval {
    type Output = Self;

    fn neg(self) -> Self {
        Self::new(-self.high, -self.low)
    }
}

impl Sub for Interval {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

/// 0 times an unknown number is 0.
impl Mul for Interval {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let product = |a: f64, b: f64| if a == 0.0 || b == 0.0 { 0.0 } else { a * b };
        let corners = [
            product(self.low, other.low),
            product(self.low, other.high),
            product(self.high, other.low),
            product(self.high, other.high),
        ];
        Self::new(
            corners.iter().copied().fold(f64::INFINITY, f64::min),
            corners.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        )
    }
}

#[expect(clippy::suspicious_arithmetic_impl, reason = "a quotient is a product with the reciprocal")]
impl Div for Interval {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        if self.is_zero() { self } else { self * other.reciprocal() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_holds_its_bounds() {
        let unit = Interval::UNIT;
        assert_eq!(Interval::point(1.0) - unit, unit);
        assert_eq!(unit * Interval::ALL, Interval::ALL);
        assert_eq!(Interval::ZERO * Interval::ALL, Interval::ZERO);
        assert_eq!(Interval::point(1.0) / Interval::NOT_NEGATIVE, Interval::NOT_NEGATIVE);
        assert_eq!(Interval::point(1.0) / Interval::ALL, Interval::ALL);
        assert_eq!(Interval::new(-2.0, 1.0).square(), Interval::new(0.0, 4.0));
        assert_eq!(Interval::new(-2.0, -1.0).square(), Interval::new(1.0, 4.0));
        assert_eq!(Interval::NOT_NEGATIVE.sums_from(1), Interval::NOT_NEGATIVE);
        assert_eq!(Interval::new(2.0, 3.0).sums_from(1), Interval::new(2.0, f64::INFINITY));
        assert_eq!(Interval::new(2.0, 3.0).sums_from(0), Interval::NOT_NEGATIVE);
        assert_eq!(Interval::point(2.0).sum(3), Interval::point(6.0));
        assert_eq!(Interval::ALL.increasing(f64::exp), Interval::NOT_NEGATIVE);
    }

    #[test]
    fn powers_hold_their_bounds() {
        let some = Interval::new(-1.0, 2.0);
        assert_eq!(some.pow(Interval::point(2.0)), Interval::new(0.0, 4.0));
        assert_eq!(some.pow(Interval::point(3.0)), Interval::new(-1.0, 8.0));
        assert_eq!(some.pow(Interval::point(-2.0)), Interval::new(0.25, f64::INFINITY));
        assert_eq!(some.pow(Interval::point(-1.0)), Interval::ALL);
        assert_eq!(some.pow(Interval::point(0.5)), Interval::new(0.0, 2f64.sqrt()));
        assert_eq!(some.pow(Interval::ALL), Interval::ALL);
        let decay = Interval::point(0.9);
        assert_eq!(decay.pow(Interval::new(1.0, f64::INFINITY)), Interval::new(0.0, 0.9));
        assert_eq!(decay.pow(Interval::new(-1.0, 1.0)), Interval::new(0.9, 1.0 / 0.9));
        assert_eq!(Interval::new(0.5, 2.0).pow(Interval::new(0.0, 2.0)), Interval::new(0.25, 4.0));
        assert_eq!(Interval::NOT_NEGATIVE.pow(Interval::ALL), Interval::NOT_NEGATIVE);
    }

    #[test]
    fn whole_numbers_wrap_and_saturate() {
        let large = Interval::new(0.0, 3e9);
        assert_eq!(large.whole(), WHOLE);
        assert_eq!(large.truncated(), Interval::new(0.0, f64::from(i32::MAX)));
        assert_eq!(Interval::new(-0.5, 7.5).truncated(), Interval::new(0.0, 7.0));
    }
}
