//! Functions that StableHLO lacks, by the formulas of the ops (`src/ops/pointwise`), in f64 whatever the module's precision.

use super::Emitter;
use super::text::{Element, Text, Value};
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

/// From here on the asymptotic series have all digits.
const LARGE: f64 = 15.0;

/// The Bernoulli numbers B₂, B₄, … of the series.
const BERNOULLI: [f64; 10] = [
    1.0 / 6.0,
    -1.0 / 30.0,
    1.0 / 42.0,
    -1.0 / 30.0,
    5.0 / 66.0,
    -691.0 / 2730.0,
    7.0 / 6.0,
    -3617.0 / 510.0,
    43867.0 / 798.0,
    -174_611.0 / 330.0,
];

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

// Those of the kernels (`kernels/src/math.rs`), which keep them to themselves.
const ERF_NEAR: [f64; 13] = [
    std::f64::consts::FRAC_2_SQRT_PI,
    -0.376_126_389_031_837_5,
    0.112_837_916_709_548_82,
    -0.026_866_170_645_077_334,
    0.005_223_977_624_822_624,
    -0.000_854_832_698_112_966_6,
    0.000_120_553_311_222_992_66,
    -1.492_559_551_950_604_3e-5,
    1.646_100_448_096_203_4e-6,
    -1.635_035_445_961_965_5e-7,
    1.466_005_199_839_484_8e-8,
    -1.137_390_229_643_091_1e-9,
    5.958_930_743_134_941e-11,
];

const ERF_MIDDLE: [f64; 16] = [
    -3.837_088_703_777_942_6,
    -3.733_125_959_072_617_6,
    -0.901_785_029_657_922_1,
    -0.023_008_967_325_758_328,
    0.005_270_029_325_510_493,
    -0.001_102_840_920_890_837_4,
    0.000_195_490_442_512_253_23,
    -2.396_398_837_338_148e-5,
    -4.966_520_034_672_632e-7,
    1.500_904_226_393_572e-6,
    -5.827_470_722_271_371e-7,
    1.507_714_383_198_184e-7,
    -2.708_293_812_593_354_5e-8,
    2.011_392_191_893_482_2e-9,
    1.219_888_878_038_077_3e-9,
    -7.495_169_952_004_496e-10,
];

const ERF_FAR: [f64; 16] = [
    -19.032_542_764_467_507,
    -8.479_911_403_957_484,
    -0.974_814_168_152_026_4,
    -0.003_515_757_068_367_479,
    0.000_528_429_978_345_825_4,
    -8.109_263_695_073_904e-5,
    1.239_083_841_094_873_1e-5,
    -1.856_579_610_928_462e-6,
    2.678_599_326_929_519e-7,
    -3.703_201_350_228_026e-8,
    5.563_221_194_980_951e-9,
    4.307_825_910_378_699e-10,
    6.549_011_615_216_078e-10,
    2.288_742_755_044_171e-10,
    5.038_264_482_324_422e-11,
    5.739_984_007_545_591_5e-12,
];
