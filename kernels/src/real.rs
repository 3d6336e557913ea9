//! The element types of the kernels.

use std::fmt::{Debug, Display};
use std::iter::Sum;

use super::buffer::Number;
use super::entry::Entry;
use super::simd::{self, Vector};

/// A floating-point element: `f32` or `f64`, and no other.
pub trait Real: Number + Entry + num_traits::Float + Default + Debug + Display + Sum {
    /// The vector of the portable level.
    type Portable: Vector<Element = Self>;
    /// The vector of the AVX2 level.
    #[cfg(target_arch = "x86_64")]
    type Avx2: Vector<Element = Self>;
    /// The vector of the AVX-512 level.
    #[cfg(target_arch = "x86_64")]
    type Avx512: Vector<Element = Self>;

    /// The nearest number to an integer.
    fn from_integer(value: i32) -> Self;
    /// The nearest number to a double.
    fn from_double(value: f64) -> Self;
    /// This number as a double.
    fn to_double(self) -> f64;
    /// To the nearest integer, ties to even.
    fn round_ties_even(self) -> Self;

    /// `1 / (1 + exp(-self))`, exact to a few roundings on both sides.
    #[inline]
    fn sigmoid(self) -> Self {
        let e = (-self.abs()).exp();
        if self < Self::zero() { e / (Self::one() + e) } else { Self::one() / (Self::one() + e) }
    }

    /// `ln(1 + exp(self))` without overflow.
    #[inline]
    fn softplus(self) -> Self {
        let positive = if self > Self::zero() || self.is_nan() { self } else { Self::zero() };
        positive + (-self.abs()).exp().ln_1p()
    }

    /// The error function.
    #[inline]
    fn erf(self) -> Self {
        Self::from_double(super::math::erf_double(self.to_double()))
    }
}

macro_rules! real {
    ($type:ty, $lanes:expr, $avx2:ident, $avx512:ident) => {
        impl Real for $type {
            type Portable = simd::Lanes<$type, $lanes>;
            #[cfg(target_arch = "x86_64")]
            type Avx2 = simd::$avx2;
            #[cfg(target_arch = "x86_64")]
            type Avx512 = simd::$avx512;

            #[inline(always)]
            fn from_integer(value: i32) -> Self {
                value as $type
            }
            #[inline(always)]
            fn from_double(value: f64) -> Self {
                value as $type
            }
            #[inline(always)]
            fn to_double(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn round_ties_even(self) -> Self {
                <$type>::round_ties_even(self)
            }
        }
    };
}

real!(f32, 4, F32x8, F32x16);
real!(f64, 2, F64x4, F64x8);
