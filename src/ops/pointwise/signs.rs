//! Sign and size.

use super::UnaryCode;
use super::unary::unary;
use crate::ops::prelude::*;

unary! {
    /// `y = -x`. Derivative: `-1`.
    Neg "neg" CHEAP {
        x -> -x;
        bounds |x| -x;
        pointwise Some(Pointwise::unary(UnaryCode::Neg));
        algebra Algebra::ODD;
        derivative |b, _x, _y, v| b.neg(v);
    }

    /// `y = |x|`. Derivative: `sign(x)`, 0 at the kink.
    Abs "abs" CHEAP {
        x -> x.abs();
        bounds |x| x.abs();
        pointwise Some(Pointwise::unary(UnaryCode::Abs));
        algebra Algebra::EVEN.idempotent();
        derivative |b, x, _y, v| {
            let sign = b.emit(Sign, &[x]);
            b.mul(v, sign)
        };
    }

    /// `y = 1, 0, -1` for positive, zero, negative `x`. Derivative: zero. NaN stays NaN.
    Sign "sign" CHEAP {
        x -> {
            if x > T::zero() {
                T::one()
            } else if x < T::zero() {
                -T::one()
            } else {
                x * T::zero()
            }
        };
        bounds |x| x.increasing(|x| if x == 0.0 { 0.0 } else { x.signum() });
        pointwise Some(Pointwise::unary(UnaryCode::Sign));
        algebra Algebra::ODD.idempotent();
    }
}
