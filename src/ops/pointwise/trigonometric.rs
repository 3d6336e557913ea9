//! Functions of angles, in radians, and their inverses.

use super::unary::unary;
use super::{BinaryCode, UnaryCode};
use crate::ops::Rsqrt;
use crate::ops::prelude::*;

unary! {
    /// `y = sin x`, radians. Derivative: `cos x`.
    Sin "sin" TRANSCENDENTAL {
        x -> x.sin();
        bounds |_x| Interval::SIGNED_UNIT;
        pointwise Some(Pointwise::unary(UnaryCode::Sin));
        algebra Algebra::ODD;
        derivative |b, x, _y, v| {
            let slope = b.emit(Cos, &[x]);
            b.mul(v, slope)
        };
    }

    /// `y = cos x`, radians. Derivative: `-sin x`.
    Cos "cos" TRANSCENDENTAL {
        x -> x.cos();
        bounds |_x| Interval::SIGNED_UNIT;
        pointwise Some(Pointwise::unary(UnaryCode::Cos));
        algebra Algebra::EVEN;
        derivative |b, x, _y, v| {
            let sin = b.emit(Sin, &[x]);
            let slope = b.neg(sin);
            b.mul(v, slope)
        };
    }

    /// `y = tan x`, radians. Derivative: `1 + y²`.
    Tan "tan" TRANSCENDENTAL {
        x -> x.tan();
        bounds |_x| Interval::ALL;
        pointwise Some(Pointwise::Binary(BinaryCode::Div, [&Pointwise::unary(UnaryCode::Sin), &Pointwise::unary(UnaryCode::Cos)]));
        algebra Algebra::ODD;
        derivative |b, _x, y, v| {
            let one = b.constant_like(1.0, y);
            let square = b.mul(y, y);
            let slope = b.add2(one, square);
            b.mul(v, slope)
        };
    }

    /// `y = asin x` in [-π/2, π/2]; NaN beyond ±1. Derivative: `1/√((1 - x)(1 + x))`, exact near ±1; infinite there.
    Asin "asin" TRANSCENDENTAL {
        x -> x.asin();
        bounds |x| x.clamp(Interval::SIGNED_UNIT).increasing(f64::asin);
        pointwise None;
        algebra Algebra::ODD;
        domain Domain::Within { low: -1.0, high: 1.0, has_ends: true };
        derivative |b, x, _y, v| {
            let one = b.constant_like(1.0, x);
            let (below, above) = (b.sub(one, x), b.add2(one, x));
            let product = b.mul(below, above);
            let slope = b.emit(Rsqrt, &[product]);
            b.mul(v, slope)
        };
    }

    /// `y = acos x` in [0, π]; NaN beyond ±1. Derivative: `-1/√((1 - x)(1 + x))`, exact near ±1; infinite there.
    Acos "acos" TRANSCENDENTAL {
        x -> x.acos();
        bounds |x| x.clamp(Interval::SIGNED_UNIT).decreasing(f64::acos);
        pointwise None;
        algebra Algebra::NONE;
        domain Domain::Within { low: -1.0, high: 1.0, has_ends: true };
        derivative |b, x, y, v| {
            let slope = Asin::differential(b, x, y, v);
            b.neg(slope)
        };
    }

    /// `y = atan x` in [-π/2, π/2]. Derivative: `1/(1 + x²)`.
    Atan "atan" TRANSCENDENTAL {
        x -> x.atan();
        bounds |x| x.increasing(f64::atan);
        pointwise None;
        algebra Algebra::ODD;
        derivative |b, x, _y, v| {
            let one = b.constant_like(1.0, x);
            let square = b.mul(x, x);
            let below = b.add2(one, square);
            b.div(v, below)
        };
    }
}
