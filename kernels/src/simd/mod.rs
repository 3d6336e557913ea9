//! Vectors of numbers, one trait over the instruction sets.
//!
//! A kernel is written once, generic over [`Vector`], and compiled once per instruction set: [`dispatch`] enters a
//! function that carries the `target_feature` attribute, and everything below it is `#[inline(always)]`, so the
//! intrinsics land in code that may use them. Nothing depends on the flags the crate is built with.
//!
//! Soundness: a [`Level`] can only be obtained by asking the machine. A vector value can only be made by the `unsafe`
//! constructors `splat` and `load`, whose contract is that the machine has the instruction set; holding a value is the
//! proof that lets arithmetic on it be safe.

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use super::Real;

/// The transcendental functions of a vector type, lane by lane through the standard library and [`Real`].
macro_rules! by_lane {
    () => {
        super::by_lane!(@unary num_traits::Float: exp ln ln_1p exp_m1 tanh sin cos);
        super::by_lane!(@unary $crate::Real: sigmoid softplus erf);

        #[inline(always)]
        fn pow(self, exponent: Self) -> Self {
            self.map2(exponent, num_traits::Float::powf)
        }
    };
    (@unary $source:path: $($name:ident)*) => {
        $(
            #[inline(always)]
            fn $name(self) -> Self {
                self.map(<Self::Element as $source>::$name)
            }
        )*
    };
}
use by_lane;

pub use portable::Lanes;
#[cfg(target_arch = "x86_64")]
pub use x86::{F32x8, F32x16, F64x4, F64x8};

/// An instruction set that this machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(Set);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Set {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// Plain Rust loops, what every machine has.
    pub const PORTABLE: Level = Level(Set::Portable);

    /// The best level of this machine.
    pub fn detect() -> Level {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("fma")
            {
                return Level(Set::Avx512);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Level(Set::Avx2);
            }
        }
        Level::PORTABLE
    }

    /// Every level of this machine, the slowest first.
    pub fn available() -> Vec<Level> {
        let best = Level::detect();
        let mut levels = vec![Level::PORTABLE];
        #[cfg(target_arch = "x86_64")]
        levels.extend([Level(Set::Avx2), Level(Set::Avx512)]);
        levels.retain(|level| *level <= best);
        levels
    }

    /// The name a person knows the level by.
    pub fn name(self) -> &'static str {
        match self.0 {
            Set::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "avx512",
        }
    }
}

/// A loop nest that can be compiled for any vector type. `run` must be `#[inline(always)]`.
pub trait Kernel<T: Real> {
    /// What the loop returns.
    type Output;

    /// Runs the loop.
    ///
    /// # Safety
    /// The machine has the instruction set of `V`.
    unsafe fn run<V: Vector<Element = T>>(self) -> Self::Output;
}

/// Runs a kernel with the vectors of `level`.
#[inline(always)]
pub fn dispatch<T: Real, K: Kernel<T>>(level: Level, kernel: K) -> K::Output {
    match level.0 {
        // SAFETY: the portable vectors need no instruction set.
        Set::Portable => unsafe { run_portable(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a `Level` of this value exists only where `Level::detect` found the features.
        Set::Avx2 => unsafe { run_avx2(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Set::Avx512 => unsafe { run_avx512(kernel) },
    }
}

#[inline(never)]
unsafe fn run_portable<T: Real, K: Kernel<T>>(kernel: K) -> K::Output {
    // SAFETY: the portable vectors need no instruction set.
    unsafe { kernel.run::<T::Portable>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn run_avx2<T: Real, K: Kernel<T>>(kernel: K) -> K::Output {
    // SAFETY: the caller has checked the features.
    unsafe { kernel.run::<T::Avx2>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")]
unsafe fn run_avx512<T: Real, K: Kernel<T>>(kernel: K) -> K::Output {
    // SAFETY: the caller has checked the features.
    unsafe { kernel.run::<T::Avx512>() }
}

/// Nobody else's type is a vector.
mod sealed {
    pub trait Sealed {}
}

/// The most lanes of a vector.
const MOST_LANES: usize = 16;

/// A few numbers side by side. Comparisons follow IEEE 754 (false on NaN); `minimum` and `maximum` give NaN where an
/// operand is NaN. The types of this module are all there are: their sizes are relied on.
pub trait Vector: sealed::Sealed + Copy + 'static {
    /// One number.
    type Element: Real;
    /// One bool per lane.
    type Mask: Copy;
    /// How many numbers.
    const LANES: usize;
    /// Whether there are 32 registers to hold accumulators in (else 16).
    const MANY_REGISTERS: bool;

    /// All lanes equal.
    ///
    /// # Safety
    /// The machine has the instruction set of this type.
    unsafe fn splat(value: Self::Element) -> Self;
    /// Reads `LANES` numbers, unaligned.
    ///
    /// # Safety
    /// As [`Vector::splat`], and the numbers are readable.
    unsafe fn load(from: *const Self::Element) -> Self;
    /// Reads the first `count` numbers, zeros in the other lanes. `count` may exceed `LANES`.
    ///
    /// # Safety
    /// As [`Vector::load`] for `min(count, LANES)` numbers.
    unsafe fn load_partial(from: *const Self::Element, count: usize) -> Self;
    /// Reads `LANES` integers as numbers.
    ///
    /// # Safety
    /// As [`Vector::load`].
    unsafe fn load_integers(from: *const i32) -> Self;
    /// Writes `LANES` numbers.
    ///
    /// # Safety
    /// The place is writable.
    unsafe fn store(self, to: *mut Self::Element);
    /// Writes the first `count` lanes. `count` may exceed `LANES`.
    ///
    /// # Safety
    /// The place is writable for `min(count, LANES)` numbers.
    unsafe fn store_partial(self, to: *mut Self::Element, count: usize);

    /// All lanes equal; `self` only proves that the machine can.
    fn constant(self, value: f64) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    /// `self * factor + addend`, rounded once where the instruction set can.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// `self * factor - subtrahend`.
    fn mul_sub(self, factor: Self, subtrahend: Self) -> Self;
    /// `minuend - self * factor`.
    fn sub_from_mul(self, factor: Self, minuend: Self) -> Self;
    fn minimum(self, other: Self) -> Self;
    fn maximum(self, other: Self) -> Self;
    fn neg(self) -> Self;
    fn abs(self) -> Self;
    fn sqrt(self) -> Self;
    fn floor(self) -> Self;
    /// To the nearest integer, ties to even.
    fn round(self) -> Self;
    /// The magnitude of `self` with the sign bit of `sign`.
    fn copy_sign(self, sign: Self) -> Self;

    fn equal(self, other: Self) -> Self::Mask;
    fn less(self, other: Self) -> Self::Mask;
    fn less_equal(self, other: Self) -> Self::Mask;
    fn mask_and(a: Self::Mask, b: Self::Mask) -> Self::Mask;
    fn mask_or(a: Self::Mask, b: Self::Mask) -> Self::Mask;
    fn mask_not(self, a: Self::Mask) -> Self::Mask;
    fn any(mask: Self::Mask) -> bool;
    /// The first `count` lanes, which may exceed `LANES`.
    fn first_lanes(self, count: usize) -> Self::Mask;
    /// `self` where the mask holds, else `other`.
    fn select(self, mask: Self::Mask, other: Self) -> Self;

    /// Applies a function lane by lane.
    #[inline(always)]
    fn map(self, function: fn(Self::Element) -> Self::Element) -> Self {
        let mut lanes = [Self::Element::default(); MOST_LANES];
        // SAFETY: 16 numbers are room for every vector type; a value of this type exists, so loading is allowed.
        unsafe {
            self.store(lanes.as_mut_ptr());
            for lane in &mut lanes[..Self::LANES] {
                *lane = function(*lane);
            }
            Self::load(lanes.as_ptr())
        }
    }

    /// Applies a function of two numbers lane by lane.
    #[inline(always)]
    fn map2(self, other: Self, function: fn(Self::Element, Self::Element) -> Self::Element) -> Self {
        let (mut left, mut right) = ([Self::Element::default(); MOST_LANES], [Self::Element::default(); MOST_LANES]);
        // SAFETY: as in `map`.
        unsafe {
            self.store(left.as_mut_ptr());
            other.store(right.as_mut_ptr());
            for (a, b) in left[..Self::LANES].iter_mut().zip(&right) {
                *a = function(*a, *b);
            }
            Self::load(left.as_ptr())
        }
    }

    /// The lanes folded in a fixed order: halves onto each other.
    #[inline(always)]
    fn fold(self, function: fn(Self::Element, Self::Element) -> Self::Element) -> Self::Element {
        let mut lanes = [Self::Element::default(); MOST_LANES];
        // SAFETY: 16 numbers are room for every vector type.
        unsafe { self.store(lanes.as_mut_ptr()) };
        let mut width = Self::LANES;
        while width > 1 {
            width /= 2;
            for i in 0..width {
                lanes[i] = function(lanes[i], lanes[i + width]);
            }
        }
        lanes[0]
    }

    /// The sum of the lanes, halves onto each other.
    #[inline(always)]
    fn sum(self) -> Self::Element {
        self.fold(|a, b| a + b)
    }

    fn exp(self) -> Self;
    fn ln(self) -> Self;
    fn ln_1p(self) -> Self;
    fn exp_m1(self) -> Self;
    fn tanh(self) -> Self;
    fn sigmoid(self) -> Self;
    fn softplus(self) -> Self;
    fn erf(self) -> Self;
    fn sin(self) -> Self;
    fn cos(self) -> Self;
    fn pow(self, exponent: Self) -> Self;
}

/// What the polynomials of [`super::math`] need beyond [`Vector`]: the bits of a 32-bit float.
pub trait Single: Vector<Element = f32> {
    /// `self * 2^n` for an integral `n` in -300..=300, rounded once into the subnormals and up to infinity.
    fn scale(self, n: Self) -> Self;
    /// For normal positive numbers: `e` and `2^-e` with `self * 2^-e` in [2/3, 4/3).
    fn binary_exponent(self) -> (Self, Self);
    /// Whether the integral number is odd, `|self| < 2^31`.
    fn is_odd(self) -> Self::Mask;
}
