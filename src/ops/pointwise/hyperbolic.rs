//! Hyperbolic functions and their inverses.

use super::UnaryCode;
use super::unary::unary;
use crate::ops::Rsqrt;
use crate::ops::prelude::*;

unary! {
    /// `y = sinh x`. Derivative: `cosh x`.
    Sinh "sinh" TRANSCENDENTAL {
        x -> x.sinh();
        bounds |x| x.increasing(f64::sinh);
        pointwise None;
        algebra Algebra::ODD;
        exponent |x| x.abs().high;
        derivative |b, x, _y, v| {
            let slope = b.emit(Cosh, &[x]);
            b.mul(v, slope)
        };
    }

    /// `y = cosh x`. Derivative: `sinh x`.
    Cosh "cosh" TRANSCENDENTAL {
        x -> x.cosh();
        bounds |x| x.abs().increasing(f64::cosh);
        pointwise None;
        algebra Algebra::EVEN;
        exponent |x| x.abs().high;
        derivative |b, x, _y, v| {
            let slope = b.emit(Sinh, &[x]);
            b.mul(v, slope)
        };
    }

    /// `y = tanh x`. Derivative: `1 - y²`, as `(1 - y)(1 + y)`: exact where `y` is near ±1.
    Tanh "tanh" EXPONENTIAL {
        x -> x.tanh();
        bounds |x| x.increasing(f64::tanh);
        pointwise Some(Pointwise::unary(UnaryCode::Tanh));
        algebra Algebra::ODD;
        derivative |b, _x, y, v| {
            let one = b.constant_like(1.0, y);
            let (below, above) = (b.sub(one, y), b.add2(one, y));
            let slope = b.mul(below, above);
            b.mul(v, slope)
        };
    }

    /// `y = asinh x`. Derivative: `1/√(1 + x²)`.
    Asinh "asinh" TRANSCENDENTAL {
        x -> x.asinh();
        bounds |x| x.increasing(f64::asinh);
        pointwise None;
        algebra Algebra::ODD;
        derivative |b, x, _y, v| {
            let one = b.constant_like(1.0, x);
            let square = b.mul(x, x);
            let below = b.add2(one, square);
            let slope = b.emit(Rsqrt, &[below]);
            b.mul(v, slope)
        };
    }

    /// `y = acosh x`; NaN below 1. Derivative: `1/√((x - 1)(x + 1))`, infinite at 1.
    Acosh "acosh" TRANSCENDENTAL {
        x -> x.acosh();
        bounds |x| x.increasing(|x| x.max(1.0).acosh());
        pointwise None;
        algebra Algebra::NONE;
        domain Domain::Within { low: 1.0, high: f64::INFINITY, has_ends: true };
        derivative |b, x, _y, v| {
            let one = b.constant_like(1.0, x);
            let (below, above) = (b.sub(x, one), b.add2(x, one));
            // Two roots, since the product overflows where the slope is still a number.
            let roots = [below, above].map(|factor| b.emit(Rsqrt, &[factor]));
            let slope = b.mul(roots[0], roots[1]);
            b.mul(v, slope)
        };
    }

    /// `y = atanh x`; infinite at ±1, NaN beyond. Derivative: `1/((1 - x)(1 + x))`.
    Atanh "atanh" TRANSCENDENTAL {
        x -> x.atanh();
        bounds |x| x.clamp(Interval::SIGNED_UNIT).increasing(f64::atanh);
        pointwise None;
        // Odd up to rounding only: the two sides are computed by one formula that is not.
        algebra Algebra::NONE;
        domain Domain::Within { low: -1.0, high: 1.0, has_ends: false };
        derivative |b, x, _y, v| {
            let one = b.constant_like(1.0, x);
            let (below, above) = (b.sub(one, x), b.add2(one, x));
            let product = b.mul(below, above);
            b.div(v, product)
        };
    }
}
