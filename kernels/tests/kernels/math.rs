//! Elementary functions against the standard library in double precision.

use anabranch_kernels::math::*;
use anabranch_kernels::simd::{self, Kernel, Level, Vector};

struct Apply<'a> {
    function: Function,
    numbers: &'a mut [f32],
}

#[derive(Debug, Clone, Copy)]
enum Function {
    Exp,
    Ln,
    Ln1p,
    ExpM1,
    Tanh,
    Sigmoid,
    Softplus,
    Erf,
    Sin,
    Cos,
}

impl Kernel<f32> for Apply<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector<Element = f32>>(self) {
        for chunk in self.numbers.chunks_exact_mut(V::LANES) {
            // SAFETY: a chunk has LANES numbers; the caller vouches for the instruction set.
            unsafe {
                let x = V::load(chunk.as_ptr());
                let y = match self.function {
                    Function::Exp => x.exp(),
                    Function::Ln => x.ln(),
                    Function::Ln1p => x.ln_1p(),
                    Function::ExpM1 => x.exp_m1(),
                    Function::Tanh => x.tanh(),
                    Function::Sigmoid => x.sigmoid(),
                    Function::Softplus => x.softplus(),
                    Function::Erf => x.erf(),
                    Function::Sin => x.sin(),
                    Function::Cos => x.cos(),
                };
                y.store(chunk.as_mut_ptr());
            }
        }
    }
}

fn exact(function: Function, x: f64) -> f64 {
    match function {
        Function::Exp => x.exp(),
        Function::Ln => x.ln(),
        Function::Ln1p => x.ln_1p(),
        Function::ExpM1 => x.exp_m1(),
        Function::Tanh => x.tanh(),
        Function::Sigmoid if x < 0.0 => x.exp() / (1.0 + x.exp()),
        Function::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Function::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
        Function::Erf => erf_double(x),
        Function::Sin => x.sin(),
        Function::Cos => x.cos(),
    }
}

/// Every 1009th bit pattern, all of which are numbers, infinities and NaNs of every magnitude, and a fine sweep
/// where most operands lie.
fn operands() -> Vec<f32> {
    let mut numbers: Vec<f32> = (0..u32::MAX / 1009).map(|i| f32::from_bits(i * 1009)).collect();
    numbers.extend((-200_000..200_000).map(|i| i as f32 * 5.3e-4));
    numbers.extend((-100_000..100_000).map(|i| i as f32 * 1.1e-5));
    numbers.extend([0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX, f32::MIN]);
    numbers.extend([f32::MIN_POSITIVE, -f32::MIN_POSITIVE, f32::from_bits(1), 88.72, 88.73, 89.0, -103.97, -104.0]);
    numbers.extend([1.0, -1.0, f32::from_bits(0x7e80_0000), f32::from_bits(0x7f2a_aaab)]);
    numbers.resize(numbers.len().next_multiple_of(16), 1.0);
    numbers
}

fn ulps(value: f32, exact: f64) -> f64 {
    if exact.is_nan() || value.is_nan() {
        return if exact.is_nan() && value.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if f64::from(value) == exact || (exact as f32).is_infinite() && value == exact as f32 {
        return 0.0;
    }
    let magnitude = (exact.abs() as f32).clamp(f32::MIN_POSITIVE, f32::MAX);
    let unit = f64::from(magnitude) - f64::from(f32::from_bits(magnitude.to_bits() - 1));
    ((f64::from(value) - exact) / unit).abs()
}

#[test]
fn single_precision_is_within_two_units() {
    use Function::*;
    let operands = operands();
    for level in Level::available() {
        for function in [Exp, Ln, Ln1p, ExpM1, Tanh, Sigmoid, Softplus, Erf, Sin, Cos] {
            let mut results = operands.clone();
            simd::dispatch(level, Apply { function, numbers: &mut results });
            let mut worst = (0.0, 0.0f32, 0.0f32);
            for (&x, &y) in operands.iter().zip(&results) {
                let error = ulps(y, exact(function, f64::from(x)));
                if error > worst.0 {
                    worst = (error, x, y);
                }
            }
            // The standard library's own functions, tanh the worst of them, serve the portable level.
            let bound = if level == Level::PORTABLE { 3.0 } else { 2.0 };
            assert!(worst.0 <= bound, "{} {function:?}: {worst:?}", level.name());
        }
    }
}

#[test]
fn zeros_keep_their_sign() {
    use Function::*;
    for level in Level::available() {
        for function in [Ln1p, ExpM1, Tanh, Erf, Sin] {
            let mut numbers = [-0.0f32; 16];
            simd::dispatch(level, Apply { function, numbers: &mut numbers });
            assert!(numbers[0] == 0.0 && numbers[0].is_sign_negative(), "{} {function:?}", level.name());
        }
    }
}

#[test]
fn erf_has_its_values() {
    // Values by a 50-digit evaluation.
    for (x, y) in [
        (0.5, 0.520_499_877_813_046_5),
        (0.999, 0.842_285_270_206_496_9),
        (1.0, 0.842_700_792_949_714_9),
        (2.0, 0.995_322_265_018_952_7),
        (3.0, 0.999_977_909_503_001_4),
        (5.5, 0.999_999_999_999_992_6),
    ] {
        assert!((erf_double(x) - y).abs() < 1e-15, "{x}: {} {y}", erf_double(x));
        assert_eq!(erf_double(-x), -erf_double(x));
    }
    assert_eq!(erf_double(7.0), 1.0);
    assert!(erf_double(f64::NAN).is_nan());
}
