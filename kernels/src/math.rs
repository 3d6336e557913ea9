//! Transcendental functions.
//!
//! In single precision on AVX2 and AVX-512 these are polynomials evaluated on whole vectors; the coefficients are
//! weighted least-squares fits at Chebyshev nodes, made for this file in 200-bit arithmetic. The error, measured in
//! the tests against double precision over all magnitudes:
//!
//! | function | units in the last place |
//! |---|---|
//! | exp, ln, ln_1p, exp_m1, tanh, sigmoid, softplus, erf | ≤ 2 |
//! | sin, cos | ≤ 2 (beyond 2^16 lane by lane through the standard library) |
//! | pow | that of the standard library, lane by lane |
//!
//! Everywhere else, and in double precision, each lane goes through the standard library, except `erf`, which it does
//! not have: [`erf_double`] is within 4 units in the last place of a double.
//!
//! Subnormal operands and results are exact to the same error in units of the smallest number. NaN gives NaN; infinite
//! operands give the limits.

use super::simd::Single;

/// The methods of [`super::simd::Vector`] for single-precision vectors.
macro_rules! polynomials {
    () => {
        $crate::math::polynomials!(@unary exp ln ln_1p exp_m1 tanh sigmoid softplus erf sin cos);

        #[inline(always)]
        fn pow(self, exponent: Self) -> Self {
            self.map2(exponent, f32::powf)
        }
    };
    (@unary $($name:ident)*) => {
        $(
            #[inline(always)]
            fn $name(self) -> Self {
                math::$name(self)
            }
        )*
    };
}
pub(super) use polynomials;

const LOG2_E: f64 = std::f64::consts::LOG2_E;
/// ln 2 in two single-precision pieces.
const LN_2: [f64; 2] = [0.693_147_182_464_599_6, -1.904_654_212_125_933_6e-9];
/// π/2 in three single-precision pieces.
const HALF_PI: [f64; 3] = [1.570_796_370_506_286_6, -4.371_138_828_673_793e-8, -1.715_124_510_005_881_9e-15];

/// `c[0] + c[1] x + ...`
#[inline(always)]
fn polynomial<V: Single, const N: usize>(x: V, coefficients: [f64; N]) -> V {
    let mut sum = x.constant(coefficients[N - 1]);
    for &coefficient in coefficients[..N - 1].iter().rev() {
        sum = sum.mul_add(x, x.constant(coefficient));
    }
    sum
}

/// `x = n ln 2 + r` with `|r| <= ln 2 / 2`; gives `n` and `r`.
#[inline(always)]
fn reduce<V: Single>(x: V) -> (V, V) {
    let n = x.mul(x.constant(LOG2_E)).round();
    let r = n.sub_from_mul(x.constant(LN_2[0]), x);
    (n, n.sub_from_mul(x.constant(LN_2[1]), r))
}

/// `exp(r) - 1` for a reduced `r`.
#[inline(always)]
fn small_exp_m1<V: Single>(r: V) -> V {
    let p = polynomial(r, [0.500000008578, 0.166665098625, 0.0416662467304, 0.00836987308783, 0.00139476056387]);
    p.mul(r.mul(r)).add(r)
}

#[inline(always)]
pub(super) fn exp<V: Single>(x: V) -> V {
    let clamped = x.minimum(x.constant(89.5)).maximum(x.constant(-105.0));
    let (n, r) = reduce(clamped);
    small_exp_m1(r).add(x.constant(1.0)).scale(n)
}

#[inline(always)]
pub(super) fn exp_m1<V: Single>(x: V) -> V {
    let (n, r) = reduce(x.minimum(x.constant(89.0)).maximum(x.constant(-30.0)));
    let p = small_exp_m1(r);
    // Half of 2^n throughout, since 2^128 is not a number.
    let power = x.constant(0.5).scale(n);
    let half = p.mul_add(power, power.sub(x.constant(0.5)));
    let result = p.select(n.equal(x.constant(0.0)), half.add(half));
    // Keeps the sign of zero and subnormal operands as they are.
    x.select(x.abs().less(x.constant(1e-30)), result)
}

/// `e ln 2 + ln(1 + f)` for `f` in [-1/3, 1/3).
#[inline(always)]
fn log_sum<V: Single>(e: V, f: V) -> V {
    let square = f.mul(f);
    let p = polynomial(
        f,
        [
            0.333333378627,
            -0.249998138475,
            0.199994363069,
            -0.16679848431,
            0.143084828826,
            -0.121922389958,
            0.107135930819,
            -0.128597689709,
            0.121508346765,
        ],
    );
    let tail = p.mul(f).mul(square).sub(square.mul(f.constant(0.5)));
    let tail = e.mul_add(f.constant(LN_2[1]), tail).add(f);
    e.mul_add(f.constant(LN_2[0]), tail)
}

/// The values of a logarithm at 0 and at infinity and outside its domain, where `x` is the operand itself.
#[inline(always)]
fn log_limits<V: Single>(x: V, result: V) -> V {
    let zero = x.constant(0.0);
    let infinity = x.constant(f64::INFINITY);
    let result = x.select(x.equal(infinity), result);
    let result = infinity.neg().select(x.equal(zero), result);
    result.select(zero.less_equal(x), x.constant(f64::NAN))
}

const TWO_23: f64 = 8_388_608.0;
const TWO_100: f64 = 1.267_650_600_228_229_4e30;

#[inline(always)]
pub(super) fn ln<V: Single>(x: V) -> V {
    let one = x.constant(1.0);
    let tiny = x.less(x.constant(f64::from(f32::MIN_POSITIVE)));
    let huge = x.constant(TWO_100).less(x);
    let factor = x.constant(TWO_23).select(tiny, x.constant(1.0 / TWO_23).select(huge, one));
    let shift = x.constant(-23.0).select(tiny, x.constant(23.0).select(huge, x.constant(0.0)));
    let scaled = x.mul(factor);
    let (e, inverse) = scaled.binary_exponent();
    log_limits(x, log_sum(e.add(shift), scaled.mul_sub(inverse, one)))
}

#[inline(always)]
pub(super) fn ln_1p<V: Single>(x: V) -> V {
    let one = x.constant(1.0);
    let huge = x.constant(TWO_100).less(x);
    let factor = x.constant(1.0 / TWO_23).select(huge, one);
    let scaled = x.mul(factor);
    let (e, inverse) = scaled.add(factor).binary_exponent();
    // (x + 1) / 2^e - 1 with one rounding, although x + 1 may have lost the low bits of x.
    let f = scaled.mul_add(inverse, factor.mul_sub(inverse, one));
    let e = e.add(x.constant(23.0).select(huge, x.constant(0.0)));
    let result = log_limits(x.add(one), log_sum(e, f));
    // Keeps the sign of zero and subnormal operands as they are.
    x.select(x.abs().less(x.constant(1e-30)), result)
}

#[inline(always)]
pub(super) fn tanh<V: Single>(x: V) -> V {
    let magnitude = x.abs();
    let square = x.mul(x);
    let p = polynomial(square, [-0.333332812841, 0.133314317535, -0.0537391565035, 0.0206378614888, -0.00570404252449]);
    let near = p.mul(square).mul_add(magnitude, magnitude);
    let one = x.constant(1.0);
    let e = exp(magnitude.add(magnitude).minimum(x.constant(20.0)));
    let far = one.sub(x.constant(2.0).div(e.add(one)));
    near.select(magnitude.less(x.constant(0.625)), far).copy_sign(x)
}

#[inline(always)]
pub(super) fn sigmoid<V: Single>(x: V) -> V {
    let one = x.constant(1.0);
    let e = exp(x.abs().neg());
    let numerator = e.select(x.less(x.constant(0.0)), one);
    let denominator = e.add(one);
    let lost = e.sub(denominator.sub(one));
    let inverse = one.div(denominator);
    let quotient = numerator.mul(inverse);
    // One correction leaves the error of the exponential and a last rounding.
    let rest = quotient.sub_from_mul(lost, quotient.sub_from_mul(denominator, numerator));
    rest.mul_add(inverse, quotient)
}

#[inline(always)]
pub(super) fn softplus<V: Single>(x: V) -> V {
    let one = x.constant(1.0);
    let e = exp(x.abs().neg());
    // ln_1p for an operand in [0, 1].
    let (exponent, inverse) = e.add(one).binary_exponent();
    let f = e.mul_add(inverse, inverse.sub(one));
    x.maximum(x.constant(0.0)).add(log_sum(exponent, f))
}

#[inline(always)]
pub(super) fn erf<V: Single>(x: V) -> V {
    let t = x.abs().minimum(x.constant(4.0));
    let square = t.mul(t);
    let near = polynomial(
        square,
        [
            0.128379166632,
            -0.376126336079,
            0.112836927378,
            -0.0268592113524,
            0.00520050174423,
            -0.000813607485775,
            8.33997199937e-5,
        ],
    );
    let near = near.mul_add(t, t);
    // The logarithm of 1 - erf(t), divided by t, plus 1.
    let far = polynomial(
        t,
        [
            -0.128560059443,
            -0.635585455216,
            -0.105342622653,
            0.0227611963316,
            -0.00298569471849,
            7.03231573315e-5,
            4.13870508656e-5,
            -4.58382431837e-6,
        ],
    );
    let far = x.constant(1.0).sub(exp(far.mul_sub(t, t)));
    near.select(t.less(x.constant(0.93)), far).copy_sign(x)
}

#[inline(always)]
pub(super) fn sin<V: Single>(x: V) -> V {
    let tiny = x.abs().less(x.constant(1.0 / 4096.0));
    x.select(tiny, sine_of_quadrant(x, 0.0, f32::sin))
}

#[inline(always)]
pub(super) fn cos<V: Single>(x: V) -> V {
    sine_of_quadrant(x, 1.0, f32::cos)
}

/// `sin(x + quadrants * π/2)`; `beyond` serves all lanes where one of them is too large to be reduced here.
#[inline(always)]
fn sine_of_quadrant<V: Single>(x: V, quadrants: f64, beyond: fn(f32) -> f32) -> V {
    if V::any(x.constant(65536.0).less(x.abs())) {
        return x.map(beyond);
    }
    let q = x.mul(x.constant(std::f64::consts::FRAC_2_PI)).round();
    let r = q.sub_from_mul(x.constant(HALF_PI[0]), x);
    let r = q.sub_from_mul(x.constant(HALF_PI[1]), r);
    let r = q.sub_from_mul(x.constant(HALF_PI[2]), r);
    let square = r.mul(r);
    let sine = polynomial(square, [-0.166666666399, 0.00833332920863, -0.000198392815345, 2.71782579888e-6]);
    let sine = sine.mul(square).mul_add(r, r);
    let cosine = polynomial(square, [0.0416666666192, -0.00138888834691, 2.47994498854e-5, -2.72047356214e-7]);
    let one = x.constant(1.0);
    let cosine = cosine.mul(square).mul_add(square, square.sub_from_mul(x.constant(0.5), one));
    let quadrant = q.add(x.constant(quadrants));
    let value = cosine.select(quadrant.is_odd(), sine);
    let negative = quadrant.mul(x.constant(0.5)).floor().is_odd();
    value.neg().select(negative, value)
}

/// The error function in double precision: three fits, the outer two of the logarithm of `1 - erf`.
pub fn erf_double(x: f64) -> f64 {
    let t = x.abs();
    if x.is_nan() {
        x
    } else if t < 1.0 {
        x * horner(t * t, &ERF_NEAR)
    } else if t < 2.25 {
        (1.0 - horner(t - 1.625, &ERF_MIDDLE).exp()).copysign(x)
    } else if t < 6.0 {
        (1.0 - horner(t - 4.125, &ERF_FAR).exp()).copysign(x)
    } else {
        1f64.copysign(x)
    }
}

fn horner(x: f64, coefficients: &[f64]) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

/// erf x / x by the square of x, up to 1.
pub const ERF_NEAR: [f64; 13] = [
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

/// ln(1 - erf x) by x - 1.625, from 1 to 2.25.
pub const ERF_MIDDLE: [f64; 16] = [
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

/// ln(1 - erf x) by x - 4.125, from 2.25 to 6.
pub const ERF_FAR: [f64; 16] = [
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
