//! The logarithm of the gamma function, its derivatives, and the inverse of the error function.
//!
//! No operation of the register machine computes them: they run by these definitions, in f64 whatever the run's precision.

use super::unary::unary;
use crate::ops::prelude::*;
use std::f64::consts::PI;

unary! {
    /// `y = ln |Γ(x)|`. Derivative: `digamma(x)`. Infinite at 0 and the negative integers. By Stirling's series behind 15, whose
    /// argument is reached by `Γ(x + 1) = x Γ(x)`: near 1 and 2, where it is 0, the error is 1e-14.
    LogGamma "lgamma" TRANSCENDENTAL {
        x -> T::of(log_gamma(x.as_f64()));
        bounds |x| if x.low > 0.0 { Interval::new(-0.1215, f64::INFINITY) } else { Interval::ALL };
        pointwise None;
        algebra Algebra::NONE;
        domain Domain::POSITIVE;
        derivative |b, x, _y, v| {
            let slope = b.emit(Polygamma { order: 0 }, &[x]);
            b.mul(v, slope)
        };
    }

    /// `y = erf⁻¹ x`, for x within ±1. Derivative: `√π/2 e^(y²)`. Winitzki's approximation, then Newton's steps.
    ErfInverse "erfinv" TRANSCENDENTAL {
        x -> T::of(erf_inverse(x.as_f64()));
        bounds |x| x.clamp(Interval::SIGNED_UNIT).increasing(erf_inverse);
        pointwise None;
        algebra Algebra::ODD;
        domain Domain::Within { low: -1.0, high: 1.0, has_ends: false };
        derivative |b, _x, y, v| {
            let square = b.mul(y, y);
            let bell = b.emit(crate::ops::Exp, &[square]);
            let slope = b.scale(PI.sqrt() / 2.0, bell);
            b.mul(v, slope)
        };
    }
}

/// `y = ψ⁽ⁿ⁾(x)`, the derivative of order `n + 1` of `ln Γ`: `digamma` for n = 0, `trigamma` for n = 1.
///
/// Operands/Results: `x: f32[...]` → `f32[...]`. Constraints: (C1) `x` is of floats. Derivative: that of order n + 1. Infinite at 0 and
/// the negative integers; of higher orders NaN below -1000. Abramowitz, Stegun 1964, 6.3.18 and 6.4.11.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Polygamma {
    pub order: u32,
}

impl Polygamma {
    fn differential(&self, b: &mut Builder<'_>, site: Site<'_>, v: NodeId, _slot: usize) -> NodeId {
        let slope = b.emit(Self { order: self.order + 1 }, &[site.operands[0]]);
        b.mul(v, slope)
    }
}

impl Primitive for Polygamma {
    const NAME: &'static str = "polygamma";
    const ALGEBRA: Algebra = Algebra::NONE;
    primitive!(differentiable, diagonal, elementwise, sizeless);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [x] = take(Self::NAME, operands)?;
        if x.is_float() { Ok(x.clone()) } else { Err(OpError::dtype(format!("polygamma takes f32, found {x} (C1)"))) }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("order", self.order.to_string())]
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        Tensor::Float(operands[0].float().mapv(|x| T::of(polygamma(self.order, x.as_f64()))))
    }

    fn pointwise(&self) -> Option<Pointwise> {
        None
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        let is_positive = ranges.of(0).low > 0.0;
        match self.order {
            0 => Interval::ALL,
            order if is_positive && order % 2 == 1 => Interval::NOT_NEGATIVE,
            _ if is_positive => Interval::new(f64::NEG_INFINITY, 0.0),
            _ => Interval::ALL,
        }
    }

    fn domain(&self, _slot: usize, _operands: &[Interval]) -> Option<Domain> {
        Some(Domain::POSITIVE)
    }

    fn work(&self, extents: Extents<'_>) -> Work<'_> {
        Work::Elements { count: extents.largest(), weight: super::weight::TRANSCENDENTAL }
    }
}

/// From here on the asymptotic series have all digits.
pub(crate) const LARGE: f64 = 15.0;

/// The Bernoulli numbers B₂, B₄, … of the series.
pub(crate) const BERNOULLI: [f64; 10] = [
    1.0 / 6.0,
    -1.0 / 30.0,
    1.0 / 42.0,
    -1.0 / 30.0,
    5.0 / 66.0,
    -691.0 / 2730.0,
    7.0 / 6.0,
    -3617.0 / 510.0,
    43867.0 / 798.0,
    -174611.0 / 330.0,
];

fn log_gamma(x: f64) -> f64 {
    if x <= 0.0 {
        // Γ(x) Γ(1 - x) = π / sin πx
        return if x == x.floor() { f64::INFINITY } else { (PI / (PI * x).sin().abs()).ln() - log_gamma(1.0 - x) };
    }
    if x == f64::INFINITY {
        return x;
    }
    let (mut z, mut product) = (x, 1.0);
    while z < LARGE {
        product *= z;
        z += 1.0;
    }
    let mut series = 0.0;
    for (i, number) in BERNOULLI.iter().enumerate() {
        let k = 2 * (i as i32 + 1);
        series += number / (f64::from(k * (k - 1)) * z.powi(k - 1));
    }
    (z - 0.5) * z.ln() - z + 0.5 * (2.0 * PI).ln() + series - product.ln()
}

fn polygamma(order: u32, x: f64) -> f64 {
    if x <= 0.0 && x == x.floor() {
        return f64::NAN;
    }
    if order == 0 {
        return digamma(x);
    }
    if x < -1000.0 {
        return f64::NAN;
    }
    let n = order as i32;
    let factorial: f64 = (1..=n).map(f64::from).product();
    let (mut z, mut sum) = (x, 0.0);
    while z < LARGE + f64::from(n) {
        sum += factorial / z.powi(n + 1);
        z += 1.0;
    }
    sum += factorial / f64::from(n) / z.powi(n) + factorial / (2.0 * z.powi(n + 1));
    // (2k + n - 1)! / (2k)!, by the quotient of one to the next.
    let mut quotient = factorial * f64::from(n + 1) / 2.0;
    for (i, number) in BERNOULLI.iter().enumerate() {
        let k = 2 * (i as i32 + 1);
        sum += number * quotient / z.powi(k + n);
        quotient *= f64::from(k + n) * f64::from(k + n + 1) / (f64::from(k + 1) * f64::from(k + 2));
    }
    if n % 2 == 1 { sum } else { -sum }
}

fn digamma(x: f64) -> f64 {
    if x < 0.0 {
        return digamma(1.0 - x) - PI / (PI * x).tan();
    }
    let (mut z, mut sum) = (x, 0.0);
    while z < LARGE {
        sum -= 1.0 / z;
        z += 1.0;
    }
    let series = |(i, number): (usize, &f64)| {
        let k = 2 * (i as i32 + 1);
        number / (f64::from(k) * z.powi(k))
    };
    sum + z.ln() - 0.5 / z - BERNOULLI.iter().enumerate().map(series).sum::<f64>()
}

fn erf_inverse(x: f64) -> f64 {
    if x.abs() >= 1.0 {
        return if x.abs() > 1.0 { f64::NAN } else { x * f64::INFINITY };
    }
    const A: f64 = 0.147;
    let tail = ((1.0 - x) * (1.0 + x)).ln();
    let middle = 2.0 / (PI * A) + 0.5 * tail;
    let mut y = ((middle * middle - tail / A).sqrt() - middle).max(0.0).sqrt().copysign(x);
    for _ in 0..4 {
        let error = anabranch_kernels::Real::erf(y) - x;
        let step = error * PI.sqrt() / 2.0 * (y * y).exp();
        // Halley's, whose second derivative is -2 y times the first.
        y -= step / (1.0 + y * step);
    }
    y
}
