//! Rounding to integers.

use super::UnaryCode;
use super::unary::unary;
use crate::ops::prelude::*;

unary! {
    /// `y = ⌊x⌋`. Derivative: zero.
    Floor "floor" CHEAP {
        x -> x.floor();
        bounds |x| x.increasing(f64::floor);
        pointwise Some(Pointwise::unary(UnaryCode::Floor));
        algebra Algebra::NONE.idempotent();
    }

    /// `y = ⌈x⌉`. Derivative: zero.
    Ceil "ceil" CHEAP {
        x -> x.ceil();
        bounds |x| x.increasing(f64::ceil);
        pointwise Some(Pointwise::Unary(UnaryCode::Neg, &Pointwise::Unary(UnaryCode::Floor, &Pointwise::unary(UnaryCode::Neg))));
        algebra Algebra::NONE.idempotent();
    }

    /// `y` = the integer nearest to `x`; a half goes to the even one (IEEE 754). Derivative: zero.
    Round "round" CHEAP {
        x -> {
            // `Float::round` takes halves away from zero; half of such an `x` is no half itself.
            let is_half = x.fract().abs() == T::of(0.5);
            if is_half { T::of(2.0) * (x * T::of(0.5)).round() } else { x.round() }
        };
        bounds |x| x.increasing(f64::round_ties_even);
        pointwise None;
        algebra Algebra::ODD.idempotent();
    }
}
