//! Functions that StableHLO lacks, by the formulas of the ops (`src/ops/pointwise`), in f64 whatever the module's precision.

use super::Emitter;
use super::text::{Element, Text, Value};
use crate::ops::pointwise::coefficients::{BERNOULLI, ERF_FAR, ERF_MIDDLE, ERF_NEAR, LARGE};
use std::f64::consts::PI;

impl Emitter {
    /// A function of f64, of a value of the spec.
    fn in_f64(&mut self, x: &Value, f: impl FnOnce(&mut Text, &Value) -> Value) -> Value {
        let wide = self.text.convert(x, Element::F64);
        let y = f(&mut self.text, &wide);
        self.text.convert(&y, x.element)
    }

    pub(super) fn erf(&mut self, x: &Value) -> Value {
        self.in_f64(x, erf)
    }

    pub(super) fn log_gamma(&mut self, x: &Value) -> Value {
        self.in_f64(x, |t, x| {
            // Γ(x) Γ(1 - x) = π / sin πx
            let is_left = t.is("LE", x, 0.0);
            let turned = one_minus(t, x);
            let y = t.select(&is_left, &turned, x);
            let log = log_gamma_right(t, &y);
            let floor = t.map("floor", &[x]);
            let is_pole = t.compare("EQ", x, &floor);
            let turn = t.scale(PI, x);
            let sine = t.map("sine", &[&turn]);
            let size = t.map("abs", &[&sine]);
            let pi = t.like(PI, x);
            let quotient = t.div(&pi, &size);
            let reflected = t.map("log", &[&quotient]);
            let reflected = t.sub(&reflected, &log);
            let infinite = t.like(f64::INFINITY, x);
            let left = t.select(&is_pole, &infinite, &reflected);
            t.select(&is_left, &left, &log)
        })
    }

    pub(super) fn polygamma(&mut self, order: u32, x: &Value) -> Value {
        self.in_f64(x, |t, x| if order == 0 { digamma(t, x) } else { polygamma(t, order, x) })
    }

    pub(super) fn erf_inverse(&mut self, x: &Value) -> Value {
        self.in_f64(x, |t, x| {
            const A: f64 = 0.147;
            let (less, more) = (one_minus(t, x), t.offset(x, 1.0));
            let product = t.mul(&less, &more);
            let tail = t.map("log", &[&product]);
            let half = t.scale(0.5, &tail);
            let middle = t.offset(&half, 2.0 / (PI * A));
            let square = t.mul(&middle, &middle);
            let part = t.scale(1.0 / A, &tail);
            let inner = t.sub(&square, &part);
            let root = t.map("sqrt", &[&inner]);
            let above = t.sub(&root, &middle);
            let zero = t.like(0.0, x);
            let above = t.map("maximum", &[&above, &zero]);
            let size = t.map("sqrt", &[&above]);
            let mut y = with_sign(t, &size, x);
            for _ in 0..4 {
                let found = erf(t, &y);
                let error = t.sub(&found, x);
                let square = t.mul(&y, &y);
                let power = t.map("exponential", &[&square]);
                let step = t.mul(&error, &power);
                let step = t.scale(PI.sqrt() / 2.0, &step);
                // Halley's, whose second derivative is -2 y times the first.
                let curved = t.mul(&y, &step);
                let divisor = t.offset(&curved, 1.0);
                let step = t.div(&step, &divisor);
                y = t.sub(&y, &step);
            }
            let size = t.map("abs", &[x]);
            let (is_end, is_beyond) = (t.is("EQ", &size, 1.0), t.is("GT", &size, 1.0));
            let (infinite, none) = (t.like(f64::INFINITY, x), t.like(f64::NAN, x));
            let end = t.mul(x, &infinite);
            let y = t.select(&is_end, &end, &y);
            t.select(&is_beyond, &none, &y)
        })
    }
}

fn one_minus(t: &mut Text, x: &Value) -> Value {
    let one = t.like(1.0, x);
    t.sub(&one, x)
}

/// `size` with the sign of `x`.
fn with_sign(t: &mut Text, size: &Value, x: &Value) -> Value {
    let is_negative = t.is("LT", x, 0.0);
    let minus = t.map("negate", &[size]);
    t.select(&is_negative, &minus, size)
}

/// A polynomial by its coefficients, that of the constant first.
fn polynomial(t: &mut Text, x: &Value, coefficients: &[f64]) -> Value {
    let mut sum = t.like(0.0, x);
    for coefficient in coefficients.iter().rev() {
        let product = t.mul(&sum, x);
        sum = t.offset(&product, *coefficient);
    }
    sum
}

/// The error function, as the kernels compute it in f64: `x P(x²)` near 0, else 1 - e^P.
fn erf(t: &mut Text, x: &Value) -> Value {
    let size = t.map("abs", &[x]);
    let square = t.mul(x, x);
    let near = polynomial(t, &square, &ERF_NEAR);
    let near = t.mul(x, &near);
    let mut far = t.like(1.0, x);
    for (centre, end, coefficients) in [(4.125, 6.0, &ERF_FAR), (1.625, 2.25, &ERF_MIDDLE)] {
        let shifted = t.offset(&size, -centre);
        let power = polynomial(t, &shifted, coefficients);
        let power = t.map("exponential", &[&power]);
        let value = one_minus(t, &power);
        let is_within = t.is("LT", &size, end);
        far = t.select(&is_within, &value, &far);
    }
    let far = with_sign(t, &far, x);
    let is_near = t.is("LT", &size, 1.0);
    let y = t.select(&is_near, &near, &far);
    let is_nan = t.is_nan(x);
    t.select(&is_nan, x, &y)
}

/// `start` joined with `join(z)` for z = x, x + 1, … below `limit`, and the first z that is not.
fn up_to(
    t: &mut Text,
    x: &Value,
    limit: f64,
    start: f64,
    join: impl FnOnce(&mut Text, &Value, &Value) -> Value,
) -> (Value, Value) {
    let start = t.like(start, x);
    let goes_on = |t: &mut Text, carried: &[Value]| {
        let (low, high) = (t.is("LT", &carried[0], limit), t.is("GE", &carried[0], -1000.0));
        t.and(&low, &high)
    };
    let axes: Vec<usize> = (0..x.rank()).collect();
    let found = t.repeat_while(
        &[x.clone(), start],
        |t, carried| {
            let mask = goes_on(t, carried);
            t.reduce(&mask, "or", 0.0, &axes)
        },
        |t, carried| {
            let mask = goes_on(t, carried);
            let joined = join(t, &carried[0], &carried[1]);
            let next = t.offset(&carried[0], 1.0);
            vec![t.select(&mask, &next, &carried[0]), t.select(&mask, &joined, &carried[1])]
        },
    );
    (found[0].clone(), found[1].clone())
}

/// `1 / zⁿ`
fn inverse_power(t: &mut Text, z: &Value, n: i32) -> Value {
    let exponent = t.like(f64::from(-n), z);
    t.map("power", &[z, &exponent])
}

/// The logarithm of Γ for x above 0.
fn log_gamma_right(t: &mut Text, x: &Value) -> Value {
    let (z, product) = up_to(t, x, LARGE, 1.0, |t, z, product| t.mul(product, z));
    let mut series = t.like(0.5 * (2.0 * PI).ln(), x);
    for (i, number) in BERNOULLI.iter().enumerate() {
        let k = 2 * (i as i32 + 1);
        let power = inverse_power(t, &z, k - 1);
        let term = t.scale(number / f64::from(k * (k - 1)), &power);
        series = t.add(&series, &term);
    }
    let (log, less) = (t.map("log", &[&z]), t.offset(&z, -0.5));
    let main = t.mul(&less, &log);
    let main = t.sub(&main, &z);
    let sum = t.add(&main, &series);
    let shift = t.map("log", &[&product]);
    let y = t.sub(&sum, &shift);
    let is_infinite = t.is("EQ", x, f64::INFINITY);
    t.select(&is_infinite, x, &y)
}

fn digamma(t: &mut Text, x: &Value) -> Value {
    let is_left = t.is("LT", x, 0.0);
    let turned = one_minus(t, x);
    let y = t.select(&is_left, &turned, x);
    let (z, sum) = up_to(t, &y, LARGE, 0.0, |t, z, sum| {
        let inverse = inverse_power(t, z, 1);
        t.sub(sum, &inverse)
    });
    let log = t.map("log", &[&z]);
    let mut value = t.add(&sum, &log);
    let inverse = inverse_power(t, &z, 1);
    let half = t.scale(0.5, &inverse);
    value = t.sub(&value, &half);
    for (i, number) in BERNOULLI.iter().enumerate() {
        let k = 2 * (i as i32 + 1);
        let power = inverse_power(t, &z, k);
        let term = t.scale(number / f64::from(k), &power);
        value = t.sub(&value, &term);
    }
    let turn = t.scale(PI, x);
    let tangent = t.map("tan", &[&turn]);
    let pi = t.like(PI, x);
    let quotient = t.div(&pi, &tangent);
    let reflected = t.sub(&value, &quotient);
    let value = t.select(&is_left, &reflected, &value);
    without_poles(t, x, &value)
}

fn polygamma(t: &mut Text, order: u32, x: &Value) -> Value {
    let n = order as i32;
    let factorial: f64 = (1..=n).map(f64::from).product();
    let (z, mut sum) = up_to(t, x, LARGE + f64::from(n), 0.0, |t, z, sum| {
        let power = inverse_power(t, z, n + 1);
        let term = t.scale(factorial, &power);
        t.add(sum, &term)
    });
    for (factor, power) in [(factorial / f64::from(n), n), (factorial / 2.0, n + 1)] {
        let power = inverse_power(t, &z, power);
        let term = t.scale(factor, &power);
        sum = t.add(&sum, &term);
    }
    let mut quotient = factorial * f64::from(n + 1) / 2.0;
    for (i, number) in BERNOULLI.iter().enumerate() {
        let k = 2 * (i as i32 + 1);
        let power = inverse_power(t, &z, k + n);
        let term = t.scale(number * quotient, &power);
        sum = t.add(&sum, &term);
        quotient *= f64::from(k + n) * f64::from(k + n + 1) / (f64::from(k + 1) * f64::from(k + 2));
    }
    let value = if n % 2 == 1 { sum } else { t.map("negate", &[&sum]) };
    let is_far = t.is("LT", x, -1000.0);
    let none = t.like(f64::NAN, x);
    let value = t.select(&is_far, &none, &value);
    without_poles(t, x, &value)
}

/// NaN at 0 and the negative integers.
fn without_poles(t: &mut Text, x: &Value, value: &Value) -> Value {
    let floor = t.map("floor", &[x]);
    let (is_integer, is_left) = (t.compare("EQ", x, &floor), t.is("LE", x, 0.0));
    let is_pole = t.and(&is_integer, &is_left);
    let none = t.like(f64::NAN, x);
    t.select(&is_pole, &none, value)
}
