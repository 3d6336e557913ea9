//! Powers of e, logarithms, roots, and what is made of them.

use super::UnaryCode;
use super::unary::unary;
use crate::ops::prelude::*;

unary! {
    /// `y = e^x`. Derivative: `y`.
    Exp "exp" EXPONENTIAL {
        x -> x.exp();
        bounds |x| x.increasing(f64::exp);
        pointwise Some(Pointwise::unary(UnaryCode::Exp));
        algebra Algebra::NONE;
        exponent |x| x.high;
        derivative |b, _x, y, v| b.mul(v, y);
    }

    /// `y = e^x - 1`, accurate near 0. Derivative: `y + 1`.
    Expm1 "expm1" EXPONENTIAL {
        x -> x.exp_m1();
        bounds |x| x.increasing(f64::exp_m1);
        pointwise Some(Pointwise::unary(UnaryCode::Expm1));
        algebra Algebra::NONE;
        exponent |x| x.high;
        derivative |b, _x, y, v| {
            let one = b.constant_like(1.0, y);
            let slope = b.add2(y, one);
            b.mul(v, slope)
        };
    }

    /// `y = ln x`, natural. Derivative: `1/x`. `x = 0` gives `-inf`, `x < 0` NaN.
    Log "log" EXPONENTIAL {
        x -> x.ln();
        bounds |x| x.clamp(Interval::NOT_NEGATIVE).increasing(f64::ln);
        pointwise Some(Pointwise::unary(UnaryCode::Log));
        algebra Algebra::NONE;
        domain Domain::POSITIVE;
        derivative |b, x, _y, v| b.div(v, x);
    }

    /// `y = ln(1 + x)`, accurate near 0. Derivative: `1/(1 + x)`.
    Log1p "log1p" EXPONENTIAL {
        x -> x.ln_1p();
        bounds |x| x.increasing(|x| x.max(-1.0).ln_1p());
        pointwise Some(Pointwise::unary(UnaryCode::Log1p));
        algebra Algebra::NONE;
        domain Domain::Within { low: -1.0, high: f64::INFINITY, has_ends: false };
        derivative |b, x, _y, v| {
            let one = b.constant_like(1.0, x);
            let shifted = b.add2(x, one);
            b.div(v, shifted)
        };
    }

    /// `y = √x`. Derivative: `1/(2y)`; infinite at 0.
    Sqrt "sqrt" DIVISION {
        x -> x.sqrt();
        bounds |x| x.clamp(Interval::NOT_NEGATIVE).increasing(f64::sqrt);
        pointwise Some(Pointwise::unary(UnaryCode::Sqrt));
        algebra Algebra::NONE;
        domain Domain::NOT_NEGATIVE;
        derivative |b, _x, y, v| {
            let half = b.scale(0.5, v);
            b.div(half, y)
        };
    }

    /// `y = 1/√x`. Derivative: `-y³/2`.
    Rsqrt "rsqrt" DIVISION {
        x -> x.sqrt().recip();
        bounds |x| x.clamp(Interval::NOT_NEGATIVE).increasing(f64::sqrt).reciprocal();
        pointwise Some(Pointwise::unary(UnaryCode::Rsqrt));
        algebra Algebra::NONE;
        domain Domain::POSITIVE;
        derivative |b, _x, y, v| {
            let square = b.mul(y, y);
            let cube = b.mul(square, y);
            let half = b.scale(-0.5, v);
            b.mul(half, cube)
        };
    }

    /// `y = 1/(1 + e^-x)`, without overflow on either side. Derivative: `y(1 - y)`.
    Sigmoid "sigmoid" EXPONENTIAL {
        x -> {
            let e = (-x.abs()).exp();
            if x >= T::zero() { (T::one() + e).recip() } else { e / (T::one() + e) }
        };
        bounds |x| x.increasing(Self::apply);
        pointwise Some(Pointwise::unary(UnaryCode::Sigmoid));
        algebra Algebra::NONE;
        derivative |b, _x, y, v| {
            let one = b.constant_like(1.0, y);
            let rest = b.sub(one, y);
            let slope = b.mul(y, rest);
            b.mul(v, slope)
        };
    }

    /// `y = ln(1 + e^x)`, computed as `max(x, 0) + log1p(e^-|x|)`. Derivative: `sigmoid(x)`.
    Softplus "softplus" EXPONENTIAL {
        x -> x.max(T::zero()) + (-x.abs()).exp().ln_1p();
        bounds |x| x.increasing(Self::apply);
        pointwise Some(Pointwise::unary(UnaryCode::Softplus));
        algebra Algebra::NONE;
        derivative |b, x, _y, v| {
            let slope = b.emit(Sigmoid, &[x]);
            b.mul(v, slope)
        };
    }

    /// `y = erf x`, the error function. Derivative: `2/√π e^(-x²)`.
    Erf "erf" TRANSCENDENTAL {
        x -> x.erf();
        bounds |x| x.increasing(Self::apply);
        pointwise Some(Pointwise::unary(UnaryCode::Erf));
        algebra Algebra::ODD;
        derivative |b, x, _y, v| {
            let square = b.mul(x, x);
            let exponent = b.neg(square);
            let bell = b.emit(Exp, &[exponent]);
            let slope = b.scale(std::f64::consts::FRAC_2_SQRT_PI, bell);
            b.mul(v, slope)
        };
    }
}
